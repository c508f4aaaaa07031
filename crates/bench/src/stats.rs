//! Medians, speeds and their uncertainty, from processes and rounds.
//!
//! A time is measured by several processes of an engine, each with several rounds. What memory and code
//! a process gets changes its speed, so processes are what is resampled; within them, rounds. Engines of
//! one round ran side by side and share what disturbed the machine: speeds are medians over pairs.
//!
//! Intervals are percentile bootstraps with a fixed seed, so that a result is a function of its samples.
//! Source of the two levels: Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013.

use serde::{Deserialize, Serialize};

/// Resamples per interval.
const RESAMPLES: usize = 1000;

/// A statistic with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The statistic.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

impl Estimate {
    fn map(self, change: impl Fn(f64) -> f64) -> Estimate {
        Estimate { value: change(self.value), low: change(self.low), high: change(self.high) }
    }
}

/// The median of `samples`; `None` if there are none.
pub fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => None,
        len if len % 2 == 1 => Some(sorted[len / 2]),
        len => Some((sorted[len / 2 - 1] + sorted[len / 2]) / 2.0),
    }
}

/// The geometric mean; `None` if there are no values.
pub fn geomean(values: &[f64]) -> Option<f64> {
    let logs: f64 = values.iter().map(|value| value.ln()).sum();
    (!values.is_empty()).then(|| (logs / values.len() as f64).exp())
}

/// The median over processes of their medians. `samples` has a list for each process.
pub fn time(samples: &[Vec<f64>]) -> Option<Estimate> {
    bootstrap(samples)
}

/// How many times as fast as `base` another engine is, from the samples of both: the median over
/// processes of the median over rounds of the ratios of times.
pub fn speed(base: &[Vec<f64>], other: &[Vec<f64>]) -> Option<Estimate> {
    bootstrap(&log_ratios(base, other)).map(|logs| logs.map(f64::exp))
}

/// Logarithms of the base's time over the other's, by process and round.
fn log_ratios(base: &[Vec<f64>], other: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let pairs = base.iter().zip(other);
    pairs
        .map(|(base, other)| {
            base.iter().zip(other).map(|(base, other)| (base / other).ln()).collect()
        })
        .filter(|logs: &Vec<f64>| !logs.is_empty())
        .collect()
}

/// For each process, the logarithm of how many times as fast as `base` it is.
pub fn process_logs(base: &[Vec<f64>], other: &[Vec<f64>]) -> Vec<f64> {
    log_ratios(base, other).iter().filter_map(|logs| median(logs)).collect()
}

/// The geometric mean of speeds, with an interval from those of its parts: their errors are
/// independent, as each kernel has processes of its own.
pub fn geomean_of(speeds: &[Estimate]) -> Option<Estimate> {
    let value = geomean(&speeds.iter().map(|speed| speed.value).collect::<Vec<_>>())?;
    let count = speeds.len() as f64;
    let half = |of: fn(&Estimate) -> f64| {
        (speeds.iter().map(|speed| (of(speed) / speed.value).ln().powi(2)).sum::<f64>()).sqrt()
            / count
    };
    let (low, high) = (half(|speed| speed.low), half(|speed| speed.high));
    Some(Estimate { value, low: value * (-low).exp(), high: value * high.exp() })
}

/// How samples scatter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Median distance from the process's median, as a share of it.
    pub share: f64,
    /// Samples farther than five times that from it.
    pub outliers: u32,
}

/// The scatter within processes.
pub fn spread(samples: &[Vec<f64>]) -> Option<Spread> {
    let mut distances = Vec::new();
    for process in samples {
        let middle = median(process)?;
        distances.extend(process.iter().map(|sample| (sample / middle - 1.0).abs()));
    }
    let share = median(&distances)?;
    let outliers = distances.iter().filter(|distance| **distance > 5.0 * share).count() as u32;
    Some(Spread { share, outliers })
}

/// The median over processes of the medians over rounds, with both resampled.
fn bootstrap(samples: &[Vec<f64>]) -> Option<Estimate> {
    let middle = |processes: &[Vec<f64>]| {
        median(&processes.iter().filter_map(|rounds| median(rounds)).collect::<Vec<_>>())
    };
    let value = middle(samples)?;
    // Xorshift64*: resampling needs speed and a long period, nothing more.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = |below: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below
    };
    let mut resample = || {
        let processes: Vec<Vec<f64>> = (0..samples.len())
            .map(|_| {
                let rounds = &samples[draw(samples.len())];
                (0..rounds.len()).map(|_| rounds[draw(rounds.len())]).collect()
            })
            .collect();
        middle(&processes).unwrap_or(value)
    };
    let mut values: Vec<f64> = (0..RESAMPLES).map(|_| resample()).collect();
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((RESAMPLES - 1) as f64 * share).round() as usize];
    Some(Estimate { value, low: at(0.025), high: at(0.975) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn intervals_hold_the_median_and_shrink() {
        let wide: Vec<Vec<f64>> = (0..5)
            .map(|at| (0..20).map(|round| 100.0 + f64::from(at * 3 + round)).collect())
            .collect();
        let estimate = time(&wide).unwrap();
        assert!(estimate.low < estimate.value && estimate.value < estimate.high);
        let same = time(&[vec![5.0; 20]]).unwrap();
        assert_eq!((same.low, same.value, same.high), (5.0, 5.0, 5.0));
        assert_eq!(time(&[]), None);
    }

    #[test]
    fn noise_common_to_a_round_leaves_the_ratio() {
        let noise: Vec<Vec<f64>> = (0..3)
            .map(|at| (0..30).map(|round| 1.0 + f64::from((at + round) % 7)).collect())
            .collect();
        let slow: Vec<Vec<f64>> =
            noise.iter().map(|rounds| rounds.iter().map(|noise| 2.0 * noise).collect()).collect();
        let ratio = speed(&slow, &noise).unwrap();
        for value in [ratio.low, ratio.value, ratio.high] {
            assert!((value - 2.0).abs() < 1e-9);
        }
        assert_eq!(process_logs(&slow, &noise).len(), 3);
    }

    #[test]
    fn a_process_that_differs_widens_the_interval() {
        let base = vec![vec![10.0; 10]; 5];
        let mut other = base.clone();
        other[0] = vec![5.0; 10];
        other[1] = vec![5.0; 10];
        let ratio = speed(&base, &other).unwrap();
        assert!(ratio.low == 1.0 && ratio.high > 1.9);
    }

    #[test]
    fn geomeans() {
        assert!((geomean(&[1.0, 4.0]).unwrap() - 2.0).abs() < 1e-12);
        assert_eq!(geomean(&[]), None);
        let one = Estimate { value: 2.0, low: 1.8, high: 2.2 };
        let four = geomean_of(&[one; 4]).unwrap();
        assert!((four.value - 2.0).abs() < 1e-12);
        assert!(four.low > 1.89 && four.high < 2.11);
    }

    #[test]
    fn outliers_are_counted() {
        let mut samples = vec![vec![100.0, 101.0, 99.0, 100.0, 101.0, 99.0, 100.5, 200.0]];
        assert_eq!(spread(&samples).unwrap().outliers, 1);
        samples[0].pop();
        assert_eq!(spread(&samples).unwrap().outliers, 0);
    }
}
