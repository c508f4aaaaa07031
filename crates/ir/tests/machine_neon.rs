//! AArch64 machine ops against a processor, or QEMU where this is none, bit for bit.
//!
//! All ops go into one program, which reads operand tuples and writes results. Skipped, with a line
//! that says so, where binutils or QEMU are missing, or failed if `EGRAFT_CROSS=required`.
//! `EGRAFT_MACHINE_ROUNDS=N` compares N times as many tuples.

#[path = "support/machine.rs"]
mod common;
mod support;

use common::{Batch, Tuple, batches, difference, rounds};
use egraft_ir::machine::{Kind, MachineOp, Target};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Operand tuples for each op, shared out to its immediates.
const TUPLES: usize = 2_500;
/// What a round must compare in all.
const LEAST_TOTAL: usize = 1_000_000;

const NATIVE: bool = cfg!(target_arch = "aarch64");
const ASSEMBLER: &str = if NATIVE { "as" } else { "aarch64-linux-gnu-as" };
const LINKER: &str = if NATIVE { "ld" } else { "aarch64-linux-gnu-ld" };
const EMULATOR: &str = "qemu-aarch64";

fn ops() -> impl Iterator<Item = MachineOp> {
    MachineOp::all().filter(|op| op.target() == Target::A64)
}

/// The tools that are missing.
fn missing_tools() -> Vec<&'static str> {
    let found = |tool: &str| {
        let mut command = Command::new(tool);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let needed: &[&str] =
        if NATIVE { &[ASSEMBLER, LINKER] } else { &[ASSEMBLER, LINKER, EMULATOR] };
    needed.iter().copied().filter(|tool| !found(tool)).collect()
}

/// The program for `batches`: x20 goes through the tuples, x21 through the results.
fn program(batches: &[Batch]) -> String {
    let total: usize = batches.iter().map(|batch| batch.tuples.len()).sum();
    let (input, output) = (total * size_of::<Tuple>(), total * size_of::<u128>());
    let mut text = format!(
        ".arch armv8.6-a+sha3
.bss
.balign 16
input: .skip {input}
output: .skip {output}
.text
.global _start
_start:
  ldr x20, =input
  ldr x22, =input + {input}
read:
  mov x0, #0
  mov x1, x20
  sub x2, x22, x20
  mov x8, #63
  svc #0
  cmp x0, #0
  b.le fail
  add x20, x20, x0
  cmp x20, x22
  b.ne read
  ldr x20, =input
  ldr x21, =output
"
    );
    for batch in batches {
        apply_all(&mut text, batch);
    }
    let _ = write!(
        text,
        "  ldr x20, =output
write:
  mov x0, #1
  mov x1, x20
  sub x2, x21, x20
  mov x8, #64
  svc #0
  cmp x0, #0
  b.le fail
  add x20, x20, x0
  cmp x20, x21
  b.ne write
  mov x0, #0
  b exit
fail:
  mov x0, #1
exit:
  mov x8, #93
  svc #0
"
    );
    text
}

/// Appends a loop that applies one op to its tuples.
fn apply_all(text: &mut String, Batch { op, imm, tuples }: &Batch) {
    let mut line = |args: std::fmt::Arguments| {
        let _ = writeln!(text, "  {args}");
    };
    line(format_args!("ldr x22, ={}", tuples.len()));
    let _ = writeln!(text, "1:");
    let mut line = |args: std::fmt::Arguments| {
        let _ = writeln!(text, "  {args}");
    };
    for (index, kind) in op.args().iter().enumerate() {
        let register = index + usize::from(!op.is_tied());
        let letter = if *kind == Kind::Vector { "q" } else { "x" };
        line(format_args!("ldr {letter}{register}, [x20, #{}]", 16 * index));
    }
    line(format_args!("{}", op.assembly(*imm)));
    if op.result() == Kind::Vector {
        line(format_args!("str q0, [x21]"));
    } else {
        line(format_args!("stp x0, xzr, [x21]"));
    }
    line(format_args!("add x20, x20, #{}", size_of::<Tuple>()));
    line(format_args!("add x21, x21, #16"));
    line(format_args!("subs x22, x22, #1"));
    line(format_args!("b.ne 1b"));
    // Constants must be within reach of their loads.
    line(format_args!("b 1f"));
    line(format_args!(".ltorg"));
    let _ = writeln!(text, "1:");
}

/// Assembles and links; panics with what the tool said.
fn build(text: &str) -> PathBuf {
    let path = |name: &str| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let (source, object, program) =
        (path("machine_neon.s"), path("machine_neon.o"), path("machine_neon"));
    std::fs::write(&source, text).expect("the target folder is writable");
    for command in [
        Command::new(ASSEMBLER).arg("-o").arg(&object).arg(&source),
        Command::new(LINKER).arg("-o").arg(&program).arg(&object),
    ] {
        let output = command.output().expect("the tool starts");
        let said = String::from_utf8_lossy(&output.stderr);
        let start: Vec<&str> = said.lines().take(20).collect();
        assert!(output.status.success(), "{command:?} failed:\n{}", start.join("\n"));
    }
    program
}

fn run(program: &PathBuf, batches: &[Batch]) -> Vec<u128> {
    let mut command = match NATIVE {
        true => Command::new(program),
        false => {
            let mut command = Command::new(EMULATOR);
            command.args(["-cpu", "max"]).arg(program);
            command
        }
    };
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let tuples = batches.iter().flat_map(|batch| &batch.tuples);
    let input: Vec<u8> = tuples.flatten().flat_map(|operand| operand.to_le_bytes()).collect();
    // It writes nothing before it has read all, so neither waits for the other.
    let sent = child.stdin.take().expect("a pipe").write_all(&input);
    let mut output = Vec::new();
    child.stdout.take().expect("a pipe").read_to_end(&mut output).expect("the pipe works");
    let status = child.wait().expect("the program ends");
    assert!(sent.is_ok() && status.success(), "the program failed: {status}, {sent:?}");
    output.chunks_exact(16).map(|bytes| u128::from_le_bytes(bytes.try_into().unwrap())).collect()
}

#[test]
fn definitions_are_the_processor() {
    let missing = missing_tools();
    if !missing.is_empty() {
        let skipped = format!(
            "{} AArch64 ops were NOT compared, for want of {}; scripts/setup --cross installs them",
            ops().count(),
            missing.join(", ")
        );
        assert!(std::env::var("EGRAFT_CROSS").is_err(), "{skipped}");
        println!("SKIPPED: {skipped}");
        return;
    }
    let mut rng = support::rng("machine_neon");
    let mut compared: BTreeMap<MachineOp, usize> = BTreeMap::new();
    let mut wrong: BTreeMap<MachineOp, String> = BTreeMap::new();
    for _ in 0..rounds() {
        let batches = batches(&mut rng, ops(), TUPLES);
        let results = run(&build(&program(&batches)), &batches);
        let mut rest = results.as_slice();
        for Batch { op, imm, tuples } in &batches {
            let found = rest.split_off(..tuples.len()).expect("a result for every tuple");
            *compared.entry(*op).or_default() += tuples.len();
            if let Some(text) = difference(*op, *imm, tuples, found) {
                wrong.entry(*op).or_insert(text);
            }
        }
        assert!(rest.is_empty(), "{} results too many", rest.len());
    }
    let total: usize = compared.values().sum();
    let counts: Vec<String> = compared.iter().map(|(op, count)| format!("{op} {count}")).collect();
    println!("{total} operand tuples on {} ops: {}", compared.len(), counts.join(", "));
    let texts: Vec<&str> = wrong.values().map(String::as_str).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} ops differ:\n{}",
        wrong.len(),
        compared.len(),
        texts.join("\n")
    );
    assert!(total >= LEAST_TOTAL, "only {total} operand tuples were compared");
}
