//! Chooses a node for each class: starts from what the function computes now and changes a class
//! only where that lowers the cost of the whole, shared nodes counted once.
//!
//! Applies no rules and emits no code. Invariant: the chosen nodes form a DAG at all times, even
//! where the e-graph has cycles.

pub(crate) mod problem;

use crate::cost::{Choice, CostModel, Tile};
use crate::price::Cost;
use crate::shape::Context;
use egraft_egraph::EGraph;
use egraft_ir::{ClassId, Node, Op};
use egraft_rules::{FactSource, MatchGraph};
use smallvec::SmallVec;
use std::cell::Cell;

/// Rounds of improvement in each pass; most functions need two.
const ROUNDS: usize = 4;

/// A search from where the one before ended.
#[derive(Clone, Copy)]
struct Pass {
    /// How far below a class under improvement its operands are improved with it.
    lookahead: usize,
    /// Whether it looks below classes that have no choice themselves.
    through_fixed: bool,
}

/// What the second finds needs several classes to change at once, and looking for it takes longer.
const PASSES: [Pass; 2] =
    [Pass { lookahead: 2, through_fixed: false }, Pass { lookahead: 3, through_fixed: true }];

/// How many classes a search for a cycle may visit before the change is given up.
const CYCLE_SEARCH: usize = 20_000;

/// How many tiles may be taken while improving, for each tile in use and in all at least. The search
/// is exponential where many choices hang together; most functions need less than half of this.
const TILES_PER_TILE: usize = 16;
const TILES_AT_LEAST: usize = 4_000;

/// Classes visited in searches for cycles that count as one tile.
const VISITS_PER_TILE: usize = 64;

/// A class that more tiles than this read keeps its node: trying others would cost too much time.
const MAX_READERS: usize = 48;

/// A loop runs this many times as often as what is around it.
const LOOP_WEIGHT: u64 = 16;

/// Loop levels beyond this weigh no more.
const MAX_LEVEL: u8 = 6;

/// How much more often a block at a loop level runs than one outside.
pub(crate) fn level_weight(level: u8) -> u64 {
    LOOP_WEIGHT.pow(u32::from(level.min(MAX_LEVEL)))
}

/// A class the skeleton needs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Root {
    pub(crate) class: ClassId,
    pub(crate) context: Context,
    /// The loop level of the instruction that needs it.
    pub(crate) level: u8,
}

/// The root of a tile in use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum User {
    /// A class computed into a register.
    Class(ClassId),
    /// An address or a condition that the skeleton needs, by index.
    Root(u32),
}

/// A tile in use, as it was when it was taken.
struct Taken {
    cost: u64,
    operands: SmallVec<[ClassId; 4]>,
    inner: SmallVec<[ClassId; 4]>,
}

/// A choice of nodes and what it costs.
pub(crate) struct Extraction<'a> {
    graph: &'a EGraph,
    model: &'a CostModel<'a>,
    chosen: Vec<Option<Node>>,
    /// The price of the chosen node alone, once it was asked for.
    own_price: Vec<Cell<Option<Cost>>>,
    /// Uses of a class's value by tiles in use and by the skeleton.
    uses: Vec<u32>,
    /// The tiles in use that read a class or hold it inside.
    readers: Vec<SmallVec<[User; 4]>>,
    /// By class, and behind these by root.
    taken: Vec<Option<Taken>>,
    total: u64,
    /// The loop level in which a class is computed: that of its deepest leaf.
    level: Vec<u8>,
    roots: Vec<Root>,
    search: Search,
    /// The classes near a change, which are worth another look.
    stirred: Vec<bool>,
    pass: Pass,
    /// Tiles that may still be taken in this pass.
    budget: usize,
}

/// What a search for a cycle has visited.
#[derive(Default)]
struct Search {
    /// The number of the search that last visited a class.
    seen: Vec<u32>,
    number: u32,
    stack: Vec<ClassId>,
}

impl Choice for Extraction<'_> {
    fn chosen(&self, class: ClassId) -> Node {
        self.chosen[class.index()].expect("a class in use has a node")
    }

    fn own_price(&self, class: ClassId) -> Cost {
        let known = &self.own_price[class.index()];
        known.get().unwrap_or_else(|| {
            let price = self.model.price_of_node(self.graph, &self.chosen(class));
            known.set(Some(price));
            price
        })
    }
}

impl<'a> Extraction<'a> {
    /// Starts from `initial`, the nodes that the function computes now in the order of their
    /// definition; `leaf_level` gives the loop level of a leaf by its immediate.
    pub(crate) fn new(
        graph: &'a EGraph,
        model: &'a CostModel<'a>,
        initial: &[(ClassId, Node)],
        roots: Vec<Root>,
        leaf_level: &dyn Fn(u128) -> u8,
    ) -> Extraction<'a> {
        let mut this = Extraction {
            graph,
            model,
            chosen: vec![None; graph.ids()],
            own_price: vec![Cell::new(None); graph.ids()],
            uses: vec![0; graph.ids()],
            readers: vec![SmallVec::new(); graph.ids()],
            taken: std::iter::repeat_with(|| None).take(graph.ids() + roots.len()).collect(),
            total: 0,
            level: vec![0; graph.ids()],
            roots,
            search: Search { seen: vec![0; graph.ids()], ..Search::default() },
            stirred: vec![true; graph.ids()],
            pass: PASSES[0],
            budget: usize::MAX,
        };
        for class in graph.classes() {
            this.choose_fixed(class, leaf_level);
        }
        for (class, node) in initial {
            let class = graph.find(*class);
            if this.chosen[class.index()].is_none() {
                this.set(class, graph.canonical(*node));
            }
        }
        this.choose_new_classes();
        this
    }

    /// Leaves and constants have nothing to choose.
    fn choose_fixed(&mut self, class: ClassId, leaf_level: &dyn Fn(u128) -> u8) {
        let nodes = self.graph.nodes(class);
        if let Some(bits) = self.graph.constant(class) {
            self.chosen[class.index()] = Some(Node::constant(self.graph.class_type(class), bits));
        } else if let Some(leaf) = nodes.iter().find(|node| node.op == Op::Leaf) {
            self.chosen[class.index()] = Some(*leaf);
            self.level[class.index()] = leaf_level(leaf.imm).min(MAX_LEVEL);
        }
    }

    fn level_of(&self, node: &Node) -> u8 {
        let level = |arg: &ClassId| self.level[self.graph.find(*arg).index()];
        node.args().iter().map(level).max().unwrap_or(0)
    }

    fn set(&mut self, class: ClassId, node: Node) {
        self.chosen[class.index()] = Some(node);
        self.own_price[class.index()].set(None);
        self.level[class.index()] = self.level_of(&node);
    }

    /// Gives every class that only rules brought in its cheapest node on top of what is there.
    fn choose_new_classes(&mut self) {
        let open: Vec<ClassId> =
            self.graph.classes().filter(|class| self.chosen[class.index()].is_none()).collect();
        let mut costs = vec![u64::MAX; self.graph.ids()];
        let mut changed = true;
        while changed {
            changed = false;
            for class in open.iter().rev() {
                for node in self.graph.nodes(*class) {
                    let Some(below) = self.open_cost(node, &costs) else { continue };
                    let own = u64::from(self.model.price_of_node(self.graph, node)).max(1);
                    let cost = below.saturating_add(own);
                    if cost < costs[class.index()] {
                        costs[class.index()] = cost;
                        self.set(*class, *node);
                        changed = true;
                    }
                }
            }
        }
    }

    /// The cost of a node's operands that only rules brought in; `None` while one has no node.
    fn open_cost(&self, node: &Node, costs: &[u64]) -> Option<u64> {
        let mut sum = 0_u64;
        for arg in node.args() {
            let class = self.graph.find(*arg);
            self.chosen[class.index()]?;
            if costs[class.index()] != u64::MAX {
                sum = sum.saturating_add(costs[class.index()]);
            }
        }
        Some(sum)
    }

    /// Changes classes while that makes the whole cheaper, or until the budget is spent. Gives the
    /// cost before and after in 1/16 cycle, weighted by loop level.
    pub(crate) fn improve(&mut self) -> (u64, u64) {
        for at in 0..self.roots.len() {
            match self.roots[at].context {
                Context::Value => self.use_class(self.roots[at].class),
                _ => self.take(User::Root(at as u32)),
            }
        }
        let before = self.total;
        for pass in PASSES {
            self.pass = pass;
            self.budget = TILES_AT_LEAST + TILES_PER_TILE * self.taken.iter().flatten().count();
            self.stirred.fill(true);
            self.run_pass();
        }
        (before, self.total)
    }

    fn run_pass(&mut self) {
        for _ in 0..ROUNDS {
            let start = self.total;
            let stirred = std::mem::replace(&mut self.stirred, vec![false; self.graph.ids()]);
            let contested: Vec<ClassId> = self
                .graph
                .classes()
                .filter(|class| stirred[class.index()] && self.is_open(*class))
                .collect();
            for class in contested.into_iter().rev() {
                self.improve_class(class, self.pass.lookahead);
            }
            if self.total == start {
                break;
            }
        }
    }

    /// Whether improving stopped for want of budget.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.budget == 0
    }

    /// Whether anything in use reads `class`.
    pub(crate) fn is_computed(&self, class: ClassId) -> bool {
        self.uses[class.index()] > 0 || !self.readers[class.index()].is_empty()
    }

    /// Whether a class is in use and has a choice.
    fn is_open(&self, class: ClassId) -> bool {
        let readers = self.readers[class.index()].len();
        let fixed =
            self.chosen[class.index()].is_none_or(|node| matches!(node.op, Op::Leaf | Op::Const));
        let choice = !fixed && self.graph.nodes(class).len() > 1;
        choice && readers <= MAX_READERS && self.is_computed(class)
    }

    /// Tries every node of a class. A node may pay only once its operands choose well too: those
    /// that nothing else reads are improved along with it, down to `depth`. Where there is nothing to
    /// choose there may be below.
    fn improve_class(&mut self, class: ClassId, depth: usize) {
        if !self.is_open(class) {
            if self.pass.through_fixed && self.is_computed(class) {
                let node = self.chosen(class);
                self.improve_operands(&node, depth);
            }
            return;
        }
        let before = self.chosen(class);
        let mut best = (self.total, before);
        for node in self.graph.nodes(class) {
            let fits = *node != best.1 && node.args().iter().all(|arg| self.has_node(*arg));
            if !fits || self.is_exhausted() || self.reaches(node, class) {
                continue;
            }
            self.switch(class, *node);
            self.improve_operands(node, depth);
            if self.total < best.0 {
                best = (self.total, *node);
            }
        }
        if self.chosen(class) != best.1 {
            self.switch(class, best.1);
        }
        if before != best.1 {
            self.stir(class, &before);
        }
    }

    /// Improves those operands of a node that nothing else reads.
    fn improve_operands(&mut self, node: &Node, depth: usize) {
        if depth == 0 {
            return;
        }
        for arg in node.args() {
            let arg = self.graph.find(*arg);
            if self.readers[arg.index()].len() == 1 {
                self.improve_class(arg, depth - 1);
            }
        }
    }

    /// Marks what a change may matter to: a class that had the node `before`, its operands, and what
    /// reads it with its operands.
    fn stir(&mut self, class: ClassId, before: &Node) {
        let mut near: SmallVec<[ClassId; 16]> = SmallVec::from_slice(&[class]);
        near.extend(before.args().iter().map(|arg| self.graph.find(*arg)));
        for reader in &self.readers[class.index()] {
            near.extend(match reader {
                User::Class(class) => Some(*class),
                User::Root(_) => None,
            });
        }
        for class in near {
            self.stirred[class.index()] = true;
            for arg in self.chosen[class.index()].iter().flat_map(|node| node.args()) {
                self.stirred[self.graph.find(*arg).index()] = true;
            }
        }
    }

    fn has_node(&self, class: ClassId) -> bool {
        self.chosen[self.graph.find(class).index()].is_some()
    }

    /// Chooses `node` for `class` and takes every tile that sees the class anew.
    fn switch(&mut self, class: ClassId, node: Node) {
        let mut users = self.readers[class.index()].clone();
        users.push(User::Class(class));
        users.sort_unstable();
        users.dedup();
        users.retain(|user| self.taken[self.slot(*user)].is_some());
        for user in &users {
            self.give_back(*user);
        }
        self.set(class, node);
        for user in users {
            // A class may have lost its last use above, or been taken again by another reader.
            let wanted = match user {
                User::Class(class) => self.uses[class.index()] > 0,
                User::Root(_) => true,
            };
            if wanted && self.taken[self.slot(user)].is_none() {
                self.take(user);
            }
        }
    }

    /// Where the tile of `user` is kept.
    fn slot(&self, user: User) -> usize {
        match user {
            User::Class(class) => class.index(),
            User::Root(at) => self.graph.ids() + at as usize,
        }
    }

    fn use_class(&mut self, class: ClassId) {
        self.uses[class.index()] += 1;
        if self.uses[class.index()] == 1 {
            self.take(User::Class(class));
        }
    }

    fn unuse_class(&mut self, class: ClassId) {
        self.uses[class.index()] -= 1;
        if self.uses[class.index()] == 0 {
            self.give_back(User::Class(class));
        }
    }

    fn take(&mut self, user: User) {
        self.budget = self.budget.saturating_sub(1);
        let (class, context, level) = match user {
            User::Class(class) => (class, Context::Value, self.level[class.index()]),
            User::Root(at) => {
                let root = self.roots[at as usize];
                (root.class, root.context, root.level)
            }
        };
        let Tile { cost, operands, mut inner } = self.model.tile(self.graph, context, class, self);
        if let User::Root(_) = user {
            inner.push(class);
        }
        let cost = u64::from(cost) * level_weight(level);
        self.total += cost;
        for seen in operands.iter().chain(&inner) {
            self.readers[seen.index()].push(user);
        }
        for operand in &operands {
            self.use_class(*operand);
        }
        let slot = self.slot(user);
        debug_assert!(self.taken[slot].is_none(), "{user:?} was taken twice");
        self.taken[slot] = Some(Taken { cost, operands, inner });
    }

    fn give_back(&mut self, user: User) {
        let slot = self.slot(user);
        let Some(Taken { cost, operands, inner }) = self.taken[slot].take() else { return };
        self.total -= cost;
        for seen in operands.iter().chain(&inner) {
            let readers = &mut self.readers[seen.index()];
            if let Some(at) = readers.iter().position(|reader| *reader == user) {
                readers.swap_remove(at);
            }
        }
        for operand in operands {
            self.unuse_class(operand);
        }
    }

    /// Whether choosing `node` for `class` would close a cycle.
    fn reaches(&mut self, node: &Node, class: ClassId) -> bool {
        let Search { seen, number, stack } = &mut self.search;
        *number += 1;
        let mut visited = 0;
        stack.clear();
        stack.extend(node.args().iter().map(|arg| self.graph.find(*arg)));
        let mut reaches = false;
        while let Some(next) = stack.pop() {
            reaches = next == class;
            if reaches {
                break;
            }
            if std::mem::replace(&mut seen[next.index()], *number) == *number {
                continue;
            }
            visited += 1;
            if visited > CYCLE_SEARCH {
                break;
            }
            if let Some(node) = &self.chosen[next.index()] {
                stack.extend(node.args().iter().map(|arg| self.graph.find(*arg)));
            }
        }
        self.budget = self.budget.saturating_sub(visited / VISITS_PER_TILE);
        reaches || visited > CYCLE_SEARCH
    }
}
