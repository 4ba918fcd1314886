//! Arithmetic on series, in which a missing step is NaN and never counts as zero.
//!
//! For: the questions policies ask of the recent past. All of them skip missing steps, and answer "none" when nothing
//! is left. Pure functions on slices stand beside the methods, for series a policy computed itself.

use crate::Series;

impl Series {
    /// The value of a label this series was asked `by`.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The newest step's value; none when that step is missing.
    #[must_use]
    pub fn present(&self) -> Option<f64> {
        self.values.last().copied().filter(|v| v.is_finite())
    }

    /// The newest good value, however old it is within the window.
    #[must_use]
    pub fn newest(&self) -> Option<f64> {
        self.values.iter().rev().copied().find(|v| v.is_finite())
    }

    /// The value of the step that ended so many milliseconds ago.
    #[must_use]
    pub fn at(&self, millis_ago: u64) -> Option<f64> {
        let back = usize::try_from(millis_ago / self.step.max(1)).ok()?;
        let index = self.values.len().checked_sub(back + 1)?;
        Some(self.values[index]).filter(|v| v.is_finite())
    }

    /// The steps of the last so many milliseconds, oldest first; at least the newest one.
    #[must_use]
    pub fn last(&self, millis: u64) -> &[f64] {
        let steps = usize::try_from(millis.div_ceil(self.step.max(1))).unwrap_or(usize::MAX).max(1);
        &self.values[self.values.len().saturating_sub(steps)..]
    }

    /// Mean of the last so many milliseconds.
    #[must_use]
    pub fn mean(&self, millis: u64) -> Option<f64> {
        mean(self.last(millis))
    }

    /// Greatest value of the last so many milliseconds.
    #[must_use]
    pub fn max(&self, millis: u64) -> Option<f64> {
        max(self.last(millis))
    }

    /// The quantile `q` (0 to 1) of the last so many milliseconds.
    #[must_use]
    pub fn quantile(&self, q: f64, millis: u64) -> Option<f64> {
        quantile(self.last(millis), q)
    }

    /// Change per second over the last so many milliseconds; see [`slope`].
    #[must_use]
    pub fn slope(&self, millis: u64) -> Option<f64> {
        slope(self.last(millis)).map(|per_step| per_step * 1000.0 / self.step.max(1) as f64)
    }
}

/// Mean of the values that are there.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    let (sum, count) =
        values.iter().filter(|v| v.is_finite()).fold((0.0, 0_u32), |(sum, count), v| (sum + v, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// Greatest of the values that are there.
#[must_use]
pub fn max(values: &[f64]) -> Option<f64> {
    values.iter().copied().filter(|v| v.is_finite()).reduce(f64::max)
}

/// The quantile `q` (0 to 1) of the values that are there, interpolated between neighbours.
#[must_use]
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let place = q.clamp(0.0, 1.0) * (sorted.len().checked_sub(1)? as f64);
    let below = sorted[place as usize];
    let above = sorted.get(place as usize + 1).copied().unwrap_or(below);
    Some(below + (above - below) * place.fract())
}

/// Change per step by Theil and Sen: the median slope over all pairs of steps, which a spike or a gap does not bend.
/// Long series are thinned to 64 points first. Needs three values.
#[must_use]
pub fn slope(values: &[f64]) -> Option<f64> {
    let stride = values.len().div_ceil(64).max(1);
    let newest = values.len().checked_sub(1)?;
    let points: Vec<(f64, f64)> = (0..values.len())
        .filter(|i| (newest - i) % stride == 0 && values[*i].is_finite())
        .map(|i| (i as f64, values[i]))
        .collect();
    if points.len() < 3 {
        return None;
    }
    let pairs =
        points.iter().enumerate().flat_map(|(i, a)| points[i + 1..].iter().map(move |b| (b.1 - a.1) / (b.0 - a.0)));
    quantile(&pairs.collect::<Vec<f64>>(), 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: f64 = f64::NAN;

    fn series(values: &[f64]) -> Series {
        Series { signal: "x".into(), step: 5000, values: values.to_vec(), ..Series::default() }
    }

    #[test]
    fn a_missing_step_is_never_a_zero() {
        let s = series(&[4.0, GAP, 8.0, GAP]);
        assert_eq!(s.present(), None);
        assert_eq!(s.newest(), Some(8.0));
        assert_eq!(s.mean(20_000), Some(6.0));
        assert_eq!(s.max(5000), None);
        assert_eq!((s.at(5000), s.at(10_000), s.at(15_000), s.at(20_000)), (Some(8.0), None, Some(4.0), None));
        assert_eq!((mean(&[]), max(&[GAP]), quantile(&[], 0.5), slope(&[])), (None, None, None, None));
    }

    #[test]
    fn quantiles_interpolate() {
        let s = series(&[1.0, 2.0, GAP, 3.0, 4.0]);
        for (q, expected) in [(0.0, 1.0), (0.5, 2.5), (1.0, 4.0), (0.9, 3.7)] {
            assert!((s.quantile(q, 60_000).unwrap_or(GAP) - expected).abs() < 1e-9, "{q}");
        }
    }

    #[test]
    fn the_slope_is_per_second_and_ignores_a_spike() {
        let mut values: Vec<f64> = (0..100).map(|i| f64::from(i) * 10.0).collect();
        values[40] = 9000.0;
        values[41] = GAP;
        assert!((series(&values).slope(500_000).unwrap_or(GAP) - 2.0).abs() < 0.05);
        assert_eq!(series(&[1.0, GAP, 3.0]).slope(60_000), None);
    }
}
