//! Characteristic values: what terms are told apart by.
//!
//! Invariant: the same workload and premise give the same values on every machine.

use crate::error::InferError;
use crate::premise::{AtomFacts, Premise};
use crate::space::{Kind, Space, View};
use egraft_ir::{Facts, Ty};

/// Lanes that are compared, if the number of samples allows.
const LANES: u32 = 768;

/// Tries to draw values that satisfy a premise, per sample and per lane.
const TRIES: usize = 4000;

/// A small deterministic generator (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Lane values at which ops change their ways.
fn edges(ty: Ty) -> Vec<u128> {
    let mask = ty.lane_mask();
    let sign = 1u128 << (ty.lane_bits() - 1);
    if ty.is_float() {
        let numbers = [0.0, 1.0, 0.5, 1.5, 2.5, f64::INFINITY, f64::NAN, 3e9, 1e-42, 1e300, 127.7];
        let bits = |x: f64| match ty.lane() {
            Ty::F32 => u128::from((x as f32).to_bits()),
            _ => u128::from(x.to_bits()),
        };
        let mut all: Vec<u128> = numbers.iter().map(|x| bits(*x)).collect();
        // Other NaNs, a signalling one among them; the least subnormal.
        all.extend([bits(f64::INFINITY) | 1, bits(f64::NAN) | 5, 1]);
        let negative: Vec<u128> = all.iter().map(|bits| bits | sign).collect();
        all.extend(negative);
        return all;
    }
    [0, 1, mask, sign, sign - 1, 2, sign + 1, mask - 1, 3, mask / 3, 1 << (ty.lane_bits() / 2), 5]
        .into()
}

/// Values of all atoms.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    /// Number of samples.
    pub(crate) count: usize,
    /// By atom, then by sample: the bits.
    pub(crate) values: Vec<Vec<u128>>,
}

impl Samples {
    /// Draws values of all atoms under `premise`.
    ///
    /// # Errors
    /// [`InferError::Workload`] if no values satisfy the premise.
    pub(crate) fn draw(
        workload: &str,
        space: &Space,
        premise: &Premise,
    ) -> Result<Samples, InferError> {
        let lanes = space.base.lanes();
        let count = if space.base.is_vector() { (LANES / lanes).clamp(48, 192) } else { 400 };
        let mut draw = Draw { space, premise, random: Random::new(0x5eed), crossed: 0 };
        let mut values = vec![Vec::new(); space.atoms.len()];
        for _ in 0..count {
            let sample = draw.sample().ok_or_else(|| InferError::Workload {
                workload: workload.to_owned(),
                part: format!("premise `{}`", premise.text),
                why: "holds of no values that were tried; write one that can hold".to_owned(),
            })?;
            values.iter_mut().zip(sample).for_each(|(all, one)| all.push(one));
        }
        Ok(Samples { count: count as usize, values })
    }
}

struct Draw<'a> {
    space: &'a Space,
    premise: &'a Premise,
    random: Random,
    /// Pairs of edges used so far.
    crossed: usize,
}

impl Draw<'_> {
    fn sample(&mut self) -> Option<Vec<u128>> {
        (0..200).find_map(|_| self.try_sample())
    }

    fn try_sample(&mut self) -> Option<Vec<u128>> {
        let space = self.space;
        let numbers = (0..TRIES).find_map(|_| self.constants(space.base))?;
        let mut sample = vec![0; space.atoms.len()];
        for lane in 0..space.base.lanes() {
            let lanes = (0..TRIES).find_map(|_| self.lane(lane, &numbers))?;
            for (at, atom) in space.atoms.iter().enumerate() {
                let ty = atom.view.ty();
                if atom.kind == Kind::Var && lane < ty.lanes() {
                    sample[at] |= lanes[at] << (lane * ty.lane_bits());
                }
            }
        }
        // Lanes that the base does not have.
        for (at, atom) in space.atoms.iter().enumerate() {
            let ty = atom.view.ty();
            if atom.is_constant() {
                sample[at] = match atom.view {
                    View::Amount => numbers[at] & Ty::I32.mask(),
                    View::Of(ty) => ty.splat_bits(numbers[at]),
                };
            } else {
                for lane in space.base.lanes()..ty.lanes() {
                    sample[at] |= self.value(atom.view) << (lane * ty.lane_bits());
                }
            }
        }
        Some(sample)
    }

    /// Values of the constants, if the premise allows them.
    fn constants(&mut self, base: Ty) -> Option<Vec<u128>> {
        let space = self.space;
        let mut numbers: Vec<u128> = space
            .atoms
            .iter()
            .map(|atom| match atom.kind {
                Kind::Literal(literal) => literal.value(base, atom.view.ty()),
                Kind::Const => self.constant(base, atom.view),
                _ => 0,
            })
            .collect();
        let known = vec![Facts::unknown(); space.atoms.len()];
        let facts = AtomFacts { ty: base.lane(), known: &known };
        self.premise.holds(base.lane(), false, &mut numbers, &facts).then_some(numbers)
    }

    fn constant(&mut self, base: Ty, view: View) -> u128 {
        match view {
            View::Amount => self.random.below(base.lane_bits() as usize) as u128,
            View::Of(ty) => match self.random.below(4) {
                0 => 1 << self.random.below(ty.lane_bits() as usize),
                1 => (1 << self.random.below(ty.lane_bits() as usize)) - 1,
                _ => self.value(view),
            },
        }
    }

    /// One lane of every variable, if the premise allows it.
    fn lane(&mut self, _lane: u32, numbers: &[u128]) -> Option<Vec<u128>> {
        let space = self.space;
        let mut lanes: Vec<u128> = Vec::with_capacity(space.atoms.len());
        let edges = edges(space.base);
        let cross = self.crossed < edges.len() * edges.len();
        let mut of_base = 0;
        for atom in &space.atoms {
            let is_var = atom.kind == Kind::Var;
            let base_var = is_var && atom.view == View::Of(space.base);
            lanes.push(match (is_var, base_var && cross, of_base) {
                (false, ..) => 0,
                (_, true, 0) => edges[self.crossed % edges.len()],
                (_, true, 1) => edges[self.crossed / edges.len()],
                _ if base_var && of_base > 0 && self.random.below(6) == 0 => {
                    self.relative(&lanes, space.base)
                }
                _ => self.value(atom.view),
            });
            of_base += usize::from(base_var);
        }
        self.crossed += 1;
        if self.premise.is_empty() {
            return Some(lanes);
        }
        let known: Vec<Facts> = lanes.iter().map(|value| Facts::constant(*value)).collect();
        let facts = AtomFacts { ty: space.base.lane(), known: &known };
        let mut numbers = numbers.to_vec();
        self.premise.holds(space.base.lane(), true, &mut numbers, &facts).then_some(lanes)
    }

    /// A lane that has to do with one drawn before.
    fn relative(&mut self, lanes: &[u128], ty: Ty) -> u128 {
        let other = lanes[self.random.below(lanes.len())];
        let lane = match self.random.below(5) {
            0 => other,
            1 => other.wrapping_neg(),
            2 => !other,
            3 => other.wrapping_add(1),
            _ => other.wrapping_sub(1),
        };
        lane & ty.lane_mask()
    }

    fn value(&mut self, view: View) -> u128 {
        let ty = view.ty();
        if view == View::Amount {
            return self.random.below(2 * self.space.base.lane_bits() as usize) as u128;
        }
        let edges = edges(ty);
        match self.random.below(3) {
            0 => edges[self.random.below(edges.len())],
            1 if !ty.is_float() => {
                u128::from(self.random.next()) >> self.random.below(ty.lane_bits() as usize)
                    & ty.lane_mask()
            }
            _ => u128::from(self.random.next()) & ty.lane_mask(),
        }
    }
}

/// What may be known of atoms where a premise holds: values that satisfy it, with facts forgotten
/// as long as the premise still follows from what is left.
pub(crate) struct Model {
    /// By atom: the constant, where it is one.
    pub(crate) numbers: Vec<u128>,
    /// By atom: what is known of a lane.
    pub(crate) lanes: Vec<Facts>,
}

impl Model {
    /// `count` models at type `base`; the same for the same arguments. None where values that
    /// satisfy the premise are not found.
    pub(crate) fn all(space: &Space, base: Ty, premise: &Premise, count: usize) -> Vec<Model> {
        let mut random = Random::new(0xfac7);
        let mut at_base = space.clone();
        at_base.base = base;
        for atom in &mut at_base.atoms {
            if let View::Of(ty) = atom.view
                && let Some(ty) = crate::space::retyped(space.base, base, ty)
            {
                atom.view = View::Of(ty);
            }
        }
        let lane = base.lane();
        let mut models = Vec::new();
        for _ in 0..count {
            let seed = random.next();
            let mut draw =
                Draw { space: &at_base, premise, random: Random::new(seed), crossed: 1 << 20 };
            let Some(numbers) = (0..TRIES).find_map(|_| draw.constants(base)) else { continue };
            let Some(values) = (0..TRIES).find_map(|_| draw.lane(0, &numbers)) else { continue };
            let mut lanes: Vec<Facts> =
                values.iter().map(|value| Facts::constant(*value)).collect();
            let vars: Vec<usize> = (0..at_base.atoms.len())
                .filter(|at| at_base.atoms[*at].kind == Kind::Var)
                .collect();
            let mut bits: Vec<(usize, u32)> = vars
                .iter()
                .flat_map(|at| (0..lane.lane_bits()).map(move |bit| (*at, bit)))
                .collect();
            // Which facts go first differs between models.
            for at in (1..bits.len()).rev() {
                bits.swap(at, draw.random.below(at + 1));
            }
            for (at, bit) in bits {
                let before = lanes[at];
                lanes[at].bits.zeros &= !(1 << bit);
                lanes[at].bits.ones &= !(1 << bit);
                let facts = AtomFacts { ty: lane, known: &lanes };
                if !premise.holds(lane, true, &mut numbers.clone(), &facts) {
                    lanes[at] = before;
                }
            }
            models.push(Model { numbers, lanes });
        }
        models
    }
}
