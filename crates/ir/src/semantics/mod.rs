//! What every op computes: the one definition, generic over a [`Domain`].
//!
//! Lane-wise ops are lifted from one scalar definition; everything else is built from bit-vector
//! and IEEE primitives. Nothing here knows how values are represented, and no op is defined
//! anywhere else. Invariant: for well-typed operands the result has exactly the bits of the
//! node's result type.
//!
//! Shift amounts are taken modulo the lane width and may come in any integer width from 8 bits;
//! a condition is any integer and holds where it is not zero. Float arithmetic whose result is a
//! NaN answers [`Domain::nan_result`]; `fneg`, `fabs`, `fcopysign` and everything that only moves
//! bits keep NaNs as they are.

mod domain;
pub(crate) mod float;
pub(crate) mod int;
pub(crate) mod vector;

pub use domain::{Domain, Float, Rounding};
pub use vector::shuffle_by;

use crate::{FloatCc, ImmKind, IntCc, Node, Op, Ty, TypeRule};

/// Why a node has no meaning.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SemanticsError {
    /// The op names a value from outside.
    #[error("`{0}` names a value, it does not compute one; give the value instead")]
    NoMeaning(Op),
    /// The op does not work on these types.
    #[error("`{op}` does not work on `{ty}` from `{from}`; see its row in the op table")]
    Types {
        /// The op.
        op: Op,
        /// The node's type.
        ty: Ty,
        /// The node's operand type.
        from: Ty,
    },
    /// The wrong number of operands.
    #[error("`{op}` takes {expected} operands, {found} were given")]
    Operands {
        /// The op.
        op: Op,
        /// How many it takes.
        expected: usize,
        /// How many there were.
        found: usize,
    },
    /// The immediate is none of the op's.
    #[error("`{op}.{ty}` cannot have the immediate {imm:#x}")]
    Immediate {
        /// The op.
        op: Op,
        /// The node's type.
        ty: Ty,
        /// The immediate.
        imm: u128,
    },
}

/// Checks types, operand count and immediate of `node`, given `found` operands.
pub(crate) fn check(node: &Node, found: usize) -> Result<(), SemanticsError> {
    let Node { op, ty, from, imm, .. } = *node;
    if matches!(op, Op::Leaf | Op::Opaque) {
        return Err(SemanticsError::NoMeaning(op));
    }
    if !op.allows(ty, from) {
        return Err(SemanticsError::Types { op, ty, from });
    }
    if found != op.arity() {
        return Err(SemanticsError::Operands { op, expected: op.arity(), found });
    }
    let fits = match op.imm_kind() {
        ImmKind::None => imm == 0,
        ImmKind::Bits => imm & !ty.mask() == 0,
        ImmKind::IntCc => imm < IntCc::ALL.len() as u128,
        ImmKind::FloatCc => imm < FloatCc::ALL.len() as u128,
        ImmKind::Lane => imm < u128::from(ty.lanes()),
        ImmKind::Mask => imm & 0xe0e0_e0e0_e0e0_e0e0_e0e0_e0e0_e0e0_e0e0 == 0,
        ImmKind::Index => true,
    };
    if fits { Ok(()) } else { Err(SemanticsError::Immediate { op, ty, imm }) }
}

/// What `node` computes from `args`, in the domain `d`.
///
/// `args` are the values of the operands in order, each as wide as its type (the amount of a
/// shift and the condition of a select: any integer width). The operand classes of `node` are not
/// looked at.
///
/// # Errors
/// [`SemanticsError`] if the node is a leaf or not well-formed.
pub fn apply<D: Domain>(
    d: &mut D,
    node: &Node,
    args: &[D::Bits],
) -> Result<D::Bits, SemanticsError> {
    check(node, args.len())?;
    let Node { op, ty, imm, .. } = *node;
    Ok(match op {
        Op::Const => d.constant(ty.bits(), imm),
        Op::Iadd
        | Op::Isub
        | Op::Imul
        | Op::Umulhi
        | Op::Smulhi
        | Op::Udiv
        | Op::Sdiv
        | Op::Urem
        | Op::Srem
        | Op::Smin
        | Op::Smax
        | Op::Umin
        | Op::Umax
        | Op::UaddSat
        | Op::SaddSat
        | Op::UsubSat
        | Op::SsubSat
        | Op::AvgRound
        | Op::SqmulRoundSat
        | Op::X86Pmulhrsw => {
            map2(d, ty, &args[0], &args[1], |d, a, b| int::binary(d, op, ty, a, b))
        }
        Op::Ineg | Op::Iabs | Op::Clz | Op::Ctz | Op::Popcnt => {
            map1(d, ty, ty, &args[0], |d, a| int::unary(d, op, ty.lane_bits(), a))
        }
        Op::Ishl | Op::Ushr | Op::Sshr | Op::Rotl | Op::Rotr => {
            let w = ty.lane_bits();
            let amount = d.extract(&args[1], 0, w.ilog2());
            let amount = d.zext(&amount, w.ilog2(), w);
            map1(d, ty, ty, &args[0], |d, a| int::shift(d, op, w, a, &amount))
        }
        Op::Band | Op::Bor | Op::Bxor | Op::Bnot | Op::Bitselect => {
            int::bitwise(d, op, ty.bits(), args)
        }
        Op::Uextend => d.zext(&args[0], node.from.bits(), ty.bits()),
        Op::Sextend => d.sext(&args[0], node.from.bits(), ty.bits()),
        Op::Ireduce => d.extract(&args[0], 0, ty.bits()),
        Op::Bitcast => args[0].clone(),
        Op::Select => {
            let otherwise = d.is_zero(&args[0]);
            d.ite(ty.bits(), &otherwise, &args[2], &args[1])
        }
        Op::Icmp => {
            let code = IntCc::from_imm(imm).expect("checked above");
            compare(d, ty, &args[0], &args[1], |d, a, b| {
                int::compare(d, code, ty.lane_bits(), a, b)
            })
        }
        Op::Fcmp => {
            let code = FloatCc::from_imm(imm).expect("checked above");
            let format = float::format(ty);
            compare(d, ty, &args[0], &args[1], |d, a, b| float::compare(d, code, format, a, b))
        }
        Op::IaddPairwise
        | Op::UwidenLow
        | Op::UwidenHigh
        | Op::SwidenLow
        | Op::SwidenHigh
        | Op::Snarrow
        | Op::Unarrow
        | Op::Uunarrow
        | Op::VanyTrue
        | Op::VallTrue
        | Op::VhighBits
        | Op::Splat
        | Op::ScalarToVector
        | Op::Extractlane
        | Op::Insertlane
        | Op::Shuffle
        | Op::Swizzle
        | Op::Blendv
        | Op::X86Pmaddubsw
        | Op::X86Pshufb => vector::apply(d, node, args),
        Op::Fadd | Op::Fsub | Op::Fmul | Op::Fdiv | Op::Fmin | Op::Fmax | Op::Fcopysign => {
            map2(d, ty, &args[0], &args[1], |d, a, b| float::binary(d, op, float::format(ty), a, b))
        }
        Op::Sqrt | Op::Fneg | Op::Fabs | Op::Ceil | Op::Floor | Op::Trunc | Op::Nearest => {
            map1(d, ty, ty, &args[0], |d, a| float::unary(d, op, float::format(ty), a))
        }
        Op::Fma => float::fma(d, ty, args),
        Op::Fpromote
        | Op::Fdemote
        | Op::FvpromoteLow
        | Op::Fvdemote
        | Op::FcvtToUintSat
        | Op::FcvtToSintSat
        | Op::FcvtFromUint
        | Op::FcvtFromSint
        | Op::X86Cvtt2dq => float::convert(d, node, &args[0]),
        Op::Leaf | Op::Opaque => return Err(SemanticsError::NoMeaning(op)),
    })
}

/// Lane `index` of `x`; scalars are their own lane.
fn lane<D: Domain>(d: &mut D, ty: Ty, x: &D::Bits, index: u32) -> D::Bits {
    if ty.is_vector() { d.extract(x, index * ty.lane_bits(), ty.lane_bits()) } else { x.clone() }
}

/// A vector (or scalar) whose `n` lanes of `w` bits are given by `lane`, lane 0 lowest.
pub(crate) fn build<D: Domain>(
    d: &mut D,
    n: u32,
    w: u32,
    mut lane: impl FnMut(&mut D, u32) -> D::Bits,
) -> D::Bits {
    let mut built = lane(d, 0);
    for index in 1..n {
        let next = lane(d, index);
        built = d.concat(&next, w, &built, index * w);
    }
    built
}

/// Lifts a scalar definition to the lanes of `from`, giving lanes of `to`, of which there are as
/// many.
fn map1<D: Domain>(
    d: &mut D,
    to: Ty,
    from: Ty,
    x: &D::Bits,
    mut scalar: impl FnMut(&mut D, &D::Bits) -> D::Bits,
) -> D::Bits {
    build(d, to.lanes(), to.lane_bits(), |d, index| {
        let a = lane(d, from, x, index);
        scalar(d, &a)
    })
}

/// Lifts a scalar definition of two operands.
fn map2<D: Domain>(
    d: &mut D,
    ty: Ty,
    x: &D::Bits,
    y: &D::Bits,
    mut scalar: impl FnMut(&mut D, &D::Bits, &D::Bits) -> D::Bits,
) -> D::Bits {
    build(d, ty.lanes(), ty.lane_bits(), |d, index| {
        let (a, b) = (lane(d, ty, x, index), lane(d, ty, y, index));
        scalar(d, &a, &b)
    })
}

/// Lifts a comparison: lanes of ones or zeros, for scalars an `i8` of 1 or 0.
fn compare<D: Domain>(
    d: &mut D,
    ty: Ty,
    x: &D::Bits,
    y: &D::Bits,
    mut holds: impl FnMut(&mut D, &D::Bits, &D::Bits) -> D::Bool,
) -> D::Bits {
    if !ty.is_vector() {
        let holds = holds(d, x, y);
        return truth(d, &holds);
    }
    map2(d, ty, x, y, |d, a, b| {
        let holds = holds(d, a, b);
        let (ones, zeros) = (d.constant(ty.lane_bits(), u128::MAX), d.constant(ty.lane_bits(), 0));
        d.ite(ty.lane_bits(), &holds, &ones, &zeros)
    })
}

/// An `i8` of 1 or 0.
fn truth<D: Domain>(d: &mut D, holds: &D::Bool) -> D::Bits {
    let (one, zero) = (d.constant(8, 1), d.constant(8, 0));
    d.ite(8, holds, &one, &zero)
}

impl Op {
    /// Whether a node of this op may have the types `ty` and `from`.
    ///
    /// `from` is the operand type of conversions and of `vhigh_bits`, and equals `ty` elsewhere.
    pub fn allows(self, ty: Ty, from: Ty) -> bool {
        if !self.types().contains(ty) || from == Ty::I128 || self.result_type(ty).is_none() {
            return false;
        }
        if self.type_rule() == TypeRule::Gather {
            return from.is_vector();
        }
        if self.type_rule() != TypeRule::Convert {
            return from == ty;
        }
        let same_shape = from.lanes() == ty.lanes();
        match self {
            Op::Uextend | Op::Sextend => {
                from.is_int() && !from.is_vector() && from.bits() < ty.bits()
            }
            Op::Ireduce => from.is_int() && !from.is_vector() && from.bits() > ty.bits(),
            Op::Fpromote => from == Ty::F32,
            Op::Fdemote => from == Ty::F64,
            Op::FvpromoteLow | Op::X86Cvtt2dq => from == Ty::F32X4,
            Op::Fvdemote => from == Ty::F64X2,
            Op::FcvtToUintSat | Op::FcvtToSintSat => from.is_float() && same_shape,
            Op::FcvtFromUint | Op::FcvtFromSint => from.is_int() && same_shape,
            Op::Bitcast => from != ty && from.bits() == ty.bits(),
            _ => false,
        }
    }

    /// Every pair of types that [`Op::allows`].
    pub fn type_pairs(self) -> impl Iterator<Item = (Ty, Ty)> {
        Ty::ALL
            .into_iter()
            .flat_map(|ty| Ty::ALL.into_iter().map(move |from| (ty, from)))
            .filter(move |(ty, from)| self.allows(*ty, *from))
    }
}
