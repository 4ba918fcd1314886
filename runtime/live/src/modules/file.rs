//! One file of a policies directory, opened once and read whole.
//!
//! For: never being led outside the watched directory, never blocking on a FIFO, never mixing two versions of a file.
//! Never caches: the caller compares stamps.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use trimtab_sandbox::{Refusal, Stage};

/// A file that was written to more recently than this may still be being written.
const QUIET: Duration = Duration::from_millis(100);

/// What says, without reading it, that a file is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The file behind a path, following links. None: there is none, or it cannot be asked.
    pub(super) fn of(path: &Path) -> Option<Stamp> {
        std::fs::metadata(path).ok().map(|meta| Stamp::from(&meta))
    }
}

impl From<&std::fs::Metadata> for Stamp {
    fn from(meta: &std::fs::Metadata) -> Self {
        Stamp {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// A file that was read whole.
pub(super) struct Contents {
    pub(super) bytes: Vec<u8>,
    pub(super) stamp: Stamp,
    /// Since it was written to; none: its time lies in the future.
    age: Option<Duration>,
}

impl Contents {
    /// Refuses what somebody may still be writing.
    pub(super) fn settled(self) -> Result<Contents, Refusal> {
        if self.age.is_some_and(|age| age < QUIET) { Err(changing()) } else { Ok(self) }
    }
}

/// Reads the regular file `path` beneath `root`.
pub(super) fn read(root: &Path, path: &Path, max_bytes: usize) -> Result<Contents, Refusal> {
    let file = open(root, path)?;
    let before = file.metadata().map_err(|e| unreadable(&e))?;
    if !before.is_file() {
        return Err(not_a_file(&before));
    }
    if before.len() > max_bytes as u64 {
        let message = format!("the file has {} bytes, and a module may have {} MiB", before.len(), max_bytes >> 20);
        return Err(Refusal::new(Stage::Read, "too-large", message));
    }
    let age = before.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or(0));
    (&file).take(max_bytes as u64 + 1).read_to_end(&mut bytes).map_err(|e| unreadable(&e))?;
    let after = file.metadata().map_err(|e| unreadable(&e))?;
    if Stamp::from(&before) != Stamp::from(&after) || bytes.len() as u64 != after.len() {
        return Err(changing());
    }
    Ok(Contents { bytes, stamp: Stamp::from(&after), age })
}

/// Opens without following a link out of `root`, and without waiting for a writer.
fn open(root: &Path, path: &Path) -> Result<File, Refusal> {
    let root = root.canonicalize().map_err(|e| unreadable(&e))?;
    let real = path.canonicalize().map_err(|e| unreadable(&e))?;
    let Ok(beneath) = real.strip_prefix(&root) else {
        return Err(Refusal::new(Stage::Read, "outside-link", "it is a link that leaves the policies directory")
            .hint("copy the file itself into the directory"));
    };
    // A device may do something when it is opened, so its kind is asked first, and again of what was opened.
    let kind = std::fs::symlink_metadata(&real).map_err(|e| unreadable(&e))?;
    if !kind.is_file() {
        return Err(not_a_file(&kind));
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let folder = openat(CWD, &root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| unreadable(&e.into()))?;
    // No link is left in the resolved path; one that appears now is somebody's race, and is refused.
    let opened = openat2(&folder, beneath, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS);
    match opened {
        Ok(fd) => Ok(File::from(fd)),
        Err(Errno::NOSYS | Errno::PERM) => open_without_openat2(&root, &real, flags),
        Err(Errno::LOOP | Errno::XDEV | Errno::AGAIN) => Err(changing()),
        Err(error) => Err(unreadable(&error.into())),
    }
}

/// For kernels and sandboxes without `openat2`: opens, then asks the kernel what was opened.
fn open_without_openat2(root: &Path, real: &Path, flags: OFlags) -> Result<File, Refusal> {
    use std::os::fd::AsRawFd;
    let file = File::from(openat(CWD, real, flags, Mode::empty()).map_err(|e| unreadable(&e.into()))?);
    let opened: PathBuf =
        std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(|e| unreadable(&e))?;
    if opened.starts_with(root) { Ok(file) } else { Err(changing()) }
}

fn unreadable(error: &std::io::Error) -> Refusal {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Refusal::new(Stage::Read, "gone", "the file is gone, or is a link to nothing");
    }
    Refusal::new(Stage::Read, "unreadable", format!("the file cannot be read: {error}"))
}

fn not_a_file(meta: &std::fs::Metadata) -> Refusal {
    use std::os::unix::fs::FileTypeExt;
    let kind = meta.file_type();
    let (code, what) = if kind.is_dir() {
        ("directory", "a directory")
    } else if kind.is_fifo() {
        ("fifo", "a FIFO")
    } else if kind.is_block_device() || kind.is_char_device() {
        ("device", "a device")
    } else {
        ("not-a-file", "a socket, or something else that is no file")
    };
    Refusal::new(Stage::Read, code, format!("it is {what}, and a module must be a regular file"))
}

/// Tried again soon.
fn changing() -> Refusal {
    Refusal::new(Stage::Read, "changing", "the file is being written").hint("write to another name, then rename")
}
