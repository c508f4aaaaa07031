//! The lowering rules in git: they load, they compute the same, and their proofs are kept.

use egraft_infer::lowering::{self, Stock};
use egraft_ir::eval::Concrete;
use egraft_ir::machine::Target;
use egraft_rules::LoweringSet;
use egraft_verify::{Options, ProofCache, RuleReport, Standing, read_evidence};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Least number of rules of each target that stock has no equal for.
const FLOOR: usize = 40;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isle-rules")
}

fn rules_in(below: &str) -> LoweringSet {
    LoweringSet::from_folder(&folder().join(below)).unwrap_or_else(|errors| panic!("{errors}"))
}

fn rules() -> LoweringSet {
    rules_in("inferred/lower")
}

#[test]
fn every_rule_has_a_kept_proof() {
    let proofs = ProofCache::read(&folder().join("proofs.txt")).expect("the file is well formed");
    let evidence = read_evidence(&folder().join("evidence.json")).expect("it is well formed");
    let options = Options { ask: false, ..Options::default() };
    let mut resting = BTreeSet::new();
    for below in ["inferred/lower", "lower"] {
        let (report, _) =
            lowering::prove_rules(&rules_in(below), &options, 2, &proofs, &evidence, |_, _| {})
                .expect("no solver is asked");
        let stands =
            |rule: &RuleReport| matches!(rule.standing, Standing::Proven | Standing::Evidence);
        let open: Vec<_> = report.rules.iter().filter(|rule| !stands(rule)).collect();
        let rests = |rule: &&RuleReport| rule.standing == Standing::Evidence;
        resting.extend(report.rules.iter().filter(rests).map(|rule| rule.name.clone()));
        assert!(open.is_empty(), "run `egraft verify rules --update`: {open:#?}");
    }
    let lowers = |rule: &&String| rule.starts_with("a64_") || rule.starts_with("x64_");
    let given: BTreeSet<String> = evidence.keys().filter(lowers).cloned().collect();
    assert_eq!(resting, given, "the evidence that is of use, and what there is");
}

/// The numbers that conditions allow, and no others, with what is said of values.
#[test]
fn rules_with_conditions_have_instances() {
    let set = rules_in("lower");
    let instances = |name: &str| {
        let rule = set.by_name(name).unwrap_or_else(|| panic!("no rule {name}"));
        lowering::instances(rule).expect("its instances can be made")
    };
    assert_eq!(instances("a64_usra_8h").len(), 15, "amounts from 1 to 15");
    assert_eq!(instances("a64_uabd_16b").len(), 1);
    let rounded = instances("a64_urshr_8h");
    assert_eq!(rounded.len(), 15, "one half for each amount");
    assert!(rounded.iter().all(|one| one.facts.len() == 1));
    let of = |text: &str| rounded.iter().any(|one| one.clif.isle().contains(text));
    assert!(of("(k $I16X8 8)) (k $I32 4))") && !of("(k $I16X8 8)) (k $I32 5))"));
}

/// Both sides are sums of one function of each pair of bytes, so they are equal if they are for each pair at each place.
#[test]
fn mixed_dot_products_are_signed_ones_for_all_bytes() {
    for name in ["a64_usdot_by_sdot", "a64_usdot_by_sdot_alone"] {
        let set = rules_in("lower");
        let rule = set.by_name(name).unwrap_or_else(|| panic!("no rule {name}"));
        let (clif, machine) = lowering::terms(rule).expect("it has no variables but values");
        let first = usize::from(clif.leaves()) - 2;
        for pair in 0..1 << 16 {
            // Each of the four sums has the pair at a place of its own.
            let both = [pair >> 8, pair & 0xff]
                .map(|byte| (0..4).fold(0u128, |all, place| all | byte << (40 * place)));
            let mut leaves = [0x0000_0001_ffff_fff0_7fff_ffff_8000_0000; 4];
            leaves[first..first + 2].copy_from_slice(&both);
            let sides = (clif.value(&mut Concrete, &leaves), machine.value(&mut Concrete, &leaves));
            assert_eq!(sides.0, sides.1, "{rule}: {pair:#x}");
        }
    }
}

#[test]
fn both_sides_agree_on_random_operands() {
    let mut random = SmallRng::seed_from_u64(7);
    for rule in &rules().rules {
        let (clif, machine) =
            lowering::terms(rule).expect("found rules have no variables but values");
        for _ in 0..20 {
            let leaves: [u128; 4] = std::array::from_fn(|_| random.random());
            let both = (clif.value(&mut Concrete, &leaves), machine.value(&mut Concrete, &leaves));
            assert_eq!(both.0, both.1, "{rule}");
        }
    }
}

/// Stock has the extensions that the rule needs, if it needs any.
#[test]
fn stock_needs_more_instructions() {
    for target in [Target::X64, Target::A64] {
        let stocks = [false, true].map(|extended| Stock::new(target, extended));
        let mut rules_of_target = 0;
        for rule in &rules().rules {
            let (clif, machine) =
                lowering::terms(rule).expect("found rules have no variables but values");
            if machine.root().target() != target {
                continue;
            }
            rules_of_target += 1;
            let stock = &stocks[usize::from(lowering::needs_extensions(&machine))];
            let code = stock.compile(&clif).expect("stock lowers what was found");
            assert!(code.len() > machine.instructions(), "{rule}: {}", code.join("; "));
        }
        assert!(rules_of_target >= FLOOR, "{target:?}: {rules_of_target}");
    }
}
