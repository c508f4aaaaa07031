//! Parameters of a loop that gather a sum, a minimum or the like of whole vectors, which several
//! accumulators can share: the operation is associative and commutative to the bit. Integers only.

use crate::counted::Counted;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    Block, Function, Inst, InstBuilder, InstructionData, MemFlagsData, Opcode, Type, Value,
};
use rustc_hash::FxHashMap;

/// How accumulators are put together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reduction {
    op: Opcode,
    /// The type of the operation's operands.
    ty: Type,
}

/// The reductions of a loop, by the position of their parameters.
pub(crate) fn reductions(
    func: &Function,
    counted: &Counted,
    outs: &[Value],
) -> FxHashMap<usize, Reduction> {
    let mut readers: FxHashMap<Value, Vec<Inst>> = FxHashMap::default();
    for inst in &counted.insts {
        for value in func.dfg.inst_values(*inst) {
            readers.entry(value).or_default().push(*inst);
        }
    }
    let params = func.dfg.block_params(counted.block);
    let mut found = FxHashMap::default();
    for (at, param) in params.iter().enumerate() {
        let times_back = |value: Value| counted.back.iter().filter(|back| **back == value).count();
        let mut value = *param;
        let mut reduction: Option<Reduction> = None;
        // Follows the value to what is jumped back with, read once on the way.
        let complete = loop {
            if value == counted.back[at] && value != *param {
                break times_back(value) == 1 && !readers.contains_key(&value);
            }
            let only = readers.get(&value).map_or(&[][..], Vec::as_slice);
            let [reader] = only else { break false };
            if times_back(value) > 0 || outs.contains(&value) {
                break false;
            }
            let args = func.dfg.inst_args(*reader);
            let op = match func.dfg.insts[*reader].opcode() {
                Opcode::Bitcast => None,
                Opcode::Isub if args[0] == value => Some(Opcode::Iadd),
                op @ (Opcode::Iadd
                | Opcode::Bxor
                | Opcode::Band
                | Opcode::Bor
                | Opcode::Smin
                | Opcode::Smax
                | Opcode::Umin
                | Opcode::Umax) => Some(op),
                _ => break false,
            };
            let result = func.dfg.first_result(*reader);
            if let Some(op) = op {
                let this = Reduction { op, ty: func.dfg.value_type(result) };
                if !this.ty.is_vector() || reduction.is_some_and(|known| known != this) {
                    break false;
                }
                reduction = Some(this);
            }
            value = result;
        };
        if let (true, Some(reduction)) = (complete, reduction) {
            found.insert(at, reduction);
        }
    }
    found
}

impl Reduction {
    /// What accumulators beside the first start with, in `block`; `first` is what that one does.
    pub(crate) fn start(&self, func: &mut Function, block: Block, first: Value) -> Value {
        match self.op {
            Opcode::Iadd | Opcode::Bxor => {
                let ty = func.dfg.value_type(first);
                let bytes = vec![0; ty.bytes() as usize];
                let zero = func.dfg.constants.insert(bytes.into());
                FuncCursor::new(func).at_bottom(block).ins().vconst(ty, zero)
            }
            // The others may take a value in twice.
            _ => first,
        }
    }

    /// Both accumulators in one.
    pub(crate) fn join(
        &self,
        func: &mut Function,
        block: Block,
        one: Value,
        other: Value,
    ) -> Value {
        let ty = func.dfg.value_type(one);
        let mut flags = MemFlagsData::new();
        flags.set_endianness(cranelift_codegen::ir::Endianness::Little);
        let mut cursor = FuncCursor::new(func).at_bottom(block);
        let mut cast = |value: Value, from: Type, to: Type| match from == to {
            true => value,
            false => cursor.ins().bitcast(to, flags, value),
        };
        let (one, other) = (cast(one, ty, self.ty), cast(other, ty, self.ty));
        let data = InstructionData::Binary { opcode: self.op, args: [one, other] };
        let inst = func.dfg.make_inst(data);
        func.dfg.make_inst_results(inst, self.ty);
        func.layout.append_inst(inst, block);
        let joined = func.dfg.first_result(inst);
        match self.ty == ty {
            true => joined,
            false => FuncCursor::new(func).at_bottom(block).ins().bitcast(ty, flags, joined),
        }
    }
}
