//! What is said of conditions agrees with what the matcher computes.

use super::*;
use egraft_ir::{Concrete, IntCc, KnownBits};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Tuples for each condition and choice of types.
const TUPLES: usize = 400;

/// Surroundings in which no number is known, so that everything is said.
struct Blind<'a> {
    lanes: &'a [u128],
    pair: (u128, u128),
}

impl Surroundings<Concrete> for Blind<'_> {
    fn number_of(&self, _: &Concrete, _: &u128) -> Option<u128> {
        None
    }

    fn open(&mut self, _: &mut Concrete, least: u128) -> u128 {
        if self.pair.0 == u128::MAX { least } else { self.pair.0 }
    }

    fn lanes16(&mut self, _: &mut Concrete) -> Vec<u128> {
        self.lanes.to_vec()
    }

    fn round_pair(&mut self, _: &mut Concrete) -> (u128, u128, bool) {
        (self.pair.0, self.pair.1, true)
    }
}

/// Facts that know all of each class.
struct Exactly<'a>(&'a [(u128, Ty)]);

impl FactSource for Exactly<'_> {
    fn constant(&self, _: ClassId) -> Option<u128> {
        None
    }

    fn facts(&self, class: ClassId) -> Facts {
        let (value, ty) = self.0[class.index()];
        let bits = KnownBits { zeros: !value & ty.mask(), ones: value & ty.mask() };
        Facts { bits, ..Facts::unknown() }
    }

    fn class_type(&self, class: ClassId) -> Ty {
        self.0[class.index()].1
    }
}

fn lane(random: &mut SmallRng, width: u32) -> u128 {
    let mask = u128::MAX >> (128 - width);
    let bits: u128 = random.random();
    let some = random.random_range(0..width);
    mask & match random.random_range(0..6) {
        0 => bits,
        1 => bits & 15,
        2 => 1 << some,
        3 => (1 << some) - 1,
        4 => u128::MAX << some,
        _ => u128::from(random.random_range(0..3_u8)).wrapping_sub(1),
    }
}

fn value(random: &mut SmallRng, ty: Ty) -> u128 {
    let shared = lane(random, ty.lane_bits());
    let likely = if random.random_bool(0.2) { 1.0 } else { 0.5 };
    (0..ty.lanes()).fold(0, |bits, at| {
        let lane = if random.random_bool(likely) { shared } else { lane(random, ty.lane_bits()) };
        bits | lane << (at * ty.lane_bits())
    })
}

fn mask(random: &mut SmallRng, ty: Ty) -> u128 {
    let width = ty.lane_bits() as u8 / 8;
    if width < 8 && random.random_bool(0.1) {
        // Each lane of half an operand, followed by bytes of the second.
        let start = random.random_range(0..2) * 8;
        return u128::from_le_bytes(std::array::from_fn(|at| {
            let (lane, byte) = (at as u8 / (2 * width), at as u8 % (2 * width));
            if byte < width { start + lane * width + byte } else { 16 + byte }
        }));
    }
    let lanes = 32 / width;
    let first = random.random_range(0..lanes);
    let same = random.random_bool(0.3);
    let counts = random.random_bool(0.3);
    let low = random.random_bool(0.3);
    let bytes: Vec<u8> = (0..16 / width)
        .flat_map(|at| {
            let from = match (same, counts) {
                (true, _) => first,
                (_, true) => (first + at) % lanes,
                _ => random.random_range(0..if low { lanes / 2 } else { lanes }),
            };
            (0..width).map(move |byte| from * width + byte)
        })
        .collect();
    u128::from_le_bytes(bytes.try_into().expect("sixteen bytes"))
}

/// What `say` and `Cond::eval` answer for the same arguments, or nothing if the tuple says nothing.
fn agree(cond: Cond, ty: Ty, random: &mut SmallRng) -> Option<bool> {
    let is_mask = cond.name().starts_with("mask_");
    let mut classes = Vec::new();
    let (mut slots, mut args) = (Vec::new(), Vec::new());
    let others: Vec<Ty> =
        [Ty::I8, Ty::I16, Ty::I32, Ty::I64].into_iter().filter(|to| *to != ty.lane()).collect();
    for (at, (name, sort)) in cond.params().iter().enumerate() {
        let slot = match sort {
            Sort::Type if at == 0 => slot::of_ty(ty),
            Sort::Type => slot::of_ty(others[random.random_range(0..others.len())]),
            Sort::IntCc => IntCc::Ult as u128,
            Sort::FloatCc => 0,
            Sort::Int if is_mask && matches!(*name, "m" | "outer" | "inner" | "left" | "right") => {
                mask(random, ty)
            }
            Sort::Int if matches!(*name, "n" | "i" | "j") => random.random_range(0..40),
            Sort::Int if matches!(*name, "bits" | "x" | "y" | "s") => value(random, ty),
            Sort::Int if cond == Cond::float_recip_pow2 => {
                let exponent: u128 = random.random_range(0..256);
                exponent << if ty.lane_bits() == 32 { 23 } else { 52 }
            }
            Sort::Int => lane(random, ty.lane_bits().min(64)),
            Sort::Value => {
                classes.push((value(random, ty), ty.value()));
                slot::of_class(ClassId(classes.len() as u32 - 1))
            }
        };
        slots.push(slot);
        args.push(match sort {
            Sort::Value => {
                let (value, ty) = classes[classes.len() - 1];
                Arg::Class(value, ty)
            }
            Sort::Int => Arg::Number(slot),
            _ => Arg::Plain(slot),
        });
    }
    let computed = cond.eval(&Exactly(&classes), &slots);
    let pair = match (cond, computed) {
        (Cond::bits_used, Some(bits)) => (bits, 0),
        _ => (u128::MAX, 0),
    };
    let said = say(&mut Concrete, &mut Blind { lanes: &[], pair }, cond, &args);
    let said = said.filter(|said| said.facts.iter().all(|fact| *fact));
    match (computed, said) {
        (None, None) => None,
        // It may say less than the matcher asks.
        (None, Some(_)) => Some(matches!(cond, Cond::num_mul | Cond::float_within)),
        (Some(_), None) => Some(false),
        (Some(number), Some(said)) => Some(match said.given {
            Given::Nothing => cond.result().is_none(),
            Given::Plain(slot) | Given::Number(slot) => slot == number,
        }),
    }
}

#[test]
fn what_is_said_is_what_is_computed() {
    let mut random = SmallRng::seed_from_u64(5);
    let mut silent = Vec::new();
    for cond in Cond::ALL.iter().copied() {
        let vectors = cond.name().starts_with("mask_") || cond.name().starts_with("vec_");
        use Cond::{finite, float_recip_pow2, float_within, no_minus_zero, not_nan, not_negative};
        let floats = matches!(
            cond,
            float_recip_pow2 | not_nan | finite | float_within | not_negative | no_minus_zero
        );
        let types = Ty::ALL.into_iter().filter(|ty| {
            *ty != Ty::I128 && ty.is_float() == floats && (ty.is_vector() || !vectors)
        });
        let quotient = cond.name().starts_with("udiv16") || cond.name().starts_with("umul16");
        // What depends on types and codes alone is computed, not said.
        let plain = cond.params().iter().all(|(_, sort)| !matches!(sort, Sort::Int | Sort::Value));
        if quotient || plain || matches!(cond, Cond::same | Cond::distinct) {
            continue;
        }
        let mut held = 0;
        for ty in types {
            for _ in 0..TUPLES {
                if let Some(agrees) = agree(cond, ty, &mut random) {
                    assert!(agrees, "{} for {ty}", cond.name());
                    held += 1;
                }
            }
        }
        if held == 0 {
            silent.push(cond.name());
        }
    }
    assert!(silent.is_empty(), "never held: {silent:?}");
}

#[test]
fn quotients_say_what_was_tried() {
    let lanes: Vec<u128> = (0..1 << 16).step_by(7).chain([0xffff, 0x8000, 0x7fff]).collect();
    let tried: [(Cond, Vec<u128>); 4] = [
        (Cond::udiv16_divisor, vec![0xe38f, 19]),
        (Cond::udiv16_guess, vec![9]),
        (Cond::umul16_round_factor, vec![0xe38f, 19, 12]),
        (Cond::umul16_round_offset, vec![0xe38f, 19, 12]),
    ];
    for (cond, numbers) in tried {
        let none = Exactly(&[]);
        let computed = cond.eval(&none, &numbers).expect("nine is a divisor");
        let offset = Cond::umul16_round_offset.eval(&none, &numbers).unwrap_or(0);
        let factor = Cond::umul16_round_factor.eval(&none, &numbers).unwrap_or(computed);
        let args: Vec<Arg<u128>> = numbers.into_iter().map(Arg::Number).collect();
        for (pair, right) in [((factor, offset), true), ((factor ^ 64, offset), false)] {
            let mut around = Blind { lanes: &lanes, pair };
            let said = say(&mut Concrete, &mut around, cond, &args).expect("it is about numbers");
            assert_eq!(said.facts.iter().all(|fact| *fact), right, "{}", cond.name());
        }
    }
}
