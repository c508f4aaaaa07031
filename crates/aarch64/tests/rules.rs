//! Every lowering rule: a function of its left side is compiled by stock Cranelift and with the rules, both run, and the
//! results are the same to the bit. `filetests/aarch64/lowering.txt` shows both codes side by side.

#[path = "common/mod.rs"]
mod common;
#[path = "common/sample.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod sample;

use common::{Job, can_run, run, scratch, succeed, tool};
use cranelift_codegen::isa::OwnedTargetIsa;
use egraft_aarch64::{Compiled, LOWERING, Options, compile};
use egraft_rules::{LoweringRule, MachineTemplate};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use sample::{EXTENSIONS, Sample, isa, operands, plain};
use std::fmt::Write as _;
use std::process::Command;

/// Functions of each rule, and calls of each.
const SAMPLES: usize = 3;
const CALLS: usize = 48;
/// Functions that are tried for a rule before it counts as unused.
const TRIES: usize = 400;

fn root_op(rule: &LoweringRule) -> &'static str {
    match &rule.rhs {
        MachineTemplate::Op { op, .. } => op.name(),
        _ => unreachable!("a loaded rule has a machine op at its root"),
    }
}

/// Functions in which a rule's instruction is chosen: their text, stock's code, and the code with rules.
fn samples(isa: &OwnedTargetIsa, rule: &LoweringRule) -> Vec<(String, Compiled, Compiled)> {
    let own = Options { pair: false, ..plain() };
    let stock = Options { cover: false, ..own };
    let mut found = Vec::new();
    for seed in 0..TRIES as u64 {
        let Some(func) = Sample::of_rule(rule, seed) else { continue };
        let covered = compile(&[&func], &**isa, &own)
            .unwrap_or_else(|error| panic!("{}: {error}\n{func}", rule.name));
        if covered.chosen.contains_key(root_op(rule)) {
            let stock = compile(&[&func], &**isa, &stock).expect("stock compiles it");
            found.push((func.to_string(), stock, covered));
            if found.len() == SAMPLES {
                break;
            }
        }
    }
    found
}

#[test]
fn every_rule_computes_what_stock_code_does() {
    let [all, fewer] = [&EXTENSIONS[..], &EXTENSIONS[..1]].map(isa);
    let mut rng = SmallRng::seed_from_u64(7);
    let mut jobs = Vec::new();
    let mut texts = Vec::new();
    let mut unused = Vec::new();
    let mut shown = String::new();
    let mut better = 0;
    for rule in &LOWERING.rules {
        // Some only take the place of an extension.
        let samples = match samples(&all, rule) {
            none if none.is_empty() => samples(&fewer, rule),
            some => some,
        };
        let Some((_, stock, own)) = samples.first() else {
            unused.push(rule.name.as_str());
            continue;
        };
        better += usize::from(own.code.len() < stock.code.len());
        let _ = write!(shown, "{}", beside(rule, &stock.code, &own.code));
        for (text, stock, own) in samples {
            let operands = operands(&mut rng, CALLS);
            jobs.push(Job { code: stock.code, operands: operands.clone() });
            jobs.push(Job { code: own.code, operands });
            texts.push((rule.name.as_str(), text));
        }
    }
    println!("{} rules, {better} with less code", LOWERING.rules.len());
    assert!(unused.is_empty(), "no function uses {unused:?}");
    assert!(better >= 250, "{better} rules have less code than stock");
    if !can_run() {
        return;
    }
    let results = run("lowering_rules", &jobs);
    for ((job, pair), (name, text)) in jobs.chunks(2).zip(results.chunks(2)).zip(&texts) {
        for ((operands, stock), own) in job[0].operands.iter().zip(&pair[0]).zip(&pair[1]) {
            assert_eq!(own, stock, "{name}: {operands:x?}: {own:x} instead of {stock:x}\n{text}");
        }
    }
    expect(&shown);
}

/// Stock's code and ours side by side.
fn beside(rule: &LoweringRule, stock: &[u8], own: &[u8]) -> String {
    let (stock, own) = (disassembled(stock), disassembled(own));
    let mut text = format!(";; {}: {}\n;; {}\n", rule.name, rule.lhs_text(), rule.rhs_text());
    for at in 0..stock.len().max(own.len()) {
        let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_default();
        let _ = writeln!(text, "{:<44}| {}", line(&stock), line(&own));
    }
    text + "\n"
}

/// Instructions of `code`, but loads of operands, the store of the result and the frame.
fn disassembled(code: &[u8]) -> Vec<String> {
    let binary = scratch("shown.bin");
    std::fs::write(&binary, code).expect("the target folder is writable");
    let mut command = Command::new(tool("objdump"));
    command.args(["-D", "-b", "binary", "-m", "aarch64", "--no-show-raw-insn"]).arg(&binary);
    let text = String::from_utf8(succeed(&mut command)).expect("it is text");
    let insts = text.lines().filter_map(|line| {
        let (address, inst) = line.trim().split_once(":\t")?;
        let inst = inst.split("//").next()?.trim().replace('\t', " ");
        address.chars().all(|digit| digit.is_ascii_hexdigit()).then_some(inst)
    });
    let frame = ["stp x29", "mov x29", "ldp x29", "ret", "udf", ".inst", "nop"];
    let is_frame = |inst: &String| {
        frame.iter().any(|start| inst.starts_with(start))
            || inst.ends_with("[x1]")
            || (inst.starts_with("ldr q") && inst.contains("[x0"))
    };
    insts.filter(|inst| !is_frame(inst)).collect()
}

fn expect(shown: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../filetests/aarch64/lowering.txt");
    if std::env::var("EGRAFT_BLESS").is_ok() {
        std::fs::create_dir_all(std::path::Path::new(path).parent().expect("a folder")).unwrap();
        std::fs::write(path, shown).expect("the file is writable");
        return;
    }
    let known = std::fs::read_to_string(path).expect("the file is there");
    assert!(known == shown, "{path} is not what comes out; EGRAFT_BLESS=1 writes it anew");
}
