//! 32-bit values of a loop as sums: coefficients times values that the loop does not change or
//! counts up, plus a constant, all modulo 2³².

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    Block, Function, Inst, InstBuilder, InstructionData, Opcode, Value, ValueDef, types,
};
use smallvec::SmallVec;

/// How many terms a sum may have.
const MAX_TERMS: usize = 8;
/// How many instructions are looked through.
const MAX_DEPTH: usize = 24;

/// A sum modulo 2³². Terms are sorted by value, none is zero.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Affine {
    pub(crate) terms: SmallVec<[(Value, i32); 4]>,
    pub(crate) constant: i32,
}

impl Affine {
    pub(crate) fn constant(constant: i32) -> Affine {
        Affine { constant, ..Affine::default() }
    }

    fn term(value: Value) -> Affine {
        Affine { terms: SmallVec::from_slice(&[(value, 1)]), constant: 0 }
    }

    /// `self + other * factor`.
    pub(crate) fn plus(mut self, other: &Affine, factor: i32) -> Option<Affine> {
        for &(value, coefficient) in &other.terms {
            let more = coefficient.wrapping_mul(factor);
            match self.terms.binary_search_by_key(&value, |term| term.0) {
                Ok(at) => {
                    self.terms[at].1 = self.terms[at].1.wrapping_add(more);
                    if self.terms[at].1 == 0 {
                        self.terms.remove(at);
                    }
                }
                Err(at) if more != 0 => self.terms.insert(at, (value, more)),
                Err(_) => {}
            }
        }
        self.constant = self.constant.wrapping_add(other.constant.wrapping_mul(factor));
        (self.terms.len() <= MAX_TERMS).then_some(self)
    }

    /// Computes the sum at the end of `into`; its terms must be known there.
    pub(crate) fn value(&self, func: &mut Function, into: Block) -> Value {
        let mut cursor = FuncCursor::new(func).at_bottom(into);
        let mut sum = cursor.ins().iconst(types::I32, i64::from(self.constant as u32));
        for (term, coefficient) in &self.terms {
            let coefficient = cursor.ins().iconst(types::I32, i64::from(*coefficient as u32));
            let product = cursor.ins().imul(*term, coefficient);
            sum = cursor.ins().iadd(sum, product);
        }
        sum
    }

    fn times(&self, factor: i32) -> Option<Affine> {
        Affine::default().plus(self, factor)
    }
}

/// Whether `value` is made outside of `block`.
pub(crate) fn is_outside(func: &Function, block: Block, value: Value) -> bool {
    !is_param(func, block, value) && made_in(func, block, value).is_none()
}

/// The constant that `value` is, sign-extended from its type.
pub(crate) fn constant(func: &Function, value: Value) -> Option<i64> {
    let inst = func.dfg.value_def(value).inst()?;
    let InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } = func.dfg.insts[inst] else {
        return None;
    };
    let unused = 64_u32.saturating_sub(func.dfg.value_type(value).bits());
    Some((imm.bits() << unused) >> unused)
}

/// The instruction in `block` that makes `value`.
pub(crate) fn made_in(func: &Function, block: Block, value: Value) -> Option<Inst> {
    match func.dfg.value_def(value) {
        ValueDef::Result(inst, _) => (func.layout.inst_block(inst) == Some(block)).then_some(inst),
        _ => None,
    }
}

/// Whether `value` is a parameter of `block`.
pub(crate) fn is_param(func: &Function, block: Block, value: Value) -> bool {
    matches!(func.dfg.value_def(value), ValueDef::Param(of, _) if of == block)
}

/// The operands of an instruction that gives the smaller or the larger of two integers.
pub(crate) fn clamped(func: &Function, inst: Inst) -> Option<[Value; 2]> {
    let args = func.dfg.inst_args(inst);
    match func.dfg.insts[inst].opcode() {
        Opcode::Smin | Opcode::Smax | Opcode::Umin | Opcode::Umax => Some([args[0], args[1]]),
        _ => None,
    }
}

/// `value`, of type `i32`, as a sum of parameters of `block`, a loop of its own, of values that are made
/// outside of it, and of those that [`divided`] and [`clamped`] tell. `None` if other values have a part
/// in it.
pub(crate) fn affine(func: &Function, block: Block, value: Value) -> Option<Affine> {
    sum(func, block, value, 0)
}

/// The operand and the constant of an instruction that divides or cuts by powers of two: a shift to the
/// right, a mask. What it makes may count, too, if its operand moves by a multiple of that power.
pub(crate) fn divided(func: &Function, inst: Inst) -> Option<(Value, i32)> {
    let op = func.dfg.insts[inst].opcode();
    let args = func.dfg.inst_args(inst);
    let known = |at: usize| constant(func, args[at]).map(|constant| constant as i32);
    match op {
        Opcode::Sshr | Opcode::Ushr | Opcode::Band => match (known(1), op) {
            (Some(constant), _) => Some((args[0], constant)),
            (None, Opcode::Band) => Some((args[1], known(0)?)),
            _ => None,
        },
        _ => None,
    }
}

fn sum(func: &Function, block: Block, value: Value, depth: usize) -> Option<Affine> {
    if func.dfg.value_type(value) != types::I32 || depth > MAX_DEPTH {
        return None;
    }
    if let Some(constant) = constant(func, value) {
        return Some(Affine::constant(constant as i32));
    }
    let Some(inst) = made_in(func, block, value) else { return Some(Affine::term(value)) };
    let args = func.dfg.inst_args(inst);
    let part = |at: usize| sum(func, block, args[at], depth + 1);
    match func.dfg.insts[inst].opcode() {
        Opcode::Iadd => part(0)?.plus(&part(1)?, 1),
        Opcode::Isub => part(0)?.plus(&part(1)?, -1),
        Opcode::Ineg => part(0)?.times(-1),
        Opcode::Imul => match (constant(func, args[0]), constant(func, args[1])) {
            (_, Some(factor)) => part(0)?.times(factor as i32),
            (Some(factor), None) => part(1)?.times(factor as i32),
            (None, None) => None,
        },
        Opcode::Ishl => {
            let count = constant(func, args[1])? as u32 % 32;
            part(0)?.times(1_i32.wrapping_shl(count))
        }
        _ if divided(func, inst).is_some() || clamped(func, inst).is_some() => {
            Some(Affine::term(value))
        }
        _ => None,
    }
}
