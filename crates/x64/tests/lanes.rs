//! Vector operations that wasm lacks and compilers therefore write lane by lane: found again, and
//! equal to stock for all counts.

mod common;

use common::state::{Side, compare_call};
use egraft_x64::Options;
use wasmtime::{Config, Engine, Module, Val};

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

/// What to compile with and to run on, if this machine can.
fn machine() -> Option<(Config, Engine)> {
    if !common::supported() {
        eprintln!("skipped: this machine has no AVX2, BMI1 or BMI2");
        return None;
    }
    let config = common::config();
    let engine = Engine::new(&config).unwrap();
    Some((config, engine))
}

/// Stock's module beside ours.
fn sides(engine: &Engine, wasm: &[u8], ours: &Module) -> [Side; 2] {
    let stock = Module::new(engine, wasm).unwrap();
    [&stock, ours].map(|module| Side::new(engine, module).unwrap())
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
    let Some((config, engine)) = machine() else { return };
    let mut found = 0;
    for (lanes, op) in
        [(4, "shl"), (4, "shr_u"), (4, "shr_s"), (2, "shl"), (2, "shr_u"), (2, "shr_s")]
    {
        let wat = shifts(lanes, op);
        let wasm = wat::parse_str(&wat).unwrap();
        found += usize::from(tiles(&wasm).contains("of shifts of lanes"));
        let (ours, _) = common::compile(&config, &engine, &wasm);
        let mut sides = sides(&engine, &wasm, &ours);
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

/// Floats among which minima and maxima take all their ways, as bits of an `f64`.
const SPECIAL: [u64; 14] = [
    0,
    1 << 63,
    0x3ff0_0000_0000_0000,
    0xbff0_0000_0000_0000,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x7ff8_0000_0000_0000,
    0xfff8_0000_0000_0000,
    0x7ffc_dead_beef_0001,
    0xfffa_0000_0000_0001,
    0x7ff0_0000_4000_0000,
    0xfff4_0000_2000_0000,
    1,
    0x4009_21fb_5444_2d18,
];

/// The same with the bits of an `f32`; NaNs stay NaNs of the same kind.
fn single(bits: u64) -> u32 {
    let (sign, exponent) = ((bits >> 32) as u32 & 0x8000_0000, bits >> 52 & 0x7ff);
    match exponent {
        0x7ff => sign | 0x7f80_0000 | ((bits >> 29) as u32 & 0x007f_ffff),
        0 => sign | (bits as u32 & 1),
        _ => (f64::from_bits(bits) as f32).to_bits(),
    }
}

/// `f` for each pair of ways and constants: minima and maxima that read one another's results.
fn min_max(shape: &str) -> String {
    let lanes = if shape == "f32x4" { 4 } else { 2 };
    let mut functions = String::new();
    let splat = |value: &str| format!("(v128.const {shape}{})", format!(" {value}").repeat(lanes));
    let mixed = match lanes {
        4 => format!("(v128.const {shape} 0 -0 1 -1)"),
        _ => format!("(v128.const {shape} 0 -1)"),
    };
    let zeros_and_more = match lanes {
        4 => format!("(v128.const {shape} 0 1 0 2)"),
        _ => format!("(v128.const {shape} -0 -1)"),
    };
    let bounds = [splat("0"), splat("-0"), splat("1"), splat("-2.5"), mixed, zeros_and_more];
    let mut count = 0;
    let mut add = |body: String| {
        functions += &format!(
            "(func (export \"f{count}\") (param v128 v128) (result v128) (local v128) {body})\n"
        );
        count += 1;
    };
    let (x, y) = ("(local.get 0)", "(local.get 1)");
    for inner in ["min", "max"] {
        let of = |op: &str, a: &str, b: &str| format!("({shape}.{op} {a} {b})");
        add(of(inner, x, y));
        for outer in ["min", "max"] {
            add(of(outer, &of(inner, x, y), x));
            // Read by a minimum and by something else.
            let both = of(outer, "(local.get 2)", y);
            add(format!("(local.set 2 {}) (v128.xor {both} (local.get 2))", of(inner, x, y)));
            for bound in &bounds {
                add(of(inner, x, bound));
                add(of(inner, bound, x));
                add(of(outer, &of(inner, x, bound), y));
                add(of(outer, &of(inner, bound, x), &bounds[2]));
                add(of(outer, bound, &of(inner, &bounds[0], x)));
                add(of(outer, &of(inner, x, y), bound));
            }
        }
    }
    format!("(module {functions})")
}

#[test]
fn minima_and_maxima_of_special_floats() {
    let Some((config, engine)) = machine() else { return };
    for shape in ["f32x4", "f64x2"] {
        let wasm = wat::parse_str(min_max(shape)).unwrap();
        let (ours, backend) = common::compile(&config, &engine, &wasm);
        let functions = ours.exports().len();
        assert_eq!(backend.taken.into_inner().unwrap(), functions);
        let mut sides = sides(&engine, &wasm, &ours);
        for function in 0..functions {
            for (at, x) in SPECIAL.iter().enumerate() {
                for turn in 0..SPECIAL.len() {
                    let y = SPECIAL[(at + turn) % SPECIAL.len()];
                    let next = SPECIAL[(at + turn + 1) % SPECIAL.len()];
                    let pack = |low: u64, high: u64| match shape {
                        "f32x4" => {
                            let (low, high) = (u128::from(single(low)), u128::from(single(high)));
                            low | high << 32 | high << 64 | low << 96
                        }
                        _ => u128::from(low) | u128::from(high) << 64,
                    };
                    let args = [pack(*x, *x), pack(y, next)].map(|bits| Val::V128(bits.into()));
                    compare_call(&mut sides, &format!("f{function}"), &args)
                        .unwrap_or_else(|error| panic!("{shape} f{function}: {error}"));
                }
            }
        }
    }
}

/// A function that stores the columns of `rows` rows of 16 bytes, each put together one lane after the
/// other, as LLVM writes it.
fn transpose(rows: usize) -> String {
    let width = 16 / rows;
    let bytes: String = (0..256).map(|byte| format!("\\{byte:02x}")).collect();
    let mut text = format!(
        "(module (memory (export \"memory\") 1) (data (i32.const 0) \"{bytes}\") (func (export \"f\")"
    );
    for row in 0..rows {
        text += &format!("(local $r{row} v128)");
    }
    for row in 0..rows {
        text += &format!("(local.set $r{row} (v128.load offset={} (i32.const 0)))", row * 16);
    }
    for column in 0..rows {
        let mut vector = "(local.get $r0)".to_owned();
        for row in 1..rows {
            let lane = |at: usize| match (at / width, row) {
                // The first lane comes along with the second one.
                (0, 1) => column * width + at % width,
                (lane, row) if lane == row => 16 + column * width + at % width,
                (lane, row) if lane > row => at % width,
                _ => at,
            };
            let mask: Vec<String> = (0..16).map(|at| lane(at).to_string()).collect();
            vector = format!("(i8x16.shuffle {} {vector} (local.get $r{row}))", mask.join(" "));
        }
        text += &format!("(v128.store offset={} (i32.const 1024) {vector})", column * 16);
    }
    text + "))"
}

#[test]
fn columns_are_interleaved() {
    let Some((config, engine)) = machine() else { return };
    for rows in [4, 8, 16] {
        let wasm = wat::parse_str(transpose(rows)).unwrap();
        let interleavings = tiles(&wasm).matches("punpck").count();
        let stages = rows.ilog2() as usize;
        assert_eq!(interleavings, rows * stages, "{rows} rows");
        let (ours, _) = common::compile(&config, &engine, &wasm);
        let mut sides = sides(&engine, &wasm, &ours);
        compare_call(&mut sides, "f", &[]).unwrap_or_else(|error| panic!("{rows}: {error}"));
    }
}
