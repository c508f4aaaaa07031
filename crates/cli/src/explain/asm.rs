//! `egraft explain --asm`: wasm, CLIF, Egraft's machine code and stock's, matched by wasm offset.
//!
//! Gathers and counts; `view` writes it for people. Loops of machine code are matched by the wasm loop
//! that their branch back comes from. Nothing is measured: cycles are sums of prices, and what
//! `llvm-mca` says, where it is installed.

use super::mca::{Cycles, Mca};
use super::view;
use super::wasm::WasmFunction;
use crate::args::{CodeArgs, ExplainArgs};
use crate::{input, output};
use anyhow::{Context, Result, bail};
use cranelift_codegen::ir::Function;
use egraft::{FunctionReport, ListedInst, ListedLoop, Listing, Optimized, Rewrite, Width};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

/// All there is to show of one function.
#[derive(Serialize)]
pub(super) struct Explained<'a> {
    pub(super) function: &'a FunctionReport,
    /// Hot loops, or one section that is the whole function.
    pub(super) sections: Vec<Section>,
    /// The analyser that was run, and the CPU that it was asked about.
    pub(super) llvm_mca: Option<Analyser>,
}

#[derive(Serialize)]
pub(super) struct Analyser {
    pub(super) program: String,
    pub(super) cpu: String,
}

/// A wasm loop with what it became, or the whole function.
#[derive(Serialize)]
pub(super) struct Section {
    /// Where the wasm loop starts and ends; `None` for a whole function, and for loops of unknown
    /// origin.
    pub(super) wasm: Option<(u32, u32)>,
    pub(super) loops: Vec<LoopReport>,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Side {
    Egraft,
    Stock,
}

/// One loop of machine code.
#[derive(Serialize)]
pub(super) struct LoopReport {
    pub(super) side: Side,
    /// Offset of its first instruction in the function's code.
    pub(super) start: u32,
    /// Whether it is a version in which no access traps.
    pub(super) fast: bool,
    /// Turns of the section's wasm loop that one of its own makes; `None` if it is not a version of that
    /// loop but of one inside.
    pub(super) turns: Option<u32>,
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// Sum of the prices of its instructions, for one of its turns.
    pub(super) cycles: f64,
    pub(super) llvm_mca: Option<Cycles>,
    /// Why `llvm-mca` gave no answer, where it was run.
    pub(super) llvm_mca_error: Option<String>,
}

/// Counts of instructions.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) instructions: usize,
    pub(super) scalar: usize,
    pub(super) vector128: usize,
    pub(super) vector256: usize,
    pub(super) vector512: usize,
    pub(super) loads: usize,
    pub(super) stores: usize,
    pub(super) stack: usize,
}

/// What belongs to one wasm instruction, and before it wasm instructions without code.
#[derive(Serialize)]
pub(super) struct Row {
    /// `None` for code that belongs to no wasm instruction.
    pub(super) offset: Option<u32>,
    pub(super) wasm: Vec<WasmText>,
    pub(super) clif: Vec<ClifText>,
    /// Rules that led to CLIF of this row.
    pub(super) rules: Vec<&'static str>,
    pub(super) egraft: Vec<InstText>,
    pub(super) stock: Vec<InstText>,
}

#[derive(Clone, Serialize)]
pub(super) struct WasmText {
    pub(super) offset: u32,
    pub(super) text: String,
}

#[derive(Clone, Serialize)]
pub(super) struct ClifText {
    pub(super) text: String,
    pub(super) change: Change,
}

/// What rewriting did with a CLIF instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    Kept,
    Removed,
    Added,
}

/// A machine instruction.
#[derive(Clone, Serialize)]
pub(super) struct InstText {
    pub(super) offset: u32,
    pub(super) text: String,
    pub(super) tile: Option<&'static str>,
    pub(super) cycles: f64,
}

pub(super) fn explain(
    args: &ExplainArgs,
    config: &wasmtime::Config,
    wasm: &[u8],
    function: &FunctionReport,
) -> Result<ExitCode> {
    let captured =
        egraft::capture(config, wasm).with_context(|| args.module.display().to_string())?;
    let default = if args.target.is_some() { "baseline" } else { "native" };
    let cpu = args.code.cpu.as_deref().unwrap_or(default);
    let arch = captured.isa.triple().architecture;
    let mca = Mca::find(std::env::var_os("PATH").as_deref(), arch, cpu);
    let binary = wat::parse_bytes(wasm)?;
    let subject =
        Subject { captured: &captured, binary: &binary, code: &args.code, mca: mca.as_ref() };
    let sections = subject
        .sections(function, args.all_blocks)
        .with_context(|| args.module.display().to_string())?;
    let explained = Explained {
        function,
        sections,
        llvm_mca: mca.as_ref().map(|mca| Analyser {
            program: mca.program().display().to_string(),
            cpu: mca.cpu().to_owned(),
        }),
    };
    match args.json {
        true => output::json(&explained)?,
        false => view::print(&explained, args.all_blocks)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A module whose functions are explained.
pub(super) struct Subject<'a> {
    pub(super) captured: &'a egraft::Captured,
    /// The module in binary form.
    pub(super) binary: &'a [u8],
    pub(super) code: &'a CodeArgs,
    pub(super) mca: Option<&'a Mca>,
}

impl Subject<'_> {
    /// The hot loops of a function, or `all` of it.
    pub(super) fn sections(&self, function: &FunctionReport, all: bool) -> Result<Vec<Section>> {
        let found = function.index.and_then(|index| self.captured.by_index(index));
        let Some(found) = found else { bail!("`{}` has no CLIF to show", function.label()) };
        let (isa, func) = (&*self.captured.isa, &found.func);
        let options = input::options(self.code)?;
        let Some(stock) = egraft::stock_listing(func, isa, options.core) else {
            bail!(
                "--asm reads code of x86-64 and AArch64, and the target is {}; `egraft compile --emit \
                 asm` writes code of any",
                isa.triple()
            );
        };
        let (mut after, mut rewrites, mut egraft) = (None, Vec::new(), None);
        if function.taken {
            let (optimized, why) = egraft::explain_function(func, isa, &options);
            if let Optimized::Improved(better) = optimized {
                (after, rewrites) = (Some(better), why);
            }
            let own = egraft::listing(func, after.as_deref(), isa, &options);
            if own.as_ref().is_some_and(|own| !own.rewritten) {
                // Its code is of the function as it was.
                (after, rewrites) = (None, Vec::new());
            }
            egraft = own.map(|own| own.listing).or_else(|| {
                egraft::stock_listing(after.as_deref().unwrap_or(func), isa, options.core)
            });
        }
        let gathered = Gathered {
            wasm: WasmFunction::read(self.binary, found.index),
            clif: clif(func, after.as_deref()),
            rules: rules(&rewrites),
            egraft,
            stock,
            mca: self.mca,
        };
        Ok(gathered.sections(all))
    }
}

/// CLIF by wasm offset, before and after rewriting.
fn clif(before: &Function, after: Option<&Function>) -> BTreeMap<u32, Vec<ClifText>> {
    let old = by_location(before);
    let mut new = after.map(by_location).unwrap_or_else(|| old.clone());
    let mut joined: BTreeMap<u32, Vec<ClifText>> = BTreeMap::new();
    for (location, lines) in old {
        let new = new.entry(location).or_default();
        for text in lines {
            let kept = new.iter().position(|other| *other == text);
            let change = match kept {
                Some(at) => {
                    new.remove(at);
                    Change::Kept
                }
                None => Change::Removed,
            };
            joined.entry(location).or_default().push(ClifText { text, change });
        }
    }
    for (location, lines) in new {
        let added = lines.into_iter().map(|text| ClifText { text, change: Change::Added });
        joined.entry(location).or_default().extend(added);
    }
    joined
}

fn by_location(func: &Function) -> BTreeMap<u32, Vec<String>> {
    let mut lines: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for inst in func.layout.blocks().flat_map(|block| func.layout.block_insts(block)) {
        let location = func.srcloc(inst);
        if !location.is_default() {
            let text = func.dfg.display_inst(inst).to_string();
            lines.entry(location.bits()).or_default().push(text);
        }
    }
    lines
}

fn rules(rewrites: &[Rewrite]) -> BTreeMap<u32, Vec<&'static str>> {
    let mut rules: BTreeMap<u32, Vec<&'static str>> = BTreeMap::new();
    for rewrite in rewrites.iter().filter(|rewrite| !rewrite.location.is_default()) {
        let names = rules.entry(rewrite.location.bits()).or_default();
        for rule in &rewrite.rules {
            if !names.contains(rule) {
                names.push(rule);
            }
        }
    }
    rules
}

/// One function from all sides.
struct Gathered<'a> {
    wasm: WasmFunction,
    clif: BTreeMap<u32, Vec<ClifText>>,
    rules: BTreeMap<u32, Vec<&'static str>>,
    egraft: Option<Listing>,
    stock: Listing,
    mca: Option<&'a Mca>,
}

/// A hot loop and the wasm loop that it comes from, by position.
struct Hot<'a> {
    side: Side,
    listing: &'a Listing,
    found: &'a ListedLoop,
    home: Option<usize>,
}

impl Gathered<'_> {
    fn sections(&self, all: bool) -> Vec<Section> {
        let mut hot = Vec::new();
        if let Some(egraft) = &self.egraft {
            hot.extend(self.hot(Side::Egraft, egraft));
        }
        hot.extend(self.hot(Side::Stock, &self.stock));
        // Where Egraft unrolled loops, its innermost loop is one around those of stock.
        let homes: BTreeSet<Option<usize>> = hot.iter().map(|hot| hot.home).collect();
        let outermost = |home: Option<usize>| match home {
            Some(inner) => homes
                .iter()
                .flatten()
                .copied()
                .find(|outer| self.wasm.holds(*outer, inner))
                .or(Some(inner)),
            None => None,
        };
        let mut grouped: BTreeMap<Option<usize>, Vec<Hot<'_>>> = BTreeMap::new();
        for hot in hot {
            grouped.entry(outermost(hot.home)).or_default().push(hot);
        }
        if all {
            let loops = grouped
                .iter()
                .flat_map(|(key, hot)| hot.iter().map(move |hot| self.report(hot, *key)));
            let every = |listing: &Listing| (0..listing.insts.len()).collect();
            let egraft = self.egraft.as_ref().map(every).unwrap_or_default();
            let rows = self.rows(&egraft, &every(&self.stock), None);
            return vec![Section { wasm: None, loops: loops.collect(), rows }];
        }
        grouped.iter().map(|(key, hot)| self.section(*key, hot)).collect()
    }

    /// The innermost loops with vector code, or all innermost loops if none has any.
    fn hot<'l>(&self, side: Side, listing: &'l Listing) -> Vec<Hot<'l>> {
        let vectors =
            |found: &ListedLoop| listing.insts_of(found).any(|inst| inst.width != Width::Scalar);
        let innermost: Vec<&ListedLoop> =
            listing.loops.iter().filter(|found| found.innermost).collect();
        let any = innermost.iter().any(|found| vectors(found));
        let hot = innermost.into_iter().filter(|found| !any || vectors(found));
        hot.map(|found| Hot { side, listing, found, home: self.home(listing, found) }).collect()
    }

    /// The wasm loop that a loop of machine code is: the one that its branch back belongs to, or else
    /// most of its instructions do. A fast version is what the loop as it was is.
    fn home(&self, listing: &Listing, found: &ListedLoop) -> Option<usize> {
        let found = found.version.map_or(found, |version| &listing.loops[version.plain]);
        let of = |inst: &ListedInst| self.wasm.loop_of(inst.source?);
        of(&listing.insts[found.latch]).or_else(|| {
            let mut votes: BTreeMap<usize, usize> = BTreeMap::new();
            for home in listing.insts_of(found).filter_map(of) {
                *votes.entry(home).or_default() += 1;
            }
            votes.into_iter().max_by_key(|(_, votes)| *votes).map(|(home, _)| home)
        })
    }

    fn section(&self, key: Option<usize>, hot: &[Hot<'_>]) -> Section {
        let range = key.map(|at| self.wasm.loops[at].clone());
        let shown = |side: Side, listing: Option<&Listing>| -> BTreeSet<usize> {
            let of_side = || hot.iter().filter(move |hot| hot.side == side);
            let (Some(listing), Some(range)) = (listing, &range) else {
                return of_side().flat_map(|hot| hot.found.insts.iter().copied()).collect();
            };
            let same = || of_side().filter(|hot| hot.home == key);
            if same().next().is_none() {
                // Unrolled, or with loops inside: whatever comes from these offsets.
                let from_here = |(at, inst): (usize, &ListedInst)| {
                    inst.source.is_some_and(|source| range.contains(&source)).then_some(at)
                };
                return listing.insts.iter().enumerate().filter_map(from_here).collect();
            }
            // What remains for the plain version takes few turns: it is counted and not shown.
            let fast = same().any(|hot| hot.found.version.is_some());
            let same = same().filter(|hot| !fast || hot.found.version.is_some());
            same.flat_map(|hot| hot.found.insts.iter().copied()).collect()
        };
        Section {
            wasm: range.as_ref().map(|range| (*range.start(), *range.end())),
            loops: hot.iter().map(|hot| self.report(hot, key)).collect(),
            rows: self.rows(
                &shown(Side::Egraft, self.egraft.as_ref()),
                &shown(Side::Stock, Some(&self.stock)),
                range.clone(),
            ),
        }
    }

    fn report(&self, hot: &Hot<'_>, key: Option<usize>) -> LoopReport {
        let insts = || hot.listing.insts_of(hot.found);
        let answer = self.mca.map(|mca| mca.cycles(insts().map(|inst| inst.text.as_str())));
        let (llvm_mca, llvm_mca_error) = match answer {
            Some(Ok(cycles)) => (Some(cycles), None),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        let turns = hot.found.version.map_or(1, |version| version.turns);
        LoopReport {
            side: hot.side,
            start: hot.listing.insts[hot.found.header].offset,
            fast: hot.found.version.is_some(),
            turns: (hot.home.is_some() && hot.home == key).then_some(turns),
            counts: Counts::of(insts()),
            cycles: insts().map(cycles).sum(),
            llvm_mca,
            llvm_mca_error,
        }
    }

    /// Rows of the machine instructions at these positions, and of what CLIF there is between `range`.
    fn rows(
        &self,
        egraft: &BTreeSet<usize>,
        stock: &BTreeSet<usize>,
        range: Option<std::ops::RangeInclusive<u32>>,
    ) -> Vec<Row> {
        let none = Listing::default();
        let mut rows: BTreeMap<Option<u32>, Row> = BTreeMap::new();
        for at in egraft {
            let inst = &self.egraft.as_ref().unwrap_or(&none).insts[*at];
            row(&mut rows, inst.source).egraft.push(InstText::of(inst));
        }
        for at in stock {
            let inst = &self.stock.insts[*at];
            row(&mut rows, inst.source).stock.push(InstText::of(inst));
        }
        // Whatever has code brings its CLIF along, from wherever it is.
        let inside = |offset: u32| range.as_ref().is_none_or(|range| range.contains(&offset));
        for offset in self.clif.keys().filter(|offset| inside(**offset)) {
            row(&mut rows, Some(*offset));
        }
        for (offset, row) in rows.iter_mut() {
            let Some(offset) = offset else { continue };
            row.clif = self.clif.get(offset).cloned().unwrap_or_default();
            row.rules = self.rules.get(offset).cloned().unwrap_or_default();
        }
        let mut waiting = Vec::new();
        for inst in &self.wasm.insts {
            let offset = inst.offset;
            let text = WasmText { offset, text: inst.text.clone() };
            if let Some(row) = rows.get_mut(&Some(offset)) {
                row.wasm.append(&mut waiting);
                row.wasm.push(text);
            } else if inside(offset) && !self.clif.contains_key(&offset) {
                waiting.push(text);
            } else {
                waiting.clear();
            }
        }
        let mut rows: Vec<Row> = rows.into_values().collect();
        // What belongs to no wasm instruction comes last.
        let placed = rows.iter().position(|row| row.offset.is_some()).unwrap_or(0);
        rows.rotate_left(placed);
        rows
    }
}

fn row(rows: &mut BTreeMap<Option<u32>, Row>, offset: Option<u32>) -> &mut Row {
    rows.entry(offset).or_insert_with(|| Row::at(offset))
}

fn cycles(inst: &ListedInst) -> f64 {
    f64::from(inst.cost) / 16.0
}

impl Counts {
    fn of<'a>(insts: impl Iterator<Item = &'a ListedInst>) -> Counts {
        let mut counts = Counts::default();
        for inst in insts {
            counts.instructions += 1;
            match inst.width {
                Width::Scalar => counts.scalar += 1,
                Width::Bits128 => counts.vector128 += 1,
                Width::Bits256 => counts.vector256 += 1,
                Width::Bits512 => counts.vector512 += 1,
            }
            counts.loads += usize::from(inst.loads);
            counts.stores += usize::from(inst.stores);
            counts.stack += usize::from(inst.stack);
        }
        counts
    }
}

impl Row {
    fn at(offset: Option<u32>) -> Row {
        Row {
            offset,
            wasm: Vec::new(),
            clif: Vec::new(),
            rules: Vec::new(),
            egraft: Vec::new(),
            stock: Vec::new(),
        }
    }
}

impl InstText {
    fn of(inst: &ListedInst) -> InstText {
        InstText {
            offset: inst.offset,
            text: inst.text.clone(),
            tile: inst.tile,
            cycles: cycles(inst),
        }
    }
}
