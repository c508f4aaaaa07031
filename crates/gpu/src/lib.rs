//! Egraft on a GPU: rewrite rules are matched by a compute shader, through wgpu.
//!
//! The host keeps the e-graph, applies what matched and restores congruence. Invariant: what is found is what
//! [`egraft_egraph::Matcher`] finds, in the same order; where the GPU cannot, the CPU does it.

mod bulk;
mod device;
mod error;
mod matcher;
mod programs;
mod shared;
mod tables;

pub use bulk::{GpuRun, GpuSaturation, Room};
pub use device::Gpu;
pub use error::GpuError;
pub use matcher::{Found, GpuMatcher};
pub use shared::{GPU, Status, status};
