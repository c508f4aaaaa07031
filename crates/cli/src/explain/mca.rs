//! What LLVM's machine code analyser says of a loop, where it is installed.
//!
//! It is a guest: whatever goes wrong with it is a note beside the rest, never a failure.

use serde::Serialize;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// It takes milliseconds; more than this is a program that hangs.
const LIMIT: Duration = Duration::from_secs(5);
const ITERATIONS: u32 = 100;
/// Versions that distributions install beside one another, as `llvm-mca-19`.
const VERSIONS: std::ops::RangeInclusive<u32> = 11..=30;

/// The program and the CPU that it is to speak of.
pub(super) struct Mca {
    program: PathBuf,
    cpu: String,
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
    /// The program on this search path, for code of a CPU as `--cpu` names it.
    pub(super) fn find(path: Option<&OsStr>, cpu: &str) -> Option<Mca> {
        let names: Vec<String> = std::iter::once("llvm-mca".to_owned())
            .chain(VERSIONS.rev().map(|version| format!("llvm-mca-{version}")))
            .collect();
        let folders: Vec<PathBuf> = std::env::split_paths(path?).collect();
        let files = names.iter().flat_map(|name| folders.iter().map(move |at| at.join(name)));
        let program = files.into_iter().find(|file| file.is_file())?;
        let cpu = match cpu {
            "baseline" => "x86-64",
            "avx2" => "haswell",
            "avx512" => "skylake-avx512",
            other => other,
        };
        Some(Mca { program, cpu: cpu.to_owned() })
    }

    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    pub(super) fn cpu(&self) -> &str {
        &self.cpu
    }

    /// Runs it on instructions in Intel's syntax, or says why there is no answer.
    pub(super) fn cycles<'a>(
        &self,
        insts: impl Iterator<Item = &'a str>,
    ) -> Result<Cycles, String> {
        let mut input = ".intel_syntax noprefix\n".to_owned();
        for inst in insts {
            // Functions have no names that an assembler takes.
            input.push_str(if inst.starts_with("call ") { "call 0" } else { inst });
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
        let mut child = Command::new(&self.program)
            .arg("-mtriple=x86_64-unknown-linux-gnu")
            .arg(format!("-mcpu={}", self.cpu))
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
        let mca = Mca::find(Some(folder.path().as_os_str()), "avx2").unwrap();
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
    fn it_is_looked_for_on_the_path_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Mca::find(Some(folder.path().as_os_str()), "native").is_none());
        assert!(Mca::find(None, "native").is_none());
    }
}
