//! How many functions of wasm modules this backend takes, of all and of those with vector code in
//! loops, and why it refuses the others. With `--listing NAME` prints code of functions of that
//! name beside its tiles.
//!
//! `cargo run --release -p egraft-x64 --example coverage -- bench/kernels/*.wasm`

use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::Function;
use cranelift_codegen::loop_analysis::LoopAnalysis;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Whether `func` makes a vector in a loop.
fn has_vector_loop(func: &Function) -> bool {
    let cfg = ControlFlowGraph::with_function(func);
    let domtree = DominatorTree::with_function(func, &cfg);
    let mut loops = LoopAnalysis::new();
    loops.compute(func, &cfg, &domtree);
    func.layout.blocks().filter(|&block| loops.innermost_loop(block).is_some()).any(|block| {
        func.layout.block_insts(block).any(|inst| {
            let results = func.dfg.inst_results(inst);
            results.iter().any(|&value| func.dfg.value_type(value).is_vector())
        })
    })
}

#[derive(Default)]
struct Tally {
    functions: usize,
    taken: usize,
    bytes: usize,
    stock_bytes: usize,
    time: Duration,
    stock_time: Duration,
}

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut shown = None;
    if let Some(at) = arguments.iter().position(|argument| argument == "--listing") {
        arguments.remove(at);
        shown = (at < arguments.len()).then(|| arguments.remove(at));
    }
    let (mut all, mut vector) = (Tally::default(), Tally::default());
    let mut reasons: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let mut versions = 0;
    for path in &arguments {
        let wasm = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let captured = egraft_seam::capture(&wasmtime::Config::new(), &wasm)
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        for function in &captured.functions {
            let name = function.name.as_deref().unwrap_or(&function.symbol);
            let listing = shown.as_deref().is_some_and(|shown| name.contains(shown));
            let options = egraft_x64::Options { listing, ..Default::default() };
            let start = Instant::now();
            let result = egraft_x64::compile(&function.func, &*captured.isa, &options);
            let time = start.elapsed();
            let loops = has_vector_loop(&function.func);
            let mut tallies = vec![&mut all];
            if loops {
                tallies.push(&mut vector);
            }
            let stock = result.as_ref().ok().and_then(|_| {
                let mut context = cranelift_codegen::Context::for_function(function.func.clone());
                context.set_disasm(listing);
                let start = Instant::now();
                let code = context.compile(&*captured.isa, &mut Default::default()).ok()?;
                if let Some(text) = &code.vcode {
                    println!("{path}: stock code of {name}\n{text}");
                }
                Some((code.code_buffer().len(), start.elapsed()))
            });
            for tally in tallies {
                tally.functions += 1;
                if let Ok(compiled) = &result {
                    tally.taken += 1;
                    tally.bytes += compiled.code_bytes;
                    tally.time += time;
                    if let Some((bytes, time)) = stock {
                        tally.stock_bytes += bytes;
                        tally.stock_time += time;
                    }
                }
            }
            match result {
                Ok(compiled) => {
                    versions += compiled.versions;
                    for reason in compiled.declined {
                        if reason != egraft_x64::Declined::NoVectors {
                            println!("{path}: {name}: a loop has one version: {reason}");
                        }
                    }
                    if let Some(listing) = compiled.listing {
                        println!("{path}: {name}\n{listing}");
                    }
                }
                Err(error) => {
                    let entry = reasons.entry(error.what).or_default();
                    entry.0 += 1;
                    entry.1 = format!("{path}: {name}: {}", error.place);
                }
            }
        }
    }
    println!("{versions} loops with a second version");
    for (what, tally) in [("functions", &all), ("functions with vector code in loops", &vector)] {
        println!(
            "{} of {} {what} taken ({:.1} %): {} bytes of code in {:.1?}, stock {} in {:.1?}",
            tally.taken,
            tally.functions,
            100.0 * tally.taken as f64 / tally.functions.max(1) as f64,
            tally.bytes,
            tally.time,
            tally.stock_bytes,
            tally.stock_time,
        );
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    for (what, (count, example)) in reasons {
        println!("{count:6} {what}\n       {example}");
    }
}
