//! The cheapest terms of classes: costs by relaxation, then the nodes that have them.
//!
//! A term costs the sum of its nodes' prices, as often as each stands in it. Costs are the least fixpoint of
//! `cost(class) = min over nodes of (price + costs of operands)`, which is one whatever order it is reached in; where several
//! nodes have the least cost, what is in their operands decides, and not ids. So every engine extracts the same terms.

use super::NONE;
use super::shape::renamed;
use super::table::{BulkGraph, DEAD, Row, Words};
use egraft_ir::{ClassId, Node, Op, Ty};
use std::collections::VecDeque;

/// What a node costs without its operands, by op and type; at least 1, so that no cheapest term contains itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prices(Vec<u32>);

/// Costs are cut off here; also the cost of a class without any term.
pub const MOST_COSTLY: u32 = NONE;

impl Prices {
    /// Prices by op and type; 0 counts as 1.
    pub fn new(of: impl Fn(Op, Ty) -> u32) -> Prices {
        let all = Op::ALL.iter().flat_map(|op| Ty::ALL.map(|ty| of(*op, ty).max(1)));
        Prices(all.collect())
    }

    /// All of them, op by op, type by type, in the order of `Op::ALL` and `Ty::ALL`.
    pub fn words(&self) -> &[u32] {
        &self.0
    }

    fn of(&self, words: &Words) -> u32 {
        let (op, ty) = (words.head & 0xff, words.head >> 8 & 0xff);
        self.0[op as usize * Ty::ALL.len() + ty as usize]
    }
}

impl BulkGraph {
    /// The cost of the cheapest term of each class, by canonical id. The graph is closed. Other ids have
    /// [`MOST_COSTLY`], and so have classes that contain themselves and nothing else.
    pub fn costs(&self, prices: &Prices) -> Vec<u32> {
        let mut costs = vec![MOST_COSTLY; self.rows.len()];
        let live = |id: &u32| self.rows[*id as usize].class != DEAD;
        let mut todo: VecDeque<u32> = (0..self.rows.len() as u32).filter(live).collect();
        let mut queued = vec![true; self.rows.len()];
        while let Some(id) = todo.pop_front() {
            queued[id as usize] = false;
            let class = self.root(id);
            let cost = cost_of(&self.rows[id as usize], prices, &costs);
            if cost >= costs[class as usize] {
                continue;
            }
            costs[class as usize] = cost;
            for (user, _) in self.users(class) {
                let dead = self.rows[user as usize].class == DEAD;
                if !dead && !std::mem::replace(&mut queued[user as usize], true) {
                    todo.push_back(user);
                }
            }
        }
        costs
    }

    /// The cheapest terms of `roots` by `costs`, which are those of `prices`, wherever they were computed: nodes, each
    /// behind its operands, which are places among the nodes; and the place of each root, `None` where it has no
    /// term. Equal graphs give equal terms, whatever their ids.
    pub fn extract(
        &self,
        roots: &[ClassId],
        prices: &Prices,
        costs: &[u32],
    ) -> (Vec<Node>, Vec<Option<ClassId>>) {
        let numbers = self.class_numbers();
        let mut best: Vec<Option<(Node, u32)>> = vec![None; self.rows.len()];
        for (id, row) in (0..).zip(&self.rows) {
            let class = self.root(id) as usize;
            let is_least = row.class != DEAD
                && costs[class] != MOST_COSTLY
                && cost_of(row, prices, costs) == costs[class];
            if is_least
                && let Some(key) = renamed(&self.node(&row.words), &numbers)
                && best[class].is_none_or(|(least, _)| key < least)
            {
                best[class] = Some((key, id));
            }
        }
        let mut nodes = Vec::new();
        let mut places: Vec<Option<ClassId>> = vec![None; self.rows.len()];
        for root in roots {
            let mut todo = vec![self.root(root.0)];
            while let Some(&class) = todo.last() {
                let Some((key, id)) =
                    best[class as usize].filter(|_| places[class as usize].is_none())
                else {
                    todo.pop();
                    continue;
                };
                // Operands in the order of the key, so that it does not depend on ids either.
                let mut args = self.rows[id as usize].words.args;
                if key.args().first().is_some_and(|first| first.0 != numbers[args[0] as usize]) {
                    args.swap(0, 1);
                }
                let missing = args.iter().filter(|arg| **arg != NONE);
                let missing = missing.filter(|arg| places[**arg as usize].is_none());
                let before = todo.len();
                todo.extend(missing);
                if todo.len() == before {
                    let mut node = key;
                    for (slot, arg) in node.args_mut().iter_mut().zip(args) {
                        *slot = places[arg as usize].expect("an operand is extracted before");
                    }
                    places[class as usize] = Some(ClassId(nodes.len() as u32));
                    nodes.push(node);
                    todo.pop();
                }
            }
        }
        let roots = roots.iter().map(|root| places[self.root(root.0) as usize]).collect();
        (nodes, roots)
    }
}

/// What the term of a live node costs, whose operands are canonical.
fn cost_of(row: &Row, prices: &Prices, costs: &[u32]) -> u32 {
    let operands = row.words.operands().map(|arg| costs[arg as usize]);
    operands.fold(prices.of(&row.words), u32::saturating_add)
}
