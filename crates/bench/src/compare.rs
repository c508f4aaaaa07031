//! Which kernels became faster or slower between two states, as far as the noise allows.
//!
//! The unit is a process: for each, the median over its rounds of how many times as fast the new state
//! is, as a logarithm. Student's t over processes gives intervals and probabilities. A change counts if
//! it is larger than the least that is asked for, and so improbable without one that all kernels of a
//! run together raise a false alarm in at most 2 % of runs (Holm's correction), their mean in 1 %.
//!
//! Source: S. Holm, "A simple sequentially rejective multiple test procedure", 1979; for two runs, the
//! test and degrees of freedom of B. L. Welch, 1947.

use crate::results::{KernelResult, Results};
use crate::stats::{Estimate, median, process_logs};
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Probability that any kernel of a run without changes is called changed.
const KERNELS_ALARM: f64 = 0.02;
/// Probability that the mean of a run without changes is called changed.
const MEAN_ALARM: f64 = 0.01;
/// The mean counts from this part of the least change of a kernel on.
const MEAN_LEAST: f64 = 0.5;
/// An interval wider to one side than this many least changes tells nothing.
const UNCLEAR: f64 = 3.0;

/// What can be said of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The new state is faster.
    Improved,
    /// The new state is slower.
    Regressed,
    /// No change that counts was seen, and one of three times the least would have been.
    Same,
    /// The noise hides more than that.
    Unclear,
}

/// One kernel, or the mean of all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The kernel's name.
    pub name: String,
    /// How many times as fast as before; the interval is of 95 %.
    pub speed: Estimate,
    /// Probability of such a difference without a change.
    pub probability: f64,
    /// What it comes to.
    pub verdict: Verdict,
}

/// Two states under one engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The engine.
    pub engine: String,
    /// Whether both states took turns in one run.
    pub interleaved: bool,
    /// The kernels that both have, by name.
    pub kernels: Vec<Change>,
    /// The geometric mean over them.
    pub mean: Option<Change>,
    /// Kernels that only one state has, or that failed in one.
    pub missing: Vec<String>,
}

impl Comparison {
    /// Kernels with this verdict, those that changed most first.
    pub fn with(&self, verdict: Verdict) -> Vec<&Change> {
        let mut found: Vec<&Change> =
            self.kernels.iter().filter(|change| change.verdict == verdict).collect();
        let size = |change: &Change| change.speed.value.ln().abs();
        found.sort_by(|a, b| size(b).total_cmp(&size(a)));
        found
    }

    /// Whether a kernel or the mean became slower.
    pub fn regressed(&self) -> bool {
        let all = self.kernels.iter().chain(&self.mean);
        all.into_iter().any(|change| change.verdict == Verdict::Regressed)
    }
}

/// Why two results cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// There is no engine that both have.
    #[error("no engine to compare: {0}")]
    NoEngine(String),
    /// They are of different processors.
    #[error(
        "the results are of different processors, {old} and {new}; measure both on one machine, best \
         in one run: egraft bench --base-kernels or --base-egraft"
    )]
    Machines {
        /// The processor before.
        old: String,
        /// The processor after.
        new: String,
    },
    /// They are of different work.
    #[error(
        "the results are of sizes {old} and {new} of the kernels; measure both with one --size"
    )]
    Sizes {
        /// The size before.
        old: usize,
        /// The size after.
        new: usize,
    },
    /// There are too few processes to tell anything.
    #[error(
        "{0} processes of each engine are too few to judge noise by; measure with --processes 5 or more"
    )]
    FewProcesses(u32),
}

/// The mean of logarithms and how sure it is.
#[derive(Debug, Clone, Copy)]
struct Logs {
    mean: f64,
    /// Variance of the mean.
    variance: f64,
    /// Degrees of freedom.
    freedom: f64,
}

/// Engines `X` against `base:X` of one result: all, or `only` one.
///
/// # Errors
/// [`CompareError`] if there is none, or too few processes.
pub fn within(
    results: &Results,
    only: Option<&str>,
    least: f64,
) -> Result<Vec<Comparison>, CompareError> {
    check_processes(results)?;
    let names: Vec<&str> = results.engines.iter().map(|engine| &*engine.name).collect();
    let engines: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_prefix("base:"))
        .filter(|name| names.contains(name) && only.is_none_or(|only| only == *name))
        .collect();
    if engines.is_empty() {
        return Err(CompareError::NoEngine(match only {
            Some(engine) => format!("the result has no engines base:{engine} and {engine}"),
            None => "the result has no engine base:NAME; measure with --base-kernels or \
                     --base-egraft, or give two results"
                .to_owned(),
        }));
    }
    let compare =
        |engine: &str| of_engines(&results.kernels, &format!("base:{engine}"), engine, least);
    Ok(engines.into_iter().map(compare).collect())
}

/// One engine in two results. Where both have the same first engine, its times stand for the state of
/// the machine, and speeds over it are compared.
///
/// # Errors
/// [`CompareError`] if they are not of one kind of machine, or have no engine in common.
pub fn between(
    old: &Results,
    new: &Results,
    only: Option<&str>,
    least: f64,
) -> Result<Vec<Comparison>, CompareError> {
    check_processes(old)?;
    check_processes(new)?;
    let cpu =
        |results: &Results| results.machine.cpu.clone().unwrap_or_else(|| "unknown".to_owned());
    if old.machine.cpu != new.machine.cpu {
        return Err(CompareError::Machines { old: cpu(old), new: cpu(new) });
    }
    if old.settings.size != new.settings.size {
        return Err(CompareError::Sizes { old: old.settings.size, new: new.settings.size });
    }
    let first = |results: &Results| results.engines.first().map(|engine| engine.name.clone());
    let reference = first(old).filter(|name| Some(name) == first(new).as_ref());
    let known =
        |results: &Results, name: &str| results.engines.iter().any(|engine| engine.name == name);
    let engines: Vec<&str> = new
        .engines
        .iter()
        .map(|engine| &*engine.name)
        .filter(|name| known(old, name) && only.is_none_or(|only| only == *name))
        .filter(|name| only.is_some() || reference.as_deref() != Some(name))
        .collect();
    if engines.is_empty() {
        let what = only.map_or("none is in both results".to_owned(), |engine| {
            format!("{engine} is not in both results")
        });
        return Err(CompareError::NoEngine(what));
    }
    let compare = |engine: &str| {
        let reference = reference.as_deref().filter(|name| *name != engine);
        let found = new.kernels.iter().map(|kernel| {
            let before = old.kernels.iter().find(|before| before.name == kernel.name);
            let logs = before.and_then(|before| {
                let of = |kernel: &KernelResult| {
                    let samples = &kernel.engines.get(engine)?.samples_ns;
                    let log = |rounds: &Vec<f64>| Some(-median(rounds)?.ln());
                    match reference {
                        Some(name) => {
                            Some(process_logs(&kernel.engines.get(name)?.samples_ns, samples))
                        }
                        None => Some(samples.iter().filter_map(log).collect()),
                    }
                };
                unpaired(&of(before)?, &of(kernel)?)
            });
            (kernel.name.clone(), logs)
        });
        let gone = old
            .kernels
            .iter()
            .filter(|kernel| new.kernels.iter().all(|after| after.name != kernel.name));
        let gone = gone.map(|kernel| (kernel.name.clone(), None));
        judge(engine.to_owned(), false, found.chain(gone), least)
    };
    Ok(engines.into_iter().map(compare).collect())
}

fn check_processes(results: &Results) -> Result<(), CompareError> {
    match results.settings.processes {
        0..=2 => Err(CompareError::FewProcesses(results.settings.processes)),
        _ => Ok(()),
    }
}

/// Samples of two states that took turns.
fn paired(old: &[Vec<f64>], new: &[Vec<f64>]) -> Option<Logs> {
    let (mean, variance) = mean_and_variance(&process_logs(old, new))?;
    let count = old.len().min(new.len()) as f64;
    Some(Logs { mean, variance: variance / count, freedom: count - 1.0 })
}

/// Logarithms of two runs.
fn unpaired(old: &[f64], new: &[f64]) -> Option<Logs> {
    let ((before, of_old), (after, of_new)) = (mean_and_variance(old)?, mean_and_variance(new)?);
    let (m, n) = (old.len() as f64, new.len() as f64);
    let (of_old, of_new) = (of_old / m, of_new / n);
    let variance = of_old + of_new;
    let freedom = match variance {
        0.0 => m + n - 2.0,
        _ => variance.powi(2) / (of_old.powi(2) / (m - 1.0) + of_new.powi(2) / (n - 1.0)),
    };
    Some(Logs { mean: after - before, variance, freedom })
}

/// `None` for fewer than two values.
fn mean_and_variance(values: &[f64]) -> Option<(f64, f64)> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (values.len() > 1).then_some((mean, squares / (count - 1.0)))
}

impl Logs {
    fn probability(&self) -> f64 {
        if self.variance == 0.0 {
            return if self.mean == 0.0 { 1.0 } else { 0.0 };
        }
        let t = self.mean.abs() / self.variance.sqrt();
        StudentsT::new(0.0, 1.0, self.freedom).map_or(1.0, |student| 2.0 * student.sf(t))
    }

    fn speed(&self) -> Estimate {
        let reach = StudentsT::new(0.0, 1.0, self.freedom)
            .map_or(f64::INFINITY, |student| student.inverse_cdf(0.975));
        let half = reach * self.variance.sqrt();
        let [value, low, high] = [self.mean, self.mean - half, self.mean + half].map(f64::exp);
        Estimate { value, low, high }
    }
}

/// Verdicts on kernels, as far as something is known of them.
fn judge(
    engine: String,
    interleaved: bool,
    found: impl Iterator<Item = (String, Option<Logs>)>,
    least: f64,
) -> Comparison {
    let mut logs = Vec::new();
    let mut missing = Vec::new();
    for (name, found) in found {
        match found {
            Some(found) => logs.push((name, found)),
            None => missing.push(name),
        }
    }
    // Holm: the smallest probability times the number of kernels, the next times one less, and none
    // below the one before.
    let mut order: Vec<usize> = (0..logs.len()).collect();
    order.sort_by(|&a, &b| logs[a].1.probability().total_cmp(&logs[b].1.probability()));
    let mut certain = vec![false; logs.len()];
    for (rank, &at) in order.iter().enumerate() {
        if logs[at].1.probability() * (logs.len() - rank) as f64 > KERNELS_ALARM {
            break;
        }
        certain[at] = true;
    }
    let change = |name: String, logs: &Logs, certain: bool, least: f64| {
        let speed = logs.speed();
        let half = (speed.high / speed.low).ln() / 2.0;
        let verdict = match certain && logs.mean.abs() >= least.ln_1p() {
            true if logs.mean > 0.0 => Verdict::Improved,
            true => Verdict::Regressed,
            false if half <= UNCLEAR * least.ln_1p() => Verdict::Same,
            false => Verdict::Unclear,
        };
        Change { name, speed, probability: logs.probability(), verdict }
    };
    let mean = mean_of(&logs).map(|mean| {
        let certain = mean.probability() <= MEAN_ALARM;
        change("geometric mean".to_owned(), &mean, certain, least * MEAN_LEAST)
    });
    let kernels = logs
        .into_iter()
        .zip(certain)
        .map(|((name, logs), certain)| change(name, &logs, certain, least))
        .collect();
    Comparison { engine, interleaved, kernels, mean, missing }
}

/// The mean over kernels, whose errors are independent.
fn mean_of(logs: &[(String, Logs)]) -> Option<Logs> {
    let count = logs.len() as f64;
    let sum = |of: fn(&Logs) -> f64| logs.iter().map(|(_, logs)| of(logs)).sum::<f64>();
    let variance = sum(|logs| logs.variance);
    let freedom = match variance {
        0.0 => count,
        _ => variance.powi(2) / sum(|logs| logs.variance.powi(2) / logs.freedom),
    };
    (!logs.is_empty()).then(|| Logs {
        mean: sum(|logs| logs.mean) / count,
        variance: variance / count.powi(2),
        freedom,
    })
}

/// Engine `new` of kernels against engine `old`, which took turns with it.
pub fn of_engines(kernels: &[KernelResult], old: &str, new: &str, least: f64) -> Comparison {
    let found = kernels.iter().map(|kernel| {
        let samples = |engine: &str| Some(&*kernel.engines.get(engine)?.samples_ns);
        let logs = samples(old).zip(samples(new)).and_then(|(old, new)| paired(old, new));
        (kernel.name.clone(), logs)
    });
    judge(new.to_owned(), true, found, least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::EngineResult;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    /// Processes of ten rounds around `time`, that differ by up to `noise`; seeded by `seed`.
    fn samples(time: f64, noise: f64, processes: u32, seed: u64) -> Vec<Vec<f64>> {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut around =
            |middle: f64, noise: f64| middle * (1.0 + noise * random.random_range(-0.5..0.5));
        (0..processes)
            .map(|_| {
                let place = around(time, noise);
                (0..10).map(|_| around(place, noise / 10.0)).collect()
            })
            .collect()
    }

    fn kernel(name: &str, old: Vec<Vec<f64>>, new: Vec<Vec<f64>>) -> KernelResult {
        let engine = |name: &str, samples_ns| {
            (name.to_owned(), EngineResult { samples_ns, ..EngineResult::default() })
        };
        KernelResult {
            name: name.to_owned(),
            argument_bytes: [0, 0],
            lane_ops: None,
            outputs_equal: None,
            difference: None,
            engines: [engine("base:egraft", old), engine("egraft", new)].into(),
        }
    }

    fn kernels(factor: f64, noise: f64) -> Vec<KernelResult> {
        (0..20)
            .map(|at| {
                let old = samples(1000.0, noise, 10, at * 2);
                kernel(&format!("k{at}"), old, samples(1000.0 * factor, noise, 10, at * 2 + 1))
            })
            .collect()
    }

    fn compared(kernels: &[KernelResult]) -> Comparison {
        of_engines(kernels, "base:egraft", "egraft", 0.01)
    }

    #[test]
    fn a_change_beyond_the_noise_is_found_and_none_without() {
        let same = compared(&kernels(1.0, 0.02));
        assert!(same.kernels.iter().all(|change| change.verdict == Verdict::Same), "{same:?}");
        assert_eq!(same.mean.as_ref().unwrap().verdict, Verdict::Same);
        assert!(!same.regressed());

        let slower = compared(&kernels(1.05, 0.02));
        assert_eq!(slower.with(Verdict::Regressed).len(), 20);
        let mean = slower.mean.as_ref().unwrap();
        assert_eq!(mean.verdict, Verdict::Regressed);
        assert!((mean.speed.value - 1.0 / 1.05).abs() < 0.005);
        let faster = compared(&kernels(0.9, 0.02));
        assert_eq!(faster.mean.unwrap().verdict, Verdict::Improved);
    }

    #[test]
    fn noise_makes_no_claims() {
        let noisy = compared(&kernels(1.02, 0.4));
        assert!(noisy.kernels.iter().all(|change| change.verdict == Verdict::Unclear));
        // A change below the least that is asked for is none, however sure it is.
        let small = compared(&kernels(1.004, 0.0));
        assert!(small.kernels.iter().all(|change| change.verdict == Verdict::Same));
    }

    #[test]
    fn holm_spares_one_among_many() {
        // The same kernel alone is found, among twenty quiet ones with a weaker effect it need not be.
        let mut many = kernels(1.0, 0.02);
        many[7] = kernel("k7", samples(1000.0, 0.02, 10, 14), samples(1100.0, 0.02, 10, 99));
        let found = compared(&many);
        let slower = found.with(Verdict::Regressed);
        assert_eq!(slower.iter().map(|change| &*change.name).collect::<Vec<_>>(), ["k7"]);
    }

    #[test]
    fn two_runs_are_compared_by_their_reference() {
        // The second run's machine is half as fast: only the speed over the reference counts.
        let before = process_logs(&samples(2000.0, 0.01, 8, 1), &samples(1000.0, 0.01, 8, 2));
        let after = process_logs(&samples(4000.0, 0.01, 8, 3), &samples(2000.0, 0.01, 8, 4));
        let logs = unpaired(&before, &after).unwrap();
        assert!(logs.mean.abs() < 0.01 && logs.probability() > 0.01);
        assert!(logs.freedom > 7.0 && logs.freedom <= 14.0);
    }
}
