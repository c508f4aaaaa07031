//! `egraft egraph`: e-graphs as files.

use crate::args::{
    EgraphCommand, EgraphLoadArgs, EgraphSaveArgs, EgraphShowArgs, EgraphShowFormat,
};
use crate::input::{self, InFile};
use crate::output::{self, line, write_file};
use anyhow::{Context, Result};
use egraft_egraph::bulk::{Analysis, BulkGraph, Prices};
use egraft_egraph::file::{Saved, load, save};
use egraft_egraph::{EGraph, Limits, Rules, StopReason, diff, saturate, to_dot, to_json};
use egraft_ir::ClassId;
use egraft_rules::MatchGraph;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn egraph(command: &EgraphCommand) -> Result<ExitCode> {
    match command {
        EgraphCommand::Save(args) => save_one(args),
        EgraphCommand::Load(args) => go_on(args),
        EgraphCommand::Show(args) => show(args),
        EgraphCommand::Diff { one, other, json } => compare(one, other, *json),
    }
}

fn read(path: &Path) -> Result<Saved> {
    let bytes = input::read(path)?;
    load(&bytes).with_context(|| path.display().to_string())
}

fn counts(graph: &EGraph) -> String {
    format!("{} nodes in {} classes", graph.node_count(), graph.class_count())
}

fn save_one(args: &EgraphSaveArgs) -> Result<ExitCode> {
    let wasm = input::read_module(&args.module)?;
    let config = input::config(None, &args.code)?;
    let options = input::options(&args.code)?;
    let report = egraft::compile(&config, &options, &wasm).in_file(&args.module)?.report;
    input::warn_about(&report);
    let function = input::function(&report, &args.module, &args.function)?;
    let captured = egraft::capture(&config, &wasm).map_err(egraft::Error::from);
    let captured = captured.in_file(&args.module)?;
    let found = captured.functions.iter().find(|one| one.symbol == function.symbol);
    let found = found.with_context(|| format!("{}: it has no body", function.label()))?;
    let (graph, roots) = egraft::egraph(&found.func, &options);
    let digest = Rules::default().digest_of_all();
    write_file(&args.output, &save(&graph, &roots, digest))?;
    line(format_args!("{}: {}, {} roots", args.output.display(), counts(&graph), roots.len()))?;
    Ok(ExitCode::SUCCESS)
}

fn go_on(args: &EgraphLoadArgs) -> Result<ExitCode> {
    let Saved { mut graph, roots, rules } = read(&args.file)?;
    let before = counts(&graph);
    let own = Rules::default();
    if rules != own.digest_of_all() {
        output::warn(format_args!(
            "{}: it was rewritten with other rules than this program has",
            args.file.display()
        ));
    }
    let limits = Limits { nodes: args.nodes, iterations: args.iterations, ..Limits::default() };
    let done = saturate(&mut graph, &own, limits);
    let stop = match done.stop {
        StopReason::Saturated => "no rule adds anything".to_owned(),
        StopReason::NodeLimit { limit, .. } => format!("the limit of {limit} nodes"),
        StopReason::IterationLimit { limit } => format!("the limit of {limit} iterations"),
    };
    line(format_args!(
        "{before}; {} after {} iterations: {stop}",
        counts(&graph),
        done.iterations
    ))?;
    if let Some(output) = &args.output {
        write_file(output, &save(&graph, &roots, own.digest_of_all()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(args: &EgraphShowArgs) -> Result<ExitCode> {
    let Saved { graph, roots, rules } = read(&args.file)?;
    match args.format {
        Some(EgraphShowFormat::Dot) => line(to_dot(&graph, &roots).trim_end())?,
        Some(EgraphShowFormat::Json) => output::json(&to_json(&graph, &roots, |_| 1.0))?,
        Some(EgraphShowFormat::Terms) => smallest(&graph, &roots)?,
        None => {
            let own = rules == Rules::default().digest_of_all();
            let whose =
                if own { "this program's rules" } else { "other rules than this program's" };
            line(format_args!("{}, {} roots, {whose}", counts(&graph), roots.len()))?;
            for class in graph.classes() {
                let root = if roots.contains(&class) { " (root)" } else { "" };
                let nodes: Vec<String> =
                    graph.nodes(class).iter().map(ToString::to_string).collect();
                line(format_args!("{class}{root}: {}", nodes.join(" | ")))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The smallest terms of roots: each node once, behind its operands.
fn smallest(graph: &EGraph, roots: &[ClassId]) -> Result<()> {
    let (bulk, classes) = BulkGraph::of(graph, Analysis::None);
    let prices = Prices::new(|_, _| 1);
    let costs = bulk.costs(&prices);
    let with_terms: Vec<ClassId> = roots.iter().filter_map(|root| classes[root.index()]).collect();
    let (nodes, places) = bulk.extract(&with_terms, &prices, &costs);
    for (place, node) in (0..).map(ClassId).zip(&nodes) {
        line(format_args!("{place} = {node}"))?;
    }
    let mut found = with_terms.iter().zip(places);
    for root in roots {
        let term = classes[root.index()].and_then(|_| found.next());
        match term {
            Some((class, Some(place))) => {
                let size = costs[bulk.find(*class).index()];
                line(format_args!("root {root}: {place}, a term of size {size}"))?;
            }
            _ => line(format_args!("root {root}: no term that can be counted"))?,
        }
    }
    Ok(())
}

fn compare(one: &Path, other: &Path, json: bool) -> Result<ExitCode> {
    let graphs = [read(one)?.graph, read(other)?.graph];
    let found = diff(&graphs[0], &graphs[1]);
    let equal = found.only.iter().all(Vec::is_empty);
    let texts = |at: usize| -> Vec<String> {
        let class = |class: &ClassId| {
            let nodes: Vec<String> =
                graphs[at].nodes(*class).iter().map(ToString::to_string).collect();
            format!("{class}: {}", nodes.join(" | "))
        };
        found.only[at].iter().map(class).collect()
    };
    if json {
        output::json(&json!({ "same": found.same, "only": [texts(0), texts(1)] }))?;
    } else {
        line(format_args!("{} classes are the same", found.same))?;
        for (at, path) in [one, other].into_iter().enumerate() {
            for text in texts(at) {
                line(format_args!("only {}: {text}", path.display()))?;
            }
        }
    }
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::from(output::EXIT_DIFFERENT) })
}
