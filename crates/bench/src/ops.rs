//! How much vector work a kernel's wasm does in a call, counted by Wasmtime's fuel.
//!
//! Each vector operation that computes costs 4, the 32-bit lanes that it has, whatever its own lanes; all
//! else is free: scalars, which are mostly addresses and counters, and what only moves lanes.

use crate::serve::{InProcess, WasmHost};
use egraft_kernels::{Kernel, Layout};
use serde_json::Value;
use wasmtime::{Config, OperatorCost, OptLevel};

/// What a vector operation counts.
const LANES: u8 = 4;
/// Types at the start of the names of vector operations.
const SHAPES: [&str; 7] = ["I8x16", "I16x8", "I32x4", "I64x2", "F32x4", "F64x2", "V128"];
/// What only moves lanes, or makes constants.
const MOVES: [&str; 8] =
    ["Load", "Store", "Const", "Splat", "Lane", "Shuffle", "Swizzle", "Bitmask"];

/// 32-bit lane operations of one call of `kernel`; `None` if it has none, or cannot be run so.
pub fn lane_ops(kernel: &Kernel, size: usize) -> Option<u64> {
    // Wasmtime also takes fuel for each function entered, the same in both runs.
    let ops = fuel(kernel, size, 2 * LANES)? - fuel(kernel, size, LANES)?;
    (ops > 0).then_some(ops)
}

/// The fuel of one call, if a vector operation that computes takes `cost` and all else nothing.
fn fuel(kernel: &Kernel, size: usize, cost: u8) -> Option<u64> {
    let mut config = Config::new();
    config.consume_fuel(true).operator_cost(costs(cost)?).cranelift_opt_level(OptLevel::None);
    let mut host = InProcess::new(WasmHost::new(config, None, Default::default()));
    host.load(&kernel.wasm).ok()?;
    // A module without initialisers lacks this.
    let _ = host.call("__wasm_call_ctors", &[]);
    let layout = Layout::new(&mut host, kernel.size(size).ok()?).ok()?;
    layout.prepare(&mut host).ok()?;
    let before = host.host.fuel()?;
    let (result, _) = host.call(&format!("{}_argv", kernel.func), &[layout.arguments()]).ok()?;
    let after = host.host.fuel()?;
    (result == 0).then(|| before - after)
}

/// The table, made of Wasmtime's own by the operators' names.
fn costs(lanes: u8) -> Option<OperatorCost> {
    let mut table = serde_json::to_value(OperatorCost::new()).ok()?;
    let computes = |name: &str| {
        SHAPES.iter().any(|shape| name.starts_with(shape))
            && !MOVES.iter().any(|word| name.contains(word))
    };
    for (name, cost) in table.as_object_mut()? {
        match cost {
            Value::Number(_) => *cost = if computes(name) { lanes } else { 0 }.into(),
            // Costs of bulk operations, by what they move.
            Value::Object(variable) => variable.values_mut().for_each(|cost| *cost = 0.into()),
            _ => {}
        }
    }
    serde_json::from_value(table).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn vector_operations_are_counted_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        // Two vector operations a turn, three turns; loads, stores, splats and scalars beside them.
        let wat = r#"(module
            (memory (export "memory") 1)
            (global $top (mut i32) (i32.const 1024))
            (func (export "malloc") (param i32) (result i32)
                global.get $top
                (global.set $top (i32.add (global.get $top) (local.get 0))))
            (func (export "f_argv") (param i32) (result i32)
                (local $left i32)
                (local.set $left (i32.const 3))
                (loop $next
                    (v128.store (i32.const 64) (i16x8.mul
                        (i16x8.add (v128.load (i32.const 64)) (i16x8.splat (local.get $left)))
                        (v128.const i32x4 1 2 3 4)))
                    (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
                (i32.const 0)))"#;
        std::fs::write(folder.path().join("f.wat"), wat).unwrap();
        let json = json!({ "name": "f", "func": "f", "wasm": "f.wat",
            "args": [{ "kind": "output", "name": "out", "type": "u8", "mins": [0], "extents": [4],
                       "strides": [1] }],
            "out_elems": 4 });
        let path = folder.path().join("f.json");
        let kernel = Kernel::parse(&path, json.to_string().as_bytes()).unwrap();
        assert_eq!(lane_ops(&kernel, 0), Some(3 * 2 * 4));
        assert_eq!(lane_ops(&kernel, 1), None);
    }
}
