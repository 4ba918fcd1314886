//! When requests arrive and how long they are.
//!
//! For: the offered load, fixed by a seed before any server is asked. Never looks at answers.

use std::time::Duration;

use trimtab_sim::draw::Draw;

use super::{LoadError, LoadOptions};

/// Rows of a trace read at most.
const MAX_ROWS: usize = 5_000_000;

/// One request to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Since the start.
    pub at: Duration,
    /// Prompt length.
    pub input_tokens: u32,
    /// Output length.
    pub output_tokens: u32,
}

/// The course of the rate, in requests a second. All but a trace are Poisson processes.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// The same all the time.
    Steady {
        /// Requests a second.
        rate: f64,
    },
    /// `base`, then `peak` from one sixth to one half of the duration, then `base` again.
    Burst {
        /// Outside the burst.
        base: f64,
        /// In the burst.
        peak: f64,
    },
    /// One day in the duration: a cosine from `low` through `high` back to `low`.
    Diurnal {
        /// At the start and the end.
        low: f64,
        /// In the middle.
        high: f64,
    },
    /// Exactly these.
    Trace(Vec<Arrival>),
}

impl Shape {
    /// Requests a second, `at` into a run of `duration`. Zero for a trace.
    fn rate_at(&self, at: f64, duration: f64) -> f64 {
        match self {
            Shape::Steady { rate } => *rate,
            Shape::Burst { base, peak } => {
                if (1.0 / 6.0..0.5).contains(&(at / duration)) {
                    *peak
                } else {
                    *base
                }
            }
            Shape::Diurnal { low, high } => {
                low + (high - low) * (1.0 - (std::f64::consts::TAU * at / duration).cos()) / 2.0
            }
            Shape::Trace(_) => 0.0,
        }
    }

    fn rates(&self) -> [f64; 2] {
        match self {
            Shape::Steady { rate } => [*rate; 2],
            Shape::Burst { base, peak } => [*base, *peak],
            Shape::Diurnal { low, high } => [*low, *high],
            Shape::Trace(_) => [1.0; 2],
        }
    }
}

/// The arrivals in order.
#[derive(Debug)]
pub(super) struct Arrivals {
    shape: Shape,
    duration: f64,
    /// Of arrivals; lengths have their own, so that changing one leaves the other alone.
    times: Draw,
    lengths: Draw,
    spread: f64,
    medians: (u32, u32),
    at: f64,
    row: usize,
}

impl Arrivals {
    pub(super) fn new(options: &LoadOptions) -> Result<Arrivals, LoadError> {
        if let Some(bad) = options.shape.rates().into_iter().find(|rate| !(rate.is_finite() && *rate > 0.0)) {
            return Err(LoadError::Rate(bad));
        }
        Ok(Arrivals {
            shape: options.shape.clone(),
            duration: options.duration.as_secs_f64(),
            times: Draw::seeded(options.seed),
            lengths: Draw::seeded(options.seed ^ 0x6c65_6e67_7468_7321),
            spread: options.spread,
            medians: (options.input_tokens, options.output_tokens),
            at: 0.0,
            row: 0,
        })
    }

    fn length(&mut self, median: u32) -> u32 {
        if self.spread == 0.0 {
            return median.max(1);
        }
        (self.lengths.log_normal(f64::from(median), self.spread).round() as u32).max(1)
    }
}

impl Iterator for Arrivals {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        if let Shape::Trace(rows) = &self.shape {
            let arrival = rows.get(self.row).filter(|arrival| arrival.at.as_secs_f64() < self.duration)?;
            self.row += 1;
            return Some(*arrival);
        }
        // Thinning: candidates at the highest rate, each kept with the share that the rate of its instant is of it.
        let [a, b] = self.shape.rates();
        let highest = a.max(b);
        loop {
            self.at += self.times.exponential(highest);
            if self.at >= self.duration {
                return None;
            }
            if self.times.uniform() * highest < self.shape.rate_at(self.at, self.duration) {
                break;
            }
        }
        let (input, output) = self.medians;
        let (input_tokens, output_tokens) = (self.length(input), self.length(output));
        Some(Arrival { at: Duration::from_secs_f64(self.at), input_tokens, output_tokens })
    }
}

/// A trace that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// A column is not in the header.
    #[error("line 1: no column {0:?}; the header must name arrival_s, input_tokens and output_tokens")]
    MissingColumn(&'static str),
    /// A cell is not what it should be.
    #[error("line {line}: {column} must be {expected}, not {found:?}")]
    Cell {
        /// From 1.
        line: usize,
        /// Which column.
        column: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What is there, shortened.
        found: String,
    },
    /// Nothing but a header.
    #[error("the trace has no rows")]
    Empty,
    /// Larger than what is held.
    #[error("the trace has more than 5000000 rows")]
    TooLong,
}

/// Reads a trace: CSV whose header names at least `arrival_s`, `input_tokens` and `output_tokens`; sorted by arrival.
pub fn read_trace(text: &str) -> Result<Vec<Arrival>, TraceError> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let header = lines.next().map_or("", |(_, line)| line).trim_start_matches('\u{feff}');
    let column = |name: &'static str| {
        header.split(',').position(|cell| cell.trim() == name).ok_or(TraceError::MissingColumn(name))
    };
    let (at, input, output) = (column("arrival_s")?, column("input_tokens")?, column("output_tokens")?);
    let mut rows = Vec::new();
    for (index, line) in lines {
        if rows.len() == MAX_ROWS {
            return Err(TraceError::TooLong);
        }
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let cell = |column: usize| cells.get(column).copied().unwrap_or("");
        let bad = |column, expected, found: &str| TraceError::Cell {
            line: index + 1,
            column,
            expected,
            found: found.chars().take(40).collect(),
        };
        let seconds = cell(at).parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
        let tokens =
            |column, name| cell(column).parse::<u32>().map_err(|_| bad(name, "a whole number of tokens", cell(column)));
        rows.push(Arrival {
            at: seconds.ok_or_else(|| bad("arrival_s", "seconds since the start", cell(at)))?,
            input_tokens: tokens(input, "input_tokens")?.max(1),
            output_tokens: tokens(output, "output_tokens")?.max(1),
        });
    }
    if rows.is_empty() {
        return Err(TraceError::Empty);
    }
    rows.sort_by_key(|arrival| arrival.at);
    Ok(rows)
}
