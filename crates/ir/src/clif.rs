//! The vocabulary in Cranelift's own terms: opcodes, types and condition codes, both ways.

use crate::{FloatCc, IntCc, Op, Ty};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{Opcode, Type, types};

/// Pairs each type with Cranelift's.
const TYPES: [(Ty, Type); 13] = [
    (Ty::I8, types::I8),
    (Ty::I16, types::I16),
    (Ty::I32, types::I32),
    (Ty::I64, types::I64),
    (Ty::I128, types::I128),
    (Ty::F32, types::F32),
    (Ty::F64, types::F64),
    (Ty::I8X16, types::I8X16),
    (Ty::I16X8, types::I16X8),
    (Ty::I32X4, types::I32X4),
    (Ty::I64X2, types::I64X2),
    (Ty::F32X4, types::F32X4),
    (Ty::F64X2, types::F64X2),
];

/// The type of `ty`, or `None` for types outside the vocabulary.
pub fn from_type(ty: Type) -> Option<Ty> {
    TYPES.iter().find(|pair| pair.1 == ty).map(|pair| pair.0)
}

/// Cranelift's type.
pub fn to_type(ty: Ty) -> Type {
    TYPES[ty as usize].1
}

/// Cranelift's integer condition code.
pub fn to_int_cc(cc: IntCc) -> IntCC {
    match cc {
        IntCc::Eq => IntCC::Equal,
        IntCc::Ne => IntCC::NotEqual,
        IntCc::Slt => IntCC::SignedLessThan,
        IntCc::Sge => IntCC::SignedGreaterThanOrEqual,
        IntCc::Sgt => IntCC::SignedGreaterThan,
        IntCc::Sle => IntCC::SignedLessThanOrEqual,
        IntCc::Ult => IntCC::UnsignedLessThan,
        IntCc::Uge => IntCC::UnsignedGreaterThanOrEqual,
        IntCc::Ugt => IntCC::UnsignedGreaterThan,
        IntCc::Ule => IntCC::UnsignedLessThanOrEqual,
    }
}

/// The integer condition code of Cranelift's.
pub fn from_int_cc(cc: IntCC) -> IntCc {
    *IntCc::ALL.iter().find(|ours| to_int_cc(**ours) == cc).expect("all ten codes are listed")
}

/// Cranelift's float condition code.
pub fn to_float_cc(cc: FloatCc) -> FloatCC {
    match cc {
        FloatCc::Ord => FloatCC::Ordered,
        FloatCc::Uno => FloatCC::Unordered,
        FloatCc::Eq => FloatCC::Equal,
        FloatCc::Ne => FloatCC::NotEqual,
        FloatCc::One => FloatCC::OrderedNotEqual,
        FloatCc::Ueq => FloatCC::UnorderedOrEqual,
        FloatCc::Lt => FloatCC::LessThan,
        FloatCc::Le => FloatCC::LessThanOrEqual,
        FloatCc::Gt => FloatCC::GreaterThan,
        FloatCc::Ge => FloatCC::GreaterThanOrEqual,
        FloatCc::Ult => FloatCC::UnorderedOrLessThan,
        FloatCc::Ule => FloatCC::UnorderedOrLessThanOrEqual,
        FloatCc::Ugt => FloatCC::UnorderedOrGreaterThan,
        FloatCc::Uge => FloatCC::UnorderedOrGreaterThanOrEqual,
    }
}

/// The float condition code of Cranelift's.
pub fn from_float_cc(cc: FloatCC) -> FloatCc {
    *FloatCc::ALL
        .iter()
        .find(|ours| to_float_cc(**ours) == cc)
        .expect("all fourteen codes are listed")
}

macro_rules! opcodes {
    ($($op:ident = $opcode:ident,)*) => {
        /// The op of a CLIF opcode that maps one to one. Constants and opcodes outside the
        /// vocabulary have none.
        pub fn from_opcode(opcode: Opcode) -> Option<Op> {
            Some(match opcode { $(Opcode::$opcode => Op::$op,)* _ => return None })
        }

        /// The CLIF opcode; constants, leaves and opaque instructions have none.
        pub fn to_opcode(op: Op) -> Option<Opcode> {
            Some(match op {
                $(Op::$op => Opcode::$opcode,)*
                Op::Const | Op::Leaf | Op::Opaque => return None,
            })
        }
    };
}

opcodes! {
    Iadd = Iadd, Isub = Isub, Imul = Imul, Ineg = Ineg, Iabs = Iabs, Umulhi = Umulhi,
    Smulhi = Smulhi, Udiv = Udiv, Sdiv = Sdiv, Urem = Urem, Srem = Srem,
    Band = Band, Bor = Bor, Bxor = Bxor, Bnot = Bnot, Bitselect = Bitselect,
    Ishl = Ishl, Ushr = Ushr, Sshr = Sshr, Rotl = Rotl, Rotr = Rotr,
    Clz = Clz, Ctz = Ctz, Popcnt = Popcnt,
    Smin = Smin, Smax = Smax, Umin = Umin, Umax = Umax,
    UaddSat = UaddSat, SaddSat = SaddSat, UsubSat = UsubSat, SsubSat = SsubSat,
    AvgRound = AvgRound, SqmulRoundSat = SqmulRoundSat, IaddPairwise = IaddPairwise,
    Uextend = Uextend, Sextend = Sextend, Ireduce = Ireduce,
    UwidenLow = UwidenLow, UwidenHigh = UwidenHigh, SwidenLow = SwidenLow, SwidenHigh = SwidenHigh,
    Snarrow = Snarrow, Unarrow = Unarrow, Uunarrow = Uunarrow,
    Icmp = Icmp, Fcmp = Fcmp, Select = Select,
    VanyTrue = VanyTrue, VallTrue = VallTrue, VhighBits = VhighBits,
    Splat = Splat, ScalarToVector = ScalarToVector, Extractlane = Extractlane,
    Insertlane = Insertlane, Shuffle = Shuffle, Swizzle = Swizzle,
    Fadd = Fadd, Fsub = Fsub, Fmul = Fmul, Fdiv = Fdiv, Sqrt = Sqrt, Fma = Fma,
    Fneg = Fneg, Fabs = Fabs, Fcopysign = Fcopysign, Fmin = Fmin, Fmax = Fmax,
    Ceil = Ceil, Floor = Floor, Trunc = Trunc, Nearest = Nearest,
    Fpromote = Fpromote, Fdemote = Fdemote, FvpromoteLow = FvpromoteLow, Fvdemote = Fvdemote,
    FcvtToUintSat = FcvtToUintSat, FcvtToSintSat = FcvtToSintSat,
    FcvtFromUint = FcvtFromUint, FcvtFromSint = FcvtFromSint, Bitcast = Bitcast,
    Blendv = Blendv, X86Pmaddubsw = X86Pmaddubsw, X86Pmulhrsw = X86Pmulhrsw,
    X86Pshufb = X86Pshufb, X86Cvtt2dq = X86Cvtt2dq,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cranelifts() {
        for op in Op::ALL {
            if let Some(opcode) = to_opcode(*op) {
                assert_eq!(opcode.to_string(), op.name());
                assert_eq!(from_opcode(opcode), Some(*op));
            }
        }
        for ty in Ty::ALL {
            assert_eq!(to_type(ty).to_string(), ty.name());
            assert_eq!(from_type(to_type(ty)), Some(ty));
        }
        for cc in IntCc::ALL {
            assert_eq!(to_int_cc(*cc).to_string(), cc.name());
        }
        for cc in FloatCc::ALL {
            assert_eq!(to_float_cc(*cc).to_string(), cc.name());
        }
    }
}
