//! What an op makes of annotations.
//!
//! Lanes that are equal stay equal where an op treats all alike; floats keep to bounds through
//! arithmetic as through exact numbers, since rounding is monotonic and powers of two are floats.
//! Invariant: facts that hold of the operands give annotations that hold of the result. Nothing is
//! said of lanes being equal where they may be NaNs whose bits are open.

use super::annotations::{Annotations, Bound, Floats};
use super::{Facts, KnownBits};
use crate::eval::nan_bits_are_open;
use crate::semantics::Float;
use crate::{Node, Op, Ty, TypeRule, semantics};

/// The annotations of the result of `node`, given what is known of its operands and which of its
/// bits `known_bits` found.
///
/// Leaves, opaque nodes and nodes that are not well-formed have what known bits say. Operand facts
/// that contradict each other give some annotations, and no panic.
pub(super) fn annotations(node: &Node, args: &[Facts], result: KnownBits) -> Annotations {
    let known = Annotations::of_bits(result);
    if semantics::check(node, args.len()).is_err() {
        return known;
    }
    let mut facts = [Facts::unknown(); 3];
    for (index, (fact, arg)) in facts.iter_mut().zip(args).enumerate() {
        let ty = node.op.operand_type(node.ty, node.from, index);
        let bits = arg.bits.intersect(ty.map_or(KnownBits::unknown(), KnownBits::of_type));
        let annotations = arg.annotations.intersect(Annotations::of_bits(bits));
        *fact = Facts { bits, annotations, ..*arg };
    }
    let facts = &facts[..args.len()];
    let (single, double) = (floats(node, facts, Float::Single), floats(node, facts, Float::Double));
    let all = known.intersect(single.set()).intersect(double.set());
    let ty = node.result_type();
    let same_nans = !nan_bits_are_open(node.op)
        || Float::of_lanes(ty).is_some_and(|float| all.floats(float).not_nan);
    if ty.is_vector() && same_nans {
        all.intersect(Annotations::of_period(period(node, facts)))
    } else {
        all
    }
}

/// After how many bits the result repeats.
fn period(node: &Node, facts: &[Facts]) -> u32 {
    const NEVER: u32 = 128;
    let Node { op, ty, from, imm, .. } = *node;
    let w = ty.lane_bits();
    let of = |index: usize| facts[index].annotations.period();
    let longest = |range: std::ops::Range<usize>| range.map(of).max().unwrap_or(NEVER);
    let all = || longest(0..facts.len()).max(w);
    match op {
        Op::IaddPairwise => NEVER,
        Op::Shuffle => shuffled(imm, [of(0), of(1)]),
        // Each byte is a function of its selector.
        Op::Swizzle | Op::X86Pshufb => of(1),
        Op::FvpromoteLow => 2 * of(0).max(from.lane_bits()),
        _ => match op.type_rule() {
            TypeRule::Same | TypeRule::Bits | TypeRule::Compare => all(),
            TypeRule::MulAddBytes => all().max(16),
            TypeRule::Shift => of(0).max(w),
            TypeRule::Select => longest(1..3),
            TypeRule::Widen => 2 * of(0).max(w),
            TypeRule::Splat if op == Op::Splat => w,
            TypeRule::Convert if from.lane_bits() == w => all(),
            _ => NEVER,
        },
    }
}

/// After how many bits a shuffle repeats of operands that repeat after so many.
fn shuffled(mask: u128, periods: [u32; 2]) -> u32 {
    let source = |at: u32| {
        let selector = Ty::I8X16.lane_of(mask, at) as u32;
        let operand = selector / 16 % 2;
        (operand, selector % 16 % (periods[operand as usize] / 8))
    };
    let repeats = |bytes: u32| (bytes..16).all(|at| source(at) == source(at - bytes));
    [1, 2, 4, 8].into_iter().find(|bytes| repeats(*bytes)).map_or(128, |bytes| 8 * bytes)
}

/// What is known of the result's lanes as floats of one format.
fn floats(node: &Node, facts: &[Facts], float: Float) -> Floats {
    let Node { op, ty, from, imm, .. } = *node;
    let unknown = Floats::unknown(float);
    let of = |index: usize| facts[index].annotations.floats(float);
    let is_mask = |index: usize| {
        let shape = if float == Float::Single { Ty::I32X4 } else { Ty::I64X2 };
        let shape = if ty.is_vector() { shape } else { shape.lane() };
        shape.bits() == ty.bits() && facts[index].sign_copies(shape) == float.bits() - 1
    };
    // Lanes that the op moves are made of whole floats.
    let whole = ty.lane_bits() >= float.bits();
    match op {
        Op::Splat | Op::ScalarToVector | Op::Extractlane if whole => of(0),
        Op::Insertlane if whole => of(0).join(of(1)),
        Op::Shuffle => moved(imm, float, [of(0), of(1)]),
        Op::Select => of(1).join(of(2)),
        Op::Blendv if whole => of(1).join(of(2)),
        Op::Bitselect if is_mask(0) => of(1).join(of(2)),
        // A lane, or +0.
        Op::Band if is_mask(0) => of(1),
        Op::Band if is_mask(1) => of(0),
        Op::Bitcast if from.bits() == ty.bits() => of(0),
        Op::Fpromote | Op::FvpromoteLow if float == Float::Double => {
            Floats { float, ..facts[0].annotations.floats(Float::Single) }
        }
        Op::Fdemote | Op::Fvdemote if float == Float::Single => {
            demoted(facts[0].annotations.floats(Float::Double))
        }
        _ if Float::of_lanes(ty) != Some(float) => unknown,
        Op::FcvtFromUint | Op::FcvtFromSint => from_integers(op, from, float, &facts[0]),
        Op::Fabs => {
            Floats { under: of(0).magnitude(), over: Bound::ZERO, no_minus_zero: true, ..of(0) }
        }
        Op::Fneg => negated(of(0)),
        Op::Fcopysign => {
            let bound = of(0).magnitude().min(Bound::below(0));
            Floats { under: bound, over: bound, no_minus_zero: false, ..of(0) }
        }
        Op::Fadd => added(of(0), of(1)),
        Op::Fsub => added(of(0), negated(of(1))),
        Op::Fmul => multiplied(of(0), of(1)),
        Op::Fdiv => divided(of(0), of(1), at_least_one(ty, float, facts[1].bits)),
        Op::Fma => {
            let product = multiplied(of(0), of(1));
            // The product is not rounded before, so finite factors never make it infinite.
            let not_nan = (0..3).all(|index| of(index).not_nan && of(index).is_finite());
            // A sum too small for a float becomes a zero with its sign.
            Floats { not_nan, no_minus_zero: false, ..added(product, of(2)) }
        }
        Op::Sqrt => Floats {
            under: of(0).under.exponent().map_or(of(0).under, |n| Bound::below(n / 2 + 1)),
            over: Bound::ZERO,
            not_nan: of(0).not_nan && of(0).not_negative(),
            ..of(0)
        },
        Op::Fmin => Floats { under: of(0).under.max(of(1).under), ..of(0).join(of(1)) },
        Op::Fmax => {
            let both = of(0).join(of(1));
            let has_no_sign = of(0).has_no_sign() || of(1).has_no_sign();
            Floats {
                over: of(0).over.max(of(1).over),
                no_minus_zero: both.no_minus_zero || has_no_sign,
                ..both
            }
        }
        Op::Trunc | Op::Ceil | Op::Floor | Op::Nearest => rounded(op, of(0)),
        _ => unknown,
    }
}

/// The floats that a shuffle moves whole.
fn moved(mask: u128, float: Float, operands: [Floats; 2]) -> Floats {
    let bytes = float.bits() / 8;
    let selector = |at: u32| Ty::I8X16.lane_of(mask, at) as u32;
    (0..16 / bytes)
        .map(|lane| {
            let first = selector(lane * bytes);
            let whole = first.is_multiple_of(bytes)
                && (1..bytes).all(|byte| selector(lane * bytes + byte) == first + byte);
            if whole { operands[(first / 16 % 2) as usize] } else { Floats::unknown(float) }
        })
        .reduce(Floats::join)
        .unwrap_or(Floats::unknown(float))
}

fn demoted(of: Floats) -> Floats {
    let bound = |bound: Bound| match bound.exponent() {
        _ if bound == Bound::ZERO => bound,
        // Rounding may reach the power of two, and beyond all powers infinity.
        Some(n) => Bound::below(n + 1),
        None => Bound::NONE,
    };
    Floats {
        float: Float::Single,
        under: bound(of.under),
        over: bound(of.over),
        // What is too small becomes a zero with its sign.
        no_minus_zero: of.has_no_sign(),
        ..of
    }
}

fn from_integers(op: Op, from: Ty, float: Float, facts: &Facts) -> Floats {
    let (least, greatest) = match (op, facts.signed_range(from)) {
        (Op::FcvtFromUint, (least, greatest)) if least < 0 || greatest < 0 => {
            (0, i128::try_from(facts.bits.umax(from)).unwrap_or(i128::MAX))
        }
        (_, range) => range,
    };
    let bound = |most: i128| {
        let bits = 128 - most.max(0).leading_zeros();
        let exact = bits <= float.fraction_bits() + 1;
        if most <= 0 { Bound::ZERO } else { Bound::below(if exact { bits } else { bits + 1 }) }
    };
    let (under, over) = (bound(greatest), bound(least.saturating_neg()));
    Floats { float, under, over, not_nan: true, no_minus_zero: true }
}

fn negated(of: Floats) -> Floats {
    Floats { under: of.over, over: of.under, no_minus_zero: false, ..of }
}

fn added(a: Floats, b: Floats) -> Floats {
    let bound = |a: Bound, b: Bound| match (a.exponent(), b.exponent()) {
        _ if a == Bound::ZERO => b,
        _ if b == Bound::ZERO => a,
        (Some(a), Some(b)) => Bound::below(a.max(b) + 1),
        _ => Bound::NONE,
    };
    // Only infinities of different signs make a NaN.
    let cancels = |a: Bound, b: Bound| a == Bound::NONE && b == Bound::NONE;
    let opposite = cancels(a.under, b.over) || cancels(a.over, b.under);
    Floats {
        float: a.float,
        under: bound(a.under, b.under),
        over: bound(a.over, b.over),
        not_nan: a.not_nan && b.not_nan && !opposite,
        no_minus_zero: a.no_minus_zero || b.no_minus_zero,
    }
}

fn multiplied(a: Floats, b: Floats) -> Floats {
    let bound = match (a.magnitude().exponent(), b.magnitude().exponent()) {
        (Some(a), Some(b)) => Bound::below(a + b),
        _ => Bound::NONE,
    };
    // Whether the signs are known to be alike, or different; zeros have either.
    let both = |one: Bound, other: Bound| one == Bound::ZERO && other == Bound::ZERO;
    let alike = both(a.over, b.over) || both(a.under, b.under);
    let opposite = both(a.over, b.under) || both(a.under, b.over);
    Floats {
        float: a.float,
        under: if opposite { Bound::ZERO } else { bound },
        over: if alike { Bound::ZERO } else { bound },
        not_nan: a.not_nan && b.not_nan && a.is_finite() && b.is_finite(),
        no_minus_zero: a.has_no_sign() && b.has_no_sign(),
    }
}

/// A quotient; dividing by a number not below one leads no farther.
fn divided(a: Floats, b: Floats, at_least_one: bool) -> Floats {
    let bound = if at_least_one { a.magnitude().min(Bound::below(0)) } else { Bound::NONE };
    let not_negative = a.not_negative() && b.has_no_sign();
    Floats {
        float: a.float,
        under: bound,
        over: if not_negative { Bound::ZERO } else { bound },
        not_nan: at_least_one && a.not_nan && b.not_nan && a.is_finite(),
        no_minus_zero: a.has_no_sign() && b.has_no_sign(),
    }
}

/// Whether no lane is known to be of magnitude below one.
fn at_least_one(ty: Ty, float: Float, bits: KnownBits) -> bool {
    let one = (float.infinity() / 2) >> float.fraction_bits() << float.fraction_bits();
    let magnitude = float.sign_mask() - 1;
    (0..ty.lanes()).all(|index| bits.lane(ty, index).ones & magnitude >= one)
}

fn rounded(op: Op, of: Floats) -> Floats {
    let away = |bound: Bound| match bound.exponent() {
        // Beyond this all are integers.
        Some(n) if bound != Bound::ZERO && n <= of.float.fraction_bits() => Bound::below(n + 1),
        _ => bound,
    };
    let up = matches!(op, Op::Ceil | Op::Nearest);
    let down = matches!(op, Op::Floor | Op::Nearest);
    Floats {
        under: if up { away(of.under) } else { of.under },
        over: if down { away(of.over) } else { of.over },
        // Small negative numbers are rounded up to -0.
        no_minus_zero: of.no_minus_zero && (op == Op::Floor || of.not_negative()),
        ..of
    }
}
