//! What is known of the lanes of a value besides their bits: a set, closed under implication.
//!
//! Which annotation implies which stands in [`Annotation::implied`] and nowhere else. An annotation
//! is about the value as 128 bits, as known bits are: scalars zero-extended, so that the lanes above
//! a scalar float are +0, of which every annotation of floats holds. Invariant: a set that has an
//! annotation has all that it implies, so sets are intersected and joined bit by bit.

use super::KnownBits;
use crate::Ty;
use crate::semantics::Float;

/// Something that may be known of all lanes of a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Annotation {
    /// Lanes of so many bits are equal: 8, 16, 32 or 64.
    Uniform(u32),
    /// This holds of every lane read as a float.
    Float(Float, OfFloat),
}

/// Something that may be known of a float.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OfFloat {
    /// It is not positive infinity.
    NotInfinity,
    /// It is less than 2^n or a NaN, for n of [`POWERS`].
    Under(u32),
    /// It is not greater than zero; it may be a zero or a NaN.
    NotPositive,
    /// It is not negative infinity.
    NotMinusInfinity,
    /// It is greater than -2^n or a NaN, for n of [`POWERS`].
    Over(u32),
    /// It is not less than zero; it may be a zero or a NaN.
    NotNegative,
    /// It is not a NaN.
    NotNan,
    /// It is not -0.
    NoMinusZero,
}

/// The powers of two that floats are compared with, from the greatest down.
pub const POWERS: [u32; 27] = [
    32, 31, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1,
    0,
];

const MOST: u32 = POWERS[0];
const WIDTHS: [u32; 4] = [8, 16, 32, 64];
const UNIFORM: u32 = WIDTHS.len() as u32;
/// Bounds on one side: not infinite, the powers, zero; each implies the one before.
const CHAIN: u32 = POWERS.len() as u32 + 2;
/// Both sides, then `NotNan` and `NoMinusZero`.
const PER_FLOAT: u32 = 2 * CHAIN + 2;

/// The place of 2^n among the powers.
const fn power_at(n: u32) -> u32 {
    let mut at = 0;
    while POWERS[at] != n {
        at += 1;
    }
    at as u32
}

/// The next greater power.
const fn greater(n: u32) -> u32 {
    POWERS[power_at(n) as usize - 1]
}

impl Annotation {
    /// How many there are.
    pub const COUNT: u32 = UNIFORM + 2 * PER_FLOAT;

    /// Every annotation, in order of their bits.
    pub fn all() -> impl Iterator<Item = Annotation> {
        (0..Annotation::COUNT).map(Annotation::at)
    }

    /// What follows from it at once; with what follows from that, and so on, all that follows.
    pub const fn implied(self) -> Option<Annotation> {
        match self {
            Annotation::Uniform(64) => None,
            Annotation::Uniform(width) => Some(Annotation::Uniform(2 * width)),
            Annotation::Float(float, of) => {
                let implied = match of {
                    OfFloat::NotPositive => OfFloat::Under(0),
                    OfFloat::Under(MOST) => OfFloat::NotInfinity,
                    OfFloat::Under(n) => OfFloat::Under(greater(n)),
                    OfFloat::NotNegative => OfFloat::Over(0),
                    OfFloat::Over(MOST) => OfFloat::NotMinusInfinity,
                    OfFloat::Over(n) => OfFloat::Over(greater(n)),
                    OfFloat::NotInfinity
                    | OfFloat::NotMinusInfinity
                    | OfFloat::NotNan
                    | OfFloat::NoMinusZero => return None,
                };
                Some(Annotation::Float(float, implied))
            }
        }
    }

    const fn at(bit: u32) -> Annotation {
        if bit < UNIFORM {
            return Annotation::Uniform(WIDTHS[bit as usize]);
        }
        let (float, bit) = match bit - UNIFORM {
            bit if bit < PER_FLOAT => (Float::Single, bit),
            bit => (Float::Double, bit - PER_FLOAT),
        };
        const LAST: u32 = CHAIN - 1;
        let of = match (bit / CHAIN, bit % CHAIN) {
            (0, 0) => OfFloat::NotInfinity,
            (0, LAST) => OfFloat::NotPositive,
            (0, at) => OfFloat::Under(POWERS[at as usize - 1]),
            (1, 0) => OfFloat::NotMinusInfinity,
            (1, LAST) => OfFloat::NotNegative,
            (1, at) => OfFloat::Over(POWERS[at as usize - 1]),
            (_, 0) => OfFloat::NotNan,
            _ => OfFloat::NoMinusZero,
        };
        Annotation::Float(float, of)
    }

    const fn bit(self) -> u32 {
        match self {
            Annotation::Uniform(width) => width.trailing_zeros() - 3,
            Annotation::Float(float, of) => {
                base(float)
                    + match of {
                        OfFloat::NotInfinity => 0,
                        OfFloat::Under(n) => 1 + power_at(n),
                        OfFloat::NotPositive => CHAIN - 1,
                        OfFloat::NotMinusInfinity => CHAIN,
                        OfFloat::Over(n) => CHAIN + 1 + power_at(n),
                        OfFloat::NotNegative => 2 * CHAIN - 1,
                        OfFloat::NotNan => 2 * CHAIN,
                        OfFloat::NoMinusZero => 2 * CHAIN + 1,
                    }
            }
        }
    }

    /// Itself and all that follows from it.
    const fn closure(self) -> u128 {
        const CLOSURES: [u128; Annotation::COUNT as usize] = {
            let mut all = [0; Annotation::COUNT as usize];
            let mut bit = 0;
            while bit < Annotation::COUNT {
                all[bit as usize] = Annotation::at(bit).follow();
                bit += 1;
            }
            all
        };
        CLOSURES[self.bit() as usize]
    }

    const fn follow(self) -> u128 {
        let mut all = 1 << self.bit();
        let mut implied = self.implied();
        while let Some(next) = implied {
            all |= 1 << next.bit();
            implied = next.implied();
        }
        all
    }
}

/// The first bit of what is known of floats.
const fn base(float: Float) -> u32 {
    match float {
        Float::Single => UNIFORM,
        Float::Double => UNIFORM + PER_FLOAT,
    }
}

/// A set of annotations of one value, closed under implication.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Annotations(u128);

impl Annotations {
    /// Nothing known.
    pub const fn unknown() -> Annotations {
        Annotations(0)
    }

    /// An annotation and all that it implies.
    pub const fn of(annotation: Annotation) -> Annotations {
        Annotations(annotation.closure())
    }

    /// All that is true of `bits`.
    pub fn of_value(bits: u128) -> Annotations {
        Annotations::of_bits(KnownBits::constant(bits))
    }

    /// What known bits say.
    pub fn of_bits(bits: KnownBits) -> Annotations {
        let floats = [Float::Single, Float::Double].map(|float| Floats::of_bits(float, bits).set());
        let uniform = WIDTHS.into_iter().find(|width| {
            bits.known() == u128::MAX && bits.is_consistent() && is_periodic(bits.ones, *width)
        });
        let uniform =
            uniform.map_or(Annotations(0), |width| Annotations::of(Annotation::Uniform(width)));
        uniform.intersect(floats[0]).intersect(floats[1])
    }

    /// Whether the annotation is in the set.
    pub const fn has(self, annotation: Annotation) -> bool {
        self.0 >> annotation.bit() & 1 != 0
    }

    /// Whether the set holds of `bits`.
    pub fn holds_of(self, bits: u128) -> bool {
        self.0 & !Annotations::of_value(bits).0 == 0
    }

    /// What is known where both sets hold.
    #[must_use]
    pub const fn intersect(self, other: Annotations) -> Annotations {
        Annotations(self.0 | other.0)
    }

    /// What is known where either set holds.
    #[must_use]
    pub const fn join(self, other: Annotations) -> Annotations {
        Annotations(self.0 & other.0)
    }

    /// The bits that it leaves no choice in a value of `ty`: signs of floats that are numbers, not negative and not -0.
    pub(super) fn signs(self, ty: Ty) -> KnownBits {
        let of = |float: Float| {
            let floats = self.floats(float);
            let positive = floats.not_nan && floats.has_no_sign();
            let lanes = float.vector();
            KnownBits {
                zeros: if positive { lanes.splat_bits(float.sign_mask()) & ty.mask() } else { 0 },
                ones: 0,
            }
        };
        of(Float::Single).intersect(of(Float::Double))
    }

    /// The set without an annotation and what implies it.
    #[must_use]
    pub fn without(self, annotation: Annotation) -> Annotations {
        let implies = |other: &Annotation| other.closure() >> annotation.bit() & 1 != 0;
        Annotations(
            Annotation::all().filter(implies).fold(self.0, |set, one| set & !(1 << one.bit())),
        )
    }

    /// The set as bits, for files.
    pub const fn to_bits(self) -> u128 {
        self.0
    }

    /// The set that [`Annotations::to_bits`] wrote; `None` for bits that are no annotation's or lack one that is implied.
    pub fn from_bits(bits: u128) -> Option<Annotations> {
        let has = |at: Annotation| bits >> at.bit() & 1 != 0;
        let closed = Annotation::all()
            .filter(|annotation| has(*annotation))
            .fold(0, |all, annotation| all | annotation.closure());
        (bits == closed).then_some(Annotations(bits))
    }

    /// How many bits after which the value repeats, as far as is known.
    pub(super) fn period(self) -> u32 {
        8 << (self.0 & ((1 << UNIFORM) - 1)).trailing_zeros().min(UNIFORM)
    }

    /// A value that repeats after `bits` bits; 128 says nothing.
    pub(super) fn of_period(bits: u32) -> Annotations {
        if bits > 64 { Annotations(0) } else { Annotations::of(Annotation::Uniform(bits.max(8))) }
    }

    /// What is known of the lanes as floats.
    pub(super) const fn floats(self, float: Float) -> Floats {
        const SIDE: u128 = (1 << CHAIN) - 1;
        let bits = self.0 >> base(float);
        Floats {
            float,
            under: Bound((bits & SIDE).trailing_ones()),
            over: Bound((bits >> CHAIN & SIDE).trailing_ones()),
            not_nan: bits >> (2 * CHAIN) & 1 != 0,
            no_minus_zero: bits >> (2 * CHAIN + 1) & 1 != 0,
        }
    }
}

fn is_periodic(bits: u128, width: u32) -> bool {
    bits.rotate_right(width) == bits
}

/// What numbers do not exceed on one side of zero: so many annotations of the chain hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Bound(u32);

impl Bound {
    pub(super) const NONE: Bound = Bound(0);
    pub(super) const FINITE: Bound = Bound(1);
    pub(super) const ZERO: Bound = Bound(CHAIN);

    /// Magnitudes are below 2^n on this side, or as far beyond as is told apart.
    pub(super) fn below(n: u32) -> Bound {
        Bound(1 + POWERS.iter().take_while(|power| **power >= n).count() as u32)
    }

    /// An n for which magnitudes are below 2^n.
    pub(super) fn exponent(self) -> Option<u32> {
        (self > Bound::FINITE).then(|| POWERS[(self.min(Bound::below(0)).0 - 2) as usize])
    }
}

/// What is known of all lanes of a value as floats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Floats {
    pub(super) float: Float,
    /// How great numbers are at most.
    pub(super) under: Bound,
    /// How far below zero numbers are at most.
    pub(super) over: Bound,
    pub(super) not_nan: bool,
    pub(super) no_minus_zero: bool,
}

impl Floats {
    pub(super) const fn unknown(float: Float) -> Floats {
        let none = Bound::NONE;
        Floats { float, under: none, over: none, not_nan: false, no_minus_zero: false }
    }

    pub(super) const fn set(self) -> Annotations {
        let bounds = ((1 << self.under.0) - 1) | ((1 << self.over.0) - 1) << CHAIN;
        let others = (self.not_nan as u128) | (self.no_minus_zero as u128) << 1;
        Annotations((bounds | others << (2 * CHAIN)) << base(self.float))
    }

    pub(super) fn not_negative(self) -> bool {
        self.over == Bound::ZERO
    }

    /// Whether all are NaNs, +0 or greater.
    pub(super) fn has_no_sign(self) -> bool {
        self.not_negative() && self.no_minus_zero
    }

    /// Whether there are no infinities.
    pub(super) fn is_finite(self) -> bool {
        self.magnitude() > Bound::NONE
    }

    /// The weaker of both bounds.
    pub(super) fn magnitude(self) -> Bound {
        self.under.min(self.over)
    }

    #[must_use]
    pub(super) fn join(self, other: Floats) -> Floats {
        Floats {
            float: self.float,
            under: self.under.min(other.under),
            over: self.over.min(other.over),
            not_nan: self.not_nan && other.not_nan,
            no_minus_zero: self.no_minus_zero && other.no_minus_zero,
        }
    }

    /// What known bits say of every lane.
    fn of_bits(float: Float, bits: KnownBits) -> Floats {
        let ty = float.vector();
        (0..ty.lanes())
            .map(|index| Floats::of_lane(float, bits.lane(ty, index)))
            .reduce(Floats::join)
            .unwrap_or(Floats::unknown(float))
    }

    fn of_lane(float: Float, lane: KnownBits) -> Floats {
        let (sign, infinity) = (float.sign_mask(), float.infinity());
        let (least, most) = (lane.ones & (sign - 1), !lane.zeros & (sign - 1));
        // Magnitudes are in the order of their bits. A NaN has no say in bounds.
        let bias = (infinity / 2) >> float.fraction_bits();
        let bound = if most == 0 || least > infinity {
            Bound::ZERO
        } else if most >= infinity {
            Bound::NONE
        } else {
            Bound::below((most >> float.fraction_bits()).saturating_sub(bias - 1) as u32)
        };
        let side = |known: u128| if known & sign != 0 { Bound::ZERO } else { bound };
        Floats {
            float,
            under: side(lane.ones),
            over: side(lane.zeros),
            not_nan: most <= infinity,
            no_minus_zero: lane.zeros & sign != 0 || least != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets() -> Vec<Annotations> {
        Annotation::all().map(Annotations::of).collect()
    }

    #[test]
    fn bits_and_annotations_are_one_to_one() {
        for (bit, annotation) in (0..).zip(Annotation::all()) {
            assert_eq!(annotation.bit(), bit, "{annotation:?}");
        }
        assert_eq!(Annotation::all().count(), 124);
    }

    #[test]
    fn the_hierarchy_has_no_cycles() {
        for annotation in Annotation::all() {
            let mut next = Some(annotation);
            for _ in 0..=Annotation::COUNT {
                next = next.and_then(Annotation::implied);
            }
            assert_eq!(next, None, "{annotation:?} implies itself");
        }
    }

    #[test]
    fn what_is_implied_holds_wherever_it_is_implied() {
        let lanes = |float: Float| {
            let one = (float.infinity() / 2) >> float.fraction_bits() << float.fraction_bits();
            let powers = (0..40).map(move |n: u128| one + (n << float.fraction_bits()));
            let near = powers.flat_map(|bits| [bits - 1, bits, bits + 1]);
            let edges = [0, 1, float.infinity() - 1, float.infinity(), float.canonical_nan()];
            near.chain(edges).flat_map(move |bits| [bits, bits | float.sign_mask()])
        };
        let singles = lanes(Float::Single).map(|bits| Ty::F32X4.splat_bits(bits));
        let doubles = lanes(Float::Double).map(|bits| Ty::F64X2.splat_bits(bits));
        let mut held = vec![0; Annotation::COUNT as usize];
        for bits in singles.chain(doubles).chain([0, u128::MAX, 0x5555 << 100]) {
            let set = Annotations::of_value(bits);
            assert_eq!(Annotations::from_bits(set.to_bits()), Some(set), "{bits:#x}");
            for annotation in Annotation::all().filter(|annotation| set.has(*annotation)) {
                held[annotation.bit() as usize] += 1;
                if let Some(implied) = annotation.implied() {
                    assert!(set.has(implied), "{annotation:?} but not {implied:?} of {bits:#x}");
                }
            }
        }
        assert!(held.iter().all(|count| *count > 0), "{held:?}");
    }

    #[test]
    fn closed_sets_stay_closed() {
        for a in sets() {
            for b in sets() {
                for set in [a.intersect(b), a.join(b)] {
                    assert_eq!(Annotations::from_bits(set.to_bits()), Some(set));
                }
            }
        }
        // A float less than 256 that may be infinity is no set.
        let under = Annotation::Float(Float::Single, OfFloat::Under(8));
        let finite = Annotation::Float(Float::Single, OfFloat::NotInfinity);
        let set = Annotations::of(under).to_bits();
        assert!(Annotations::of(under).has(finite));
        assert_eq!(Annotations::from_bits(set & !(1 << finite.bit())), None);
        assert_eq!(Annotations::from_bits(1 << Annotation::COUNT), None);
    }

    #[test]
    fn values_have_the_annotations_that_are_true() {
        let single = |lanes: [f32; 4]| {
            let bytes: Vec<u8> = lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect();
            u128::from_le_bytes(bytes.try_into().expect("sixteen bytes"))
        };
        let of = |lanes| Annotations::of_value(single(lanes)).floats(Float::Single);
        let bytes = of([255.0, -127.5, f32::NAN, 1.0]);
        assert_eq!((bytes.under, bytes.over), (Bound::below(8), Bound::below(7)));
        assert_eq!(of([256.0, 0.0, 0.0, 0.0]).under, Bound::below(9));
        assert_eq!(of([f32::MAX, 0.0, 0.0, 0.0]).under, Bound::FINITE);
        assert_eq!(of([f32::INFINITY, 0.0, 0.0, 0.0]).under, Bound::NONE);
        assert_eq!(of([f32::INFINITY, 0.0, 0.0, 0.0]).over, Bound::ZERO);
        assert!(of([f32::INFINITY; 4]).not_nan && !bytes.not_nan);
        assert!(of([-f32::NAN, -0.0, 3.0, 0.0]).not_negative());
        assert!(!of([-1.0, 0.0, 3.0, 0.0]).not_negative());
        assert!(of([-1.0, 0.0, -f32::NAN, 0.0]).no_minus_zero);
        assert!(!of([-1.0, 0.0, -0.0, 0.0]).no_minus_zero);
        assert_eq!(Annotations::of_value(single([2.5; 4])).period(), 32);
        assert_eq!(Annotations::of_value(u128::MAX).period(), 8);
        assert_eq!(Annotations::of_value(1).period(), 128);
    }

    #[test]
    fn what_known_bits_say_holds_of_every_value_they_allow() {
        let known = KnownBits { zeros: Ty::F32X4.splat_bits(0xffff_ff00), ones: 0 };
        let set = Annotations::of_bits(known);
        assert!(set.floats(Float::Single).not_negative());
        assert_eq!(set.floats(Float::Single).under, Bound::below(0));
        assert!(set.holds_of(0x12 << 32) && !set.holds_of(1 << 31));
        assert_eq!(Annotations::of_bits(KnownBits::unknown()), Annotations::unknown());
    }
}
