//! What a user can choose.

use crate::{Core, Error, Matcher};
use egraft_egraph::Rules;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// How much compile time to spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(into = "u8")]
#[non_exhaustive]
pub enum Effort {
    /// 0: every function keeps stock code.
    Stock,
    /// 1: functions with vector code in loops; rewrites are applied once, as nodes are made.
    #[default]
    Fast,
    /// 2: all functions with loops, and deeper chains of rewrites.
    More,
    /// 3: rewrites are applied until nothing new appears or a limit is met.
    Saturate,
}

impl Effort {
    /// The highest level.
    pub const MAX_LEVEL: u8 = 3;

    /// The level as a number from 0 to [`MAX_LEVEL`](Self::MAX_LEVEL).
    pub fn level(self) -> u8 {
        self as u8
    }

    /// The effort of a level.
    ///
    /// # Errors
    /// [`Error::Effort`] for a level above [`MAX_LEVEL`](Self::MAX_LEVEL).
    pub fn from_level(level: u8) -> Result<Effort, Error> {
        match level {
            0 => Ok(Effort::Stock),
            1 => Ok(Effort::Fast),
            2 => Ok(Effort::More),
            3 => Ok(Effort::Saturate),
            _ => Err(Error::Effort { level }),
        }
    }
}

impl From<Effort> for u8 {
    fn from(effort: Effort) -> u8 {
        effort.level()
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.level())
    }
}

/// Who turns CLIF into machine code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Backend {
    /// [`X64`](Self::X64) for functions with vector code in loops where the target is x86-64 with
    /// AVX2, BMI1 and BMI2; [`Aarch64`](Self::Aarch64) for them where it is AArch64; otherwise
    /// [`Cranelift`](Self::Cranelift).
    #[default]
    Auto,
    /// Stock Cranelift, for what was rewritten; the rest is stock code. Any target.
    Cranelift,
    /// Egraft's own, for x86-64 with AVX2, whether or not rewriting changed anything. What it does not
    /// cover goes to Cranelift, as does everything on other targets.
    X64,
    /// Egraft's own, for AArch64, under the same terms.
    Aarch64,
}

impl Backend {
    /// All backends.
    pub const ALL: [Backend; 4] =
        [Backend::Auto, Backend::Cranelift, Backend::X64, Backend::Aarch64];
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::Auto => "auto",
            Backend::Cranelift => "cranelift",
            Backend::X64 => "x64",
            Backend::Aarch64 => "aarch64",
        })
    }
}

impl FromStr for Backend {
    type Err = Error;

    fn from_str(text: &str) -> Result<Backend, Error> {
        by_name(&Backend::ALL, text).ok_or_else(|| Error::Backend { name: text.to_owned() })
    }
}

/// That of `all` which is written as `text`.
pub(crate) fn by_name<T: Copy + fmt::Display>(all: &[T], text: &str) -> Option<T> {
    all.iter().copied().find(|one| one.to_string() == text)
}

/// How much of Egraft takes part: each stage and all before it. For measuring what each is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Stage {
    /// Rewrites alone; Cranelift makes the code.
    Rules,
    /// Egraft's own backend: selection of instructions, loads and addresses folded into them.
    Selection,
    /// Loops in which no access traps, with pointers that do not wrap.
    Addressing,
    /// In these, loads near their readers, and registers for what is accumulated in memory.
    Registers,
    /// Several turns at once, and loops of few turns as straight code.
    Unrolling,
    /// 256 bits.
    Wide,
    /// 512 bits, where the target has AVX-512. Everything there is.
    #[default]
    Wider,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Stage; 7] = [
        Stage::Rules,
        Stage::Selection,
        Stage::Addressing,
        Stage::Registers,
        Stage::Unrolling,
        Stage::Wide,
        Stage::Wider,
    ];

    /// What Egraft's own backend does up to here.
    pub(crate) fn x64_options(self) -> egraft_x64::Options {
        egraft_x64::Options {
            version: match self >= Stage::Addressing {
                true => egraft_x64::Version::Paying,
                false => egraft_x64::Version::Never,
            },
            unroll: self >= Stage::Unrolling,
            gains: egraft_x64::Gains {
                registers: self >= Stage::Registers,
                copies: self >= Stage::Unrolling,
                ..egraft_x64::Gains::default()
            },
            widest: match self {
                Stage::Wider => egraft_x64::Widest::Bits512,
                Stage::Wide => egraft_x64::Widest::Bits256,
                _ => egraft_x64::Widest::Bits128,
            },
            ..Default::default()
        }
    }
}

impl Stage {
    /// What Egraft's backend for AArch64 does up to here.
    pub(crate) fn aarch64_options(self) -> egraft_aarch64::Options {
        let egraft_x64::Options { version, unroll, gains, .. } = self.x64_options();
        let own = egraft_aarch64::Options::default();
        let egraft_aarch64::Gains { vectors, pointers, .. } = own.gains;
        let gains = egraft_aarch64::Gains { vectors, pointers, ..gains };
        egraft_aarch64::Options { version, unroll, gains, ..own }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Rules => "rules",
            Stage::Selection => "selection",
            Stage::Addressing => "addressing",
            Stage::Registers => "registers",
            Stage::Unrolling => "unrolling",
            Stage::Wide => "wide",
            Stage::Wider => "wider",
        })
    }
}

impl FromStr for Stage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Stage, Error> {
        by_name(&Stage::ALL, text).ok_or_else(|| Error::Stage { name: text.to_owned() })
    }
}

/// What Egraft does with the modules of a configuration.
///
/// ```
/// use egraft::{Effort, Options};
/// let options = Options::default().effort(Effort::More).cache_dir("/var/cache/egraft");
/// assert_eq!(options.effort.level(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How much compile time to spend.
    pub effort: Effort,
    /// Who makes the machine code.
    pub backend: Backend,
    /// How much of Egraft takes part.
    pub stage: Stage,
    /// The rules: the standard ones, and perhaps others.
    pub rules: Rules,
    /// Who finds where rules match.
    pub matcher: Matcher,
    /// The AArch64 core that code is tuned for.
    pub core: Option<Core>,
    /// Where compiled functions outlive the process. Nobody else may write there.
    pub cache_dir: Option<PathBuf>,
    /// Bytes that the cache directory may hold; the entries unused for longest go first.
    pub cache_limit: u64,
    /// Bytes of code that a [`Handle`](crate::Handle) keeps for later modules.
    pub memory_limit: usize,
    /// Also compiles each function taken by stock Cranelift, to report the size of that code. For
    /// inspection only.
    pub measure_stock: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            effort: Effort::default(),
            backend: Backend::default(),
            stage: Stage::default(),
            rules: Rules::default(),
            matcher: Matcher::default(),
            core: None,
            cache_dir: None,
            cache_limit: 1 << 30,
            memory_limit: 256 << 20,
            measure_stock: false,
        }
    }
}

impl Options {
    /// Sets [`effort`](Self::effort).
    pub fn effort(mut self, effort: Effort) -> Self {
        self.effort = effort;
        self
    }

    /// Sets [`backend`](Self::backend).
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// Sets [`stage`](Self::stage).
    pub fn stage(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }

    /// Sets [`rules`](Self::rules).
    pub fn rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// Sets [`matcher`](Self::matcher).
    pub fn matcher(mut self, matcher: Matcher) -> Self {
        self.matcher = matcher;
        self
    }

    /// Sets [`core`](Self::core).
    pub fn core(mut self, core: Core) -> Self {
        self.core = Some(core);
        self
    }

    /// Sets [`cache_dir`](Self::cache_dir).
    pub fn cache_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(directory.into());
        self
    }

    /// Sets [`cache_limit`](Self::cache_limit).
    pub fn cache_limit(mut self, bytes: u64) -> Self {
        self.cache_limit = bytes;
        self
    }

    /// Sets [`memory_limit`](Self::memory_limit).
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = bytes;
        self
    }

    /// Sets [`measure_stock`](Self::measure_stock).
    pub fn measure_stock(mut self, measure: bool) -> Self {
        self.measure_stock = measure;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_round_trip() {
        for level in 0..=Effort::MAX_LEVEL {
            assert_eq!(Effort::from_level(level).unwrap().level(), level);
        }
        let error = Effort::from_level(4).unwrap_err().to_string();
        assert_eq!(error, "effort 4 does not exist; levels are 0 to 3");
    }
}
