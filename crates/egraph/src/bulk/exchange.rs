//! Graphs for engines elsewhere, and back.

use super::numbers::Numbers;
use super::table::{BulkGraph, DEAD, Row, Words};
use super::{Analysis, NONE};
use egraft_ir::{Facts, Op};

/// In the place of a class, where no search saw the node.
pub const UNSEEN: u32 = NONE;
/// In the place of a class, where the node is a copy of another.
pub const COPY: u32 = DEAD;

/// A closed graph as words. The id of a node is that of the class it was added as.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exported {
    /// For each node: op, type, operand type and whether the op is commutative in the bytes of the first word, three
    /// operand classes (all ones where there is none), the place of the immediate.
    pub nodes: Vec<[u32; 5]>,
    /// For each node the class in which the last search saw it: [`UNSEEN`] if it is new since, [`COPY`] if it became a copy
    /// of another.
    pub seen: Vec<u32>,
    /// The union-find: a canonical id is its own parent.
    pub parents: Vec<u32>,
}

impl BulkGraph {
    /// The graph, which is closed, as words.
    pub fn export(&self) -> Exported {
        let words = |row: &Row| {
            let Words { head, args: [a, b, c], imm } = row.words;
            [head, a, b, c, imm]
        };
        Exported {
            nodes: self.rows.iter().map(words).collect(),
            seen: self.rows.iter().map(|row| row.class).collect(),
            parents: (0..self.rows.len() as u32).map(|id| self.root(id)).collect(),
        }
    }

    /// Puts a closed graph in this one's place, over the same numbers and with facts by class; without facts they are
    /// not looked at.
    pub(super) fn import(&mut self, graph: &Exported, facts: &[Facts]) {
        let numbers: Numbers = std::mem::take(&mut self.numbers);
        let graphs = self.graphs;
        *self = BulkGraph::new(self.analysis);
        (self.numbers, self.graphs) = (numbers, graphs);
        for (words, parent) in graph.nodes.iter().zip(&graph.parents) {
            let [head, a, b, c, imm] = *words;
            self.push(Words { head, args: [a, b, c], imm }, *parent);
        }
        for (id, seen) in (0..).zip(&graph.seen) {
            self.enlist(id, *seen);
            let words = self.rows[id as usize].words;
            if *seen != COPY && words.op() == Op::Const {
                let class = self.root(id);
                self.constant[class as usize] = words.imm;
            }
        }
        if self.analysis == Analysis::Facts {
            self.facts.copy_from_slice(facts);
            let constants = (0..facts.len() as u32).map(|id| self.known_number(id)).collect();
            self.constant = constants;
        }
    }
}
