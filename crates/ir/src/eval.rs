//! The concrete evaluator: the domain of numbers, and constant folding on top of it.
//!
//! Defines no op; what ops compute stands in [`crate::semantics`]. Invariant: every value has
//! zeros above the width of its type.
//!
//! Scalars stand in the low bits, zero-extended; vectors fill all 128 bits with lane 0 lowest.
//! A float result that is a NaN is the canonical positive quiet NaN, whatever went in: see
//! [`Domain::nan_result`]. So a NaN of [`eval`] stands for "some quiet NaN" after float
//! arithmetic, and [`fold`] answers nothing there.

use crate::semantics::{self, Domain, Float, Rounding, SemanticsError};
use crate::{Node, Op, Ty};

/// Why a node cannot be evaluated.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EvalError {
    /// The node is a leaf or not well-formed.
    #[error(transparent)]
    Semantics(#[from] SemanticsError),
    /// Division by zero, which no well-formed node has.
    #[error("`{0}` by zero; only divisions by a divisor known not to be zero are pure")]
    DivisionByZero(Op),
    /// The quotient of the least integer by -1.
    #[error("`{0}` of the least integer by -1 overflows; such a division is not pure")]
    DivisionOverflow(Op),
}

/// What `node` computes from `args`, looking at its op, types and immediate only.
///
/// Operands may have bits above their type; they are ignored, except that a condition holds if
/// any of its bits is set, so it must be clean.
///
/// # Errors
/// [`EvalError`] for leaves, ill-formed nodes and impossible divisions.
pub fn eval(node: &Node, args: &[u128]) -> Result<u128, EvalError> {
    let mut clean = [0; 3];
    if args.len() > clean.len() {
        semantics::check(node, args.len())?;
    }
    for (index, (slot, arg)) in clean.iter_mut().zip(args).enumerate() {
        let ty = node.op.operand_type(node.ty, node.from, index);
        *slot = arg & ty.map_or(u128::MAX, Ty::mask);
    }
    let args = &clean[..args.len().min(3)];
    if let (Op::Udiv | Op::Sdiv | Op::Urem | Op::Srem, &[dividend, divisor]) = (node.op, args) {
        semantics::check(node, 2)?;
        if divisor == 0 {
            return Err(EvalError::DivisionByZero(node.op));
        }
        let overflows = divisor == node.ty.mask() && dividend == 1 << (node.ty.bits() - 1);
        if node.op == Op::Sdiv && overflows {
            return Err(EvalError::DivisionOverflow(node.op));
        }
    }
    Ok(semantics::apply(&mut Concrete, node, args)?)
}

/// The constant that `node` of constant operands may be replaced by.
///
/// Bit-exact with what stock code computes at run time: answers nothing where that is a trap or
/// leaves bits open, that is for float arithmetic with a NaN in any lane of the result.
pub fn fold(node: &Node, args: &[u128]) -> Option<u128> {
    let result = eval(node, args).ok()?;
    if nan_bits_are_open(node.op) && has_nan(node.result_type(), result) {
        return None;
    }
    Some(result)
}

/// Whether a NaN that `op` computes has open sign and payload.
pub const fn nan_bits_are_open(op: Op) -> bool {
    matches!(
        op,
        Op::Fadd
            | Op::Fsub
            | Op::Fmul
            | Op::Fdiv
            | Op::Sqrt
            | Op::Fma
            | Op::Fmin
            | Op::Fmax
            | Op::Ceil
            | Op::Floor
            | Op::Trunc
            | Op::Nearest
            | Op::Fpromote
            | Op::Fdemote
            | Op::FvpromoteLow
            | Op::Fvdemote
    )
}

/// Whether any lane of `bits`, a value of float type `ty`, is a NaN.
pub fn has_nan(ty: Ty, bits: u128) -> bool {
    let Some(format) = Float::of_lanes(ty) else { return false };
    (0..ty.lanes()).any(|lane| format.is_nan(ty.lane_of(bits, lane)))
}

impl Node {
    /// A node for [`eval`] and its kin, which look at no operand classes: the slots in use hold
    /// class 0.
    pub fn detached(op: Op, ty: Ty, from: Ty, imm: u128) -> Node {
        let mut args = [crate::ClassId::NONE; 3];
        args[..op.arity()].fill(crate::ClassId(0));
        Node { op, ty, from, imm, args }
    }
}

/// The domain of numbers.
#[derive(Clone, Copy, Default, Debug)]
pub struct Concrete;

const fn ones(w: u32) -> u128 {
    u128::MAX >> (128 - w)
}

const fn signed(w: u32, x: u128) -> i128 {
    (x << (128 - w)) as i128 >> (128 - w)
}

fn single(x: &u128) -> f32 {
    f32::from_bits(*x as u32)
}

fn double(x: &u128) -> f64 {
    f64::from_bits(*x as u64)
}

/// Evaluates one float expression in either format.
macro_rules! in_format {
    ($f:expr, |$($x:ident),*| $result:expr) => {
        match $f {
            Float::Single => {
                $(let $x = single($x);)*
                u128::from($result.to_bits())
            }
            Float::Double => {
                $(let $x = double($x);)*
                u128::from($result.to_bits())
            }
        }
    };
}

macro_rules! holds_in_format {
    ($f:expr, |$($x:ident),*| $result:expr) => {
        match $f {
            Float::Single => {
                $(let $x = single($x);)*
                $result
            }
            Float::Double => {
                $(let $x = double($x);)*
                $result
            }
        }
    };
}

impl Domain for Concrete {
    type Bits = u128;
    type Bool = bool;

    #[inline]
    fn constant(&mut self, w: u32, bits: u128) -> u128 {
        bits & ones(w)
    }
    #[inline]
    fn extract(&mut self, x: &u128, low: u32, w: u32) -> u128 {
        (x >> low) & ones(w)
    }
    #[inline]
    fn concat(&mut self, high: &u128, _high_width: u32, low: &u128, low_width: u32) -> u128 {
        high << low_width | low
    }
    #[inline]
    fn zext(&mut self, x: &u128, _w: u32, _to: u32) -> u128 {
        *x
    }
    #[inline]
    fn sext(&mut self, x: &u128, w: u32, to: u32) -> u128 {
        signed(w, *x) as u128 & ones(to)
    }
    #[inline]
    fn add(&mut self, w: u32, a: &u128, b: &u128) -> u128 {
        a.wrapping_add(*b) & ones(w)
    }
    #[inline]
    fn sub(&mut self, w: u32, a: &u128, b: &u128) -> u128 {
        a.wrapping_sub(*b) & ones(w)
    }
    #[inline]
    fn mul(&mut self, w: u32, a: &u128, b: &u128) -> u128 {
        a.wrapping_mul(*b) & ones(w)
    }
    fn udiv(&mut self, w: u32, a: &u128, b: &u128) -> u128 {
        a.checked_div(*b).unwrap_or(ones(w))
    }
    fn sdiv(&mut self, w: u32, a: &u128, b: &u128) -> u128 {
        signed(w, *a).checked_div(signed(w, *b)).map_or(ones(w), |q| q as u128 & ones(w))
    }
    fn urem(&mut self, _w: u32, a: &u128, b: &u128) -> u128 {
        a.checked_rem(*b).unwrap_or(*a)
    }
    fn srem(&mut self, w: u32, a: &u128, b: &u128) -> u128 {
        signed(w, *a).checked_rem(signed(w, *b)).map_or(*a, |r| r as u128 & ones(w))
    }
    #[inline]
    fn and(&mut self, _w: u32, a: &u128, b: &u128) -> u128 {
        a & b
    }
    #[inline]
    fn or(&mut self, _w: u32, a: &u128, b: &u128) -> u128 {
        a | b
    }
    #[inline]
    fn xor(&mut self, _w: u32, a: &u128, b: &u128) -> u128 {
        a ^ b
    }
    #[inline]
    fn not(&mut self, w: u32, a: &u128) -> u128 {
        !a & ones(w)
    }
    #[inline]
    fn shl(&mut self, w: u32, a: &u128, amount: &u128) -> u128 {
        (a << amount) & ones(w)
    }
    #[inline]
    fn lshr(&mut self, _w: u32, a: &u128, amount: &u128) -> u128 {
        a >> amount
    }
    #[inline]
    fn ashr(&mut self, w: u32, a: &u128, amount: &u128) -> u128 {
        (signed(w, *a) >> amount) as u128 & ones(w)
    }
    #[inline]
    fn is_zero(&mut self, x: &u128) -> bool {
        *x == 0
    }
    #[inline]
    fn eq(&mut self, _w: u32, a: &u128, b: &u128) -> bool {
        a == b
    }
    #[inline]
    fn ult(&mut self, _w: u32, a: &u128, b: &u128) -> bool {
        a < b
    }
    #[inline]
    fn slt(&mut self, w: u32, a: &u128, b: &u128) -> bool {
        signed(w, *a) < signed(w, *b)
    }
    #[inline]
    fn bool_not(&mut self, a: &bool) -> bool {
        !a
    }
    #[inline]
    fn bool_and(&mut self, a: &bool, b: &bool) -> bool {
        *a && *b
    }
    #[inline]
    fn bool_or(&mut self, a: &bool, b: &bool) -> bool {
        *a || *b
    }
    #[inline]
    fn ite(&mut self, _w: u32, c: &bool, a: &u128, b: &u128) -> u128 {
        if *c { *a } else { *b }
    }

    fn fadd(&mut self, f: Float, a: &u128, b: &u128) -> u128 {
        in_format!(f, |a, b| (a + b))
    }
    fn fsub(&mut self, f: Float, a: &u128, b: &u128) -> u128 {
        in_format!(f, |a, b| (a - b))
    }
    fn fmul(&mut self, f: Float, a: &u128, b: &u128) -> u128 {
        in_format!(f, |a, b| (a * b))
    }
    fn fdiv(&mut self, f: Float, a: &u128, b: &u128) -> u128 {
        in_format!(f, |a, b| (a / b))
    }
    fn fsqrt(&mut self, f: Float, a: &u128) -> u128 {
        in_format!(f, |a| a.sqrt())
    }
    fn ffma(&mut self, f: Float, a: &u128, b: &u128, c: &u128) -> u128 {
        in_format!(f, |a, b, c| a.mul_add(b, c))
    }
    fn fround(&mut self, f: Float, mode: Rounding, a: &u128) -> u128 {
        match mode {
            Rounding::Up => in_format!(f, |a| a.ceil()),
            Rounding::Down => in_format!(f, |a| a.floor()),
            Rounding::Zero => in_format!(f, |a| a.trunc()),
            Rounding::Nearest => in_format!(f, |a| a.round_ties_even()),
        }
    }
    fn feq(&mut self, f: Float, a: &u128, b: &u128) -> bool {
        holds_in_format!(f, |a, b| a == b)
    }
    fn flt(&mut self, f: Float, a: &u128, b: &u128) -> bool {
        holds_in_format!(f, |a, b| a < b)
    }
    fn is_nan(&mut self, f: Float, a: &u128) -> bool {
        f.is_nan(*a)
    }
    fn fconvert(&mut self, from: Float, to: Float, a: &u128) -> u128 {
        match (from, to) {
            (Float::Single, Float::Double) => u128::from(f64::from(single(a)).to_bits()),
            (Float::Double, Float::Single) => u128::from((double(a) as f32).to_bits()),
            _ => *a,
        }
    }
    fn float_to_int(&mut self, f: Float, signed: bool, w: u32, a: &u128) -> u128 {
        let x = match f {
            Float::Single => f64::from(single(a)),
            Float::Double => double(a),
        };
        (if signed { x as i128 as u128 } else { x as u128 }) & ones(w)
    }
    fn float_from_int(&mut self, f: Float, is_signed: bool, w: u32, a: &u128) -> u128 {
        match (f, is_signed) {
            (Float::Single, false) => u128::from((*a as f32).to_bits()),
            (Float::Single, true) => u128::from((signed(w, *a) as f32).to_bits()),
            (Float::Double, false) => u128::from((*a as f64).to_bits()),
            (Float::Double, true) => u128::from((signed(w, *a) as f64).to_bits()),
        }
    }
    fn nan_result(&mut self, f: Float, _inputs: &[&u128]) -> u128 {
        f.canonical_nan()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(op: Op, ty: Ty, args: &[u128]) -> u128 {
        eval(&Node::detached(op, ty, ty, 0), args).unwrap()
    }

    #[test]
    fn lanes_do_not_touch() {
        let a = Ty::I8X16.splat_bits(0xff);
        let one = Ty::I8X16.splat_bits(1);
        assert_eq!(run(Op::Iadd, Ty::I8X16, &[a, one]), 0);
        assert_eq!(run(Op::UaddSat, Ty::I8X16, &[a, one]), a);
        assert_eq!(run(Op::Iadd, Ty::I16X8, &[a, one]), Ty::I16X8.splat_bits(0x100));
    }

    #[test]
    fn amounts_are_taken_modulo_the_lane_width() {
        assert_eq!(run(Op::Ishl, Ty::I32, &[1, 33]), 2);
        assert_eq!(run(Op::Sshr, Ty::I8, &[0x80, 15]), 0xff);
        assert_eq!(run(Op::Rotl, Ty::I16, &[0x8001, 16]), 0x8001);
        assert_eq!(run(Op::Rotr, Ty::I16, &[0x8001, 1]), 0xc000);
    }

    #[test]
    fn counts_agree_with_rust() {
        for x in [0u64, 1, 2, 0x8000_0000_0000_0000, u64::MAX, 0x00f0_1234_0000_0000] {
            let bits = u128::from(x);
            assert_eq!(run(Op::Clz, Ty::I64, &[bits]), x.leading_zeros().into());
            assert_eq!(run(Op::Ctz, Ty::I64, &[bits]), x.trailing_zeros().into());
            assert_eq!(run(Op::Popcnt, Ty::I64, &[bits]), x.count_ones().into());
        }
    }

    #[test]
    fn impossible_divisions_are_errors() {
        let node = Node::detached(Op::Sdiv, Ty::I32, Ty::I32, 0);
        assert_eq!(eval(&node, &[1, 0]), Err(EvalError::DivisionByZero(Op::Sdiv)));
        let least = 0x8000_0000;
        assert_eq!(eval(&node, &[least, 0xffff_ffff]), Err(EvalError::DivisionOverflow(Op::Sdiv)));
        assert_eq!(fold(&node, &[least, 0xffff_ffff]), None);
        assert_eq!(fold(&node, &[7, 0xffff_fffe]), Some(0xffff_fffd));
    }

    #[test]
    fn nans_are_not_folded() {
        let infinity = Float::Single.infinity();
        let node = Node::detached(Op::Fsub, Ty::F32, Ty::F32, 0);
        assert_eq!(eval(&node, &[infinity, infinity]), Ok(Float::Single.canonical_nan()));
        assert_eq!(fold(&node, &[infinity, infinity]), None);
        let negate = Node::detached(Op::Fneg, Ty::F32, Ty::F32, 0);
        assert_eq!(fold(&negate, &[0x7f80_0001]), Some(0xff80_0001));
    }

    #[test]
    fn ill_formed_nodes_are_errors() {
        let too_few = Node::detached(Op::Iadd, Ty::I32, Ty::I32, 0);
        assert!(matches!(
            eval(&too_few, &[1]),
            Err(EvalError::Semantics(SemanticsError::Operands { expected: 2, found: 1, .. }))
        ));
        assert!(eval(&too_few, &[1; 4]).is_err());
        let lane = Node::detached(Op::Extractlane, Ty::I32X4, Ty::I32X4, 4);
        assert!(matches!(
            eval(&lane, &[0]),
            Err(EvalError::Semantics(SemanticsError::Immediate { .. }))
        ));
        let types = Node::detached(Op::Udiv, Ty::I32X4, Ty::I32X4, 0);
        assert!(matches!(
            eval(&types, &[1, 0]),
            Err(EvalError::Semantics(SemanticsError::Types { .. }))
        ));
        let leaf = Node::detached(Op::Leaf, Ty::I32, Ty::I32, 0);
        assert!(eval(&leaf, &[]).is_err());
    }
}
