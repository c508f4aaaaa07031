//! Follows the branches of finished code from its start, and so tells instructions from data.

use crate::Reader;
use std::collections::{BTreeMap, BTreeSet};

/// Where control goes from an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// To the next one, for calls later.
    Next,
    /// There, or to the next one.
    Branch(u32),
    /// There.
    Jump(u32),
    /// To one of the targets in the table behind it.
    Table,
    /// Out of the function.
    Leaves,
}

/// One instruction, as far as control goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// Where the instruction behind it starts.
    pub(crate) next: u32,
    pub(crate) flow: Flow,
}

/// The instructions that can be reached.
#[derive(Default)]
pub(crate) struct Walked {
    /// By offset.
    pub(crate) steps: BTreeMap<u32, Step>,
    /// Offsets where blocks start.
    pub(crate) starts: BTreeSet<u32>,
    /// Where jumps through tables lead, by their offset.
    pub(crate) tables: BTreeMap<u32, Vec<u32>>,
}

/// Bytes of an entry of a jump table, which is a distance from the table's start.
const ENTRY: usize = 4;

/// Reads `code` from offset 0. `named` holds the fields that are filled in with the addresses of
/// other functions.
pub(crate) fn walk(code: &[u8], reader: &mut impl Reader, named: &BTreeMap<u32, String>) -> Walked {
    let mut walked = Walked::default();
    let mut tables = Vec::new();
    let mut open = vec![0];
    loop {
        while let Some(start) = open.pop() {
            if walked.starts.insert(start) {
                walked.run(start, reader, named, &mut open, &mut tables);
            }
        }
        // Where a table ends is known once everything else is.
        let Some(jump) = tables.pop() else { break };
        let targets = walked.table(code, jump);
        open.extend(&targets);
        walked.tables.insert(jump, targets);
    }
    walked
}

impl Walked {
    /// Where control goes from the instruction at `offset`.
    pub(crate) fn successors(&self, offset: u32) -> Vec<u32> {
        let Some(step) = self.steps.get(&offset) else { return Vec::new() };
        match step.flow {
            Flow::Next => vec![step.next],
            Flow::Branch(target) => vec![target, step.next],
            Flow::Jump(target) => vec![target],
            Flow::Table => self.tables.get(&offset).cloned().unwrap_or_default(),
            Flow::Leaves => Vec::new(),
        }
    }

    /// Reads from `start` to where control goes elsewhere or was before.
    fn run(
        &mut self,
        start: u32,
        reader: &mut impl Reader,
        named: &BTreeMap<u32, String>,
        open: &mut Vec<u32>,
        tables: &mut Vec<u32>,
    ) {
        let is_named = |range: std::ops::Range<u32>| named.range(range).next().is_some();
        let mut at = start;
        while !self.steps.contains_key(&at) {
            let Some(step) = reader.step(at, &is_named) else { return };
            self.steps.insert(at, step);
            match step.flow {
                Flow::Next => at = step.next,
                Flow::Branch(target) => return open.extend([target, step.next]),
                Flow::Jump(target) => return open.push(target),
                Flow::Table => return tables.push(at),
                Flow::Leaves => return,
            }
        }
    }

    /// The targets in the table behind the jump at `jump`. The table ends where the first
    /// instruction behind it stands, which is another's target or one of its own.
    fn table(&self, code: &[u8], jump: u32) -> Vec<u32> {
        let start = self.steps[&jump].next;
        let behind = |offset: u32| self.steps.range(offset..).next().map(|(offset, _)| *offset);
        let mut end = behind(start).unwrap_or(code.len() as u32) as usize;
        let mut targets = Vec::new();
        let mut at = start as usize;
        while at + ENTRY <= end {
            let entry = code[at..].first_chunk::<ENTRY>().map(|bytes| i32::from_le_bytes(*bytes));
            let target = entry.and_then(|distance| start.checked_add_signed(distance));
            let Some(target) = target.filter(|target| (*target as usize) < code.len()) else {
                break;
            };
            if target >= start {
                end = end.min(target as usize);
            }
            targets.push(target);
            at += ENTRY;
        }
        targets.sort_unstable();
        targets.dedup();
        targets
    }
}
