//! Lines for the operator, shown beside the stage in `trimtab explain`.
//!
//! For: `debug!`, `info!`, `warn!` and `error!`. The host takes at most 64 lines of 1 KiB a call. Natively a line goes
//! to standard error.

pub use crate::bindings::trimtab::policy::log::Level;

/// Writes one line.
pub fn write(level: Level, message: &str) {
    #[cfg(target_family = "wasm")]
    crate::bindings::trimtab::policy::log::write(level, message);
    #[cfg(not(target_family = "wasm"))]
    eprintln!("{level:?}: {message}");
}

/// A line for the author.
#[macro_export]
macro_rules! debug { ($($text:tt)*) => { $crate::log::write($crate::Level::Debug, &format!($($text)*)) } }
/// A line for the operator.
#[macro_export]
macro_rules! info { ($($text:tt)*) => { $crate::log::write($crate::Level::Info, &format!($($text)*)) } }
/// Something is off.
#[macro_export]
macro_rules! warn { ($($text:tt)*) => { $crate::log::write($crate::Level::Warn, &format!($($text)*)) } }
/// Something failed.
#[macro_export]
macro_rules! error { ($($text:tt)*) => { $crate::log::write($crate::Level::Error, &format!($($text)*)) } }
