//! Equality saturation of big graphs, breadth first and without caps: the e-graph as arrays of words.
//!
//! Where [`crate::saturate`] serves one function and bounds what each rule may look at, this serves all functions of
//! many modules in one graph, and rule inference. In each iteration all matches in the graph as it stands are found,
//! then applied, then congruence, folding and facts are closed; a match that was found before is not found again. So
//! the classes after so many iterations depend on the rules and the terms only, not on an order: other engines
//! (egg, a GPU) end at the same classes, and [`BulkGraph::shape`] tells whether they did.
//!
//! Invariant: between calls every live node is canonical and in the hash table once; facts only grow.

mod asked;
mod chains;
mod exchange;
mod extract;
mod facts;
mod index;
mod mirror;
mod numbers;
pub mod program;
mod run;
mod search;
mod shape;
mod slots;
mod steps;
mod table;
mod threads;

pub use asked::Asked;
pub use chains::{CHAIN_WIDTH, Flattened, saturate_flattened, without_rearranging};
pub use exchange::{COPY, Exported, UNSEEN};
pub use extract::{MOST_COSTLY, Prices};
pub use mirror::{Fold, Mirror};
pub use run::{BulkEnd, BulkLimits, BulkRun};
pub use shape::Shape;
pub use table::BulkGraph;
pub use threads::pool;

/// What a graph keeps of its classes besides nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Analysis {
    /// Known bits and sign copies, which conditions of rules ask for; nodes with one possible value are folded.
    #[default]
    Facts,
    /// Nodes whose operands are all constants are folded, and nothing else is known.
    Constants,
    /// Nothing: what a class is a constant by has a constant node, nothing is folded, and constants are rewritten too.
    None,
}

/// Stands for no class, no node, no number.
const NONE: u32 = u32::MAX;
