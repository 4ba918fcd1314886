//! Anything that answers one URL.
