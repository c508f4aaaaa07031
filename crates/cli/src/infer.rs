//! `egraft infer`: looks for rewrite rules, merges what shards judged, names the workloads.

use crate::args::{InferArgsCommon, InferCommand, InferMergeArgs, InferRunArgs};
use crate::output::{self, Table, line};
use anyhow::Result;
use egraft_egraph::{EGraph, Root};
use egraft_gpu::GpuInference;
use egraft_infer::{Engine, Options, Progress, Report, Schedule, Workload};
use egraft_ir::{Fingerprint, Node, Term};
use egraft_rules::{Interpreter, Match};
use std::process::ExitCode;
use std::sync::Arc;

/// A GPU as an engine of inference.
#[derive(Debug)]
struct OnGpu(GpuInference);

impl Engine for OnGpu {
    fn fingerprints(
        &self,
        ops: &[Node],
        values: &[u128],
        samples: usize,
        terms: &[Term],
    ) -> Vec<Option<Option<Fingerprint>>> {
        self.0.fingerprints(ops, values, samples, terms)
    }

    fn matches(
        &self,
        edition: u64,
        rules: &Interpreter<'_>,
        graph: &EGraph,
        roots: &[Root],
    ) -> Option<Vec<Match>> {
        self.0.matches(edition, rules, graph, roots)
    }
}

pub(crate) fn infer(command: &InferCommand) -> Result<ExitCode> {
    match command {
        InferCommand::Run(args) => run(args),
        InferCommand::Merge(args) => merge(args),
        InferCommand::List { json } => list(*json),
    }
}

fn options(common: &InferArgsCommon) -> Result<Options> {
    let schedule = match &common.phases {
        Some(path) => Schedule::read(path)?,
        None => Schedule::built_in(),
    };
    Ok(Options { timeout_ms: common.timeout, schedule, ..Options::default() })
}

/// The GPU, where one is asked for.
fn gpu(common: &InferArgsCommon, options: &mut Options) -> Option<Arc<OnGpu>> {
    let gpu =
        (common.matcher == egraft::Matcher::Gpu).then(|| Arc::new(OnGpu(GpuInference::new(None))));
    options.engine = gpu.clone().map(|gpu| gpu as Arc<dyn Engine>);
    gpu
}

fn run(args: &InferRunArgs) -> Result<ExitCode> {
    let workloads = Workload::named(&args.common.workloads)?;
    let mut options = options(&args.common)?;
    options.shard = args.shard.map(|shard| (shard.part, shard.parts));
    let gpu = gpu(&args.common, &mut options);
    let report = watched(|progress| {
        let (work, out) = (args.work.as_deref(), args.out.as_deref());
        Ok(egraft_infer::infer(&workloads, &options, work, out, progress)?)
    })?;
    show(&report, gpu.as_deref(), args.common.json)
}

fn merge(args: &InferMergeArgs) -> Result<ExitCode> {
    let workloads = Workload::named(&args.common.workloads)?;
    let mut options = options(&args.common)?;
    let gpu = gpu(&args.common, &mut options);
    let report = watched(|progress| {
        Ok(egraft_infer::merge(&workloads, &options, &args.folders, &args.out, progress)?)
    })?;
    show(&report, gpu.as_deref(), args.common.json)
}

/// Shows how far the work is.
fn watched(work: impl FnOnce(&(dyn Fn(Progress<'_>) + Sync)) -> Result<Report>) -> Result<Report> {
    let bar = output::progress(0, "candidates");
    let report = work(&|at: Progress<'_>| {
        bar.set_length(at.of as u64);
        bar.set_position(at.done as u64);
        bar.set_message(format!("of {}; {} equalities kept", at.workload, at.kept));
    });
    bar.finish_and_clear();
    report
}

fn show(report: &Report, gpu: Option<&OnGpu>, as_json: bool) -> Result<ExitCode> {
    if as_json {
        output::json(report)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&[
        "workload",
        ">seconds",
        ">terms",
        ">candidates",
        ">proven",
        ">refuted",
        ">unknown",
        ">derivable",
        ">kept",
    ]);
    for one in &report.workloads {
        table.row(vec![
            one.workload.clone(),
            format!("{:.1}", one.seconds),
            one.terms.to_string(),
            one.candidates.to_string(),
            one.proven.to_string(),
            one.refuted.to_string(),
            one.unknown.to_string(),
            one.derivable.to_string(),
            one.kept.to_string(),
        ]);
    }
    line(table)?;
    line(format_args!(
        "\n{} rules from {} equalities, {} of them with conditions; {} more followed from others in \
         the end; {:.1} s",
        report.rules, report.equalities, report.conditional, report.shrunk, report.seconds
    ))?;
    match gpu.map(|gpu| gpu.0.share()) {
        None => {}
        Some(Ok(share)) => line(format_args!(
            "the GPU made {} of the fingerprints and searched {} times for matches",
            share.terms, share.searches
        ))?,
        Some(Err(reason)) => line(format_args!("the CPU inferred: {reason}"))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(as_json: bool) -> Result<ExitCode> {
    let workloads = Workload::built_in();
    if as_json {
        output::json(&workloads)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["workload", "family", "base", ">size", ">premises", "about"]);
    for one in &workloads {
        table.row(vec![
            one.name.clone(),
            one.family.clone(),
            one.base.clone(),
            one.size.to_string(),
            one.premises.len().to_string(),
            one.about.clone(),
        ]);
    }
    line(table)?;
    Ok(ExitCode::SUCCESS)
}
