//! What a function computes, as one graph of values for both of its forms.
//!
//! A value is a symbol, an op of `egraft_ir` on other values, or an unknown function of other
//! values. Equal values that are made alike are one; others may be joined once they are proven
//! equal. Each value carries what it is for a few assignments of numbers to symbols, so that most
//! values that differ are told apart at once.
//!
//! Proves nothing itself. Invariants: the operands of a value are older than the value; samples
//! are what the evaluator gives; joined values are equal for every assignment.

use egraft_ir::{ClassId, Node, Op, Ty, eval, fold};
use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};

/// Assignments that every value is evaluated for.
pub(crate) const SAMPLES: usize = 16;

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
    /// An unknown function of its operands, by name: see [`Values::name`].
    Function(u32),
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
}

impl Values {
    /// A new symbol of `width` bits; no other is equal to it by name.
    pub(crate) fn symbol(&mut self, name: &str, width: u32) -> Id {
        let number = self.entries.len() as u64;
        let samples = std::array::from_fn(|at| sample(number, at, width));
        let name = Some(self.intern(name));
        self.push(Entry { def: Def::Symbol, args: Args::new(), width, samples, name })
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
        let id = self.push(Entry { def: key.0, args: key.1.clone(), width, samples, name: None });
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
        let node = Node { args: [ClassId::NONE; 3], ..node };
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
        let width = node.result_type().bits();
        let key = (Def::Op(node), args, width);
        if let Some(id) = self.ids.get(&key) {
            return Ok(self.find(*id));
        }
        let mut samples = [0; SAMPLES];
        for (at, slot) in samples.iter_mut().enumerate() {
            let args: SmallVec<[u128; 3]> =
                key.1.iter().map(|arg| self.entries[arg.index()].samples[at]).collect();
            *slot = eval(&node, &args)?;
        }
        let id = self.push(Entry { def: key.0, args: key.1.clone(), width, samples, name: None });
        self.ids.insert(key, id);
        Ok(id)
    }

    /// An older value that `node` of `args` is, whatever they are.
    fn simplified(&mut self, node: &Node, args: &[Id]) -> Result<Option<Id>, egraft_ir::EvalError> {
        let inner = |this: &Values, id: Id| match this.entries[id.index()].def {
            Def::Op(inner) => Some((inner, this.entries[id.index()].args.clone())),
            _ => None,
        };
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

    /// A number of `width` bits.
    pub(crate) fn constant_of(&mut self, width: u32, bits: u128) -> Id {
        let bits = bits & ones(width);
        let node = Node { args: [ClassId::NONE; 3], ..Node::constant(typed(width), bits) };
        let key = (Def::Op(node), Args::new(), width);
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        let entry =
            Entry { def: key.0, args: Args::new(), width, samples: [bits; SAMPLES], name: None };
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

/// The number of a symbol in one assignment: edge values first, then anything.
fn sample(symbol: u64, at: usize, width: u32) -> u128 {
    let all = ones(width);
    let random = spread(symbol.wrapping_mul(SAMPLES as u64).wrapping_add(at as u64));
    let bits = match at {
        0 => 0,
        1 => all,
        2 => random % 7,
        // Bytes of few bits, so that sums and products of lanes stay small.
        3 => random & 0x0f0f_0f0f_0f0f_0f0f_0f0f_0f0f_0f0f_0f0f,
        4 => random | 0x8080_8080_8080_8080_8080_8080_8080_8080,
        5 => random & 0x00ff_00ff_00ff_00ff_00ff_00ff_00ff_00ff,
        6 => random % 1000,
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
