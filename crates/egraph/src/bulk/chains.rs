//! Canonical forms of chains: nodes of one associative and commutative op over one another as sorted lists of operands.
//!
//! A sum of n values can be written in more than 3^n / 2 nodes, which associativity finds one by one. Here a chain is
//! flattened to the list of its operands, sorted, and written once, from the left. Chains with equal lists are equal; so
//! all that associativity and commutativity prove of the sums that are there is found, without those that are not. What is
//! given up: other rules see operands together only where they stand side by side in the list or in a term as it was
//! given.

use super::NONE;
use super::table::{BulkGraph, DEAD, Row};
use egraft_ir::{ClassId, Node, Op, Ty};
use egraft_rules::{Pattern, Rule, RuleId, RuleSet, Template, VarId};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Operands that a list has at most. What would have more takes a part of itself as one operand, so that long chains need
/// neither time nor space in the square of their length.
pub const CHAIN_WIDTH: usize = 64;

/// What flattening did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flattened {
    /// Classes that became one with another since their lists are equal.
    pub merged: usize,
    /// Nodes that canonical forms needed.
    pub added: usize,
}

/// How often flattening looks anew at what its own merges changed.
const PASSES: usize = 32;

/// An op and its type.
type Head = (Op, Ty);

/// The lists of the chains of one head.
struct Lists<'a> {
    graph: &'a BulkGraph,
    /// By class the operands of its nodes of the head.
    chains: FxHashMap<u32, Vec<[u32; 2]>>,
    /// By class the place in the order of operands.
    number: &'a [u32],
    /// By class the list that stands for it in those above; empty while it is being made.
    of: FxHashMap<u32, Vec<u32>>,
    /// By list the first class that has it.
    classes: FxHashMap<Vec<u32>, u32>,
    equal: Vec<(u32, u32)>,
}

impl Lists<'_> {
    /// Makes the lists of a class and of all below it.
    fn make(&mut self, class: u32) {
        let mut todo = vec![(class, false)];
        while let Some((class, is_ready)) = todo.pop() {
            if is_ready {
                self.finish(class);
            } else if self.chains.contains_key(&class) && !self.of.contains_key(&class) {
                self.of.insert(class, Vec::new());
                todo.push((class, true));
                todo.extend(self.chains[&class].iter().flatten().map(|arg| (*arg, false)));
            }
        }
    }

    /// Makes the list of each node of a class; the least stands for the class from now on.
    fn finish(&mut self, class: u32) {
        let chains = &self.chains[&class];
        let mut lists: Vec<Vec<u32>> = chains.iter().map(|args| self.joined(*args)).collect();
        lists.sort_by_cached_key(|list| {
            let places: Vec<(u32, u32)> = list.iter().map(|operand| self.place(*operand)).collect();
            (list.len(), places)
        });
        lists.dedup();
        self.of.insert(class, lists[0].clone());
        for list in lists {
            let first = *self.classes.entry(list).or_insert(class);
            if first != class {
                self.equal.push((first, class));
            }
        }
    }

    /// The list of a node.
    fn joined(&self, args: [u32; 2]) -> Vec<u32> {
        let mut lists = args.map(|arg| match self.of.get(&arg) {
            Some(list) if !list.is_empty() && self.graph.constant[arg as usize] == NONE => {
                list.clone()
            }
            // No chain, a constant, or a class that is part of itself.
            _ => vec![arg],
        });
        while lists[0].len() + lists[1].len() > CHAIN_WIDTH {
            let longer = usize::from(lists[1].len() > lists[0].len());
            lists[longer] = vec![args[longer]];
        }
        let mut list = lists.concat();
        list.sort_unstable_by_key(|operand| self.place(*operand));
        list
    }

    fn place(&self, operand: u32) -> (u32, u32) {
        (self.number[operand as usize], operand)
    }
}

impl BulkGraph {
    /// Brings all chains of integer ops that are associative and commutative into their canonical form: merges classes whose
    /// lists of operands are equal, and adds the sorted form of each chain that is not only part of a longer one. The graph
    /// is closed before and after. The order of operands depends on what they are, not on ids, so it is the same on
    /// every engine.
    pub fn flatten(&mut self) -> Flattened {
        let mut done = Flattened::default();
        let mut number = self.class_numbers();
        for _ in 0..PASSES {
            number.resize(self.rows.len(), NONE);
            for id in 0..self.rows.len() {
                let class = self.root(id as u32) as usize;
                number[class] = number[class].min(number[id]);
            }
            let (classes, nodes) = (self.class_count(), self.node_count());
            let mut forms: Vec<(Head, u32, Vec<u32>)> = Vec::new();
            let mut equal = Vec::new();
            for (head, chains) in self.chains() {
                let mut order: Vec<u32> = chains.keys().copied().collect();
                order.sort_unstable_by_key(|class| (number[*class as usize], *class));
                let mut lists = Lists {
                    graph: self,
                    chains,
                    number: &number,
                    of: FxHashMap::default(),
                    classes: FxHashMap::default(),
                    equal: Vec::new(),
                };
                order.iter().for_each(|class| lists.make(*class));
                equal.append(&mut lists.equal);
                let whole = order.into_iter().filter(|class| self.is_whole(*class, head));
                forms.extend(whole.map(|class| (head, class, lists.of[&class].clone())));
            }
            let is_merging = !equal.is_empty();
            equal.into_iter().for_each(|(a, b)| self.union(a, b));
            if !is_merging {
                for (head, class, list) in forms {
                    let form = self.add_chain(head, &list);
                    self.union(class, form);
                }
            }
            self.close();
            let (now, added) = (self.class_count(), self.node_count().saturating_sub(nodes));
            done.merged += if is_merging { classes - now } else { 0 };
            done.added += added;
            if !is_merging && added == 0 && now == classes {
                break;
            }
        }
        done
    }

    /// For each head, by class, the operands of its nodes.
    fn chains(&self) -> BTreeMap<Head, FxHashMap<u32, Vec<[u32; 2]>>> {
        let mut chains: BTreeMap<Head, FxHashMap<u32, Vec<[u32; 2]>>> = BTreeMap::new();
        for (id, row) in (0..).zip(&self.rows) {
            let words = &row.words;
            let class = self.root(id);
            let is_constant = self.constant[class as usize] != NONE;
            if row.class == DEAD || !words.op().is_associative() || is_constant {
                continue;
            }
            let args = [self.root(words.args[0]), self.root(words.args[1])];
            let of_head = chains.entry((words.op(), words.ty())).or_default();
            of_head.entry(class).or_default().push(args);
        }
        chains
    }

    /// Whether a chain is not only part of longer ones.
    fn is_whole(&self, class: u32, (op, ty): Head) -> bool {
        let users = self.users(class).map(|(id, _)| &self.rows[id as usize]);
        let mut live = users.filter(|row| row.class != DEAD).peekable();
        let is_part = |row: &Row| row.words.op() == op && row.words.ty() == ty;
        live.peek().is_none() || live.any(|row| !is_part(row))
    }

    fn add_chain(&mut self, (op, ty): Head, list: &[u32]) -> u32 {
        let mut chain = ClassId(list[0]);
        for operand in &list[1..] {
            chain = self.add(Node::new(op, ty, &[chain, ClassId(*operand)]));
        }
        chain.0
    }
}

/// Saturates with canonical forms of chains: flattens, lets `engine` saturate, and so on until flattening changes nothing
/// more, `rounds` times at most. Gives what the engine gave each time, and what flattening did in all. The engine needs no
/// rules that only rearrange chains ([`without_rearranging`]).
///
/// # Errors
/// The engine's.
pub fn saturate_flattened<R, E>(
    graph: &mut BulkGraph,
    rounds: usize,
    mut engine: impl FnMut(&mut BulkGraph) -> Result<R, E>,
) -> Result<(Vec<R>, Flattened), E> {
    let mut all = graph.flatten();
    let mut runs = Vec::new();
    for _ in 0..rounds {
        runs.push(engine(graph)?);
        let Flattened { merged, added } = graph.flatten();
        all = Flattened { merged: all.merged + merged, added: all.added + added };
        if merged == 0 && added == 0 {
            break;
        }
    }
    Ok((runs, all))
}

/// The rules of a set but those that only rearrange a chain: both sides are chains of one op over the same variables.
pub fn without_rearranging(set: &RuleSet) -> RuleSet {
    let mut rules: Vec<Rule> = set.rules.iter().filter(|rule| !rearranges(rule)).cloned().collect();
    for (at, rule) in rules.iter_mut().enumerate() {
        rule.id = RuleId(at as u16);
    }
    RuleSet { rules }
}

fn rearranges(rule: &Rule) -> bool {
    let op = rule.root_op();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    if !op.is_associative()
        || !rule.conditions.is_empty()
        || !left_operands(&rule.lhs, op, &mut left)
        || !right_operands(&rule.rhs, op, &mut right)
    {
        return false;
    }
    left.sort_unstable();
    right.sort_unstable();
    left == right
}

fn left_operands(part: &Pattern, chain: Op, operands: &mut Vec<VarId>) -> bool {
    match part {
        Pattern::Var(var) => operands.push(*var),
        Pattern::Op { op, args, .. } if *op == chain => {
            return args.iter().all(|arg| left_operands(arg, chain, operands));
        }
        _ => return false,
    }
    true
}

fn right_operands(part: &Template, chain: Op, operands: &mut Vec<VarId>) -> bool {
    match part {
        Template::Var(var) => operands.push(*var),
        Template::Op { op, args, .. } if *op == chain => {
            return args.iter().all(|arg| right_operands(arg, chain, operands));
        }
        _ => return false,
    }
    true
}
