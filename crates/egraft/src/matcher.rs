//! Who finds where rules match.

use crate::options::by_name;
use crate::{Effort, Error};
use egraft_egraph::Saturator;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// Who finds where rules match, where rewrites are applied in batches ([`Effort::Saturate`]). Both find the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Matcher {
    /// The CPU.
    #[default]
    Cpu,
    /// A GPU, through wgpu; the CPU where there is none that works. Needs the feature `gpu`.
    Gpu,
}

impl Matcher {
    /// All matchers.
    pub const ALL: [Matcher; 2] = [Matcher::Cpu, Matcher::Gpu];

    pub(crate) fn saturator(self) -> Saturator {
        match self {
            #[cfg(feature = "gpu")]
            Matcher::Gpu => egraft_gpu::GPU,
            _ => Saturator::CPU,
        }
    }

    /// Why another one was at work, if so.
    pub(crate) fn note(self, effort: Effort) -> Option<String> {
        match self {
            Matcher::Cpu => None,
            Matcher::Gpu if effort < Effort::Saturate => Some(format!(
                "the GPU matches where rewrites are applied until none is left, at effort {}; below, the CPU matches \
                 as nodes are made",
                Effort::Saturate
            )),
            Matcher::Gpu => gpu_note(),
        }
    }
}

#[cfg(feature = "gpu")]
fn gpu_note() -> Option<String> {
    match egraft_gpu::status() {
        egraft_gpu::Status::Failed(reason) => Some(format!("{reason}; the CPU matches instead")),
        _ => None,
    }
}

#[cfg(not(feature = "gpu"))]
fn gpu_note() -> Option<String> {
    Some(
        "this build has no GPU matcher (feature `gpu` of egraft); the CPU matches instead"
            .to_owned(),
    )
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Matcher::Cpu => "cpu",
            Matcher::Gpu => "gpu",
        })
    }
}

impl FromStr for Matcher {
    type Err = Error;

    fn from_str(text: &str) -> Result<Matcher, Error> {
        by_name(&Matcher::ALL, text).ok_or_else(|| Error::Matcher { name: text.to_owned() })
    }
}
