//! Wrong rules are refuted, and right twins of them are not: the checker can fail.

use egraft_rules::{RuleSet, Source, check_rule};

const TUPLES: usize = 4_000;

/// A wrong rule, and what makes it right.
const MUTANTS: &[(&str, &str)] = &[
    // Wrong algebra.
    ("(simplify (isub ty x y)) (isub ty y x)", "(simplify (isub ty x y)) (iadd ty x (ineg ty y))"),
    ("(simplify (isub ty x x)) x", "(simplify (isub ty x x)) (k ty 0)"),
    (
        "(simplify (bor ty x (band ty y z))) (band ty (bor ty x y) z)",
        "(simplify (bor ty x (band ty y z))) (band ty (bor ty x y) (bor ty x z))",
    ),
    (
        "(simplify (bxor ty x y)) (bor ty (band ty (bnot ty x) y) (band ty x y))",
        "(simplify (bxor ty x y)) (bor ty (band ty (bnot ty x) y) (band ty x (bnot ty y)))",
    ),
    (
        "(simplify (bnot ty (band ty x y))) (bor ty x y)",
        "(simplify (bnot ty (band ty x y))) (bor ty (bnot ty x) (bnot ty y))",
    ),
    // Off by one constants.
    (
        "(simplify (ineg ty (iadd ty x (k ty 1)))) (isub ty (k ty 1) x)",
        "(simplify (ineg ty (iadd ty x (k ty 1)))) (isub ty (k ty -1) x)",
    ),
    (
        "(simplify (imul ty x (k ty c))) (if-let n (log2 c)) (ishl ty x (k $I32 (imm_add $I32 n 1)))",
        "(simplify (imul ty x (k ty c))) (if-let n (log2 c)) (ishl ty x (k $I32 n))",
    ),
    // Missing or weaker conditions.
    (
        "(simplify (ushr ty (ishl ty x (k s n)) (k s n))) x",
        "(simplify (ushr ty (ishl ty x (k s n)) (k s n))) (if (ushl_fits ty x n)) x",
    ),
    (
        "(simplify (uadd_sat ty x y)) (iadd ty x y)",
        "(simplify (uadd_sat ty x y)) (if (no_uadd_wrap ty x y)) (iadd ty x y)",
    ),
    (
        "(simplify (sadd_sat ty x y)) (if (no_uadd_wrap ty x y)) (iadd ty x y)",
        "(simplify (sadd_sat ty x y)) (if (no_sadd_wrap ty x y)) (iadd ty x y)",
    ),
    (
        "(simplify (usub_sat ty x y)) (if (known_ule ty x y)) (isub ty x y)",
        "(simplify (usub_sat ty x y)) (if (known_ule ty y x)) (isub ty x y)",
    ),
    (
        "(simplify (uunarrow ty x y)) (unarrow ty x y)",
        "(simplify (uunarrow ty x y)) (if (sign_clear ty x)) (if (sign_clear ty y)) (unarrow ty x y)",
    ),
    (
        "(simplify (sshr ty x y)) (if (fits_unsigned ty x (lane_bits ty))) (ushr ty x y)",
        "(simplify (sshr ty x y)) (if (sign_clear ty x)) (ushr ty x y)",
    ),
    (
        "(simplify (fcvt_to_sint_sat $I32X4 $F32X4 x)) (if (not_nan $F32X4 x)) (if (float_within $F32X4 x 32)) (x86_cvtt2dq x)",
        "(simplify (fcvt_to_sint_sat $I32X4 $F32X4 x)) (if (not_nan $F32X4 x)) (if (float_within $F32X4 x 31)) (x86_cvtt2dq x)",
    ),
    (
        "(simplify (fcmp ty (FloatCc.Uge) x y)) (if (not_nan ty x)) (fcmp ty (FloatCc.Ge) x y)",
        "(simplify (fcmp ty (FloatCc.Uge) x y)) (if (not_nan ty x)) (if (not_nan ty y)) (fcmp ty (FloatCc.Ge) x y)",
    ),
    (
        "(simplify (fadd ty x (k ty 0))) (if (not_nan ty x)) x",
        "(simplify (fadd ty x (k ty 0))) (if (not_nan ty x)) (if (no_minus_zero ty x)) x",
    ),
    (
        "(simplify (uwiden_high ty x)) (uwiden_low ty x)",
        "(simplify (uwiden_high ty x)) (if (lane_uniform $I64X2 x)) (uwiden_low ty x)",
    ),
    // What is not known is not so.
    (
        "(simplify (icmp ty (IntCc.Ult) x (k ty 8))) (if (ty_vector ty)) (if (not_known (fits_unsigned ty x 3))) (k ty 0)",
        "(simplify (icmp ty (IntCc.Ult) x (k ty 8))) (if (ty_vector ty)) (if (not_known (fits_unsigned ty x 3))) (icmp ty (IntCc.Ule) x (k ty 7))",
    ),
    // The wrong signedness, order or lane.
    (
        "(simplify (icmp ty (IntCc.Slt) x y)) (icmp ty (IntCc.Ult) x y)",
        "(simplify (icmp ty (IntCc.Slt) x y)) (icmp ty (IntCc.Sgt) y x)",
    ),
    (
        "(simplify (icmp ty cc x y)) (icmp ty cc y x)",
        "(simplify (icmp ty cc x y)) (icmp ty (cc_swap cc) y x)",
    ),
    (
        "(simplify (bnot vt (icmp ty cc x y))) (icmp ty (cc_not cc) x y)",
        "(simplify (bnot vt (icmp ty cc x y))) (if (ty_vector ty)) (icmp ty (cc_not cc) x y)",
    ),
    ("(simplify (select ty c x y)) (select ty c y x)", "(simplify (select ty c x x)) x"),
    (
        "(simplify (uunarrow wide (uwiden_high ty x) (uwiden_low ty x))) (if-let wide (widen_of ty)) x",
        "(simplify (uunarrow wide (uwiden_low ty x) (uwiden_high ty x))) (if-let wide (widen_of ty)) x",
    ),
    (
        "(simplify (shuffle m x y)) (shuffle m y x)",
        "(simplify (shuffle m x y)) (shuffle (mask_swap m) y x)",
    ),
    (
        "(simplify (shuffle outer (shuffle inner x y) z)) (shuffle (mask_of_both outer inner inner) x y)",
        "(simplify (shuffle outer (shuffle inner x y) z)) (if-let m (mask_of_first outer inner)) (shuffle m x y)",
    ),
    (
        "(simplify (extractlane ty lane (insertlane ty other x y))) y",
        "(simplify (extractlane ty lane (splat ty x))) x",
    ),
    (
        "(simplify (uextend to from (ireduce from to x))) x",
        "(simplify (uextend to from (ireduce from to x))) (if (fits_unsigned to x (lane_bits from))) x",
    ),
    // Floats: signed zeros and NaNs.
    ("(simplify (fadd ty x (k ty 0))) x", "(simplify (fneg ty (fneg ty x))) x"),
    (
        "(simplify (fneg ty (fsub ty x y))) (fsub ty y x)",
        "(simplify (fabs ty (fneg ty x))) (fabs ty x)",
    ),
    (
        "(simplify (bnot vt (fcmp ty (FloatCc.Lt) x y))) (if (ty_vector ty)) (fcmp ty (FloatCc.Ge) x y)",
        "(simplify (bnot vt (fcmp ty (FloatCc.Lt) x y))) (if (ty_vector ty)) (fcmp ty (FloatCc.Uge) x y)",
    ),
    // A division that may trap where there was none.
    (
        "(simplify (isub ty x x)) (udiv ty x x)",
        "(simplify (udiv ty x (k ty c))) (if-let n (log2 c)) (ushr ty x (k $I32 n))",
    ),
];

fn rule(body: &str) -> RuleSet {
    let text = format!(";; Test.\n(rule mutant {body})");
    RuleSet::parse(&[Source::new("mutant.isle", text)])
        .unwrap_or_else(|error| panic!("{body}: {error}"))
}

#[test]
fn wrong_rules_are_refuted() {
    assert!(MUTANTS.len() >= 15);
    for (wrong, _) in MUTANTS {
        let check = check_rule(&rule(wrong).rules[0], TUPLES, 1);
        assert!(check.counterexample.is_some(), "not refuted in {} tuples: {wrong}", check.fired);
        assert!(!check.holds());
    }
}

#[test]
fn right_rules_are_not() {
    for (_, right) in MUTANTS {
        let check = check_rule(&rule(right).rules[0], TUPLES, 1);
        let why = check.counterexample.as_ref().map(ToString::to_string);
        assert!(
            check.holds(),
            "{right}: {why:?}, {} fired, unmatched {:?}",
            check.fired,
            check.unmatched
        );
    }
}

#[test]
fn a_rule_that_never_fires_does_not_hold() {
    let set = rule("(simplify (iadd ty x (k ty c))) (if (imm_ult c 3)) (if (imm_ult 5 c)) x");
    let check = check_rule(&set.rules[0], TUPLES, 1);
    assert_eq!(check.fired, 0);
    assert_eq!(check.unfired.len(), check.types_checked);
    assert!(check.counterexample.is_none() && !check.holds());
}

#[test]
fn the_same_seed_gives_the_same_tuples() {
    let set = rule(MUTANTS[0].0);
    let counterexample = |seed| check_rule(&set.rules[0], 1000, seed).counterexample;
    assert_eq!(counterexample(3), counterexample(3));
}
