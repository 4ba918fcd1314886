//! File events as hints: something under these folders may have changed.
//!
//! For: looking soon instead of at the next rescan. Never reads what an event says, and never matters: a machine, or a
//! file system, without events is looked at in its own time.

use std::path::Path;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// Watches folders until dropped.
pub(crate) struct Hints {
    watcher: Option<RecommendedWatcher>,
}

impl Hints {
    /// Calls `hint` for every event that may mean a change, from a thread of its own; it must not block.
    pub(crate) fn new(hint: impl Fn() + Send + 'static) -> Hints {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading the files makes events too; an error (an overflow) may hide any change.
            let matters = event.map_or(true, |event| match event.kind {
                EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
                _ => true,
            });
            if matters {
                hint();
            }
        });
        Hints { watcher: watcher.ok() }
    }

    /// Watches a folder, again where it was replaced. One that cannot be watched gives no hints.
    pub(crate) fn watch(&mut self, folder: &Path, with_subfolders: bool) {
        let mode = if with_subfolders { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        if let Some(watcher) = &mut self.watcher {
            let _ = watcher.watch(folder, mode);
        }
    }
}
