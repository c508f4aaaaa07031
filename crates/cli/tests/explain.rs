//! `egraft explain --asm`: both sides of a loop, as text and as JSON.

mod common;

use common::{MODULE, egraft, egraft_with, kernels};
use serde_json::Value as Json;
use std::path::Path;

/// A kernel, and the function of it that does the work.
const KERNEL: &str = "blur3x3_u8";
const WORK: &str = "blur3x3_u8_par_for_output_s0_y_yo";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.wat"), MODULE).unwrap();
    folder
}

/// Standard output of `egraft explain` with nothing on the search path, so that the outcome is the
/// same wherever `llvm-mca` is installed.
fn explain(folder: &Path, module: &str, function: &str, options: &[&str]) -> String {
    let mut arguments = vec!["explain", module, function, "--asm"];
    arguments.extend(options);
    egraft_with(folder, &arguments, b"", &[("PATH", "")]).success()
}

fn json(folder: &Path, module: &str, function: &str, options: &[&str]) -> Json {
    let mut options = options.to_vec();
    options.push("--json");
    let text = explain(folder, module, function, &options);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn kernel() -> String {
    kernels().join(format!("{KERNEL}.wasm")).to_str().unwrap().to_owned()
}

/// Code for a CPU of known kind, whatever the host.
const TARGET: [&str; 4] = ["--target", "x86_64-unknown-linux-gnu", "--cpu", "avx2"];

#[test]
fn a_kernel_shows_wasm_clif_tiles_rules_and_both_sides() {
    let folder = folder();
    let text = explain(folder.path(), &kernel(), WORK, &TARGET);
    for word in [
        "blur3x3_u8_par_for_output_s0_y_yo: taken",
        "llvm-mca is not installed",
        "loop @",
        "egraft, fast",
        "v128.load",
        "i16x8.extend_high_i8x16_u",
        "iadd_pairwise",
        "by idiom_sum_of_uwiden_high",
        "vpmaddubsw ymm",
        "punpckhbw xmm",
        " pack",
    ] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    assert!(!text.contains('\x1b'), "colour goes to terminals only");
}

#[test]
fn on_aarch64_machine_ops_stand_beside_their_instructions() {
    let folder = folder();
    let target = ["--target", "aarch64", "--cpu", "neoverse-v2"];
    let text = explain(folder.path(), &kernel(), WORK, &target);
    for word in ["egraft, fast", "v128.load", "uaddl v", "a64_", "urhadd v", "stp q"] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
    let shown = json(folder.path(), &kernel(), WORK, &target);
    let rows = shown["sections"].as_array().unwrap().iter();
    let rows: Vec<&Json> = rows.flat_map(|section| section["rows"].as_array().unwrap()).collect();
    let insts = |side: &str| -> Vec<&Json> {
        rows.iter().flat_map(|row| row[side].as_array().unwrap()).collect()
    };
    assert!(insts("stock").iter().all(|inst| inst["tile"].is_null()));
    let text = |inst: &Json, key: &str| inst[key].as_str().unwrap_or_default().to_owned();
    let chosen = insts("egraft").into_iter().filter(|inst| inst["tile"].is_string());
    let mut compared = 0;
    for inst in chosen {
        // a64_uaddl_8b is `uaddl v0.8h, ...`.
        let op = text(inst, "tile");
        let name = op.strip_prefix("a64_").unwrap().split('_').next().unwrap().to_owned();
        assert!(text(inst, "text").starts_with(&name), "{inst}");
        compared += 1;
    }
    assert!(compared >= 4, "{compared} machine ops were compared");
    assert!(insts("stock").iter().chain(&insts("egraft")).all(|inst| inst["cycles"].is_number()));
}

#[test]
fn counts_are_those_of_the_instructions_shown() {
    let folder = folder();
    let shown = json(folder.path(), &kernel(), WORK, &TARGET);
    let text = explain(folder.path(), &kernel(), WORK, &TARGET);
    let sections = shown["sections"].as_array().unwrap();
    assert!(!sections.is_empty());
    let mut compared = 0;
    for section in sections {
        let known = |found: &Json| found["turns"].is_u64();
        assert!(section["loops"].as_array().unwrap().iter().all(known), "{section}");
        let rows = section["rows"].as_array().unwrap();
        for side in ["egraft", "stock"] {
            let insts: Vec<&Json> =
                rows.iter().flat_map(|row| row[side].as_array().unwrap()).collect();
            let loops = section["loops"].as_array().unwrap();
            let fast = loops.iter().any(|found| found["fast"] == true);
            let of_side = |found: &&Json| {
                found["side"] == side && (side == "stock" || !fast || found["fast"] == true)
            };
            let loops: Vec<&Json> = loops.iter().filter(of_side).collect();
            let count =
                |key: &str| -> u64 { loops.iter().map(|found| found[key].as_u64().unwrap()).sum() };
            assert_eq!(count("instructions") as usize, insts.len(), "{side}");
            let widths =
                count("scalar") + count("vector128") + count("vector256") + count("vector512");
            assert_eq!(widths as usize, insts.len());
            let texts = || insts.iter().map(|inst| inst["text"].as_str().unwrap());
            let widest = texts().filter(|text| text.contains("zmm"));
            assert_eq!(count("vector512") as usize, widest.count());
            let wide = texts().filter(|text| text.contains("ymm") && !text.contains("zmm"));
            assert_eq!(count("vector256") as usize, wide.count());
            let cycles: f64 = insts.iter().map(|inst| inst["cycles"].as_f64().unwrap()).sum();
            let total: f64 = loops.iter().map(|found| found["cycles"].as_f64().unwrap()).sum();
            assert!((cycles - total).abs() < 1e-6, "{cycles} and {total}");
            assert_eq!(insts.iter().all(|inst| inst["tile"].is_string()), side == "egraft");
            for found in loops {
                // The table's line for this loop: its name, its offset, its instructions.
                let name = if found["fast"] == true { "egraft, fast" } else { side };
                let start = format!(" {:04x} ", found["start"].as_u64().unwrap());
                let line =
                    text.lines().find(|line| line.starts_with(name) && line.contains(&start));
                let cells: Vec<&str> = line.unwrap()[name.len()..].split_whitespace().collect();
                let printed: u64 =
                    cells.iter().rev().nth(cells.len() - 2).unwrap().parse().unwrap();
                assert_eq!(printed, found["instructions"].as_u64().unwrap());
                compared += 1;
            }
        }
    }
    assert!(compared >= 2, "{compared} loops were compared");
}

#[test]
fn the_whole_function_is_shown_on_request() {
    let folder = folder();
    let hot = json(folder.path(), "m.wat", "fill", &TARGET);
    let all = json(
        folder.path(),
        "m.wat",
        "fill",
        &["--all-blocks"].iter().chain(&TARGET).copied().collect::<Vec<_>>(),
    );
    let count = |shown: &Json, side: &str| -> usize {
        let rows = shown["sections"].as_array().unwrap().iter();
        let rows = rows.flat_map(|section| section["rows"].as_array().unwrap());
        rows.map(|row| row[side].as_array().unwrap().len()).sum()
    };
    for side in ["egraft", "stock"] {
        assert!(count(&all, side) > count(&hot, side), "{side}");
    }
    let text = explain(folder.path(), "m.wat", "fill", &["--all-blocks"]);
    assert!(text.contains("whole function") && text.contains("ret"), "{text}");
}

#[test]
fn a_function_left_to_stock_has_one_side_and_a_reason() {
    let folder = folder();
    let text = explain(folder.path(), "m.wat", "add", &["--all-blocks"]);
    assert!(text.starts_with("add: stock, no loop"), "{text}");
    assert!(text.contains("i32.add") && text.contains("iadd"), "{text}");
    let shown = json(folder.path(), "m.wat", "add", &["--all-blocks"]);
    let rows = shown["sections"][0]["rows"].as_array().unwrap();
    assert!(rows.iter().any(|row| !row["stock"].as_array().unwrap().is_empty()));
    assert!(rows.iter().all(|row| row["egraft"].as_array().unwrap().is_empty()));
    let short = explain(folder.path(), "m.wat", "add", &[]);
    assert!(short.contains("--all-blocks shows all of it"), "{short}");
}

#[test]
fn what_cannot_be_shown_is_an_error_with_a_way_out() {
    let folder = folder();
    let cases: [(&[&str], &str); 3] = [
        (&["explain", "m.wat", "nothing", "--asm"], "no function `nothing`"),
        (&["explain", "m.wat", "fill", "--asm", "--target", "riscv64"], "compile --emit asm"),
        (&["explain", "m.wat", "fill", "--all-blocks"], "--asm"),
    ];
    for (arguments, says) in cases {
        let ran = egraft(folder.path(), arguments, b"");
        assert!(ran.code.is_some_and(|code| code == 1 || code == 2), "{:?}", ran.code);
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
}
