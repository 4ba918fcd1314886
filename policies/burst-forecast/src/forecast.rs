//! From a load's recent past to its likely level some time ahead.
//!
//! For: one number with a reason. Two views, of which the greater counts: the trend goes on for as long as it has
//! lasted; and growth as large as it was, `quantile` of the time, after moments like this one. Neither counts a step
//! that has just happened twice: a step is no trend, since it does not rise in each quarter of the span, and after it
//! there are no earlier moments like the present one. Never below the present level.

use std::fmt;

use trimtab_sdk::series;

/// Moments like this one that the growth quantile needs.
const MOMENTS: usize = 8;
/// Points a trend needs.
const TREND_POINTS: usize = 8;

/// The past, and how to read it.
pub(crate) struct Forecast<'a> {
    /// Oldest first; a missing step is NaN.
    pub(crate) values: &'a [f64],
    /// Seconds between two values.
    pub(crate) step: f64,
    /// Which growth counts, 0 to 1.
    pub(crate) quantile: f64,
    /// Levels that differ by less than this are alike (as are those within a half of each other): one replica's load.
    pub(crate) similar: f64,
}

impl Forecast<'_> {
    /// The level so many seconds from now, given the level now; never less than that.
    pub(crate) fn at(&self, now: f64, horizon: f64) -> f64 {
        let growth = self.growth(now, horizon).unwrap_or(0.0);
        now + self.trend(horizon).max(growth).max(0.0)
    }

    /// Growth if the trend of the last `horizon`, of half of it or of a quarter goes on for as long as it has lasted.
    fn trend(&self, horizon: f64) -> f64 {
        let spans = [horizon, horizon / 2.0, horizon / 4.0];
        let grown = spans.iter().filter_map(|span| {
            let steps = ((span / self.step).floor() as usize).max(TREND_POINTS - 1);
            let recent = self.values.get(self.values.len().checked_sub(steps + 1)?..)?;
            let lasted = (steps as f64).min(horizon / self.step);
            Some((series::slope(recent)? * lasted).min(6.0 * slowest_rise(recent)?))
        });
        grown.fold(0.0, f64::max)
    }

    /// The `quantile` of the growth over `horizon` that followed earlier moments of a level like this one.
    fn growth(&self, now: f64, horizon: f64) -> Option<f64> {
        // A history shorter than twice the horizon says too little about growth over all of it.
        let lag = ((horizon / self.step).round() as usize).clamp(1, (self.values.len() / 2).max(1));
        let like = self.similar.max(now / 2.0);
        let pairs = self.values.iter().zip(self.values.iter().skip(lag));
        let grown: Vec<f64> = pairs
            .filter(|(then, later)| (**then - now).abs() <= like && later.is_finite())
            .map(|(a, b)| b - a)
            .collect();
        if grown.len() < MOMENTS { None } else { series::quantile(&grown, self.quantile) }
    }
}

/// How much the mean rises from one quarter to the next, where it rises least. A ramp rises in each quarter (by a fourth
/// of the whole); a step, wherever it lies, leaves one without.
fn slowest_rise(values: &[f64]) -> Option<f64> {
    let quarter = |i: usize| series::mean(&values[values.len() * i / 4..values.len() * (i + 1) / 4]);
    let rises = (0..3).map(|i| Some(quarter(i + 1)? - quarter(i)?));
    rises.collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::min)
}

/// Each value as the mean of itself and those before it, `points` in all.
pub(crate) fn smooth(values: &[f64], points: usize) -> Vec<f64> {
    (0..values.len()).map(|i| series::mean(&values[(i + 1).saturating_sub(points)..=i]).unwrap_or(f64::NAN)).collect()
}

/// What is expected, and what it takes.
pub(crate) struct Outlook {
    pub(crate) now: f64,
    pub(crate) predicted: f64,
    pub(crate) per_replica: f64,
    /// Seconds.
    pub(crate) horizon: f64,
    pub(crate) replicas: u32,
    /// The unit of the load.
    pub(crate) what: &'static str,
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} {} now, {:.1} when a replica started now is ready ({:.0} s); at {:.2} a replica that wants {}",
            self.now, self.what, self.predicted, self.horizon, self.per_replica, self.replicas
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(values: &[f64], horizon: f64) -> f64 {
        let now = values.last().copied().unwrap_or(0.0);
        Forecast { values, step: 5.0, quantile: 0.9, similar: 8.0 }.at(now, horizon)
    }

    #[test]
    fn a_level_stays() {
        assert_eq!(at(&[20.0; 120], 180.0), 20.0);
        assert_eq!(at(&[], 180.0), 0.0);
        assert_eq!(at(&[f64::NAN, 7.0], 180.0), 7.0);
    }

    #[test]
    fn a_ramp_goes_on() {
        let ramp: Vec<f64> = (0..120).map(f64::from).collect();
        assert!((at(&ramp, 180.0) - (119.0 + 36.0)).abs() < 1.0, "{}", at(&ramp, 180.0));
        let falling: Vec<f64> = (0..120).rev().map(f64::from).collect();
        assert_eq!(at(&falling, 180.0), 0.0);
    }

    #[test]
    fn a_ramp_that_began_just_now_goes_on_for_as_long_as_it_has_lasted() {
        let mut values = vec![4.0; 111];
        values.extend((1..=9).map(|i| 4.0 + 4.0 * f64::from(i)));
        let predicted = at(&values, 180.0);
        assert!((70.0..=84.0).contains(&predicted), "{predicted}: 40 now, 36 of it in the last 45 s");
    }

    #[test]
    fn a_step_is_not_counted_twice() {
        for since in 1..60 {
            let mut values = vec![2.0; 120 - since];
            values.extend(std::iter::repeat_n(80.0, since));
            let predicted = at(&values, 180.0);
            assert!(predicted <= 120.0, "{since} steps after the step: {predicted}");
        }
    }

    #[test]
    fn bursts_that_came_back_are_expected() {
        // Every 100 s the load jumps from 4 to 40 and back after 50 s; a replica takes 50 s to start.
        let values: Vec<f64> = (0..120).map(|i| if i / 10 % 2 == 0 { 40.0 } else { 4.0 }).collect();
        assert!(at(&values, 50.0) > 35.0);
    }
}
