//! What a run of an oracle came to, counted.

use crate::oracle::{Skip, Verdict};
use std::collections::BTreeMap;
use std::fmt;

/// Counts of one run.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    /// Cases in which everything was equal.
    pub accepted: u64,
    /// Cases that compared nothing, by reason.
    pub skipped: BTreeMap<Skip, u64>,
    /// Cases in which something differed.
    pub failed: u64,
    /// Wasm functions of the accepted modules.
    pub functions: u64,
    /// Those for which Egraft's code ran.
    pub replaced: u64,
    /// Calls compared.
    pub calls: u64,
    /// Calls that trapped, with the place compared too.
    pub traps: u64,
    /// Traps whose place was not compared: a load that one side folded into its reader.
    pub folded: u64,
    /// Cases that ended at a stack overflow; its place depends on the size of frames.
    pub overflows: u64,
}

impl Tally {
    /// Counts one verdict.
    pub fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Accepted(accepted) => {
                self.accepted += 1;
                self.functions += accepted.functions;
                self.replaced += accepted.replaced;
                self.calls += accepted.calls;
                self.traps += accepted.traps;
                self.folded += accepted.folded;
                self.overflows += u64::from(accepted.overflowed);
            }
            Verdict::Skipped(skip) => *self.skipped.entry(*skip).or_default() += 1,
            Verdict::Failed(_) => self.failed += 1,
        }
    }

    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Tally) {
        self.accepted += other.accepted;
        self.failed += other.failed;
        self.functions += other.functions;
        self.replaced += other.replaced;
        self.calls += other.calls;
        self.traps += other.traps;
        self.folded += other.folded;
        self.overflows += other.overflows;
        for (skip, count) in &other.skipped {
            *self.skipped.entry(*skip).or_default() += count;
        }
    }

    /// Cases.
    pub fn cases(&self) -> u64 {
        self.accepted + self.failed + self.skipped.values().sum::<u64>()
    }

    /// What makes the run worthless although nothing failed.
    pub fn idle(&self) -> Option<&'static str> {
        match self {
            Tally { calls: 0, .. } => Some("no call was compared"),
            Tally { replaced: 0, .. } => Some("Egraft replaced no function"),
            _ => None,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cases: {} accepted, {} skipped, {} failed; {} of {} functions replaced; \
             {} calls compared, {} trapped ({} in a load folded on one side only), \
             {} overflowed the stack",
            self.cases(),
            self.accepted,
            self.skipped.values().sum::<u64>(),
            self.failed,
            self.replaced,
            self.functions,
            self.calls,
            self.traps,
            self.folded,
            self.overflows,
        )?;
        for (skip, count) in &self.skipped {
            write!(f, "; skipped {count}: {skip}")?;
        }
        Ok(())
    }
}
