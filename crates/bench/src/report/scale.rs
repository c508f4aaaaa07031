//! Logarithmic scales with round ticks.

/// A logarithmic scale. Both ends are positive and finite, and the lower is below the upper.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LogScale {
    /// Decimal logarithm of the lower end.
    pub(super) low: f64,
    /// Decimal logarithm of the upper end.
    pub(super) high: f64,
}

/// Ticks within a decade, from few to many.
const DECADES: [&[f64]; 4] =
    [&[1.0], &[1.0, 3.0], &[1.0, 2.0, 5.0], &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0]];
/// The least part of a decade that a scale has.
const LEAST: f64 = 0.08;

impl LogScale {
    /// A scale that holds all positive values, with a margin that is a share of it; `None` if there are
    /// no such values.
    pub(super) fn around(values: impl IntoIterator<Item = f64>, margin: f64) -> Option<LogScale> {
        let usable = values.into_iter().filter(|value| value.is_finite() && *value > 0.0);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for log in usable.map(f64::log10) {
            (low, high) = (low.min(log), high.max(log));
        }
        if low > high {
            return None;
        }
        let widen = (high - low) * margin + (LEAST - (high - low)).max(0.0) / 2.0;
        Some(LogScale { low: low - widen, high: high + widen })
    }

    /// The same about its middle, with at least so many decades.
    pub(super) fn at_least(self, decades: f64) -> LogScale {
        let widen = (decades - (self.high - self.low)).max(0.0) / 2.0;
        LogScale { low: self.low - widen, high: self.high + widen }
    }

    /// Where a value is, from 0 at the lower end to 1 at the upper, and not beyond.
    pub(super) fn place(&self, value: f64) -> f64 {
        ((value.log10() - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// Round numbers, in order: at least three if there are that many, and about `most`.
    pub(super) fn ticks(&self, most: usize) -> Vec<f64> {
        let within = |steps: &[f64]| -> Vec<f64> {
            let powers = self.low.floor() as i32..=self.high.ceil() as i32;
            let all =
                powers.flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)));
            all.filter(|tick| (self.low..=self.high).contains(&tick.log10())).collect()
        };
        let sets = DECADES.map(within);
        if sets[0].len() > most {
            let stride = sets[0].len().div_ceil(most);
            // Counted from 1, so that it stays where it is within.
            let keep = |tick: &f64| (tick.log10().round() as i32).rem_euclid(stride as i32) == 0;
            return sets[0].iter().copied().filter(keep).collect();
        }
        let full = sets.iter().rev().find(|set| (3..=most).contains(&set.len()));
        full.cloned().unwrap_or_else(|| self.linear(most))
    }

    /// Ticks at equal distances, for scales of less than a decade.
    fn linear(&self, most: usize) -> Vec<f64> {
        let (low, high) = (10_f64.powf(self.low), 10_f64.powf(self.high));
        let rough = (high - low) / most.max(1) as f64;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
        let step = step.into_iter().find(|step| *step >= rough).unwrap_or(rough);
        let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
        (first..=last).map(|at| at as f64 * step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: &[f64], wanted: &[f64]) {
        let same =
            found.iter().zip(wanted).all(|(found, wanted)| (found / wanted - 1.0).abs() < 1e-9);
        assert!(same && found.len() == wanted.len(), "{found:?}");
    }

    #[test]
    fn ticks_are_round() {
        let ticks = |low, high| LogScale::around([low, high], 0.0).unwrap().ticks(8);
        close(&ticks(1e-3, 1e3), &[1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0]);
        close(&ticks(0.4, 6.0), &[0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0]);
        close(&ticks(1e-10, 1e10), &[1e-9, 1e-6, 1e-3, 1.0, 1e3, 1e6, 1e9]);
        close(&ticks(0.98, 1.3), &[1.0, 1.05, 1.1, 1.15, 1.2, 1.25, 1.3]);
    }

    #[test]
    fn scales_hold_their_values() {
        assert_eq!(LogScale::around([0.0, -1.0, f64::NAN, f64::INFINITY], 0.1), None);
        let single = LogScale::around([5.0], 0.1).unwrap();
        assert!((single.place(5.0) - 0.5).abs() < 1e-9);
        assert!(single.ticks(8).len() >= 2, "{:?}", single.ticks(8));
        let scale = LogScale::around([1.0, 100.0], 0.0).unwrap();
        assert_eq!([0.1, 1.0, 10.0, 1e9].map(|value| scale.place(value)), [0.0, 0.0, 0.5, 1.0]);
        assert_eq!(scale.place(f64::MIN_POSITIVE), 0.0);
    }
}
