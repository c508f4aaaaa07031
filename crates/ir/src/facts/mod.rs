//! What is known of a value's bits, and what an op makes of such knowledge.
//!
//! The transfer function is the one definition of the ops once more, over the domain of partly
//! known bits ([`domain`]), sharpened where ranges say more ([`ranges`]). Beside it stands a second fact:
//! which bits repeat the bit below ([`signs`]). Nothing here sees more than one node; it knows no
//! paths and no memory. Invariant: facts that hold of the operands give facts that hold of the
//! result, so an unsound answer here is a miscompile.

mod annotations;
mod domain;
mod lanes;
mod ranges;
mod signs;

pub use annotations::{Annotation, Annotations, OfFloat, POWERS};
pub use signs::{SignCopies, sign_copies, signed_range};

use crate::{Node, Op, Ty, semantics};

/// Bits of a value known to be 0 and known to be 1.
///
/// A fact is about the value as 128 bits: scalars zero-extended, vectors with lane 0 lowest. Above
/// the width of a scalar it may say "unknown" as well as "zero".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KnownBits {
    /// Bits that are 0.
    pub zeros: u128,
    /// Bits that are 1.
    pub ones: u128,
}

impl KnownBits {
    /// Every bit known: the value `bits`, zero-extended.
    pub const fn constant(bits: u128) -> KnownBits {
        KnownBits { zeros: !bits, ones: bits }
    }

    /// Nothing known.
    pub const fn unknown() -> KnownBits {
        KnownBits { zeros: 0, ones: 0 }
    }

    /// Only that the value fits `ty`.
    pub const fn of_type(ty: Ty) -> KnownBits {
        KnownBits { zeros: !ty.mask(), ones: 0 }
    }

    /// What holds of every `w`-bit number from `low` to `high`, unsigned and inclusive: the bits
    /// above the first that differs. Nothing but the width if `low` is above `high`.
    pub const fn from_range(w: u32, low: u128, high: u128) -> KnownBits {
        let width = u128::MAX >> (128 - w);
        let differing = 128 - (low ^ high).leading_zeros();
        if low > high || high > width || differing >= w {
            return KnownBits { zeros: !width, ones: 0 };
        }
        let prefix = u128::MAX << differing;
        KnownBits { zeros: !low & prefix, ones: low & prefix }
    }

    /// Whether no bit is said to be both. Facts about code that never runs may contradict.
    pub const fn is_consistent(self) -> bool {
        self.zeros & self.ones == 0
    }

    /// Whether the fact holds of `bits`.
    pub const fn holds_of(self, bits: u128) -> bool {
        self.zeros & bits == 0 && self.ones & !bits == 0
    }

    /// The bits known.
    pub const fn known(self) -> u128 {
        self.zeros | self.ones
    }

    /// The value, if all bits of `ty` are known and do not contradict.
    pub const fn as_constant(self, ty: Ty) -> Option<u128> {
        let all_known = self.known() & ty.mask() == ty.mask();
        if all_known && self.is_consistent() { Some(self.ones & ty.mask()) } else { None }
    }

    /// What is known where both facts hold.
    #[must_use]
    pub const fn intersect(self, other: KnownBits) -> KnownBits {
        KnownBits { zeros: self.zeros | other.zeros, ones: self.ones | other.ones }
    }

    /// What is known where either fact holds.
    #[must_use]
    pub const fn join(self, other: KnownBits) -> KnownBits {
        KnownBits { zeros: self.zeros & other.zeros, ones: self.ones & other.ones }
    }

    /// What is known of lane `index` as a scalar; zeros are known above it.
    #[must_use]
    pub const fn lane(self, ty: Ty, index: u32) -> KnownBits {
        let below = index * ty.lane_bits();
        KnownBits {
            zeros: self.zeros >> below | !ty.lane_mask(),
            ones: self.ones >> below & ty.lane_mask(),
        }
    }

    fn over_lanes<T: Copy>(self, ty: Ty, of: impl Fn(KnownBits) -> T, pick: fn(T, T) -> T) -> T {
        (1..ty.lanes()).fold(of(self.lane(ty, 0)), |picked, i| pick(picked, of(self.lane(ty, i))))
    }

    /// A lower bound of all lanes, unsigned.
    pub fn umin(self, ty: Ty) -> u128 {
        self.over_lanes(ty, |lane| lane.ones, u128::min)
    }

    /// An upper bound of all lanes, unsigned.
    pub fn umax(self, ty: Ty) -> u128 {
        self.over_lanes(ty, |lane| !lane.zeros, u128::max)
    }

    /// A lower bound of all lanes, signed.
    pub fn smin(self, ty: Ty) -> i128 {
        self.over_lanes(ty, |lane| lane.signed_range(ty.lane_bits()).0, i128::min)
    }

    /// An upper bound of all lanes, signed.
    pub fn smax(self, ty: Ty) -> i128 {
        self.over_lanes(ty, |lane| lane.signed_range(ty.lane_bits()).1, i128::max)
    }

    /// How many top bits are zero in every lane.
    pub fn leading_zeros(self, ty: Ty) -> u32 {
        self.umax(ty).leading_zeros() - (128 - ty.lane_bits())
    }

    /// How many low bits are zero in every lane.
    pub fn trailing_zeros(self, ty: Ty) -> u32 {
        let zeros = |lane: KnownBits| lane.zeros.trailing_ones().min(ty.lane_bits());
        self.over_lanes(ty, zeros, u32::min)
    }

    /// How many top bits, the sign included, are known and equal in every lane; at least 1, since
    /// a sign is equal to itself.
    pub fn sign_bits(self, ty: Ty) -> u32 {
        let above = 128 - ty.lane_bits();
        let run = |lane: KnownBits| {
            let (zeros, ones) = (lane.zeros << above, lane.ones << above);
            zeros.leading_ones().max(ones.leading_ones()).clamp(1, ty.lane_bits())
        };
        self.over_lanes(ty, run, u32::min)
    }

    /// The least and greatest signed value of a `w`-bit scalar.
    const fn signed_range(self, w: u32) -> (i128, i128) {
        let above = 128 - w;
        let (sign, all) = (1u128 << (w - 1), u128::MAX >> above);
        let least = if self.zeros & sign == 0 { self.ones | sign } else { self.ones };
        let most = !self.zeros & all;
        let greatest = if self.ones & sign == 0 { most & !sign } else { most };
        (((least << above) as i128) >> above, ((greatest << above) as i128) >> above)
    }

    /// What holds of every `w`-bit number from `low` to `high`, signed and inclusive.
    const fn from_signed_range(w: u32, low: i128, high: i128) -> KnownBits {
        let width = u128::MAX >> (128 - w);
        // Of different signs the numbers share no bit: the range is empty for `from_range`.
        KnownBits::from_range(w, low as u128 & width, high as u128 & width)
    }
}

/// All that is known of a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Facts {
    /// Its bits.
    pub bits: KnownBits,
    /// Which of them repeat.
    pub copies: SignCopies,
    /// What holds of its lanes.
    pub annotations: Annotations,
}

impl Facts {
    /// Nothing known.
    pub const fn unknown() -> Facts {
        Facts {
            bits: KnownBits::unknown(),
            copies: SignCopies::unknown(),
            annotations: Annotations::unknown(),
        }
    }

    /// Everything known: the value `bits`, zero-extended.
    pub fn constant(bits: u128) -> Facts {
        Facts { bits: KnownBits::constant(bits), ..Facts::unknown() }
    }

    /// What is known of the result of `node`, given what is known of its operands, at most three: what
    /// [`known_bits`] and [`sign_copies`] say, and annotations.
    pub fn of_node(node: &Node, args: &[Facts]) -> Facts {
        let count = args.len().min(3);
        let (mut known, mut copies) = ([KnownBits::unknown(); 3], [SignCopies::unknown(); 3]);
        for (at, fact) in args[..count].iter().enumerate() {
            (known[at], copies[at]) = (fact.bits, fact.copies);
        }
        let mut bits = known_bits(node, &known[..count]);
        let mut annotations = lanes::annotations(node, &args[..count], bits);
        let ty = node.op.result_type(node.ty);
        let signs = ty.map_or(KnownBits::unknown(), |ty| annotations.signs(ty));
        if bits.intersect(signs) != bits {
            bits = bits.intersect(signs);
            annotations = annotations.intersect(Annotations::of_bits(bits));
        }
        let copies = sign_copies(node, &known[..count], &copies[..count], bits);
        Facts { bits, copies, annotations }
    }

    /// What is known where both facts hold.
    #[must_use]
    pub const fn intersect(self, other: Facts) -> Facts {
        Facts {
            bits: self.bits.intersect(other.bits),
            copies: self.copies.intersect(other.copies),
            annotations: self.annotations.intersect(other.annotations),
        }
    }

    /// Whether all of it holds of `bits`.
    pub fn holds_of(self, bits: u128) -> bool {
        self.bits.holds_of(bits) && self.copies.holds_of(bits) && self.annotations.holds_of(bits)
    }

    /// Whether the annotation holds of every lane of a value of `ty`, as annotations or known bits say.
    pub fn has(self, ty: Ty, annotation: Annotation) -> bool {
        let bits = self.bits.intersect(KnownBits::of_type(ty));
        self.annotations.has(annotation) || Annotations::of_bits(bits).has(annotation)
    }

    /// What is known of lane `index` as a scalar, but for annotations, which are of all lanes.
    #[must_use]
    pub const fn lane(self, ty: Ty, index: u32) -> Facts {
        let copies = self.copies.0 >> (index * ty.lane_bits()) & ty.lane_mask() & !1;
        Facts {
            bits: self.bits.lane(ty, index),
            copies: SignCopies(copies),
            annotations: Annotations::unknown(),
        }
    }
}

/// What is known of the bits of the result of `node`, given what is known of its operands.
///
/// Leaves, opaque nodes and nodes that are not well-formed give nothing but their width. Operand
/// facts that contradict each other give some fact, and no panic.
pub fn known_bits(node: &Node, args: &[KnownBits]) -> KnownBits {
    let result = node.op.result_type(node.ty);
    let nothing = result.map_or(KnownBits::unknown(), KnownBits::of_type);
    if semantics::check(node, args.len()).is_err() {
        return nothing;
    }
    let mut clean = [KnownBits::unknown(); 3];
    for (index, (slot, arg)) in clean.iter_mut().zip(args).enumerate() {
        let ty = node.op.operand_type(node.ty, node.from, index);
        *slot = arg.intersect(ty.map_or(KnownBits::unknown(), KnownBits::of_type));
    }
    let args = &clean[..args.len()];
    let general = semantics::apply(&mut domain::Known, node, args).unwrap_or(nothing);
    let sharper = match node.op {
        Op::Bitselect => {
            let [c, a, b] = clean;
            // Where the mask is open both sides must agree.
            KnownBits {
                zeros: a.zeros & b.zeros | c.ones & a.zeros | c.zeros & b.zeros,
                ones: a.ones & b.ones | c.ones & a.ones | c.zeros & b.ones,
            }
        }
        _ => ranges::sharpen(node, args),
    };
    general.intersect(sharper).intersect(nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer(op: Op, ty: Ty, args: &[KnownBits]) -> KnownBits {
        known_bits(&Node::detached(op, ty, ty, 0), args)
    }

    /// Lanes of `ty` whose top `zeros` bits are zero.
    fn small(ty: Ty, zeros: u32) -> KnownBits {
        let lane = !(ty.lane_mask() >> zeros) & ty.lane_mask();
        KnownBits { zeros: ty.splat_bits(lane) | !ty.mask(), ones: 0 }
    }

    #[test]
    fn bounds_are_over_all_lanes() {
        let fact = KnownBits::constant(0x00ff_0003_8000_7fff_0001_0002_0003_0004);
        assert_eq!((fact.umin(Ty::I16X8), fact.umax(Ty::I16X8)), (1, 0x8000));
        assert_eq!((fact.smin(Ty::I16X8), fact.smax(Ty::I16X8)), (-0x8000, 0x7fff));
        assert_eq!(fact.leading_zeros(Ty::I16X8), 0);
        let open = KnownBits::unknown();
        assert_eq!((open.umin(Ty::I8), open.umax(Ty::I8)), (0, 0xff));
        assert_eq!((open.smin(Ty::I8), open.smax(Ty::I8)), (-0x80, 0x7f));
        assert_eq!((open.sign_bits(Ty::I8), open.trailing_zeros(Ty::I8)), (1, 0));
        assert_eq!(small(Ty::I16X8, 8).leading_zeros(Ty::I16X8), 8);
        assert_eq!(KnownBits::constant(0).trailing_zeros(Ty::I32X4), 32);
        assert_eq!(KnownBits::constant(u128::MAX).sign_bits(Ty::I8X16), 8);
    }

    #[test]
    fn ranges_become_prefixes() {
        let fact = KnownBits::from_range(8, 0x50, 0x5f);
        assert_eq!((fact.ones, !fact.zeros), (0x50, 0x5f));
        assert_eq!(KnownBits::from_range(8, 1, 0), KnownBits::of_type(Ty::I8));
        assert_eq!(KnownBits::from_range(128, 0, u128::MAX), KnownBits::unknown());
        assert_eq!(KnownBits::from_signed_range(8, -1, 1), KnownBits::of_type(Ty::I8));
    }

    /// The facts that Halide's fixed-point code lives on.
    #[test]
    fn widened_bytes_stay_small() {
        let bytes = transfer(Op::UwidenLow, Ty::I8X16, &[KnownBits::unknown()]);
        assert_eq!(bytes, small(Ty::I16X8, 8));
        let sum = transfer(Op::Iadd, Ty::I16X8, &[bytes, bytes]);
        assert_eq!(sum, small(Ty::I16X8, 7));
        let product =
            transfer(Op::Imul, Ty::I16X8, &[bytes, KnownBits::constant(Ty::I16X8.splat_bits(3))]);
        assert_eq!(product, small(Ty::I16X8, 6));
        let shifted = transfer(Op::Ushr, Ty::I16X8, &[sum, KnownBits::constant(1)]);
        assert_eq!(shifted, small(Ty::I16X8, 8));
        let least = transfer(Op::Umin, Ty::I16X8, &[bytes, KnownBits::unknown()]);
        assert_eq!(least, small(Ty::I16X8, 8));
        let high = transfer(Op::Umulhi, Ty::I32, &[small(Ty::I32, 16), small(Ty::I32, 16)]);
        assert_eq!(high, KnownBits::constant(0));
        let rest = transfer(Op::Urem, Ty::I32, &[KnownBits::unknown(), KnownBits::constant(16)]);
        assert_eq!(rest, small(Ty::I32, 28));
        let packed =
            transfer(Op::Snarrow, Ty::I32X4, &[small(Ty::I32X4, 24), small(Ty::I32X4, 24)]);
        assert_eq!(packed, small(Ty::I16X8, 8));
    }

    #[test]
    fn masks_choose_bit_by_bit() {
        let fact = transfer(
            Op::Bitselect,
            Ty::I8,
            &[KnownBits::unknown(), KnownBits::constant(0x0f), KnownBits::constant(0x1d)],
        );
        assert_eq!((fact.ones, !fact.zeros), (0x0d, 0x1f));
        let fact = known_bits(
            &Node::detached(Op::Icmp, Ty::I32, Ty::I32, crate::IntCc::Eq as u128),
            &[KnownBits::constant(1), KnownBits { zeros: 1, ones: 0 }],
        );
        assert_eq!(fact, KnownBits::constant(0));
    }

    #[test]
    fn ill_formed_nodes_say_nothing() {
        let node = Node::detached(Op::Extractlane, Ty::I32X4, Ty::I32X4, 9);
        assert_eq!(known_bits(&node, &[KnownBits::constant(0)]), KnownBits::of_type(Ty::I32));
        let node = Node::detached(Op::Iadd, Ty::I32, Ty::I32, 0);
        assert_eq!(known_bits(&node, &[]), KnownBits::of_type(Ty::I32));
        assert_eq!(known_bits(&node, &[KnownBits::unknown(); 5]), KnownBits::of_type(Ty::I32));
    }
}
