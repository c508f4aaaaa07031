//! What LLVM's machine code analyser says of a loop, where it is installed.
//!
//! It is a guest: whatever goes wrong with it is a note beside the rest, never a failure.

use egraft::Core;
use serde::Serialize;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use target_lexicon::Architecture;

/// It takes milliseconds; more than this is a program that hangs.
const LIMIT: Duration = Duration::from_secs(5);
const ITERATIONS: u32 = 100;
/// Versions that distributions install beside one another, as `llvm-mca-19`.
const VERSIONS: std::ops::RangeInclusive<u32> = 11..=30;

/// The program and the CPU that it is to speak of.
pub(super) struct Mca {
    program: PathBuf,
    syntax: Syntax,
    cpu: String,
    /// Micro-operations that the CPU dispatches in a cycle, where the program does not know better.
    dispatch: Option<u32>,
}

/// How instructions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syntax {
    Intel,
    Arm,
}

/// What it says of one iteration of a loop that runs for long.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Cycles {
    /// With what waits for what.
    pub(super) cycles: f64,
    /// Without: what the busiest unit of the processor has to do.
    pub(super) block_rthroughput: f64,
}

impl Mca {
    /// The program on this search path, for code of a CPU of `arch` as `--cpu` names it.
    pub(super) fn find(path: Option<&OsStr>, arch: Architecture, cpu: &str) -> Option<Mca> {
        // The newest knows most CPUs.
        let versioned = VERSIONS.rev().map(|version| format!("llvm-mca-{version}"));
        let names: Vec<String> = versioned.chain(["llvm-mca".to_owned()]).collect();
        let folders: Vec<PathBuf> = std::env::split_paths(path?).collect();
        let files = names.iter().flat_map(|name| folders.iter().map(move |at| at.join(name)));
        let program = files.into_iter().find(|file| file.is_file())?;
        if let Architecture::Aarch64(_) = arch {
            // There is no model of what all have in common.
            let core = Core::by_name(cpu).unwrap_or(Core::NeoverseN1);
            let (cpu, dispatch) = (core.name().to_owned(), Some(core.dispatch()));
            return Some(Mca { program, syntax: Syntax::Arm, cpu, dispatch });
        }
        let cpu = match cpu {
            "baseline" => "x86-64",
            "avx2" => "haswell",
            "avx512" => "skylake-avx512",
            other => other,
        };
        Some(Mca { program, syntax: Syntax::Intel, cpu: cpu.to_owned(), dispatch: None })
    }

    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    pub(super) fn cpu(&self) -> &str {
        &self.cpu
    }

    /// Runs it on instructions as they are listed, or says why there is no answer.
    pub(super) fn cycles<'a>(
        &self,
        insts: impl Iterator<Item = &'a str>,
    ) -> Result<Cycles, String> {
        let mut input = match self.syntax {
            Syntax::Intel => ".intel_syntax noprefix\n".to_owned(),
            Syntax::Arm => String::new(),
        };
        for inst in insts {
            input.push_str(&assembled(inst));
            input.push('\n');
        }
        let output = self.run(input)?;
        let number = |name: &str| -> Option<f64> {
            let line = output.lines().find(|line| line.starts_with(name))?;
            line.rsplit(' ').next()?.parse().ok()
        };
        match (number("Iterations:"), number("Total Cycles:"), number("Block RThroughput:")) {
            (Some(iterations), Some(total), Some(block_rthroughput)) if iterations > 0.0 => {
                Ok(Cycles { cycles: total / iterations, block_rthroughput })
            }
            _ => Err("its output is not understood".to_owned()),
        }
    }

    fn run(&self, input: String) -> Result<String, String> {
        let target: &[&str] = match self.syntax {
            Syntax::Intel => &["-mtriple=x86_64-unknown-linux-gnu"],
            Syntax::Arm => &["-mtriple=aarch64-unknown-linux-gnu", "-mattr=+all"],
        };
        let mut child = Command::new(&self.program)
            .args(target)
            .arg(format!("-mcpu={}", self.cpu))
            .args(self.dispatch.map(|width| format!("-dispatch={width}")))
            .arg(format!("-iterations={ITERATIONS}"))
            .args(["-instruction-info=0", "-resource-pressure=0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("it does not start: {error}"))?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err("it has no pipes".to_owned());
        };
        // A child that reads nothing is ended by the time limit, which ends this thread too.
        std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let (stdout, stderr) = (drain(stdout), drain(stderr));
        let start = Instant::now();
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if start.elapsed() < LIMIT => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                _ => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("it did not end within {} s", LIMIT.as_secs()));
                }
            }
        };
        let output = stdout.recv_timeout(LIMIT).unwrap_or_default();
        if status.success() {
            return Ok(output);
        }
        let errors = stderr.recv_timeout(LIMIT).unwrap_or_default();
        Err(errors.lines().next().unwrap_or("it failed").to_owned())
    }
}

/// `inst` as an assembler takes it. Functions have no names that it knows, and offsets in a function can be too far from the
/// loop's start for a branch.
fn assembled(inst: &str) -> Cow<'_, str> {
    let name = inst.split(' ').next().unwrap_or_default();
    match name {
        "call" => "call 0".into(),
        "b" | "bl" | "cbz" | "cbnz" | "tbz" | "tbnz" => to_itself(inst).into(),
        _ if name.starts_with("b.") => to_itself(inst).into(),
        _ => inst.into(),
    }
}

/// A branch of AArch64 to itself.
fn to_itself(inst: &str) -> String {
    let operands = inst.rsplit_once(' ').map_or(inst, |(operands, _)| operands);
    format!("{operands} 0")
}

/// Reads a pipe to its end. A grandchild may keep it open, so nobody joins the thread.
fn drain(mut pipe: impl Read + Send + 'static) -> std::sync::mpsc::Receiver<String> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A program of this name that prints `says` and ends with `code`.
    fn fake(name: &str, says: &str, code: u8) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        let script = format!("#!/bin/sh\nwhile read line; do :; done\n{says}\nexit {code}\n");
        std::fs::write(&file, script).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }

    fn cycles(folder: &tempfile::TempDir) -> Result<Cycles, String> {
        let mca = Mca::find(Some(folder.path().as_os_str()), Architecture::X86_64, "avx2").unwrap();
        assert_eq!(mca.cpu(), "haswell");
        mca.cycles(["vpaddw ymm0,ymm1,ymm2"].into_iter())
    }

    #[test]
    fn answers_are_read_and_failures_are_notes() {
        let answer = "echo 'Iterations:        100'; echo 'Total Cycles:      250'
            echo 'Block RThroughput: 2.0'";
        let found = cycles(&fake("llvm-mca-19", answer, 0));
        assert_eq!(found, Ok(Cycles { cycles: 2.5, block_rthroughput: 2.0 }));
        let failed = cycles(&fake("llvm-mca", "echo 'no such CPU' >&2", 1));
        assert_eq!(failed, Err("no such CPU".to_owned()));
        assert!(cycles(&fake("llvm-mca", "echo hello", 0)).is_err());
    }

    #[test]
    fn branches_are_within_reach() {
        assert_eq!(assembled("tbz w9, #0, #0x12a8"), "tbz w9, #0, 0");
        assert_eq!(assembled("b.ne #0x40"), "b.ne 0");
        assert_eq!(assembled("bl u0:12"), "bl 0");
        assert_eq!(assembled("bic v0.16b, v1.16b, v2.16b"), "bic v0.16b, v1.16b, v2.16b");
        assert_eq!(assembled("call u0:12"), "call 0");
    }

    #[test]
    fn it_is_looked_for_on_the_path_alone() {
        let folder = tempfile::tempdir().unwrap();
        let find = |path| Mca::find(path, Architecture::X86_64, "native");
        assert!(find(Some(folder.path().as_os_str())).is_none());
        assert!(find(None).is_none());
    }
}
