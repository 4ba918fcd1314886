//! Filled in with the module's tests.
