//! Facts about repeated bits must, with known bits, give facts that hold of every result.

mod support;

use egraft_ir::eval::nan_bits_are_open;
use egraft_ir::{Facts, KnownBits, SignCopies, Ty, eval, known_bits, sign_copies};
use rand::Rng;
use rand::rngs::SmallRng;
use support::{nodes, operand, operand_type, rng};

/// Which bits of a `w`-bit lane are marked: runs at either end, single bits, noise.
fn marks_in_lane(rng: &mut SmallRng, w: u32) -> u128 {
    let all = u128::MAX >> (128 - w);
    let noise = rng.random::<u128>();
    let top = all & !(all >> rng.random_range(0..=w));
    match rng.random_range(0..8) {
        0 | 1 => 0,
        2 => all,
        3 => top,
        4 => all >> rng.random_range(0..w),
        5 => noise,
        6 => 1 << rng.random_range(0..w),
        _ => top | noise & rng.random::<u128>(),
    }
}

fn marks(rng: &mut SmallRng, ty: Ty) -> u128 {
    const SHAPES: [Ty; 4] = [Ty::I8X16, Ty::I16X8, Ty::I32X4, Ty::I64X2];
    let ty = match ty.is_vector() && rng.random() {
        true => SHAPES[rng.random_range(0..SHAPES.len())],
        false => ty,
    };
    let w = ty.lane_bits();
    if rng.random() {
        let lane = marks_in_lane(rng, w);
        return ty.splat_bits(lane);
    }
    (0..ty.lanes())
        .fold(0, |all, lane| all | (marks_in_lane(rng, w) & ty.lane_mask()) << (lane * w))
}

/// `bits` spread upwards into `into`, as far as that is unbroken.
fn spread_up(mut bits: u128, mut into: u128) -> u128 {
    for by in [1, 2, 4, 8, 16, 32, 64] {
        bits |= into & bits << by;
        into &= into << by;
    }
    bits
}

fn spread_down(bits: u128, into: u128) -> u128 {
    spread_up(bits.reverse_bits(), into.reverse_bits()).reverse_bits()
}

/// An operand that facts are about: one value of theirs, and the facts.
struct Operand {
    ty: Ty,
    seed: u128,
    facts: Facts,
    /// Bits that are the same in all values the facts allow.
    fixed: u128,
}

impl Operand {
    fn new(rng: &mut SmallRng, ty: Ty, bits: u128) -> Operand {
        let copies = marks(rng, ty) & ty.mask() & !1;
        let seed = spread_up(bits & !copies, copies) & ty.mask();
        let known = marks(rng, ty) & if rng.random() { marks(rng, ty) } else { u128::MAX };
        let fixed = spread_down(spread_up(known, copies), copies >> 1);
        let bits = KnownBits { zeros: !seed & known, ones: seed & known };
        Operand {
            ty,
            seed,
            facts: Facts { bits, copies: SignCopies(copies), ..Facts::unknown() },
            fixed,
        }
    }

    /// A value that the facts allow: where they leave it open, as in `from`.
    fn concretise(&self, from: u128) -> u128 {
        let copies = self.facts.copies.0;
        let open = spread_up(from & !copies, copies);
        let value = (open & !self.fixed | self.seed & self.fixed) & self.ty.mask();
        assert!(self.facts.bits.holds_of(value) && self.facts.copies.holds_of(value));
        value
    }
}

#[test]
fn every_transfer_function_is_sound() {
    const FACTS: usize = 400;
    const VALUES: usize = 12;
    let mut rng = rng("sign copies");
    let (mut checked, mut sharp) = (0u64, 0u64);
    for node in nodes(&mut rng) {
        let result_ty = node.result_type();
        for _ in 0..FACTS {
            let operands: Vec<Operand> = (0..node.op.arity())
                .map(|index| {
                    let ty = operand_type(&node, index, &mut rng);
                    let bits = operand(&mut rng, &node, index, ty);
                    Operand::new(&mut rng, ty, bits)
                })
                .collect();
            let bits: Vec<_> = operands.iter().map(|operand| operand.facts.bits).collect();
            let copies: Vec<_> = operands.iter().map(|operand| operand.facts.copies).collect();
            let known = known_bits(&node, &bits);
            let result = sign_copies(&node, &bits, &copies, known);
            let of_bits = SignCopies::of_bits(known);
            assert_eq!(result.intersect(of_bits), result, "{node:?} forgets known bits");
            sharp += u64::from(result != of_bits);
            if nan_bits_are_open(node.op) {
                assert_eq!(result, of_bits, "{node:?} claims to know a NaN's payload");
            }
            let facts = Facts { bits: known, copies: result, ..Facts::unknown() };
            for round in 0..VALUES {
                let values: Vec<u128> = operands
                    .iter()
                    .enumerate()
                    .map(|(index, one)| match round {
                        0 => one.seed,
                        _ => one.concretise(operand(&mut rng, &node, index, one.ty)),
                    })
                    .collect();
                let Ok(value) = eval(&node, &values) else { continue };
                assert!(
                    result.holds_of(value),
                    "{node:?} of {bits:x?} {copies:x?}\n at {values:x?} is {value:#x}, outside {result:x?}"
                );
                let shape = if result_ty.is_float() { result_ty.as_int() } else { result_ty };
                for lane in 0..shape.lanes() {
                    let above = 128 - shape.lane_bits();
                    let number = (shape.lane_of(value, lane) << above) as i128 >> above;
                    let (least, greatest) = facts.lane_range(shape, lane);
                    let nan = nan_bits_are_open(node.op);
                    assert!(
                        nan || least <= number && number <= greatest,
                        "{node:?}: lane {lane} of {value:#x} is not in {least}..={greatest}"
                    );
                }
                checked += 1;
            }
        }
    }
    println!("{checked} results checked, {sharp} facts said more than known bits");
    assert!(checked > 2_000_000, "only {checked} results were checked");
    assert!(sharp > 20_000, "only {sharp} facts said more than known bits");
}

/// Ranges of views other than the one a fact was made for hold as well.
#[test]
fn ranges_hold_in_every_shape() {
    let mut rng = rng("ranges");
    for ty in [Ty::I8X16, Ty::I16X8, Ty::I32X4, Ty::I64X2, Ty::I8, Ty::I16, Ty::I32, Ty::I64] {
        for _ in 0..20_000 {
            let (bits, open) = (rng.random(), rng.random());
            let one = Operand::new(&mut rng, ty, bits);
            let value = one.concretise(open);
            let all = one.facts.signed_range(ty);
            for lane in 0..ty.lanes() {
                let above = 128 - ty.lane_bits();
                let number = (ty.lane_of(value, lane) << above) as i128 >> above;
                let (least, greatest) = one.facts.lane_range(ty, lane);
                assert!(least <= number && number <= greatest, "{ty} {value:#x} {:x?}", one.facts);
                assert!(all.0 <= least && greatest <= all.1);
            }
        }
    }
}

/// Facts that contradict each other come from code that never runs; they must not panic.
#[test]
fn contradictions_do_not_panic() {
    let mut rng = rng("contradictory copies");
    for node in nodes(&mut rng) {
        for round in 0..40 {
            let noise = |rng: &mut SmallRng| if round % 2 == 0 { u128::MAX } else { rng.random() };
            let arity = node.op.arity();
            let bits: Vec<_> = (0..arity)
                .map(|_| KnownBits { zeros: rng.random(), ones: noise(&mut rng) })
                .collect();
            let copies: Vec<_> = (0..arity).map(|_| SignCopies(noise(&mut rng))).collect();
            let known = known_bits(&node, &bits);
            let copies = sign_copies(&node, &bits, &copies, known);
            Facts { bits: known, copies, ..Facts::unknown() }.signed_range(node.result_type());
        }
    }
}
