//! Which bits of a value repeat the bit below them, and signed ranges from that.
//!
//! Known bits cannot say that an `i32` holds a sign-extended `i16`: no bit of it is known, yet its
//! top seventeen are equal. Only repeats between neighbours are kept, so nothing else that bits
//! have in common is seen. Invariant: facts that hold of the operands give facts that hold of the
//! result. Of a float that arithmetic computed nothing is said but what known bits say.

use super::{Facts, KnownBits};
use crate::{Node, Op, Ty, semantics};

/// Bits of a value known to equal the bit below them: bit i says that bits i and i - 1 are equal.
///
/// As [`KnownBits`] it is about the value as 128 bits. Bit 0 says nothing and is not set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SignCopies(pub u128);

/// The low `n` bits.
const fn low(n: u32) -> u128 {
    if n == 0 { 0 } else { u128::MAX >> (128 - n) }
}

impl SignCopies {
    /// Nothing known.
    pub const fn unknown() -> SignCopies {
        SignCopies(0)
    }

    /// All that is true of `bits`.
    pub const fn of_value(bits: u128) -> SignCopies {
        SignCopies(!(bits ^ bits << 1) & !1)
    }

    /// What known bits say: neighbours known to be equal.
    pub const fn of_bits(bits: KnownBits) -> SignCopies {
        SignCopies(bits.zeros & bits.zeros << 1 | bits.ones & bits.ones << 1)
    }

    /// Lanes of `ty` that are sign-extended from their low `n` bits.
    pub const fn extended(ty: Ty, n: u32) -> SignCopies {
        SignCopies(ty.splat_bits(ty.lane_mask() & !low(n)) & !1)
    }

    /// Whether the fact holds of `bits`.
    pub const fn holds_of(self, bits: u128) -> bool {
        self.0 & !SignCopies::of_value(bits).0 & !1 == 0
    }

    /// What is known where both facts hold.
    #[must_use]
    pub const fn intersect(self, other: SignCopies) -> SignCopies {
        SignCopies(self.0 | other.0)
    }

    /// What is known where either fact holds.
    #[must_use]
    pub const fn join(self, other: SignCopies) -> SignCopies {
        SignCopies(self.0 & other.0)
    }
}

impl Facts {
    /// How many top bits of every lane repeat its sign, the sign not counted.
    pub fn sign_copies(self, ty: Ty) -> u32 {
        let run = |index| self.lane(ty, index).scalar_run(ty.lane_bits());
        (0..ty.lanes()).map(run).min().unwrap_or(0)
    }

    /// The least and greatest signed value of any lane.
    pub fn signed_range(self, ty: Ty) -> (i128, i128) {
        (0..ty.lanes())
            .map(|index| self.lane_range(ty, index))
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
            .unwrap_or((i128::MIN, i128::MAX))
    }

    /// The least and greatest signed value of lane `index`. Where facts contradict, the least may
    /// be above the greatest; both fit the lane.
    pub fn lane_range(self, ty: Ty, index: u32) -> (i128, i128) {
        self.lane(ty, index).scalar_range(ty.lane_bits())
    }

    /// All copies known, those that known bits make included.
    const fn all_copies(self) -> u128 {
        (self.copies.0 | SignCopies::of_bits(self.bits).0) & !1
    }

    const fn scalar_run(self, w: u32) -> u32 {
        (self.all_copies() << (128 - w)).leading_ones()
    }

    fn scalar_range(self, w: u32) -> (i128, i128) {
        // The lane is sign-extended from its low `n` bits: a known bit above is the sign's.
        let n = w - self.scalar_run(w);
        let (sign, rest) = (1 << (n - 1), low(n - 1));
        let signs = low(w) & !rest;
        let cut = |bits: u128| bits & rest | if bits & signs == 0 { 0 } else { sign };
        let (zeros, ones) = (cut(self.bits.zeros), cut(self.bits.ones));
        KnownBits { zeros: zeros | !low(n), ones }.signed_range(n)
    }
}

/// The signed range of all lanes of `ty` of a value of which both facts hold.
pub fn signed_range(ty: Ty, bits: KnownBits, copies: SignCopies) -> (i128, i128) {
    Facts { bits, copies, ..Facts::unknown() }.signed_range(ty)
}

/// Which bits of the result of `node` repeat, given what is known of its operands and which of
/// its bits `known_bits` found.
///
/// Leaves, opaque nodes and nodes that are not well-formed give what `result` says. Operand facts
/// that contradict each other give some fact, and no panic.
pub fn sign_copies(
    node: &Node,
    bits: &[KnownBits],
    copies: &[SignCopies],
    result: KnownBits,
) -> SignCopies {
    let known = SignCopies::of_bits(result);
    let Some(ty) = node.op.result_type(node.ty) else { return known };
    if bits.len() != copies.len() || semantics::check(node, bits.len()).is_err() {
        return known;
    }
    let mut facts = [Facts::unknown(); 3];
    for (index, (fact, (bits, copies))) in facts.iter_mut().zip(bits.iter().zip(copies)).enumerate()
    {
        let mask = node.op.operand_type(node.ty, node.from, index).map_or(u128::MAX, Ty::mask);
        let bits = KnownBits { zeros: bits.zeros | !mask, ones: bits.ones & mask };
        *fact = Facts { bits, copies: SignCopies(copies.0 & mask & !1), ..*fact };
        fact.copies = SignCopies(fact.all_copies() & mask);
    }
    let moved = moved(node, &facts);
    let ranged = ranged(node, ty, &facts);
    SignCopies((moved | ranged) & ty.mask() & !1 | known.0)
}

/// The copies of each lane of `ty`, put together: nothing between lanes.
fn lanes(ty: Ty, of: impl Fn(u32) -> u128) -> u128 {
    (0..ty.lanes())
        .fold(0, |all, index| all | (of(index) & ty.lane_mask() & !1) << (index * ty.lane_bits()))
}

/// What follows from where the result's bits come from.
fn moved(node: &Node, facts: &[Facts; 3]) -> u128 {
    let Node { op, ty, from, imm, .. } = *node;
    let w = ty.lane_bits();
    let [a, b, c] = facts.map(|fact| fact.copies.0);
    let lane = |fact: usize, ty: Ty, index: u32| facts[fact].lane(ty, index).copies.0;
    let inner = |ty: Ty, copies: u128| lanes(ty, |index| copies >> (index * ty.lane_bits()));
    match op {
        Op::Bnot | Op::Ireduce | Op::Uextend | Op::Bitcast => a,
        Op::Sextend => a | !low(from.bits()),
        Op::Band | Op::Bor | Op::Bxor => a & b,
        Op::Select => b & c,
        Op::Bitselect => {
            let mask = facts[0].bits;
            let (ones, zeros) = (mask.ones & mask.ones << 1, mask.zeros & mask.zeros << 1);
            a & b & c | ones & b | zeros & c
        }
        // Each lane is a lane of one operand.
        Op::Umin | Op::Umax | Op::Smin | Op::Smax => inner(ty, a & b),
        Op::Blendv => inner(ty, b & c),
        Op::Ishl | Op::Ushr | Op::Sshr => {
            let amount = facts[1].bits;
            let mask = u128::from(w) - 1;
            let by = (amount.known() & mask == mask).then_some((amount.ones & mask) as u32);
            lanes(ty, |index| {
                let copies = lane(0, ty, index);
                match (op, by) {
                    (Op::Ishl, Some(by)) => copies << by,
                    (Op::Ushr, Some(by)) => copies >> by,
                    (Op::Sshr, Some(by)) => copies >> by | low(w) & !low(w - by),
                    // A run of copies at the top stays one.
                    (Op::Sshr, None) => !low(w - facts[0].lane(ty, index).scalar_run(w)),
                    _ => 0,
                }
            })
        }
        Op::UwidenLow | Op::UwidenHigh | Op::SwidenLow | Op::SwidenHigh => {
            let Some(wide) = ty.widened() else { return 0 };
            let first = if matches!(op, Op::UwidenLow | Op::SwidenLow) { 0 } else { wide.lanes() };
            let above = if matches!(op, Op::SwidenLow | Op::SwidenHigh) { !low(w) } else { 0 };
            lanes(wide, |index| lane(0, ty, first + index) | above)
        }
        Op::Icmp | Op::Fcmp if ty.is_vector() => inner(ty, u128::MAX),
        Op::Splat => lanes(ty, |_| a),
        Op::ScalarToVector => a,
        Op::Extractlane => lane(0, ty, imm as u32),
        Op::Insertlane => {
            let at = imm as u32 * w;
            // Nor does the bit above the new lane repeat anything any more.
            let gone = ty.lane_mask() << at;
            a & !(gone | gone << 1) | (b & ty.lane_mask() & !1) << at
        }
        Op::Shuffle => shuffled(imm, a, b),
        _ => 0,
    }
}

/// The copies that bytes picked by `mask` keep: the lowest bit of a byte still repeats the one
/// below if the byte below moved along.
fn shuffled(mask: u128, a: u128, b: u128) -> u128 {
    let mut all = 0;
    let mut below = None;
    for index in 0..16 {
        let selector = Ty::I8X16.lane_of(mask, index) as u32;
        let source = if selector < 16 { a } else { b };
        let byte = Ty::I8X16.lane_of(source, selector % 16);
        let along = !selector.is_multiple_of(16) && below == Some(selector - 1);
        all |= (if along { byte } else { byte & !1 }) << (8 * index);
        below = Some(selector);
    }
    all
}

/// What follows from the signed ranges of the result's lanes.
fn ranged(node: &Node, result: Ty, facts: &[Facts; 3]) -> u128 {
    let Node { op, ty, .. } = *node;
    let w = ty.lane_bits();
    let range = |fact: usize, index: u32| facts[fact].lane_range(ty, index);
    let n = result.lanes();
    match op {
        Op::Ineg | Op::Iabs => lanes(ty, |index| copies_in(w, unary(op, range(0, index)))),
        Op::Iadd
        | Op::Isub
        | Op::Imul
        | Op::Smulhi
        | Op::Sdiv
        | Op::Srem
        | Op::Smin
        | Op::Smax
        | Op::SaddSat
        | Op::SsubSat
        | Op::SqmulRoundSat
        | Op::X86Pmulhrsw => {
            lanes(ty, |index| copies_in(w, binary(op, w, range(0, index), range(1, index))))
        }
        Op::IaddPairwise => lanes(ty, |index| {
            let (fact, first) = half(n, 2 * index);
            copies_in(w, binary(Op::Iadd, w, range(fact, first), range(fact, first + 1)))
        }),
        Op::Snarrow | Op::Unarrow => lanes(result, |index| {
            let (fact, index) = if index < n / 2 { (0, index) } else { (1, index - n / 2) };
            let (low, high) = range(fact, index);
            let (least, greatest) = match op {
                Op::Snarrow => bounds(w / 2),
                _ => (0, (1 << (w / 2)) - 1),
            };
            let clamp = |x: i128| x.clamp(least, greatest);
            copies_in(w / 2, Some((clamp(low), clamp(high))))
        }),
        _ => 0,
    }
}

/// Of two operands of `n` lanes end to end: the one that has lane `index`, and the place in it.
const fn half(n: u32, index: u32) -> (usize, u32) {
    if index < n { (0, index) } else { (1, index - n) }
}

/// The least and greatest signed `w`-bit number.
const fn bounds(w: u32) -> (i128, i128) {
    (i128::MIN >> (128 - w), i128::MAX >> (128 - w))
}

/// The copies in every `w`-bit number of a signed range; none if it has numbers of more bits.
fn copies_in(w: u32, range: Option<(i128, i128)>) -> u128 {
    let Some((least, greatest)) = range else { return 0 };
    let bits = |x: i128| 129 - x.leading_zeros().max(x.leading_ones());
    let used = bits(least).max(bits(greatest));
    if used > w { 0 } else { low(w) & !low(used) }
}

fn unary(op: Op, (low, high): (i128, i128)) -> Option<(i128, i128)> {
    let negated = (high.checked_neg()?, low.checked_neg()?);
    Some(match op {
        Op::Iabs => (low.max(negated.0).max(0), high.max(negated.1)),
        _ => negated,
    })
}

/// The range of the exact result, saturated where the op saturates.
fn binary(op: Op, w: u32, a: (i128, i128), b: (i128, i128)) -> Option<(i128, i128)> {
    let (least, greatest) = bounds(w);
    let products = || {
        let all = [
            a.0.checked_mul(b.0)?,
            a.0.checked_mul(b.1)?,
            a.1.checked_mul(b.0)?,
            a.1.checked_mul(b.1)?,
        ];
        Some((all.into_iter().min()?, all.into_iter().max()?))
    };
    let sum = || Some((a.0.checked_add(b.0)?, a.1.checked_add(b.1)?));
    let difference = || Some((a.0.checked_sub(b.1)?, a.1.checked_sub(b.0)?));
    let each = |(low, high): (i128, i128), of: &dyn Fn(i128) -> i128| (of(low), of(high));
    let saturate = |x: i128| x.clamp(least, greatest);
    // Both are monotonic in the product.
    let rounded = |x: i128| (x + 0x4000) >> 15;
    Some(match op {
        Op::Iadd => sum()?,
        Op::Isub => difference()?,
        Op::Imul => products()?,
        Op::Smulhi => each(products()?, &|x| x >> w),
        // A quotient is not farther from 0 than the dividend, a remainder on its side of 0.
        Op::Sdiv => {
            let farthest = a.0.checked_abs()?.max(a.1.checked_abs()?);
            (-farthest, farthest)
        }
        Op::Srem => (a.0.min(0), a.1.max(0)),
        Op::Smin => (a.0.min(b.0), a.1.min(b.1)),
        Op::Smax => (a.0.max(b.0), a.1.max(b.1)),
        Op::SaddSat => each(sum()?, &saturate),
        Op::SsubSat => each(difference()?, &saturate),
        Op::SqmulRoundSat => each(products()?, &|x| saturate(rounded(x))),
        Op::X86Pmulhrsw => each(products()?, &rounded),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(op: Op, ty: Ty, args: &[Facts]) -> Facts {
        Facts::of_node(&Node::detached(op, ty, ty, 0), args)
    }

    fn signed(bits: u32) -> (i128, i128) {
        bounds(bits)
    }

    const OPEN: Facts = Facts::unknown();

    #[test]
    fn copies_and_known_bits_make_one_range() {
        let copies = SignCopies::extended(Ty::I32X4, 16);
        assert_eq!(signed_range(Ty::I32X4, KnownBits::unknown(), copies), signed(16));
        // One known bit among the copies tells all of them.
        let positive = KnownBits { zeros: 1 << 20, ones: 3 };
        let copies = SignCopies::extended(Ty::I32, 16);
        let scalar = Facts { bits: positive, copies, ..Facts::unknown() };
        assert_eq!(scalar.signed_range(Ty::I32), (3, 0x7fff));
        assert_eq!(scalar.sign_copies(Ty::I32), 16);
        assert_eq!(OPEN.signed_range(Ty::I8), signed(8));
        assert_eq!(Facts::constant(0xff).signed_range(Ty::I8), (-1, -1));
        assert_eq!(Facts::constant(u128::MAX).sign_copies(Ty::I128), 127);
    }

    /// The facts that idioms of 16-bit products ask for.
    #[test]
    fn sign_extended_numbers_stay_small() {
        let scalar = Facts::of_node(&Node::detached(Op::Sextend, Ty::I32, Ty::I16, 0), &[OPEN]);
        assert_eq!(scalar.signed_range(Ty::I32), signed(16));
        let splat = op(Op::Splat, Ty::I32X4, &[scalar]);
        assert_eq!(splat.signed_range(Ty::I32X4), signed(16));
        let wide = op(Op::SwidenHigh, Ty::I16X8, &[OPEN]);
        assert_eq!(wide.signed_range(Ty::I32X4), signed(16));
        let product = op(Op::Imul, Ty::I32X4, &[splat, wide]);
        assert_eq!(product.signed_range(Ty::I32X4), signed(32));
        let bytes = op(Op::SwidenLow, Ty::I8X16, &[OPEN]);
        let product = op(Op::Imul, Ty::I16X8, &[bytes, Facts::constant(Ty::I16X8.splat_bits(3))]);
        assert_eq!(product.sign_copies(Ty::I16X8), 6);
        let sum = op(Op::Iadd, Ty::I16X8, &[bytes, bytes]);
        assert_eq!(sum.signed_range(Ty::I16X8), signed(9));
        let shifted = op(Op::Sshr, Ty::I16X8, &[OPEN, Facts::constant(5)]);
        assert_eq!(shifted.sign_copies(Ty::I16X8), 5);
        let back = op(Op::Ishl, Ty::I16X8, &[bytes, Facts::constant(5)]);
        assert_eq!(back.sign_copies(Ty::I16X8), 3);
        let unsigned = op(Op::UwidenLow, Ty::I8X16, &[OPEN]);
        let difference = op(Op::Isub, Ty::I16X8, &[unsigned, unsigned]);
        assert_eq!(difference.signed_range(Ty::I16X8), signed(9));
        let narrow = op(Op::Snarrow, Ty::I32X4, &[op(Op::SwidenLow, Ty::I16X8, &[bytes]), wide]);
        assert_eq!(narrow.lane_range(Ty::I16X8, 0), signed(8));
        assert_eq!(narrow.lane_range(Ty::I16X8, 4), signed(16));
    }

    #[test]
    fn masks_are_copies_throughout() {
        let mask = op(Op::Icmp, Ty::I16X8, &[OPEN, OPEN]);
        assert_eq!(mask.signed_range(Ty::I16X8), (-1, 0));
        let wide = op(Op::SwidenLow, Ty::I8X16, &[OPEN]);
        let chosen = op(Op::Bitselect, Ty::I8X16, &[mask, wide, wide]);
        assert_eq!(chosen.signed_range(Ty::I16X8), signed(8));
    }

    #[test]
    fn bytes_carry_their_copies() {
        let copies = SignCopies::extended(Ty::I32X4, 10);
        let vector = Facts { copies, ..Facts::unknown() };
        let swap = u128::from_le_bytes([4, 5, 6, 7, 0, 1, 2, 3, 28, 29, 30, 31, 8, 9, 10, 11]);
        let moved =
            Facts::of_node(&Node::detached(Op::Shuffle, Ty::I8X16, Ty::I8X16, swap), &[vector; 2]);
        assert_eq!(moved.signed_range(Ty::I32X4), signed(10));
        let torn = swap ^ 0xff << 16;
        let torn = torn & 0x1f1f_1f1f_1f1f_1f1f_1f1f_1f1f_1f1f_1f1f;
        let moved =
            Facts::of_node(&Node::detached(Op::Shuffle, Ty::I8X16, Ty::I8X16, torn), &[vector; 2]);
        assert_eq!(moved.lane_range(Ty::I32X4, 0), signed(25));
        let lane =
            Facts::of_node(&Node::detached(Op::Extractlane, Ty::I32X4, Ty::I32X4, 2), &[vector]);
        assert_eq!(lane.signed_range(Ty::I32), signed(10));
        let put = Facts::of_node(
            &Node::detached(Op::Insertlane, Ty::I32X4, Ty::I32X4, 1),
            &[vector, OPEN],
        );
        assert_eq!(put.lane_range(Ty::I32X4, 1), signed(32));
        assert_eq!(put.lane_range(Ty::I32X4, 2), signed(10));
    }
}
