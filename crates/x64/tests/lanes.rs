//! Vector operations that wasm lacks and compilers therefore write lane by lane: found again, and
//! equal to stock for all counts.

mod common;

use common::state::{Side, compare_call};
use egraft_x64::Options;
use wasmtime::{Engine, Module, Val};

/// A function that shifts each lane of its first argument by the lane of its second.
fn shifts(lanes: usize, op: &str) -> String {
    let (ty, shape) = if lanes == 4 { ("i32", "i32x4") } else { ("i64", "i64x2") };
    let lane = |at: usize| {
        format!(
            "({ty}.{op} ({shape}.extract_lane {at} (local.get 0)) ({shape}.extract_lane {at} (local.get 1)))"
        )
    };
    let mut vector = format!("({shape}.splat {})", lane(0));
    for at in 1..lanes {
        vector = format!("({shape}.replace_lane {at} {vector} {})", lane(at));
    }
    format!("(module (func (export \"f\") (param v128 v128) (result v128) {vector}))")
}

/// The tiles in the code of a module's only function.
fn tiles(wasm: &[u8]) -> String {
    let captured = egraft_seam::capture(&common::config(), wasm).unwrap();
    let options = Options { listing: true, ..Options::default() };
    let compiled = egraft_x64::compile(&captured.functions[0].func, &*captured.isa, &options);
    compiled.unwrap().listing.unwrap().to_string()
}

#[test]
fn shifts_of_lanes_by_lanes() {
    if !common::supported() {
        eprintln!("skipped: this machine has no AVX2, BMI1 or BMI2");
        return;
    }
    let config = common::config();
    let engine = Engine::new(&config).unwrap();
    let mut found = 0;
    for (lanes, op) in
        [(4, "shl"), (4, "shr_u"), (4, "shr_s"), (2, "shl"), (2, "shr_u"), (2, "shr_s")]
    {
        let wat = shifts(lanes, op);
        let wasm = wat::parse_str(&wat).unwrap();
        found += usize::from(tiles(&wasm).contains("of shifts of lanes"));
        let stock = Module::new(&engine, &wasm).unwrap();
        let (ours, _) = common::compile(&config, &engine, &wasm);
        let mut sides = [&stock, &ours].map(|module| Side::new(&engine, module).unwrap());
        for count in 0..70_u128 {
            let counts = count | (count + 7) << 32 | (31 << 64) | (0xffff_ffe1 << 96);
            let value = 0x8123_4567_89ab_cdef_fedc_ba98_7654_3210_u128.rotate_left(count as u32);
            let args = [value, counts].map(|bits| Val::V128(bits.into()));
            compare_call(&mut sides, "f", &args).unwrap_or_else(|error| panic!("{op}: {error}"));
        }
    }
    // There is no shift of 64-bit lanes that keeps the sign.
    assert_eq!(found, 5);
}
