//! Runs AArch64 code, under QEMU where this is no AArch64 machine.
//!
//! All functions go into one program, which reads operands and writes results: each function is called with the address of
//! four vectors in x0 and that of its result, a vector, in x1.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const NATIVE: bool = cfg!(target_arch = "aarch64");
const EMULATOR: &str = "qemu-aarch64";

/// The name of a tool of binutils for AArch64.
pub(crate) fn tool(name: &str) -> String {
    if NATIVE { name.to_owned() } else { format!("aarch64-linux-gnu-{name}") }
}

/// Four operands.
pub(crate) type Operands = [u128; 4];

/// Code and what it is called with, in turn.
pub(crate) struct Job {
    /// A function of the platform's calling convention.
    pub(crate) code: Vec<u8>,
    /// What it is called with.
    pub(crate) operands: Vec<Operands>,
}

/// Whether all that is needed is there; if not, says so, and fails if `EGRAFT_CROSS` is set.
pub(crate) fn can_run() -> bool {
    let found = |tool: &str| {
        let mut command = Command::new(tool);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let mut needed = vec![tool("as"), tool("ld")];
    needed.extend((!NATIVE).then(|| EMULATOR.to_owned()));
    let missing: Vec<String> = needed.into_iter().filter(|tool| !found(tool)).collect();
    if missing.is_empty() {
        return true;
    }
    let skipped = format!(
        "AArch64 code was NOT run, for want of {}; scripts/setup --cross installs them",
        missing.join(", ")
    );
    assert!(std::env::var("EGRAFT_CROSS").is_err(), "{skipped}");
    println!("SKIPPED: {skipped}");
    false
}

/// A file below Cargo's folder for tests, or the system's for other programs.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = option_env!("CARGO_TARGET_TMPDIR");
    folder.map_or_else(std::env::temp_dir, PathBuf::from).join(name)
}

/// Runs `command`.
///
/// # Panics
/// With what it said, if it fails.
pub(crate) fn succeed(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    let start: Vec<&str> = said.lines().take(20).collect();
    assert!(output.status.success(), "{command:?} failed:\n{}", start.join("\n"));
    output.stdout
}

/// What a program writes that reads all of `input` before.
pub(crate) fn emulate(program: &Path, input: &[u8]) -> Vec<u8> {
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
    let sent = child.stdin.take().expect("a pipe").write_all(input);
    let mut output = Vec::new();
    child.stdout.take().expect("a pipe").read_to_end(&mut output).expect("the pipe works");
    let status = child.wait().expect("the program ends");
    assert!(sent.is_ok() && status.success(), "the program failed: {status}, {sent:?}");
    output
}

/// Results of all jobs, call by call. `name` is that of the files it needs.
pub(crate) fn run(name: &str, jobs: &[Job]) -> Vec<Vec<u128>> {
    let (source, object, program) =
        (scratch(&format!("{name}.s")), scratch(&format!("{name}.o")), scratch(name));
    std::fs::write(&source, text(jobs)).expect("the target folder is writable");
    succeed(Command::new(tool("as")).arg("-o").arg(&object).arg(&source));
    succeed(Command::new(tool("ld")).arg("-o").arg(&program).arg(&object));
    let operands = jobs.iter().flat_map(|job| job.operands.iter().flatten());
    let input: Vec<u8> = operands.flat_map(|operand| operand.to_le_bytes()).collect();
    let output = emulate(&program, &input);
    let mut results = output
        .chunks_exact(16)
        .map(|bytes| u128::from_le_bytes(bytes.try_into().expect("16 bytes")));
    jobs.iter().map(|job| results.by_ref().take(job.operands.len()).collect()).collect()
}

/// x19 goes through the table of functions, x20 through operands, x21 through results.
fn text(jobs: &[Job]) -> String {
    let calls: usize = jobs.iter().map(|job| job.operands.len()).sum();
    let (input, output) = (calls * size_of::<Operands>(), calls * 16);
    let mut text = format!(
        ".bss
.balign 16
input: .skip {input}
output: .skip {output}
.text
.global _start
_start:
  ldr x20, =input
  ldr x22, =input + {input}
1: mov x0, #0
  mov x1, x20
  sub x2, x22, x20
  mov x8, #63
  svc #0
  cmp x0, #0
  b.le fail
  add x20, x20, x0
  cmp x20, x22
  b.ne 1b
  ldr x19, =table
  ldr x20, =input
  ldr x21, =output
next:
  ldp x23, x24, [x19], #16
  cbz x23, write
2: mov x0, x20
  mov x1, x21
  blr x23
  add x20, x20, #64
  add x21, x21, #16
  subs x24, x24, #1
  b.ne 2b
  b next
write:
  ldr x20, =output
3: mov x0, #1
  mov x1, x20
  sub x2, x21, x20
  mov x8, #64
  svc #0
  cmp x0, #0
  b.le fail
  add x20, x20, x0
  cmp x20, x21
  b.ne 3b
  mov x0, #0
  b exit
fail:
  mov x0, #1
exit:
  mov x8, #93
  svc #0
.ltorg
"
    );
    let mut table = String::from(".balign 16\ntable:\n");
    for (at, job) in jobs.iter().enumerate() {
        text += &format!(".balign 16\nf{at}:\n");
        for word in job.code.chunks_exact(4) {
            let word = u32::from_le_bytes(word.try_into().expect("4 bytes"));
            text += &format!(".word {word}\n");
        }
        table += &format!(".quad f{at}, {}\n", job.operands.len());
    }
    text + &table + ".quad 0, 0\n"
}
