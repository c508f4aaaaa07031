//! Medians and their uncertainty, from interleaved rounds.
//!
//! Intervals are percentile bootstraps with a fixed seed, so that a result file is reproducible from
//! its samples. Ratios resample rounds, not engines: the engines of one round ran side by side and
//! share whatever disturbed the machine.

use serde::{Deserialize, Serialize};

/// Resamples per interval.
const RESAMPLES: usize = 1000;

/// A statistic with its 95% interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The statistic.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// The median of `samples`, NaN if there are none.
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[len / 2],
        len => (sorted[len / 2 - 1] + sorted[len / 2]) / 2.0,
    }
}

/// The median and its interval.
pub fn median_interval(samples: &[f64]) -> Estimate {
    bootstrap(samples.len(), |rounds| {
        median(&rounds.iter().map(|&round| samples[round]).collect::<Vec<_>>())
    })
}

/// The ratio of medians `over / under`, where sample `i` of both is of round `i`.
pub fn ratio_interval(over: &[f64], under: &[f64]) -> Estimate {
    bootstrap(over.len().min(under.len()), |rounds| {
        let of = |samples: &[f64]| {
            median(&rounds.iter().map(|&round| samples[round]).collect::<Vec<_>>())
        };
        of(over) / of(under)
    })
}

/// The geometric mean, NaN if there are no values.
pub fn geomean(values: &[f64]) -> f64 {
    let logs: f64 = values.iter().map(|value| value.ln()).sum();
    (logs / values.len() as f64).exp()
}

fn bootstrap(rounds: usize, statistic: impl Fn(&[usize]) -> f64) -> Estimate {
    let all: Vec<usize> = (0..rounds).collect();
    let value = statistic(&all);
    if rounds < 2 {
        return Estimate { value, low: value, high: value };
    }
    // Xorshift64*: resampling needs speed and a long period, nothing more.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % rounds
    };
    let mut values: Vec<f64> = (0..RESAMPLES)
        .map(|_| statistic(&(0..rounds).map(|_| draw()).collect::<Vec<_>>()))
        .collect();
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((RESAMPLES - 1) as f64 * share).round() as usize];
    Estimate { value, low: at(0.025), high: at(0.975) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn intervals_hold_the_median_and_shrink() {
        let wide: Vec<f64> = (0..20).map(|at| 100.0 + f64::from(at)).collect();
        let estimate = median_interval(&wide);
        assert!(estimate.low < estimate.value && estimate.value < estimate.high);
        let same = median_interval(&[5.0; 20]);
        assert_eq!((same.low, same.value, same.high), (5.0, 5.0, 5.0));
        let single = median_interval(&[7.0]);
        assert_eq!((single.low, single.high), (7.0, 7.0));
    }

    #[test]
    fn noise_common_to_a_round_leaves_the_ratio() {
        let noise: Vec<f64> = (0..30).map(|at| 1.0 + f64::from(at % 7)).collect();
        let slow: Vec<f64> = noise.iter().map(|noise| 2.0 * noise).collect();
        let ratio = ratio_interval(&slow, &noise);
        assert_eq!((ratio.low, ratio.value, ratio.high), (2.0, 2.0, 2.0));
    }

    #[test]
    fn geomeans() {
        assert!((geomean(&[1.0, 4.0]) - 2.0).abs() < 1e-12);
        assert!(geomean(&[]).is_nan());
    }
}
