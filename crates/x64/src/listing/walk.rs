//! Follows the branches of finished code from its start, and so tells instructions from data.

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction};
use std::collections::{BTreeMap, BTreeSet};

/// The instructions that can be reached.
pub(crate) struct Walked {
    /// By offset.
    pub(crate) insts: BTreeMap<u32, Instruction>,
    /// Offsets where blocks start.
    pub(crate) starts: BTreeSet<u32>,
    /// Where branches lead, by the branch's offset; what follows it is not among them.
    pub(crate) targets: BTreeMap<u32, Vec<u32>>,
}

/// Bytes of an entry of a jump table.
const ENTRY: usize = 4;

/// Decodes `code` from offset 0. `named` holds the fields that are filled in with the addresses of
/// other functions.
pub(crate) fn walk(code: &[u8], named: &BTreeMap<u32, String>) -> Walked {
    let mut walked =
        Walked { insts: BTreeMap::new(), starts: BTreeSet::new(), targets: BTreeMap::new() };
    let mut tables = Vec::new();
    let mut open = vec![0];
    loop {
        while let Some(start) = open.pop() {
            if walked.starts.insert(start) {
                walked.run(code, start, named, &mut open, &mut tables);
            }
        }
        // Where a table ends is known once everything else is.
        let Some(jump) = tables.pop() else { break };
        let targets = walked.table(code, jump);
        open.extend(&targets);
        walked.targets.insert(jump, targets);
    }
    walked
}

impl Walked {
    /// Decodes from `start` to where control goes elsewhere or was before.
    fn run(
        &mut self,
        code: &[u8],
        start: u32,
        named: &BTreeMap<u32, String>,
        open: &mut Vec<u32>,
        tables: &mut Vec<u32>,
    ) {
        let Some(bytes) = code.get(start as usize..) else { return };
        let mut decoder = Decoder::with_ip(64, bytes, u64::from(start), DecoderOptions::NONE);
        let mut before = None;
        while decoder.can_decode() {
            let at = decoder.ip() as u32;
            if self.insts.contains_key(&at) {
                return;
            }
            let inst = decoder.decode();
            if inst.is_invalid() {
                return;
            }
            self.insts.insert(at, inst);
            let next = inst.next_ip() as u32;
            match inst.flow_control() {
                FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                    // A branch to another function leaves this one.
                    if named.range(at..next).next().is_none() {
                        let target = inst.near_branch_target() as u32;
                        self.targets.insert(at, vec![target]);
                        open.push(target);
                    }
                    if inst.flow_control() == FlowControl::ConditionalBranch {
                        open.push(next);
                    }
                    return;
                }
                FlowControl::IndirectBranch => {
                    // What was not just computed from a table is another function.
                    let computed = |before: Instruction| {
                        matches!(before.code(), Code::Add_r64_rm64 | Code::Add_rm64_r64)
                            && before.op0_register() == inst.op0_register()
                    };
                    if before.is_some_and(computed) {
                        tables.push(at);
                    }
                    return;
                }
                FlowControl::Return | FlowControl::Exception | FlowControl::Interrupt => return,
                _ => before = Some(inst),
            }
        }
    }

    /// The targets in the table behind the jump at `jump`. The table ends where the first
    /// instruction behind it stands, which is another's target or one of its own.
    fn table(&self, code: &[u8], jump: u32) -> Vec<u32> {
        let start = self.insts[&jump].next_ip() as u32;
        let behind = |offset: u32| self.insts.range(offset..).next().map(|(offset, _)| *offset);
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
