//! AArch64: NEON instructions that stock Cranelift has no lowering for, chosen by lowering rules.
//!
//! A function is covered with the rules of `isle-rules/lower/aarch64` (`cover`), each use of which becomes a stand-in
//! (`standin`): an instruction that stock lowers to one of the same registers. Stock Cranelift compiles the function;
//! then the words of stand-ins are patched (`encode`) and the code is written anew (`rebuild`). What cannot be done
//! is refused with [`Unsupported`]; the function is then stock's.
//!
//! Invariant: the function computes the same bits as stock's code, and traps in the same cases at the same places.

mod constants;
mod cores;
mod cover;
pub mod encode;
mod entries;
mod error;
mod lanes;
mod names;
#[doc(hidden)]
pub mod observe;
mod pairs;
mod rebuild;
mod rules;
mod schedule;
mod shuffles;
mod standin;
mod weight;
mod words;

pub use cores::{Core, cost_key};
pub use egraft_loops::{Declined, Gains, Version};
pub use error::Unsupported;
pub use rules::{LOWERING, rule_texts};

use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::incremental_cache::serialize_compiled;
use cranelift_codegen::ir::function::FunctionParameters;
use cranelift_codegen::ir::{Function, SourceLoc};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{Context, VCodeConstants};
use egraft_listing::{Listing, MarkedVersion, Marks};
use egraft_loops::{Versioned, Which};
use standin::{Seen, StandIns};
use std::collections::BTreeMap;
use target_lexicon::{Aarch64Architecture, Architecture};
use weight::Prices;
use words::Plain;

/// How to compile.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether Cranelift's own mid-end runs first. Off for CLIF that went through it.
    pub optimize: bool,
    /// Whether lowering rules are used.
    pub cover: bool,
    /// The core that code is tuned for; otherwise it is for what all have in common.
    pub core: Option<Core>,
    /// Whether instructions of fast loops get a better order.
    pub schedule: bool,
    /// Whether accesses of adjacent memory become `ldp` and `stp`.
    pub pair: bool,
    /// Which loops get a second version, in which no access traps.
    pub version: Version,
    /// Whether loops of few turns are unrolled before that.
    pub unroll: bool,
    /// What second versions gain.
    pub gains: Gains,
    /// Whether to list the code with the machine op behind each instruction.
    pub listing: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            optimize: true,
            cover: true,
            core: None,
            schedule: true,
            pair: true,
            version: Version::Paying,
            unroll: true,
            gains: Gains { vectors: WIDTH, pointers: true, ..Gains::default() },
            listing: false,
        }
    }
}

/// Vectors that a turn of a fast loop should have side by side, to keep the pipes busy.
const WIDTH: u32 = 2;

/// A compiled function.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// What Wasmtime's incremental cache takes, as from [`serialize_compiled`].
    pub blob: Vec<u8>,
    /// Machine code, constants included; calls are not linked.
    pub code: Vec<u8>,
    /// How often each instruction beyond stock's stands in it, by its name in rules.
    pub chosen: BTreeMap<&'static str, usize>,
    /// Which of the forms it was compiled from, by position.
    pub form: usize,
    /// Instructions with their machine ops, if [`Options::listing`] asked for it.
    pub listing: Option<Listing>,
    /// Loops that have a second version.
    pub versions: usize,
    /// Why other loops of one block have none.
    pub declined: Vec<Declined>,
}

/// Whether this backend compiles for `isa`.
pub fn supports(isa: &dyn TargetIsa) -> bool {
    isa.triple().architecture == Architecture::Aarch64(Aarch64Architecture::Aarch64)
}

/// Compiles a function for `isa`, given in `forms` that compute the same: the one that is expected to cost least.
///
/// References to other functions keep their names.
///
/// # Errors
/// [`Unsupported`] names what is not covered; the function is then stock's.
pub fn compile(
    forms: &[&Function],
    isa: &dyn TargetIsa,
    options: &Options,
) -> Result<Compiled, Unsupported> {
    let (form, best) = cheapest(forms, isa, options)?;
    Ok(Compiled { form, ..best.compile(isa, options)? })
}

/// The form that is expected to cost least, by position, and covered.
fn cheapest(
    forms: &[&Function],
    isa: &dyn TargetIsa,
    options: &Options,
) -> Result<(usize, Covered), Unsupported> {
    if !supports(isa) {
        return Err(Unsupported::new("target", isa.triple()));
    }
    let covered = forms.iter().map(|form| {
        let prepared = Prepared::new(form, isa, options)?;
        Ok(prepared.covered(isa, options).scheduled(options))
    });
    let covered = covered.collect::<Result<Vec<Covered>, Unsupported>>()?;
    let best = match covered.len() {
        0 | 1 => covered.into_iter().enumerate().next(),
        _ => covered.into_iter().enumerate().min_by_key(|(_, one)| one.weight()),
    };
    best.ok_or_else(|| Unsupported::new("function", "it has no form"))
}

/// A function as it is covered.
struct Prepared {
    func: Function,
    versioned: Versioned,
}

/// A function with stand-ins.
struct Covered {
    func: Function,
    versioned: Versioned,
    stand_ins: StandIns,
    prices: Prices,
}

impl Prepared {
    fn new(
        func: &Function,
        isa: &dyn TargetIsa,
        options: &Options,
    ) -> Result<Prepared, Unsupported> {
        if standin::is_too_far(func) {
            return Err(Unsupported::new("source locations", "beyond a gigabyte"));
        }
        let func = func.clone();
        let mut context =
            Context::for_function(if options.optimize { optimized(func, isa)? } else { func });
        if options.optimize && options.unroll {
            egraft_loops::unroll(&mut context, isa)
                .map_err(|error| Unsupported::new("optimisation", error))?;
        }
        if options.optimize {
            egraft_lower::interleave_columns(&mut context.func);
            if egraft_lower::add_before_extracting(&mut context.func) {
                context.func = optimized(context.func, isa)?;
            }
        }
        let (mut func, versioned) = versions(&context.func, isa, options)?;
        if !versioned.loops.is_empty() {
            func = optimized(func, isa)?;
        }
        if options.optimize {
            func.dfg.resolve_all_aliases();
            lanes::join(&mut func);
        }
        Ok(Prepared { func, versioned })
    }

    /// Puts stand-ins where lowering rules apply.
    fn covered(self, isa: &dyn TargetIsa, options: &Options) -> Covered {
        let Prepared { mut func, versioned } = self;
        let (stand_ins, prices) = match options.cover {
            true => cover::cover(&mut func, isa, options.core),
            false => Default::default(),
        };
        func.dfg.resolve_all_aliases();
        Covered { func, versioned, stand_ins, prices }
    }
}

impl Covered {
    /// With instructions of fast loops in a better order.
    fn scheduled(mut self, options: &Options) -> Covered {
        if options.schedule {
            for pair in &self.versioned.loops {
                names::rename_behind(&mut self.func, pair.fast);
                for block in [Some(pair.fast), pair.rest].into_iter().flatten() {
                    let accesses = &self.versioned.accesses;
                    schedule::schedule(&mut self.func, block, accesses, &self.stand_ins);
                }
            }
        }
        self
    }

    /// What it costs, to be compared with other forms.
    fn weight(&self) -> u64 {
        weight::weight(&self.func, &self.versioned, &self.prices)
    }

    /// Has stock Cranelift compile it, and patches what comes of it.
    fn compile(self, isa: &dyn TargetIsa, options: &Options) -> Result<Compiled, Unsupported> {
        let Covered { mut func, versioned, mut stand_ins, .. } = self;
        let loops = versioned.loops.iter().filter(|_| options.listing);
        let latches: Vec<_> = loops
            .filter_map(|pair| {
                let [plain, fast] = [pair.plain, pair.fast].map(|block| {
                    let latch = func.layout.last_inst(block)?;
                    Some(stand_ins.find(&mut func, latch))
                });
                Some((plain?, fast?, pair.turns))
            })
            .collect();
        debug_assert!(
            cranelift_codegen::verify_function(&func, isa).is_ok(),
            "a covered function is valid:\n{func}"
        );
        let domtree = DominatorTree::with_function(&func, &ControlFlowGraph::with_function(&func));
        let mut stencil = isa
            .compile_function(
                &func,
                &domtree,
                &mut Default::default(),
                false,
                &mut Default::default(),
            )
            .map_err(|error| Unsupported::new("stock code", error))?;
        let mut from_zero = FunctionParameters::new();
        from_zero.ensure_base_srcloc(SourceLoc::new(0));
        let stock = stencil.clone().apply_params(&from_zero).buffer;
        let may_move = options.pair && stencil.value_labels_ranges.is_empty();
        let may_pair =
            |access: Plain| may_move && options.core.is_none_or(|core| core.pairs(access));
        let (buffer, seen) = rebuild::rebuilt(&stock, &stand_ins, may_pair)?;
        stencil.buffer = buffer.finish(&VCodeConstants::default(), &mut Default::default());
        stencil.buffer.unwind_info = stock.unwind_info;
        stencil.buffer.alignment = stock.alignment;
        stencil.buffer.nop_units = stock.nop_units;
        let code = stencil.buffer.data().to_vec();
        let (stencil, blob) = serialize_compiled(stencil);
        let blob = blob.map_err(|error| Unsupported::new("serialisation", error))?;
        let listing = match options.listing {
            true => {
                let code = stencil.apply_params(&func.params);
                let listing =
                    Listing::of(&code, &func.params, isa, |line| price(line, options.core));
                listing.map(|listing| listing.marked(&marks(&seen, &latches)))
            }
            false => None,
        };
        let mut chosen = BTreeMap::new();
        for op in stand_ins.ops() {
            *chosen.entry(op.name()).or_default() += 1;
        }
        let (versions, declined) = (versioned.loops.len(), versioned.declined);
        Ok(Compiled { blob, code, chosen, form: 0, listing, versions, declined })
    }
}

/// What a line of assembly costs on `core`, or on none in particular, in 1/16 cycle of reciprocal throughput.
pub fn price(line: &str, core: Option<Core>) -> u32 {
    let arch = Architecture::Aarch64(Aarch64Architecture::Aarch64);
    core.and_then(|core| core.cost(line)).unwrap_or_else(|| egraft_lower::price(arch, line))
}

/// Marks of code in which this was `seen`; `latches` are numbers of the branches back of loops as they were and of fast
/// ones, and the turns that these make at once.
fn marks(seen: &[(u32, Seen)], latches: &[(usize, usize, u32)]) -> Marks {
    let mut tiles: Vec<(u32, &'static str)> = Vec::new();
    let mut found = BTreeMap::new();
    for (offset, seen) in seen {
        match seen {
            Seen::Op(op) => tiles.push((*offset, op.name())),
            Seen::Found(number) => {
                found.entry(*number).or_insert(*offset);
            }
        }
    }
    tiles.sort_unstable();
    let versions = latches.iter().filter_map(|(plain, fast, turns)| {
        let (plain, fast) = (*found.get(plain)?, *found.get(fast)?);
        Some(MarkedVersion { plain, fast, turns: *turns })
    });
    Marks { tiles, versions: versions.collect() }
}

/// `func` as Cranelift's mid-end leaves it.
fn optimized(func: Function, isa: &dyn TargetIsa) -> Result<Function, Unsupported> {
    let mut context = Context::for_function(func);
    context
        .optimize(isa, &mut Default::default())
        .map_err(|error| Unsupported::new("optimisation", error))?;
    Ok(context.func)
}

/// `func` with second versions of loops; those that do not save enough are taken back. What is added is not optimised:
/// addresses of one stream do not share a sum yet.
fn versions(
    func: &Function,
    isa: &dyn TargetIsa,
    options: &Options,
) -> Result<(Function, Versioned), Unsupported> {
    let mut poor = Vec::new();
    loop {
        let mut func = func.clone();
        let which = match options.version {
            Version::Never => return Ok((func, Versioned::default())),
            Version::Paying => Which::PayingBut(&poor),
            Version::Always => Which::All,
        };
        let versioned = egraft_loops::version(&mut func, which, options.gains);
        if versioned.loops.is_empty() || options.version == Version::Always {
            return Ok((func, versioned));
        }
        let counted = optimized(func.clone(), isa)?;
        let accesses = options.pair.then_some(&versioned.accesses);
        let before = poor.len();
        let others = versioned.loops.iter().filter(|pair| !entries::pays(&counted, pair, accesses));
        poor.extend(others.map(|pair| pair.plain));
        if poor.len() == before {
            let loops = versioned.loops.iter();
            loops.for_each(|pair| entries::settle(&mut func, &counted, pair, accesses));
            return Ok((func, versioned));
        }
    }
}
