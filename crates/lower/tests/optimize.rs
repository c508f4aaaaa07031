//! Whole functions through the pass: what is taken, what is left and why, and that the result is
//! valid CLIF that every target compiles.

use cranelift_codegen::isa::{OwnedTargetIsa, lookup_by_name};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{Context, verify_function};
use egraft_lower::{Format, LowerOptions, Outcome, Reason, dump_egraph, optimize};

/// Two taps of a 16-bit filter: products of sign-extended numbers, summed.
const TAPS: &str = "
function %taps(i64, i64, i32) {
block0(v0: i64, v1: i64, v2: i32):
    v10 = sload16.i32 v0
    v11 = splat.i32x4 v10
    v12 = sload16.i32 v0+2
    v13 = splat.i32x4 v12
    jump block1(v0, v2)
block1(v5: i64, v6: i32):
    v20 = load.i16x8 v5
    v21 = load.i16x8 v5+2
    v22 = swiden_low v20
    v23 = swiden_low v21
    v24 = imul v11, v22
    v25 = imul v13, v23
    v26 = iadd v24, v25
    store v26, v1
    v30 = iconst.i64 16
    v31 = iadd v5, v30
    v32 = iconst.i32 -1
    v33 = iadd v6, v32
    brif v33, block1(v31, v33), block2
block2:
    return
}";

/// Nothing here can be had cheaper.
const PLAIN: &str = "
function %plain(i64, i32) {
block0(v0: i64, v1: i32):
    jump block1(v0, v1)
block1(v2: i64, v3: i32):
    v4 = load.i8x16 v2
    v5 = load.i8x16 v2+16
    v6 = umin v4, v5
    store v6, v2
    v7 = iconst.i32 -1
    v8 = iadd v3, v7
    brif v8, block1(v2, v8), block2
block2:
    return
}";

fn isa(name: &str) -> OwnedTargetIsa {
    let mut flags = settings::builder();
    flags.set("opt_level", "speed").expect("a known flag");
    let mut builder = lookup_by_name(name).expect("the target is built in");
    if name == "riscv64" {
        builder.enable("has_v").expect("a known flag");
    }
    builder.finish(settings::Flags::new(flags)).expect("flags fit")
}

fn parse(text: &str) -> cranelift_codegen::ir::Function {
    cranelift_reader::parse_functions(text).expect("the test is CLIF").remove(0)
}

#[test]
fn products_become_a_multiply_add() {
    let isa = isa("x86_64");
    let func = parse(TAPS);
    let outcome = optimize(&func, &*isa, &LowerOptions::default());
    let Outcome::Improved(improved) = outcome else { panic!("left alone: {outcome:?}") };
    verify_function(&improved.func, &*isa).expect("valid CLIF");
    assert!(improved.stats.cost_after < improved.stats.cost_before);
    let mut compiler = Context::for_function(improved.func);
    compiler.set_disasm(true);
    let code = compiler.compile(&*isa, &mut Default::default()).expect("it compiles");
    let text = code.vcode.clone().expect("asked for");
    assert!(text.contains("pmaddwd") && !text.contains("pmulld"), "{text}");
}

#[test]
fn every_target_compiles_the_result() {
    for target in ["x86_64", "aarch64", "riscv64", "s390x"] {
        let isa = isa(target);
        let func = match optimize(&parse(TAPS), &*isa, &LowerOptions::default()) {
            Outcome::Improved(improved) => improved.func,
            Outcome::Unchanged(_) => parse(TAPS),
        };
        let mut compiler = Context::for_function(func);
        compiler.compile(&*isa, &mut Default::default()).expect(target);
    }
}

#[test]
fn reasons_are_given() {
    let isa = isa("x86_64");
    let reason = |text: &str, options: LowerOptions| match optimize(&parse(text), &*isa, &options) {
        Outcome::Unchanged(unchanged) => unchanged.reason,
        Outcome::Improved(improved) => panic!("improved: {}", improved.func),
    };
    let normal = LowerOptions::default();
    assert_eq!(reason(PLAIN, normal), Reason::CostDoesNotDrop);
    assert_eq!(reason(TAPS, LowerOptions { effort: 0, ..normal }), Reason::EffortZero);
    let limit = LowerOptions { max_insts: 5, ..normal };
    assert_eq!(reason(PLAIN, limit), Reason::TooLarge { insts: 9, limit: 5 });
    let straight = "function %f(i32) -> i32 {\nblock0(v0: i32):\n    return v0\n}";
    assert_eq!(reason(straight, normal), Reason::NoLoop);
    let scalar = "
function %count(i32) {
block0(v0: i32):
    jump block1(v0)
block1(v1: i32):
    v2 = iconst.i32 -1
    v3 = iadd v1, v2
    brif v3, block1(v3), block2
block2:
    return
}";
    assert_eq!(reason(scalar, normal), Reason::NoVectorLoop);
    assert_eq!(reason(scalar, LowerOptions { effort: 2, ..normal }), Reason::CostDoesNotDrop);
}

#[test]
fn node_limits_end_rewriting_without_harm() {
    let isa = isa("x86_64");
    for effort in 1..=3 {
        let options = LowerOptions { effort, max_nodes: 30, ..LowerOptions::default() };
        let stats = match optimize(&parse(TAPS), &*isa, &options) {
            Outcome::Improved(improved) => improved.stats,
            Outcome::Unchanged(unchanged) => unchanged.stats,
        };
        assert!(stats.stop.is_some());
    }
}

#[test]
fn dumps_hold_the_alternatives() {
    let isa = isa("x86_64");
    let options = LowerOptions::default();
    let dot = dump_egraph(&parse(TAPS), &*isa, &options, Format::Dot);
    assert!(dot.starts_with("digraph") && dot.contains("iadd_pairwise"), "{dot}");
    let json = dump_egraph(&parse(TAPS), &*isa, &options, Format::Json);
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert!(json["nodes"].as_object().is_some_and(|nodes| nodes.len() > 20));
}
