//! The course of the load, from what a person wrote.

use std::path::Path;

use trimtab_engine::load::{Shape, read_trace};

use crate::failure::Failure;

/// A burst and a day's peak are so many times the base rate.
const PEAK: f64 = 4.0;

/// `burst`, `diurnal`, or a file with arrivals.
pub(super) fn named(name: &str, rate: f64) -> Result<Shape, Failure> {
    match name {
        "burst" => Ok(Shape::Burst { base: rate, peak: rate * PEAK }),
        "diurnal" => Ok(Shape::Diurnal { low: rate, high: rate * PEAK }),
        file => {
            let text = std::fs::read_to_string(Path::new(file)).map_err(|e| {
                Failure::usage("--shape", format!("`{file}`: {e}"), "write burst, diurnal, or the name of a CSV file")
            })?;
            let fix = "write CSV with the columns arrival_s, input_tokens, output_tokens, sorted by arrival";
            Ok(Shape::Trace(read_trace(&text).map_err(|e| Failure::usage(file, e.to_string(), fix))?))
        }
    }
}
