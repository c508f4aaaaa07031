//! The tables of machine ops: what they say of an op is so, and test operands tell ops apart.

#[path = "support/machine.rs"]
mod common;
mod support;

use common::{Batch, batches};
use egraft_ir::machine::{self, Kind, MachineError, MachineOp};
use std::collections::{BTreeMap, BTreeSet};

/// Immediates to compare ops by: a small one, and one in the middle of the range.
fn some_imms(op: MachineOp) -> [u32; 2] {
    op.imm_range().map_or([0; 2], |range| {
        [range.start() + 3, (range.start() + range.end()) / 2].map(|imm| imm.min(*range.end()))
    })
}

fn value(op: MachineOp, imm: u32, args: &[u128]) -> u128 {
    machine::eval(op, imm, args).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn names_are_unique_and_found() {
    let names: BTreeSet<&str> = MachineOp::all().map(MachineOp::name).collect();
    assert_eq!(names.len(), MachineOp::all().count());
    for op in MachineOp::all() {
        assert_eq!(MachineOp::by_name(op.name()), Some(op));
        assert!(op.args().len() <= 3 && op.cost() > 0, "{op}");
    }
    assert_eq!(MachineOp::by_name("x64_nothing"), None);
}

#[test]
fn results_fit_and_what_commutes_does() {
    let mut rng = support::rng("machine_tables");
    for Batch { op, imm, tuples } in batches(&mut rng, MachineOp::all(), 200) {
        for mut tuple in tuples {
            let args = &mut tuple[..op.args().len()];
            let result = value(op, imm, args);
            assert_eq!(result & (u128::MAX >> (128 - op.result().bits())), result, "{op}");
            if let Some((a, b)) = op.commutes() {
                args.swap(a, b);
                assert_eq!(value(op, imm, args), result, "{op} #{imm} {args:x?}");
            }
        }
    }
}

/// Ops that the same registers and immediates fit, so that one could be taken for the other, must
/// differ on the operands that the tests against processors draw: else those would miss an error.
#[test]
fn operands_tell_ops_apart() {
    let mut groups: BTreeMap<(_, &[Kind], Kind, _), Vec<MachineOp>> = BTreeMap::new();
    for op in MachineOp::all() {
        let imms = op.imm_range().map(|range| (*range.start(), *range.end()));
        groups.entry((op.target(), op.args(), op.result(), imms)).or_default().push(op);
    }
    let mut rng = support::rng("machine_pairs");
    let (mut pairs, mut alike) = (0, Vec::new());
    for group in groups.values() {
        for &op in group {
            let tuples: Vec<_> = batches(&mut rng, [op].into_iter(), 600)
                .into_iter()
                .flat_map(|batch| batch.tuples)
                .collect();
            for &other in group.iter().filter(|other| **other != op) {
                let differ = tuples.iter().any(|tuple| {
                    let args = &tuple[..op.args().len()];
                    some_imms(op)
                        .into_iter()
                        .any(|imm| value(op, imm, args) != value(other, imm, args))
                });
                pairs += 1;
                if !differ && op < other {
                    alike.push(format!("{op} {other}"));
                }
            }
        }
    }
    println!("{pairs} ordered pairs told apart");
    // With two lanes there is one way to take an even lane of each, and one to take the odd ones.
    let expected = [
        "a64_zip1_2d a64_uzp1_2d",
        "a64_zip1_2d a64_trn1_2d",
        "a64_zip2_2d a64_uzp2_2d",
        "a64_zip2_2d a64_trn2_2d",
        "a64_uzp1_2d a64_trn1_2d",
        "a64_uzp2_2d a64_trn2_2d",
    ];
    alike.sort();
    let mut expected = expected.map(String::from);
    expected.sort();
    assert_eq!(alike, expected);
}

#[test]
fn impossible_uses_are_errors() {
    let shift = MachineOp::by_name("a64_sshr_8h").expect("an op");
    assert!(matches!(machine::eval(shift, 0, &[1]), Err(MachineError::Immediate { imm: 0, .. })));
    assert!(matches!(
        machine::eval(shift, 1, &[1, 2]),
        Err(MachineError::Operands { expected: 1, found: 2, .. })
    ));
    let add = MachineOp::by_name("x64_paddb").expect("an op");
    let error = machine::eval(add, 3, &[1, 2]).expect_err("it has no immediate");
    assert_eq!(error.to_string(), "`x64_paddb` cannot have the immediate 3; it has none, give 0");
}
