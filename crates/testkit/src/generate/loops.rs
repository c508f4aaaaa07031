//! Single loops that count and walk over memory, called with what a proof about them must not get
//! wrong: ends of memory, overlapping arrays, no turns or few, counters and addresses that wrap.
//!
//! Invariant: some access moves by a fixed distance with each turn, so a loop that counts for ever
//! soon leaves memory.

use crate::choices::Choices;
use std::fmt::Write;

const POINTERS: usize = 4;
const VECTORS: usize = 5;
const PAGE: i64 = 65536;

const BINARY: [&str; 24] = [
    "i8x16.add",
    "i8x16.add_sat_u",
    "i8x16.min_u",
    "i8x16.avgr_u",
    "i8x16.eq",
    "i8x16.narrow_i16x8_u",
    "i16x8.add",
    "i16x8.sub_sat_s",
    "i16x8.mul",
    "i16x8.max_s",
    "i16x8.narrow_i32x4_s",
    "i16x8.extmul_low_i8x16_u",
    "i16x8.extmul_high_i8x16_s",
    "i32x4.add",
    "i32x4.mul",
    "i32x4.dot_i16x8_s",
    "i32x4.gt_s",
    "i64x2.add",
    "i64x2.extmul_low_i32x4_u",
    "f32x4.add",
    "f32x4.mul",
    "f32x4.min",
    "v128.xor",
    "v128.andnot",
];

const UNARY: [&str; 12] = [
    "i16x8.extend_low_i8x16_u",
    "i16x8.extend_high_i8x16_u",
    "i16x8.extend_low_i8x16_s",
    "i32x4.extend_low_i16x8_s",
    "i32x4.extend_high_i16x8_s",
    "i32x4.extend_low_i16x8_u",
    "i32x4.extend_high_i16x8_u",
    "i32x4.extadd_pairwise_i16x8_s",
    "i8x16.abs",
    "f32x4.convert_i32x4_s",
    "i32x4.trunc_sat_f32x4_s",
    "v128.not",
];

const SHUFFLES: [&str; 4] = [
    "0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23",
    "8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31",
    "0 1 2 3 20 21 22 23 8 9 10 11 28 29 30 31",
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
];

/// Makes one module.
pub(super) fn module(choices: &mut Choices<'_>) -> Option<Vec<u8>> {
    let mut text = String::from(
        "(module (memory (export \"memory\") 1 3)
          (func $fill (local $p i32) (local $v i64)
            (local.set $v (i64.const 0x9e3779b97f4a7c15))
            (loop $next
              (i64.store (local.get $p) (local.get $v))
              (local.set $v (i64.add
                (i64.mul (local.get $v) (i64.const 6364136223846793005))
                (i64.const 1442695040888963407)))
              (br_if $next (i32.lt_u
                (local.tee $p (i32.add (local.get $p) (i32.const 8))) (i32.const 65536)))))
          (start $fill)\n",
    );
    function(choices, &mut text);
    for call in 0..6 + choices.below(6) {
        let pointers = pointers(choices);
        let few = [1, 2, 3, 4, 5, 7, 8, 9, 16, 20, 33, 64, 100, 200, 0, -1, 5000];
        let turns = *choices.pick(&few);
        let stride = *choices.pick(&[16, 0, 1, 4, 32, 64, 16, 100, 1000, -16, i32::MIN]);
        let first = *choices.pick(&[0, 0, 0, 1, 3, 16, -1, i32::MAX - 3, i32::MIN + 2]);
        let _ = write!(text, "(func (export \"call{call}\") (result i32 v128) (call $loop");
        for value in pointers.into_iter().chain([turns, stride, first]) {
            let _ = write!(text, " (i32.const {value})");
        }
        text += "))\n";
    }
    text += ")";
    wat::parse_str(&text).ok()
}

/// Where the arrays of a call are.
fn pointers(choices: &mut Choices<'_>) -> [i32; POINTERS] {
    let mut pointers = [0; POINTERS];
    for at in 0..POINTERS {
        let near = choices.below(160) as i64;
        pointers[at] = match choices.below(16) {
            0..=9 => at as i64 * 16384 + near,
            10 => PAGE - near,
            11 | 12 if at > 0 => i64::from(pointers[at - 1]) + near - 80,
            13 => -near,
            14 => PAGE - 1600 + near,
            _ => choices.below(PAGE as usize) as i64,
        } as i32;
    }
    pointers
}

fn function(choices: &mut Choices<'_>, text: &mut String) {
    *text += "(func $loop (param $p0 i32) (param $p1 i32) (param $p2 i32) (param $p3 i32)
        (param $n i32) (param $s i32) (param $i i32) (result i32 v128)
        (local $sum i32) (local $outer i32)";
    for vector in 0..VECTORS {
        let _ = write!(text, "(local $v{vector} v128)");
    }
    let nested = choices.one_in(4);
    *text += if nested { "\n(loop $again\n" } else { "\n" };
    // As few turns as are unrolled, or more.
    if choices.one_in(3) {
        let (turns, first) = (1 + choices.below(20), choices.pick(&[0, 0, 1, -2]));
        let _ = writeln!(text, "(local.set $n (i32.const {turns}))");
        let _ = writeln!(text, "(local.set $i (i32.const {first}))");
    }
    *text += "(loop $turn\n";
    // Keeps the invariant.
    let _ = writeln!(text, "(local.set $v0 (v128.load {}(local.get $p0)))", offset(choices));
    let stores = choices.below(4) > 0;
    for _ in 0..2 + choices.below(12) {
        statement(choices, text);
    }
    if stores {
        store(choices, text);
    }
    let fixed = [16, 16, 32, 8, 4, 48, -16, 64];
    for pointer in 0..POINTERS {
        let step = match choices.below(6) {
            0 if pointer > 0 => "(local.get $s)".to_owned(),
            1 if pointer > 0 => "(i32.const 0)".to_owned(),
            _ => format!("(i32.const {})", choices.pick(&fixed)),
        };
        let _ = writeln!(text, "(local.set $p{pointer} (i32.add (local.get $p{pointer}) {step}))");
    }
    let step = *choices.pick(&[1, 1, 2, 4, 16, 3]);
    let _ = match choices.below(8) {
        0..=2 => {
            write!(text, "(br_if $turn (local.tee $n (i32.sub (local.get $n) (i32.const {step}))))")
        }
        3 | 4 => write!(
            text,
            "(br_if $turn ({} (local.tee $i (i32.add (local.get $i) (i32.const {step}))) (local.get $n)))",
            choices.pick(&["i32.lt_s", "i32.lt_u", "i32.le_s", "i32.le_u", "i32.ne"])
        ),
        5 => write!(
            text,
            "(br_if $turn ({} (local.tee $n (i32.sub (local.get $n) (i32.const {step}))) (local.get $i)))",
            choices.pick(&["i32.gt_s", "i32.gt_u", "i32.ge_s", "i32.ge_u", "i32.ne"])
        ),
        6 => write!(
            text,
            "(local.set $i (i32.add (local.get $i) (i32.const {step})))
             (br_if $turn (i32.lt_s (i32.shl (local.get $i) (i32.const 2)) (local.get $n)))"
        ),
        _ => write!(
            text,
            "(br_if $turn (i32.lt_u (local.get $p0) (i32.add (local.get $p1) (local.get $n))))"
        ),
    };
    *text += ")\n";
    if nested {
        *text += "(local.set $n (i32.const 9))
            (br_if $again (i32.lt_u
              (local.tee $outer (i32.add (local.get $outer) (i32.const 1))) (i32.const 3))))\n";
    }
    *text += "(i32.add (i32.add (i32.add (local.get $p0) (local.get $p1))
        (i32.add (local.get $p2) (i32.mul (local.get $p3) (i32.const 3))))
        (i32.add (local.get $sum) (i32.xor (local.get $n) (local.get $i))))\n";
    let _ = writeln!(text, "(v128.xor (local.get $v0) (local.get $v{})))", VECTORS - 1);
}

fn offset(choices: &mut Choices<'_>) -> String {
    match choices.below(4) {
        0 => String::new(),
        1 => "offset=32 ".to_owned(),
        _ => format!("offset={} ", 16 * choices.below(5)),
    }
}

/// An address: a pointer, at times with something added before it is extended.
fn address(choices: &mut Choices<'_>) -> String {
    let pointer = choices.below(POINTERS);
    match choices.below(10) {
        5 => divided(choices, &format!("(local.get $p{pointer})")),
        6 | 7 => {
            let counter = divided(choices, "(local.get $i)");
            format!("(i32.add (local.get $p{pointer}) {counter})")
        }
        8 => {
            let bound = pointer as i64 * 16384 + choices.below(2000) as i64;
            clamped(choices, &format!("(local.get $p{pointer})"), &format!("(i32.const {bound})"))
        }
        9 => {
            let (scale, bound) = (choices.below(5), choices.pick(&["0", "5", "20", "100", "-1"]));
            let bound = format!("(i32.sub (i32.const {bound}) (local.get $s))");
            let counter = format!("(i32.shl (local.get $i) (i32.const {scale}))");
            let counter = clamped(choices, &counter, &bound);
            format!("(i32.add (local.get $p{pointer}) {counter})")
        }
        0 => format!(
            "(i32.add (local.get $p{pointer}) (i32.const {}))",
            choices.pick(&[-16, 16, 1, 48, -4])
        ),
        1 => format!(
            "(i32.add (local.get $p{pointer}) (i32.shl (local.get $s) (i32.const {})))",
            choices.below(3)
        ),
        _ => format!("(local.get $p{pointer})"),
    }
}

/// A quotient or a part of a value.
fn divided(choices: &mut Choices<'_>, of: &str) -> String {
    let count = choices.below(5);
    match choices.below(4) {
        0 => format!("(i32.shr_s {of} (i32.const {count}))"),
        1 => format!("(i32.shr_u {of} (i32.const {count}))"),
        2 => format!("(i32.and {of} (i32.const {}))", (1 << count) - 1),
        _ => format!("(i32.and (i32.const {}) {of})", -1 << count),
    }
}

/// The smaller or the larger of two values.
fn clamped(choices: &mut Choices<'_>, one: &str, other: &str) -> String {
    let compare = choices.pick(&["lt_s", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "ge_u"]);
    format!("(select {one} {other} (i32.{compare} {one} {other}))")
}

fn store(choices: &mut Choices<'_>, text: &mut String) {
    let (offset, address) = (offset(choices), address(choices));
    let vector = choices.below(VECTORS);
    let _ = match choices.below(6) {
        0 => writeln!(text, "(i32.store {offset}{address} (local.get $sum))"),
        1 => writeln!(text, "(v128.store64_lane {offset}1 {address} (local.get $v{vector}))"),
        2 => writeln!(text, "(i32.store8 {offset}{address} (local.get $i))"),
        _ => writeln!(text, "(v128.store {offset}{address} (local.get $v{vector}))"),
    };
}

fn statement(choices: &mut Choices<'_>, text: &mut String) {
    let to = choices.below(VECTORS);
    let vector = |choices: &mut Choices<'_>| format!("(local.get $v{})", choices.below(VECTORS));
    let value = match choices.below(18) {
        0..=3 => {
            let op = choices.pick(&[
                "v128.load",
                "v128.load",
                "v128.load",
                "v128.load8x8_u",
                "v128.load16x4_s",
                "v128.load32_splat",
                "v128.load64_zero",
                "v128.load8_splat",
            ]);
            format!("({op} {}{})", offset(choices), address(choices))
        }
        4..=8 => {
            let op = choices.pick(&BINARY);
            format!("({op} {} {})", vector(choices), vector(choices))
        }
        9 | 10 => format!("({} {})", choices.pick(&UNARY), vector(choices)),
        11 => {
            let lanes = choices.pick(&SHUFFLES);
            format!("(i8x16.shuffle {lanes} {} {})", vector(choices), vector(choices))
        }
        12 => {
            let op = choices.pick(&["i16x8.shr_u", "i32x4.shl", "i8x16.shr_s"]);
            format!("({op} {} (i32.const {}))", vector(choices), choices.below(9))
        }
        13 => return store(choices, text),
        14 => {
            let (offset, address) = (offset(choices), address(choices));
            let op = choices.pick(&["i32.load", "i32.load8_u", "i32.load16_s"]);
            let _ = writeln!(
                text,
                "(local.set $sum (i32.add (local.get $sum) ({op} {offset}{address})))"
            );
            return;
        }
        15 => {
            let (values, amounts) = (vector(choices), vector(choices));
            shifted_lanes(choices, &values, &amounts)
        }
        16 => {
            let (indices, onto) = (vector(choices), vector(choices));
            gathered(choices, &indices, &onto)
        }
        _ => format!("(i32x4.add {} (i32x4.splat (local.get $i)))", vector(choices)),
    };
    let _ = writeln!(text, "(local.set $v{to} {value})");
}

/// Lanes of `values`, each shifted by the same lane of `amounts`.
fn shifted_lanes(choices: &mut Choices<'_>, values: &str, amounts: &str) -> String {
    let (shape, scalar, lanes) = *choices.pick(&[("i32x4", "i32", 4), ("i64x2", "i64", 2)]);
    let op = choices.pick(&["shl", "shr_u", "shr_s"]);
    let amounts = match choices.one_in(2) {
        true => format!("(v128.and {amounts} ({shape}.splat ({scalar}.const 15)))"),
        false => amounts.to_owned(),
    };
    let mut made = String::new();
    for lane in 0..lanes {
        let [value, amount] =
            [values, &amounts].map(|vector| format!("({shape}.extract_lane {lane} {vector})"));
        let shifted = format!("({scalar}.{op} {value} {amount})");
        made = match lane {
            0 => format!("({shape}.splat {shifted})"),
            _ => format!("({shape}.replace_lane {lane} {made} {shifted})"),
        };
    }
    made
}

/// Lanes loaded from where `indices` say, put into `onto`, or into a vector of their own.
fn gathered(choices: &mut Choices<'_>, indices: &str, onto: &str) -> String {
    let (bits, all) = *choices.pick(&[(8, 16), (16, 8), (32, 4)]);
    let few = [3, 4, 4, all / 2, all, all];
    let count = *choices.pick(&few);
    let near = |bits: i32| format!("(v128.and {indices} (i32x4.splat (i32.const {bits})))");
    let mut indices = match choices.below(8) {
        0 => indices.to_owned(),
        1 => near(0xffff),
        _ => near(0xfff),
    };
    for _ in 0..choices.below(3) {
        let more = choices.pick(&["(i32.const 5)", "(local.get $s)", "(local.get $i)"]);
        indices = format!("(i32x4.add (i32x4.splat {more}) {indices})");
    }
    let (offset, base) = (offset(choices), address(choices));
    let scale = choices.below(3);
    let loaded_at = |lane: i32| {
        let index = format!("(i32x4.extract_lane {} {indices})", lane % 4);
        let index = match scale {
            0 => index,
            _ => format!("(i32.shl {index} (i32.const {scale}))"),
        };
        format!("{offset}(i32.add {base} {index})")
    };
    let shape = ["i8x16", "i16x8", "i32x4"][bits as usize / 16];
    let load = ["i32.load8_u", "i32.load16_u", "i32.load"][bits as usize / 16];
    let is_scalar = choices.one_in(2);
    let mut made = match choices.below(3) {
        0 => onto.to_owned(),
        1 => format!("(v128.load{bits}_splat {})", loaded_at(0)),
        _ => "(v128.const i64x2 0 0)".to_owned(),
    };
    for lane in 0..count {
        let at = loaded_at(lane);
        made = match is_scalar {
            true => format!("({shape}.replace_lane {lane} {made} ({load} {at}))"),
            false => {
                let (offset, address) = at.split_at(at.find('(').expect("an address"));
                format!("(v128.load{bits}_lane {offset}{lane} {address} {made})")
            }
        };
    }
    match (bits, choices.below(3)) {
        (8, 0) => format!("(i16x8.extend_low_i8x16_u {made})"),
        (8, 1) => format!("(i32x4.extend_low_i16x8_s (i16x8.extend_low_i8x16_u {made}))"),
        (16, 0) => format!("(i32x4.extend_low_i16x8_u {made})"),
        _ => made,
    }
}
