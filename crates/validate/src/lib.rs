//! Translation validation: proves of one compiled function that it does what it did before.
//!
//! A proof of a rule says that the rule may be applied anywhere. Here nothing is asked of rules:
//! what came out is compared with what went in, effect by effect, so that mistakes of matching,
//! extraction and elaboration show too.
//!
//! Invariant: what is reported as proven follows from the semantics of ops and the assumptions that
//! [`Checked::assumptions`] names; what is not decided is reported as unknown.

mod clif;
mod machine;
mod report;
mod rewriting;
mod selection;
mod solve;
mod values;

pub use report::{Checked, Failed, Unproven};
pub use solve::Counterexample;

use cranelift_codegen::ir::Function;
use egraft_aarch64::observe::Covering;
use egraft_verify::smt::SolverError;
use egraft_x64::observe::Selection;
use solve::Prover;
use std::time::Duration;

/// How long to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Milliseconds for one question to the solver.
    pub query_ms: u32,
    /// Milliseconds for one operand of an effect, with all questions about it.
    pub operand_ms: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options { query_ms: 500, operand_ms: 2_000 }
    }
}

/// Checks functions, with one solver for all.
pub struct Validator {
    prover: Prover,
}

impl Validator {
    /// A validator; the solver is started when it is first needed.
    pub fn new(options: Options) -> Validator {
        let effect = Duration::from_millis(options.operand_ms.into());
        Validator { prover: Prover::new(options.query_ms, effect) }
    }

    /// Checks that `after`, which rewriting made of `before`, does the same.
    ///
    /// # Errors
    /// [`SolverError`] if the solver does not start.
    pub fn rewriting(
        &mut self,
        before: &Function,
        after: &Function,
    ) -> Result<Checked, SolverError> {
        self.counted(|prover| rewriting::check(before, after, [], prover))
    }

    /// Checks that the machine ops of `covering`, which lowering rules chose, do what its CLIF does.
    ///
    /// # Errors
    /// [`SolverError`] if the solver does not start.
    pub fn covering(&mut self, covering: &Covering) -> Result<Checked, SolverError> {
        let Covering { before, after, stand_ins, .. } = covering;
        let stand_ins = stand_ins.iter().copied();
        self.counted(|prover| rewriting::check(before, after, stand_ins, prover))
    }

    /// Checks that the machine code of `selection` does what its CLIF does.
    ///
    /// # Errors
    /// [`SolverError`] if the solver does not start.
    pub fn selection(&mut self, selection: &Selection) -> Result<Checked, SolverError> {
        self.counted(|prover| selection::check(selection, prover))
    }

    /// One check of a function of its own, with the questions that it asked.
    fn counted(
        &mut self,
        check: impl FnOnce(&mut Prover) -> Result<Checked, SolverError>,
    ) -> Result<Checked, SolverError> {
        let queries = self.prover.queries;
        self.prover.begin();
        let mut checked = check(&mut self.prover)?;
        checked.queries = self.prover.queries - queries;
        Ok(checked)
    }
}
