//! Several series of one page become one.
//!
//! For: data-parallel ranks, reasons, backends. A part that is no count (NaN, infinite, negative) is not hidden in a sum:
//! it is the result, and the control core refuses it. Never compares two pages.

use super::super::Across;
use super::taken::Buckets;

/// One value of several; none of none.
pub(super) fn combined(how: Across, values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    if let Some(bad) = values.iter().find(|v| !v.is_finite() || **v < 0.0) {
        return Some(*bad);
    }
    values.sort_by(f64::total_cmp);
    let (least, greatest) = (*values.first()?, *values.last()?);
    Some(match how {
        Across::Sum => values.iter().sum(),
        Across::Mean => values.iter().sum::<f64>() / values.len() as f64,
        Across::Max => greatest,
        Across::Min => least,
        Across::Percentile(percent) => {
            // Nearest rank, as the control core takes it.
            let rank = (f64::from(percent) / 100.0 * values.len() as f64).ceil() as usize;
            values[rank.clamp(1, values.len()) - 1]
        }
    })
}

/// Cumulative counts added at the bounds that all have: at a bound that one lacks its count is not known. None where
/// there is no such bound, or where a histogram is broken.
pub(super) fn merged(parts: &[&Buckets]) -> Option<Vec<(f64, f64)>> {
    let (first, others) = parts.split_first()?;
    let mut sum = first.ascending()?;
    for other in others {
        let other = other.ascending()?;
        sum.retain_mut(|(bound, count)| match other.binary_search_by(|o| o.0.total_cmp(bound)) {
            Ok(index) => {
                *count += other[index].1;
                true
            }
            Err(_) => false,
        });
    }
    (!sum.is_empty()).then_some(sum)
}
