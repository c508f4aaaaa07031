//! What can stand against using a GPU.

use thiserror::Error;

/// Why a GPU cannot be used. Nothing is lost: the CPU finds the same.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GpuError {
    /// There is no driver, or none of that name.
    #[error("no GPU adapter{}; there are: {}", with_name(.wanted), list(.found))]
    NoAdapter {
        /// Part of a name.
        wanted: Option<String>,
        /// What there is.
        found: Vec<String>,
    },
    /// The driver refuses the device.
    #[error("the GPU `{adapter}` cannot be used: {reason}")]
    Device {
        /// Its name.
        adapter: String,
        /// What the driver says.
        reason: String,
    },
    /// The device was lost or the driver failed on the way.
    #[error("the GPU failed: {0}")]
    Failed(String),
    /// A rule asks or computes what the shader does not.
    #[error("rule `{name}` {what}, which the GPU leaves to the CPU")]
    Rule {
        /// Its name.
        name: String,
        /// What it has.
        what: &'static str,
    },
    /// A buffer does not fit.
    #[error("{what} take {bytes} bytes on the GPU, which allows {limit} for one buffer")]
    TooLarge {
        /// What it is for.
        what: &'static str,
        /// How many bytes it needs.
        bytes: u64,
        /// The device's limit.
        limit: u64,
    },
    /// What must hold of an e-graph on the GPU does not.
    #[error("the GPU computed something wrong; its driver may be at fault")]
    Breach,
    /// The driver stopped before all was done.
    #[error("the GPU did {done} of {of} pieces of work")]
    Incomplete {
        /// Pieces done.
        done: u32,
        /// Pieces there were.
        of: u32,
    },
}

fn with_name(name: &Option<String>) -> String {
    name.as_ref().map_or_else(String::new, |name| format!(" with `{name}` in its name"))
}

fn list(found: &[String]) -> String {
    match found {
        [] => "none (on Debian, mesa-vulkan-drivers brings one in software)".to_owned(),
        found => found.join(", "),
    }
}
