//! The folder of the cache: plain files of this user, written whole or not at all.
//!
//! For: every access goes through the folder's descriptor, which was checked, so that nobody can put another in its
//! place. Never follows a link, never opens what is not a regular file.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, fstat, futimens,
    openat, renameat, statat, unlinkat,
};
use rustix::process::geteuid;
use sha2::{Digest, Sha256};

use super::CacheError;
use crate::inspect::hex;

/// What our files' names end with.
const ENDINGS: [&str; 3] = [".cwasm", ".refused", ".new"];
/// Bits that let others write.
const OTHERS_WRITE: u32 = 0o022;

pub(super) struct Folder(OwnedFd);

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Folder, CacheError> {
        let unusable = |source: io::Error| CacheError::Unusable { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(CWD, path, flags, Mode::empty()).map_err(|error| unusable(error.into()))?;
        let stat = fstat(&folder).map_err(|error| unusable(error.into()))?;
        let open = |who| Err(CacheError::Open { path: path.to_owned(), who });
        if stat.st_uid != geteuid().as_raw() {
            return open("another user");
        }
        if stat.st_mode & OTHERS_WRITE != 0 {
            return open("its group, or everybody,");
        }
        Ok(Folder(folder))
    }

    /// The names of files that may be ours.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let Ok(name) = entry?.file_name().to_str().map(str::to_owned) else { continue };
            if ENDINGS.iter().any(|ending| name.ends_with(ending)) {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Of a file that is one of ours.
    pub(super) fn size_and_time(&self, name: &str) -> Option<(u64, SystemTime)> {
        let stat = statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).ok().filter(is_own)?;
        let seconds = Duration::from_secs(u64::try_from(stat.st_mtime).ok()?);
        Some((u64::try_from(stat.st_size).ok()?, SystemTime::UNIX_EPOCH + seconds))
    }

    /// Opens a file that is one of ours.
    pub(super) fn open_own(&self, name: &str) -> Option<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&self.0, name, flags, Mode::empty()).ok()?;
        fstat(&file).ok().filter(is_own)?;
        Some(File::from(file))
    }

    /// Notes that a file was used.
    pub(super) fn touch(&self, file: &File) {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times = Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification: now };
        // Without it the file goes a little sooner than it might.
        let _ = futimens(file, &times);
    }

    /// Writes a file under another name, and gives it its own when all of it is on the disk.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let new = format!("{name}.new");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        // Left behind by a process that was killed.
        self.remove(&new);
        let mut file = File::from(openat(&self.0, &new, flags, mode)?);
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        let done = written.and_then(|()| renameat(&self.0, &new, &self.0, name).map_err(io::Error::from));
        if done.is_err() {
            self.remove(&new);
        }
        done
    }

    pub(super) fn remove(&self, name: &str) {
        // One that is not there, or cannot be removed, is not loaded either.
        let _ = unlinkat(&self.0, name, AtFlags::empty());
    }
}

/// A regular file of this user, with one name, that others cannot write.
fn is_own(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode).is_file()
        && stat.st_uid == geteuid().as_raw()
        && stat.st_mode & OTHERS_WRITE == 0
        && stat.st_nlink == 1
}

/// SHA-256 of a file, in hex.
pub(super) fn digest(mut file: &File) -> io::Result<String> {
    let mut sha = Sha256::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(hex(&sha.finalize())),
            Ok(read) => sha.update(&chunk[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
