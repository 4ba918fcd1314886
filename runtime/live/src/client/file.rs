//! Small files that may be replaced at any time: secrets and certificates.
//!
//! For: reading one whole, bounded, and telling without reading whether it is still the same. Never waits for a FIFO and
//! never reads a device. Blocks: for threads that may.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// What says that a file is still the same: device, inode, size, instants of modification and change.
pub(super) type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

/// The stamp of the file that has this name now.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    std::fs::metadata(path).ok().map(|meta| stamp_of(&meta))
}

fn stamp_of(meta: &Metadata) -> Stamp {
    (meta.dev(), meta.ino(), meta.size(), (meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec()))
}

/// All of a regular file. The stamp is from before it was read: a change while reading is noticed the next time.
pub(super) fn read(path: &Path, max_bytes: u64) -> Result<(Vec<u8>, Stamp), String> {
    let explain = |e: std::io::Error| format!("cannot read {}: {e}", path.display());
    // Opening a FIFO without this waits for a writer.
    let no_waiting = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let file: File =
        OpenOptions::new().read(true).custom_flags(no_waiting.cast_signed()).open(path).map_err(explain)?;
    let meta = file.metadata().map_err(explain)?;
    if !meta.is_file() {
        return Err(format!("{} is not a regular file", path.display()));
    }
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(explain)?;
    if bytes.len() as u64 > max_bytes {
        return Err(format!("{} is larger than {max_bytes} bytes", path.display()));
    }
    Ok((bytes, stamp_of(&meta)))
}
