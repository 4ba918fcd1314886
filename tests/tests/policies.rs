//! The golden cases of the shipped policies.
