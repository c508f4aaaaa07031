//! The lowering rules of `isle-rules/lower/aarch64`, ready to be matched.

use egraft_rules::{
    Interpreter, LoweringRule, LoweringSet, Rule, RuleId, RuleSet, Source, Template, VarId,
};
use std::sync::LazyLock;

macro_rules! sources {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../../isle-rules/lower/aarch64/", $file)))),*]
    };
}

const SOURCES: &[(&str, &str)] = sources![
    "absdiff.isle",
    "bits.isle",
    "convert.isle",
    "dot.isle",
    "halving.isle",
    "lanes.isle",
    "multiply.isle",
    "narrow.isle",
    "shifts.isle",
    "sums.isle",
];

/// The texts of the rules, for those who keep code that was made by them.
pub fn rule_texts() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|(_, text)| *text)
}

/// The rules, in file order.
pub static LOWERING: LazyLock<LoweringSet> = LazyLock::new(|| {
    let source = |(file, text): &(&str, &str)| Source::new(*file, (*text).to_owned());
    let sources: Vec<Source> = SOURCES.iter().map(source).collect();
    LoweringSet::parse(&sources).unwrap_or_else(|errors| panic!("built-in rules: {errors}"))
});

/// Their left sides; what they make is looked up by [`RuleId`].
static LEFT_SIDES: LazyLock<RuleSet> = LazyLock::new(|| {
    let left = |(at, rule): (usize, &LoweringRule)| Rule {
        id: RuleId(at as u16),
        name: rule.name.clone(),
        reason: rule.reason.clone(),
        file: rule.file.clone(),
        line: rule.line,
        vars: rule.vars.clone(),
        lhs: rule.lhs.clone(),
        conditions: rule.conditions.clone(),
        rhs: Template::Var(VarId(0)),
    };
    RuleSet { rules: LOWERING.rules.iter().enumerate().map(left).collect() }
});

/// Finds where left sides match.
pub(crate) static MATCHER: LazyLock<Interpreter<'static>> =
    LazyLock::new(|| LEFT_SIDES.interpreter());
