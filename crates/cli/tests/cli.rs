//! The command as users meet it: every subcommand once, on good input.

mod common;

use common::{KERNEL, MODULE, descriptor, egraft, kernels};
use serde_json::Value as Json;
use std::path::Path;
use tempfile::TempDir;

/// A folder with the module and the kernel of `common`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("m.wat", MODULE);
    write("k.wat", KERNEL);
    write("k.json", &descriptor().to_string());
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    egraft(folder, arguments, b"").success()
}

fn json(folder: &Path, arguments: &[&str]) -> Json {
    let text = run(folder, arguments);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

#[test]
fn help_names_commands_examples_and_exit_codes() {
    let folder = folder();
    let help = run(folder.path(), &["--help"]);
    let commands =
        ["compile", "run", "inspect", "explain", "rules", "bench", "egraph", "completions", "man"];
    for word in commands.into_iter().chain(["Examples:", "Exit codes:"]) {
        assert!(help.contains(word), "{word} is missing in {help}");
    }
    for command in commands {
        let help = run(folder.path(), &[command, "--help"]);
        assert!(help.contains("Example"), "{command} has no example: {help}");
    }
    assert!(!help.contains('\x1b'), "colour goes to terminals only");
    assert!(run(folder.path(), &["--version"]).starts_with("egraft "));
}

#[test]
fn completions_and_manual_pages_are_made() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(folder.path(), &["completions", shell]).contains("egraft"), "{shell}");
    }
    assert!(run(folder.path(), &["man"]).starts_with(".ie"));
    std::fs::create_dir(folder.path().join("man")).unwrap();
    run(folder.path(), &["man", "--directory", "man"]);
    let page = std::fs::read_to_string(folder.path().join("man/egraft-compile.1")).unwrap();
    assert!(page.contains("cwasm"), "{page}");
}

#[test]
fn a_module_compiles_runs_and_loads_in_stock_wasmtime() {
    let folder = folder();
    let text = run(folder.path(), &["compile", "m.wat", "-o", "m.cwasm"]);
    assert!(text.starts_with("m.cwasm: "), "{text}");
    assert_eq!(run(folder.path(), &["run", "m.cwasm", "--invoke", "add", "2", "40"]), "42\n");
    assert_eq!(run(folder.path(), &["run", "m.wat", "--invoke", "add", "2", "-3"]), "-1\n");
    let stock = ["run", "m.wat", "--engine", "stock", "--invoke", "add", "0x10", "1"];
    assert_eq!(run(folder.path(), &stock), "17\n");
    let module =
        egraft(folder.path(), &["run", "-", "--invoke", "add", "1", "1"], MODULE.as_bytes());
    assert_eq!(module.success(), "2\n");

    let cwasm = std::fs::read(folder.path().join("m.cwasm")).unwrap();
    let engine = wasmtime::Engine::default();
    // SAFETY: the file was written by the command under test.
    let module = unsafe { wasmtime::Module::deserialize(&engine, cwasm) }.unwrap();
    assert_eq!(module.exports().count(), 6);
}

#[test]
fn modules_compile_for_other_targets() {
    let folder = folder();
    for target in ["aarch64", "riscv64", "s390x", "x86_64-pc-windows-msvc"] {
        run(folder.path(), &["compile", "m.wat", "-o", "t.cwasm", "--target", target]);
    }
    run(folder.path(), &["compile", "m.wat", "-o", "t.cwasm", "--cpu", "avx2"]);
}

#[test]
fn functions_are_verified_for_both_targets() {
    let folder = folder();
    let kernel = kernels().join("unsharp_u8.wasm");
    let kernel = kernel.to_str().unwrap();
    for (target, step, another) in
        [("aarch64", "covering", "order of fast loops"), ("x86_64", "selection", "packing")]
    {
        let cpu = if target == "x86_64" { "avx2" } else { "baseline" };
        let text = run(folder.path(), &["verify", kernel, "--target", target, "--cpu", cpu]);
        let line = text.lines().find(|line| line.starts_with(&format!("{step}: ")));
        let line = line.unwrap_or_else(|| panic!("no {step} in {text}"));
        assert!(line.contains("0 unknown") && line.contains(", 0 failed"), "{line}");
        assert!(text.contains(&format!("not validated: {another}")), "{text}");
    }
}

#[test]
fn emit_writes_one_set_of_files_per_function() {
    let folder = folder();
    let what = "clif,egraph,asm,dot,json";
    run(folder.path(), &["compile", "m.wat", "-o", "m.cwasm", "--emit", what]);
    let emitted = folder.path().join("m.emit");
    for index in 0..4 {
        for ending in ["before.clif", "after.clif", "egraph.json", "s", "dot"] {
            let file = emitted.join(format!("{index}.{ending}"));
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(!text.is_empty(), "{}", file.display());
            if ending == "egraph.json" {
                serde_json::from_str::<Json>(&text).unwrap();
            }
        }
    }
    let report: Json =
        serde_json::from_slice(&std::fs::read(emitted.join("report.json")).unwrap()).unwrap();
    assert!(report["functions"].as_array().unwrap().len() >= 4);
}

#[test]
fn inspect_and_explain_tell_of_every_function() {
    let folder = folder();
    let report = json(folder.path(), &["inspect", "m.wat", "--json"]);
    let functions = report["functions"].as_array().unwrap();
    assert_eq!(functions.len(), 4);
    assert_eq!(functions[0]["name"], "fill");
    assert_eq!(functions[0]["shape"]["vector_loops"], 1);
    for function in functions {
        assert!(function["stock_code_bytes"].as_u64().unwrap() > 0, "{function}");
        assert_eq!(function["taken"].as_bool().unwrap(), function["reason"].is_null());
    }
    let table = run(folder.path(), &["inspect", "m.wat"]);
    assert!(table.contains("fill") && table.contains("functions taken"), "{table}");
    let all = json(folder.path(), &["inspect", "m.wat", "--all", "--json"]);
    assert!(all["functions"].as_array().unwrap().len() > 4);

    let by_index = json(folder.path(), &["explain", "m.wat", "0", "--json"]);
    assert_eq!(by_index["symbol"], "wasm[0]::function[0]");
    let text = run(folder.path(), &["explain", "m.wat", "fill"]);
    assert!(text.starts_with("fill: ") && text.contains("e-graph: "), "{text}");
}

#[test]
fn egraphs_are_saved_shown_gone_on_with_and_compared() {
    let folder = folder();
    let run = |arguments: &[&str]| run(folder.path(), arguments);
    let saved = run(&["egraph", "save", "m.wat", "fill", "-o", "a.egraph"]);
    assert!(saved.starts_with("a.egraph: ") && saved.contains("roots"), "{saved}");
    let shown = run(&["egraph", "show", "a.egraph"]);
    assert!(shown.contains("this program's rules") && shown.contains("(root)"), "{shown}");
    assert!(run(&["egraph", "show", "a.egraph", "--format", "dot"]).starts_with("digraph"));
    let graph = json(folder.path(), &["egraph", "show", "a.egraph", "--format", "json"]);
    assert!(!graph["nodes"].as_object().unwrap().is_empty());
    let terms = run(&["egraph", "show", "a.egraph", "--format", "terms"]);
    assert!(terms.starts_with("c0 = ") && terms.contains("a term of size "), "{terms}");
    assert!(!terms.contains("no term"), "{terms}");
    let checked = run(&["egraph", "load", "a.egraph", "--iterations", "0", "-o", "b.egraph"]);
    assert!(checked.contains("after 0 iterations"), "{checked}");
    let bytes = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert_eq!(bytes("a.egraph"), bytes("b.egraph"));
    let same = run(&["egraph", "diff", "a.egraph", "b.egraph"]);
    assert!(same.ends_with("classes are the same\n"), "{same}");
    run(&["egraph", "save", "m.wat", "1", "-o", "c.egraph"]);
    let differ = egraft(folder.path(), &["egraph", "diff", "a.egraph", "c.egraph"], b"");
    assert_eq!(differ.code, Some(3), "{}", differ.stderr);
    assert!(differ.stdout.contains("only c.egraph: "), "{}", differ.stdout);
}

#[test]
fn code_is_the_same_with_either_matcher() {
    let folder = folder();
    let compile = |matcher: &str, output: &str| {
        let arguments = ["compile", "m.wat", "--effort", "3", "--matcher", matcher, "-o", output];
        egraft(folder.path(), &arguments, b"").success();
        std::fs::read(folder.path().join(output)).unwrap()
    };
    assert_eq!(compile("cpu", "a.cwasm"), compile("gpu", "b.cwasm"));
    let below = ["compile", "m.wat", "--matcher", "gpu", "-o", "c.cwasm"];
    let below = egraft(folder.path(), &below, b"");
    assert!(below.stderr.contains("at effort 3"), "{}", below.stderr);
}

#[test]
fn the_same_rules_are_found_with_either_matcher() {
    let folder = folder();
    let infer = |matcher: &str, out: &str| {
        let run = ["infer", "run", "--workload", "scalar_compare,float_signs", "--out", out];
        let run = [&run[..], &["--matcher", matcher]].concat();
        let said = egraft(folder.path(), &run, b"").success();
        let files = std::fs::read_dir(folder.path().join(out)).unwrap();
        let mut files: Vec<(String, String)> = files
            .map(|file| file.unwrap().path())
            .map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap()))
            .map(|(path, text)| (path.replace(out, ""), text))
            .collect();
        files.sort();
        (files, said)
    };
    let ((cpu, _), (gpu, said)) = (infer("cpu", "rules_a"), infer("gpu", "rules_b"));
    assert_eq!(cpu, gpu);
    assert!(cpu.iter().any(|(_, text)| text.contains("(rule ")));
    assert!(said.contains("the GPU made ") || said.contains("the CPU inferred: "), "{said}");
}

#[test]
fn rules_are_listed_shown_and_checked() {
    let folder = folder();
    let rules = json(folder.path(), &["rules", "list", "--json"]);
    let rules = rules.as_array().unwrap();
    assert!(rules.len() >= 120, "{} rules", rules.len());
    let name = rules[0]["name"].as_str().unwrap();
    let shown = run(folder.path(), &["rules", "show", name]);
    assert!(shown.starts_with(name) && shown.contains("=>"), "{shown}");
    assert!(run(folder.path(), &["rules", "list", name]).contains(name));

    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isle-rules/rewrite");
    let mut arguments = vec!["rules".to_owned(), "check".to_owned()];
    for file in std::fs::read_dir(source).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "isle") {
            arguments.push(path.to_str().unwrap().to_owned());
        }
    }
    let text = egraft(folder.path(), &arguments, b"").success();
    assert!(text.contains("all well typed"), "{text}");
}

#[test]
fn goals_are_derived_or_listed() {
    let folder = folder();
    let rules = ";; 0 is neutral.\n(rule zero (simplify (iadd ty x (k ty 0))) x)\n";
    let goals = ";; Follows.\n(rule twice (simplify (iadd ty (k ty 0) (iadd ty x (k ty 0)))) x)\n\
                 ;; Does not.\n(rule self (simplify (isub ty x x)) (k ty 0))\n";
    std::fs::write(folder.path().join("rules.isle"), rules).unwrap();
    std::fs::write(folder.path().join("goals.isle"), goals).unwrap();
    let derive = ["rules", "derive", "--rules", "rules.isle", "--goals", "goals.isle"];
    let text = run(folder.path(), &derive);
    assert!(text.contains("self") && text.contains("saturated after"), "{text}");
    assert!(text.contains("50.0 %") && !text.contains("twice"), "{text}");
    let found = json(folder.path(), &[&derive[..], &["--json"]].concat());
    assert_eq!(
        (&found["files"][0]["goals"], &found["files"][0]["derived"]),
        (&2.into(), &1.into())
    );
}

#[test]
fn a_wasi_program_gets_arguments_variables_folders_and_its_exit_code() {
    let folder = folder();
    // Writes its last argument to standard output and exits with the number of arguments.
    let program = r#"(module
        (import "wasi_snapshot_preview1" "args_sizes_get"
            (func $sizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start") (local $end i32)
            (drop (call $sizes (i32.const 0) (i32.const 4)))
            (drop (call $args (i32.const 64) (i32.const 1024)))
            (i32.store (i32.const 16) (i32.load (i32.add (i32.const 60)
                (i32.mul (i32.const 4) (i32.load (i32.const 0))))))
            (local.set $end (i32.add (i32.const 1024) (i32.load (i32.const 4))))
            (i32.store (i32.const 20)
                (i32.sub (i32.sub (local.get $end) (i32.const 1)) (i32.load (i32.const 16))))
            (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 32)))
            (call $exit (i32.load (i32.const 0)))))"#;
    std::fs::write(folder.path().join("p.wat"), program).unwrap();
    let arguments = ["run", "--dir", ".", "--env", "A=b", "p.wat", "--", "--one", "two words"];
    let ran = egraft(folder.path(), &arguments, b"");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), "two words"), "{}", ran.stderr);
    run(folder.path(), &["compile", "p.wat"]);
    let ran = egraft(folder.path(), &["run", "p.cwasm", "last"], b"");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), "last"), "{}", ran.stderr);
}

/// A program that clang made of C, with nothing of Halide's in it.
#[test]
fn a_c_program_is_inspected_and_runs_alike_under_both_engines() {
    let folder = folder();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wasi/program.wasm");
    let program = program.to_str().unwrap();
    let report = json(folder.path(), &["inspect", program, "--json"]);
    let functions = report["functions"].as_array().unwrap();
    assert!(functions.len() > 50, "{} functions", functions.len());
    assert!(functions.iter().any(|function| function["name"] == "qsort"));
    let decided = functions.iter().filter(|function| function["taken"].is_boolean()).count();
    assert_eq!(decided, functions.len());

    let of = |engine: &str| run(folder.path(), &["run", program, "--engine", engine, "--", "3"]);
    let stock = of("stock");
    assert!(stock.contains(" 2262 "), "2262 primes lie below 20000: {stock}");
    assert_eq!(of("egraft"), stock);
    let ran = egraft(folder.path(), &["run", program, "--", "0"], b"");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), "usage: program [ROUNDS]\n"));
}

#[test]
fn kernels_are_compared() {
    let folder = folder();
    let arguments = ["run", "--kernel", "k.json", "--compare", "--rounds", "3"];
    let text = run(folder.path(), &arguments);
    for word in ["outputs identical", "stock: ", "egraft: ", "speed of egraft over stock"] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
    let mut arguments = arguments.to_vec();
    arguments.push("--json");
    let result = json(folder.path(), &arguments);
    assert_eq!(result["outputs_equal"], true);
    assert!(result["engines"]["egraft"]["time_ns"]["value"].as_f64().unwrap() > 0.0);
    let stock = ["run", "--kernel", "k.json", "--engine", "stock", "--rounds", "1", "--json"];
    assert!(json(folder.path(), &stock)["outputs_equal"].is_null());
}

#[test]
fn bundled_kernels_run_from_their_folder() {
    let folder = folder();
    for name in ["blur3x3_u8", "satmix_i16"] {
        let descriptor = kernels().join(format!("{name}.json"));
        let path = descriptor.to_str().unwrap();
        let arguments = ["run", "--kernel", path, "--compare", "--rounds", "1", "--size", "2"];
        let text = run(folder.path(), &arguments);
        assert!(text.contains("outputs identical"), "{text}");
    }
}

/// A folder `work` with the kernel of `common`, in a folder of its own.
fn kernel_folder() -> tempfile::TempDir {
    let folder = folder();
    let work = folder.path().join("work");
    std::fs::create_dir(&work).unwrap();
    std::fs::rename(folder.path().join("k.wat"), work.join("k.wat")).unwrap();
    std::fs::rename(folder.path().join("k.json"), work.join("k.json")).unwrap();
    folder
}

fn read_json(path: &std::path::Path) -> Json {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn bench_writes_its_result() {
    let folder = kernel_folder();
    let text = run(folder.path(), &["bench", "work", "--rounds", "3", "--json", "result.json"]);
    assert!(text.contains("speed over stock"), "{text}");
    let result = read_json(&folder.path().join("result.json"));
    assert_eq!(result["schema"], "egraft-bench/2");
    let kernel = &result["kernels"][0];
    assert_eq!((&kernel["name"], &kernel["outputs_equal"]), (&"scale".into(), &true.into()));
    for engine in ["stock", "egraft"] {
        let engine = &kernel["engines"][engine];
        assert!(engine["time_ns"]["value"].as_f64().unwrap() > 0.0, "{engine}");
        assert!(engine["code_bytes"].as_u64().unwrap() > 0, "{engine}");
        assert_eq!(engine["samples_ns"].as_array().unwrap().len(), 3);
        assert_eq!(engine["samples_ns"][0].as_array().unwrap().len(), 3);
        assert!(engine["compile_ns"][0].as_f64().unwrap() > 0.0, "{engine}");
    }
    assert!(kernel["engines"]["egraft"]["vector_functions"][0].is_u64());
    assert_eq!(result["geomean"]["egraft"]["kernels"], 1);
}

#[test]
fn two_states_are_measured_in_turns_and_compared() {
    let folder = kernel_folder();
    let bench =
        ["bench", "work", "--base-kernels", "work", "--rounds", "2", "--json", "result.json"];
    let text = run(folder.path(), &bench);
    assert!(text.contains("base:egraft"), "{text}");
    // The same kernel twice: a change of nine tenths is one of the test, not of the kernel.
    let compare = ["bench", "compare", "result.json", "--least", "90", "--markdown", "comment.md"];
    let text = run(folder.path(), &compare);
    for word in ["stock: ", "egraft: ", "scale", "geometric mean"] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
    let comment = std::fs::read_to_string(folder.path().join("comment.md")).unwrap();
    assert!(comment.contains("| `scale` |") && comment.contains("All kernels"), "{comment}");
    let json = json(folder.path(), &[&compare[..], &["--json"]].concat());
    assert_eq!(json[0]["interleaved"], true);
}

#[test]
fn a_peer_that_fails_takes_nothing_with_it() {
    let folder = kernel_folder();
    let peers = folder.path().join("peers");
    std::fs::create_dir(&peers).unwrap();
    let descriptor = |name: &str, command: &[&str]| {
        let json = serde_json::json!({ "about": name, "command": command, "setup": "make it" });
        std::fs::write(peers.join(format!("{name}.json")), json.to_string()).unwrap();
    };
    let hello = r#"echo '{"protocol": "egraft-peer/1", "engine": "x"}'"#;
    descriptor("works", &[env!("CARGO_BIN_EXE_egraft"), "engine", "stock"]);
    descriptor("absent", &["/no/such/program"]);
    descriptor("ends", &["sh", "-c", &format!("{hello}; echo no room >&2; exit 7")]);
    descriptor(
        "refuses",
        &["sh", "-c", &format!("{hello}; read line; echo '{{\"error\": \"no simd\"}}'")],
    );

    let bench = ["bench", "work", "--peers", "peers", "--rounds", "1", "--processes", "1"];
    let json = ["--json", "result.json"];
    let engines = ["--engines", "stock,ends,works,refuses"];
    let ran = egraft(folder.path(), &[&bench[..], &json, &engines].concat(), b"");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for words in ["ends: sh: ended with exit code 7; it said: no room", "no simd"] {
        assert!(ran.stderr.contains(words), "{words} is missing in {}", ran.stderr);
    }
    let result = read_json(&folder.path().join("result.json"));
    let engines = &result["kernels"][0]["engines"];
    assert!(engines["works"]["time_ns"]["value"].as_f64().unwrap() > 0.0);
    assert!(engines["ends"]["failure"].as_str().unwrap().contains("exit code 7"));
    assert_eq!(result["kernels"][0]["outputs_equal"], true);

    let ran = egraft(folder.path(), &[&bench[..], &["--engines", "all"]].concat(), b"");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for words in ["absent is left out", "cannot be started", "(make it)"] {
        assert!(ran.stderr.contains(words), "{words} is missing in {}", ran.stderr);
    }
    assert!(ran.stdout.contains("works") && !ran.stdout.contains("absent"), "{}", ran.stdout);
}

#[test]
fn a_report_is_one_page() {
    let folder = kernel_folder();
    let bench = ["bench", "work", "--rounds", "2", "--json", "result.json", "--history", "h.jsonl"];
    for label in ["first", "second"] {
        run(folder.path(), &[&bench[..], &["--label", label]].concat());
    }
    let history = std::fs::read_to_string(folder.path().join("h.jsonl")).unwrap();
    assert_eq!(history.lines().count(), 2);
    run(
        folder.path(),
        &["bench", "report", "result.json", "--kernels", "work", "--history", "h.jsonl"],
    );
    let page = std::fs::read_to_string(folder.path().join("result.html")).unwrap();
    assert!(
        page.starts_with("<!DOCTYPE html>") && page.contains("scale") && page.contains("second")
    );
}

#[test]
fn a_slower_state_has_an_exit_code() {
    let folder = kernel_folder();
    run(folder.path(), &["bench", "work", "--rounds", "2", "--json", "old.json"]);
    let mut result = read_json(&folder.path().join("old.json"));
    let engine = &mut result["kernels"][0]["engines"]["egraft"];
    for process in engine["samples_ns"].as_array_mut().unwrap() {
        for sample in process.as_array_mut().unwrap() {
            *sample = (sample.as_f64().unwrap() * 100.0).into();
        }
    }
    std::fs::write(folder.path().join("new.json"), result.to_string()).unwrap();
    let ran = egraft(folder.path(), &["bench", "compare", "old.json", "new.json"], b"");
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    assert!(ran.stdout.contains("slower") && ran.stderr.contains("slower than before: egraft"));
}

#[test]
fn a_cache_folder_changes_no_byte() {
    let folder = folder();
    run(folder.path(), &["compile", "m.wat", "-o", "plain.cwasm"]);
    for output in ["first.cwasm", "second.cwasm"] {
        run(folder.path(), &["compile", "m.wat", "-o", output, "--cache-dir", "cache"]);
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        assert_eq!(read("plain.cwasm"), read(output), "{output}");
    }
}
