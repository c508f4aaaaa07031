//! What else a CLIF instruction does beside computing its results.
//!
//! Decides by opcode alone: memory flags (a load that cannot trap, a read-only load), signatures and
//! the values of operands can only make an instruction tamer, and are for the caller to look at.
//! Invariant: the table names every opcode, so that a new one does not compile until it is
//! judged.

use cranelift_codegen::ir::Opcode;

/// What an instruction does beside computing its results.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Effect {
    /// Nothing: it may be moved, shared, copied and dropped.
    Pure,
    /// Reads memory, and traps where the address may not be read.
    Load,
    /// Writes memory, and traps where the address may not be written.
    Store,
    /// Traps for some operands, else does nothing. May be shared with an equal one that dominates
    /// it, never moved up past a branch.
    MayTrap,
    /// Always traps; ends its block.
    Trap,
    /// Goes to another block of the function; ends its block.
    Branch,
    /// Leaves the function, tail calls included; ends its block.
    Return,
    /// Runs other code, which may do anything; the `try` forms end their block.
    Call,
    /// Touches memory in an order that other threads see.
    Atomic,
    /// Reads or writes the pinned register.
    Register,
    /// Does nothing that can be named, but stays where it is, and so does everything else.
    Barrier,
    /// Pure, but means something only where it stands; not to be moved, shared or dropped.
    Place,
}

impl Effect {
    /// Whether the instruction may be an e-node: moved, shared, copied and dropped.
    pub const fn is_pure(self) -> bool {
        matches!(self, Effect::Pure)
    }

    /// Whether memory may be another after it.
    pub const fn may_write(self) -> bool {
        matches!(self, Effect::Store | Effect::Call | Effect::Atomic | Effect::Barrier)
    }

    /// Whether it may read memory.
    pub const fn may_read(self) -> bool {
        matches!(self, Effect::Load | Effect::Call | Effect::Atomic | Effect::Barrier)
    }

    /// Whether control may not come to the next instruction, traps at bad addresses included.
    pub const fn may_leave(self) -> bool {
        !matches!(self, Effect::Pure | Effect::Register | Effect::Place)
    }
}

/// The effect of every instruction with this opcode.
pub fn effect_of(opcode: Opcode) -> Effect {
    match opcode {
        Opcode::Load
        | Opcode::Uload8
        | Opcode::Sload8
        | Opcode::Uload16
        | Opcode::Sload16
        | Opcode::Uload32
        | Opcode::Sload32
        | Opcode::Uload8x8
        | Opcode::Sload8x8
        | Opcode::Uload16x4
        | Opcode::Sload16x4
        | Opcode::Uload32x2
        | Opcode::Sload32x2 => Effect::Load,
        Opcode::Store | Opcode::Istore8 | Opcode::Istore16 | Opcode::Istore32 => Effect::Store,
        Opcode::Trapz
        | Opcode::Trapnz
        | Opcode::Udiv
        | Opcode::Sdiv
        | Opcode::Urem
        | Opcode::Srem
        | Opcode::UaddOverflowTrap
        | Opcode::FcvtToUint
        | Opcode::FcvtToSint => Effect::MayTrap,
        Opcode::Trap => Effect::Trap,
        Opcode::Jump | Opcode::Brif | Opcode::BrTable => Effect::Branch,
        Opcode::Return | Opcode::ReturnCall | Opcode::ReturnCallIndirect => Effect::Return,
        Opcode::Call
        | Opcode::CallIndirect
        | Opcode::TryCall
        | Opcode::TryCallIndirect
        | Opcode::StackSwitch => Effect::Call,
        Opcode::AtomicRmw
        | Opcode::AtomicCas
        | Opcode::AtomicLoad
        | Opcode::AtomicStore
        | Opcode::Fence => Effect::Atomic,
        Opcode::GetPinnedReg | Opcode::SetPinnedReg => Effect::Register,
        Opcode::Debugtrap | Opcode::SequencePoint => Effect::Barrier,
        Opcode::GetExceptionHandlerAddress | Opcode::Nop => Effect::Place,
        Opcode::FuncAddr
        | Opcode::Splat
        | Opcode::Swizzle
        | Opcode::X86Pshufb
        | Opcode::Insertlane
        | Opcode::Extractlane
        | Opcode::Smin
        | Opcode::Umin
        | Opcode::Smax
        | Opcode::Umax
        | Opcode::AvgRound
        | Opcode::UaddSat
        | Opcode::SaddSat
        | Opcode::UsubSat
        | Opcode::SsubSat
        | Opcode::StackAddr
        | Opcode::DynamicStackAddr
        | Opcode::SymbolValue
        | Opcode::TlsValue
        | Opcode::GetFramePointer
        | Opcode::GetStackPointer
        | Opcode::GetReturnAddress
        | Opcode::Iconst
        | Opcode::F16const
        | Opcode::F32const
        | Opcode::F64const
        | Opcode::F128const
        | Opcode::Vconst
        | Opcode::Shuffle
        | Opcode::Select
        | Opcode::SelectSpectreGuard
        | Opcode::Bitselect
        | Opcode::Blendv
        | Opcode::VanyTrue
        | Opcode::VallTrue
        | Opcode::VhighBits
        | Opcode::Icmp
        | Opcode::Iadd
        | Opcode::Isub
        | Opcode::Ineg
        | Opcode::Iabs
        | Opcode::Imul
        | Opcode::Umulhi
        | Opcode::Smulhi
        | Opcode::SqmulRoundSat
        | Opcode::X86Pmulhrsw
        | Opcode::SaddOverflowCin
        | Opcode::UaddOverflowCin
        | Opcode::UaddOverflow
        | Opcode::SaddOverflow
        | Opcode::UsubOverflow
        | Opcode::SsubOverflow
        | Opcode::UmulOverflow
        | Opcode::SmulOverflow
        | Opcode::SsubOverflowBin
        | Opcode::UsubOverflowBin
        | Opcode::Band
        | Opcode::Bor
        | Opcode::Bxor
        | Opcode::Bnot
        | Opcode::Rotl
        | Opcode::Rotr
        | Opcode::Ishl
        | Opcode::Ushr
        | Opcode::Sshr
        | Opcode::Bitrev
        | Opcode::Clz
        | Opcode::Cls
        | Opcode::Ctz
        | Opcode::Bswap
        | Opcode::Popcnt
        | Opcode::Fcmp
        | Opcode::Fadd
        | Opcode::Fsub
        | Opcode::Fmul
        | Opcode::Fdiv
        | Opcode::Sqrt
        | Opcode::Fma
        | Opcode::Fneg
        | Opcode::Fabs
        | Opcode::Fcopysign
        | Opcode::Fmin
        | Opcode::Fmax
        | Opcode::Ceil
        | Opcode::Floor
        | Opcode::Trunc
        | Opcode::Nearest
        | Opcode::Bitcast
        | Opcode::ScalarToVector
        | Opcode::Bmask
        | Opcode::Ireduce
        | Opcode::Snarrow
        | Opcode::Unarrow
        | Opcode::Uunarrow
        | Opcode::SwidenLow
        | Opcode::SwidenHigh
        | Opcode::UwidenLow
        | Opcode::UwidenHigh
        | Opcode::IaddPairwise
        | Opcode::X86Pmaddubsw
        | Opcode::Uextend
        | Opcode::Sextend
        | Opcode::Fpromote
        | Opcode::Fdemote
        | Opcode::Fvdemote
        | Opcode::FvpromoteLow
        | Opcode::FcvtToUintSat
        | Opcode::FcvtToSintSat
        | Opcode::X86Cvtt2dq
        | Opcode::FcvtFromUint
        | Opcode::FcvtFromSint
        | Opcode::Isplit
        | Opcode::Iconcat
        | Opcode::ExtractVector => Effect::Pure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::clif::from_opcode;

    #[test]
    fn the_table_agrees_with_cranelifts_predicates() {
        let mut counted = 0;
        for &opcode in Opcode::all() {
            let effect = effect_of(opcode);
            let quiet = !(opcode.is_terminator()
                || opcode.is_call()
                || opcode.is_branch()
                || opcode.is_return()
                || opcode.can_load()
                || opcode.can_store()
                || opcode.can_trap()
                || opcode.other_side_effects());
            assert_eq!(quiet, matches!(effect, Effect::Pure | Effect::Place), "{opcode}");
            let leaves = opcode.is_terminator() && !opcode.is_return() && !opcode.is_call();
            match effect {
                Effect::Pure | Effect::Place => {}
                Effect::Load => assert!(opcode.can_load() && !opcode.can_store(), "{opcode}"),
                Effect::Store => assert!(opcode.can_store() && !opcode.can_load(), "{opcode}"),
                Effect::MayTrap => {
                    assert!(opcode.can_trap() && opcode.side_effects_idempotent(), "{opcode}");
                }
                Effect::Trap => assert!(leaves && opcode.can_trap(), "{opcode}"),
                Effect::Branch => assert!(leaves && opcode.is_branch(), "{opcode}"),
                Effect::Return => assert!(opcode.is_return(), "{opcode}"),
                Effect::Call => assert!(opcode.is_call() && !opcode.is_return(), "{opcode}"),
                Effect::Atomic | Effect::Register | Effect::Barrier => {
                    assert!(opcode.other_side_effects() && !opcode.is_call(), "{opcode}");
                }
            }
            assert!(!opcode.can_store() || effect.may_write(), "{opcode}");
            assert!(!opcode.can_load() || effect.may_read(), "{opcode}");
            assert!(!opcode.can_trap() || effect.may_leave(), "{opcode}");
            assert_eq!(
                opcode.can_trap() && !opcode.is_terminator(),
                effect == Effect::MayTrap,
                "{opcode}"
            );
            counted += 1;
        }
        assert!(counted > 150, "only {counted} opcodes were looked at");
    }

    /// Divisions enter the e-graph only with a divisor that cannot trap.
    #[test]
    fn the_vocabulary_is_pure_but_for_divisions() {
        for &opcode in Opcode::all() {
            let Some(op) = from_opcode(opcode) else { continue };
            let division = matches!(op, Op::Udiv | Op::Sdiv | Op::Urem | Op::Srem);
            let expected = if division { Effect::MayTrap } else { Effect::Pure };
            assert_eq!(effect_of(opcode), expected, "{opcode}");
        }
    }
}
