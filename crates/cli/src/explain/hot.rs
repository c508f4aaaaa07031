//! Hot loops of a kernel as the report of a benchmark shows them.

use super::asm::{InstText, LoopReport, Row, Section, Side, Subject};
use crate::args::CodeArgs;
use crate::input;
use anyhow::{Context, Result};
use egraft_bench::report;
use egraft_kernels::Kernel;

/// Loops of one kernel that are shown: those with most wasm code first.
const LOOPS: usize = 4;

/// The hot loops of the function of `kernel` that has most vector code; `None` if Egraft takes none, or on
/// targets whose code is not listed.
pub(crate) fn hot_loops(kernel: &Kernel, code: &CodeArgs) -> Result<Option<report::KernelCode>> {
    let path = || kernel.wasm.display().to_string();
    let wasm = input::read_module(&kernel.wasm)?;
    let config = input::config(None, code)?;
    let compiled = egraft::compile(&config, &input::options(code)?, &wasm).with_context(path)?;
    let vector_ops = |function: &egraft::FunctionReport| {
        let shape = function.shape.filter(|shape| shape.vector_loops > 0)?;
        Some((shape.ops as f64 * shape.vector_share()) as u64)
    };
    let functions = compiled.report.functions.iter().filter(|function| function.taken);
    let Some((_, function)) = functions
        .filter_map(|function| Some((vector_ops(function)?, function)))
        .max_by_key(|(ops, _)| *ops)
    else {
        return Ok(None);
    };
    let captured = egraft::capture(&config, &wasm).with_context(path)?;
    let binary = wat::parse_bytes(&wasm)?;
    let subject = Subject { captured: &captured, binary: &binary, code, mca: None };
    let Ok(mut sections) = subject.sections(function, false) else { return Ok(None) };
    sections.sort_by_key(|section| std::cmp::Reverse(section.rows.len()));
    Ok(Some(report::KernelCode {
        kernel: kernel.name.clone(),
        function: function.label().to_owned(),
        loops: sections.into_iter().take(LOOPS).map(shown).collect(),
    }))
}

fn shown(section: Section) -> report::Loop {
    report::Loop {
        wasm: section.wasm,
        versions: section.loops.iter().map(version).collect(),
        rows: section.rows.into_iter().filter(has_code).map(row).collect(),
    }
}

fn version(found: &LoopReport) -> report::Version {
    report::Version {
        side: match found.side {
            Side::Egraft => report::Side::Egraft,
            Side::Stock => report::Side::Stock,
        },
        fast: found.fast,
        turns: found.turns,
        instructions: found.counts.instructions,
        stack: found.counts.stack,
        cycles: found.cycles,
        predicted: None,
    }
}

/// CLIF is not shown there, so rows that have nothing else are left out.
fn has_code(row: &Row) -> bool {
    !row.egraft.is_empty() || !row.stock.is_empty()
}

fn row(row: Row) -> report::Row {
    let inst = |inst: InstText| report::Inst {
        text: inst.text,
        tile: inst.tile.map(str::to_owned),
        cycles: inst.cycles,
    };
    report::Row {
        offset: row.offset,
        wasm: row.wasm.into_iter().map(|wasm| wasm.text).collect(),
        rules: row.rules.into_iter().map(str::to_owned).collect(),
        egraft: row.egraft.into_iter().map(inst).collect(),
        stock: row.stock.into_iter().map(inst).collect(),
    }
}
