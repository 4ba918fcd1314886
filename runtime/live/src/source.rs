//! Sources: where readings come from.
//!
//! For: turning pages of metrics into samples. Never judges a number (sanitising, ageing and coverage are the control
//! core's) and never acts on one.

mod spec;

pub use spec::{Across, EngineSpec, ExpositionSpec, Scheme, SignalSpec, SourceSpec, Within};
