//! The ISLE text put in front of every rule file, made from the op and condition tables.
//!
//! Invariant: a term stands in the prelude exactly if the loader knows what it means.

use crate::rule::NOT_KNOWN;
use crate::{Cond, Sort};
use egraft_ir::machine::MachineOp;
use egraft_ir::{FloatCc, ImmKind, IntCc, Op, Ty, TypeRule, TypeSet};
use std::fmt::Write;

/// The name under which the prelude appears in errors.
pub const PRELUDE_FILE: &str = "prelude.isle";

/// Whether rules may name the op.
pub(crate) fn is_term(op: Op) -> bool {
    !op.is_leaf()
}

/// The only type the op works on, if there is but one.
pub(crate) fn only_type(op: Op) -> Option<Ty> {
    match op.types() {
        TypeSet::Only([ty]) => Some(*ty),
        _ => None,
    }
}

/// Whether rules write the op's type.
pub(crate) fn writes_type(op: Op) -> bool {
    only_type(op).is_none()
}

/// Whether the op has an operand type of its own.
pub(crate) fn has_from(op: Op) -> bool {
    matches!(op.type_rule(), TypeRule::Convert | TypeRule::Gather)
}

/// Whether rules write the op's operand type.
pub(crate) fn writes_from(op: Op) -> bool {
    has_from(op) && writes_type(op)
}

/// The sort of the op's immediate.
pub(crate) fn imm_sort(op: Op) -> Option<Sort> {
    match op.imm_kind() {
        ImmKind::None => None,
        ImmKind::IntCc => Some(Sort::IntCc),
        ImmKind::FloatCc => Some(Sort::FloatCc),
        ImmKind::Bits | ImmKind::Lane | ImmKind::Mask | ImmKind::Index => Some(Sort::Int),
    }
}

/// The sorts of the op's arguments as rules write them.
pub(crate) fn params(op: Op) -> Vec<Sort> {
    let mut params = Vec::new();
    if writes_type(op) {
        params.push(Sort::Type);
    }
    if writes_from(op) {
        params.push(Sort::Type);
    }
    params.extend(imm_sort(op));
    params.extend(std::iter::repeat_n(Sort::Value, op.arity()));
    params
}

/// The prelude: types, constants, and one term per op and condition.
pub fn prelude() -> String {
    with_root("simplify", "its class equals the right side")
}

/// The prelude of rules with this root term.
fn with_root(root: &str, meaning: &str) -> String {
    let mut text = String::from(
        ";;;; Generated from the op table and the condition table; never edited by hand.\n\n\
         (type Value (primitive Value))\n\
         (type Type (primitive Type))\n\
         ;; What a condition without a result gives.\n\
         (type Holds (primitive Holds))\n",
    );
    let names = |codes: Vec<String>| codes.join(" ");
    let int = names(IntCc::ALL.iter().map(|code| format!("{code:?}")).collect());
    let float = names(FloatCc::ALL.iter().map(|code| format!("{code:?}")).collect());
    let _ = writeln!(text, "(type IntCc extern (enum {int}))");
    let _ = writeln!(text, "(type FloatCc extern (enum {float}))\n");
    for ty in Ty::ALL {
        let _ = writeln!(text, "(extern const ${} Type)", ty.name().to_uppercase());
    }
    let _ = write!(
        text,
        "\n;; The root of every rule: {meaning}.\n\
         (decl multi {root} (Value) Value)\n\
         \n;; A constant with the number in every lane of the type.\n",
    );
    term(&mut text, "k", &[Sort::Type, Sort::Int]);
    text.push_str("\n;; A 128-bit vector constant, byte 0 lowest.\n");
    term(&mut text, "kvec", &[Sort::Int]);
    text.push_str("\n;; Ops: type, operand type of conversions, immediate, operands.\n");
    for op in Op::ALL.iter().copied().filter(|op| is_term(*op)) {
        term(&mut text, op.name(), &params(op));
    }
    text.push_str("\n;; Conditions.\n");
    for cond in Cond::ALL {
        let name = cond.name();
        let params: Vec<_> = cond.params().iter().map(|(_, sort)| sort.name()).collect();
        let partial = if cond.is_partial() { "partial " } else { "" };
        let result = cond.result().map_or("Holds", Sort::name);
        let _ = writeln!(text, ";; {}", cond.meaning());
        let _ = writeln!(text, "(decl pure {partial}{name} ({}) {result})", params.join(" "));
        let _ = writeln!(text, "(extern constructor {name} {name})");
    }
    let _ = write!(
        text,
        "\n;; A condition on facts is not known to hold.\n\
         (decl pure partial {NOT_KNOWN} (Holds) Holds)\n\
         (extern constructor {NOT_KNOWN} {NOT_KNOWN})\n",
    );
    text
}

/// The prelude of lowering rules: [`prelude`], their root, and one term per machine op.
pub fn lowering_prelude() -> String {
    let mut text = with_root("lower", "the machine ops on the right side compute its class");
    text.push_str("\n;; Machine ops: immediate, operands.\n");
    for op in MachineOp::all() {
        let imm = op.imm_range().map(|_| Sort::Int.name());
        let values = op.args().iter().map(|_| Sort::Value.name());
        let params: Vec<_> = imm.into_iter().chain(values).collect();
        let _ = writeln!(text, "(decl {op} ({}) Value)", params.join(" "));
        let _ = writeln!(text, "(extern constructor {op} {op})");
    }
    text
}

fn term(text: &mut String, name: &str, params: &[Sort]) {
    let params: Vec<_> = params.iter().map(|sort| sort.name()).collect();
    let _ = writeln!(text, "(decl {name} ({}) Value)", params.join(" "));
    let _ = writeln!(text, "(extern extractor {name} {name})");
    let _ = writeln!(text, "(extern constructor {name} {name})");
}
