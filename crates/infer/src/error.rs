//! What can go wrong when rules are sought.

use std::path::PathBuf;

/// Why inference stopped.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// A workload says something that has no meaning.
    #[error("workload `{workload}`: {part} {why}")]
    Workload {
        /// Its name.
        workload: String,
        /// The part.
        part: String,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// No workload has this name.
    #[error("no workload `{0}`; `egraft infer list` names them")]
    NoWorkload(String),
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file does not say what it should.
    #[error("{path}: line {line}: {why}")]
    Format {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The folder holds the state of another run.
    #[error(
        "{path}: was made with other workloads, options or another version; give another folder \
         or remove it"
    )]
    OtherRun {
        /// The folder.
        path: PathBuf,
    },
    /// The folders to be merged lack verdicts.
    #[error(
        "workload `{workload}`: {missing} candidates were not judged; run the missing shards to \
         their end"
    )]
    NotJudged {
        /// The workload.
        workload: String,
        /// How many.
        missing: usize,
    },
    /// The prover does not work.
    #[error("the prover failed: {0}")]
    Prover(String),
    /// The rules found do not load.
    #[error("the rules found are not well-formed, which is a defect of egraft:\n{0}")]
    Emitted(String),
}

impl InferError {
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> InferError + '_ {
        move |error| InferError::File { path: path.to_owned(), error }
    }
}
