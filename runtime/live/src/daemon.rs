//! The daemon: one tick per workload on its own interval, and everything that feeds it.
//!
//! For: joining manifests, modules, sources, targets, store and control. No tick waits for another workload's scrape,
//! policy or action. Never does arithmetic on replica counts, never reads an argument, never prints.

mod view;

pub use view::{Command, Daemon, OrderError, SourceView, StageView, View};
