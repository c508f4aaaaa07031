//! Calls, arguments, results, tables, traps in the middle of calls, large frames: what the calling
//! convention and the frame layout must get right, in modules where both compilers' code meets.

mod common;

use common::state::{Ending, Side, argument, compare_call};
use wasmtime::{Engine, Module};

/// Compiles `wat` both ways, calls every export with several arguments, and returns the endings.
fn check(wat: &str) -> Vec<Ending> {
    if !common::supported() {
        return Vec::new();
    }
    let mut config = common::config();
    config.wasm_tail_call(true);
    let engine = Engine::new(&config).unwrap();
    let stock = Module::new(&engine, wat).unwrap_or_else(|error| panic!("{error:?}"));
    let wasm = wat::parse_str(wat).unwrap();
    let (ours, backend) = common::compile(&config, &engine, &wasm);
    let refused = backend.refused.lock().unwrap();
    assert!(refused.is_empty(), "refused: {refused:?}");
    assert!(*backend.taken.lock().unwrap() > 0);
    let mut sides = [&stock, &ours].map(|module| Side::new(&engine, module).unwrap());
    let mut endings = Vec::new();
    for export in stock.exports() {
        let Some(ty) = export.ty().func().cloned() else { continue };
        for round in 0..8u64 {
            let args: Vec<_> = ty
                .params()
                .enumerate()
                .map(|(at, ty)| argument(&ty, round * 31 + at as u64 * 7))
                .collect();
            let ending = compare_call(&mut sides, export.name(), &args)
                .unwrap_or_else(|error| panic!("{error}"));
            endings.push(ending);
        }
    }
    endings
}

/// The types that signatures below go round.
const TYPES: [&str; 5] = ["i32", "i64", "f32", "f64", "v128"];

/// A module in which functions of every number of parameters up to `most` call each other with
/// all kinds of arguments and hand on as many results.
fn signatures(most: usize) -> String {
    let mut wat = String::from("(module\n");
    for count in 0..=most {
        let types: Vec<&str> = (0..count).map(|at| TYPES[(at + count) % 5]).collect();
        let joined = types.join(" ");
        // The callee answers its parameters in reverse order.
        let reversed: Vec<&str> = types.iter().rev().copied().collect();
        let body: String = (0..count).rev().map(|at| format!("(local.get {at}) ")).collect();
        wat += &format!(
            "(func $callee{count} (param {joined}) (result {}) {body})\n",
            reversed.join(" ")
        );
        // The caller calls twice, with locals that live across.
        let sent: String = (0..count).map(|at| format!("(local.get {at}) ")).collect();
        let kept: String = (0..count).map(|at| format!("(local.set {}) ", at + count)).collect();
        let back: String = (0..count).map(|at| format!("(local.get {}) ", at + count)).collect();
        wat += &format!(
            "(func (export \"call{count}\") (param {joined}) (result {joined}) \
             (local {joined}) {sent} (call $callee{count}) {kept} {back} \
             (call $callee{count}) {} {sent})\n",
            // The results of the second call come out reversed again: drop them.
            "drop ".repeat(count)
        );
    }
    wat + ")"
}

#[test]
fn arguments_and_results_of_all_counts() {
    let endings = check(&signatures(24));
    if common::supported() {
        assert!(endings.len() > 100);
    }
}

#[test]
fn recursion_with_stack_arguments() {
    check(
        r#"(module
        (func $sum (export "sum") (param i32 i64 f64 i32 i32 i32 i32 i32 i32 i64 v128) (result i64 v128)
          (local i64)
          (if (result i64 v128) (i32.le_s (local.get 0) (i32.const 0))
            (then (local.get 9) (local.get 10))
            (else
              (call $sum
                (i32.sub (i32.and (local.get 0) (i32.const 63)) (i32.const 1))
                (i64.add (local.get 1) (i64.const 3)) (local.get 2) (local.get 4) (local.get 5)
                (local.get 6) (local.get 7) (local.get 8) (local.get 3)
                (i64.add (local.get 9) (i64.extend_i32_u (local.get 3)))
                (i32x4.add (local.get 10) (i32x4.splat (local.get 7))))
              (local.set 10)
              (i64.add (local.get 1))
              (local.get 10)))))"#,
    );
}

#[test]
fn indirect_calls_and_their_traps() {
    let endings = check(
        r#"(module
        (type $unary (func (param i32) (result i32)))
        (table 8 funcref)
        (elem (i32.const 0) $double $square $other)
        (func $double (type $unary) (i32.shl (local.get 0) (i32.const 1)))
        (func $square (type $unary) (i32.mul (local.get 0) (local.get 0)))
        (func $other (result i64) (i64.const 7))
        (func (export "call") (param i32 i32) (result i32)
          (call_indirect (type $unary) (local.get 1) (local.get 0)))
        (func (export "known") (param i32) (result i32)
          (i32.add
            (call_indirect (type $unary) (local.get 0) (i32.const 0))
            (call_indirect (type $unary) (local.get 0) (i32.and (local.get 0) (i32.const 7))))))"#,
    );
    if common::supported() {
        assert!(endings.iter().any(|ending| matches!(ending, Ending::Trap(..))));
        assert!(endings.iter().any(|ending| matches!(ending, Ending::Results(_))));
    }
}

#[test]
fn branch_tables() {
    check(
        r#"(module
        (func (export "pick") (param i32) (result i32)
          (block $d (block $c (block $b (block $a
            (br_table $a $b $c $b $d (local.get 0)))
            (return (i32.const 10)))
            (return (i32.const 20)))
            (return (i32.const 30)))
          (i32.const 40))
        (func (export "values") (param i32 i64) (result i64)
          (block $b (result i64) (block $a (result i64)
            (br_table $a $b $b $a (local.get 1) (local.get 0)))
            (i64.add (i64.const 100)))
          (i64.mul (i64.const 3)))
        (func (export "loop") (param i32) (result i32) (local i32 i32)
          (loop $again
            (local.set 1 (i32.add (local.get 1) (i32.const 1)))
            (block $out (block $five (block $three
              (br_table $three $again $five $again $out (i32.rem_u (local.get 1) (i32.const 6))))
              (local.set 2 (i32.add (local.get 2) (i32.const 3)))
              (br_if $again (i32.lt_u (local.get 1) (i32.const 50))))
              (local.set 2 (i32.add (local.get 2) (i32.const 5)))
              (br $again)))
          (i32.add (local.get 2) (local.get 0)))
        (func (export "one") (param i32) (result i32)
          (block $a (br_table $a (local.get 0))) (i32.const 3)))"#,
    );
}

#[test]
fn traps_within_calls_have_the_same_frames() {
    let endings = check(
        r#"(module
        (memory 1)
        (func $inner (param i32 i32) (result i32)
          (i32.div_s (i32.load (local.get 0)) (local.get 1)))
        (func $middle (param i32 i32) (result i32)
          (i32.add (call $inner (local.get 0) (local.get 1)) (i32.const 1)))
        (func (export "outer") (param i32 i32) (result i32)
          (i32.mul (call $middle (local.get 0) (local.get 1)) (i32.const 3)))
        (func (export "store") (param i32 i64)
          (i64.store (i32.const 8) (local.get 1))
          (i64.store offset=4 (local.get 0) (local.get 1)))
        (func (export "nothing") (param i32)
          (if (local.get 0) (then (unreachable)))))"#,
    );
    if common::supported() {
        assert!(endings.iter().any(|ending| matches!(ending, Ending::Trap(..))));
    }
}

#[test]
fn endless_recursion_overflows_the_stack() {
    let endings = check(
        r#"(module
        (func $deep (export "deep") (param i32 v128) (result i32)
          (i32.add (call $deep (i32.add (local.get 0) (i32.const 1)) (local.get 1)) (local.get 0))))"#,
    );
    assert!(endings.iter().all(Ending::overflowed));
}

/// A function with so many vectors alive across a call and in a loop that most are spilled.
fn pressure(vectors: usize) -> String {
    let locals = "v128 ".repeat(vectors);
    let first = 2;
    let mut body = String::new();
    for at in 0..vectors {
        body += &format!(
            "(local.set {} (i32x4.add (i32x4.splat (local.get 0)) (v128.const i32x4 {at} 2 3 4)))\n",
            at + first
        );
    }
    let mut step = String::new();
    for at in 0..vectors {
        let other = (at * 7 + 3) % vectors;
        step += &format!(
            "(local.set {} (i32x4.mul (local.get {}) (i32x4.add (local.get {}) (v128.load (i32.const {})))))\n",
            at + first,
            at + first,
            other + first,
            at * 16
        );
    }
    let sum: String =
        (0..vectors).map(|at| format!("(i32x4.add (local.get {}))\n", at + first)).collect();
    format!(
        "(module (memory (export \"memory\") 1)
        (func $note (param i32) (i32.store (local.get 0) (i32.const 77)))
        (func (export \"run\") (param i32) (result v128) (local i32 {locals})
          {body}
          (call $note (i32.and (local.get 0) (i32.const 1023)))
          (loop $again
            {step}
            (br_if $again (i32.lt_u
              (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 5))))
          (v128.const i32x4 0 0 0 0)
          {sum}))"
    )
}

#[test]
fn many_vectors_alive() {
    for vectors in [12, 20, 60, 700] {
        check(&pressure(vectors));
    }
}

#[test]
fn memory_globals_and_tables() {
    check(
        r#"(module
        (memory (export "memory") 1 4)
        (global $g (export "g") (mut i64) (i64.const 5))
        (global $v (export "v") (mut v128) (v128.const i32x4 1 2 3 4))
        (table $t (export "t") 4 10 funcref)
        (func $f)
        (elem declare func $f)
        (func (export "grow") (param i32) (result i32)
          (memory.grow (i32.and (local.get 0) (i32.const 1))) (memory.size) (i32.add))
        (func (export "globals") (param i64 v128) (result i64)
          (global.set $g (i64.add (global.get $g) (local.get 0)))
          (global.set $v (i16x8.add (global.get $v) (local.get 1)))
          (global.get $g))
        (func (export "bulk") (param i32 i32 i32)
          (memory.fill (local.get 0) (local.get 1) (local.get 2))
          (memory.copy (i32.const 100) (local.get 0) (i32.and (local.get 2) (i32.const 255))))
        (func (export "table") (param i32)
          (table.set $t (i32.and (local.get 0) (i32.const 3)) (ref.func $f))))"#,
    );
}

#[test]
fn tail_calls() {
    check(
        r#"(module
        (type $step (func (param i32 i64) (result i64)))
        (table 3 funcref)
        (elem (i32.const 0) $even $odd $count)
        (func $even (type $step)
          (if (result i64) (i32.eqz (local.get 0)) (then (local.get 1))
            (else (return_call $odd (i32.sub (local.get 0) (i32.const 1))
              (i64.add (local.get 1) (i64.const 3))))))
        (func $odd (type $step)
          (if (result i64) (i32.eqz (local.get 0)) (then (i64.const -1))
            (else (return_call $even (i32.sub (local.get 0) (i32.const 1))
              (i64.mul (local.get 1) (i64.const 5))))))
        (func $count (type $step)
          (return_call_indirect (type $step) (local.get 0) (local.get 1)
            (i32.rem_u (local.get 0) (i32.const 2))))
        (func (export "pingpong") (param i32 i64) (result i64)
          (return_call $even (i32.and (local.get 0) (i32.const 65535)) (local.get 1)))
        (func (export "indirect") (param i32 i64) (result i64)
          (return_call_indirect (type $step)
            (i32.and (local.get 0) (i32.const 4095)) (local.get 1)
            (i32.and (local.get 0) (i32.const 3))))
        (func $many (param i32 i32 i32 i32 i32 i32 i32 i64 f64) (result i64 f64)
          (if (result i64 f64) (i32.le_s (local.get 0) (i32.const 0))
            (then (i64.add (local.get 7) (i64.extend_i32_s (local.get 6))) (local.get 8))
            (else (return_call $many (i32.sub (local.get 0) (i32.const 1)) (local.get 2)
              (local.get 3) (local.get 4) (local.get 5) (local.get 6) (local.get 1)
              (i64.add (local.get 7) (i64.extend_i32_s (local.get 5)))
              (f64.add (local.get 8) (f64.convert_i32_s (local.get 4)))))))
        (func (export "many") (param i32 i64 f64) (result i64 f64)
          (call $many (i32.and (local.get 0) (i32.const 1023)) (i32.const 1) (i32.const 2)
            (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6) (local.get 1)
            (local.get 2))))"#,
    );
}

/// CLIF that wasm has no single instruction for: Cranelift's mid-end makes it of these.
#[test]
fn idioms() {
    let mut wat = String::from("(module (memory (export \"memory\") 1)\n");
    for ty in ["i32", "i64"] {
        let bits = if ty == "i32" { 32 } else { 64 };
        let mut add = |name: &str, result: &str, body: &str| {
            let body = body.replace("T.", &format!("{ty}."));
            wat += &format!(
                "(func (export \"{name} {ty}\") (param {ty} {ty}) (result {result}) {body})\n"
            );
        };
        let (x, y, zero) = ("(local.get 0)", "(local.get 1)", "(T.const 0)");
        add("absolute", ty, &format!("(select (T.sub {zero} {x}) {x} (T.lt_s {x} {zero}))"));
        for cc in ["lt_s", "lt_u", "gt_s", "gt_u", "le_s", "ge_u"] {
            add(&format!("pick {cc}"), ty, &format!("(select {x} {y} (T.{cc} {x} {y}))"));
            add(&format!("pick {cc} 5"), ty, &format!("(select {x} {y} (T.{cc} {x} (T.const 5)))"));
            let mask = format!("(T.{cc} (T.and {x} {y}) {zero})");
            add(&format!("test {cc}"), ty, &format!("(select {x} {y} {mask})"));
        }
        add(
            "branch",
            ty,
            &format!("(if (result {ty}) (T.eqz (T.and {x} {y})) (then {x}) (else {y}))"),
        );
        add("and not", ty, &format!("(T.and {x} (T.xor {y} (T.const -1)))"));
        add("low byte", ty, &format!("(T.and {x} (T.const 255))"));
        add("low half", ty, &format!("(T.and {x} (T.const 65535))"));
        add("scaled", ty, &format!("(T.add {x} (T.shl {y} (T.const 3)))"));
        add(
            "rotated",
            ty,
            &format!("(T.or (T.shl {x} (T.const 5)) (T.shr_u {x} (T.const {})))", bits - 5),
        );
        add(
            "merged",
            ty,
            &format!("(T.or (T.and {x} {y}) (T.and (T.const 77) (T.xor {y} (T.const -1))))"),
        );
        for divisor in [1, -1, 7, 8, 100, -3] {
            for op in ["div_s", "rem_s", "div_u", "rem_u"] {
                let name = format!("{op} {divisor}");
                add(&name, ty, &format!("(T.{op} {x} (T.const {divisor}))"));
            }
        }
        add(
            "in memory",
            ty,
            &format!(
                "(T.store (i32.const 8) {x})
                 (T.store (i32.const 8) (T.add (T.load (i32.const 8)) {y}))
                 (T.store8 (i32.const 9) (T.const 200))
                 (T.store16 (i32.const 10) {y})
                 (T.sub {x} (T.load (i32.const 8)))"
            ),
        );
        add(
            "narrow",
            "i32",
            &format!(
                "(i32.and (T.ne (T.and (T.shr_u {x} (T.const 3)) (T.const 255)) (T.const 17))
                 (T.lt_s (T.extend8_s {x}) (T.extend16_s {y})))"
            ),
        );
    }
    for ty in ["f32", "f64"] {
        for cc in ["lt", "gt", "le", "ge", "eq", "ne"] {
            wat += &format!(
                "(func (export \"{ty} {cc}\") (param {ty} {ty} i32 i32) (result {ty} i32 i32)
                 (select (local.get 0) (local.get 1) ({ty}.{cc} (local.get 0) (local.get 1)))
                 (select (local.get 2) (local.get 3) ({ty}.{cc} (local.get 1) (local.get 0)))
                 (if (result i32) ({ty}.{cc} (local.get 0) (local.get 1))
                   (then (local.get 2)) (else (local.get 3))))
                 (func (export \"{ty} {cc} not\") (param {ty} {ty} i32 i32) (result i32)
                 (if (result i32) (i32.eqz ({ty}.{cc} (local.get 0) (local.get 1)))
                   (then (local.get 2)) (else (local.get 3))))\n"
            );
        }
    }
    check(&(wat + ")"));
}
