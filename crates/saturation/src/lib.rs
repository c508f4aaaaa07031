//! Workloads for equality saturation, and the engines that can run them: Egraft's, egg's and egglog's; and how their speeds are drawn.
//!
//! A workload is terms and rules of Egraft's vocabulary. Invariant: every engine is given the same terms and the same
//! rules; where one has no commutative ops of its own, it is given the rules that make them so.

mod egg;
mod egglog;
mod judge;
mod outcome;
mod own;
mod plain;
mod plot;
mod workload;

pub use egg::{EggGraph, run_egg};
pub use egglog::run_egglog;
pub use judge::judge;
pub use outcome::{Bounds, End, Outcome, PeerError};
pub use own::{add_terms, flattened, load, run_flat, run_own};
pub use plain::{PlainRule, Symbols, Term, is_plain, plain_rules};
pub use plot::{Point, plot};
pub use workload::{Workload, plain_subset};
