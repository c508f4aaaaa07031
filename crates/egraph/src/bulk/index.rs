//! The nodes in the order of their classes, made anew before each search.

use super::NONE;
use super::program::op_bit;
use super::table::{BulkGraph, DEAD, Row, Words};
use super::threads::each;
use std::ops::Range;

/// What a search reads. Nodes stand class by class, within a class op by op, and those that are new last.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The first node of each class, by id; one more than there are ids.
    starts: Vec<u32>,
    pub(super) rows: Vec<Row>,
    /// By id of a live node, its place.
    pub(super) places: Vec<u32>,
    /// Twice the op, and 1 for new nodes.
    keys: Vec<u16>,
    /// [`op_bit`]s of the ops of a class, by id.
    pub(super) ops: Vec<u64>,
    /// How far below a class the nearest new node is, by id.
    pub(super) reach: Vec<u8>,
    pub(super) fresh: usize,
}

/// Nothing new is near.
pub(super) const FAR: u8 = u8::MAX;

impl Index {
    /// Sorts the live nodes of `graph`, which is closed, and takes note of where it saw each. `depth`: how far below a
    /// node rules look. `facts`: whether what became known of a class makes the nodes around it new.
    pub(super) fn rebuild(
        &mut self,
        graph: &mut BulkGraph,
        depth: u8,
        facts: bool,
        threads: Option<&rayon::ThreadPool>,
    ) {
        let ids = graph.rows.len();
        let told = std::mem::take(&mut graph.told);
        let mut is_told = vec![false; if facts && !told.is_empty() { ids } else { 0 }];
        if !is_told.is_empty() {
            for class in told {
                is_told[graph.root(class) as usize] = true;
            }
        }
        let is_told = |class: u32| is_told.get(class as usize).is_some_and(|told| *told);
        // By op and newness first, then by class, which keeps that order.
        let mut keys = vec![u16::MAX; ids];
        let mut by_key = vec![0u32; 2 * 256 + 1];
        self.starts.clear();
        self.starts.resize(ids + 1, 0);
        self.fresh = 0;
        for id in 0..ids {
            let Row { words, class: seen } = graph.rows[id];
            if seen == DEAD {
                continue;
            }
            let class = graph.root(id as u32);
            let new = seen != class || is_told(class) || words.operands().any(is_told);
            graph.rows[id].class = class;
            graph.parent[id] = class;
            keys[id] = (words.head as u16 & 0xff) << 1 | u16::from(new);
            by_key[keys[id] as usize + 1] += 1;
            self.starts[class as usize + 1] += 1;
            self.fresh += usize::from(new);
        }
        let mut sum = 0;
        for count in &mut by_key {
            sum += *count;
            *count = sum;
        }
        let live = sum as usize;
        let mut ordered = vec![0u32; live];
        for id in 0..ids {
            if keys[id] != u16::MAX {
                let place = &mut by_key[keys[id] as usize];
                ordered[*place as usize] = id as u32;
                *place += 1;
            }
        }
        let mut sum = 0;
        for start in &mut self.starts {
            sum += *start;
            *start = sum;
        }
        let mut next = self.starts.clone();
        let empty = Row { words: Words { head: 0, args: [NONE; 3], imm: 0 }, class: NONE };
        self.rows.clear();
        self.rows.resize(live, empty);
        self.keys.clear();
        self.keys.resize(live, 0);
        self.places.clear();
        self.places.resize(ids, NONE);
        for id in ordered {
            let row = graph.rows[id as usize];
            let place = &mut next[row.class as usize];
            self.rows[*place as usize] = row;
            self.keys[*place as usize] = keys[id as usize];
            self.places[id as usize] = *place;
            *place += 1;
        }
        self.look(graph, depth, threads);
    }

    /// Takes note of what ops classes have and how near new nodes are.
    fn look(&mut self, graph: &BulkGraph, depth: u8, threads: Option<&rayon::ThreadPool>) {
        let ids = graph.rows.len();
        let of_class = |class: usize| {
            let keys = &self.keys[self.range(class as u32)];
            let mut ops = keys.iter().fold(0, |ops, key| ops | op_bit((key >> 1) as u8));
            if graph.constant[class] != NONE {
                ops |= op_bit(egraft_ir::Op::Const as u8);
            }
            (ops, if keys.iter().any(|key| key & 1 != 0) { 0 } else { FAR })
        };
        (self.ops, self.reach) = each(ids, threads, of_class).into_iter().unzip();
        for _ in 1..depth {
            let nearer = |class: usize| {
                let args = self.rows[self.range(class as u32)].iter();
                let args = args.flat_map(|row| row.words.operands());
                let through = args.map(|arg| self.reach[arg as usize].saturating_add(1)).min();
                through.unwrap_or(FAR).min(self.reach[class])
            };
            let reach = each(ids, threads, nearer);
            if reach == self.reach {
                break;
            }
            self.reach = reach;
        }
    }

    /// The nodes of a canonical class.
    pub(super) fn range(&self, class: u32) -> Range<usize> {
        self.starts[class as usize] as usize..self.starts[class as usize + 1] as usize
    }

    pub(super) fn is_new(&self, at: usize) -> bool {
        self.keys[at] & 1 != 0
    }

    /// The nodes of a class that have an op, those that are new or all.
    pub(super) fn with_op(&self, class: u32, op: u8, only_new: bool) -> Range<usize> {
        let Range { start, end } = self.range(class);
        let keys = &self.keys[start..end];
        let first = u16::from(op) << 1 | u16::from(only_new);
        let last = u16::from(op) << 1 | 1;
        if keys.len() <= 16 {
            let from = keys.iter().position(|key| *key >= first).unwrap_or(keys.len());
            let count = keys[from..].iter().take_while(|key| **key <= last).count();
            return start + from..start + from + count;
        }
        let from = keys.partition_point(|key| *key < first);
        let to = keys.partition_point(|key| *key <= last);
        start + from..start + to
    }
}
