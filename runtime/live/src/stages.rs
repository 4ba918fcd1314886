//! Which module serves each stage of a workload.
