//! Arithmetic on constants: lane values of a type, zero-extended into `u128`.

use egraft_ir::{FloatCc, IntCc, Ty};

/// Only the sign bit of a lane.
pub(super) const fn sign_bit(ty: Ty) -> u128 {
    1 << (ty.lane_bits() - 1)
}

/// A lane value sign-extended.
pub(super) const fn sext(ty: Ty, lane: u128) -> i128 {
    let unused = 128 - ty.lane_bits();
    ((lane << unused) as i128) >> unused
}

pub(super) fn shl(ty: Ty, lane: u128, by: u128) -> u128 {
    if by < u128::from(ty.lane_bits()) { (lane << by) & ty.lane_mask() } else { 0 }
}

pub(super) fn ushr(ty: Ty, lane: u128, by: u128) -> u128 {
    if by < u128::from(ty.lane_bits()) { (lane & ty.lane_mask()) >> by } else { 0 }
}

pub(super) fn sshr(ty: Ty, lane: u128, by: u128) -> u128 {
    (sext(ty, lane) >> by.min(127)) as u128 & ty.lane_mask()
}

/// The low `bits` bits of a lane, at most all of them.
pub(super) fn low(ty: Ty, bits: u128) -> u128 {
    if bits < u128::from(ty.lane_bits()) { (1 << bits) - 1 } else { ty.lane_mask() }
}

pub(super) fn high_mask(ty: Ty, bits: u128) -> u128 {
    let rest = u128::from(ty.lane_bits()).saturating_sub(bits);
    ty.lane_mask() & !low(ty, rest)
}

/// Whether a signed number fits into `bits` bits of two's complement.
pub(super) fn fits_signed(number: i128, bits: u128) -> bool {
    match bits {
        0 => false,
        1..128 => number >> (bits - 1) == 0 || number >> (bits - 1) == -1,
        _ => true,
    }
}

pub(super) fn vec_lane(ty: Ty, bits: u128, lane: u128) -> Option<u128> {
    (lane < u128::from(ty.lanes())).then(|| ty.lane_of(bits, lane as u32))
}

pub(super) fn is_signed(code: IntCc) -> bool {
    matches!(code, IntCc::Slt | IntCc::Sle | IntCc::Sgt | IntCc::Sge)
}

pub(super) fn to_unsigned(code: IntCc) -> IntCc {
    match code {
        IntCc::Slt => IntCc::Ult,
        IntCc::Sle => IntCc::Ule,
        IntCc::Sgt => IntCc::Ugt,
        IntCc::Sge => IntCc::Uge,
        other => other,
    }
}

pub(super) fn to_signed(code: IntCc) -> IntCc {
    match code {
        IntCc::Ult => IntCc::Slt,
        IntCc::Ule => IntCc::Sle,
        IntCc::Ugt => IntCc::Sgt,
        IntCc::Uge => IntCc::Sge,
        other => other,
    }
}

/// The reciprocal of a normal power of two whose reciprocal is normal too; the sign is kept.
pub(super) fn float_recip_pow2(ty: Ty, lane: u128) -> Option<u128> {
    let (mantissa_bits, bias): (u32, u128) = match ty.lane() {
        Ty::F32 => (23, 127),
        Ty::F64 => (52, 1023),
        _ => return None,
    };
    let sign = lane & sign_bit(ty);
    let exponent = (lane ^ sign) >> mantissa_bits;
    let is_pow2 = lane & ((1 << mantissa_bits) - 1) == 0;
    // Both exponents are normal: neither 0 nor all ones.
    let recip = (2 * bias).checked_sub(exponent)?;
    (is_pow2 && exponent > 0 && recip > 0).then_some(sign | recip << mantissa_bits)
}

pub(super) fn float_not(code: FloatCc) -> FloatCc {
    use FloatCc::*;
    match code {
        Ord => Uno,
        Uno => Ord,
        Eq => Ne,
        Ne => Eq,
        One => Ueq,
        Ueq => One,
        Lt => Uge,
        Uge => Lt,
        Le => Ugt,
        Ugt => Le,
        Gt => Ule,
        Ule => Gt,
        Ge => Ult,
        Ult => Ge,
    }
}

pub(super) fn float_of_numbers(code: FloatCc) -> Option<FloatCc> {
    use FloatCc::*;
    Some(match code {
        Ueq => Eq,
        One => Ne,
        Ult => Lt,
        Ule => Le,
        Ugt => Gt,
        Uge => Ge,
        _ => return None,
    })
}

pub(super) fn float_swap(code: FloatCc) -> FloatCc {
    use FloatCc::*;
    match code {
        Lt => Gt,
        Gt => Lt,
        Le => Ge,
        Ge => Le,
        Ult => Ugt,
        Ugt => Ult,
        Ule => Uge,
        Uge => Ule,
        symmetric => symmetric,
    }
}
