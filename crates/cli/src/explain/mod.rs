//! `egraft explain`: the rules that fired in one function, or with `--asm` what its code became.

mod asm;
mod hot;
mod mca;
mod view;
mod wasm;

pub(crate) use hot::hot_loops;

use crate::args::ExplainArgs;
use crate::input::{self, InFile};
use crate::output::{self, Table, line};
use anyhow::Result;
use std::process::ExitCode;

pub(crate) fn explain(args: &ExplainArgs) -> Result<ExitCode> {
    let wasm = input::read_module(&args.module)?;
    let config = input::config(args.target.as_deref(), &args.code)?;
    let options = input::options(&args.code)?.measure_stock(true);
    let report = egraft::compile(&config, &options, &wasm).in_file(&args.module)?.report;
    input::warn_about(&report);
    let function = input::function(&report, &args.module, &args.function)?;
    if args.asm {
        return asm::explain(args, &config, &wasm, function);
    }
    if args.json {
        output::json(function)?;
        return Ok(ExitCode::SUCCESS);
    }
    line(function)?;
    if let Some(shape) = function.shape {
        line(format_args!(
            "{} ops in {} blocks and {} loops, {:.0}% on vectors{}",
            shape.ops,
            shape.blocks,
            shape.loops,
            100.0 * shape.vector_share(),
            function.ops_after.map(|ops| format!("; {ops} ops after")).unwrap_or_default(),
        ))?;
    }
    if let (Some(before), Some(after)) = (function.stock_code_bytes, function.code_bytes) {
        line(format_args!("{before} bytes of stock code, {after} after"))?;
    }
    if function.from_cache {
        line("taken from the cache, which does not keep rules; run without --cache-dir")?;
    }
    line(format_args!("e-graph: {} nodes in {} classes", function.enodes, function.eclasses))?;
    if let Some(what) = &function.uncovered {
        line(format_args!("not by Egraft's own backend: {what}"))?;
    }
    if function.fast_loops > 0 {
        line(format_args!(
            "{} loops have a version in which no access traps",
            function.fast_loops
        ))?;
    }
    for reason in &function.plain_loops {
        line(format_args!("a loop has one version: {reason}"))?;
    }
    if let Some(stop) = &function.stop {
        line(format_args!("stopped: {stop}"))?;
    }
    if function.rules.is_empty() {
        line("no rule fired")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rules = function.rules.clone();
    rules.sort_by_key(|rule| std::cmp::Reverse((rule.joined, rule.matched)));
    let mut table = Table::new(&["rule", ">matched", ">new"]);
    for rule in rules {
        table.row(vec![rule.name, rule.matched.to_string(), rule.joined.to_string()]);
    }
    line(table)?;
    Ok(ExitCode::SUCCESS)
}
