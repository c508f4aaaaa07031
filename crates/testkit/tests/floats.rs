//! Minima, maxima, bounds and conversions of floats over NaNs, infinities, zeros of both signs and numbers at the edges of
//! integers: what is known of floats makes code cheaper, and leaves the memory that stock Wasmtime's leaves.

use egraft::{Backend, ConfigExt, Effort, Options};
use std::fmt::Write;
use wasmtime::{Config, Engine, Instance, Module, Store};

/// Bytes between the parts of memory: three operands and the result.
const PART: usize = 0x1_0000;

/// Singles that are likely to hurt.
const EDGES: [u32; 24] = [
    0x0000_0000,
    0x8000_0000,
    0x0000_0001,
    0x8000_0001,
    0x3f80_0000,
    0xbf80_0000,
    0x3f00_0000,
    0xbf7f_ffff,
    0x437f_0000,
    0x437f_8000,
    0xc300_0000,
    0xc300_8000,
    0x477f_ff00,
    0x4eff_ffff,
    0x4f00_0000,
    0xcf00_0000,
    0xcf00_0001,
    0x4f80_0000,
    0x7f7f_ffff,
    0x7f80_0000,
    0xff80_0000,
    0x7fc0_0000,
    0xffc1_2345,
    0x7f81_2345,
];

/// The operands' bytes: all pairs of edges in the first two, in turn with every edge in the third.
fn operands() -> Vec<u8> {
    let lanes = EDGES.len() * EDGES.len() * 2;
    assert!(lanes * 4 <= PART);
    let mut memory = vec![0; 3 * PART];
    for lane in 0..lanes {
        let edge = |at: usize| EDGES[at % EDGES.len()];
        let (x, y) = (edge(lane), edge(lane / EDGES.len()));
        let z = edge(lane * 7 + lane / EDGES.len() * 5 + lane / (EDGES.len() * EDGES.len()));
        for (part, bits) in [x, y, z].into_iter().enumerate() {
            let at = part * PART + 4 * lane;
            memory[at..at + 4].copy_from_slice(&bits.to_le_bytes());
        }
    }
    memory
}

/// Expressions over operands `$x`, `$y`, `$z` and their low bytes as floats, `$bx` and `$by`.
fn floats() -> Vec<String> {
    let constant = |x: &str| format!("(v128.const f32x4 {x} {x} {x} {x})");
    let (zero, minus_zero) = (constant("0"), constant("-0"));
    let (low, high, byte) = (constant("-128"), constant("65535"), constant("255"));
    let (three, seven) = (constant("0.3"), constant("0.7"));
    let min = |x: &str, y: &str| format!("(f32x4.min {x} {y})");
    let max = |x: &str, y: &str| format!("(f32x4.max {x} {y})");
    let (x, y, z) = ("(local.get $x)", "(local.get $y)", "(local.get $z)");
    let (bx, by) = ("(local.get $bx)", "(local.get $by)");
    let clamped = max(&min(x, &byte), &low);
    vec![
        min(x, y),
        max(x, y),
        max(&min(x, y), z),
        min(&max(x, y), &max(y, z)),
        min(x, &minus_zero),
        min(x, &zero),
        max(x, &zero),
        max(x, &minus_zero),
        max(&min(x, &byte), &zero),
        min(&max(x, &zero), &high),
        min(&max(x, &minus_zero), &byte),
        format!("(f32x4.floor {clamped})"),
        format!("(f32x4.ceil {clamped})"),
        format!("(f32x4.abs {clamped})"),
        format!("(f32x4.neg {clamped})"),
        format!("(f32x4.sub {clamped} {bx})"),
        format!("(f32x4.pmax (f32x4.pmin {x} {byte}) {zero})"),
        min(bx, by),
        max(bx, by),
        max(bx, &format!("(f32x4.neg {by})")),
        min(&format!("(f32x4.neg {bx})"), &format!("(f32x4.neg {by})")),
        max(&format!("(f32x4.sub {bx} {by})"), &zero),
        format!("(f32x4.add (f32x4.mul {bx} {three}) (f32x4.mul {by} {seven}))"),
        format!("(f32x4.div {bx} {byte})"),
        format!("(f32x4.sqrt {bx})"),
        format!("(f32x4.mul {bx} {x})"),
        max(&format!("(f32x4.splat (f32x4.extract_lane 1 {x}))"), y),
    ]
}

/// What reads them.
fn readers(float: &str) -> Vec<String> {
    let z = "(local.get $z)";
    let byte = "(v128.const i32x4 255 255 255 255)";
    let signed = |of: &str| format!("(i32x4.trunc_sat_f32x4_s {of})");
    let short = |of: &str| format!("(i16x8.narrow_i32x4_s {} {})", signed(of), signed(z));
    vec![
        float.to_owned(),
        signed(float),
        format!("(i32x4.trunc_sat_f32x4_u {float})"),
        format!("(v128.and {} {byte})", signed(float)),
        signed(&format!("(f32x4.nearest {float})")),
        format!("(v128.xor {} {float})", signed(float)),
        format!("(f32x4.add (f32x4.convert_i32x4_s {}) {float})", signed(float)),
        format!("(i8x16.narrow_i16x8_u {} {})", short(float), short(float)),
        format!(
            "(i8x16.narrow_i16x8_u (i16x8.narrow_i32x4_s {0} {0}) (i16x8.narrow_i32x4_s {0} {0}))",
            signed(float)
        ),
        format!("(f32x4.lt {float} {z})"),
        format!("(f32x4.ge {float} {z})"),
        format!("(f32x4.ne {float} {float})"),
        format!("(v128.not (f32x4.le {z} {float}))"),
        format!("(f64x2.promote_low_f32x4 {float})"),
        format!(
            "(v128.or {z} (i32x4.splat (i32.trunc_sat_f32_s (f32.min (f32x4.extract_lane 0 {float}) \
             (f32x4.extract_lane 1 {float})))))"
        ),
        format!(
            "(f32x4.splat (f32.max (f32x4.extract_lane 0 {float}) (f32x4.extract_lane 2 {z})))"
        ),
    ]
}

/// One function for each expression and reader, over all operands.
fn module() -> (String, usize) {
    let end = EDGES.len() * EDGES.len() * 2 * 4;
    let mut text = String::from("(module (memory (export \"memory\") 4)\n");
    let mut count = 0;
    let load = |part: usize| format!("(v128.load offset={} (local.get $i))", part * PART);
    let as_float = |of: &str| {
        format!(
            "(f32x4.convert_i32x4_u (i32x4.extend_low_i16x8_u (i16x8.extend_low_i8x16_u {of})))"
        )
    };
    for float in floats() {
        for read in readers(&float) {
            let _ = write!(
                text,
                "(func (export \"f{count}\") (local $i i32) (local $x v128) (local $y v128) (local $z v128)\n\
                 (local $bx v128) (local $by v128)\n(loop $top\n\
                 (local.set $x {}) (local.set $y {}) (local.set $z {})\n\
                 (local.set $bx {}) (local.set $by {})\n\
                 (v128.store offset={} (local.get $i) {read})\n\
                 (br_if $top (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 16))) (i32.const {end})))))\n",
                load(0),
                load(1),
                load(2),
                as_float("(local.get $x)"),
                as_float("(local.get $y)"),
                3 * PART,
            );
            count += 1;
        }
    }
    text.push(')');
    (text, count)
}

/// What each function leaves behind the operands.
fn results(module: &Module, count: usize) -> Vec<Vec<u8>> {
    let mut store = Store::new(module.engine(), ());
    let instance = Instance::new(&mut store, module, &[]).unwrap();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    memory.write(&mut store, 0, &operands()).unwrap();
    let run = |at: usize| {
        let func = instance.get_typed_func::<(), ()>(&mut store, &format!("f{at}")).unwrap();
        func.call(&mut store, ()).unwrap();
        memory.data(&store)[3 * PART..].to_vec()
    };
    (0..count).map(run).collect()
}

#[test]
fn floats_equal_stock_to_the_bit() {
    let (text, count) = module();
    let stock = Module::new(&Engine::default(), &text).unwrap_or_else(|error| panic!("{error:?}"));
    let expected = results(&stock, count);
    for (backend, effort) in [
        (Backend::Auto, Effort::default()),
        (Backend::Cranelift, Effort::default()),
        (Backend::Auto, Effort::Saturate),
    ] {
        let mut config = Config::new();
        let mut options = Options::default();
        (options.backend, options.effort) = (backend, effort);
        let handle = config.egraft(options).unwrap();
        let engine = Engine::new(&config).unwrap();
        let wasm = wat::parse_str(&text).unwrap();
        let (module, report) = handle.module(&engine, &wasm).unwrap();
        assert_eq!(report.stock_module, None);
        let found = results(&module, count);
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let differs = found.iter().zip(expected).position(|(one, other)| one != other);
            if let Some(byte) = differs {
                let lane = byte / 16 * 16;
                panic!(
                    "{backend:?}, {effort:?}, function {at}, bytes from {lane} on: {:02x?} for {:02x?}",
                    &found[lane..lane + 16],
                    &expected[lane..lane + 16]
                );
            }
        }
        println!("{backend:?}, {effort:?}: {} of {count} functions taken", report.taken());
        assert!(report.taken() * 2 > count, "{} of {count}", report.taken());
    }
}
