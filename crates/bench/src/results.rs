//! What a benchmark run found: the format `egraft-bench/2`, written and read.
//!
//! Samples are kept, so that whoever reads a result can compare it with another one. All times are in
//! nanoseconds of wall clock, all sizes in bytes.

use crate::stats::Estimate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The format that is written, and the only one that is read.
pub const SCHEMA: &str = "egraft-bench/2";
/// A result of the bundled kernels under ten engines has 2 MB.
const MAX_RESULT_BYTES: u64 = 1 << 30;

/// Why a result could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] egraft_kernels::ReadError),
    /// It is not JSON, or lacks something.
    #[error("{}: is no result of `egraft bench --json`: {error}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What serde found, with line and column.
        error: serde_json::Error,
    },
    /// It has another format.
    #[error(
        "{}: has the format {found:?}, and this egraft reads {SCHEMA:?}; measure again",
        path.display()
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// The format it names.
        found: String,
    },
}

/// One run of `egraft bench`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: String,
    /// Seconds since 1970 when the run began.
    pub created: u64,
    /// Where it ran.
    pub machine: Machine,
    /// Versions by name: `egraft`, `wasmtime`, `cranelift`.
    pub versions: BTreeMap<String, String>,
    /// How it was measured.
    pub settings: Settings,
    /// The engines in the order asked for; the first is the one that speeds are over.
    pub engines: Vec<EngineInfo>,
    /// The kernels, by name.
    pub kernels: Vec<KernelResult>,
    /// Geometric means of the kernels that both engines ran, by engine.
    pub geomean: BTreeMap<String, Geomean>,
}

/// The machine, and what may disturb measurements on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Architecture, as Rust names it.
    pub arch: String,
    /// Operating system, as Rust names it.
    pub os: String,
    /// The processor's name, where the system tells.
    pub cpu: Option<String>,
    /// Hardware threads that the run might use.
    pub threads: usize,
    /// Main memory.
    pub memory_bytes: Option<u64>,
    /// The hardware thread that the engines were bound to.
    pub pinned_to: Option<usize>,
    /// What a reader should know: frequency scaling, virtual machine, load, time stolen.
    pub notes: Vec<String>,
    /// Peaks of the machine, where they were measured.
    pub peaks: Option<Peaks>,
}

/// Measured limits of one hardware thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peaks {
    /// Bytes a second that a loop reads from and writes to main memory (16 reads : 8 writes).
    pub memory_bytes_per_s: f64,
    /// The same within the first-level cache.
    pub cache_bytes_per_s: f64,
    /// 32-bit lane operations a second, at the vector width that Egraft emits.
    pub ops32_per_s: f64,
    /// The vector width, in bits.
    pub vector_bits: u32,
}

/// How a run was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Processes of each engine for each kernel.
    pub processes: u32,
    /// Samples of each process.
    pub rounds: u32,
    /// Which of the descriptors' sizes.
    pub size: usize,
    /// Egraft's effort.
    pub effort: u8,
    /// The CPU that Wasmtime's compilers made code for.
    pub cpu: String,
    /// The folder of the kernels.
    pub directory: PathBuf,
    /// The folder of the kernels of engines `base:…`, where there are any.
    pub base_directory: Option<PathBuf>,
}

/// An engine that took part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// As in `--engines`.
    pub name: String,
    /// What it says of itself, with its version.
    pub about: String,
    /// Its options.
    pub settings: String,
}

/// One kernel under all engines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelResult {
    /// The kernel's name.
    pub name: String,
    /// Bytes that its inputs have and those that its outputs have: what must at least move.
    pub argument_bytes: [u64; 2],
    /// Vector work of one call, counted in its wasm: 32-bit lane operations, 4 for each operation that
    /// computes on 128 bits, whatever its lanes.
    pub lane_ops: Option<u64>,
    /// Whether the outputs of all engines that ran equal the first's; `None` if there is but one.
    pub outputs_equal: Option<bool>,
    /// The first difference.
    pub difference: Option<String>,
    /// By engine. Engines are missing that do not have the kernel (`base:…` of a new one).
    pub engines: BTreeMap<String, EngineResult>,
}

/// One kernel under one engine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineResult {
    /// Why there is nothing else here.
    pub failure: Option<String>,
    /// Calls of a sample.
    pub calls: u32,
    /// A sample is the median of its calls; one list for each process, in the order of the rounds.
    pub samples_ns: Vec<Vec<f64>>,
    /// Median of the samples.
    pub time_ns: Option<Estimate>,
    /// The shortest call of all.
    pub min_ns: Option<f64>,
    /// Instructions of a call, where the system counts them.
    #[serde(default)]
    pub instructions: Option<u64>,
    /// Times to compile the module, those of all processes.
    pub compile_ns: Vec<f64>,
    /// Machine code of the module.
    pub code_bytes: Option<u64>,
    /// The most memory that a process of it had.
    pub peak_bytes: Option<u64>,
    /// Functions with vector loops, and those of them that run Egraft's code.
    pub vector_functions: Option<[u64; 2]>,
    /// Median distance of samples from their median, as a share of it.
    pub spread: Option<f64>,
    /// Samples farther than five times that from the median.
    pub outliers: u32,
    /// How many times as fast as the first engine.
    pub speed: Option<Estimate>,
}

impl EngineResult {
    /// The shortest compilation, what is left of it when nothing disturbs it.
    pub fn compile_min_ns(&self) -> Option<f64> {
        self.compile_ns.iter().copied().min_by(f64::total_cmp)
    }
}

/// A geometric mean of speeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Geomean {
    /// The kernels in it.
    pub kernels: usize,
    /// How many times as fast as the first engine.
    pub speed: Estimate,
    /// Compile time as a multiple of the first engine's, over the kernels where both compile.
    pub compile: Option<f64>,
    /// Code size as a multiple of the first engine's.
    pub code: Option<f64>,
}

impl Results {
    /// Reads a result.
    ///
    /// # Errors
    /// [`ResultError`], which names the file.
    pub fn read(path: &Path) -> Result<Results, ResultError> {
        #[derive(Deserialize)]
        struct Header {
            schema: String,
        }
        let bytes = egraft_kernels::read_limited(path, "a result", MAX_RESULT_BYTES)?;
        let json = |error| ResultError::Json { path: path.to_owned(), error };
        let header: Header = serde_json::from_slice(&bytes).map_err(json)?;
        if header.schema != SCHEMA {
            return Err(ResultError::Schema { path: path.to_owned(), found: header.schema });
        }
        serde_json::from_slice(&bytes).map_err(json)
    }
}
