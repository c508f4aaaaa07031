//! Where arguments and results of a signature lie.
//!
//! Follows Cranelift's x64 ABI for the conventions `tail`, `fast` and `system_v`, so that functions
//! of both compilers call each other.

use crate::error::Unsupported;
use crate::regs::{R8, R9, R10, RAX, RCX, RDI, RDX, RSI, xmm};
use cranelift_codegen::ir::{AbiParam, ArgumentExtension, ArgumentPurpose, Signature, Type, types};
use cranelift_codegen::isa::CallConv;
use regalloc2::{PReg, RegClass};

/// Where one argument or result lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a register.
    Reg(PReg),
    /// On the stack, at this offset of the argument or result area.
    Stack(i32),
}

/// An argument or result.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// Its type.
    pub ty: Type,
    /// Where it lies.
    pub place: Place,
    /// What the upper bits of its register or slot are.
    pub extension: ArgumentExtension,
}

/// A signature in terms of registers and stack.
#[derive(Debug, Clone)]
pub(crate) struct Abi {
    pub(crate) args: Vec<Slot>,
    pub(crate) rets: Vec<Slot>,
    /// Bytes of stack arguments, a multiple of 16.
    pub(crate) arg_bytes: u32,
    /// Bytes of stack results, a multiple of 16.
    pub(crate) ret_bytes: u32,
    /// Where the pointer to the stack results is passed, if there are any.
    pub(crate) ret_area: Option<Place>,
    /// Whether the callee pops its stack arguments.
    pub(crate) callee_pops: bool,
}

/// Bytes of stack arguments beyond which a function is left to stock code: `ret n` takes 16 bits.
const STACK_LIMIT: u32 = 1 << 15;

/// The register class of values of `ty`.
pub(crate) fn class(ty: Type) -> Option<RegClass> {
    match ty {
        types::I8 | types::I16 | types::I32 | types::I64 => Some(RegClass::Int),
        types::F32 | types::F64 => Some(RegClass::Float),
        _ if ty.is_vector() && ty.bits() == 128 && ty.lane_bits() >= 8 => Some(RegClass::Float),
        _ => None,
    }
}

impl Abi {
    /// Lays out `signature`.
    ///
    /// # Errors
    /// [`Unsupported`] for a calling convention, type or purpose that is not covered.
    pub(crate) fn new(signature: &Signature) -> Result<Abi, Unsupported> {
        let place = || format!("signature {signature}");
        let conv = signature.call_conv;
        if !matches!(conv, CallConv::Tail | CallConv::Fast | CallConv::SystemV) {
            return Err(Unsupported::new(place(), format!("calling convention {conv}")));
        }
        let int_rets: &[PReg] = match conv {
            CallConv::Tail => &[RAX, RCX, RDX, RSI, RDI, R8, R9, R10],
            _ => &[RAX, RDX],
        };
        let vector_rets = if conv == CallConv::Tail { 8 } else { 2 };
        let (rets, ret_bytes) = assign(&signature.returns, int_rets, vector_rets, 0)
            .map_err(|what| Unsupported::new(place(), what))?;
        let int_args = [RDI, RSI, RDX, RCX, R8, R9];
        let ret_area = (ret_bytes > 0).then_some(Place::Reg(int_args[0]));
        let (args, arg_bytes) =
            assign(&signature.params, &int_args, 8, usize::from(ret_area.is_some()))
                .map_err(|what| Unsupported::new(place(), what))?;
        if arg_bytes > STACK_LIMIT || ret_bytes > STACK_LIMIT {
            return Err(Unsupported::new(place(), "so large an area of stack arguments"));
        }
        let callee_pops = conv == CallConv::Tail;
        Ok(Abi { args, rets, arg_bytes, ret_bytes, ret_area, callee_pops })
    }
}

/// Assigns registers, then stack; returns the slots and the bytes of stack.
fn assign(
    params: &[AbiParam],
    int_regs: &[PReg],
    vector_regs: usize,
    ints_taken: usize,
) -> Result<(Vec<Slot>, u32), String> {
    let (mut ints, mut vectors, mut stack) = (ints_taken, 0, 0u32);
    let mut slots = Vec::with_capacity(params.len());
    for param in params {
        if !matches!(param.purpose, ArgumentPurpose::Normal | ArgumentPurpose::VMContext) {
            return Err(format!("a parameter for {}", param.purpose));
        }
        let ty = param.value_type;
        let class = class(ty).ok_or_else(|| format!("type {ty}"))?;
        let reg = match class {
            RegClass::Int => int_regs.get(ints).copied().inspect(|_| ints += 1),
            _ => (vectors < vector_regs).then(|| xmm(vectors)).inspect(|_| vectors += 1),
        };
        let place = match reg {
            Some(reg) => Place::Reg(reg),
            None => {
                let size = ty.bytes().max(8);
                stack = stack.next_multiple_of(size) + size;
                Place::Stack((stack - size) as i32)
            }
        };
        slots.push(Slot { ty, place, extension: param.extension });
        if stack > STACK_LIMIT {
            break;
        }
    }
    Ok((slots, stack.next_multiple_of(16)))
}
