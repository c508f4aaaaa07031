//! The compiler behind the seam: asks `egraft-lower` about each function and notes the answer.

use crate::options::{Backend, Effort, Options, Stage};
use crate::report::{Cache, Cost, Note, NoteKey, Report, RuleReport};
use crate::shape::Shape;
use crate::{Core, Matcher};
use cranelift_codegen::Context;
use cranelift_codegen::ir::Function;
use cranelift_codegen::isa::TargetIsa;
use egraft_aarch64::observe::Covering;
use egraft_egraph::{EGraph, RULES, Rules, StopReason};
use egraft_ir::ClassId;
use egraft_listing::Listing;
use egraft_lower::{Format, LowerOptions, Outcome, Rewrite, Stats};
use egraft_seam::{
    BodySummary, CapturedFunction, CodeStore, Decision, Fingerprint, FunctionCompiler, SeamReport,
    StockReason, StoreStats,
};
use egraft_x64::Declined;
use egraft_x64::observe::Selection;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What Egraft made of one function.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Optimized {
    /// A function with the same signature that is predicted to be faster.
    Improved(Box<Function>),
    /// Left as it was, and why.
    Unchanged(String),
}

/// Rewrites one function for `isa`, with the rules that Wasmtime's modules get.
///
/// The result is CLIF for any Cranelift frontend. It is the caller's to verify and compile.
///
/// ```
/// use cranelift_codegen::{ir, isa, settings};
///
/// let isa = isa::lookup_by_name("x86_64-unknown-linux-gnu")?
///     .finish(settings::Flags::new(settings::builder()))?;
/// let mut func = ir::Function::new();
/// # use cranelift_codegen::cursor::{Cursor, FuncCursor};
/// # use cranelift_codegen::ir::InstBuilder;
/// # let block = func.dfg.make_block();
/// # let mut cursor = FuncCursor::new(&mut func);
/// # cursor.insert_block(block);
/// # cursor.ins().return_(&[]);
/// // … build the function …
/// match egraft::optimize_function(&func, &*isa, egraft::Effort::default()) {
///     egraft::Optimized::Improved(better) => println!("{better}"),
///     egraft::Optimized::Unchanged(reason) => println!("stock: {reason}"),
///     _ => unreachable!("a later version of egraft"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn optimize_function(func: &Function, isa: &dyn TargetIsa, effort: Effort) -> Optimized {
    run(func, isa, &lower_options(effort)).0
}

/// As [`optimize_function`], with the options that modules are compiled with and the rules behind each
/// instruction that was replaced.
pub fn explain_function(
    func: &Function,
    isa: &dyn TargetIsa,
    options: &Options,
) -> (Optimized, Vec<Rewrite>) {
    let options = LowerOptions { explain: true, ..Optimizer::new(options).lower_options() };
    let (optimized, _, rewrites) = run(func, isa, &options);
    (optimized, rewrites)
}

fn run(
    func: &Function,
    isa: &dyn TargetIsa,
    options: &LowerOptions,
) -> (Optimized, Note, Vec<Rewrite>) {
    match egraft_lower::optimize(func, isa, options) {
        Outcome::Improved(improved) => {
            let mut note = note(&improved.stats);
            note.ops_after = Some(improved.stats.insts_after);
            (Optimized::Improved(Box::new(improved.func)), note, improved.rewrites)
        }
        Outcome::Unchanged(unchanged) => {
            let note = note(&unchanged.stats);
            (Optimized::Unchanged(unchanged.reason.to_string()), note, Vec::new())
        }
    }
}

fn lower_options(effort: Effort) -> LowerOptions {
    LowerOptions { effort: effort.level(), ..LowerOptions::default() }
}

fn note(stats: &Stats) -> Note {
    let stop = match stats.stop {
        None | Some(StopReason::Saturated) => {
            stats.extraction_cut.then(|| "extraction, before it had tried all choices".to_owned())
        }
        Some(StopReason::NodeLimit { limit, reached }) => {
            Some(format!("{reached} e-nodes, the limit is {limit}"))
        }
        Some(StopReason::IterationLimit { limit }) => Some(format!("{limit} iterations")),
    };
    Note {
        cost: (stats.enodes > 0)
            .then_some(Cost { before: stats.cost_before, after: stats.cost_after }),
        enodes: stats.enodes,
        eclasses: stats.eclasses,
        rules: stats
            .rules
            .iter()
            .map(|rule| RuleReport {
                name: rule.rule.to_owned(),
                matched: rule.matched,
                joined: rule.joined,
            })
            .collect(),
        stop,
        ..Note::default()
    }
}

/// The e-graph of one function after rewriting, and the classes that its effects read.
pub fn egraph(func: &Function, options: &Options) -> (EGraph, Vec<ClassId>) {
    egraft_lower::egraph(func, &Optimizer::new(options).lower_options())
}

/// The e-graph of one function as text, after rewriting with the rules that modules get.
pub fn dump_egraph(func: &Function, isa: &dyn TargetIsa, effort: Effort, format: Format) -> String {
    egraft_lower::dump_egraph(func, isa, &lower_options(effort), format)
}

/// [`FunctionCompiler`] for a set of options.
pub(crate) struct Optimizer {
    effort: Effort,
    backend: Backend,
    stage: Stage,
    core: Option<Core>,
    rules: Rules,
    matcher: Matcher,
    measure_stock: bool,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    of: HashMap<NoteKey, Note>,
    sessions: usize,
}

impl Optimizer {
    pub(crate) fn new(options: &Options) -> Optimizer {
        Optimizer {
            effort: options.effort,
            backend: match options.stage {
                Stage::Rules => Backend::Cranelift,
                _ => options.backend,
            },
            stage: options.stage,
            core: options.core,
            rules: options.rules,
            matcher: options.matcher,
            measure_stock: options.measure_stock,
            notes: Mutex::default(),
        }
    }

    /// Notes are kept while a session is open; modules may be compiled at the same time.
    pub(crate) fn session<'a>(&'a self, store: Option<&'a CodeStore>) -> Session<'a> {
        self.notes().sessions += 1;
        Session { optimizer: self, store: store.map(|store| (store, store.stats())) }
    }

    fn lower_options(&self) -> LowerOptions {
        LowerOptions {
            rules: self.rules,
            saturator: self.matcher.saturator(),
            costs: self.core.map(Core::costs).unwrap_or_default(),
            ..lower_options(self.effort)
        }
    }

    fn aarch64_options(&self) -> egraft_aarch64::Options {
        egraft_aarch64::Options { core: self.core, ..self.stage.aarch64_options() }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One module being compiled.
pub(crate) struct Session<'a> {
    optimizer: &'a Optimizer,
    /// The store and what it had done before.
    store: Option<(&'a CodeStore, StoreStats)>,
}

impl Session<'_> {
    /// Joins the seam's report with the notes taken.
    pub(crate) fn report(self, seam: SeamReport) -> Report {
        let notes = self.optimizer.notes();
        let mut report = Report::new(seam, |key| notes.of.get(key).cloned());
        drop(notes);
        report.cache = self.store.map(|(store, before)| {
            let now = store.stats();
            Cache {
                hits: now.hits.saturating_sub(before.hits),
                misses: now.misses.saturating_sub(before.misses),
                rejected: now.rejected.saturating_sub(before.rejected),
            }
        });
        report.matcher_note = self.optimizer.matcher.note(self.optimizer.effort);
        tracing::debug!(taken = report.taken(), functions = report.functions.len(), "compiled");
        report
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let mut notes = self.optimizer.notes();
        notes.sessions -= 1;
        if notes.sessions == 0 {
            notes.of.clear();
        }
    }
}

impl FunctionCompiler for Optimizer {
    fn fingerprint(&self) -> Fingerprint {
        let version = env!("CARGO_PKG_VERSION").as_bytes();
        let core = self.core.map_or(u8::MAX, |core| core as u8);
        let effort = [self.effort.level(), self.backend as u8, self.stage as u8, core];
        let rules = RULES.iter().flat_map(|rule| [rule.name, rule.lhs, rule.rhs]);
        let lowering = egraft_aarch64::rule_texts().map(|text| -> &str { text });
        Fingerprint::of(
            [b"egraft".as_slice(), version, &effort, &self.rules.digest().to_le_bytes()]
                .into_iter()
                .chain(rules.chain(lowering).map(str::as_bytes)),
        )
    }

    /// What `egraft-lower` would leave alone is not captured, except for inspection.
    fn wants(&self, body: &BodySummary) -> Result<(), StockReason> {
        match refuses(self.effort, body.loops, body.vector_loops) {
            Some(reason) if !self.measure_stock => Err(StockReason::Declined(reason.to_owned())),
            _ => Ok(()),
        }
    }

    /// Egraft's own backend takes nearly all of them; otherwise only what rewriting gains by changes.
    fn mostly_declines(&self, isa: &dyn TargetIsa) -> bool {
        match self.backend {
            Backend::Cranelift => true,
            Backend::X64 => !egraft_x64::supports(isa),
            Backend::Aarch64 => !egraft_aarch64::supports(isa),
            Backend::Auto => !egraft_x64::supports(isa) && !egraft_aarch64::supports(isa),
        }
    }

    fn compile(&self, function: &CapturedFunction, isa: &dyn TargetIsa) -> Decision {
        let (optimized, mut note, _) = run(&function.func, isa, &self.lower_options());
        note.shape = Some(Shape::of(&function.func));
        let decision = self.decide(&function.func, optimized, isa, &mut note);
        let replaced = !matches!(decision, Decision::Stock(_));
        if self.measure_stock && replaced {
            note.stock_code_bytes = code_bytes(&function.func, isa);
        }
        let key = NoteKey {
            symbol: function.symbol.clone(),
            name: function.name.clone(),
            clif_bytes: function.clif.len(),
        };
        self.notes().of.insert(key, note);
        decision
    }
}

impl Optimizer {
    /// Chooses who compiles what came out of rewriting.
    fn decide(
        &self,
        func: &Function,
        optimized: Optimized,
        isa: &dyn TargetIsa,
        note: &mut Note,
    ) -> Decision {
        let (better, reason) = match optimized {
            Optimized::Improved(better) => (Some(better), None),
            Optimized::Unchanged(reason) => (None, Some(reason)),
        };
        let shape = note.shape.unwrap_or_default();
        let refused = refuses(self.effort, shape.loops, shape.vector_loops).is_some();
        if let Some(own) = own(self.backend, isa, shape).filter(|_| !refused) {
            match self.compile_by(own, func, better.as_deref(), isa) {
                Ok((blob, versions, declined)) => {
                    note.fast_loops = versions;
                    note.plain_loops = plain_loops(&declined);
                    return Decision::Code(blob);
                }
                Err(unsupported) => note.uncovered = Some(unsupported),
            }
        }
        match (better, reason) {
            (Some(better), _) => Decision::Replace(better),
            (None, reason) => Decision::Stock(StockReason::Declined(reason.unwrap_or_default())),
        }
    }

    /// The code that a backend makes of a function, how many loops have fast versions, and why others have none; or what
    /// it does not cover.
    fn compile_by(
        &self,
        own: Own,
        func: &Function,
        better: Option<&Function>,
        isa: &dyn TargetIsa,
    ) -> Result<(Vec<u8>, usize, Vec<Declined>), String> {
        match own {
            Own::X64 => {
                let func = better.unwrap_or(func);
                let compiled = egraft_x64::compile(func, isa, &self.stage.x64_options());
                compiled
                    .map(|made| (made.blob, made.versions, made.declined))
                    .map_err(|unsupported| unsupported.to_string())
            }
            Own::Aarch64 => {
                let forms = forms(func, better);
                let compiled = egraft_aarch64::compile(&forms, isa, &self.aarch64_options());
                compiled
                    .map(|made| (made.blob, made.versions, made.declined))
                    .map_err(|unsupported| unsupported.to_string())
            }
        }
    }
}

/// Why a function with so many loops is left alone at this effort, if it is.
fn refuses(effort: Effort, loops: usize, vector_loops: usize) -> Option<&'static str> {
    match (effort, loops, vector_loops) {
        (Effort::Stock, _, _) => Some("effort is 0"),
        (_, 0, _) => Some("no loop"),
        (Effort::Fast, _, 0) => Some("no vector code in a loop (effort 2 takes it)"),
        _ => None,
    }
}

/// Egraft's own backends.
#[derive(Clone, Copy)]
enum Own {
    X64,
    Aarch64,
}

/// Which of Egraft's own backends is to compile a function of this shape, if one is.
fn own(backend: Backend, isa: &dyn TargetIsa, shape: Shape) -> Option<Own> {
    match backend {
        Backend::Cranelift => None,
        Backend::X64 => Some(Own::X64),
        Backend::Aarch64 => Some(Own::Aarch64),
        Backend::Auto if shape.vector_loops == 0 => None,
        Backend::Auto if egraft_x64::supports(isa) => Some(Own::X64),
        Backend::Auto => egraft_aarch64::supports(isa).then_some(Own::Aarch64),
    }
}

/// Why loops with vector code have no second version.
fn plain_loops(declined: &[Declined]) -> Vec<String> {
    let vectors = |reason: &&Declined| **reason != Declined::NoVectors;
    declined.iter().filter(vectors).map(ToString::to_string).collect()
}

/// Code that Egraft's own backend makes of a function.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Listed {
    /// It, with the tile or machine op behind each instruction.
    pub listing: Listing,
    /// Whether it was made of the function as rewritten.
    pub rewritten: bool,
}

/// What Egraft's own backend makes of `func`, which rewriting made `better` of, if anything; `None` where
/// another compiles such functions.
pub fn listing(
    func: &Function,
    better: Option<&Function>,
    isa: &dyn TargetIsa,
    options: &Options,
) -> Option<Listed> {
    let optimizer = Optimizer::new(options);
    match own(optimizer.backend, isa, Shape::of(func))? {
        Own::X64 => {
            let options = egraft_x64::Options { listing: true, ..optimizer.stage.x64_options() };
            let compiled = egraft_x64::compile(better.unwrap_or(func), isa, &options).ok()?;
            Some(Listed { listing: compiled.listing?, rewritten: better.is_some() })
        }
        Own::Aarch64 => {
            let options = egraft_aarch64::Options { listing: true, ..optimizer.aarch64_options() };
            let compiled = egraft_aarch64::compile(&forms(func, better), isa, &options).ok()?;
            let rewritten = better.is_some() && compiled.form == 0;
            Some(Listed { listing: compiled.listing?, rewritten })
        }
    }
}

/// What AArch64's backend may choose from: the function as rewritten, then as it was.
fn forms<'a>(func: &'a Function, better: Option<&'a Function>) -> Vec<&'a Function> {
    better.into_iter().chain([func]).collect()
}

/// What Egraft's own backend chose for a function, for validation.
#[doc(hidden)]
#[derive(Debug)]
#[non_exhaustive]
pub enum Observed {
    /// Instructions of x86-64.
    Selection(Box<Selection>),
    /// Machine ops of AArch64.
    Covering(Box<Covering>),
}

/// What Egraft's own backend chooses for `func`, which rewriting made `better` of, if anything; `None` where another
/// compiles such functions.
#[doc(hidden)]
pub fn observe(
    func: &Function,
    better: Option<&Function>,
    isa: &dyn TargetIsa,
    options: &Options,
) -> Option<Observed> {
    let optimizer = Optimizer::new(options);
    let shape = Shape::of(func);
    if refuses(optimizer.effort, shape.loops, shape.vector_loops).is_some() {
        return None;
    }
    Some(match own(optimizer.backend, isa, shape)? {
        Own::X64 => {
            let options = optimizer.stage.x64_options();
            let selection = egraft_x64::observe::select(better.unwrap_or(func), isa, &options);
            Observed::Selection(Box::new(selection.ok()?))
        }
        Own::Aarch64 => {
            let options = optimizer.aarch64_options();
            let covering = egraft_aarch64::observe::cover(&forms(func, better), isa, &options);
            Observed::Covering(Box::new(covering.ok()?))
        }
    })
}

/// What stock Cranelift makes of `func`, with prices for `core`; `None` for targets other than x86-64 and
/// AArch64, and where it does not compile.
pub fn stock_listing(func: &Function, isa: &dyn TargetIsa, core: Option<Core>) -> Option<Listing> {
    let mut context = Context::for_function(func.clone());
    let compiled = context.compile(isa, &mut Default::default()).ok()?;
    let price = |line: &str| match egraft_aarch64::supports(isa) {
        true => egraft_aarch64::price(line, core),
        false => egraft_lower::price(isa.triple().architecture, line),
    };
    Listing::of(compiled, &func.params, isa, price)
}

/// Bytes of machine code that stock Cranelift makes of `func`.
fn code_bytes(func: &Function, isa: &dyn TargetIsa) -> Option<usize> {
    let mut context = Context::for_function(func.clone());
    let compiled = context.compile(isa, &mut Default::default()).ok()?;
    Some(compiled.buffer.data().len())
}
