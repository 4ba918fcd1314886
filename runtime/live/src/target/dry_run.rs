//! Replicas in memory only.
