//! Counts the instructions that kernels execute in stock Cranelift's AArch64 code and in Egraft's, and models their cycles.
//!
//! Instructions are those of code for no core in particular, with dot products. QEMU logs which blocks run; each block's
//! steady-state cycles are llvm-mca's, of code tuned for Neoverse V2 and N1, against stock's for the same features, with the
//! dispatch widths that LLVM corrected after version 19. Nothing here is measured time: caches, branches and what
//! overlaps from block to block are not modelled.
//!
//! ```console
//! $ cargo run --release -p egraft-aarch64 --example model -- [--blocks] [SIZE [KERNEL]...]
//! ```
//!
//! `--blocks` also shows the blocks that execute most, stock's first.

#[path = "../tests/common/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod common;
#[path = "../tests/common/instance.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod instance;

use common::{can_run, scratch, succeed, tool};
use egraft::{Core, Effort};
use egraft_kernels::{Instance, Kernel};
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use wasmtime::{Engine, Module};

/// Blocks with a smaller part of all instructions are not modelled.
const LEAST_PART: f64 = 0.002;
/// How many blocks are shown.
const BLOCKS: usize = 3;
/// Cores that are modelled; code is tuned for each.
const CORES: [Core; 2] = [Core::NeoverseV2, Core::NeoverseN1];

/// What one run of a kernel executes.
struct Run {
    instructions: u64,
    /// On the core that is modelled, if there is one.
    cycles: f64,
}

fn main() {
    if !can_run() {
        return;
    }
    let mut args = std::env::args().skip(1).peekable();
    let shows_blocks = args.next_if(|arg| arg == "--blocks").is_some();
    let size: usize = args.next().map_or(1, |size| size.parse().expect("the number of a size"));
    let wanted: Vec<String> = args.collect();
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/kernels"));
    let mut descriptors: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    descriptors.sort();
    let engine = Engine::default();
    // Several may run at once.
    let name = format!("model-{}", std::process::id());
    let mut ratios: [Vec<f64>; 3] = Default::default();
    println!(
        "{:<24}{:>14}{:>14}{:>8}{:>8}{:>8}",
        "kernel", "stock insts", "own insts", "insts", "V2", "N1"
    );
    for descriptor in descriptors {
        let kernel = Kernel::read(&descriptor).expect("a descriptor");
        if !wanted.is_empty() && !wanted.contains(&kernel.name) {
            continue;
        }
        let wasm = kernel.read_wasm().expect("its module");
        let module = Module::new(&engine, &wasm).expect("it compiles");
        let size = size.min(kernel.sizes.len() - 1);
        let mut host = Instance::new(&module, &kernel, size).expect("a kernel");
        host.prepare();
        let memory = host.memory().to_vec();
        let function = format!("{}_argv", kernel.func);
        let run = |cpu: &str, core: Option<Core>| {
            [Effort::Stock, Effort::Fast].map(|effort| {
                let cwasm = instance::compiled(&wasm, cpu, effort).cwasm;
                let call = (function.as_str(), host.arguments());
                let program = instance::program(&name, &wasm, &cwasm, &memory, call);
                executed(&program, &memory, core, shows_blocks)
            })
        };
        let [stock, own] = run("has_dotprod", None);
        let cycles = CORES.map(|core| {
            let [stock, own] = run(core.name(), Some(core));
            stock.cycles / own.cycles
        });
        let of = [stock.instructions as f64 / own.instructions as f64, cycles[0], cycles[1]];
        for (ratios, ratio) in ratios.iter_mut().zip(of) {
            ratios.push(ratio);
        }
        println!(
            "{:<24}{:>14}{:>14}{:>8.2}{:>8.2}{:>8.2}",
            kernel.name, stock.instructions, own.instructions, of[0], of[1], of[2]
        );
    }
    let means = ratios.map(|all| {
        let logs: f64 = all.iter().map(|ratio| ratio.ln()).sum();
        (logs / all.len().max(1) as f64).exp()
    });
    println!("{:<52}{:>8.2}{:>8.2}{:>8.2}", "geometric mean", means[0], means[1], means[2]);
}

/// Runs `program` and models what it did between the start of compiled code and its end.
fn executed(program: &Path, memory: &[u8], core: Option<Core>, shows_blocks: bool) -> Run {
    let symbols = String::from_utf8(succeed(Command::new(tool("nm")).arg(program))).expect("text");
    let code = symbols.lines().find_map(|line| line.strip_suffix(" t code")).expect("a symbol");
    let code = u64::from_str_radix(code, 16).expect("an address");
    let log = scratch(&format!("model-{}.log", std::process::id()));
    let mut child = Command::new("qemu-aarch64")
        .args(["-cpu", "max", "-d", "in_asm,exec,nochain", "-D"])
        .arg(&log)
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("a pipe").write_all(memory).expect("it reads");
    assert!(child.wait().expect("it ends").success());
    let mut blocks: HashMap<u64, usize> = HashMap::new();
    let mut runs: BTreeMap<u64, u64> = BTreeMap::new();
    let mut start = None;
    for line in BufReader::new(std::fs::File::open(&log).expect("a log")).lines() {
        let line = line.expect("it is text");
        if line.starts_with("IN:") {
            start = Some(None);
        } else if let Some(address) = line.strip_prefix("0x") {
            let address = address.split(':').next().expect("an address");
            let address = u64::from_str_radix(address, 16).expect("an address");
            let first = *start.get_or_insert(None).get_or_insert(address);
            let length = ((address - first) / 4 + 1) as usize;
            blocks.insert(first, length);
        } else if line.starts_with("Trace") {
            let at = line.split('/').nth(1).expect("a program counter");
            *runs.entry(u64::from_str_radix(at, 16).expect("an address")).or_default() += 1;
        }
    }
    let _ = std::fs::remove_file(&log);
    let runs: Vec<(u64, usize, u64)> = runs
        .into_iter()
        .filter(|(at, _)| *at >= code)
        .map(|(at, count)| (at, blocks[&at], count))
        .collect();
    let instructions: u64 = runs.iter().map(|(_, length, count)| *length as u64 * count).sum();
    let texts = disassembled(program);
    let least = (instructions as f64 * LEAST_PART) as u64;
    let mut cycles = 0.0;
    let mut shown: Vec<(u64, String)> = Vec::new();
    for (at, length, count) in runs {
        let Some(core) = core else { break };
        if (length as u64) * count < least {
            continue;
        }
        let block: Vec<&str> = (0..length as u64).map(|n| texts[&(at + 4 * n)].as_str()).collect();
        let each = block_cycles(&block, core);
        cycles += each * count as f64;
        if shows_blocks {
            let title =
                format!("{count} x {length} instructions, {each:.1} cycles on {}", core.name());
            let text = format!("{title}\n    {}\n", block.join("\n    "));
            shown.push((length as u64 * count, text));
        }
    }
    shown.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    shown.iter().take(BLOCKS).for_each(|(_, text)| println!("{text}"));
    Run { instructions, cycles }
}

/// Instructions by address, as LLVM writes them; branches go to a label.
fn disassembled(program: &Path) -> HashMap<u64, String> {
    let mut command = Command::new("llvm-objdump-19");
    command.args(["-d", "--no-show-raw-insn", "--mattr=+all"]).arg(program);
    let text = String::from_utf8(succeed(&mut command)).expect("text");
    let inst = |line: &str| {
        let (address, inst) = line.trim().split_once(':')?;
        let address = u64::from_str_radix(address.trim(), 16).ok()?;
        let inst = inst.split("//").next()?.trim();
        let inst = match inst.split_once('<') {
            Some((branch, _)) => {
                let (branch, _) = branch.trim().rsplit_once(char::is_whitespace)?;
                format!("{branch} .Ltarget")
            }
            None => inst.to_owned(),
        };
        Some((address, inst))
    };
    text.lines().filter_map(inst).collect()
}

/// Cycles of a block that runs again and again.
fn block_cycles(block: &[&str], core: Core) -> f64 {
    const TURNS: f64 = 100.0;
    let mut child = Command::new("llvm-mca-19")
        .args(["-mtriple=aarch64", "-mattr=+all", "-iterations=100"])
        .arg(format!("-mcpu={}", core.name()))
        .arg(format!("-dispatch={}", core.dispatch()))
        .args(["-instruction-info=0", "-resource-pressure=0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("llvm-mca-19 is installed");
    let text = block.join("\n") + "\n";
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout);
    let total = said.lines().find_map(|line| line.strip_prefix("Total Cycles:"));
    let total = total
        .unwrap_or_else(|| panic!("llvm-mca: {}\n{text}", String::from_utf8_lossy(&output.stderr)));
    total.trim().parse::<f64>().expect("a number") / TURNS
}
