//! Random loops at the ends of memory: results, traps and memory after them are those of stock's AArch64 code.
//!
//! `EGRAFT_MODULES=N` compares N modules.

#[path = "common/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod common;
#[path = "common/instance.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod instance;

use common::can_run;
use egraft::Effort;
use egraft_testkit::fuzz::{Case, bytes_of};
use egraft_testkit::generate::Kind;
use instance::{call, compiled};
use wasmtime::{Engine, Instance, Module, Store};

#[test]
fn loops_end_as_stock_code_does() {
    if !can_run() {
        return;
    }
    let modules: u64 = std::env::var("EGRAFT_MODULES")
        .map_or(60, |count| count.parse().expect("EGRAFT_MODULES is a number"));
    let engine = Engine::default();
    let (mut calls, mut traps, mut fast_loops) = (0, 0, 0);
    for seed in 0..modules {
        let bytes = bytes_of(Kind::Loops, 0, seed);
        let Some(Case { wasm, .. }) = Case::from_bytes(Kind::Loops, &bytes) else { continue };
        let host = Module::new(&engine, &wasm).expect("it compiles");
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &host, &[]).expect("it starts");
        let memory = instance.get_memory(&mut store, "memory").expect("it has memory");
        let memory = memory.data(&store).to_vec();
        let [stock, own] =
            [Effort::Stock, Effort::Fast].map(|effort| compiled(&wasm, "baseline", effort));
        fast_loops +=
            own.report.functions.iter().map(|function| function.fast_loops).sum::<usize>();
        let names = host.exports().map(|export| export.name().to_owned());
        for name in names.filter(|name| name.starts_with("call")) {
            let [stock, own] =
                [&stock, &own].map(|code| call("loops", &wasm, &code.cwasm, &memory, (&name, 0)));
            calls += 1;
            traps += usize::from(!stock.returned);
            assert_eq!(own.returned, stock.returned, "seed {seed}, {name}");
            assert_eq!(own.results, stock.results, "seed {seed}, {name}");
            let differs = own.memory.iter().zip(&stock.memory).position(|(a, b)| a != b);
            assert_eq!(differs, None, "seed {seed}, {name}: memory differs");
            assert_eq!(own.memory.len(), stock.memory.len());
        }
    }
    println!("{modules} modules, {calls} calls, {traps} traps, {fast_loops} fast loops");
    assert!(modules < 60 || traps > 40 && fast_loops > 8, "{traps} traps, {fast_loops} fast loops");
}
