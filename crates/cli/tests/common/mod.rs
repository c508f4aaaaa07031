//! Runs the real binary with a time limit, in a folder of its own.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// No command of these tests may take longer; a hang is a failure.
const LIMIT: Duration = Duration::from_secs(120);

/// What a command left.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Standard output of a command that must have succeeded.
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout
    }
}

/// Runs `egraft` in `folder`.
pub fn egraft<S: AsRef<str>>(folder: &Path, arguments: &[S], stdin: &[u8]) -> Ran {
    egraft_with(folder, arguments, stdin, &[])
}

/// Runs `egraft` in `folder` with these environment variables.
pub fn egraft_with<S: AsRef<str>>(
    folder: &Path,
    arguments: &[S],
    stdin: &[u8],
    variables: &[(&str, &str)],
) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_egraft"))
        .args(arguments.iter().map(AsRef::as_ref))
        .envs(variables.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut input = child.stdin.take().expect("a pipe");
    let stdin = stdin.to_vec();
    // A command that does not read its input closes the pipe; that is its right.
    std::thread::spawn(move || drop(input.write_all(&stdin)));
    let drain = |mut pipe: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).expect("the pipe is read");
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let stdout = drain(Box::new(child.stdout.take().expect("a pipe")));
    let stderr = drain(Box::new(child.stderr.take().expect("a pipe")));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("the command is waited for") {
            break status;
        }
        if start.elapsed() > LIMIT {
            child.kill().expect("the command is ended");
            let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
            panic!("egraft {arguments:?} ran for more than {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Ran {
        code: status.code(),
        stdout: stdout.join().expect("a drained pipe"),
        stderr: stderr.join().expect("a drained pipe"),
    }
}

/// The folder with the bundled kernels.
pub fn kernels() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/kernels")
}

/// A module with a vector loop, a scalar function and a trap.
pub const MODULE: &str = r#"(module
  (memory (export "memory") 1)
  (global (export "global") i32 (i32.const 7))
  (func $fill (export "fill") (param $at i32)
    (loop $next
      (v128.store (local.get $at)
        (i8x16.add (v128.load (local.get $at)) (v128.const i64x2 1 1)))
      (br_if $next (local.tee $at (i32.sub (local.get $at) (i32.const 16))))))
  (func $add (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1)))
  (func $deep (export "deep") (call $deep))
  (func (export "trap") unreachable))
"#;

/// A kernel module without Halide: multiplies `in` by a scalar into `out`, one dimension of u8.
pub const KERNEL: &str = r#"(module
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 1024))
  (func (export "malloc") (param i32) (result i32)
    global.get $top
    (global.set $top (i32.add (global.get $top) (local.get 0))))
  (func (export "last_message") (result i32) (i32.const 16))
  (data (i32.const 16) "the kernel's own words\0a\00")
  (func (export "scale_argv") (param $args i32) (result i32)
    (local $in i32) (local $out i32) (local $left i32)
    (local.set $in (i32.load offset=12 (i32.load (local.get $args))))
    (local.set $out (i32.load offset=12 (i32.load offset=8 (local.get $args))))
    (local.set $left (i32.load offset=4 (i32.load offset=32 (i32.load offset=8 (local.get $args)))))
    (loop $next
      (i32.store8 (local.get $out) (i32.mul
        (i32.load8_u (local.get $in))
        (i32.load8_u (i32.load offset=4 (local.get $args)))))
      (local.set $in (i32.add (local.get $in) (i32.const 1)))
      (local.set $out (i32.add (local.get $out) (i32.const 1)))
      (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.const 0)))
"#;

/// The descriptor of [`KERNEL`].
pub fn descriptor() -> serde_json::Value {
    serde_json::json!({
        "name": "scale", "func": "scale", "wasm": "k.wat",
        "args": [
            { "kind": "input", "name": "in", "type": "u8", "dims": 1, "mins": [0],
              "extents": [100], "strides": [1], "fill": [0, 255] },
            { "kind": "scalar", "name": "factor", "type": "u8", "value": 3 },
            { "kind": "output", "name": "out", "type": "u8", "dims": 1, "mins": [0],
              "extents": [100], "strides": [1] }
        ],
        "out_elems": 100
    })
}
