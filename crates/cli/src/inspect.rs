//! `egraft inspect`: one line per function.

use crate::args::InspectArgs;
use crate::input::{self, InFile};
use crate::output::{self, Table, line};
use anyhow::Result;
use std::process::ExitCode;

pub(crate) fn inspect(args: &InspectArgs) -> Result<ExitCode> {
    let wasm = input::read_module(&args.file)?;
    let config = input::config(args.target.as_deref(), &args.code)?;
    let options = input::options(&args.code)?.measure_stock(true);
    let bar = output::spinner("inspecting");
    let compiled = egraft::compile(&config, &options, &wasm).in_file(&args.file);
    bar.finish_and_clear();
    let mut report = compiled?.report;
    input::warn_about(&report);
    if !args.all {
        report.functions.retain(|function| function.index.is_some());
    }
    if args.json {
        output::json(&report)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&[
        ">index", "function", ">ops", ">loops", ">vector", ">bytes", ">after", ">cost", ">after",
        "",
    ]);
    let number = |value: Option<usize>| value.map(|value| value.to_string()).unwrap_or_default();
    for function in &report.functions {
        let shape = function.shape;
        let verdict = match &function.reason {
            None => "taken".to_owned(),
            Some(reason) => format!("stock: {reason}"),
        };
        table.row(vec![
            function.index.map(|index| index.to_string()).unwrap_or_default(),
            shorten(function.label()),
            number(shape.map(|shape| shape.ops)),
            number(shape.map(|shape| shape.loops)),
            shape.map(|shape| format!("{:.0}%", 100.0 * shape.vector_share())).unwrap_or_default(),
            number(function.stock_code_bytes),
            number(function.code_bytes),
            function.cost.map(|cost| cycles(cost.before)).unwrap_or_default(),
            function.cost.map(|cost| cycles(cost.after)).unwrap_or_default(),
            verdict,
        ]);
    }
    line(table)?;
    let bytes = |size: fn(&egraft::FunctionReport) -> Option<usize>| {
        report.functions.iter().filter_map(size).sum::<usize>()
    };
    line(format_args!(
        "\n{} of {} functions taken; {} bytes of stock code, {} with Egraft",
        report.taken(),
        report.functions.len(),
        bytes(|function| function.stock_code_bytes),
        bytes(|function| function.code_bytes.or(function.stock_code_bytes)),
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Predicted cost in cycles; the report counts sixteenths.
fn cycles(sixteenths: u64) -> String {
    match sixteenths / 16 {
        cycles @ 0..=999_999 => cycles.to_string(),
        cycles => format!("{:.2e}", cycles as f64),
    }
}

/// Names of C++ and Rust functions fill lines; the middle says least.
pub(crate) fn shorten(name: &str) -> String {
    const LIMIT: usize = 40;
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= LIMIT {
        return name.to_owned();
    }
    let half = (LIMIT - 2) / 2;
    let start: String = chars[..half].iter().collect();
    let end: String = chars[chars.len() - half..].iter().collect();
    format!("{start}..{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(shorten("short"), "short");
        let long = format!("begin{}end", "é".repeat(100));
        let short = shorten(&long);
        assert!(short.starts_with("begin") && short.ends_with("end"));
        assert_eq!(short.chars().count(), 40);
    }

    #[test]
    fn costs_are_shown_in_cycles() {
        assert_eq!(cycles(160), "10");
        assert_eq!(cycles(16 * 2_500_000), "2.50e6");
    }
}
