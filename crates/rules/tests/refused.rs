//! Bad rule sources give typed errors with their place; none panics or overflows the stack.

use egraft_rules::{DEPTH_LIMIT, FILE_LIMIT, RuleError, RuleErrors, RuleSet, Source};

fn errors(text: &str) -> Vec<RuleError> {
    match RuleSet::parse(&[Source::new("bad.isle", text)]) {
        Ok(set) => panic!("accepted {} rules of {text}", set.rules.len()),
        Err(RuleErrors(errors)) => errors,
    }
}

fn error(text: &str) -> RuleError {
    let mut errors = errors(text);
    // Further ones may follow from the first.
    errors.remove(0)
}

macro_rules! refused {
    ($text:expr, $pattern:pat) => {
        let error = error($text);
        assert!(matches!(error, $pattern), "{error:?}");
        // Every message says where and what to do.
        let text = error.to_string();
        assert!(text.contains("bad.isle") && text.contains(';'), "{text}");
    };
}

#[test]
fn names_and_reasons_are_demanded() {
    refused!(";; Why.\n(rule (simplify (iadd ty x y)) x)", RuleError::NoName { .. });
    refused!("(rule r (simplify (isub ty x x)) (k ty 0))", RuleError::NoReason { .. });
    refused!(";;;; Head.\n(rule r (simplify (isub ty x x)) (k ty 0))", RuleError::NoReason { .. });
    refused!(";; --\n(rule r (simplify (isub ty x x)) (k ty 0))", RuleError::NoReason { .. });
    let twice = ";; Why.\n(rule r (simplify (isub ty x x)) (k ty 0))\n".repeat(2);
    let RuleError::DuplicateName { place, first, .. } = error(&twice) else { panic!() };
    assert_eq!((first.line, place.line), (2, 4));
}

#[test]
fn only_rules_may_stand_in_rule_files() {
    refused!("(decl pure foo (Value) Value)", RuleError::NotARule { form: "decl", .. });
    refused!("(type T (primitive T))", RuleError::NotARule { .. });
    refused!("(extern const $Q Type)", RuleError::NotARule { .. });
    refused!("(extractor (foo x) (foo x))", RuleError::NotARule { .. });
    refused!("(convert Value Type foo)", RuleError::NotARule { .. });
    refused!("(model Value (type (bv 8)))", RuleError::NotARule { .. });
}

fn body(body: &str) -> String {
    format!(";; Why.\n(rule r {body})")
}

#[test]
fn what_isle_refuses_has_a_place() {
    refused!(&body("(simplify (iadd ty x y)) (foo ty x)"), RuleError::Type { .. });
    refused!(&body("(simplify (nosuch ty x y)) x"), RuleError::Type { .. });
    refused!(&body("(simplify (iadd ty x y)) z"), RuleError::Type { .. });
    refused!(&body("(simplify (iadd ty x y)) ty"), RuleError::Type { .. });
    refused!(&body("(simplify (iadd ty x)) x"), RuleError::Type { .. });
    refused!(&body("5 (simplify (iadd ty x y)) x"), RuleError::Type { .. });
    refused!(&body("(iadd ty x y) x"), RuleError::RootNotOp { .. });
    refused!(&body("(simplify (iadd ty x y)) (if (iadd ty x y)) x"), RuleError::Type { .. });
    refused!(&body("(simplify (iadd ty x y)"), RuleError::Syntax { .. });
    refused!(
        &body("(simplify (iadd ty x 99999999999999999999999999999999999999999)) x"),
        RuleError::Syntax { .. }
    );
    let RuleError::Type { place, .. } =
        error(";; Why.\n(rule r (simplify (iadd ty x y))\n  (foo x))")
    else {
        panic!()
    };
    assert_eq!((place.line, place.column), (3, 3));
}

#[test]
fn what_has_no_meaning_here_is_refused() {
    refused!(&body("(simplify x) x"), RuleError::RootNotOp { .. });
    refused!(&body("(simplify (k ty 1)) (k ty 1)"), RuleError::RootNotOp { .. });
    refused!(
        &body("(simplify (iadd ty x y)) (if-let z (ty_int ty)) x"),
        RuleError::Unsupported { .. }
    );
    refused!(
        &body("(simplify (iadd ty x y)) (if (lane_bits ty)) x"),
        RuleError::Unsupported { .. }
    );
    refused!(&body("(simplify (iadd ty x y)) (if-let z x) x"), RuleError::Unsupported { .. });
    refused!(
        &body("(simplify (iadd ty x (k ty c))) (if (imm_eq c -1)) x"),
        RuleError::Unsupported { .. }
    );
    refused!(&body("(simplify (iadd (and a b) x y)) x"), RuleError::Unsupported { .. });
    // What can be unknown is a condition on facts without a result.
    for inner in ["(imm_eq 1 2)", "(distinct x y)", "(not_known (sign_clear ty x))"] {
        let text = body(&format!("(simplify (iadd ty x y)) (if (not_known {inner})) x"));
        refused!(&text, RuleError::Unsupported { .. });
    }
    refused!(
        &body("(simplify (iadd ty x y)) (if-let z (not_known (sign_clear ty x))) x"),
        RuleError::Unsupported { .. }
    );
    refused!(
        &body("(simplify (iadd ty x y)) (if (not_known (bits_used ty x))) x"),
        RuleError::Type { .. }
    );
    // Types that can never fit: an unknown width, a float sum, a result of another type.
    refused!(&body("(simplify (iadd $F32 x y)) x"), RuleError::NoTypes { .. });
    refused!(&body("(simplify (icmp $I32 cc x y)) x"), RuleError::NoTypes { .. });
    refused!(&body("(simplify (iadd ty x y)) (if (ty_float ty)) x"), RuleError::NoTypes { .. });
}

#[test]
fn sizes_are_limited() {
    let deep = "(".repeat(1_000_000);
    refused!(&deep, RuleError::TooDeep { limit: DEPTH_LIMIT, .. });
    refused!(&"x @ ".repeat(1_000_000), RuleError::TooDeep { .. });
    let bytes = vec![b' '; FILE_LIMIT + 1];
    let large = RuleSet::parse(&[Source { name: "bad.isle".into(), bytes }]);
    assert!(matches!(large.unwrap_err().0[..], [RuleError::TooLarge { .. }]));
    let latin = Source { name: "bad.isle".into(), bytes: b";; caf\xe9".to_vec() };
    let error = RuleSet::parse(&[latin]).unwrap_err();
    assert!(matches!(error.0[..], [RuleError::NotUtf8 { offset: 6, .. }]));
    // A `let` chain that doubles its value each time.
    let chain: String =
        (1..40).map(|n| format!("(a{n} Value (iadd ty a{} a{0}))", n - 1)).collect();
    let doubling = body(&format!("(simplify (isub ty a0 x)) (let ({chain}) a39)"));
    refused!(&doubling, RuleError::TooComplex { .. });
    let wide = "(iadd ty x ".repeat(60) + "x" + &")".repeat(60);
    refused!(&body(&format!("(simplify {wide}) x")), RuleError::TooComplex { .. });
}

#[test]
fn a_missing_folder_is_an_error() {
    let error = RuleSet::from_folder(std::path::Path::new("no/such/folder")).unwrap_err();
    assert!(matches!(error.0[..], [RuleError::Read { .. }]));
}

/// Every prefix and many single-character changes of a rule file are read without a panic.
#[test]
fn mangled_rules_never_panic() {
    let text = ";; Why.\n(rule r (simplify (band vt y @ (ushr ty x (k s 3)) (k ty c)))\n\
                (if-let n (log2 c)) (if (fits_unsigned ty y n)) (let ((z Value (k ty 0xf0))) (iadd ty y z)))\n";
    let (mut accepted, mut refused) = (0, 0);
    let mut read = |text: String| match RuleSet::parse(&[Source::new("bad.isle", text)]) {
        Ok(_) => accepted += 1,
        Err(errors) => {
            for error in &errors.0 {
                assert!(!matches!(error, RuleError::FrontEnd { .. }), "{error}");
            }
            refused += 1;
        }
    };
    for end in 0..text.len() {
        read(text[..end].to_owned());
        for with in ["(", ")", "@", "x", "-", ";", "$", "_"] {
            read(format!("{}{with}{}", &text[..end], &text[end + 1..]));
        }
    }
    assert!(accepted > 10 && refused > 100, "{accepted} accepted, {refused} refused");
}
