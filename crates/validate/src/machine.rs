//! What x86-64 instructions compute, in terms of the ops of `egraft_ir`.
//!
//! An instruction of a few registers in and one out is an op or a few ops. Integer registers have 64
//! bits, vector registers 128; what an instruction leaves of the upper bits is said too. An
//! instruction that is not listed has no meaning here, and nothing is known of what it gives.

use crate::values::{Id, Values};
use egraft_ir::{ClassId, EvalError, FloatCc, IntCc, Node, Op, Ty};
use iced_x86::Mnemonic as M;

/// What an instruction gives, or what stands against it.
pub(crate) type Made = Result<Id, EvalError>;

/// The op `op` of `ty`.
pub(crate) fn op(v: &mut Values, op: Op, ty: Ty, args: &[Id]) -> Made {
    imm(v, op, ty, 0, args)
}

/// The op `op` of `ty` with an immediate.
pub(crate) fn imm(v: &mut Values, op: Op, ty: Ty, imm: u128, args: &[Id]) -> Made {
    v.op(Node::with_imm(op, ty, imm, &[ClassId(0); 3][..op.arity()]), args)
}

fn convert(v: &mut Values, op: Op, ty: Ty, from: Ty, arg: Id) -> Made {
    v.op(Node::convert(op, ty, from, ClassId(0)), &[arg])
}

/// The low `bits` of a register.
pub(crate) fn low(v: &mut Values, id: Id, bits: u32) -> Made {
    match (v.width(id), bits) {
        (has, wants) if has == wants => Ok(id),
        (128, 64) => imm(v, Op::Extractlane, Ty::I64X2, 0, &[id]),
        (128, 32) => imm(v, Op::Extractlane, Ty::I32X4, 0, &[id]),
        (128, 16) => imm(v, Op::Extractlane, Ty::I16X8, 0, &[id]),
        (128, _) => imm(v, Op::Extractlane, Ty::I8X16, 0, &[id]),
        _ => v.convert(Op::Ireduce, int(bits), id),
    }
}

/// A vector register with `id` at the bottom and zeros above.
pub(crate) fn vector(v: &mut Values, id: Id) -> Made {
    match v.width(id) {
        128 => Ok(id),
        bits => op(v, Op::ScalarToVector, lanes(bits), &[id]),
    }
}

/// The integer scalar of `bits`.
pub(crate) fn int(bits: u32) -> Ty {
    match bits {
        8 => Ty::I8,
        16 => Ty::I16,
        32 => Ty::I32,
        _ => Ty::I64,
    }
}

fn lanes(bits: u32) -> Ty {
    Ty::vector_of(int(bits)).expect("four widths have vectors")
}

/// An op on two vectors that is one of `egraft_ir`.
fn lanewise(mnemonic: M) -> Option<(Op, Ty)> {
    use Ty::{F32X4 as S, F64X2 as D, I8X16 as B, I16X8 as W, I32X4 as L, I64X2 as Q};
    Some(match mnemonic {
        M::Vpaddb => (Op::Iadd, B),
        M::Vpaddw => (Op::Iadd, W),
        M::Vpaddd => (Op::Iadd, L),
        M::Vpaddq => (Op::Iadd, Q),
        M::Vpsubb => (Op::Isub, B),
        M::Vpsubw => (Op::Isub, W),
        M::Vpsubd => (Op::Isub, L),
        M::Vpsubq => (Op::Isub, Q),
        M::Vpmullw => (Op::Imul, W),
        M::Vpmulld => (Op::Imul, L),
        M::Vpand | M::Vandps | M::Vandpd => (Op::Band, B),
        M::Vpor | M::Vorps | M::Vorpd => (Op::Bor, B),
        M::Vpxor | M::Vxorps | M::Vxorpd => (Op::Bxor, B),
        M::Vpminsb => (Op::Smin, B),
        M::Vpminsw => (Op::Smin, W),
        M::Vpminsd => (Op::Smin, L),
        M::Vpmaxsb => (Op::Smax, B),
        M::Vpmaxsw => (Op::Smax, W),
        M::Vpmaxsd => (Op::Smax, L),
        M::Vpminub => (Op::Umin, B),
        M::Vpminuw => (Op::Umin, W),
        M::Vpminud => (Op::Umin, L),
        M::Vpmaxub => (Op::Umax, B),
        M::Vpmaxuw => (Op::Umax, W),
        M::Vpmaxud => (Op::Umax, L),
        M::Vpaddusb => (Op::UaddSat, B),
        M::Vpaddusw => (Op::UaddSat, W),
        M::Vpaddsb => (Op::SaddSat, B),
        M::Vpaddsw => (Op::SaddSat, W),
        M::Vpsubusb => (Op::UsubSat, B),
        M::Vpsubusw => (Op::UsubSat, W),
        M::Vpsubsb => (Op::SsubSat, B),
        M::Vpsubsw => (Op::SsubSat, W),
        M::Vpavgb => (Op::AvgRound, B),
        M::Vpavgw => (Op::AvgRound, W),
        M::Vpmulhrsw => (Op::X86Pmulhrsw, W),
        M::Vpshufb => (Op::X86Pshufb, B),
        M::Vpacksswb => (Op::Snarrow, W),
        M::Vpackssdw => (Op::Snarrow, L),
        M::Vpackuswb => (Op::Unarrow, W),
        M::Vpackusdw => (Op::Unarrow, L),
        M::Vphaddw => (Op::IaddPairwise, W),
        M::Vphaddd => (Op::IaddPairwise, L),
        M::Vaddps => (Op::Fadd, S),
        M::Vaddpd => (Op::Fadd, D),
        M::Vsubps => (Op::Fsub, S),
        M::Vsubpd => (Op::Fsub, D),
        M::Vmulps => (Op::Fmul, S),
        M::Vmulpd => (Op::Fmul, D),
        M::Vdivps => (Op::Fdiv, S),
        M::Vdivpd => (Op::Fdiv, D),
        _ => return None,
    })
}

/// An op on the lowest float of two registers; the rest comes from the first.
fn scalar(mnemonic: M) -> Option<(Op, Ty)> {
    Some(match mnemonic {
        M::Vaddss => (Op::Fadd, Ty::F32),
        M::Vaddsd => (Op::Fadd, Ty::F64),
        M::Vsubss => (Op::Fsub, Ty::F32),
        M::Vsubsd => (Op::Fsub, Ty::F64),
        M::Vmulss => (Op::Fmul, Ty::F32),
        M::Vmulsd => (Op::Fmul, Ty::F64),
        M::Vdivss => (Op::Fdiv, Ty::F32),
        M::Vdivsd => (Op::Fdiv, Ty::F64),
        _ => return None,
    })
}

/// A comparison of lanes.
fn comparison(mnemonic: M) -> Option<(IntCc, Ty)> {
    Some(match mnemonic {
        M::Vpcmpeqb => (IntCc::Eq, Ty::I8X16),
        M::Vpcmpeqw => (IntCc::Eq, Ty::I16X8),
        M::Vpcmpeqd => (IntCc::Eq, Ty::I32X4),
        M::Vpcmpeqq => (IntCc::Eq, Ty::I64X2),
        M::Vpcmpgtb => (IntCc::Sgt, Ty::I8X16),
        M::Vpcmpgtw => (IntCc::Sgt, Ty::I16X8),
        M::Vpcmpgtd => (IntCc::Sgt, Ty::I32X4),
        M::Vpcmpgtq => (IntCc::Sgt, Ty::I64X2),
        _ => return None,
    })
}

/// The bytes that an instruction picks from its two operands laid end to end.
fn picked(mnemonic: M, byte: i64) -> Option<[u8; 16]> {
    let byte = byte as u8;
    let units = |unit: usize, pick: &dyn Fn(usize) -> usize| -> [u8; 16] {
        std::array::from_fn(|at| (pick(at / unit) * unit + at % unit) as u8)
    };
    // Unit `i` of the first operand, then unit `i` of the second, from the low or high half.
    let zipped = |unit: usize, high: bool| {
        let (count, start) = (16 / unit, if high { 8 / unit } else { 0 });
        units(unit, &|at| start + at / 2 + if at % 2 == 1 { count } else { 0 })
    };
    let two_bits = |at: usize| usize::from(byte >> (2 * at) & 3);
    let bit = |at: usize| usize::from(byte >> at & 1);
    Some(match mnemonic {
        M::Vpunpcklbw => zipped(1, false),
        M::Vpunpcklwd => zipped(2, false),
        M::Vpunpckldq | M::Vunpcklps => zipped(4, false),
        M::Vpunpcklqdq | M::Vunpcklpd | M::Vmovlhps => zipped(8, false),
        M::Vpunpckhbw => zipped(1, true),
        M::Vpunpckhwd => zipped(2, true),
        M::Vpunpckhdq | M::Vunpckhps => zipped(4, true),
        M::Vpunpckhqdq | M::Vunpckhpd => zipped(8, true),
        M::Vpblendw => units(2, &|at| at + 8 * bit(at)),
        M::Vpblendd | M::Vblendps => units(4, &|at| at + 4 * bit(at)),
        M::Vblendpd => units(8, &|at| at + 2 * bit(at)),
        M::Vshufps => units(4, &|at| two_bits(at) + if at < 2 { 0 } else { 4 }),
        M::Vshufpd => units(8, &|at| bit(at) + 2 * at),
        M::Vmovss => units(4, &|at| if at == 0 { 4 } else { at }),
        M::Vmovsd => units(8, &|at| if at == 0 { 2 } else { at }),
        _ => return None,
    })
}

/// The bytes that an instruction picks from its one operand; `None` for an instruction of two.
fn picked_one(mnemonic: M, byte: i64) -> Option<[u8; 16]> {
    let byte = byte as u8;
    let units = |unit: usize, pick: &dyn Fn(usize) -> usize| -> [u8; 16] {
        std::array::from_fn(|at| (pick(at / unit) * unit + at % unit) as u8)
    };
    let two_bits = |at: usize| usize::from(byte >> (2 * at) & 3);
    Some(match mnemonic {
        M::Vpshufd | M::Vpermilps => units(4, &two_bits),
        M::Vpshuflw => units(2, &|at| if at < 4 { two_bits(at) } else { at }),
        M::Vpshufhw => units(2, &|at| if at < 4 { at } else { 4 + two_bits(at - 4) }),
        M::Vpermilpd => units(8, &|at| usize::from(byte >> at & 1)),
        M::Vmovddup => units(8, &|_| 0),
        M::Vpbroadcastb => units(1, &|_| 0),
        M::Vpbroadcastw => units(2, &|_| 0),
        M::Vpbroadcastd | M::Vbroadcastss => units(4, &|_| 0),
        M::Vpbroadcastq => units(8, &|_| 0),
        _ => return None,
    })
}

/// `x` with bytes picked by `mask` from `x` and `y`.
fn shuffle(v: &mut Values, mask: [u8; 16], x: Id, y: Id) -> Made {
    imm(v, Op::Shuffle, Ty::I8X16, u128::from_le_bytes(mask), &[x, y])
}

/// A shift of all lanes by the constant `by`, which may reach their width.
fn shifted(v: &mut Values, mnemonic: M, x: Id, by: i64) -> Option<Made> {
    use Ty::{I16X8 as W, I32X4 as L, I64X2 as Q};
    let (kind, ty) = match mnemonic {
        M::Vpsllw => (Op::Ishl, W),
        M::Vpslld => (Op::Ishl, L),
        M::Vpsllq => (Op::Ishl, Q),
        M::Vpsrlw => (Op::Ushr, W),
        M::Vpsrld => (Op::Ushr, L),
        M::Vpsrlq => (Op::Ushr, Q),
        M::Vpsraw => (Op::Sshr, W),
        M::Vpsrad => (Op::Sshr, L),
        _ => return None,
    };
    let by = u128::from(by as u8);
    let last = u128::from(ty.lane_bits() - 1);
    if by > last && kind != Op::Sshr {
        return Some(Ok(v.constant_of(128, 0)));
    }
    let by = v.constant_of(32, by.min(last));
    Some(op(v, kind, ty, &[x, by]))
}

/// What a vector instruction of the operands `x` computes; `None` if that is not known here.
pub(crate) fn vectors(v: &mut Values, mnemonic: M, x: &[Id], byte: Option<i64>) -> Option<Made> {
    use Ty::{F32X4 as S, F64X2 as D, I8X16 as B, I16X8 as W, I32X4 as L, I64X2 as Q};
    if let (Some((kind, ty)), [a, b]) = (lanewise(mnemonic), x) {
        return Some(op(v, kind, ty, &[*a, *b]));
    }
    if let (Some((cc, ty)), [a, b]) = (comparison(mnemonic), x) {
        return Some(imm(v, Op::Icmp, ty, cc as u128, &[*a, *b]));
    }
    if let (Some((kind, ty)), [a, b]) = (scalar(mnemonic), x) {
        return Some(on_lowest(v, ty, *a, &[*a, *b], |v, args| op(v, kind, ty, args)));
    }
    if let [a, b] = x
        && let Some(mask) = picked(mnemonic, byte.unwrap_or(0))
    {
        return Some(shuffle(v, mask, *a, *b));
    }
    if let [a] = x
        && let Some(mask) = picked_one(mnemonic, byte.unwrap_or(0))
    {
        return Some(shuffle(v, mask, *a, *a));
    }
    if let ([a], Some(by)) = (x, byte)
        && let Some(made) = shifted(v, mnemonic, *a, by)
    {
        return Some(made);
    }
    Some(match (mnemonic, x, byte) {
        (M::Vmovups | M::Vmovdqu | M::Vmovss | M::Vmovsd | M::Vmovq | M::Vmovd, [a], None) => {
            Ok(*a)
        }
        (M::Vpandn | M::Vandnps, [a, b], _) => {
            op(v, Op::Bnot, B, &[*a]).and_then(|not| op(v, Op::Band, B, &[not, *b]))
        }
        (M::Vpabsb, [a], _) => op(v, Op::Iabs, B, &[*a]),
        (M::Vpabsw, [a], _) => op(v, Op::Iabs, W, &[*a]),
        (M::Vpabsd, [a], _) => op(v, Op::Iabs, L, &[*a]),
        (M::Vpmaddubsw, [a, b], _) => op(v, Op::X86Pmaddubsw, B, &[*b, *a]),
        (M::Vpmaddwd, [a, b], _) => pair_sums(v, *a, *b),
        (M::Vpdpwssd, [sum, a, b], _) => {
            pair_sums(v, *a, *b).and_then(|dots| op(v, Op::Iadd, L, &[*sum, dots]))
        }
        (M::Vpdpbusd, [sum, a, b], _) => {
            quad_sums(v, *a, *b).and_then(|dots| op(v, Op::Iadd, L, &[*sum, dots]))
        }
        (M::Vpmulhw | M::Vpmulhuw, [a, b], _) => products(v, W, mnemonic == M::Vpmulhw, *a, *b)
            .and_then(|[low, high]| {
                let mask = std::array::from_fn(|at| (at / 2 * 4 + 2 + at % 2) as u8);
                shuffle(v, mask, low, high)
            }),
        (M::Vpmuludq, [a, b], _) => even_lanes(v, Op::Ushr, *a, *b),
        (M::Vpmuldq, [a, b], _) => even_lanes(v, Op::Sshr, *a, *b),
        (M::Vpmovzxbw, [a], _) => op(v, Op::UwidenLow, B, &[*a]),
        (M::Vpmovzxwd, [a], _) => op(v, Op::UwidenLow, W, &[*a]),
        (M::Vpmovzxdq, [a], _) => op(v, Op::UwidenLow, L, &[*a]),
        (M::Vpmovsxbw, [a], _) => op(v, Op::SwidenLow, B, &[*a]),
        (M::Vpmovsxwd, [a], _) => op(v, Op::SwidenLow, W, &[*a]),
        (M::Vpmovsxdq, [a], _) => op(v, Op::SwidenLow, L, &[*a]),
        (M::Vpmovzxbd, [a], _) => {
            op(v, Op::UwidenLow, B, &[*a]).and_then(|wide| op(v, Op::UwidenLow, W, &[wide]))
        }
        (M::Vpmovsxbd, [a], _) => {
            op(v, Op::SwidenLow, B, &[*a]).and_then(|wide| op(v, Op::SwidenLow, W, &[wide]))
        }
        (M::Vpalignr, [a, b], Some(by @ 0..=16)) => {
            let mask = std::array::from_fn(|at| (at as i64 + by) as u8);
            // The second operand is the lower one.
            shuffle(v, mask, *b, *a)
        }
        (M::Vpslldq, [a], Some(by @ 0..=16)) => {
            let zero = v.constant_of(128, 0);
            shuffle(v, std::array::from_fn(|at| (16 - by + at as i64) as u8), zero, *a)
        }
        (M::Vpsrldq, [a], Some(by @ 0..=16)) => {
            let zero = v.constant_of(128, 0);
            shuffle(v, std::array::from_fn(|at| (at as i64 + by) as u8), *a, zero)
        }
        (M::Vpblendvb, [a, b, mask], _) => op(v, Op::Blendv, B, &[*mask, *b, *a]),
        (M::Vblendvps, [a, b, mask], _) => op(v, Op::Blendv, L, &[*mask, *b, *a]),
        (M::Vblendvpd, [a, b, mask], _) => op(v, Op::Blendv, Q, &[*mask, *b, *a]),
        (M::Vsqrtps, [a], _) => op(v, Op::Sqrt, S, &[*a]),
        (M::Vsqrtpd, [a], _) => op(v, Op::Sqrt, D, &[*a]),
        (M::Vroundps, [a], Some(mode)) => op(v, rounding(mode)?, S, &[*a]),
        (M::Vroundpd, [a], Some(mode)) => op(v, rounding(mode)?, D, &[*a]),
        (M::Vsqrtss, [a, b], _) => lowest(v, Op::Sqrt, Ty::F32, *a, *b),
        (M::Vsqrtsd, [a, b], _) => lowest(v, Op::Sqrt, Ty::F64, *a, *b),
        (M::Vroundss, [a, b], Some(mode)) => lowest(v, rounding(mode)?, Ty::F32, *a, *b),
        (M::Vroundsd, [a, b], Some(mode)) => lowest(v, rounding(mode)?, Ty::F64, *a, *b),
        (M::Vcmpps, [a, b], Some(cc)) => imm(v, Op::Fcmp, S, predicate(cc)? as u128, &[*a, *b]),
        (M::Vcmppd, [a, b], Some(cc)) => imm(v, Op::Fcmp, D, predicate(cc)? as u128, &[*a, *b]),
        (M::Vcmpss, [a, b], Some(cc)) => compared(v, Ty::F32, predicate(cc)?, *a, *b),
        (M::Vcmpsd, [a, b], Some(cc)) => compared(v, Ty::F64, predicate(cc)?, *a, *b),
        (M::Vminps, [a, b], _) => x86_extremum(v, S, FloatCc::Lt, *a, *b),
        (M::Vminpd, [a, b], _) => x86_extremum(v, D, FloatCc::Lt, *a, *b),
        (M::Vmaxps, [a, b], _) => x86_extremum(v, S, FloatCc::Gt, *a, *b),
        (M::Vmaxpd, [a, b], _) => x86_extremum(v, D, FloatCc::Gt, *a, *b),
        (M::Vminss, [a, b], _) => x86_extremum_of_lowest(v, Ty::F32, FloatCc::Lt, *a, *b),
        (M::Vminsd, [a, b], _) => x86_extremum_of_lowest(v, Ty::F64, FloatCc::Lt, *a, *b),
        (M::Vmaxss, [a, b], _) => x86_extremum_of_lowest(v, Ty::F32, FloatCc::Gt, *a, *b),
        (M::Vmaxsd, [a, b], _) => x86_extremum_of_lowest(v, Ty::F64, FloatCc::Gt, *a, *b),
        (M::Vpsllvd, [a, by], _) => shifted_each(v, Op::Ishl, L, *a, *by),
        (M::Vpsllvq, [a, by], _) => shifted_each(v, Op::Ishl, Q, *a, *by),
        (M::Vpsrlvd, [a, by], _) => shifted_each(v, Op::Ushr, L, *a, *by),
        (M::Vpsrlvq, [a, by], _) => shifted_each(v, Op::Ushr, Q, *a, *by),
        (M::Vpsravd, [a, by], _) => shifted_each(v, Op::Sshr, L, *a, *by),
        (M::Vcvtsi2ss, [a, b], _) => from_integer(v, Ty::F32, *a, *b),
        (M::Vcvtsi2sd, [a, b], _) => from_integer(v, Ty::F64, *a, *b),
        (M::Vcvtdq2ps, [a], _) => convert(v, Op::FcvtFromSint, S, L, *a),
        (M::Vcvttps2dq, [a], _) => convert(v, Op::X86Cvtt2dq, L, S, *a),
        (M::Vcvtps2pd, [a], _) => convert(v, Op::FvpromoteLow, D, S, *a),
        (M::Vcvtpd2ps, [a], _) => convert(v, Op::Fvdemote, S, D, *a),
        (M::Vcvtdq2pd, [a], _) => {
            op(v, Op::SwidenLow, L, &[*a]).and_then(|wide| convert(v, Op::FcvtFromSint, D, Q, wide))
        }
        (M::Vcvtss2sd, [a, b], _) => {
            let made = low(v, *b, 32).and_then(|x| convert(v, Op::Fpromote, Ty::F64, Ty::F32, x));
            made.and_then(|made| imm(v, Op::Insertlane, Q, 0, &[*a, made]))
        }
        (M::Vcvtsd2ss, [a, b], _) => {
            let made = low(v, *b, 64).and_then(|x| convert(v, Op::Fdemote, Ty::F32, Ty::F64, x));
            made.and_then(|made| imm(v, Op::Insertlane, L, 0, &[*a, made]))
        }
        _ => return None,
    })
}

/// The rounding of `roundps`, which must neither report inexactness nor obey the mode register.
fn rounding(mode: i64) -> Option<Op> {
    match mode & 7 {
        0 => Some(Op::Nearest),
        1 => Some(Op::Floor),
        2 => Some(Op::Ceil),
        3 => Some(Op::Trunc),
        _ => None,
    }
}

/// The comparisons of `cmpps`, whether or not they report NaNs.
fn predicate(byte: i64) -> Option<FloatCc> {
    Some(match byte & 15 {
        0 => FloatCc::Eq,
        1 => FloatCc::Lt,
        2 => FloatCc::Le,
        3 => FloatCc::Uno,
        4 => FloatCc::Ne,
        5 => FloatCc::Uge,
        6 => FloatCc::Ugt,
        7 => FloatCc::Ord,
        8 => FloatCc::Ueq,
        9 => FloatCc::Ult,
        10 => FloatCc::Ule,
        12 => FloatCc::One,
        13 => FloatCc::Ge,
        14 => FloatCc::Gt,
        _ => return None,
    })
}

/// The lesser or greater of two floats, the second where neither is.
fn x86_extremum(v: &mut Values, ty: Ty, cc: FloatCc, a: Id, b: Id) -> Made {
    let first = imm(v, Op::Fcmp, ty, cc as u128, &[a, b])?;
    op(v, Op::Bitselect, Ty::I8X16, &[first, a, b])
}

/// The lesser or greater of the lowest floats, the second where neither is, and above them the rest of `a`.
fn x86_extremum_of_lowest(v: &mut Values, ty: Ty, cc: FloatCc, a: Id, b: Id) -> Made {
    on_lowest(v, ty, a, &[a, b], |v, x| {
        let first = imm(v, Op::Fcmp, ty, cc as u128, x)?;
        op(v, Op::Select, ty, &[first, x[0], x[1]])
    })
}

/// All bits set or none, by the lowest floats, above the rest of `a`.
fn compared(v: &mut Values, ty: Ty, cc: FloatCc, a: Id, b: Id) -> Made {
    on_lowest(v, ty, a, &[a, b], |v, x| {
        let holds = imm(v, Op::Fcmp, ty, cc as u128, x)?;
        let (all, none) = (v.constant_of(ty.bits(), ty.mask()), v.constant_of(ty.bits(), 0));
        op(v, Op::Select, int(ty.bits()), &[holds, all, none])
    })
}

/// The integer `b` as a float, above the rest of `a`.
fn from_integer(v: &mut Values, ty: Ty, a: Id, b: Id) -> Made {
    let from = int(v.width(b));
    let made = convert(v, Op::FcvtFromSint, ty, from, b)?;
    imm(v, Op::Insertlane, lanes(ty.bits()), 0, &[a, made])
}

/// Lanes shifted by those of `by`, as far as their sign or nothing is left.
fn shifted_each(v: &mut Values, kind: Op, ty: Ty, a: Id, by: Id) -> Made {
    let lane_ty = int(ty.lane_bits());
    let last = v.constant_of(lane_ty.bits(), u128::from(ty.lane_bits() - 1));
    let zero = v.constant_of(lane_ty.bits(), 0);
    let mut made = a;
    for lane in 0..u128::from(ty.lanes()) {
        let x = imm(v, Op::Extractlane, ty, lane, &[a])?;
        let by = imm(v, Op::Extractlane, ty, lane, &[by])?;
        let shifted = if kind == Op::Sshr {
            let by = op(v, Op::Umin, lane_ty, &[by, last])?;
            op(v, kind, lane_ty, &[x, by])?
        } else {
            let is_less = imm(v, Op::Icmp, lane_ty, IntCc::Ule as u128, &[by, last])?;
            let shifted = op(v, kind, lane_ty, &[x, by])?;
            op(v, Op::Select, lane_ty, &[is_less, shifted, zero])?
        };
        made = imm(v, Op::Insertlane, ty, lane, &[made, shifted])?;
    }
    Ok(made)
}

/// The op of the lowest float of `b` above the rest of `a`.
fn lowest(v: &mut Values, kind: Op, ty: Ty, a: Id, b: Id) -> Made {
    on_lowest(v, ty, a, &[b], |v, args| op(v, kind, ty, args))
}

fn on_lowest(
    v: &mut Values,
    ty: Ty,
    rest: Id,
    of: &[Id],
    make: impl FnOnce(&mut Values, &[Id]) -> Made,
) -> Made {
    let mut args = Vec::new();
    for id in of {
        args.push(low(v, *id, ty.bits())?);
    }
    let made = make(v, &args)?;
    imm(v, Op::Insertlane, lanes(ty.bits()), 0, &[rest, made])
}

/// Products of lanes, twice as wide: of the low half, then of the high one.
fn products(v: &mut Values, ty: Ty, signed: bool, a: Id, b: Id) -> Result<[Id; 2], EvalError> {
    let wide = ty.widened().expect("only lanes of 16 bits are multiplied so");
    let [low, high] = match signed {
        true => [Op::SwidenLow, Op::SwidenHigh],
        false => [Op::UwidenLow, Op::UwidenHigh],
    };
    let mut product = |half: Op| {
        let (a, b) = (op(v, half, ty, &[a])?, op(v, half, ty, &[b])?);
        op(v, Op::Imul, wide, &[a, b])
    };
    Ok([product(low)?, product(high)?])
}

/// Products of signed words, summed in pairs.
fn pair_sums(v: &mut Values, a: Id, b: Id) -> Made {
    let [low, high] = products(v, Ty::I16X8, true, a, b)?;
    op(v, Op::IaddPairwise, Ty::I32X4, &[low, high])
}

/// Products of unsigned bytes of `a` and signed ones of `b`, summed in fours: those of even bytes and those of odd ones.
fn quad_sums(v: &mut Values, a: Id, b: Id) -> Made {
    use Ty::I16X8 as W;
    let (byte, lower) = (v.constant_of(32, 8), v.constant_of(128, u128::MAX / 0xffff * 0xff));
    let (even_a, odd_a) =
        (op(v, Op::Band, Ty::I8X16, &[a, lower])?, op(v, Op::Ushr, W, &[a, byte])?);
    let raised = op(v, Op::Ishl, W, &[b, byte])?;
    let (even_b, odd_b) = (op(v, Op::Sshr, W, &[raised, byte])?, op(v, Op::Sshr, W, &[b, byte])?);
    let (even, odd) = (pair_sums(v, even_a, even_b)?, pair_sums(v, odd_a, odd_b)?);
    op(v, Op::Iadd, Ty::I32X4, &[even, odd])
}

/// Products of the low halves of 64-bit lanes, extended by shifting there and back.
fn even_lanes(v: &mut Values, back: Op, a: Id, b: Id) -> Made {
    let half = v.constant_of(32, 32);
    let mut extend = |x: Id| {
        let high = op(v, Op::Ishl, Ty::I64X2, &[x, half])?;
        op(v, back, Ty::I64X2, &[high, half])
    };
    let (a, b) = (extend(a)?, extend(b)?);
    op(v, Op::Imul, Ty::I64X2, &[a, b])
}

/// What an instruction on integer registers of `bits` computes; `None` if that is not known here.
/// The operands have `bits` bits, and so has the result.
pub(crate) fn integers(v: &mut Values, mnemonic: M, bits: u32, x: &[Id]) -> Option<Made> {
    let ty = int(bits);
    let plain = match mnemonic {
        M::Add => Op::Iadd,
        M::Sub => Op::Isub,
        M::And => Op::Band,
        M::Or => Op::Bor,
        M::Xor => Op::Bxor,
        M::Imul => Op::Imul,
        // Amounts are taken modulo the width, for 32 and 64 bits as in CLIF.
        M::Shl | M::Shlx if bits >= 32 => Op::Ishl,
        M::Shr | M::Shrx if bits >= 32 => Op::Ushr,
        M::Sar | M::Sarx if bits >= 32 => Op::Sshr,
        M::Rol if bits >= 32 => Op::Rotl,
        M::Ror | M::Rorx if bits >= 32 => Op::Rotr,
        M::Neg => Op::Ineg,
        M::Not => Op::Bnot,
        M::Lzcnt => Op::Clz,
        M::Tzcnt => Op::Ctz,
        M::Popcnt => Op::Popcnt,
        M::Mov => return Some(Ok(*x.first()?)),
        M::Andn => {
            let not = op(v, Op::Bnot, ty, &[*x.first()?]);
            return Some(not.and_then(|not| op(v, Op::Band, ty, &[not, x[1]])));
        }
        _ => return None,
    };
    (plain.arity() == x.len()).then(|| op(v, plain, ty, x))
}
