//! What machine ops compute from the characteristic operands, and which of it is looked for.

use super::bank::{amounts, numbers};
use super::sample::Samples;
use super::term::{Clif, Machine};
use egraft_ir::eval::Concrete;
use egraft_ir::machine::{Feature, MachineOp, Target};
use egraft_ir::semantics;
use egraft_ir::{Op, Ty};
use rustc_hash::FxHashMap;

/// Immediates of an op that has no more than these are all tried.
const IMMEDIATES: usize = 17;

/// How a term that was found becomes what the machine term computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wrap {
    /// It is that.
    Nothing,
    /// The op of the leaf and it.
    After(Op, Ty, u8),
    /// The op of it and the leaf.
    Before(Op, Ty, u8),
}

impl Wrap {
    pub(super) fn apply(self, term: Clif) -> Clif {
        match self {
            Wrap::Nothing => term,
            Wrap::After(op, ty, leaf) => Clif::op(op, ty, vec![Clif::Leaf(leaf), term]),
            Wrap::Before(op, ty, leaf) => Clif::op(op, ty, vec![term, Clif::Leaf(leaf)]),
        }
    }
}

/// A value to be found.
#[derive(Clone, Debug)]
pub(super) struct Goal {
    /// By number, the machine terms.
    pub(super) machine: usize,
    pub(super) wrap: Wrap,
    pub(super) value: Vec<u128>,
}

/// All values that are looked for.
pub(super) struct Goals {
    /// The machine terms.
    pub(super) machines: Vec<Machine>,
    pub(super) all: Vec<Goal>,
    by_start: FxHashMap<u128, Vec<u32>>,
}

impl Goals {
    pub(super) fn new(target: Target, samples: &Samples) -> Goals {
        let mut best: FxHashMap<(Vec<u128>, bool), Machine> = FxHashMap::default();
        for machine in machines(target, samples) {
            let value = value(samples, &machine);
            let trivial = (0..4)
                .any(|leaf| samples.leaves.iter().zip(&value).all(|(l, v)| l[leaf] == *v))
                || value.iter().all(|one| *one == value[0]);
            if trivial {
                continue;
            }
            let rank = |machine: &Machine| (machine.instructions(), machine.cost(), machine.isle());
            let key = (value, machine.features().iter().any(|feature| is_extra(*feature)));
            match best.get_mut(&key) {
                Some(old) if rank(old) <= rank(&machine) => {}
                Some(old) => *old = machine,
                None => {
                    best.insert(key, machine);
                }
            }
        }
        // An extension's op is of no use where the base has one as short.
        let mut kept: Vec<(Vec<u128>, Machine)> = Vec::new();
        for ((value, extra), machine) in &best {
            let base = best.get(&(value.clone(), false));
            if *extra && base.is_some_and(|base| base.instructions() <= machine.instructions()) {
                continue;
            }
            kept.push((value.clone(), machine.clone()));
        }
        kept.sort_by_key(|(_, machine)| (machine.instructions(), machine.isle()));
        let mut goals =
            Goals { machines: Vec::new(), all: Vec::new(), by_start: FxHashMap::default() };
        for (value, machine) in kept {
            let at = goals.machines.len();
            goals.add(at, Wrap::Nothing, value.clone());
            goals.add_wrapped(samples, at, &machine, &value);
            goals.machines.push(machine);
        }
        goals
    }

    fn add(&mut self, machine: usize, wrap: Wrap, value: Vec<u128>) {
        let at = self.all.len() as u32;
        self.by_start.entry(value[0]).or_default().push(at);
        self.all.push(Goal { machine, wrap, value });
    }

    /// What is left of a value when a sum, difference or exclusive or with a leaf is undone.
    fn add_wrapped(&mut self, samples: &Samples, at: usize, machine: &Machine, value: &[u128]) {
        let leaves = leaves(machine);
        if leaves < 2 {
            return;
        }
        let run = |op: Op, ty: Ty, x: u128, y: u128| {
            semantics::apply(&mut Concrete, &Clif::node(op, ty, 0), &[x, y])
                .expect("integer ops work on integer vectors")
        };
        let w = machine.root().lane_bits();
        let widths: Vec<Ty> =
            INT_VECTORS.into_iter().filter(|ty| (w..=4 * w).contains(&ty.lane_bits())).collect();
        for leaf in 0..leaves {
            let mut with = |wrap: Wrap, rest: &dyn Fn(u128, u128) -> u128| {
                let all = samples.leaves.iter().zip(value);
                let rest = all.map(|(leaves, v)| rest(*v, leaves[usize::from(leaf)])).collect();
                self.add(at, wrap, rest);
            };
            for ty in widths.iter().copied() {
                with(Wrap::After(Op::Iadd, ty, leaf), &|v, z| run(Op::Isub, ty, v, z));
                with(Wrap::After(Op::Isub, ty, leaf), &|v, z| run(Op::Isub, ty, z, v));
                with(Wrap::Before(Op::Isub, ty, leaf), &|v, z| run(Op::Iadd, ty, v, z));
            }
            with(Wrap::After(Op::Bxor, Ty::I8X16, leaf), &|v, z| v ^ z);
        }
    }

    /// The goals whose values start so.
    pub(super) fn starting(&self, start: u128) -> &[u32] {
        self.by_start.get(&start).map_or(&[], Vec::as_slice)
    }
}

pub(super) const INT_VECTORS: [Ty; 4] = [Ty::I8X16, Ty::I16X8, Ty::I32X4, Ty::I64X2];

/// Whether a feature is beyond AVX2 or Armv8.0.
pub(super) fn is_extra(feature: Feature) -> bool {
    !matches!(feature, Feature::Avx | Feature::Avx2 | Feature::Neon)
}

/// What a machine term computes from the characteristic operands.
pub(super) fn value(samples: &Samples, machine: &Machine) -> Vec<u128> {
    samples.leaves.iter().map(|leaves| machine.value(&mut Concrete, leaves)).collect()
}

/// One more than the greatest leaf.
fn leaves(machine: &Machine) -> u8 {
    match machine {
        Machine::Leaf(at) => at + 1,
        Machine::Splat(..) => 0,
        Machine::Op { args, .. } => args.iter().map(leaves).max().unwrap_or(0),
    }
}

/// The vector ops of a target.
pub(super) fn vector_ops(target: Target) -> impl Iterator<Item = MachineOp> {
    MachineOp::all().filter(move |op| op.target() == target && Machine::is_vector(*op))
}

/// Immediates to try: all of few, else those that are characteristic of the lanes.
fn immediates(op: MachineOp) -> Vec<u32> {
    let Some(range) = op.imm_range() else { return vec![0] };
    let many = range.end() - range.start() >= IMMEDIATES as u32;
    if !many || op.args().len() == 3 {
        return range.collect();
    }
    let w = op.lane_bits();
    let mut all: Vec<u32> =
        amounts(w).into_iter().chain([w]).filter(|n| range.contains(n)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn machines(target: Target, samples: &Samples) -> Vec<Machine> {
    let leaf = Machine::Leaf;
    let mut all = Vec::new();
    for op in vector_ops(target) {
        for imm in immediates(op) {
            let mut with = |args: Vec<Machine>| all.push(Machine::Op { op, imm, args });
            match op.args().len() {
                1 => with(vec![leaf(0)]),
                2 => {
                    with(vec![leaf(0), leaf(1)]);
                    with(vec![leaf(0), leaf(0)]);
                    let w = op.lane_bits();
                    for ty in INT_VECTORS.into_iter().filter(|ty| ty.lane_bits() == w) {
                        for number in numbers(w) {
                            with(vec![leaf(0), Machine::Splat(ty, number)]);
                            if op.commutes().is_none() {
                                with(vec![Machine::Splat(ty, number), leaf(0)]);
                            }
                        }
                    }
                }
                _ => with(vec![leaf(2), leaf(0), leaf(1)]),
            }
        }
    }
    all.extend(halves(target, samples));
    all
}

/// Pairs of ops of which the second adds an upper half to what the first computed, from further
/// operands.
fn halves(target: Target, samples: &Samples) -> Vec<Machine> {
    let leaf = Machine::Leaf;
    let mut all = Vec::new();
    let firsts: Vec<MachineOp> = vector_ops(target).filter(|op| op.args().len() <= 2).collect();
    let seconds: Vec<MachineOp> = vector_ops(target).filter(|op| op.is_tied()).collect();
    for first in firsts {
        let arity = first.args().len();
        for imm in immediates(first) {
            let args = if arity == 1 { vec![leaf(0)] } else { vec![leaf(0), leaf(2)] };
            let low = Machine::Op { op: first, imm, args };
            if value(samples, &low).iter().any(|vector| vector >> 64 != 0) {
                continue;
            }
            for second in &seconds {
                let takes =
                    second.args().len() == arity + 1 && second.lane_bits() == first.lane_bits();
                if !takes || second.imm_range() != first.imm_range() {
                    continue;
                }
                let mut args = vec![low.clone(), leaf(1)];
                if arity == 2 {
                    args.push(leaf(3));
                }
                all.push(Machine::Op { op: *second, imm, args });
            }
        }
    }
    all
}
