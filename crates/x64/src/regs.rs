//! Physical registers: regalloc2's names for them, iced's, and which are free to allocate.

use cranelift_codegen::RealReg;
use iced_x86::{OpCodeOperandKind as K, Register};
use regalloc2::{MachineEnv, PReg, PRegSet, RegClass};

/// General-purpose register number `enc`.
pub(crate) const fn gpr(enc: usize) -> PReg {
    PReg::new(enc, RegClass::Int)
}

/// Mask register number `enc`, of the class that is left.
pub(crate) const fn mask(enc: usize) -> PReg {
    PReg::new(enc, RegClass::Vector)
}

/// Vector register number `enc`.
pub(crate) const fn xmm(enc: usize) -> PReg {
    PReg::new(enc, RegClass::Float)
}

pub(crate) const RAX: PReg = gpr(0);
pub(crate) const RCX: PReg = gpr(1);
pub(crate) const RDX: PReg = gpr(2);
pub(crate) const RSP: PReg = gpr(4);
pub(crate) const RBP: PReg = gpr(5);
pub(crate) const RSI: PReg = gpr(6);
pub(crate) const RDI: PReg = gpr(7);
pub(crate) const R8: PReg = gpr(8);
pub(crate) const R9: PReg = gpr(9);
pub(crate) const R10: PReg = gpr(10);
pub(crate) const R11: PReg = gpr(11);

/// Registers that a callee preserves, in the order in which they are saved.
pub(crate) const CALLEE_SAVED: [PReg; 5] = [gpr(3), gpr(12), gpr(13), gpr(14), gpr(15)];

/// Vector registers that AVX names, and that AVX-512 does.
pub(crate) const AVX_VECTORS: usize = 16;
pub(crate) const AVX512_VECTORS: usize = 32;

/// Mask registers; the first one means that there is no mask.
const MASKS: std::ops::Range<usize> = 1..8;

/// Registers that a call destroys.
pub(crate) fn call_clobbers() -> PRegSet {
    let mut set = PRegSet::empty();
    for reg in [RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11] {
        set.add(reg);
    }
    for enc in 0..AVX512_VECTORS {
        set.add(xmm(enc));
    }
    for enc in MASKS {
        set.add(mask(enc));
    }
    set
}

/// What regalloc2 may allocate, with so many vector registers.
pub(crate) fn machine_env(vectors_in_all: usize) -> MachineEnv {
    let set = |regs: &[PReg]| regs.iter().fold(PRegSet::empty(), |set, &reg| set.with(reg));
    let vectors = |range: std::ops::Range<usize>| range.map(xmm).collect::<Vec<_>>();
    // Those that take longer encodings come last.
    let first = vectors_in_all / 2;
    MachineEnv {
        preferred_regs_by_class: [
            set(&[RSI, RDI, RAX, RCX, RDX, R8, R9, R10, R11]),
            set(&vectors(0..first)),
            set(&MASKS.map(mask).collect::<Vec<_>>()),
        ],
        non_preferred_regs_by_class: [
            set(&CALLEE_SAVED),
            set(&vectors(first..vectors_in_all)),
            PRegSet::empty(),
        ],
        fixed_stack_slots: vec![],
        scratch_by_class: [None, None, None],
    }
}

/// Cranelift's name of a register.
pub(crate) fn real(reg: PReg) -> RealReg {
    RealReg::from(reg)
}

/// The 64-bit general-purpose register.
pub(crate) fn gpr64(reg: PReg) -> Register {
    debug_assert_eq!(reg.class(), RegClass::Int);
    Register::RAX + reg.hw_enc() as u32
}

/// The mask register.
pub(crate) fn mask_register(reg: PReg) -> Register {
    debug_assert_eq!(reg.class(), RegClass::Vector);
    Register::K0 + reg.hw_enc() as u32
}

/// The part of `reg` that an operand of kind `kind` names; `None` if there is none.
pub(crate) fn part(reg: PReg, kind: K) -> Option<Register> {
    let enc = reg.hw_enc() as u32;
    let (class, register) = match kind {
        K::r8_or_mem | K::r8_reg | K::r8_opcode | K::cl | K::al => {
            (RegClass::Int, if enc < 4 { Register::AL + enc } else { Register::SPL + (enc - 4) })
        }
        K::r16_or_mem | K::r16_reg | K::r16_rm | K::r16_opcode => {
            (RegClass::Int, Register::AX + enc)
        }
        K::r32_or_mem | K::r32_reg | K::r32_rm | K::r32_opcode | K::r32_vvvv | K::r32_reg_mem => {
            (RegClass::Int, Register::EAX + enc)
        }
        K::r64_or_mem | K::r64_reg | K::r64_rm | K::r64_opcode | K::r64_vvvv | K::r64_reg_mem => {
            (RegClass::Int, Register::RAX + enc)
        }
        K::xmm_or_mem | K::xmm_reg | K::xmm_rm | K::xmm_vvvv | K::xmm_is4 => {
            (RegClass::Float, Register::XMM0 + enc)
        }
        K::ymm_or_mem | K::ymm_reg | K::ymm_rm | K::ymm_vvvv | K::ymm_is4 => {
            (RegClass::Float, Register::YMM0 + enc)
        }
        K::zmm_or_mem | K::zmm_reg | K::zmm_rm | K::zmm_vvvv => {
            (RegClass::Float, Register::ZMM0 + enc)
        }
        K::k_reg | K::k_rm | K::k_vvvv | K::k_or_mem => (RegClass::Vector, Register::K0 + enc),
        _ => return None,
    };
    (reg.class() == class).then_some(register)
}
