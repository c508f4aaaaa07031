//! CLIF functions around one expression, run natively by stock Cranelift and by its interpreter.

use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::data_value::DataValue;
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{
    AbiParam, Function, Immediate, InstBuilder, MemFlagsData, Opcode, Signature, Type,
    UserFuncName, Value, types,
};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa, TargetFrontendConfig};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{Context, verify_function};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_interpreter::environment::FunctionStore;
use cranelift_interpreter::interpreter::{Interpreter, InterpreterState};
use cranelift_interpreter::step::ControlFlow;
use egraft_ir::clif::{to_float_cc, to_int_cc, to_opcode, to_type};
use egraft_ir::{FloatCc, ImmKind, IntCc, Node, Op, Ty};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// Operands of one evaluation, as native code reads them.
pub(crate) type Operands = [u128; 3];

/// An expression of up to three operands, as CLIF.
pub(crate) struct Expression<'a> {
    /// Operand types.
    pub(crate) params: &'a [Ty],
    /// Result type.
    pub(crate) result: Ty,
    /// Emits it.
    pub(crate) emit: &'a dyn Fn(&mut FunctionBuilder, &[Value]) -> Value,
}

/// Emits `node` with the given operands.
pub(crate) fn emit(builder: &mut FunctionBuilder, node: &Node, args: &[Value]) -> Value {
    let opcode = to_opcode(node.op).expect("leaves are not emitted");
    let ctrl =
        if opcode.constraints().is_polymorphic() { to_type(node.ty) } else { types::INVALID };
    let mask = node.imm.to_le_bytes();
    let imm: Option<Immediate> =
        (node.op == Op::Shuffle).then(|| builder.func.dfg.immediates.push(mask.as_slice().into()));
    let ins = builder.ins();
    let (inst, dfg) = match (node.op.imm_kind(), args) {
        _ if node.op == Op::Bitcast => {
            return ins.bitcast(ctrl, MemFlagsData::new(), args[0]);
        }
        (ImmKind::Lane, [x]) => ins.BinaryImm8(opcode, ctrl, node.imm as u8, *x),
        (ImmKind::Lane, [x, y]) => ins.TernaryImm8(opcode, ctrl, node.imm as u8, *x, *y),
        (ImmKind::Mask, [x, y]) => ins.Shuffle(opcode, ctrl, imm.expect("made above"), *x, *y),
        (ImmKind::IntCc, [x, y]) => {
            let code = IntCc::from_imm(node.imm).expect("nodes have valid codes");
            ins.IntCompare(opcode, ctrl, to_int_cc(code), *x, *y)
        }
        (ImmKind::FloatCc, [x, y]) => {
            let code = FloatCc::from_imm(node.imm).expect("nodes have valid codes");
            ins.FloatCompare(opcode, ctrl, to_float_cc(code), *x, *y)
        }
        (_, [x]) => ins.Unary(opcode, ctrl, *x),
        (_, [x, y]) => ins.Binary(opcode, ctrl, *x, *y),
        (_, [x, y, z]) => ins.Ternary(opcode, ctrl, *x, *y, *z),
        _ => unreachable!("ops have one to three operands"),
    };
    dfg.first_result(inst)
}

/// The stock compiler for this machine, or why there is none.
pub(crate) fn host() -> Result<OwnedTargetIsa, String> {
    let mut flags = settings::builder();
    flags.set("opt_level", "speed").map_err(|error| error.to_string())?;
    let builder = cranelift_native::builder()?;
    builder.finish(settings::Flags::new(flags)).map_err(|error| error.to_string())
}

/// Native code that evaluates an expression over an array.
pub(crate) struct Native {
    code: memmap2::Mmap,
}

impl Native {
    /// Compiles `expression`.
    ///
    /// # Errors
    /// Why stock Cranelift has no code for it on this machine.
    pub(crate) fn new(isa: &OwnedTargetIsa, expression: &Expression) -> Result<Native, String> {
        let function = over_arrays(isa.default_call_conv(), expression);
        if let Err(errors) = verify_function(&function, &**isa) {
            panic!("the vocabulary allows what CLIF does not: {errors}\n{}", function.display());
        }
        let mut context = Context::for_function(function);
        let (code, relocs) = quietly(|| {
            let compiled = context
                .compile(&**isa, &mut ControlPlane::default())
                .map_err(|error| without_values(&error.inner.to_string()))?;
            Ok((compiled.code_buffer().to_vec(), compiled.buffer.relocs().len()))
        })?;
        if relocs != 0 {
            return Err("calls a library".to_owned());
        }
        let mut memory =
            memmap2::MmapMut::map_anon(code.len()).map_err(|error| error.to_string())?;
        memory[..code.len()].copy_from_slice(&code);
        Ok(Native { code: memory.make_exec().map_err(|error| error.to_string())? })
    }

    /// The results for all `operands`, zero-extended.
    pub(crate) fn run(&self, operands: &[Operands], results: &mut [u128]) {
        assert!(!operands.is_empty() && operands.len() == results.len());
        results.fill(0);
        type Code = unsafe extern "C" fn(*const Operands, *mut u128, *const Operands);
        let range = operands.as_ptr_range();
        // SAFETY: the mapping holds a whole function of this signature in the host's calling
        // convention without relocations; it reads `operands` up to the end of the range and
        // writes one result for each.
        unsafe {
            let code: Code = std::mem::transmute(self.code.as_ptr());
            code(range.start, results.as_mut_ptr(), range.end);
        }
    }
}

/// `fn(operands, results, end of operands)`: a loop that evaluates the expression at least once.
fn over_arrays(conv: CallConv, expression: &Expression) -> Function {
    let mut signature = Signature::new(conv);
    signature.params.extend([AbiParam::new(types::I64); 3]);
    function(signature, |builder, params| {
        let (input, output, end) = (params[0], params[1], params[2]);
        let (body, exit) = (builder.create_block(), builder.create_block());
        let input_at = builder.append_block_param(body, types::I64);
        let output_at = builder.append_block_param(body, types::I64);
        builder.ins().jump(body, &[input.into(), output.into()]);
        builder.switch_to_block(body);
        let flags = MemFlagsData::trusted();
        let mut args = Vec::new();
        for (index, ty) in expression.params.iter().enumerate() {
            args.push(builder.ins().load(to_type(*ty), flags, input_at, 16 * index as i32));
        }
        let result = (expression.emit)(builder, &args);
        builder.ins().store(flags, result, output_at, 0);
        let next_input = builder.ins().iadd_imm_s(input_at, 48);
        let next_output = builder.ins().iadd_imm_s(output_at, 16);
        let more =
            builder.ins().icmp(cranelift_codegen::ir::condcodes::IntCC::NotEqual, next_input, end);
        builder.ins().brif(more, body, &[next_input.into(), next_output.into()], exit, &[]);
        builder.switch_to_block(exit);
        builder.ins().return_(&[]);
    })
}

/// What the frontend wants to know of a target; no function here has pointers of another width.
const FRONTEND: TargetFrontendConfig = TargetFrontendConfig {
    default_call_conv: CallConv::Fast,
    pointer_width: target_lexicon::PointerWidth::U64,
    page_size_align_log2: 12,
};

fn function(signature: Signature, fill: impl FnOnce(&mut FunctionBuilder, &[Value])) -> Function {
    let mut function = Function::with_name_signature(UserFuncName::user(0, 0), signature);
    let mut context = FunctionBuilderContext::new();
    let mut builder = FunctionBuilder::new(&mut function, &mut context);
    let entry = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    builder.switch_to_block(entry);
    let params = builder.block_params(entry).to_vec();
    fill(&mut builder, &params);
    builder.seal_all_blocks();
    builder.finalize(FRONTEND);
    function
}

/// Results by Cranelift's interpreter.
///
/// # Errors
/// Why the interpreter cannot: what it panics or fails with.
pub(crate) fn interpret(
    expression: &Expression,
    operands: &[Operands],
) -> Result<Vec<u128>, String> {
    let mut signature = Signature::new(CallConv::Fast);
    let types: Vec<Type> = expression.params.iter().map(|ty| to_type(*ty)).collect();
    signature.params.extend(types.into_iter().map(AbiParam::new));
    signature.returns.push(AbiParam::new(to_type(expression.result)));
    let function = function(signature, |builder, params| {
        let result = (expression.emit)(builder, params);
        builder.ins().return_(&[result]);
    });
    let run = || {
        let mut store = FunctionStore::default();
        store.add("expression".to_owned(), &function);
        let state = InterpreterState::default().with_function_store(store);
        let mut interpreter = Interpreter::new(state);
        let one = |operands: &Operands| {
            let args: Vec<DataValue> = expression
                .params
                .iter()
                .zip(operands)
                .map(|(ty, bits)| data_value(*ty, *bits))
                .collect();
            match interpreter.call_by_name("expression", &args) {
                Ok(ControlFlow::Return(results)) => bits_of(&results[0]),
                Ok(other) => Err(format!("ends with {other:?}")),
                Err(error) => Err(error.to_string()),
            }
        };
        operands.iter().map(one).collect()
    };
    quietly(run)
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs what may panic where it lacks an op, and makes that its error instead of news.
fn quietly<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                hook(info);
            }
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    QUIET.set(false);
    result.unwrap_or_else(|panic| Err(format!("panics: {}", panic_text(&*panic))))
}

/// An error of Cranelift's without the instruction it names, so that equal reasons are equal.
fn without_values(error: &str) -> String {
    error.split(": inst =").next().unwrap_or(error).to_owned()
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("something");
    text.lines().next().unwrap_or(text)
}

fn data_value(ty: Ty, bits: u128) -> DataValue {
    match ty {
        Ty::I8 => DataValue::I8(bits as i8),
        Ty::I16 => DataValue::I16(bits as i16),
        Ty::I32 => DataValue::I32(bits as i32),
        Ty::I64 => DataValue::I64(bits as i64),
        Ty::I128 => DataValue::I128(bits as i128),
        Ty::F32 => DataValue::F32(Ieee32::with_bits(bits as u32)),
        Ty::F64 => DataValue::F64(Ieee64::with_bits(bits as u64)),
        _ => DataValue::V128(bits.to_le_bytes()),
    }
}

fn bits_of(value: &DataValue) -> Result<u128, String> {
    Ok(match value {
        DataValue::I8(bits) => u128::from(*bits as u8),
        DataValue::I16(bits) => u128::from(*bits as u16),
        DataValue::I32(bits) => u128::from(*bits as u32),
        DataValue::I64(bits) => u128::from(*bits as u64),
        DataValue::F32(float) => u128::from(float.bits()),
        DataValue::F64(float) => u128::from(float.bits()),
        DataValue::V128(bytes) => u128::from_le_bytes(*bytes),
        other => return Err(format!("gives {other:?}, which has no type of ours")),
    })
}

/// Whether Cranelift itself has the op for x86 only.
pub(crate) fn is_x86_only(op: Op) -> bool {
    matches!(
        to_opcode(op),
        Some(
            Opcode::Blendv
                | Opcode::X86Pmaddubsw
                | Opcode::X86Pmulhrsw
                | Opcode::X86Pshufb
                | Opcode::X86Cvtt2dq
        )
    )
}
