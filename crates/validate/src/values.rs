//! What a function computes, as one graph of values for both of its forms.
//!
//! A value is a symbol, an op of `egraft_ir` on other values, or an unknown function of other
//! values. Equal values that are made alike are one; others may be joined once they are proven
//! equal. Each value carries what it is for a few assignments of numbers to symbols, so that most
//! values that differ are told apart at once.
//!
//! Proves nothing itself. Invariants: the operands of a value are older than the value; samples
//! are what the evaluator gives; joined values are equal for every assignment.

use egraft_ir::machine::{self, MachineError, MachineOp};
use egraft_ir::{ClassId, IntCc, Node, Op, Ty, eval, fold};
use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

/// Assignments that every value is evaluated for.
pub(crate) const SAMPLES: usize = 48;

/// A value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Id(pub(crate) u32);

impl Id {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Operands of a value.
pub(crate) type Args = SmallVec<[Id; 3]>;

/// How a value comes about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Def {
    /// Given from outside: a parameter, what a load or call gave.
    Symbol,
    /// What the op computes; operand slots of the node say nothing.
    Op(Node),
    /// What the machine op with its immediate computes; it makes no NaN of its own.
    Machine(MachineOp, u32),
    /// An unknown function of its operands, by name: see [`Values::name`].
    Function(u32),
}

impl Def {
    /// Whether it is known what the value is, once its operands are.
    pub(crate) const fn is_op(self) -> bool {
        matches!(self, Def::Op(_) | Def::Machine(..))
    }
}

/// A name of a symbol or an unknown function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Name(u32);

#[derive(Debug)]
struct Entry {
    def: Def,
    args: Args,
    /// Bits, 1 to 128.
    width: u32,
    samples: [u128; SAMPLES],
    /// The samples, by bit, in which float arithmetic gave a NaN on the way: its bits are a choice.
    chosen: u64,
    /// The name of a symbol.
    name: Option<Name>,
}

/// The values of a function.
#[derive(Debug, Default)]
pub(crate) struct Values {
    entries: Vec<Entry>,
    parents: Vec<Id>,
    ids: FxHashMap<(Def, Args, u32), Id>,
    names: Vec<String>,
    name_ids: FxHashMap<String, Name>,
    /// Values that are sums of several terms, or of a multiple.
    sums: FxHashMap<Id, Sum>,
}

/// Terms from which on a sum is taken as it was written.
const MAX_TERMS: usize = 16;

/// A sum of multiples of values and a number, modulo the width of the values.
#[derive(Clone, Default, Debug)]
struct Sum {
    terms: BTreeMap<Id, u64>,
    number: u64,
}

impl Sum {
    fn plus(mut self, other: &Sum, times: u64) -> Sum {
        self.number = self.number.wrapping_add(other.number.wrapping_mul(times));
        for (id, factor) in &other.terms {
            let known = self.terms.entry(*id).or_default();
            *known = known.wrapping_add(factor.wrapping_mul(times));
        }
        self
    }

    /// Numbers cut to the width; terms of no effect dropped.
    fn masked(mut self, mask: u64) -> Sum {
        self.number &= mask;
        self.terms.values_mut().for_each(|factor| *factor &= mask);
        self.terms.retain(|_, factor| *factor != 0);
        self
    }
}

impl Values {
    /// A new symbol of `width` bits; no other is equal to it by name.
    pub(crate) fn symbol(&mut self, name: &str, width: u32) -> Id {
        let number = self.entries.len() as u64;
        let samples = std::array::from_fn(|at| sample(number, at, width));
        let name = Some(self.intern(name));
        let (def, args) = (Def::Symbol, Args::new());
        self.push(Entry { def, args, width, samples, chosen: 0, name })
    }

    /// The unknown function `name` of `args`, `width` bits.
    pub(crate) fn function(&mut self, name: &str, args: &[Id], width: u32) -> Id {
        let name = self.intern(name);
        let args: Args = args.iter().map(|arg| self.find(*arg)).collect();
        let key = (Def::Function(name.0), args, width);
        if let Some(id) = self.ids.get(&key) {
            return self.find(*id);
        }
        let samples = std::array::from_fn(|at| {
            let mut hasher = FxHasher::default();
            (&self.names[name.0 as usize], width).hash(&mut hasher);
            key.1.iter().for_each(|arg| self.entries[arg.index()].samples[at].hash(&mut hasher));
            spread(hasher.finish()) & ones(width)
        });
        let chosen = key.1.iter().fold(0, |bits, arg| bits | self.entries[arg.index()].chosen);
        let args = key.1.clone();
        let id = self.push(Entry { def: key.0, args, width, samples, chosen, name: None });
        self.ids.insert(key, id);
        id
    }

    /// What `node` computes from `args`.
    ///
    /// # Errors
    /// What the evaluator has against the node.
    pub(crate) fn op(&mut self, node: Node, args: &[Id]) -> Result<Id, egraft_ir::EvalError> {
        if node.op == Op::Const {
            return Ok(self.constant_of(node.ty.bits(), node.imm));
        }
        let mut args: Args = args.iter().map(|arg| self.find(*arg)).collect();
        let mut node = Node { args: [ClassId::NONE; 3], ..node };
        // Ops that only move lanes do not care what is in them.
        if matches!(node.op, Op::Splat | Op::ScalarToVector | Op::Extractlane | Op::Insertlane) {
            node.ty = node.ty.as_int();
            node.from = node.ty;
        }
        if node.op.is_commutative() && args[0] > args[1] {
            args.swap(0, 1);
        }
        let constants: SmallVec<[u128; 3]> =
            args.iter().filter_map(|arg| self.constant(*arg)).collect();
        if constants.len() == args.len()
            && let Some(bits) = fold(&node, &constants)
        {
            let width = node.result_type().bits();
            return Ok(self.constant_of(width, bits));
        }
        if let Some(simple) = self.simplified(&node, &args)? {
            return Ok(simple);
        }
        if let Some(sum) = self.combined(&node, &args)? {
            return self.of_sum(&sum, node.ty);
        }
        self.made(node, args)
    }

    /// What a machine op that makes no NaN of its own computes from `args`.
    ///
    /// # Errors
    /// What its definition has against operands or immediate.
    pub(crate) fn machine(
        &mut self,
        op: MachineOp,
        imm: u32,
        args: &[Id],
    ) -> Result<Id, MachineError> {
        let args: Args = args.iter().map(|arg| self.find(*arg)).collect();
        let width = op.result().bits();
        let constants: SmallVec<[u128; 3]> =
            args.iter().filter_map(|arg| self.constant(*arg)).collect();
        if constants.len() == args.len() {
            let bits = machine::eval(op, imm, &constants)?;
            return Ok(self.constant_of(width, bits));
        }
        let key = (Def::Machine(op, imm), args, width);
        self.entered(key, |args| Ok((machine::eval(op, imm, args)?, false)))
    }

    /// The value of an op as it stands.
    fn made(&mut self, node: Node, mut args: Args) -> Result<Id, egraft_ir::EvalError> {
        if node.op.is_commutative() && args[0] > args[1] {
            args.swap(0, 1);
        }
        let key = (Def::Op(node), args, node.result_type().bits());
        self.entered(key, |args| Ok((eval(&node, args)?, fold(&node, args).is_none())))
    }

    /// The value of this definition, operands and width; `eval` gives its number for numbers, and whether that is a NaN
    /// that arithmetic chose.
    fn entered<E>(
        &mut self,
        key: (Def, Args, u32),
        eval: impl Fn(&[u128]) -> Result<(u128, bool), E>,
    ) -> Result<Id, E> {
        if let Some(id) = self.ids.get(&key) {
            return Ok(self.find(*id));
        }
        let mut samples = [0; SAMPLES];
        let mut chosen = key.1.iter().fold(0, |bits, arg| bits | self.entries[arg.index()].chosen);
        for (at, slot) in samples.iter_mut().enumerate() {
            let args: SmallVec<[u128; 3]> =
                key.1.iter().map(|arg| self.entries[arg.index()].samples[at]).collect();
            let (bits, is_chosen) = eval(&args)?;
            *slot = bits;
            chosen |= u64::from(is_chosen) << at;
        }
        let (def, args, width) = key.clone();
        let id = self.push(Entry { def, args, width, samples, chosen, name: None });
        self.ids.insert(key, id);
        Ok(id)
    }

    /// What `node` is as a sum of multiples, if it is one.
    fn combined(&mut self, node: &Node, args: &[Id]) -> Result<Option<Sum>, egraft_ir::EvalError> {
        if !matches!(node.ty, Ty::I32 | Ty::I64) {
            return Ok(None);
        }
        let mask = node.ty.mask() as u64;
        let number = |this: &Values, id: Id| this.constant(id).map(|bits| bits as u64);
        let sum = match node.op {
            Op::Iadd => self.sum_of(args[0]).plus(&self.sum_of(args[1]), 1),
            Op::Isub => self.sum_of(args[0]).plus(&self.sum_of(args[1]), u64::MAX),
            Op::Ineg => Sum::default().plus(&self.sum_of(args[0]), u64::MAX),
            Op::Imul => match (number(self, args[0]), number(self, args[1])) {
                (Some(by), _) => Sum::default().plus(&self.sum_of(args[1]), by),
                (_, Some(by)) => Sum::default().plus(&self.sum_of(args[0]), by),
                _ => return Ok(None),
            },
            Op::Ishl => match number(self, args[1]) {
                Some(by) => {
                    let by = 1 << (by % u64::from(node.ty.bits()));
                    Sum::default().plus(&self.sum_of(args[0]), by)
                }
                None => return Ok(None),
            },
            Op::Ireduce if self.sums.contains_key(&args[0]) => {
                let wide = self.sum_of(args[0]);
                let mut sum = Sum { number: wide.number, ..Sum::default() };
                for (id, factor) in wide.terms {
                    let term = self.convert(Op::Ireduce, node.ty, id)?;
                    sum = sum.plus(&self.sum_of(term), factor);
                }
                sum
            }
            _ => return Ok(None),
        };
        Ok((sum.terms.len() <= MAX_TERMS).then(|| sum.masked(mask)))
    }

    /// `id` as a sum.
    fn sum_of(&self, id: Id) -> Sum {
        let id = self.find(id);
        match (self.sums.get(&id), self.constant(id)) {
            (Some(sum), _) => sum.clone(),
            (None, Some(bits)) => Sum { number: bits as u64, ..Sum::default() },
            (None, None) => Sum { terms: [(id, 1)].into(), number: 0 },
        }
    }

    /// The value of a sum, always made alike.
    fn of_sum(&mut self, sum: &Sum, ty: Ty) -> Result<Id, egraft_ir::EvalError> {
        let mut parts: SmallVec<[Id; 8]> = SmallVec::new();
        for (id, factor) in &sum.terms {
            parts.push(match factor {
                1 => *id,
                _ => {
                    let factor = self.constant_of(ty.bits(), u128::from(*factor));
                    let product = Node::new(Op::Imul, ty, &[]);
                    self.made(product, [*id, factor].into_iter().collect())?
                }
            });
        }
        if sum.number != 0 || parts.is_empty() {
            parts.push(self.constant_of(ty.bits(), u128::from(sum.number)));
        }
        let mut made = parts[0];
        for part in &parts[1..] {
            made = self.made(Node::new(Op::Iadd, ty, &[]), [made, *part].into_iter().collect())?;
        }
        if sum.terms.len() + usize::from(sum.number != 0) > 1
            || sum.terms.values().any(|factor| *factor != 1)
        {
            self.sums.insert(made, sum.clone());
        }
        Ok(made)
    }

    /// An older value that `node` of `args` is, whatever they are.
    fn simplified(&mut self, node: &Node, args: &[Id]) -> Result<Option<Id>, egraft_ir::EvalError> {
        let inner = |this: &Values, id: Id| match this.entries[id.index()].def {
            Def::Op(inner) => Some((inner, this.entries[id.index()].args.clone())),
            _ => None,
        };
        let node_mask = node.ty.mask();
        Ok(match node.op {
            Op::Ireduce => match inner(self, args[0]) {
                Some((from, below)) if matches!(from.op, Op::Uextend | Op::Sextend) => {
                    let below = below[0];
                    let (has, wants) = (from.from.bits(), node.ty.bits());
                    Some(match has.cmp(&wants) {
                        std::cmp::Ordering::Equal => below,
                        std::cmp::Ordering::Greater => self.convert(Op::Ireduce, node.ty, below)?,
                        std::cmp::Ordering::Less => self.convert(from.op, node.ty, below)?,
                    })
                }
                // Something below zeros of something else.
                Some((from, below)) if from.op == Op::Bor => {
                    let clear = |id: Id| match inner(self, id) {
                        Some((node, args)) if node.op == Op::Band => args.iter().any(|arg| {
                            self.constant(*arg).is_some_and(|bits| bits & node_mask == 0)
                        }),
                        _ => false,
                    };
                    match (clear(below[0]), clear(below[1])) {
                        (true, _) => Some(self.convert(Op::Ireduce, node.ty, below[1])?),
                        (_, true) => Some(self.convert(Op::Ireduce, node.ty, below[0])?),
                        _ => None,
                    }
                }
                Some((from, below)) if from.op == Op::Ireduce => {
                    Some(self.convert(Op::Ireduce, node.ty, below[0])?)
                }
                _ => None,
            },
            Op::Uextend | Op::Sextend => match inner(self, args[0]) {
                Some((from, below))
                    if from.op == Op::Uextend || (from.op == node.op && from.op == Op::Sextend) =>
                {
                    Some(self.convert(from.op, node.ty, below[0])?)
                }
                _ => None,
            },
            Op::Extractlane => match inner(self, args[0]) {
                Some((from, below))
                    if from.op == Op::Insertlane && (from.ty, from.imm) == (node.ty, node.imm) =>
                {
                    Some(below[1])
                }
                Some((from, below)) if from.op == Op::Splat && from.ty == node.ty => Some(below[0]),
                Some((from, below))
                    if from.op == Op::ScalarToVector
                        && node.imm == 0
                        && node.ty.lane_bits() <= from.ty.lane_bits() =>
                {
                    Some(self.convert(Op::Ireduce, node.ty.lane(), below[0])?)
                }
                _ => None,
            },
            // A truth compared with zero.
            Op::Icmp if self.constant(args[1]) == Some(0) && node.imm == IntCc::Ne as u128 => {
                let mut at = args[0];
                if let Some((from, below)) = inner(self, at)
                    && from.op == Op::Uextend
                {
                    at = below[0];
                }
                let is_truth = |(from, _): (Node, Args)| {
                    matches!(from.op, Op::VanyTrue | Op::VallTrue)
                        || matches!(from.op, Op::Icmp | Op::Fcmp) && !from.ty.is_vector()
                };
                inner(self, at).is_some_and(is_truth).then_some(at)
            }
            Op::Iadd | Op::Bor | Op::Bxor => {
                let zero = args.iter().position(|arg| self.constant(*arg) == Some(0));
                zero.map(|at| args[1 - at])
            }
            Op::Isub | Op::Ishl | Op::Ushr | Op::Sshr if self.constant(args[1]) == Some(0) => {
                Some(args[0])
            }
            _ => None,
        })
    }

    /// A conversion between integer scalars, which may have equal width.
    ///
    /// # Errors
    /// What the evaluator has against it.
    pub(crate) fn convert(&mut self, op: Op, ty: Ty, arg: Id) -> Result<Id, egraft_ir::EvalError> {
        let from = scalar(self.width(arg));
        if from == ty {
            return Ok(arg);
        }
        self.op(Node::convert(op, ty, from, ClassId(0)), &[arg])
    }

    /// The sum of 64-bit `terms` and a number, the same for sums that differ in order alone.
    ///
    /// # Errors
    /// What the evaluator has against it.
    pub(crate) fn sum(&mut self, terms: &[Id], number: i64) -> Result<Id, egraft_ir::EvalError> {
        let mut sum = self.constant_of(64, number as u64 as u128);
        for term in terms {
            sum = self.op(Node::new(Op::Iadd, Ty::I64, &[ClassId(0); 2]), &[sum, *term])?;
        }
        Ok(sum)
    }

    /// A number of `width` bits.
    pub(crate) fn constant_of(&mut self, width: u32, bits: u128) -> Id {
        let bits = bits & ones(width);
        let node = Node { args: [ClassId::NONE; 3], ..Node::constant(typed(width), bits) };
        let key = (Def::Op(node), Args::new(), width);
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        let entry = Entry {
            def: key.0,
            args: Args::new(),
            width,
            samples: [bits; SAMPLES],
            chosen: 0,
            name: None,
        };
        let id = self.push(entry);
        self.ids.insert(key, id);
        id
    }

    fn push(&mut self, entry: Entry) -> Id {
        let id = Id(self.entries.len() as u32);
        self.entries.push(entry);
        self.parents.push(id);
        id
    }

    fn intern(&mut self, name: &str) -> Name {
        if let Some(name) = self.name_ids.get(name) {
            return *name;
        }
        let id = Name(self.names.len() as u32);
        self.names.push(name.to_owned());
        self.name_ids.insert(name.to_owned(), id);
        id
    }

    /// The oldest value that `id` was joined with.
    pub(crate) fn find(&self, id: Id) -> Id {
        let mut at = id;
        while self.parents[at.index()] != at {
            at = self.parents[at.index()];
        }
        at
    }

    /// Notes that two values are equal.
    pub(crate) fn join(&mut self, a: Id, b: Id) {
        let (a, b) = (self.find(a), self.find(b));
        self.parents[a.max(b).index()] = a.min(b);
    }

    /// How `id` comes about.
    pub(crate) fn def(&self, id: Id) -> Def {
        self.entries[id.index()].def
    }

    /// The operands of `id`.
    pub(crate) fn args(&self, id: Id) -> &[Id] {
        &self.entries[id.index()].args
    }

    /// Bits of `id`.
    pub(crate) fn width(&self, id: Id) -> u32 {
        self.entries[id.index()].width
    }

    /// What `id` is for each assignment.
    pub(crate) fn samples(&self, id: Id) -> &[u128; SAMPLES] {
        &self.entries[id.index()].samples
    }

    /// The first assignment for which two values differ, whatever NaNs arithmetic chooses.
    pub(crate) fn told_apart(&self, one: Id, other: Id) -> Option<usize> {
        let (one, other) = (&self.entries[one.index()], &self.entries[other.index()]);
        (0..SAMPLES).find(|at| {
            one.samples[*at] != other.samples[*at] && (one.chosen | other.chosen) >> at & 1 == 0
        })
    }

    /// The number that `id` is for every assignment, if it was made as one.
    pub(crate) fn constant(&self, id: Id) -> Option<u128> {
        match self.def(self.find(id)) {
            Def::Op(node) if node.op == Op::Const => Some(node.imm),
            _ => None,
        }
    }

    /// The name of a symbol or of an unknown function.
    pub(crate) fn name(&self, id: Id) -> Option<&str> {
        let entry = &self.entries[id.index()];
        let name = match entry.def {
            Def::Function(name) => Some(Name(name)),
            _ => entry.name,
        };
        name.map(|name| self.names[name.0 as usize].as_str())
    }

    /// The numbers of `order`, values with all that they are made of, oldest first; `leaf` gives those
    /// of what is no op. `None` if one has none, or is a NaN that arithmetic may choose.
    pub(crate) fn evaluated(
        &self,
        order: &[Id],
        leaf: impl Fn(Id) -> u128,
    ) -> Option<FxHashMap<Id, u128>> {
        let mut numbers: FxHashMap<Id, u128> = FxHashMap::default();
        for id in order {
            let entry = &self.entries[id.index()];
            let args = || -> SmallVec<[u128; 3]> {
                entry.args.iter().map(|arg| numbers[&self.find(*arg)]).collect()
            };
            let number = match entry.def {
                Def::Op(node) if node.op == Op::Const => node.imm,
                Def::Op(node) => fold(&node, &args())?,
                Def::Machine(op, imm) => machine::eval(op, imm, &args()).ok()?,
                _ => leaf(*id),
            };
            numbers.insert(*id, number);
        }
        Some(numbers)
    }

    /// A number for what is no op in another assignment than those of samples.
    pub(crate) fn another(&self, id: Id, assignment: u64) -> u128 {
        let seed = assignment << 32 | u64::from(id.0);
        sample(seed, assignment as usize % (2 * ALIKE), self.width(id))
    }

    /// The names of unknown functions, one for each value that such a function gives.
    pub(crate) fn functions(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|entry| match entry.def {
            Def::Function(name) => Some(self.names[name as usize].as_str()),
            _ => None,
        })
    }

    /// `id` and all that it is made of, oldest first, each as the oldest it was joined with.
    pub(crate) fn cone(&self, id: Id) -> Vec<Id> {
        let mut seen = rustc_hash::FxHashSet::default();
        let mut todo = vec![self.find(id)];
        while let Some(at) = todo.pop() {
            if seen.insert(at) {
                todo.extend(self.args(at).iter().map(|arg| self.find(*arg)));
            }
        }
        let mut cone: Vec<Id> = seen.into_iter().collect();
        cone.sort_unstable();
        cone
    }

    /// The value that is made as `id` is, but of what its operands were joined with.
    pub(crate) fn congruent(&self, id: Id) -> Option<Id> {
        let mut args: Args = self.args(id).iter().map(|arg| self.find(*arg)).collect();
        if let Def::Op(node) = self.def(id)
            && node.op.is_commutative()
            && args[0] > args[1]
        {
            args.swap(0, 1);
        }
        self.ids.get(&(self.def(id), args, self.width(id))).map(|id| self.find(*id))
    }
}

/// The integer scalar of `width` bits.
fn scalar(width: u32) -> Ty {
    match width {
        8 => Ty::I8,
        16 => Ty::I16,
        32 => Ty::I32,
        64 => Ty::I64,
        _ => Ty::I128,
    }
}

/// The type by which numbers of `width` bits are constants: whatever they are read as, they are one
/// value.
fn typed(width: u32) -> Ty {
    if width == 128 { Ty::I8X16 } else { scalar(width) }
}

const fn ones(width: u32) -> u128 {
    u128::MAX >> (128 - width)
}

/// Kinds of numbers that symbols get, and assignments in which all symbols get the same kind.
const KINDS: usize = 16;
const ALIKE: usize = 16;

/// The number of a symbol in one assignment: edge values first, then anything.
fn sample(symbol: u64, at: usize, width: u32) -> u128 {
    let all = ones(width);
    let random = spread(symbol.wrapping_mul(SAMPLES as u64).wrapping_add(at as u64));
    // The same kind of number for all at first, then one that each symbol has on its own.
    let kind = if at < ALIKE { at } else { (random >> 64) as usize % KINDS };
    let bits = match kind {
        0 => 0,
        1 => all,
        2 => random % 7,
        // Bytes of few bits, so that sums and products of lanes stay small.
        3 => random & 0x0f0f_0f0f_0f0f_0f0f_0f0f_0f0f_0f0f_0f0f,
        4 => random | 0x8080_8080_8080_8080_8080_8080_8080_8080,
        5 => random & 0x00ff_00ff_00ff_00ff_00ff_00ff_00ff_00ff,
        6 => random % 1000,
        // Bytes at the edges, so that sums carry and saturate.
        7..=11 => {
            let bytes = random.to_le_bytes();
            let edges = [0x00, 0xff, 0x7f, 0x80, 0x01, 0xfe];
            let other = spread(random as u64).to_le_bytes();
            let byte = |at: usize| match usize::from(bytes[at]) {
                pick if pick < 6 * 32 => edges[pick % 6],
                _ => other[at],
            };
            u128::from_le_bytes(std::array::from_fn(byte))
        }
        _ => random,
    };
    bits & all
}

/// 128 bits that look random.
fn spread(seed: u64) -> u128 {
    let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u128::from(z ^ (z >> 31))
    };
    next() << 64 | next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one() {
        let mut values = Values::default();
        let (x, y) = (values.symbol("x", 32), values.symbol("y", 32));
        let add = Node::new(Op::Iadd, Ty::I32, &[ClassId(0); 2]);
        let sum = values.op(add, &[x, y]).unwrap();
        assert_eq!(values.op(add, &[y, x]).unwrap(), sum);
        let two = values.constant_of(32, 2);
        let (three, five) = (values.constant_of(32, 3), values.constant_of(32, 5));
        assert_eq!(values.op(add, &[two, three]).unwrap(), five);
        assert_ne!(values.samples(sum), values.samples(x));
    }

    #[test]
    fn sums_are_made_alike() {
        let mut values = Values::default();
        let (x, y) = (values.symbol("x", 64), values.symbol("y", 64));
        let node = |op| Node::new(op, Ty::I64, &[ClassId(0); 2]);
        let (two, three) = (values.constant_of(64, 2), values.constant_of(64, 3));
        let shifted = values.op(node(Op::Ishl), &[x, two]).unwrap();
        let near = values.op(node(Op::Iadd), &[shifted, three]).unwrap();
        let one = values.op(node(Op::Iadd), &[near, y]).unwrap();
        let back = values.op(node(Op::Isub), &[one, x]).unwrap();
        let tripled = values.op(node(Op::Imul), &[three, x]).unwrap();
        let other = values.sum(&[y, tripled], 3).unwrap();
        assert_eq!(back, other);
        let low = values.convert(Op::Ireduce, Ty::I32, other).unwrap();
        let parts = [x, y].map(|id| values.convert(Op::Ireduce, Ty::I32, id).unwrap());
        let narrow = |op| Node::new(op, Ty::I32, &[ClassId(0); 2]);
        let three = values.constant_of(32, 3);
        let product = values.op(narrow(Op::Imul), &[parts[0], three]).unwrap();
        let sum = values.op(narrow(Op::Iadd), &[product, parts[1]]).unwrap();
        assert_eq!(values.op(narrow(Op::Iadd), &[sum, three]).unwrap(), low);
    }

    #[test]
    fn conversions_there_and_back_vanish() {
        let mut values = Values::default();
        let x = values.symbol("x", 32);
        let wide = values.convert(Op::Uextend, Ty::I64, x).unwrap();
        assert_eq!(values.convert(Op::Ireduce, Ty::I32, wide).unwrap(), x);
        let byte = values.convert(Op::Ireduce, Ty::I8, wide).unwrap();
        assert_eq!(values.convert(Op::Ireduce, Ty::I8, x).unwrap(), byte);
    }

    #[test]
    fn joined_operands_make_values_congruent() {
        let mut values = Values::default();
        let (x, y) = (values.symbol("x", 32), values.symbol("y", 32));
        let f = values.function("f", &[x], 64);
        let g = values.function("f", &[y], 64);
        assert_ne!(f, g);
        values.join(x, y);
        assert_eq!(values.congruent(g), Some(f));
    }
}
