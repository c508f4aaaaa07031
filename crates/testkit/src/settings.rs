//! The configurations that the oracle runs modules under.

use crate::choices::Choices;
use egraft::{Effort, Options};
use wasmtime::{Config, OptLevel};

/// One configuration of Wasmtime and one effort of Egraft.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Settings {
    /// Egraft's effort, 1 to 3.
    pub effort: u8,
    /// `Config::consume_fuel`.
    pub fuel: bool,
    /// `Config::epoch_interruption`.
    pub epochs: bool,
    /// How accesses are kept within memory.
    pub bounds: Bounds,
    /// `Config::cranelift_nan_canonicalization`.
    pub canonical_nans: bool,
    /// Cranelift's own mid-end off.
    pub opt_none: bool,
    /// `Config::relaxed_simd_deterministic`.
    pub relaxed_deterministic: bool,
    /// Only the instructions that every CPU of the target has.
    pub baseline_cpu: bool,
}

/// How accesses are kept within memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Bounds {
    /// Reserved address space and guard pages, the default.
    Guards,
    /// Comparisons in the code; faults still become traps.
    Explicit,
    /// Comparisons in the code, and no trap comes from a signal, not even a division's.
    NoSignals,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            effort: 1,
            fuel: false,
            epochs: false,
            bounds: Bounds::Guards,
            canonical_nans: false,
            opt_none: false,
            relaxed_deterministic: false,
            baseline_cpu: false,
        }
    }
}

impl Settings {
    /// The default half of the time, otherwise a few things changed.
    pub fn draw(choices: &mut Choices<'_>) -> Settings {
        let effort = *choices.pick(&[1, 2, 3, 1]);
        if choices.one_in(2) {
            return Settings { effort, ..Settings::default() };
        }
        Settings {
            effort,
            fuel: choices.one_in(4),
            epochs: choices.one_in(4),
            bounds: *choices.pick(&[
                Bounds::Guards,
                Bounds::Guards,
                Bounds::Explicit,
                Bounds::NoSignals,
            ]),
            canonical_nans: choices.one_in(4),
            opt_none: choices.one_in(4),
            relaxed_deterministic: choices.one_in(4),
            baseline_cpu: choices.one_in(4),
        }
    }

    /// Wasmtime's configuration.
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .wasm_memory64(true)
            .wasm_multi_memory(true)
            .wasm_relaxed_simd(true)
            .wasm_tail_call(true)
            .wasm_threads(true)
            .shared_memory(true)
            .consume_fuel(self.fuel)
            .epoch_interruption(self.epochs)
            .cranelift_nan_canonicalization(self.canonical_nans)
            .relaxed_simd_deterministic(self.relaxed_deterministic);
        if self.opt_none {
            config.cranelift_opt_level(OptLevel::None);
        }
        if self.bounds != Bounds::Guards {
            config.memory_reservation(0).memory_guard_size(0);
        }
        if self.bounds == Bounds::NoSignals {
            config.signals_based_traps(false);
        }
        if self.baseline_cpu {
            let host = target_lexicon::Triple::host().to_string();
            config.target(&host).expect("this build compiles for its host");
        }
        config
    }

    /// Egraft's options.
    pub fn options(&self) -> Options {
        let effort = Effort::from_level(self.effort).expect("an effort between 1 and 3");
        Options::default().effort(effort).memory_limit(8 << 20)
    }
}
