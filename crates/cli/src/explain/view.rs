//! Writes an explained function for a terminal: columns side by side, cut to its width.

use super::asm::{Change, Explained, InstText, LoopReport, Row, Section, Side};
use crate::output::{Table, line};
use anyhow::Result;

/// The width where there is no terminal to ask.
const WIDTH: usize = 120;
/// Below this, wasm and CLIF stand above the code and not beside it.
const THREE_COLUMNS: usize = 100;
/// Nothing is readable in less.
const LEAST_WIDTH: usize = 40;
/// Below this, counts and cycles of loops are two tables.
const SUMMARY: usize = 115;
const BETWEEN: &str = " | ";

pub(super) fn print(explained: &Explained<'_>, all: bool) -> Result<()> {
    let width = match terminal_size::terminal_size() {
        Some((width, _)) => usize::from(width.0).max(LEAST_WIDTH),
        None => WIDTH,
    };
    let function = explained.function;
    line(function)?;
    if function.taken
        && let Some(what) = &function.uncovered
    {
        line(format_args!("not by Egraft's own backend: {what}"))?;
    }
    match &explained.llvm_mca {
        Some(mca) => line(format_args!("mca: {} for {}", mca.program, mca.cpu))?,
        None => line(
            "llvm-mca is not installed; the package llvm of most systems has it, to judge loops too",
        )?,
    }
    line(
        "cycles: sum of prices for a turn of the machine loop; `a turn`: for one of the wasm loop",
    )?;
    if explained.sections.iter().all(|section| section.loops.is_empty()) && !all {
        line("no loop in its code; --all-blocks shows all of it")?;
    }
    let taken = function.taken;
    for section in &explained.sections {
        line("")?;
        match section.wasm {
            Some((start, end)) => line(format_args!("loop @{start:04x} to @{end:04x}"))?,
            None if all => line("whole function")?,
            None => line("loop of unknown origin")?,
        }
        summary(section, taken, width)?;
        line("")?;
        Columns::new(width, taken).print(&section.rows)?;
    }
    Ok(())
}

/// A line for each loop: counts, and cycles for one turn of it and of the wasm loop.
fn summary(section: &Section, taken: bool, width: usize) -> Result<()> {
    if section.loops.is_empty() {
        return Ok(());
    }
    let counts =
        [">at", ">insts", ">scalar", ">v128", ">v256", ">v512", ">loads", ">stores", ">stack"];
    let cycles = [">turns", ">cycles", ">a turn"];
    let mca: &[&str] = match section.loops.iter().any(|found| found.llvm_mca.is_some()) {
        true => &[">mca", ">a turn", ">block"],
        false => &[],
    };
    let tables: &[Vec<&str>] = match width < SUMMARY {
        true => &[counts.to_vec(), [&cycles, mca].concat()],
        false => &[[&counts, &cycles[..], mca].concat()],
    };
    let rows: Vec<(&str, Vec<String>)> =
        section.loops.iter().map(|found| (name(found), cells(found))).collect();
    let mut first = 0;
    for headings in tables {
        let mut table = Table::new(&[&["code"], &headings[..]].concat());
        for (name, cells) in &rows {
            let cells = cells[first..][..headings.len()].iter().cloned();
            table.row(std::iter::once((*name).to_owned()).chain(cells).collect());
        }
        line(table)?;
        first += headings.len();
    }
    if section.loops.iter().any(|found| found.turns.is_none()) {
        line(
            "loops without turns are others than the wasm loop above, within it or of no known one",
        )?;
    }
    for (side, name) in [(Side::Egraft, "egraft"), (Side::Stock, "stock")] {
        let is_it = |found: &LoopReport| found.side == side && found.turns.is_some();
        let asked = section.wasm.is_some() && (taken || side == Side::Stock);
        if asked && !section.loops.iter().any(is_it) {
            line(format_args!(
                "{name} has no innermost loop for it; below is all of its code from there"
            ))?;
        }
    }
    let mut errors: Vec<&str> =
        section.loops.iter().filter_map(|found| found.llvm_mca_error.as_deref()).collect();
    errors.dedup();
    for error in errors {
        line(format_args!("llvm-mca gave no answer: {error}"))?;
    }
    Ok(())
}

/// What the summary says of a loop: its counts, then its cycles.
fn cells(found: &LoopReport) -> Vec<String> {
    let number = |value: f64| format!("{value:.1}");
    let turns = found.turns.map(f64::from);
    let a_turn = |cycles: f64| turns.map(|turns| number(cycles / turns)).unwrap_or_default();
    let (counts, mca) = (&found.counts, found.llvm_mca);
    vec![
        format!("{:04x}", found.start),
        counts.instructions.to_string(),
        counts.scalar.to_string(),
        counts.vector128.to_string(),
        counts.vector256.to_string(),
        counts.vector512.to_string(),
        counts.loads.to_string(),
        counts.stores.to_string(),
        counts.stack.to_string(),
        found.turns.map(|turns| turns.to_string()).unwrap_or_default(),
        number(found.cycles),
        a_turn(found.cycles),
        mca.map(|mca| number(mca.cycles)).unwrap_or_default(),
        mca.map(|mca| a_turn(mca.cycles)).unwrap_or_default(),
        mca.map(|mca| number(mca.block_rthroughput)).unwrap_or_default(),
    ]
}

fn name(found: &LoopReport) -> &'static str {
    match (found.side, found.fast) {
        (Side::Egraft, true) => "egraft, fast",
        (Side::Egraft, false) => "egraft",
        (Side::Stock, _) => "stock",
    }
}

/// How wide each column is.
struct Columns {
    /// `None` if wasm and CLIF stand above the rest.
    source: Option<usize>,
    /// `None` if there is stock code only.
    egraft: Option<usize>,
    stock: usize,
    width: usize,
}

impl Columns {
    fn new(width: usize, egraft: bool) -> Columns {
        let source = (width >= THREE_COLUMNS).then_some(width * 27 / 100);
        let rest = width - source.map_or(0, |source| source + BETWEEN.len());
        // Egraft's column names tiles too.
        let egraft = egraft.then_some((rest - BETWEEN.len()) * 58 / 100);
        let stock = rest - egraft.map_or(0, |egraft| egraft + BETWEEN.len());
        Columns { source, egraft, stock, width }
    }

    fn print(&self, rows: &[Row]) -> Result<()> {
        let heading = |text: &str| vec![text.to_owned()];
        let source = heading("wasm, CLIF, rules");
        let egraft = heading("egraft: at, cycles, code, tile");
        let stock = heading("stock: at, cycles, code");
        self.lines(&source, &egraft, &stock)?;
        line("-".repeat(self.width))?;
        for row in rows {
            let egraft: Vec<String> = row.egraft.iter().map(code).collect();
            let stock: Vec<String> = row.stock.iter().map(code).collect();
            self.lines(&source_lines(row), &egraft, &stock)?;
        }
        Ok(())
    }

    fn lines(&self, source: &[String], egraft: &[String], stock: &[String]) -> Result<()> {
        let mut columns: Vec<(&[String], usize)> = Vec::new();
        match self.source {
            Some(width) => columns.push((source, width)),
            None => {
                for text in source {
                    line(fit(text, self.width).trim_end())?;
                }
            }
        }
        columns.extend(self.egraft.map(|width| (egraft, width)));
        columns.push((stock, self.stock));
        let count = columns.iter().map(|(lines, _)| lines.len()).max().unwrap_or(0);
        for at in 0..count {
            let cells: Vec<String> = columns
                .iter()
                .map(|(lines, width)| fit(lines.get(at).map_or("", String::as_str), *width))
                .collect();
            line(cells.join(BETWEEN).trim_end())?;
        }
        Ok(())
    }
}

/// Wasm, CLIF with what rewriting took away and added, and the rules behind that.
fn source_lines(row: &Row) -> Vec<String> {
    let mut lines: Vec<String> =
        row.wasm.iter().map(|inst| format!("{:04x} {}", inst.offset, inst.text)).collect();
    if row.offset.is_none() {
        lines.push("of no wasm instruction".to_owned());
    }
    for clif in &row.clif {
        let mark = match clif.change {
            Change::Kept => ' ',
            Change::Removed => '-',
            Change::Added => '+',
        };
        lines.push(format!("   {mark} {}", clif.text));
    }
    lines.extend(row.rules.iter().map(|rule| format!("   by {rule}")));
    lines
}

/// One instruction: offset, cycles, text, and its tile where there is room.
fn code(inst: &InstText) -> String {
    /// Most instructions are shorter, and tiles stand below each other.
    const CODE: usize = 28;
    let text = format!("{:04x} {:4.2} {:CODE$}", inst.offset, inst.cycles, inst.text);
    match inst.tile {
        Some(tile) => format!("{text} {tile}"),
        None => text.trim_end().to_owned(),
    }
}

/// `text` in exactly `width` columns. Names come from modules, so control characters do not pass.
fn fit(text: &str, width: usize) -> String {
    let clean = text.chars().map(|c| if c.is_control() { '?' } else { c });
    let count = text.chars().count();
    match count > width {
        true => clean.take(width.saturating_sub(1)).chain(['…']).collect(),
        false => clean.chain(std::iter::repeat_n(' ', width - count)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_their_width() {
        assert_eq!(fit("abc", 5), "abc  ");
        assert_eq!(fit("abcdef", 5), "abcd…");
        assert_eq!(fit("a\x1bb", 3), "a?b");
    }

    #[test]
    fn columns_fill_the_width_at_every_size() {
        for width in LEAST_WIDTH..250 {
            for egraft in [true, false] {
                let columns = Columns::new(width, egraft);
                let each = [columns.source, columns.egraft, Some(columns.stock)];
                let count = each.iter().flatten().count();
                let sum: usize = each.iter().flatten().sum();
                assert_eq!(sum + (count - 1) * BETWEEN.len(), width);
            }
        }
    }
}
