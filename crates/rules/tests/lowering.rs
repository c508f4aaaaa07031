//! Lowering rules load, or are refused with a place.

use egraft_rules::{LoweringSet, MachineTemplate, RuleError, RuleErrors, Source};

fn parse(body: &str) -> Result<LoweringSet, RuleErrors> {
    let text = format!(";; Why.\n(rule r {body})");
    LoweringSet::parse(&[Source::new("low.isle", text)])
}

fn error(body: &str) -> RuleError {
    match parse(body) {
        Ok(set) => panic!("accepted {}", set.rules[0]),
        Err(RuleErrors(mut errors)) => errors.remove(0),
    }
}

macro_rules! refused {
    ($body:expr, $pattern:pat) => {
        let error = error($body);
        assert!(matches!(error, $pattern), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("low.isle:") && text.contains(';'), "{text}");
    };
}

#[test]
fn good_rules_load_and_print_as_they_were_written() {
    for (lhs, rhs) in [
        ("(avg_round $I8X16 x y)", "(x64_pavgb x y)"),
        ("(ushr $I16X8 x (k $I32 4))", "(x64_psrlw_imm 4 x)"),
        ("(isub $I32X4 (k $I32X4 0) x)", "(a64_neg_4s x)"),
        ("(iadd $I16X8 z (imul $I16X8 x y))", "(a64_mla_8h z x y)"),
        ("(snarrow $I32X4 x (k $I8X16 0))", "(x64_packssdw x (k $I8X16 0))"),
        ("(iadd $I8X16 (bnot $I8X16 x) y)", "(x64_psubb (x64_psubb y x) (kvec 1))"),
    ] {
        let set =
            parse(&format!("(lower {lhs}) {rhs}")).unwrap_or_else(|errors| panic!("{errors}"));
        let rule = &set.rules[0];
        assert_eq!((rule.lhs_text().as_str(), rule.rhs_text().as_str()), (lhs, rhs));
        assert_eq!(rule.place().to_string(), "low.isle:2:1");
        assert!(matches!(rule.rhs, MachineTemplate::Op { .. }) && !rule.types().is_empty());
        assert!(set.by_name("r").is_some());
    }
}

#[test]
fn conditions_and_types_are_those_of_rewrite_rules() {
    let set = parse(
        "(lower (ishl $I16X8 x (k s n))) (if (imm_ult n (lane_bits $I16X8))) (x64_psllw_imm n x)",
    )
    .unwrap_or_else(|errors| panic!("{errors}"));
    // The amount may be of any integer scalar type.
    assert_eq!(set.rules[0].types().len(), 4);
}

#[test]
fn wrong_rules_are_refused_with_a_place() {
    refused!(
        "(simplify (iadd $I8X16 x y)) (x64_paddb x y)",
        RuleError::RootNotOp { root: "lower", .. }
    );
    refused!("(lower x) (x64_pabsb x)", RuleError::RootNotOp { .. });
    refused!("(lower (iadd $I8X16 x y)) (x64_nosuch x y)", RuleError::Type { .. });
    refused!("(lower (iadd $I8X16 x y)) (x64_paddb x)", RuleError::Type { .. });
    refused!("(lower (iadd $I8X16 x y)) (x64_paddb x z)", RuleError::Type { .. });
    refused!("(lower (iadd $I8X16 x y)) x", RuleError::Unsupported { .. });
    refused!("(lower (iadd $I8X16 x y)) (iadd $I8X16 x y)", RuleError::Unsupported { .. });
    refused!("(lower (x64_paddb x y)) (x64_paddb x y)", RuleError::Type { .. });
    // No immediate of the instruction, two targets, and types that do not fit.
    refused!("(lower (bnot $I8X16 x)) (x64_palignr 256 x x)", RuleError::Unsupported { .. });
    refused!("(lower (bnot $I8X16 x)) (x64_pabsb (a64_neg_16b x))", RuleError::Unsupported { .. });
    refused!("(lower (iadd $I32 x y)) (x64_paddd x y)", RuleError::NoTypes { .. });
    refused!("(lower (extractlane $I32X4 0 x)) (x64_pabsd x)", RuleError::NoTypes { .. });
}

#[test]
fn rewrite_rules_know_no_machine_ops() {
    let text = ";; Why.\n(rule r (simplify (iadd $I8X16 x y)) (x64_paddb x y))";
    assert!(egraft_rules::RuleSet::parse(&[Source::new("a.isle", text)]).is_err());
}
