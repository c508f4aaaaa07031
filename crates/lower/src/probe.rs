//! Prices a shape by lowering it: builds a function that computes it from parameters, compiles it
//! with the stock backend under the user's flags, and adds up the instructions that come out.
//!
//! Knows no target. Invariant: the probe function computes exactly the shape.

use crate::cost::Costs;
use crate::price::{Cost, price};
use crate::shape::{Context, Item, Shape};
use cranelift_codegen::Context as Compiler;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    self, AbiParam, Function, InstBuilder, InstructionData, MemFlagsData, Signature, TrapCode,
    Type, UserFuncName, Value, types,
};
use cranelift_codegen::isa::TargetIsa;
use egraft_ir::clif::to_type;
use egraft_ir::{Node, Op, Ty};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Parameters beyond this many would be passed on the stack and be priced as loads.
const MAX_PARAMS: usize = 6;

/// The cost of `shape` on `isa` in 1/16 cycle, or `None` where the target cannot lower it.
///
/// `compiler` is used again and again: its register allocator keeps its buffers.
pub(crate) fn probe(
    isa: &dyn TargetIsa,
    shape: &Shape,
    compiler: &mut Compiler,
    costs: Costs,
) -> Option<Cost> {
    if shape.items.iter().any(|item| !is_lowerable(item)) {
        return None;
    }
    compiler.clear();
    compiler.set_disasm(true);
    compiler.func = build(isa, shape)?;
    // Some backends panic on what wasm never asks of them: such a shape has no price either.
    let compiled = catch_unwind(AssertUnwindSafe(|| {
        let code = compiler.compile_stencil(isa, &mut ControlPlane::default()).ok()?;
        // A call of a library function is nothing that Wasmtime would link.
        code.vcode.clone().filter(|_| code.buffer.relocs().is_empty())
    }));
    if compiled.is_err() {
        *compiler = Compiler::new();
    }
    let arch = isa.triple().architecture;
    let text = compiled.ok()??;
    let cost = |line| match price(arch, line) {
        0 => 0,
        usual => (costs.of)(line).unwrap_or(usual),
    };
    Some(text.lines().map(cost).sum())
}

/// Whether backends may be asked at all: wasm has no form of these, and x64 panics on them.
fn is_lowerable(item: &Item) -> bool {
    !matches!(item, Item::Op { op: Op::ScalarToVector, ty: Ty::I8X16 | Ty::I16X8, .. })
}

fn build(isa: &dyn TargetIsa, shape: &Shape) -> Option<Function> {
    let mut signature = Signature::new(isa.default_call_conv());
    let params = params(shape)?;
    signature.params.extend(params.iter().map(|ty| AbiParam::new(to_type(*ty))));
    let result = match shape.context {
        Context::Value => result_type(shape)?,
        Context::Address => types::I32,
        Context::Branch => types::I32,
    };
    signature.returns.push(AbiParam::new(result));
    let mut func = Function::with_name_signature(UserFuncName::default(), signature);
    let block = func.dfg.make_block();
    func.layout.append_block(block);
    let values: Vec<Value> =
        params.iter().map(|ty| func.dfg.append_block_param(block, to_type(*ty))).collect();
    let mut items = shape.items.iter().copied();
    let mut cursor = FuncCursor::new(&mut func).at_bottom(block);
    let root = emit_items(&mut cursor, &mut items, &values)?;
    match shape.context {
        Context::Value => {
            cursor.ins().return_(&[root]);
        }
        Context::Address => {
            let flags = MemFlagsData::new().with_trap_code(Some(TrapCode::HEAP_OUT_OF_BOUNDS));
            let loaded = cursor.ins().load(types::I32, flags, root, 0);
            cursor.ins().return_(&[loaded]);
        }
        Context::Branch => {
            let (yes, no) = (cursor.func.dfg.make_block(), cursor.func.dfg.make_block());
            cursor.ins().brif(root, yes, &[], no, &[]);
            for (target, number) in [(yes, 3), (no, 5)] {
                cursor.insert_block(target);
                let value = cursor.ins().iconst(types::I32, number);
                cursor.ins().return_(&[value]);
            }
        }
    }
    Some(func)
}

/// The parameter types of a shape by register number.
fn params(shape: &Shape) -> Option<Vec<Ty>> {
    let mut params = Vec::new();
    for item in &shape.items {
        if let Item::Reg(ty, number) = item
            && usize::from(*number) == params.len()
        {
            params.push(*ty);
        }
    }
    (params.len() <= MAX_PARAMS).then_some(params)
}

fn result_type(shape: &Shape) -> Option<Type> {
    Some(to_type(match *shape.items.first()? {
        Item::Reg(ty, _) | Item::Const(ty, _) => ty,
        Item::Op { op, ty, .. } => op.result_type(ty)?,
    }))
}

fn emit_items(
    cursor: &mut FuncCursor<'_>,
    items: &mut impl Iterator<Item = Item>,
    values: &[Value],
) -> Option<Value> {
    match items.next()? {
        Item::Reg(_, number) => values.get(usize::from(number)).copied(),
        Item::Const(ty, bits) => Some(emit_const(cursor, ty, bits)),
        Item::Op { op, ty, from, imm } => {
            let mut args = [Value::from_u32(0); 3];
            for slot in &mut args[..op.arity()] {
                *slot = emit_items(cursor, items, values)?;
            }
            let node = Node { op, ty, from, imm, args: [egraft_ir::ClassId::NONE; 3] };
            emit_op(cursor, &node, &args[..op.arity()])
        }
    }
}

/// Emits a constant of CLIF type `ty`.
pub fn emit_const(cursor: &mut FuncCursor<'_>, ty: Ty, bits: u128) -> Value {
    match ty {
        Ty::F32 => cursor.ins().f32const(ir::immediates::Ieee32::with_bits(bits as u32)),
        Ty::F64 => cursor.ins().f64const(ir::immediates::Ieee64::with_bits(bits as u64)),
        _ if ty.is_vector() => {
            let data = ir::ConstantData::from(&bits.to_le_bytes()[..]);
            let handle = cursor.func.dfg.constants.insert(data);
            cursor.ins().vconst(to_type(ty), handle)
        }
        _ => {
            // `iconst` wants its immediate sign-extended from the type's width.
            let shift = 64 - ty.bits();
            cursor.ins().iconst(to_type(ty), ((bits as u64) << shift) as i64 >> shift)
        }
    }
}

/// The type to write an op in. Backends look for minima and maxima of floats under a `bitselect` of
/// their lane type, so that one keeps the type of the values it selects.
fn emitted_type(func: &Function, node: &Node, args: &[Value]) -> Ty {
    use egraft_ir::clif::from_type;
    match (node.op, args) {
        (Op::Bitselect, [_, yes, no]) if node.ty.is_vector() => {
            let [yes, no] = [yes, no].map(|value| from_type(func.dfg.value_type(*value)));
            yes.filter(|ty| ty.is_vector() && Some(*ty) == no).unwrap_or(node.ty)
        }
        _ => node.ty,
    }
}

/// Emits a vocabulary op; vector operands of another lane type are bitcast first.
pub fn emit_op(cursor: &mut FuncCursor<'_>, node: &Node, args: &[Value]) -> Option<Value> {
    use egraft_ir::clif::{to_float_cc, to_int_cc, to_opcode};
    use egraft_ir::{FloatCc, IntCc};
    let mut typed = [Value::from_u32(0); 3];
    let ty = emitted_type(cursor.func, node, args);
    for (at, (slot, arg)) in typed.iter_mut().zip(args).enumerate() {
        *slot = match node.op.operand_type(ty, node.from, at) {
            Some(ty) => retype(cursor, *arg, to_type(ty)),
            None => *arg,
        };
    }
    let args = &typed[..args.len()];
    let opcode = to_opcode(node.op)?;
    let imm8 = u8::try_from(node.imm).unwrap_or(0);
    let data = match (node.op, args) {
        (Op::Icmp, &[x, y]) => InstructionData::IntCompare {
            opcode,
            cond: to_int_cc(IntCc::from_imm(node.imm)?),
            args: [x, y],
        },
        (Op::Fcmp, &[x, y]) => InstructionData::FloatCompare {
            opcode,
            cond: to_float_cc(FloatCc::from_imm(node.imm)?),
            args: [x, y],
        },
        (Op::Extractlane, &[x]) => InstructionData::BinaryImm8 { opcode, arg: x, imm: imm8 },
        (Op::Insertlane, &[x, y]) => {
            InstructionData::TernaryImm8 { opcode, args: [x, y], imm: imm8 }
        }
        (Op::Shuffle, &[x, y]) => {
            let mask = ir::ConstantData::from(&node.imm.to_le_bytes()[..]);
            let imm = cursor.func.dfg.immediates.push(mask);
            InstructionData::Shuffle { opcode, args: [x, y], imm }
        }
        (Op::Bitcast, &[x]) => {
            return Some(cursor.ins().bitcast(to_type(node.ty), MemFlagsData::new(), x));
        }
        (_, &[x]) => InstructionData::Unary { opcode, arg: x },
        (_, &[x, y]) => InstructionData::Binary { opcode, args: [x, y] },
        (_, &[x, y, z]) => InstructionData::Ternary { opcode, args: [x, y, z] },
        _ => return None,
    };
    let control = match node.op.type_rule() {
        egraft_ir::TypeRule::Gather => to_type(node.ty),
        egraft_ir::TypeRule::Select => cursor.func.dfg.value_type(args[1]),
        _ => to_type(ty),
    };
    let inst = cursor.func.dfg.make_inst(data);
    cursor.func.dfg.make_inst_results(inst, control);
    Some(insert(cursor, inst))
}

/// Inserts `inst` with the cursor's source location and gives its result. A load that a backend
/// folds into an instruction traps at that instruction's location.
pub(crate) fn insert(cursor: &mut FuncCursor<'_>, inst: ir::Inst) -> Value {
    cursor.insert_inst(inst);
    let location = cursor.srcloc();
    cursor.func.set_srcloc(inst, location);
    cursor.func.dfg.first_result(inst)
}

/// `value` as `ty`; both are vectors or already of one type.
pub fn retype(cursor: &mut FuncCursor<'_>, value: Value, ty: Type) -> Value {
    if cursor.func.dfg.value_type(value) == ty {
        return value;
    }
    let little = MemFlagsData::new().with_endianness(ir::Endianness::Little);
    cursor.ins().bitcast(ty, little, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cranelift_codegen::isa::lookup_by_name;
    use cranelift_codegen::settings::{self, Configurable as _};

    #[test]
    fn what_needs_a_library_call_has_no_price() {
        let price = |ssse3: bool| {
            let mut builder = lookup_by_name("x86_64").expect("the target is built in");
            if ssse3 {
                builder.enable("has_ssse3").expect("a known flag");
            }
            let flags = settings::Flags::new(settings::builder());
            let isa = builder.finish(flags).expect("flags fit");
            let swizzle = Item::Op { op: Op::Swizzle, ty: Ty::I8X16, from: Ty::I8X16, imm: 0 };
            let items = vec![swizzle, Item::Reg(Ty::I8X16, 0), Item::Reg(Ty::I8X16, 1)];
            let shape = Shape { context: Context::Value, items };
            probe(&*isa, &shape, &mut Compiler::new(), Costs::default())
        };
        assert_eq!(price(false), None);
        assert!(price(true).is_some());
    }
}
