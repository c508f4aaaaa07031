//! Egraft on a GPU: rewrite rules are matched by a compute shader, through wgpu.
//!
//! The host keeps the e-graph, applies what matched and restores congruence. Invariant: what is found is what
//! [`egraft_egraph::Matcher`] finds, in the same order; where the GPU cannot, the CPU does it.

mod bulk;
mod device;
mod error;
mod inference;
mod matcher;
mod meaning;
mod programs;
mod shared;
mod tables;
mod terms;

pub use bulk::{GpuRun, GpuSaturation, Room, RulesAs, Shader};
pub use device::Gpu;
pub use error::GpuError;
pub use inference::{GpuInference, GpuShare};
pub use matcher::{Found, GpuMatcher};
pub use programs::Part;
pub use shared::{GPU, Status, status};
pub use terms::GpuTerms;
