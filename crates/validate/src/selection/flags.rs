//! What the flags say.

use super::{Held, Pair, text};
use crate::machine;
use crate::values::Id;
use egraft_ir::{FloatCc, IntCc, Op, Ty};
use egraft_x64::observe::{Cc, Cond};
use iced_x86::{Code, Mnemonic};

/// What the flags say of.
#[derive(Clone, Copy)]
pub(super) enum Flags {
    /// Of `a - b`.
    Difference(Id, Id, u32),
    /// Of a result, without carry or overflow.
    Result(Id, u32),
    /// Of a sum `a + b`, with its result.
    Sum(Id, Id, u32),
    /// Of two floats compared.
    Floats(Id, Id, Ty),
    /// Of `a & b` and `!a & b`, whole vectors.
    Test(Id, Id),
}

impl Pair<'_> {
    /// 1 where `cond` holds of the flags, else 0.
    pub(super) fn condition(&mut self, cond: Cond) -> Held {
        match cond {
            Cond::One(cc) => self.one_condition(cc),
            Cond::Or(one, other) | Cond::And(one, other) => {
                let (one, other) = (self.one_condition(one)?, self.one_condition(other)?);
                let op = if matches!(cond, Cond::Or(..)) { Op::Bor } else { Op::Band };
                machine::op(&mut self.values, op, Ty::I8, &[one, other]).map_err(text)
            }
        }
    }

    pub(super) fn one_condition(&mut self, cc: Cc) -> Held {
        let flags = self.flags.clone()?;
        let v = &mut self.values;
        let int = |cc: Cc| {
            Some(match cc {
                Cc::B => IntCc::Ult,
                Cc::Ae => IntCc::Uge,
                Cc::E => IntCc::Eq,
                Cc::Ne => IntCc::Ne,
                Cc::Be => IntCc::Ule,
                Cc::A => IntCc::Ugt,
                Cc::L => IntCc::Slt,
                Cc::Ge => IntCc::Sge,
                Cc::Le => IntCc::Sle,
                Cc::G => IntCc::Sgt,
                Cc::P | Cc::Np => return None,
            })
        };
        match (flags, cc) {
            (Flags::Difference(a, b, bits), _) => {
                let code = int(cc).ok_or("the parity of a difference")?;
                machine::imm(v, Op::Icmp, machine::int(bits), code as u128, &[a, b]).map_err(text)
            }
            (Flags::Result(id, bits), _) => {
                let zero = v.constant_of(bits, 0);
                let code = int(cc).ok_or("the parity of a result")?;
                machine::imm(v, Op::Icmp, machine::int(bits), code as u128, &[id, zero])
                    .map_err(text)
            }
            (Flags::Sum(a, b, bits), Cc::E | Cc::Ne | Cc::B | Cc::Ae) => {
                let ty = machine::int(bits);
                let sum = machine::op(v, Op::Iadd, ty, &[a, b]).map_err(text)?;
                let zero = v.constant_of(bits, 0);
                let (code, with) = match cc {
                    Cc::E => (IntCc::Eq, zero),
                    Cc::Ne => (IntCc::Ne, zero),
                    Cc::B => (IntCc::Ult, a),
                    _ => (IntCc::Uge, a),
                };
                machine::imm(v, Op::Icmp, ty, code as u128, &[sum, with]).map_err(text)
            }
            (Flags::Floats(a, b, ty), _) => {
                let code = match cc {
                    Cc::A => FloatCc::Gt,
                    Cc::Ae => FloatCc::Ge,
                    Cc::B => FloatCc::Ult,
                    Cc::Be => FloatCc::Ule,
                    Cc::E => FloatCc::Ueq,
                    Cc::Ne => FloatCc::One,
                    Cc::P => FloatCc::Uno,
                    Cc::Np => FloatCc::Ord,
                    _ => return Err("a signed condition of floats".to_owned()),
                };
                machine::imm(v, Op::Fcmp, ty, code as u128, &[a, b]).map_err(text)
            }
            (Flags::Test(a, b), Cc::E | Cc::Ne | Cc::B | Cc::Ae) => {
                let a = match cc {
                    Cc::E | Cc::Ne => a,
                    _ => machine::op(v, Op::Bnot, Ty::I8X16, &[a]).map_err(text)?,
                };
                let both = machine::op(v, Op::Band, Ty::I8X16, &[a, b]).map_err(text)?;
                let any = machine::op(v, Op::VanyTrue, Ty::I8X16, &[both]).map_err(text)?;
                match cc {
                    Cc::Ne | Cc::Ae => Ok(any),
                    _ => self.compare_to_zero(any, IntCc::Eq),
                }
            }
            _ => Err(format!("the condition {cc:?} of such flags")),
        }
    }
}

pub(super) fn sets_flags(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Add
            | M::Sub
            | M::And
            | M::Or
            | M::Xor
            | M::Cmp
            | M::Test
            | M::Neg
            | M::Imul
            | M::Andn
            | M::Shl
            | M::Shr
            | M::Sar
            | M::Rol
            | M::Ror
            | M::Lzcnt
            | M::Tzcnt
            | M::Popcnt
            | M::Sbb
            | M::Vptest
            | M::Vucomiss
            | M::Vucomisd
    )
}

/// The condition of a conditional move or set.
pub(super) fn condition_of(code: Code) -> Option<Cc> {
    use Mnemonic as M;
    Some(match code.mnemonic() {
        M::Setb | M::Cmovb => Cc::B,
        M::Setae | M::Cmovae => Cc::Ae,
        M::Sete | M::Cmove => Cc::E,
        M::Setne | M::Cmovne => Cc::Ne,
        M::Setbe | M::Cmovbe => Cc::Be,
        M::Seta | M::Cmova => Cc::A,
        M::Setp | M::Cmovp => Cc::P,
        M::Setnp | M::Cmovnp => Cc::Np,
        M::Setl | M::Cmovl => Cc::L,
        M::Setge | M::Cmovge => Cc::Ge,
        M::Setle | M::Cmovle => Cc::Le,
        M::Setg | M::Cmovg => Cc::G,
        _ => return None,
    })
}
