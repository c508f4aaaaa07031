//! A name for a graph that does not depend on ids.

use super::NONE;
use super::table::{BulkGraph, DEAD};
use egraft_ir::{ClassId, Node};
use rustc_hash::FxHashMap;

/// The classes of a graph, numbered by what is in them: graphs that were made in any order and by any engine have equal
/// shapes exactly if they have the same classes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Shape {
    /// The nodes of each class, in ascending order. Their operands are numbers of classes, those of commutative ops in
    /// ascending order.
    pub classes: Vec<Vec<Node>>,
}

impl Shape {
    /// The shape of these classes; operands are places among them. Every class has a node whose operands are classes
    /// that have one, and so on down to leaves; classes that have none are left out.
    pub fn new(classes: &[Vec<Node>]) -> Shape {
        let (number, count) = numbered(classes);
        let mut shape = Shape { classes: vec![Vec::new(); count as usize] };
        for (class, nodes) in classes.iter().enumerate() {
            if number[class] == NONE {
                continue;
            }
            let into = &mut shape.classes[number[class] as usize];
            into.extend(nodes.iter().filter_map(|node| renamed(node, &number)));
            into.sort_unstable();
            into.dedup();
        }
        shape
    }

    /// Number of nodes.
    pub fn node_count(&self) -> usize {
        self.classes.iter().map(Vec::len).sum()
    }
}

/// A number for each class that does not depend on their order, and how many have one.
///
/// Numbers are given round by round: to the classes with a node over classes that have numbers, in the order of the
/// least such node.
fn numbered(classes: &[Vec<Node>]) -> (Vec<u32>, u32) {
    let mut number = vec![NONE; classes.len()];
    let mut users: Vec<Vec<u32>> = vec![Vec::new(); classes.len()];
    let mut ready: Vec<u32> = Vec::new();
    for (class, nodes) in (0..).zip(classes) {
        for node in nodes {
            node.args().iter().for_each(|arg| users[arg.index()].push(class));
        }
        if nodes.iter().any(|node| node.args().is_empty()) {
            ready.push(class);
        }
    }
    let mut count = 0;
    while !ready.is_empty() {
        let least = |class: &u32| {
            classes[*class as usize].iter().filter_map(|node| renamed(node, &number)).min()
        };
        let mut round: Vec<(Node, u32)> =
            ready.iter().filter_map(|class| Some((least(class)?, *class))).collect();
        round.sort_unstable();
        for (_, class) in &round {
            number[*class as usize] = count;
            count += 1;
        }
        ready.clear();
        for (_, class) in &round {
            ready.extend(
                users[*class as usize].iter().filter(|user| number[**user as usize] == NONE),
            );
        }
        ready.sort_unstable();
        ready.dedup();
    }
    (number, count)
}

/// The node over numbers, if all its operands have one.
pub(super) fn renamed(node: &Node, number: &[u32]) -> Option<Node> {
    let mut node = *node;
    for arg in node.args_mut() {
        *arg = ClassId(number[arg.index()]);
        if arg.0 == NONE {
            return None;
        }
    }
    Some(node.sorted())
}

impl BulkGraph {
    /// The live classes with their nodes; operands are places among the classes.
    pub fn classes(&self) -> Vec<Vec<Node>> {
        self.classes_and_places().0
    }

    /// As [`BulkGraph::classes`], with the place of each class.
    fn classes_and_places(&self) -> (Vec<Vec<Node>>, FxHashMap<u32, u32>) {
        let mut place: FxHashMap<u32, u32> = FxHashMap::default();
        let mut classes: Vec<Vec<Node>> = Vec::new();
        let mut place_of = |class: u32, classes: &mut Vec<Vec<Node>>| {
            *place.entry(class).or_insert_with(|| {
                classes.push(Vec::new());
                classes.len() as u32 - 1
            })
        };
        for (id, row) in self.rows.iter().enumerate() {
            if row.class == DEAD {
                continue;
            }
            let mut node = self.node(&row.words);
            for arg in node.args_mut() {
                *arg = ClassId(place_of(self.root(arg.0), &mut classes));
            }
            let class = place_of(self.root(id as u32), &mut classes);
            classes[class as usize].push(node);
        }
        (classes, place)
    }

    /// By id the number of each class, which depends on what is in it; `NONE` where no leaf is below.
    pub(super) fn class_numbers(&self) -> Vec<u32> {
        let (classes, places) = self.classes_and_places();
        let (of_place, _) = numbered(&classes);
        let mut numbers = vec![NONE; self.rows.len()];
        for (class, place) in places {
            numbers[class as usize] = of_place[place as usize];
        }
        numbers
    }

    /// The graph's shape. The graph is closed.
    pub fn shape(&self) -> Shape {
        Shape::new(&self.classes())
    }
}
