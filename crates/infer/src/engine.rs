//! Who may evaluate terms and find matches in this crate's stead, such as a GPU.
//!
//! Invariant: what is not answered is computed here, so that the rules found do not depend on the engine.

use egraft_egraph::{EGraph, Root};
use egraft_ir::{Fingerprint, Node, Term};
use egraft_rules::{Interpreter, Match};

/// Another engine.
pub trait Engine: std::fmt::Debug + Send + Sync {
    /// The fingerprint of each term over the values that [`egraft_ir::eval()`] gives for all samples; `Some(None)` where it
    /// gives none on some sample, `None` where the engine cannot say. `values` are those of the operands, term by term, as
    /// many as there are samples.
    fn fingerprints(
        &self,
        ops: &[Node],
        values: &[u128],
        samples: usize,
        terms: &[Term],
    ) -> Vec<Option<Option<Fingerprint>>>;

    /// The matches of rules at the roots of a canonical graph, in the order in which [`Interpreter::match_node`] finds them
    /// root by root; `None` where the engine cannot say. Rules of one `edition` are the same.
    fn matches(
        &self,
        edition: u64,
        rules: &Interpreter<'_>,
        graph: &EGraph,
        roots: &[Root],
    ) -> Option<Vec<Match>>;
}
