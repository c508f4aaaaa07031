//! Annotations of operands must, with the other facts, give annotations that hold of every result.

mod support;

use egraft_ir::eval::has_nan;
use egraft_ir::{Annotation, Annotations, Facts, KnownBits, Node, Op, SignCopies, Ty, eval, fold};
use rand::Rng;
use rand::rngs::SmallRng;
use support::{nodes, operand, operand_type, rng};

/// What values of an operand have in common.
#[derive(Clone, Copy)]
struct Family {
    /// They repeat after so many bits; 128 for those that need not.
    period: u32,
    /// Lanes of this format, if they are floats.
    floats: Option<Floats>,
}

/// Floats of some kind.
#[derive(Clone, Copy)]
struct Floats {
    ty: Ty,
    /// Magnitudes are below 2^n; up to the greatest there is where this is `None`.
    below: Option<u32>,
    infinite: bool,
    nan: bool,
    negative: bool,
    minus_zero: bool,
    integral: bool,
}

impl Family {
    fn new(rng: &mut SmallRng) -> Family {
        let period = [128, 128, 128, 8, 16, 32, 64][rng.random_range(0..7)];
        let floats = rng.random_bool(0.8).then(|| Floats {
            ty: if rng.random() { Ty::F32X4 } else { Ty::F64X2 },
            below: rng.random_bool(0.7).then(|| rng.random_range(0..34)),
            infinite: rng.random_bool(0.3),
            nan: rng.random_bool(0.3),
            negative: rng.random_bool(0.6),
            minus_zero: rng.random_bool(0.5),
            integral: rng.random_bool(0.3),
        });
        Family { period, floats }
    }

    fn value(self, rng: &mut SmallRng, node: &Node, index: usize, ty: Ty) -> u128 {
        let bits = match self.floats {
            Some(floats) => (0..floats.ty.lanes())
                .fold(0, |bits, lane| bits | floats.lane(rng) << (lane * floats.ty.lane_bits())),
            None => operand(rng, node, index, ty),
        };
        let mask = u128::MAX >> (128 - self.period);
        let repeated = (0..128 / self.period)
            .fold(0, |all, at| all | (bits & mask) << (at * self.period % 128));
        let division = matches!(node.op, Op::Udiv | Op::Sdiv | Op::Urem | Op::Srem) && index == 1;
        if division { bits & 0x7f | 2 } else { repeated & ty.mask() }
    }
}

impl Floats {
    fn lane(self, rng: &mut SmallRng) -> u128 {
        let w = self.ty.lane_bits();
        let fraction = if w == 32 { 23 } else { 52 };
        let sign = 1u128 << (w - 1);
        let infinity = ((1u128 << (w - 1 - fraction)) - 1) << fraction;
        let bias = (infinity / 2) >> fraction;
        let noise = u128::from(rng.random::<u64>()) & ((1 << fraction) - 1);
        let end = self.below.map_or(infinity, |n| (bias + u128::from(n)) << fraction);
        let magnitude = match rng.random_range(0..10) {
            0 => 0,
            1 => end - 1,
            2 => rng.random_range(0..end),
            3 => noise,
            4 if self.infinite => infinity,
            5 if self.nan => infinity | noise | 1,
            6 => bias << fraction,
            _ => end.saturating_sub(rng.random_range(0..5 << fraction)).max(1) - 1,
        };
        let whole = |bits: u128| match w {
            32 => u128::from(f32::from_bits(bits as u32).trunc().to_bits()),
            _ => u128::from(f64::from_bits(bits as u64).trunc().to_bits()),
        };
        let magnitude =
            if self.integral && magnitude < infinity { whole(magnitude) } else { magnitude };
        let negative = match magnitude {
            0 => self.minus_zero,
            bits if bits > infinity => true,
            _ => self.negative,
        };
        if negative && rng.random() { magnitude | sign } else { magnitude }
    }
}

/// What is known of all of these values, or less.
fn facts(rng: &mut SmallRng, ty: Ty, values: &[u128]) -> Facts {
    let of = |bits: &u128| Facts {
        copies: SignCopies::of_value(*bits),
        annotations: Annotations::of_value(*bits),
        ..Facts::constant(*bits)
    };
    let join = |a: Facts, b: Facts| Facts {
        bits: a.bits.join(b.bits),
        copies: a.copies.join(b.copies),
        annotations: a.annotations.join(b.annotations),
    };
    let mut facts = values.iter().map(of).reduce(join).unwrap();
    match rng.random_range(0..3) {
        0 => facts.bits = KnownBits::of_type(ty),
        1 => facts.bits = KnownBits::unknown(),
        _ => {}
    }
    if rng.random() {
        let hidden = rng.random_range(0..Annotation::COUNT as usize);
        facts.annotations = facts.annotations.without(Annotation::all().nth(hidden).unwrap());
    }
    assert!(values.iter().all(|bits| facts.holds_of(*bits)));
    facts
}

#[test]
fn every_transfer_function_is_sound() {
    const FACTS: usize = 300;
    const VALUES: usize = 10;
    let mut rng = rng("annotations");
    let (mut checked, mut sharp) = (0u64, vec![0u64; Annotation::COUNT as usize]);
    let mut never = Vec::new();
    for node in nodes(&mut rng) {
        let before = checked;
        for _ in 0..FACTS {
            let mut known = Vec::new();
            let mut values = Vec::new();
            for index in 0..node.op.arity() {
                let ty = operand_type(&node, index, &mut rng);
                let family = Family::new(&mut rng);
                let own: Vec<u128> =
                    (0..VALUES).map(|_| family.value(&mut rng, &node, index, ty)).collect();
                known.push(facts(&mut rng, ty, &own));
                values.push(own);
            }
            let result = Facts::of_node(&node, &known);
            let of_bits = Annotations::of_bits(result.bits);
            assert_eq!(result.annotations.intersect(of_bits), result.annotations, "{node:?}");
            for (at, annotation) in Annotation::all().enumerate() {
                sharp[at] +=
                    u64::from(result.annotations.has(annotation) && !of_bits.has(annotation));
            }
            for _ in 0..VALUES {
                let args: Vec<u128> =
                    values.iter().map(|own| own[rng.random_range(0..VALUES)]).collect();
                let Ok(bits) = eval(&node, &args) else { continue };
                assert!(
                    result.annotations.holds_of(bits),
                    "{node:?} of {known:x?}\n at {args:x?} is {bits:#x}, outside {:x?}",
                    Annotation::all()
                        .filter(|one| result.annotations.has(*one)
                            && !Annotations::of_value(bits).has(*one))
                        .collect::<Vec<_>>()
                );
                // A NaN whose bits are open may have others, in each lane.
                let ty = node.result_type();
                if ty.is_float() && has_nan(ty, bits) && fold(&node, &args).is_none() {
                    let mut other = bits;
                    for lane in 0..ty.lanes() {
                        if has_nan(ty.lane(), ty.lane_of(bits, lane)) {
                            let noise = 1 | 1 << (ty.lane_bits() - 1);
                            let noise = if rng.random() { noise } else { 1 };
                            other ^= noise << (lane * ty.lane_bits());
                        }
                    }
                    if has_nan(ty, other) {
                        assert!(result.annotations.holds_of(other), "{node:?} knows a NaN's bits");
                    }
                }
                checked += 1;
            }
        }
        if checked == before {
            never.push(node);
        }
    }
    let said: u64 = sharp.iter().sum();
    println!("{checked} results checked, {said} annotations said more than known bits");
    assert!(never.is_empty(), "never checked: {never:?}");
    assert!(checked > 1_000_000, "only {checked} results were checked");
    let silent: Vec<_> = Annotation::all()
        .zip(&sharp)
        .filter(|(_, count)| **count == 0)
        .map(|(one, _)| one)
        .collect();
    assert!(silent.is_empty(), "never said: {silent:?}");
}

/// Facts that contradict each other come from code that never runs; they must not panic.
#[test]
fn contradictions_do_not_panic() {
    let mut rng = rng("contradictory annotations");
    for node in nodes(&mut rng) {
        for _ in 0..40 {
            let facts: Vec<Facts> = (0..node.op.arity())
                .map(|_| {
                    let annotations = Annotation::all()
                        .filter(|_| rng.random_bool(0.3))
                        .fold(Annotations::unknown(), |all, one| {
                            all.intersect(Annotations::of(one))
                        });
                    let bits = KnownBits { zeros: rng.random(), ones: rng.random() };
                    Facts { bits, annotations, ..Facts::unknown() }
                })
                .collect();
            Facts::of_node(&node, &facts);
        }
    }
}

/// What the idioms of image code in floats ask for.
#[test]
fn bytes_as_floats_stay_small() {
    use egraft_ir::semantics::Float::Single;
    use egraft_ir::{FloatCc, OfFloat};
    let single = |facts: Facts, of: OfFloat| facts.has(Ty::F32X4, Annotation::Float(Single, of));
    let within =
        |facts: Facts, n: u32| single(facts, OfFloat::Under(n)) && single(facts, OfFloat::Over(n));
    let of = |op: Op, ty: Ty, from: Ty, imm: u128, args: &[Facts]| {
        Facts::of_node(&Node::detached(op, ty, from, imm), args)
    };
    let constant = |x: f32| Facts::constant(Ty::F32X4.splat_bits(x.to_bits().into()));
    let same = |op: Op, args: &[Facts]| of(op, Ty::F32X4, Ty::F32X4, 0, args);
    let open = Facts::unknown();
    let short = of(Op::UwidenLow, Ty::I8X16, Ty::I8X16, 0, &[open]);
    let word = of(Op::UwidenLow, Ty::I16X8, Ty::I16X8, 0, &[short]);
    let byte = of(Op::FcvtFromSint, Ty::F32X4, Ty::I32X4, 0, &[word]);
    assert!(within(byte, 8) && !within(byte, 7));
    assert!(single(byte, OfFloat::NotNegative) && single(byte, OfFloat::NoMinusZero));
    // Nine weighted bytes, rounded.
    let weighted = same(Op::Fmul, &[byte, constant(0.111)]);
    assert!(within(weighted, 8));
    let sum = (0..8).fold(weighted, |sum, _| same(Op::Fadd, &[sum, weighted]));
    assert!(within(sum, 16));
    let rounded = same(Op::Floor, &[same(Op::Fadd, &[sum, constant(0.5)])]);
    assert!(within(rounded, 31) && single(rounded, OfFloat::NoMinusZero));
    let unit = same(Op::Fdiv, &[byte, constant(255.0)]);
    assert!(within(unit, 8) && single(unit, OfFloat::NotNegative));
    // Minima and maxima bound all but NaNs.
    let clamped = same(Op::Fmax, &[same(Op::Fmin, &[open, constant(255.0)]), constant(-128.0)]);
    assert!(single(clamped, OfFloat::Under(8)) && single(clamped, OfFloat::Over(8)));
    assert!(!single(clamped, OfFloat::Over(7)) && !single(clamped, OfFloat::NotNan));
    let clamped = same(Op::Fmin, &[same(Op::Fmax, &[open, constant(0.0)]), constant(255.0)]);
    assert!(single(clamped, OfFloat::NotNegative) && single(clamped, OfFloat::NoMinusZero));
    // A mask chooses between lanes; the sum of anything is anything.
    let mask = of(Op::Fcmp, Ty::F32X4, Ty::F32X4, FloatCc::Lt as u128, &[byte, open]);
    let chosen = of(Op::Bitselect, Ty::I8X16, Ty::I8X16, 0, &[mask, byte, constant(3.0)]);
    assert!(within(chosen, 8));
    let torn = of(Op::Bitselect, Ty::I8X16, Ty::I8X16, 0, &[open, byte, constant(3.0)]);
    assert!(!single(torn, OfFloat::NotNan));
    let sum = same(Op::Fadd, &[byte, open]);
    assert!(!single(sum, OfFloat::NotNan) && single(sum, OfFloat::NoMinusZero));
    // Equal lanes stay equal, unless they may be NaNs.
    let splat = of(Op::Splat, Ty::F32X4, Ty::F32X4, 0, &[open]);
    let uniform = |facts: Facts, w| facts.has(Ty::I8X16, Annotation::Uniform(w));
    assert!(uniform(splat, 32) && uniform(splat, 64) && !uniform(splat, 16));
    assert!(!uniform(same(Op::Fmul, &[splat, constant(2.0)]), 64));
    assert!(uniform(same(Op::Fabs, &[splat]), 32));
    let swap = u128::from_le_bytes([4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11]);
    let moved = of(Op::Shuffle, Ty::I8X16, Ty::I8X16, swap, &[splat, open]);
    assert!(uniform(moved, 32));
    let low = of(Op::UwidenLow, Ty::I32X4, Ty::I32X4, 0, &[splat]);
    assert!(uniform(low, 64) && !uniform(low, 32));
}
