//! `fmin` and `fmax`, with the NaN bits that stock Cranelift gives: quiet, without payload; negative
//! for a vector minimum, with either operand's sign for a vector maximum.
//!
//! The machine's minimum gives the second operand for zeros of both signs and for NaNs. So it is taken
//! both ways, or one way if a constant says which, and NaNs are put in afterwards: not at all where
//! only minima and maxima read the result, which do so themselves, nor where only the number counts, as in
//! comparisons and conversions to integers. There a NaN has to stay a NaN, and zeros may have any sign.

use super::float::predicate;
use super::{Fits, Root, Select, Source, done};
use crate::vcode::Opnd;
use cranelift_codegen::ir::{Opcode, Type, Value, types};
use iced_x86::Code;
use regalloc2::VReg;

/// What reads a value, as a set: minima and maxima of its type, and anything else but what only asks for its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Readers(u8);

impl Readers {
    const MIN: u8 = 1;
    const MAX: u8 = 2;
    const OTHER: u8 = 4;

    /// Notes that an instruction of type `ty` with `op` reads a value of type `of`; `further` read its result.
    pub(super) fn note(&mut self, op: Opcode, ty: Type, of: Type, further: Readers) {
        use Opcode as O;
        self.0 |= match op {
            O::Fcmp | O::FcvtToSintSat | O::FcvtToUintSat | O::X86Cvtt2dq => 0,
            O::Fmin | O::Fmax | O::Ceil | O::Floor | O::Trunc | O::Nearest
                if further.ask_for_numbers() =>
            {
                0
            }
            O::Fmin if ty == of => Self::MIN,
            O::Fmax if ty == of => Self::MAX,
            _ => Self::OTHER,
        };
    }

    /// Whether neither bits of NaNs nor signs of zeros matter to any.
    fn ask_for_numbers(self) -> bool {
        self.0 == 0
    }

    /// Whether readers take any NaN for the right one: all of them for a NaN with the right sign.
    fn take_any_nan(self, right_sign: bool) -> bool {
        self.0 & Self::OTHER == 0 && (right_sign || self.0 & Self::MAX == 0)
    }
}

/// `fmin` and `fmax`.
pub(super) fn min_max(select: &mut Select<'_>, root: &Root) -> Fits {
    let (x, y) = (root.args[0], root.args[1]);
    match root.ty {
        types::F32 | types::F64 => scalar_min_max(select, root, x, y),
        types::F32X4 | types::F64X2 => vector_min_max(select, root, [x, y]),
        _ => Ok(false),
    }
}

/// The minimum both ways agrees except for zeros of both signs, whose signs are merged, and NaNs,
/// for which the sum propagates the first. Where only numbers count, what is merged stays a NaN.
fn scalar_min_max(select: &mut Select<'_>, root: &Root, x: Value, y: Value) -> Fits {
    let single = root.ty == types::F32;
    let min = root.op == Opcode::Fmin;
    let pick = |one: Code, other: Code| if single { one } else { other };
    let (x, y) = (select.reg(x)?, select.reg(y)?);
    let readers = select.readers[select.func.dfg.first_result(root.inst)];
    let code = if min {
        pick(Code::VEX_Vminss_xmm_xmm_xmmm32, Code::VEX_Vminsd_xmm_xmm_xmmm64)
    } else {
        pick(Code::VEX_Vmaxss_xmm_xmm_xmmm32, Code::VEX_Vmaxsd_xmm_xmm_xmmm64)
    };
    let one = select.binary_regs(code, x, y);
    let other = select.binary_regs(code, y, x);
    if readers.ask_for_numbers() {
        select.binary_regs(Code::VEX_Vorps_xmm_xmm_xmmm128, one, other);
        return done(select);
    }
    let add = pick(Code::VEX_Vaddss_xmm_xmm_xmmm32, Code::VEX_Vaddsd_xmm_xmm_xmmm64);
    let sum = select.binary_regs(add, y, x);
    let merge =
        if min { Code::VEX_Vorps_xmm_xmm_xmmm128 } else { Code::VEX_Vandps_xmm_xmm_xmmm128 };
    let merged = select.binary_regs(merge, one, other);
    let compare = pick(Code::VEX_Vcmpss_xmm_xmm_xmmm32_imm8, Code::VEX_Vcmpsd_xmm_xmm_xmmm64_imm8);
    let nan = select.binary(compare, x, Source::Reg(y), Some(predicate::UNORDERED));
    let blend =
        pick(Code::VEX_Vblendvps_xmm_xmm_xmmm128_xmm, Code::VEX_Vblendvpd_xmm_xmm_xmmm128_xmm);
    let to = select.result()?;
    let ops = [Opnd::Def(to), Opnd::UseReg(merged), Opnd::Use(sum), Opnd::UseReg(nan)];
    select.x86(blend, &ops);
    Ok(true)
}

/// A lane's bits of a NaN as it comes out.
const NAN: (u32, u64) = (0x7fc0_0000, 0x7ff8_0000_0000_0000);
const NEGATIVE_NAN: (u32, u64) = (0xffc0_0000, 0xfff8_0000_0000_0000);

/// One minimum or maximum of vectors.
struct MinMax<'s, 'a> {
    select: &'s mut Select<'a>,
    ty: Type,
    min: bool,
}

fn vector_min_max(select: &mut Select<'_>, root: &Root, args: [Value; 2]) -> Fits {
    let readers = select.readers[select.func.dfg.first_result(root.inst)];
    let mut this = MinMax { select, ty: root.ty, min: root.op == Opcode::Fmin };
    for (x, y) in [(args[0], args[1]), (args[1], args[0])] {
        if let Some(bound) = this.bound(y) {
            let x = this.select.reg(x)?;
            let y = this.select.reg(y)?;
            this.bounded(x, y, bound, readers);
            return this.select.last_is_result().map(|()| true);
        }
    }
    let x = this.select.reg(args[0])?;
    let y = this.select.reg(args[1])?;
    this.general(x, y, readers);
    this.select.last_is_result().map(|()| true)
}

/// What is known of a constant operand, none of whose lanes is a NaN.
#[derive(Clone, Copy)]
struct Bound {
    /// The sign of its zeros, if it has any.
    zeros: Option<bool>,
    /// Its sign, `true` for negative.
    sign: bool,
}

impl MinMax<'_, '_> {
    fn pick(&self, single: Code, double: Code) -> Code {
        if self.ty == types::F32X4 { single } else { double }
    }

    fn one_way(&mut self, left: VReg, right: VReg) -> VReg {
        let code = match self.min {
            true => self.pick(Code::VEX_Vminps_xmm_xmm_xmmm128, Code::VEX_Vminpd_xmm_xmm_xmmm128),
            false => self.pick(Code::VEX_Vmaxps_xmm_xmm_xmmm128, Code::VEX_Vmaxpd_xmm_xmm_xmmm128),
        };
        self.select.binary_regs(code, left, right)
    }

    fn lanes(&mut self, bits: (u32, u64)) -> Source {
        self.select.float_pool(self.ty, bits.0, bits.1)
    }

    /// A mask of the lanes in which either is a NaN.
    fn unordered(&mut self, x: VReg, y: VReg) -> VReg {
        let code =
            self.pick(Code::VEX_Vcmpps_xmm_xmm_xmmm128_imm8, Code::VEX_Vcmppd_xmm_xmm_xmmm128_imm8);
        self.select.binary(code, x, Source::Reg(y), Some(predicate::UNORDERED))
    }

    /// `value`, or `nan` in the lanes of `mask`.
    fn with_nans(&mut self, value: VReg, nan: Source, mask: VReg) {
        let code = self
            .pick(Code::VEX_Vblendvps_xmm_xmm_xmmm128_xmm, Code::VEX_Vblendvpd_xmm_xmm_xmmm128_xmm);
        let to = self.select.xmm();
        let ops = [Opnd::Def(to), Opnd::UseReg(value)];
        self.select.x86_source(code, &ops, nan, &[Opnd::UseReg(mask)]);
    }

    /// The NaN with the sign of `from`, in lanes where that is a NaN.
    fn nan_like(&mut self, from: VReg) -> VReg {
        let (and, or) = (Code::VEX_Vandps_xmm_xmm_xmmm128, Code::VEX_Vorps_xmm_xmm_xmmm128);
        let lanes = self.lanes(NEGATIVE_NAN);
        let without_payload = self.select.binary(and, from, lanes, None);
        let lanes = self.lanes(NAN);
        self.select.binary(or, without_payload, lanes, None)
    }

    /// Both ways: zeros of both signs merge by their bits.
    fn general(&mut self, x: VReg, y: VReg, readers: Readers) {
        let (and, or) = (Code::VEX_Vandps_xmm_xmm_xmmm128, Code::VEX_Vorps_xmm_xmm_xmmm128);
        let one = self.one_way(x, y);
        let other = self.one_way(y, x);
        if self.min {
            // A NaN stays one, but with either's sign.
            if readers.take_any_nan(false) {
                self.select.binary_regs(or, one, other);
                return;
            }
            let mask = self.unordered(x, y);
            let merged = self.select.binary_regs(or, one, other);
            let nan = self.lanes(NEGATIVE_NAN);
            self.with_nans(merged, nan, mask);
        } else if readers.ask_for_numbers() {
            // Zeros of both signs become one of them.
            self.select.binary_regs(or, one, other);
        } else if readers.take_any_nan(true) {
            // Differing bits make a NaN stay, and are subtracted to make zeros positive.
            let differing = self.select.binary_regs(Code::VEX_Vxorps_xmm_xmm_xmmm128, one, other);
            let merged = self.select.binary_regs(or, one, differing);
            let subtract =
                self.pick(Code::VEX_Vsubps_xmm_xmm_xmmm128, Code::VEX_Vsubpd_xmm_xmm_xmmm128);
            self.select.binary_regs(subtract, merged, differing);
        } else {
            let mask = self.unordered(x, y);
            let merged = self.select.binary_regs(and, one, other);
            let either = self.select.binary_regs(or, one, other);
            let nan = self.nan_like(either);
            self.with_nans(merged, Source::Young(nan), mask);
        }
    }

    /// With a constant, one way is enough: that which gives the right one of two zeros.
    fn bounded(&mut self, x: VReg, bound: VReg, known: Bound, readers: Readers) {
        // The sign of a maximum's NaN is that of `x` or negative.
        let nan_is_negative = self.min || known.sign;
        // Zeros of the constant that must win are second; otherwise `x` is, so that NaNs stay.
        let bound_wins = known.zeros == Some(self.min);
        let any_way = readers.ask_for_numbers();
        if any_way || !bound_wins && readers.take_any_nan(!nan_is_negative) {
            self.one_way(bound, x);
            return;
        }
        if bound_wins && !self.min && readers.take_any_nan(true) {
            // The sum makes zeros positive and leaves the rest.
            let value = self.one_way(bound, x);
            let zero = self.select.zero();
            let add = self.pick(Code::VEX_Vaddps_xmm_xmm_xmmm128, Code::VEX_Vaddpd_xmm_xmm_xmmm128);
            self.select.binary_regs(add, value, zero);
            return;
        }
        let value = match bound_wins {
            true => self.one_way(x, bound),
            false => self.one_way(bound, x),
        };
        let mask = self.unordered(x, x);
        let nan = match nan_is_negative {
            true => self.lanes(NEGATIVE_NAN),
            false => Source::Young(self.nan_like(x)),
        };
        self.with_nans(value, nan, mask);
    }

    /// What is known of `value` if it is a constant with lanes of one sign, none of them a NaN.
    fn bound(&self, value: Value) -> Option<Bound> {
        let bytes = self.select.vector_constant(value)?.as_slice();
        let lanes: Vec<f64> = match self.ty {
            types::F32X4 => bytes
                .chunks_exact(4)
                .map(|lane| f32::from_le_bytes(lane.try_into().expect("four bytes")).into())
                .collect(),
            _ => bytes
                .chunks_exact(8)
                .map(|lane| f64::from_le_bytes(lane.try_into().expect("eight bytes")))
                .collect(),
        };
        let sign = lanes.first()?.is_sign_negative();
        let plain = lanes.iter().all(|lane| !lane.is_nan() && lane.is_sign_negative() == sign);
        let zeros = lanes.contains(&0.0).then_some(sign);
        plain.then_some(Bound { zeros, sign })
    }
}
