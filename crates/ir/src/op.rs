//! The op vocabulary: one row per CLIF op that wasm with simd128 makes Wasmtime emit.
//!
//! A row gives the CLIF name, the type rule, the immediate, the effect, and algebraic traits.
//! What an op computes stands in `semantics`, nowhere else.

use crate::Ty;
use std::fmt;

/// How an op's operand and result types follow from its types in the node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TypeRule {
    /// All operands and the result have type `ty`.
    Same,
    /// Lane-independent bits: as [`TypeRule::Same`], and vectors are always written `i8x16`.
    Bits,
    /// Operands `ty`; result an integer mask of the same shape, `i8` for scalars.
    Compare,
    /// First operand `ty`, second (the amount) an integer scalar of any width; result `ty`.
    Shift,
    /// First operand an integer scalar (the condition), others and result `ty`; vectors `i8x16`.
    Select,
    /// Operands `ty`; result has lanes twice as wide.
    Widen,
    /// Operands `ty`; result has lanes half as wide.
    Narrow,
    /// Operand `from`, result `ty`.
    Convert,
    /// Operand is the lane type of `ty`; result `ty`.
    Splat,
    /// Operand `ty`; result its lane type.
    Extract,
    /// Operands `ty` and its lane type; result `ty`.
    Insert,
    /// Operand `ty`; result `i8`.
    Test,
    /// Operand `from` (a vector); result `ty` (a scalar).
    Gather,
    /// Operands `i8x16`; result `i16x8`.
    MulAddBytes,
    /// No operands.
    Leaf,
}

/// What the immediate of a node means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImmKind {
    /// There is none; the field is 0.
    None,
    /// The bits of a constant.
    Bits,
    /// An [`IntCc`].
    IntCc,
    /// A [`FloatCc`].
    FloatCc,
    /// A lane number.
    Lane,
    /// Sixteen byte selectors 0–31, byte 0 lowest.
    Mask,
    /// The number of an entry in a table outside the e-graph.
    Index,
}

/// Which types an op works on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TypeSet {
    /// Integer scalars and vectors.
    Int,
    /// Integer scalars.
    IntScalar,
    /// Integer vectors.
    IntVector,
    /// Float scalars and vectors.
    Float,
    /// Any scalar or vector.
    Any,
    /// Any vector.
    Vector,
    /// Exactly the types listed.
    Only(&'static [Ty]),
}

impl TypeSet {
    /// Whether `ty` is in the set. `i128` is only ever in sets that list it.
    pub fn contains(self, ty: Ty) -> bool {
        match self {
            TypeSet::Only(list) => list.contains(&ty),
            _ if ty == Ty::I128 => false,
            TypeSet::Int => ty.is_int(),
            TypeSet::IntScalar => ty.is_int() && !ty.is_vector(),
            TypeSet::IntVector => ty.is_int() && ty.is_vector(),
            TypeSet::Float => ty.is_float(),
            TypeSet::Any => true,
            TypeSet::Vector => ty.is_vector(),
        }
    }
}

macro_rules! ops {
    ($( $(#[$doc:meta])* $op:ident $name:literal $arity:literal $rule:ident $imm:ident $types:expr, $comm:literal; )*) => {
        /// A pure op of the e-graph.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Op { $( $(#[$doc])* $op, )* }

        impl Op {
            /// Every op, in declaration order.
            pub const ALL: &'static [Op] = &[ $( Op::$op, )* ];

            /// The CLIF name, as rules write it.
            pub const fn name(self) -> &'static str {
                match self { $( Op::$op => $name, )* }
            }

            /// Number of value operands; [`Op::Opaque`] has up to three.
            pub const fn arity(self) -> usize {
                match self { $( Op::$op => $arity, )* }
            }

            /// How operand and result types follow from the node's types.
            pub const fn type_rule(self) -> TypeRule {
                match self { $( Op::$op => TypeRule::$rule, )* }
            }

            /// What the immediate means.
            pub const fn imm_kind(self) -> ImmKind {
                match self { $( Op::$op => ImmKind::$imm, )* }
            }

            /// The types that may stand in a node's `ty`.
            pub const fn types(self) -> TypeSet {
                match self { $( Op::$op => $types, )* }
            }

            /// Whether the first two operands may be swapped.
            pub const fn is_commutative(self) -> bool {
                match self { $( Op::$op => $comm, )* }
            }
        }
    };
}

impl Op {
    /// Whether the op is commutative and associative to the bit. Ops of floats are not, as they round.
    pub const fn is_associative(self) -> bool {
        use Op::{Band, Bor, Bxor, Iadd, Imul, Smax, Smin, Umax, Umin};
        matches!(self, Iadd | Imul | Band | Bor | Bxor | Smin | Smax | Umin | Umax)
    }
}

use Ty::*;
use TypeSet::*;

ops! {
    /// A constant: `iconst`, `f32const`, `f64const` or `vconst`.
    Const "const" 0 Leaf Bits Any, false;
    /// A block parameter or the result of a skeleton instruction.
    Leaf "leaf" 0 Leaf Index Any, false;
    /// A pure instruction outside the vocabulary; never looked into.
    Opaque "opaque" 0 Leaf Index Any, false;

    /// Wrapping addition.
    Iadd "iadd" 2 Same None Int, true;
    /// Wrapping subtraction.
    Isub "isub" 2 Same None Int, false;
    /// Wrapping multiplication, low half.
    Imul "imul" 2 Same None Int, true;
    /// Wrapping negation.
    Ineg "ineg" 1 Same None Int, false;
    /// Absolute value; the least integer maps to itself.
    Iabs "iabs" 1 Same None Int, false;
    /// High half of the unsigned product.
    Umulhi "umulhi" 2 Same None Only(&[I16, I32, I64]), true;
    /// High half of the signed product.
    Smulhi "smulhi" 2 Same None Only(&[I16, I32, I64]), true;
    /// Unsigned quotient, only with a divisor known not to be zero.
    Udiv "udiv" 2 Same None IntScalar, false;
    /// Signed quotient, only with a constant divisor other than 0 and -1.
    Sdiv "sdiv" 2 Same None IntScalar, false;
    /// Unsigned remainder, only with a divisor known not to be zero.
    Urem "urem" 2 Same None IntScalar, false;
    /// Signed remainder, only with a constant divisor other than 0 and -1.
    Srem "srem" 2 Same None IntScalar, false;

    /// Bitwise and.
    Band "band" 2 Bits None Any, true;
    /// Bitwise or.
    Bor "bor" 2 Bits None Any, true;
    /// Bitwise exclusive or.
    Bxor "bxor" 2 Bits None Any, true;
    /// Bitwise complement.
    Bnot "bnot" 1 Bits None Any, false;
    /// `(c & x) | (!c & y)`.
    Bitselect "bitselect" 3 Bits None Any, false;
    /// Shift left; the amount is taken modulo the lane width.
    Ishl "ishl" 2 Shift None Int, false;
    /// Logical shift right; the amount is taken modulo the lane width.
    Ushr "ushr" 2 Shift None Int, false;
    /// Arithmetic shift right; the amount is taken modulo the lane width.
    Sshr "sshr" 2 Shift None Int, false;
    /// Rotate left.
    Rotl "rotl" 2 Shift None IntScalar, false;
    /// Rotate right.
    Rotr "rotr" 2 Shift None IntScalar, false;
    /// Leading zeros; the lane width for 0.
    Clz "clz" 1 Same None IntScalar, false;
    /// Trailing zeros; the lane width for 0.
    Ctz "ctz" 1 Same None IntScalar, false;
    /// Number of ones, per lane.
    Popcnt "popcnt" 1 Same None Only(&[I8, I16, I32, I64, I8X16]), false;

    /// Signed minimum.
    Smin "smin" 2 Same None Int, true;
    /// Signed maximum.
    Smax "smax" 2 Same None Int, true;
    /// Unsigned minimum.
    Umin "umin" 2 Same None Int, true;
    /// Unsigned maximum.
    Umax "umax" 2 Same None Int, true;
    /// Unsigned saturating addition.
    UaddSat "uadd_sat" 2 Same None Only(&[I8X16, I16X8]), true;
    /// Signed saturating addition.
    SaddSat "sadd_sat" 2 Same None Only(&[I8X16, I16X8]), true;
    /// Unsigned saturating subtraction.
    UsubSat "usub_sat" 2 Same None Only(&[I8X16, I16X8]), false;
    /// Signed saturating subtraction.
    SsubSat "ssub_sat" 2 Same None Only(&[I8X16, I16X8]), false;
    /// `(x + y + 1) >> 1` without overflow, unsigned.
    AvgRound "avg_round" 2 Same None Only(&[I8X16, I16X8]), true;
    /// `sat((x * y + 0x4000) >> 15)`, signed.
    SqmulRoundSat "sqmul_round_sat" 2 Same None Only(&[I16X8]), true;
    /// Sums of adjacent lanes: those of the first operand, then those of the second.
    IaddPairwise "iadd_pairwise" 2 Same None Only(&[I8X16, I16X8, I32X4]), false;

    /// Zero-extend.
    Uextend "uextend" 1 Convert None IntScalar, false;
    /// Sign-extend.
    Sextend "sextend" 1 Convert None IntScalar, false;
    /// Keep the low bits.
    Ireduce "ireduce" 1 Convert None IntScalar, false;
    /// Zero-extend the low half of the lanes.
    UwidenLow "uwiden_low" 1 Widen None Only(&[I8X16, I16X8, I32X4]), false;
    /// Zero-extend the high half of the lanes.
    UwidenHigh "uwiden_high" 1 Widen None Only(&[I8X16, I16X8, I32X4]), false;
    /// Sign-extend the low half of the lanes.
    SwidenLow "swiden_low" 1 Widen None Only(&[I8X16, I16X8, I32X4]), false;
    /// Sign-extend the high half of the lanes.
    SwidenHigh "swiden_high" 1 Widen None Only(&[I8X16, I16X8, I32X4]), false;
    /// Signed lanes saturated to signed narrow lanes; first operand's lanes first.
    Snarrow "snarrow" 2 Narrow None Only(&[I16X8, I32X4, I64X2]), false;
    /// Signed lanes saturated to unsigned narrow lanes.
    Unarrow "unarrow" 2 Narrow None Only(&[I16X8, I32X4, I64X2]), false;
    /// Unsigned lanes saturated to unsigned narrow lanes.
    Uunarrow "uunarrow" 2 Narrow None Only(&[I16X8, I32X4, I64X2]), false;

    /// Integer comparison.
    Icmp "icmp" 2 Compare IntCc Int, false;
    /// Float comparison.
    Fcmp "fcmp" 2 Compare FloatCc Float, false;
    /// The second operand where the first is not zero, else the third.
    Select "select" 3 Select None Any, false;
    /// Whether any lane is not zero, as 0 or 1.
    VanyTrue "vany_true" 1 Test None IntVector, false;
    /// Whether all lanes are not zero, as 0 or 1.
    VallTrue "vall_true" 1 Test None IntVector, false;
    /// The top bit of each lane, lane 0 lowest.
    VhighBits "vhigh_bits" 1 Gather None Only(&[I8, I16, I32, I64]), false;

    /// One scalar in every lane.
    Splat "splat" 1 Splat None Vector, false;
    /// One scalar in lane 0, zero above.
    ScalarToVector "scalar_to_vector" 1 Splat None Vector, false;
    /// One lane.
    Extractlane "extractlane" 1 Extract Lane Vector, false;
    /// A vector with one lane replaced.
    Insertlane "insertlane" 2 Insert Lane Vector, false;
    /// Bytes picked by a constant mask from both operands.
    Shuffle "shuffle" 2 Bits Mask Only(&[I8X16]), false;
    /// Bytes of the first operand picked by the second; 0 where the selector is above 15.
    Swizzle "swizzle" 2 Bits None Only(&[I8X16]), false;

    /// Addition.
    Fadd "fadd" 2 Same None Float, false;
    /// Subtraction.
    Fsub "fsub" 2 Same None Float, false;
    /// Multiplication.
    Fmul "fmul" 2 Same None Float, false;
    /// Division.
    Fdiv "fdiv" 2 Same None Float, false;
    /// Square root.
    Sqrt "sqrt" 1 Same None Float, false;
    /// Fused multiply-add with one rounding.
    Fma "fma" 3 Same None Float, false;
    /// Flip the sign bit.
    Fneg "fneg" 1 Same None Float, false;
    /// Clear the sign bit.
    Fabs "fabs" 1 Same None Float, false;
    /// Magnitude of the first operand, sign of the second.
    Fcopysign "fcopysign" 2 Same None Float, false;
    /// IEEE 754-2019 minimum: NaN if either is NaN, -0 below +0.
    Fmin "fmin" 2 Same None Float, false;
    /// IEEE 754-2019 maximum: NaN if either is NaN, -0 below +0.
    Fmax "fmax" 2 Same None Float, false;
    /// Round up.
    Ceil "ceil" 1 Same None Float, false;
    /// Round down.
    Floor "floor" 1 Same None Float, false;
    /// Round to zero.
    Trunc "trunc" 1 Same None Float, false;
    /// Round to nearest, ties to even.
    Nearest "nearest" 1 Same None Float, false;
    /// `f32` to `f64`.
    Fpromote "fpromote" 1 Convert None Only(&[F64]), false;
    /// `f64` to `f32`.
    Fdemote "fdemote" 1 Convert None Only(&[F32]), false;
    /// The two low `f32` lanes to `f64`.
    FvpromoteLow "fvpromote_low" 1 Convert None Only(&[F64X2]), false;
    /// Two `f64` lanes to the low `f32` lanes, zero above.
    Fvdemote "fvdemote" 1 Convert None Only(&[F32X4]), false;
    /// Float to unsigned integer, saturating, NaN to 0.
    FcvtToUintSat "fcvt_to_uint_sat" 1 Convert None Only(&[I32, I64, I32X4, I64X2]), false;
    /// Float to signed integer, saturating, NaN to 0.
    FcvtToSintSat "fcvt_to_sint_sat" 1 Convert None Only(&[I32, I64, I32X4, I64X2]), false;
    /// Unsigned integer to float, rounded to nearest even.
    FcvtFromUint "fcvt_from_uint" 1 Convert None Float, false;
    /// Signed integer to float, rounded to nearest even.
    FcvtFromSint "fcvt_from_sint" 1 Convert None Float, false;
    /// The same bits as another scalar type.
    Bitcast "bitcast" 1 Convert None Only(&[I32, I64, F32, F64]), false;

    /// x86: bytes of the second operand where the top bit of the mask (first) is set, else of the
    /// third, lane by lane.
    Blendv "blendv" 3 Same None Only(&[I8X16, I32X4, I64X2]), false;
    /// x86: `sat(Σ i8(x) * u8(y))` over adjacent bytes.
    X86Pmaddubsw "x86_pmaddubsw" 2 MulAddBytes None Only(&[I8X16]), false;
    /// x86: as `sqmul_round_sat` but -1 * -1 wraps.
    X86Pmulhrsw "x86_pmulhrsw" 2 Same None Only(&[I16X8]), true;
    /// x86: swizzle by the low four bits; 0 where the selector's top bit is set.
    X86Pshufb "x86_pshufb" 2 Bits None Only(&[I8X16]), false;
    /// x86: float lanes to `i32`, truncating; out of range and NaN give the least integer.
    X86Cvtt2dq "x86_cvtt2dq" 1 Convert None Only(&[I32X4]), false;
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Op {
    /// The op with this CLIF name.
    pub fn by_name(name: &str) -> Option<Op> {
        Op::ALL.iter().copied().find(|op| op.name() == name)
    }

    /// Whether the op has no operands by nature: constants, leaves and opaque instructions.
    pub const fn is_leaf(self) -> bool {
        matches!(self.type_rule(), TypeRule::Leaf)
    }

    /// The result type for a node of types `ty` and `from`, or `None` where the pair is illegal.
    pub fn result_type(self, ty: Ty) -> Option<Ty> {
        Some(match self.type_rule() {
            TypeRule::Compare if ty.is_vector() => ty.as_int(),
            TypeRule::Compare | TypeRule::Test => Ty::I8,
            TypeRule::Widen => ty.widened()?,
            TypeRule::Narrow => ty.narrowed()?,
            TypeRule::Extract => ty.lane(),
            TypeRule::MulAddBytes => Ty::I16X8,
            _ => ty,
        })
    }

    /// The type of operand `index`, or `None` where any integer scalar will do.
    pub fn operand_type(self, ty: Ty, from: Ty, index: usize) -> Option<Ty> {
        Some(match (self.type_rule(), index) {
            (TypeRule::Shift, 1) | (TypeRule::Select, 0) => return None,
            (TypeRule::Convert | TypeRule::Gather, _) => from,
            (TypeRule::Splat, _) | (TypeRule::Insert, 1) => ty.lane(),
            _ => ty,
        })
    }
}

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $( $(#[$vdoc:meta])* $variant:ident $text:literal, )* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum $name { $( $(#[$vdoc])* $variant, )* }

        impl $name {
            /// Every code, in declaration order; the position is its number in an immediate.
            pub const ALL: &'static [$name] = &[ $( $name::$variant, )* ];

            /// The CLIF name.
            pub const fn name(self) -> &'static str {
                match self { $( $name::$variant => $text, )* }
            }

            /// The code of an immediate.
            pub fn from_imm(imm: u128) -> Option<$name> {
                usize::try_from(imm).ok().and_then(|at| Self::ALL.get(at).copied())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.name()) }
        }
    };
}

codes! {
    /// Integer condition codes.
    IntCc {
        /// equal
        Eq "eq",
        /// not equal
        Ne "ne",
        /// signed less
        Slt "slt",
        /// signed greater or equal
        Sge "sge",
        /// signed greater
        Sgt "sgt",
        /// signed less or equal
        Sle "sle",
        /// unsigned less
        Ult "ult",
        /// unsigned greater or equal
        Uge "uge",
        /// unsigned greater
        Ugt "ugt",
        /// unsigned less or equal
        Ule "ule",
    }
}

codes! {
    /// Float condition codes.
    FloatCc {
        /// ordered
        Ord "ord",
        /// unordered
        Uno "uno",
        /// equal
        Eq "eq",
        /// not equal or unordered
        Ne "ne",
        /// ordered and not equal
        One "one",
        /// unordered or equal
        Ueq "ueq",
        /// less
        Lt "lt",
        /// less or equal
        Le "le",
        /// greater
        Gt "gt",
        /// greater or equal
        Ge "ge",
        /// unordered or less
        Ult "ult",
        /// unordered or less or equal
        Ule "ule",
        /// unordered or greater
        Ugt "ugt",
        /// unordered or greater or equal
        Uge "uge",
    }
}

impl IntCc {
    /// The code that holds exactly where this one does not.
    pub const fn complement(self) -> IntCc {
        match self {
            IntCc::Eq => IntCc::Ne,
            IntCc::Ne => IntCc::Eq,
            IntCc::Slt => IntCc::Sge,
            IntCc::Sge => IntCc::Slt,
            IntCc::Sgt => IntCc::Sle,
            IntCc::Sle => IntCc::Sgt,
            IntCc::Ult => IntCc::Uge,
            IntCc::Uge => IntCc::Ult,
            IntCc::Ugt => IntCc::Ule,
            IntCc::Ule => IntCc::Ugt,
        }
    }

    /// The code for swapped operands.
    pub const fn swapped(self) -> IntCc {
        match self {
            IntCc::Slt => IntCc::Sgt,
            IntCc::Sgt => IntCc::Slt,
            IntCc::Sle => IntCc::Sge,
            IntCc::Sge => IntCc::Sle,
            IntCc::Ult => IntCc::Ugt,
            IntCc::Ugt => IntCc::Ult,
            IntCc::Ule => IntCc::Uge,
            IntCc::Uge => IntCc::Ule,
            symmetric => symmetric,
        }
    }
}
