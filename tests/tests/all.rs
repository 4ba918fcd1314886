//! All cross-crate and end-to-end tests, in one binary. Each module holds one kind; what they share lies in `place`
//! (where things are, and how a test says that it was skipped).

#![allow(clippy::unwrap_used)]

mod cases;
mod e2e;
mod guests;
mod hostile;
mod policies;
mod tidy;

use trimtab_tests::place;
