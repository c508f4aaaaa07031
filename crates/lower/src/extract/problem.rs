//! Extraction written out for an exact solver: every tile that some choice of nodes would take, on
//! which choices that depends, what the tile costs and what it reads.
//!
//! Solves nothing. Tiles are asked of the cost model itself, under one guess after another of what
//! the classes it looks at have chosen. Invariant: whatever node each class has, exactly one tile
//! of a user fits, and it is the one that extraction takes.

use super::{Extraction, level_weight};
use crate::cost::{Choice, CostModel};
use crate::price::Cost;
use crate::shape::{Context, may_fuse};
use egraft_egraph::EGraph;
use egraft_ir::{ClassId, Node, Op};
use egraft_rules::MatchGraph;
use rustc_hash::FxHashMap;
use std::cell::Cell;
use std::fmt;

/// Guesses that may be made for the tiles of one user.
const GUESSES: usize = 5_000_000;

/// One function's extraction.
#[derive(Default)]
pub(crate) struct Problem {
    pub(crate) choices: Vec<Alternatives>,
    pub(crate) users: Vec<Needs>,
}

/// A class with several nodes, one of which is to be chosen.
pub(crate) struct Alternatives {
    pub(crate) class: ClassId,
    pub(crate) nodes: Vec<Node>,
    /// The node that the search has chosen.
    pub(crate) found: usize,
}

/// The root of a tile: a class computed into a register, or an address or condition.
pub(crate) struct Needs {
    pub(crate) class: ClassId,
    pub(crate) context: Context,
    /// The first root, by index, that needs it; `None` if only tiles read it.
    pub(crate) root: Option<usize>,
    pub(crate) tiles: Vec<Possible>,
}

/// A tile that is taken under some choices.
pub(crate) struct Possible {
    /// Choices, by index, and the nodes that each must have one of, by index.
    pub(crate) when: Vec<(usize, Vec<usize>)>,
    /// In 1/16 cycle, weighted by loop level.
    pub(crate) cost: u64,
    /// Users whose values the tile reads, by index.
    pub(crate) reads: Vec<usize>,
}

/// The tile of a class depends on more choices than can be written out.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLarge(ClassId);

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the tile of {} depends on too many choices; raise `GUESSES`", self.0)
    }
}

impl std::error::Error for TooLarge {}

impl Problem {
    /// What a choice of a node for each of [`Problem::choices`] costs; `None` if tiles read one
    /// another in a circle.
    pub(crate) fn cost(&self, chosen: &[usize]) -> Option<u64> {
        let mut visits = vec![Visit::None; self.users.len()];
        let mut total = 0;
        for user in (0..self.users.len()).filter(|user| self.users[*user].root.is_some()) {
            total += self.cost_of(user, chosen, &mut visits)?;
        }
        Some(total)
    }

    /// What a user costs with all that it reads and that was not visited yet.
    fn cost_of(&self, user: usize, chosen: &[usize], visits: &mut [Visit]) -> Option<u64> {
        match visits[user] {
            Visit::Done => return Some(0),
            Visit::Begun => return None,
            Visit::None => visits[user] = Visit::Begun,
        }
        let fits = |tile: &&Possible| {
            tile.when.iter().all(|(choice, nodes)| nodes.contains(&chosen[*choice]))
        };
        let tile = self.users[user].tiles.iter().find(fits).expect("one tile fits any choice");
        let mut total = tile.cost;
        for read in &tile.reads {
            total += self.cost_of(*read, chosen, visits)?;
        }
        visits[user] = Visit::Done;
        Some(total)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    None,
    Begun,
    Done,
}

impl Extraction<'_> {
    /// Writes out this extraction. What the search has chosen costs in it what it costs here.
    ///
    /// The loop level of each class is the one that it has now; a node that is not chosen would be
    /// computed in the deepest of its operands'.
    pub(crate) fn problem(&self) -> Result<Problem, TooLarge> {
        let mut writer = Writer::new(self);
        for (at, root) in self.roots.iter().enumerate() {
            let user = match root.context {
                Context::Value => writer.user_of(root.class),
                context => writer.add_user(root.class, context),
            };
            writer.problem.users[user].root.get_or_insert(at);
        }
        let mut next = 0;
        while next < writer.problem.users.len() {
            writer.write_tiles(next)?;
            next += 1;
        }
        Ok(writer.problem)
    }

    /// The nodes that `class` may have.
    fn alternatives(&self, class: ClassId) -> Vec<Node> {
        let Some(found) = self.chosen[class.index()] else { return Vec::new() };
        if matches!(found.op, Op::Leaf | Op::Const) {
            return vec![found];
        }
        let fits = |node: &&Node| {
            let mut args = node.args().iter().map(|arg| self.graph.find(*arg));
            **node == found || args.all(|arg| arg != class && self.has_node(arg))
        };
        let mut nodes: Vec<Node> = self.graph.nodes(class).iter().filter(fits).copied().collect();
        if !nodes.contains(&found) {
            nodes.push(found);
        }
        nodes
    }
}

/// The tiles of one user by the choices on which they depend.
#[derive(PartialEq, Eq)]
enum Tree {
    Tile { cost: u64, operands: Vec<ClassId> },
    Choice { class: ClassId, branches: Vec<(Vec<usize>, Tree)> },
}

struct Writer<'e, 'a> {
    extraction: &'e Extraction<'a>,
    problem: Problem,
    /// By class.
    alternatives: Vec<Vec<Node>>,
    /// By class: alternatives, by index, that are one to whoever looks from above.
    groups: Vec<Vec<Vec<usize>>>,
    choice_of: FxHashMap<ClassId, usize>,
    user_of: FxHashMap<ClassId, usize>,
}

impl<'e, 'a> Writer<'e, 'a> {
    fn new(extraction: &'e Extraction<'a>) -> Self {
        let graph = extraction.graph;
        let mut alternatives = vec![Vec::new(); graph.ids()];
        let mut parents = vec![Vec::new(); graph.ids()];
        for class in graph.classes() {
            alternatives[class.index()] = extraction.alternatives(class);
            for node in &alternatives[class.index()] {
                for arg in node.args() {
                    parents[graph.find(*arg).index()].push(*node);
                }
            }
        }
        let groups =
            alternatives.iter().zip(&parents).map(|(nodes, parents)| group(nodes, parents));
        Writer {
            extraction,
            problem: Problem::default(),
            groups: groups.collect(),
            alternatives,
            choice_of: FxHashMap::default(),
            user_of: FxHashMap::default(),
        }
    }

    fn add_user(&mut self, class: ClassId, context: Context) -> usize {
        self.problem.users.push(Needs { class, context, root: None, tiles: Vec::new() });
        self.problem.users.len() - 1
    }

    fn user_of(&mut self, class: ClassId) -> usize {
        if let Some(user) = self.user_of.get(&class) {
            return *user;
        }
        let user = self.add_user(class, Context::Value);
        self.user_of.insert(class, user);
        user
    }

    fn choice_of(&mut self, class: ClassId) -> usize {
        let choices = &mut self.problem.choices;
        *self.choice_of.entry(class).or_insert_with(|| {
            let nodes = self.alternatives[class.index()].clone();
            let found = self.extraction.chosen(class);
            let found = nodes.iter().position(|node| *node == found);
            let found = found.expect("alternatives hold the chosen node");
            choices.push(Alternatives { class, nodes, found });
            choices.len() - 1
        })
    }

    fn write_tiles(&mut self, user: usize) -> Result<(), TooLarge> {
        let mut left = GUESSES;
        let tree = self.explore(user, &mut Vec::new(), &mut left)?;
        self.flatten(user, tree, &mut Vec::new());
        Ok(())
    }

    /// The tiles of a user where the classes on `path` have chosen so.
    fn explore(
        &self,
        user: usize,
        path: &mut Vec<(ClassId, Node)>,
        left: &mut usize,
    ) -> Result<Tree, TooLarge> {
        let Needs { class, context, root, .. } = self.problem.users[user];
        *left = left.checked_sub(1).ok_or(TooLarge(class))?;
        let Extraction { graph, model, .. } = *self.extraction;
        let guess =
            Guess { graph, model, alternatives: &self.alternatives, path, asked: Cell::new(None) };
        let tile = model.tile(graph, context, class, &guess);
        let Some(asked) = guess.asked.get() else {
            let level = match (context, root) {
                (Context::Address | Context::Branch, Some(root)) => {
                    self.extraction.roots[root].level
                }
                _ => self.level(class, &guess),
            };
            let mut operands = tile.operands.to_vec();
            operands.sort_unstable();
            return Ok(Tree::Tile { cost: u64::from(tile.cost) * level_weight(level), operands });
        };
        let nodes = &self.alternatives[asked.index()];
        // The root's node is priced, whatever it is.
        let groups = match path.is_empty() {
            true => &(0..nodes.len()).map(|node| vec![node]).collect(),
            false => &self.groups[asked.index()],
        };
        let mut branches: Vec<(Vec<usize>, Tree)> = Vec::new();
        for group in groups {
            path.push((asked, nodes[group[0]]));
            let tree = self.explore(user, path, left)?;
            path.pop();
            match branches.iter_mut().find(|(_, other)| *other == tree) {
                Some((same, _)) => same.extend(group),
                None => branches.push((group.clone(), tree)),
            }
        }
        match branches.len() {
            1 => Ok(branches.remove(0).1),
            _ => Ok(Tree::Choice { class: asked, branches }),
        }
    }

    /// The loop level in which the root of a tile is computed.
    fn level(&self, class: ClassId, guess: &Guess<'_>) -> u8 {
        let node = guess.chosen(class);
        match node == self.extraction.chosen(class) {
            true => self.extraction.level[class.index()],
            false => self.extraction.level_of(&node),
        }
    }

    fn flatten(&mut self, user: usize, tree: Tree, when: &mut Vec<(usize, Vec<usize>)>) {
        match tree {
            Tree::Tile { cost, operands } => {
                let reads = operands.into_iter().map(|operand| self.user_of(operand)).collect();
                let tile = Possible { when: when.clone(), cost, reads };
                self.problem.users[user].tiles.push(tile);
            }
            Tree::Choice { class, branches } => {
                let choice = self.choice_of(class);
                for (nodes, tree) in branches {
                    when.push((choice, nodes));
                    self.flatten(user, tree, when);
                    when.pop();
                }
            }
        }
    }
}

/// Puts those of `nodes` together that none of `parents` takes into its tile.
fn group(nodes: &[Node], parents: &[Node]) -> Vec<Vec<usize>> {
    // Addresses take in whatever values and conditions do.
    let is_seen = |node: &Node| parents.iter().any(|it| may_fuse(Context::Address, it, node.op));
    let (seen, others): (Vec<usize>, _) = (0..nodes.len()).partition(|at| is_seen(&nodes[*at]));
    let others = (!others.is_empty()).then_some(others);
    seen.into_iter().map(|node| vec![node]).chain(others).collect()
}

/// A choice of nodes for some classes.
struct Guess<'g> {
    graph: &'g EGraph,
    model: &'g CostModel<'g>,
    alternatives: &'g [Vec<Node>],
    path: &'g [(ClassId, Node)],
    /// The first class without a choice that was asked for.
    asked: Cell<Option<ClassId>>,
}

impl Choice for Guess<'_> {
    fn chosen(&self, class: ClassId) -> Node {
        if let Some((_, node)) = self.path.iter().find(|(known, _)| *known == class) {
            return *node;
        }
        let nodes = &self.alternatives[class.index()];
        if nodes.len() > 1 && self.asked.get().is_none() {
            self.asked.set(Some(class));
        }
        nodes[0]
    }

    fn own_price(&self, class: ClassId) -> Cost {
        self.model.price_of_node(self.graph, &self.chosen(class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::Root;
    use cranelift_codegen::{isa, settings};
    use egraft_egraph::Reason;
    use egraft_ir::Ty;

    /// Every choice of nodes.
    fn all_choices(problem: &Problem) -> Vec<Vec<usize>> {
        let mut all = vec![Vec::new()];
        for choice in &problem.choices {
            let nodes = 0..choice.nodes.len();
            all = (all.iter())
                .flat_map(|start| nodes.clone().map(|node| [start.as_slice(), &[node]].concat()))
                .collect();
        }
        all
    }

    #[test]
    fn the_choice_found_costs_the_same_and_the_optimum_is_there() {
        let isa = isa::lookup_by_name("x86_64-unknown-linux-gnu").unwrap();
        let isa = isa.finish(settings::Flags::new(settings::builder())).unwrap();
        let model = CostModel::new(&*isa);
        let mut graph = EGraph::new();
        let ty = Ty::I32X4;
        let [a, b] = [0, 1].map(|leaf| graph.insert(Node::with_imm(Op::Leaf, ty, leaf, &[])).0);
        // A product that is said to be a difference; a product is dearer.
        let (inner, _) = graph.insert(Node::new(Op::Isub, ty, &[a, b]));
        let (top, _) = graph.insert(Node::new(Op::Imul, ty, &[inner, a]));
        let (cheap, _) = graph.insert(Node::new(Op::Isub, ty, &[inner, b]));
        graph.union(top, cheap, Reason::Congruence);
        // It is the complement of its complement, too.
        let (not, _) = graph.insert(Node::new(Op::Bnot, ty, &[top]));
        let (again, _) = graph.insert(Node::new(Op::Bnot, ty, &[not]));
        graph.union(again, top, Reason::Congruence);
        graph.rebuild();

        let (top, not) = (graph.find(top), graph.find(not));
        let initial = [inner, top, not].map(|class| (class, *graph.added_node(class)));
        let roots = [top, not].map(|class| Root { class, context: Context::Value, level: 1 });
        let mut extraction = Extraction::new(&graph, &model, &initial, roots.to_vec(), &|_| 1);
        let (before, found) = extraction.improve();
        let problem = extraction.problem().unwrap();
        let chosen: Vec<usize> = problem.choices.iter().map(|choice| choice.found).collect();
        assert_eq!(problem.cost(&chosen), Some(found));

        let costs: Vec<_> = all_choices(&problem).iter().map(|it| problem.cost(it)).collect();
        assert_eq!(costs.len(), 3, "product, difference, or complement of its complement");
        assert_eq!(costs.iter().filter(|cost| cost.is_none()).count(), 1, "the last is a circle");
        assert_eq!(costs.iter().flatten().min(), Some(&found));
        assert_eq!(costs.iter().flatten().max(), Some(&before));
        let price = |node: Node| u64::from(model.price_of_node(&graph, &node));
        let best = [inner, cheap, not].map(|class| price(*graph.added_node(class)));
        assert_eq!(found, best.iter().sum::<u64>() * level_weight(1));
    }
}
