//! A validator that accepts a wrong translation fails here.
//!
//! Each mutant is a function in which one piece of text is another. Right translations of the same
//! function must be proven, by the solver where nothing is alike.

use cranelift_codegen::ir::Function;
use egraft_validate::{Checked, Options, Validator};

const SOURCE: &str = r#"
function u0:0(i64 vmctx, i64, i32, i32, f32) -> i32, f32 tail {
    sig0 = (i64 vmctx, i64, i32) -> i32 tail
    fn0 = colocated u0:1 sig0
    fn1 = colocated u0:2 sig0
    const0 = 0x0f0e0d0c0b0a09080706050403020100
    const1 = 0x00ff00ff00ff00ff00ff00ff00ff00ff

block0(v0: i64, v1: i64, v2: i32, v3: i32, v4: f32):
    v10 = load.i64 notrap aligned readonly can_move v0+56
    v11 = uextend.i64 v2
    v12 = iadd v10, v11
    v13 = uload8.i32 little v12+4
    v14 = iconst.i32 3
    v15 = ishl v13, v14
    v16 = udiv v15, v3
    v17 = call fn0(v0, v1, v16)
    trapz v17, user7
    v18 = iconst.i32 0
    jump block1(v18, v17)

block1(v20: i32, v21: i32):
    v22 = uextend.i64 v20
    v23 = iadd.i64 v12, v22
    v24 = load.i8x16 little v23
    v25 = load.i8x16 little v23+16
    v26 = vconst.i8x16 const1
    v27 = band v24, v26
    v28 = bitcast.i16x8 little v27
    v29 = bitcast.i16x8 little v25
    v30 = iadd v28, v29
    v31 = iconst.i32 5
    v32 = ushr v30, v31
    v33 = smin v32, v29
    v34 = swiden_low v33
    v35 = swiden_high v33
    v36 = imul v34, v35
    v37 = bitcast.i8x16 little v36
    v38 = bitcast.i8x16 little v33
    v39 = shuffle v37, v38, [0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23]
    store little v39, v23+32
    v40 = isub v21, v13
    store little v40, v23+48
    v41 = iconst.i32 16
    v42 = iadd v20, v41
    v43 = icmp ult v42, v3
    brif v43, block1(v42, v40), block2

block2:
    v50 = icmp slt v21, v40
    v51 = select v50, v21, v40
    v52 = fadd v4, v4
    v53 = fcvt_from_sint.f32 v51
    v54 = fsub v52, v53
    v55 = extractlane.i16x8 v33, 2
    v56 = sextend.i32 v55
    v57 = iadd v51, v56
    return v57, v54
}
"#;

/// What a mutant does, and the text that becomes another.
const MUTANTS: &[(&str, &str, &str)] = &[
    ("wrong constant of a shift", "v14 = iconst.i32 3", "v14 = iconst.i32 4"),
    ("wrong direction of a shift", "v15 = ishl v13, v14", "v15 = ushr v13, v14"),
    ("swapped dividend and divisor", "udiv v15, v3", "udiv v3, v15"),
    ("signed division", "udiv v15, v3", "sdiv v15, v3"),
    ("another callee", "call fn0(", "call fn1("),
    ("another argument", "fn0(v0, v1, v16)", "fn0(v0, v1, v15)"),
    ("another trap", "trapz v17, user7", "trapz v17, user8"),
    ("a trap at the other truth", "trapz v17, user7", "trapnz v17, user7"),
    ("a trap that is gone", "    trapz v17, user7\n", ""),
    ("another start", "v18 = iconst.i32 0", "v18 = iconst.i32 1"),
    ("sign-extended index", "v22 = uextend.i64 v20", "v22 = sextend.i64 v20"),
    ("another offset of a load", "v25 = load.i8x16 little v23+16", "v25 = load.i8x16 little v23+8"),
    ("signed byte", "uload8.i32", "sload8.i32"),
    ("a load that may not trap", "load.i8x16 little v23\n", "load.i8x16 notrap little v23\n"),
    (
        "wrong vector constant",
        "00ff00ff00ff00ff00ff00ff00ff00ff",
        "00ff00ff00ff00ff00ff00ff00ff00fe",
    ),
    ("or for and", "v27 = band v24, v26", "v27 = bor v24, v26"),
    (
        "wrong lane type of a sum",
        "v30 = iadd v28, v29",
        "v90 = bitcast.i32x4 little v28\n    v91 = bitcast.i32x4 little v29\n    v92 = iadd v90, v91\n    v30 = bitcast.i16x8 little v92",
    ),
    ("subtraction for addition", "v30 = iadd v28, v29", "v30 = isub v28, v29"),
    ("arithmetic shift", "v32 = ushr v30, v31", "v32 = sshr v30, v31"),
    ("unsigned minimum", "v33 = smin v32, v29", "v33 = umin v32, v29"),
    ("maximum", "v33 = smin v32, v29", "v33 = smax v32, v29"),
    ("zero-extended lanes", "v34 = swiden_low v33", "v34 = uwiden_low v33"),
    ("the other half", "v35 = swiden_high v33", "v35 = swiden_low v33"),
    ("one byte of a shuffle", "[0 1 2 3 16 17", "[0 1 2 3 16 18"),
    ("swapped operands of a shuffle", "shuffle v37, v38", "shuffle v38, v37"),
    ("a store that is gone", "    store little v40, v23+48\n", ""),
    ("a store elsewhere", "store little v40, v23+48", "store little v40, v23+44"),
    ("another value stored", "store little v40, v23+48", "store little v13, v23+48"),
    (
        "stores in another order",
        "store little v39, v23+32\n    v40 = isub v21, v13\n    store little v40, v23+48",
        "v40 = isub v21, v13\n    store little v40, v23+48\n    store little v39, v23+32",
    ),
    ("a narrower store", "store little v40, v23+48", "istore8 little v40, v23+48"),
    ("swapped operands of a difference", "v40 = isub v21, v13", "v40 = isub v13, v21"),
    ("another step", "v41 = iconst.i32 16", "v41 = iconst.i32 32"),
    ("signed comparison", "icmp ult v42, v3", "icmp slt v42, v3"),
    ("one turn more", "icmp ult v42, v3", "icmp ule v42, v3"),
    ("swapped targets", "brif v43, block1(v42, v40), block2", "brif v43, block2, block1(v42, v40)"),
    ("swapped values of a branch", "block1(v42, v40)", "block1(v40, v42)"),
    ("swapped choices", "select v50, v21, v40", "select v50, v40, v21"),
    ("product for a sum of floats", "fadd v4, v4", "fmul v4, v4"),
    ("swapped operands of floats", "fsub v52, v53", "fsub v53, v52"),
    ("unsigned conversion", "fcvt_from_sint.f32", "fcvt_from_uint.f32"),
    ("another lane", "extractlane.i16x8 v33, 2", "extractlane.i16x8 v33, 3"),
    ("zero-extended lane", "v56 = sextend.i32 v55", "v56 = uextend.i32 v55"),
    ("a result less", "v57 = iadd v51, v56", "v57 = iadd v51, v51"),
];

/// Right translations: the text, and what it becomes.
const RIGHT: &[(&str, &str, &str)] = &[
    ("swapped operands of a sum", "v30 = iadd v28, v29", "v30 = iadd v29, v28"),
    (
        "a product for a shift",
        "v14 = iconst.i32 3\n    v15 = ishl v13, v14",
        "v14 = iconst.i32 8\n    v15 = imul v13, v14",
    ),
    ("the comparison the other way", "icmp ult v42, v3", "icmp ugt v3, v42"),
    ("a minimum for a select", "v51 = select v50, v21, v40", "v51 = smin v21, v40"),
    (
        "a truth turned twice",
        "v43 = icmp ult v42, v3",
        "v90 = icmp uge v42, v3\n    v91 = iconst.i8 1\n    v43 = bxor v90, v91",
    ),
    (
        "two shifts for a mask",
        "v27 = band v24, v26",
        "v90 = bitcast.i16x8 little v24\n    v91 = iconst.i32 8\n    v92 = ishl v90, v91\n    v93 = ushr v92, v91\n    v27 = bitcast.i8x16 little v93",
    ),
    (
        "a wide unsigned extension of what is small",
        "v22 = uextend.i64 v20",
        "v90 = uextend.i64 v20\n    v91 = iconst.i64 0xffff_ffff\n    v22 = band v90, v91",
    ),
    (
        "a lane taken by a shuffle",
        "v55 = extractlane.i16x8 v33, 2",
        "v90 = bitcast.i8x16 little v33\n    v91 = shuffle v90, v90, [4 5 4 5 4 5 4 5 4 5 4 5 4 5 4 5]\n    v92 = bitcast.i16x8 little v91\n    v55 = extractlane.i16x8 v92, 7",
    ),
];

fn function(text: &str) -> Function {
    let functions = cranelift_reader::parse_functions(text).unwrap_or_else(|error| {
        panic!("{error}\n{text}");
    });
    functions.into_iter().next().expect("one function")
}

fn changed(what: &str, from: &str, to: &str) -> Function {
    assert_eq!(SOURCE.matches(from).count(), 1, "{what}: `{from}` is not there once");
    function(&SOURCE.replace(from, to))
}

fn check(validator: &mut Validator, after: &Function) -> Checked {
    validator.rewriting(&function(SOURCE), after).expect("a solver")
}

#[test]
fn a_function_does_what_it_does() {
    let checked = check(&mut Validator::new(Options::default()), &function(SOURCE));
    assert!(checked.failed.is_empty() && checked.unknown.is_empty(), "{checked:#?}");
    assert_eq!((checked.alike, checked.solved), (11, 0));
}

#[test]
fn right_translations_are_proven() {
    let mut validator = Validator::new(Options::default());
    let mut solved = 0;
    for (what, from, to) in RIGHT {
        let checked = check(&mut validator, &changed(what, from, to));
        assert!(checked.failed.is_empty() && checked.unknown.is_empty(), "{what}: {checked:#?}");
        solved += usize::from(checked.solved > 0);
    }
    assert!(solved >= RIGHT.len() - 2, "the solver had {solved} to do");
}

#[test]
fn wrong_translations_are_found() {
    let mut validator = Validator::new(Options::default());
    let mut undecided = Vec::new();
    for (what, from, to) in MUTANTS {
        let checked = check(&mut validator, &changed(what, from, to));
        let accepted = checked.failed.is_empty() && checked.unknown.is_empty();
        assert!(!accepted, "{what} is accepted: {checked:#?}");
        if checked.failed.is_empty() {
            undecided.push(*what);
        }
    }
    // Wrong, but only for few values: no example need be found in time.
    assert!(undecided.len() <= 2, "no example for {undecided:?}");
    assert!(MUTANTS.len() >= 40, "only {} mutants", MUTANTS.len());
}
