//! Machine code of hot loops, Egraft's beside stock's. Shown as text, whatever its syntax.

use super::format;
use maud::{Markup, html};

/// A kernel's hot loops.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelCode {
    /// The kernel's name.
    pub kernel: String,
    /// The function that the loops are in.
    pub function: String,
    /// The loops.
    pub loops: Vec<Loop>,
}

/// A wasm loop with what it became.
#[derive(Debug, Clone, PartialEq)]
pub struct Loop {
    /// Offsets in the module where the wasm loop begins and ends; `None` for one of unknown origin.
    pub wasm: Option<(u32, u32)>,
    /// Loops of machine code that it became.
    pub versions: Vec<Version>,
    /// Instructions, by the wasm instruction that they come from.
    pub rows: Vec<Row>,
}

/// Who made code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Egraft.
    Egraft,
    /// Wasmtime as it is.
    Stock,
}

/// One loop of machine code, counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// Who made it.
    pub side: Side,
    /// Whether no access in it traps.
    pub fast: bool,
    /// Turns of the wasm loop that one of its own makes, where they are known.
    pub turns: Option<u32>,
    /// Instructions in it.
    pub instructions: usize,
    /// Those of them that access the stack.
    pub stack: usize,
    /// Sum of the prices of its instructions: cycles of one of its turns.
    pub cycles: f64,
    /// Cycles of one of its turns as another program predicts them.
    pub predicted: Option<f64>,
}

/// What comes from one wasm instruction.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its offset in the module; `None` for code that comes from none.
    pub offset: Option<u32>,
    /// Its text, after that of wasm instructions without code.
    pub wasm: Vec<String>,
    /// Rules that rewrote it.
    pub rules: Vec<String>,
    /// Egraft's machine code.
    pub egraft: Vec<Inst>,
    /// Stock's machine code.
    pub stock: Vec<Inst>,
}

/// A machine instruction.
#[derive(Debug, Clone, PartialEq)]
pub struct Inst {
    /// As the disassembler writes it.
    pub text: String,
    /// The tile or rule that made it.
    pub tile: Option<String>,
    /// Its price, in cycles.
    pub cycles: f64,
}

impl Loop {
    /// The least cycles for one turn of the wasm loop, among the versions whose turns are known.
    fn cycles(&self, side: Side) -> Option<f64> {
        let of_side = self.versions.iter().filter(|version| version.side == side);
        let cycles = of_side.filter_map(|version| {
            let turns = version.turns.filter(|turns| *turns > 0)?;
            Some(version.cycles / f64::from(turns)).filter(|cycles| cycles.is_finite())
        });
        cycles.min_by(f64::total_cmp)
    }

    /// One line for the loop.
    fn summary(&self) -> String {
        let cycles = |side| match self.cycles(side) {
            Some(cycles) => format!("{} cycles a turn", format::digits(cycles)),
            None => "no cycles known".to_owned(),
        };
        format!("Egraft {}, stock {}", cycles(Side::Egraft), cycles(Side::Stock))
    }
}

impl Version {
    fn name(&self) -> &'static str {
        match (self.side, self.fast) {
            (Side::Egraft, true) => "Egraft, without traps",
            (Side::Egraft, false) => "Egraft",
            (Side::Stock, _) => "Stock",
        }
    }
}

pub(super) fn section(code: &[KernelCode]) -> Markup {
    html! {
        p { "Innermost loops, from a listing and not measured: cycles are sums of Egraft's prices, which \
            count what an instruction occupies. Instructions stand beside the wasm that they come from." }
        @for kernel in code {
            details.code {
                summary {
                    span.name { (kernel.kernel) } " "
                    span.muted { (summary(kernel)) }
                }
                p { "Function " code { (kernel.function) } }
                @for (at, found) in kernel.loops.iter().enumerate() {
                    (one_loop(kernel, at, found))
                }
            }
        }
    }
}

fn summary(kernel: &KernelCode) -> String {
    match &kernel.loops[..] {
        [] => "no loops".to_owned(),
        [only] => only.summary(),
        [first, ..] => format!("{} loops; the first: {}", kernel.loops.len(), first.summary()),
    }
}

fn one_loop(kernel: &KernelCode, at: usize, found: &Loop) -> Markup {
    let title = match found.wasm {
        Some((start, end)) => format!("Loop {}: wasm {start:#x} to {end:#x}", at + 1),
        None => format!("Loop {}", at + 1),
    };
    let label = format!("Code of {}, {title}", kernel.kernel);
    html! {
        h3 { (title) }
        p { (found.summary()) "." }
        ul.versions {
            @for version in &found.versions {
                li {
                    b { (version.name()) } ": "
                    (version.instructions) " instructions, "
                    @if version.stack > 0 { (version.stack) " of them on the stack, " }
                    (format::digits(version.cycles)) " cycles"
                    @if let Some(turns) = version.turns { " for " (turns) (plural(turns)) }
                    @if let Some(cycles) = version.predicted {
                        "; predicted " (format::digits(cycles)) " cycles"
                    }
                }
            }
        }
        div.scroll.listing tabindex="0" role="region" aria-label=(label) {
            table {
                thead {
                    tr {
                        th scope="col" { "Wasm" }
                        th scope="col" { "Egraft" }
                        th scope="col" { "Tile" }
                        th.number scope="col" { "Cycles" }
                        th scope="col" { "Stock" }
                        th.number scope="col" { "Cycles" }
                    }
                }
                @for row in &found.rows { tbody { (rows(row)) } }
            }
        }
    }
}

/// Two places line up in a column.
fn cycles(cycles: f64) -> String {
    format!("{cycles:.2}")
}

fn plural(turns: u32) -> &'static str {
    if turns == 1 { " turn" } else { " turns" }
}

fn rows(row: &Row) -> Markup {
    let height = row.egraft.len().max(row.stock.len()).max(1);
    let wasm = html! {
        th.wasm scope="rowgroup" rowspan=(height) {
            @for text in &row.wasm { div { (text) } }
            @if row.wasm.is_empty() { span.muted { "of no wasm" } }
            @for rule in &row.rules { div.rule { "rule " (rule) } }
        }
    };
    html! {
        @for at in 0..height {
            tr {
                @if at == 0 { (wasm) }
                @match row.egraft.get(at) {
                    Some(inst) => {
                        td { (inst.text) }
                        td.muted { @if let Some(tile) = &inst.tile { (tile) } }
                        td.number { (cycles(inst.cycles)) }
                    }
                    None => { td {} td {} td {} }
                }
                @match row.stock.get(at) {
                    Some(inst) => { td { (inst.text) } td.number { (cycles(inst.cycles)) } }
                    None => { td {} td {} }
                }
            }
        }
    }
}
