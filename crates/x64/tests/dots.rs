//! Dot products with an accumulator: found in all their shapes, equal to stock on random operands.

mod common;

use common::state::{Side, compare_call};
use egraft_x64::Options;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use wasmtime::{Engine, Module, Val};

const RUNS: u32 = 100;

/// Bytes of local 0, unsigned, in words: the lower and the upper ones.
const UNSIGNED: [&str; 2] = [
    "(v128.and (local.get 0) (v128.const i16x8 255 255 255 255 255 255 255 255))",
    "(i16x8.shr_u (local.get 0) (i32.const 8))",
];
/// Bytes of local 1, signed, in words.
const SIGNED: [&str; 2] = [
    "(i16x8.shr_s (i16x8.shl (local.get 1) (i32.const 8)) (i32.const 8))",
    "(i16x8.shr_s (local.get 1) (i32.const 8))",
];

fn dot(one: &str, other: &str) -> String {
    format!("(i32x4.dot_i16x8_s {one} {other})")
}

fn sum(one: &str, other: &str) -> String {
    format!("(i32x4.add {one} {other})")
}

/// A function of three vectors.
fn function(body: &str) -> String {
    format!("(module (func (export \"f\") (param v128 v128 v128) (result v128) {body}))")
}

/// A loop of `accumulators` accumulators, each of which adds what `turn` makes of it; their exclusive or.
fn accumulating(accumulators: usize, turn: impl Fn(&str) -> String) -> String {
    let name = |at: usize| 4 + at;
    let locals = "v128 ".repeat(accumulators);
    let mut turns = String::new();
    let mut result = "(local.get 2)".to_owned();
    for at in (0..accumulators).map(name) {
        let next = turn(&format!("(local.get {at})"));
        turns.push_str(&format!("(local.set {at} {next}) "));
        result = format!("(v128.xor {result} (local.get {at}))");
    }
    format!(
        "(module (func (export \"f\") (param v128 v128 v128) (result v128) (local i32 {locals})
           (loop {turns}
             (local.set 0 (i32x4.add (local.get 0) (local.get 1)))
             (local.set 1 (v128.xor (local.get 1) (local.get 2)))
             (local.set 3 (i32.add (local.get 3) (i32.const 1)))
             (br_if 0 (i32.lt_u (local.get 3) (i32.and (i32x4.extract_lane 0 (local.get 2)) (i32.const 31)))))
           {result}))"
    )
}

/// Whether this machine and Cranelift's flags for it have dot products.
fn has_dots() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::is_x86_feature_detected!("avx512bitalg")
            && std::is_x86_feature_detected!("avx512dq")
            && std::is_x86_feature_detected!("avx512vl")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// How many of each dot product are in the code, which must do what stock's does.
fn check(wat: &str) -> [usize; 2] {
    let wasm = wat::parse_str(wat).unwrap();
    let config = common::config();
    let engine = Engine::new(&config).unwrap();
    let captured = egraft_seam::capture(&config, &wasm).unwrap();
    let options = Options { listing: true, ..Options::default() };
    let compiled = egraft_x64::compile(&captured.functions[0].func, &*captured.isa, &options);
    let listing = compiled.unwrap().listing.unwrap().to_string();
    let (ours, _) = common::compile(&config, &engine, &wasm);
    let stock = Module::new(&engine, &wasm).unwrap();
    let mut sides = [&stock, &ours].map(|module| Side::new(&engine, module).unwrap());
    let mut rng = SmallRng::seed_from_u64(0);
    for _ in 0..RUNS {
        // Bytes at the ends of their ranges are frequent.
        let mut byte = || match rng.random_range(0..8) {
            0 => 0x80,
            1 => 0x7f,
            2 => 0xff,
            3 => 0,
            _ => rng.random(),
        };
        let mut vector = || u128::from_le_bytes(std::array::from_fn(|_| byte()));
        let args = [(); 3].map(|()| Val::V128(vector().into()));
        compare_call(&mut sides, "f", &args).unwrap_or_else(|error| panic!("{wat}\n{error}"));
    }
    ["vpdpbusd", "vpdpwssd"].map(|name| listing.matches(&format!("{name} ")).count())
}

#[test]
fn sums_of_byte_products() {
    if !common::supported() {
        return;
    }
    let found = usize::from(has_dots());
    let [even, odd] = [0, 1].map(|at| dot(UNSIGNED[at], SIGNED[at]));
    let [even_swapped, odd_swapped] = [0, 1].map(|at| dot(SIGNED[at], UNSIGNED[at]));
    let accumulator = "(local.get 2)";
    for body in [
        sum(accumulator, &sum(&even, &odd)),
        sum(&sum(&odd, &even), accumulator),
        sum(&sum(accumulator, &even), &odd),
        sum(&odd, &sum(&even, accumulator)),
        sum(&sum(&odd_swapped, accumulator), &even),
        sum(&even_swapped, &odd_swapped),
        sum(&odd_swapped, &even),
    ] {
        assert_eq!(check(&function(&body)), [found, 0], "{body}");
    }
}

#[test]
fn what_is_nearly_a_sum_of_byte_products() {
    if !common::supported() {
        return;
    }
    let [even, odd] = [0, 1].map(|at| dot(UNSIGNED[at], SIGNED[at]));
    let both_signed = [0, 1].map(|at| dot(&SIGNED[at].replace("get 1", "get 0"), SIGNED[at]));
    let other = |text: &str| text.replace("get 1", "get 2");
    for body in [
        // Even bytes twice, both signed, of different vectors, shifted and masked otherwise.
        sum(&even, &even),
        sum(&both_signed[0], &both_signed[1]),
        sum(&even, &other(&odd)),
        sum(&even, &dot(SIGNED[1], UNSIGNED[0])),
        sum(&even.replace("const 8", "const 7"), &odd),
        sum(&even.replace("255 255))", "255 254))"), &odd),
        sum(&even, &odd.replace("shr_u", "shr_s")),
    ] {
        let [bytes, _] = check(&function(&body));
        assert_eq!(bytes, 0, "{body}");
    }
}

#[test]
fn sums_of_word_products() {
    if !common::supported() {
        return;
    }
    let found = usize::from(has_dots());
    let product = dot("(local.get 0)", "(local.get 1)");
    assert_eq!(
        check(&function(&sum("(local.get 2)", &sum("(local.get 0)", &product)))),
        [0, found]
    );
    assert_eq!(check(&function(&sum(&product, "(v128.not (local.get 2))"))), [0, found]);
    assert_eq!(check(&function(&product)), [0, 0]);
}

#[test]
fn few_accumulators_of_a_loop_do_not_wait() {
    if !common::supported() {
        return;
    }
    // What is added depends on the accumulator, so that no two add the same.
    let bytes = |accumulator: &str| {
        let half = |at: usize| dot(&UNSIGNED[at].replace("(local.get 0)", accumulator), SIGNED[at]);
        sum(accumulator, &sum(&half(0), &half(1)))
    };
    let words = |accumulator: &str| sum(accumulator, &dot(accumulator, "(local.get 1)"));
    assert_eq!(check(&accumulating(1, bytes))[0] > 0, has_dots());
    assert_eq!(check(&accumulating(9, bytes))[0] > 0, has_dots());
    assert_eq!(check(&accumulating(1, words)), [0, 0]);
    assert_eq!(check(&accumulating(9, words))[1] > 0, has_dots());
}
