//! The messages of `egraft-peer/1`, described in `bench/peers/README.md`, and how they are framed.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{BufRead, Read, Write};
use std::path::PathBuf;

/// The protocol's name and version.
pub const PROTOCOL: &str = "egraft-peer/1";
/// Limit for a line, without its line feed.
const MAX_LINE: u64 = 64 << 10;
/// Limit for the bytes behind a line.
const MAX_PAYLOAD: u64 = 1 << 31;

/// What a peer says first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`].
    pub protocol: String,
    /// The engine with its version.
    pub engine: String,
    /// Its options.
    #[serde(default)]
    pub settings: String,
}

/// What a peer is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum Request {
    /// Compile and instantiate.
    Load {
        /// The module's file.
        module: PathBuf,
        /// How often to compile.
        times: u32,
    },
    /// Call a function once.
    Call {
        /// Its export.
        function: String,
        /// Its arguments.
        arguments: Vec<u64>,
    },
    /// Call a function repeatedly and take the times.
    Time {
        /// Its export.
        function: String,
        /// Its arguments.
        arguments: Vec<u64>,
        /// How often.
        calls: u32,
    },
    /// Write memory; the bytes follow.
    Write {
        /// Where to.
        address: u64,
        /// How many.
        bytes: u64,
    },
    /// Read memory; the bytes follow the answer.
    Read {
        /// Where from.
        address: u64,
        /// How many.
        bytes: u64,
    },
}

/// The answer to [`Request::Load`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Loaded {
    /// Nanoseconds of each compilation.
    pub compile_ns: Vec<f64>,
    /// Bytes of machine code.
    pub code_bytes: Option<u64>,
    /// 4 or 8.
    pub pointer_bytes: u32,
    /// `here`, or `before` if the code was kept.
    #[serde(default)]
    pub compiled: Option<String>,
    /// Egraft's: what became of the module's functions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions: Option<Functions>,
    /// What the user should know though nothing failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// How many functions run Egraft's code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Functions {
    /// Functions with a body in the module.
    pub all: u64,
    /// Those that run Egraft's code.
    pub taken: u64,
    /// Functions that have a loop with vector instructions.
    pub vector: u64,
    /// Those of them that run Egraft's code.
    pub vector_taken: u64,
}

/// The answer to [`Request::Call`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Called {
    /// The function's result.
    pub result: u64,
}

/// The answer to [`Request::Time`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timed {
    /// Nanoseconds of each call.
    pub ns: Vec<f64>,
    /// The first result that is not 0.
    pub result: u64,
}

/// The answer to [`Request::Read`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bytes {
    /// How many bytes follow.
    pub bytes: u64,
}

/// Why a message could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The other side is gone.
    #[error("the pipe is closed")]
    Closed,
    /// The pipe failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A line is too long.
    #[error("a line is longer than {MAX_LINE} bytes")]
    LongLine,
    /// Too many bytes follow.
    #[error("{0} bytes follow a line; the limit is {MAX_PAYLOAD}")]
    LongPayload(u64),
    /// A line is not what was expected.
    #[error("{line:?} is no message of {PROTOCOL}: {error}")]
    Json {
        /// The line's start.
        line: String,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// The other side answered with an error.
    #[error("{0}")]
    Refused(String),
}

/// Writes a message and the bytes that follow it.
///
/// # Errors
/// If the pipe is closed.
pub fn send(
    output: &mut impl Write,
    message: &impl Serialize,
    bytes: &[u8],
) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    output.write_all(&line)?;
    output.write_all(bytes)?;
    output.flush()
}

/// Reads a line as a message.
///
/// # Errors
/// [`FrameError`]; [`FrameError::Refused`] if the line is an error.
pub fn receive<T: DeserializeOwned>(input: &mut impl BufRead) -> Result<T, FrameError> {
    let mut line = Vec::new();
    input.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(FrameError::Closed);
    }
    if line.len() as u64 > MAX_LINE {
        return Err(FrameError::LongLine);
    }
    let wrong = |error| {
        let start = line.iter().take(80).copied().take_while(|byte| *byte != b'\n').collect();
        let line: Vec<u8> = start;
        FrameError::Json { line: String::from_utf8_lossy(&line).into_owned(), error }
    };
    let value: Value = serde_json::from_slice(&line).map_err(wrong)?;
    if let Some(Value::String(text)) = value.get("error") {
        return Err(FrameError::Refused(text.clone()));
    }
    serde_json::from_value(value).map_err(wrong)
}

/// Reads the bytes that follow a line.
///
/// # Errors
/// [`FrameError`] if there are fewer, or too many.
pub fn receive_bytes(input: &mut impl BufRead, bytes: u64) -> Result<Vec<u8>, FrameError> {
    if bytes > MAX_PAYLOAD {
        return Err(FrameError::LongPayload(bytes));
    }
    let mut payload = Vec::new();
    input.by_ref().take(bytes).read_to_end(&mut payload)?;
    if (payload.len() as u64) < bytes {
        return Err(FrameError::Closed);
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_the_readme() {
        let mut sent = Vec::new();
        let request = Request::Write { address: 8, bytes: 2 };
        send(&mut sent, &request, b"ab").unwrap();
        assert_eq!(sent, b"{\"do\":\"write\",\"address\":8,\"bytes\":2}\nab");
        let mut input = &sent[..];
        assert_eq!(receive::<Request>(&mut input).unwrap(), request);
        assert_eq!(receive_bytes(&mut input, 2).unwrap(), b"ab");
        assert!(matches!(receive::<Request>(&mut input), Err(FrameError::Closed)));
    }

    #[test]
    fn bad_messages_are_errors() {
        let read = |text: &str| receive::<Called>(&mut text.as_bytes()).unwrap_err().to_string();
        assert_eq!(read("{\"error\": \"unreachable\"}\n"), "unreachable");
        assert!(read("hello\n").starts_with("\"hello\" is no message of egraft-peer/1: expected"));
        assert!(read("{\"ns\": []}\n").contains("missing field `result`"));
        assert!(read(&"x".repeat(70_000)).contains("longer than 65536"));
        let error = receive_bytes(&mut &b"abc"[..], 4).unwrap_err();
        assert!(matches!(error, FrameError::Closed));
        assert!(matches!(receive_bytes(&mut &b""[..], 1 << 40), Err(FrameError::LongPayload(_))));
    }
}
