//! What became of a module's functions, in a form for people and for programs.

use crate::shape::Shape;
use egraft_seam::{Outcome, SeamReport};
use serde::Serialize;
use std::fmt;

/// What became of one module.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Functions with a wasm body by index, then Wasmtime's trampolines where they were looked at.
    pub functions: Vec<FunctionReport>,
    /// Why the whole module is stock; `functions` is then empty.
    pub stock_module: Option<String>,
    /// Why new code could not be put into the cache directory. It is used all the same.
    pub cache_error: Option<String>,
    /// Why the matcher asked for did not match.
    pub matcher_note: Option<String>,
    /// What the cache directory did for this module, if there is one.
    pub cache: Option<Cache>,
    /// Where the time went.
    pub times: Times,
}

/// Milliseconds. The three overlap where only some functions are taken from Wasmtime: then
/// `wasmtime_ms` is nearly all there is.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[non_exhaustive]
pub struct Times {
    /// Taking the functions from Wasmtime.
    pub capture_ms: f64,
    /// Rewriting and compiling them, all functions together.
    pub optimize_ms: f64,
    /// Wasmtime's own run, with the code handed back, and waiting for it.
    pub wasmtime_ms: f64,
}

/// Look-ups in the cache directory. Modules compiled at the same time may count together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Cache {
    /// Functions found.
    pub hits: u64,
    /// Functions not found.
    pub misses: u64,
    /// Functions found in an entry that is damaged, foreign or of another version. They were
    /// compiled anew.
    pub rejected: u64,
}

/// What became of one function.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct FunctionReport {
    /// Its name in the name section.
    pub name: Option<String>,
    /// Its index in the wasm module's function index space; `None` for trampolines.
    pub index: Option<u32>,
    /// Wasmtime's symbol, such as `wasm[0]::function[3]`.
    pub symbol: String,
    /// Whether the module uses Egraft's code for it.
    pub taken: bool,
    /// Why it kept stock code; `None` if taken.
    pub reason: Option<String>,
    /// Whether code or decision came from the cache directory; shape, cost and rules are then not
    /// known.
    pub from_cache: bool,
    /// Counts of its parts before anything was changed.
    pub shape: Option<Shape>,
    /// CLIF instructions after rewriting; `None` if left as it was.
    pub ops_after: Option<usize>,
    /// Bytes of stock machine code; of taken functions only with
    /// [`Options::measure_stock`](crate::Options::measure_stock).
    pub stock_code_bytes: Option<usize>,
    /// Bytes of Egraft's machine code; `None` if stock.
    pub code_bytes: Option<usize>,
    /// Predicted cost before and after.
    pub cost: Option<Cost>,
    /// Nodes of the e-graph.
    pub enodes: usize,
    /// Classes of the e-graph.
    pub eclasses: usize,
    /// Rules that fired.
    pub rules: Vec<RuleReport>,
    /// The limit that stopped rewriting, if one did.
    pub stop: Option<String>,
    /// What Egraft's own backend does not cover, where it was asked for.
    pub uncovered: Option<String>,
    /// Loops that Egraft's own backend gave a second version, in which no access can trap.
    pub fast_loops: usize,
    /// Why other loops with vector code have none, one line each.
    pub plain_loops: Vec<String>,
    /// Microseconds spent on it.
    pub micros: u64,
}

/// Predicted cost of one function in 1/16 cycle, each instruction weighted by its loop depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Cost {
    pub before: u64,
    pub after: u64,
}

impl Cost {
    /// `after / before`, 1 if there was none before.
    pub fn ratio(&self) -> f64 {
        if self.before == 0 { 1.0 } else { self.after as f64 / self.before as f64 }
    }
}

/// A rule that fired in a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RuleReport {
    /// Its name in `isle-rules/`.
    pub name: String,
    /// Places where its left side was found.
    pub matched: usize,
    /// Places where that told the e-graph something new.
    pub joined: usize,
}

impl Report {
    /// What a user should know though nothing failed, a line each.
    pub fn warnings(&self) -> Vec<String> {
        let stock = self.stock_module.as_ref();
        let cache = self.cache_error.as_ref();
        let rejected = self.cache.map_or(0, |cache| cache.rejected);
        let mut warnings = Vec::new();
        warnings.extend(stock.map(|reason| format!("the whole module is stock: {reason}")));
        warnings.extend(cache.map(|error| format!("nothing was cached: {error}")));
        warnings.extend(self.matcher_note.clone());
        if rejected > 0 {
            warnings.push(format!(
                "cache directory: {rejected} damaged or foreign entries were not used; their \
                 functions were compiled anew"
            ));
        }
        warnings
    }

    /// How many functions use Egraft's code.
    pub fn taken(&self) -> usize {
        self.functions.iter().filter(|function| function.taken).count()
    }

    /// The functions with a wasm body.
    pub fn wasm_functions(&self) -> impl Iterator<Item = &FunctionReport> {
        self.functions.iter().filter(|function| function.index.is_some())
    }

    /// The function called `name`: a wasm name, an index, or a symbol.
    pub fn function(&self, name: &str) -> Option<&FunctionReport> {
        let by_index = name.parse::<u32>().ok();
        self.functions.iter().find(|function| {
            function.name.as_deref() == Some(name)
                || function.symbol == name
                || (by_index.is_some() && function.index == by_index)
        })
    }

    /// Joins what the seam saw with what the optimiser noted.
    pub(crate) fn new(seam: SeamReport, mut note: impl FnMut(&NoteKey) -> Option<Note>) -> Report {
        let functions = seam
            .functions
            .into_iter()
            .map(|function| {
                let note = note(&NoteKey::of(&function)).unwrap_or_default();
                let taken = function.outcome == Outcome::Replaced;
                FunctionReport {
                    taken,
                    reason: function.stock_reason().map(ToString::to_string),
                    name: function.name,
                    index: function.index,
                    symbol: function.symbol,
                    from_cache: function.from_store,
                    shape: note.shape,
                    ops_after: note.ops_after.filter(|_| taken),
                    stock_code_bytes: match taken {
                        true => note.stock_code_bytes,
                        false => Some(function.code_bytes).filter(|bytes| *bytes > 0),
                    },
                    code_bytes: taken.then_some(function.code_bytes),
                    cost: note.cost,
                    enodes: note.enodes,
                    eclasses: note.eclasses,
                    rules: note.rules,
                    stop: note.stop,
                    uncovered: note.uncovered,
                    fast_loops: note.fast_loops,
                    plain_loops: note.plain_loops,
                    micros: function.micros,
                }
            })
            .collect();
        let millis = |micros: u64| micros as f64 / 1000.0;
        Report {
            functions,
            stock_module: seam.stock_module.map(|reason| reason.to_string()),
            cache_error: seam.store_error,
            matcher_note: None,
            cache: None,
            times: Times {
                capture_ms: millis(seam.capture_micros),
                optimize_ms: millis(seam.compile_micros),
                wasmtime_ms: millis(seam.handback_micros),
            },
        }
    }
}

impl FunctionReport {
    /// Its name, or its symbol if it has none.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.symbol)
    }
}

impl fmt::Display for FunctionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.label())?;
        match (&self.reason, self.cost) {
            (Some(reason), _) => write!(f, "stock, {reason}"),
            (None, Some(cost)) => write!(f, "taken, cost {} -> {}", cost.before, cost.after),
            (None, None) => write!(f, "taken"),
        }
    }
}

/// What the optimiser learned about one function.
#[derive(Debug, Clone, Default)]
pub(crate) struct Note {
    pub(crate) shape: Option<Shape>,
    pub(crate) ops_after: Option<usize>,
    pub(crate) stock_code_bytes: Option<usize>,
    pub(crate) cost: Option<Cost>,
    pub(crate) enodes: usize,
    pub(crate) eclasses: usize,
    pub(crate) rules: Vec<RuleReport>,
    pub(crate) stop: Option<String>,
    pub(crate) uncovered: Option<String>,
    pub(crate) fast_loops: usize,
    pub(crate) plain_loops: Vec<String>,
}

/// Finds a function's note. Modules compiled at the same time share the notes, and two of them might
/// have functions alike in all of this; their code is never mixed up, only their statistics.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct NoteKey {
    pub(crate) symbol: String,
    pub(crate) name: Option<String>,
    pub(crate) clif_bytes: usize,
}

impl NoteKey {
    fn of(function: &egraft_seam::FunctionReport) -> NoteKey {
        NoteKey {
            symbol: function.symbol.clone(),
            name: function.name.clone(),
            clif_bytes: function.clif_bytes,
        }
    }
}
