//! One daemon per state directory.
//!
//! For: an exclusive lock, and the random name of the directory that is written beside it. The lock belongs to the open
//! file, so a child between fork and exec holds it too: whoever has the lock knows that every process of the daemon
//! before has either begun its own program (and can be found) or will never exist. Never waits longer than two seconds.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use super::StoreError;

/// For a child of a daemon that has just been killed to begin its program.
const PATIENCE: Duration = Duration::from_secs(2);

/// Held while it lives.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    /// Sixteen hexadecimal digits.
    pub(super) identity: String,
    _file: File,
}

impl DirectoryLock {
    pub(super) fn take(directory: &Path) -> Result<DirectoryLock, StoreError> {
        let at_place =
            |source: std::io::Error| StoreError::Directory { place: directory.into(), source: Arc::new(source) };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(directory.join("lock"))
            .map_err(at_place)?;
        let patience = Instant::now();
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) if patience.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    let holder = read(&mut file).map_or_else(|_| "unknown".into(), |(_, holder)| holder);
                    return Err(StoreError::InUse { place: directory.into(), holder });
                }
                Err(error) => return Err(at_place(error.into())),
            }
        }
        let (kept, _) = read(&mut file).map_err(at_place)?;
        let identity = match kept {
            Some(identity) => identity,
            None => random_hex().map_err(at_place)?,
        };
        // Without the process id the lock still holds; only the message for a second daemon is poorer.
        let _ = write(&mut file, &identity);
        Ok(DirectoryLock { identity, _file: file })
    }
}

/// The directory's identity, where there is one, and the process that wrote it.
fn read(file: &mut File) -> std::io::Result<(Option<String>, String)> {
    let mut text = String::new();
    file.rewind()?;
    file.take(256).read_to_string(&mut text)?;
    let mut words = text.split_whitespace();
    let identity =
        words.next().filter(|w| w.len() == 16 && w.bytes().all(|b| b.is_ascii_hexdigit())).map(str::to_owned);
    let holder = words.next().filter(|w| w.bytes().all(|b| b.is_ascii_digit())).unwrap_or("unknown").to_owned();
    Ok((identity, holder))
}

/// The identity stands first and never changes, so that a write cut short cannot lose it.
fn write(file: &mut File, identity: &str) -> std::io::Result<()> {
    let text = format!("{identity} {}\n", std::process::id());
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

/// Sixteen random hexadecimal digits.
pub(crate) fn random_hex() -> std::io::Result<String> {
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    // The first sixteen digits hold the version digit; sixty random bits are plenty.
    Ok(uuid.chars().filter(char::is_ascii_hexdigit).take(16).collect())
}
