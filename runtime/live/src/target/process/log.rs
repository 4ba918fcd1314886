//! The files that hold what replicas print.
//!
//! For: `STATE/replicas/NS/NAME/POOL/REPLICA.log`, written by the replica itself, opened to append. A file that has grown
//! beyond [`MOST`] when its replica starts, or while it runs (looked at once a minute), becomes `REPLICA.log.1`, which
//! replaces the one before; a few lines printed at that very moment may be lost. Of replicas that are gone the newest
//! [`REMEMBERED`] stay. Never keeps a replica from starting.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use trimtab_sandbox::clean;

/// Bytes of one file.
pub(super) const MOST: u64 = 16 << 20;
/// Replicas of a pool that are gone and whose files stay.
const REMEMBERED: usize = 20;
/// How much of the end is looked at for a person.
const TAIL: u64 = 4096;
/// Lines of the end that are shown.
const LINES: usize = 3;
/// Bytes that are shown.
const SHOWN: usize = 400;

/// Opens a replica's file, turned over first when it is long; the second is where this run's output begins.
pub(super) fn open(path: &Path) -> io::Result<(File, u64)> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if fs::metadata(path).is_ok_and(|file| file.len() > MOST) {
        fs::rename(path, before(path))?;
    }
    let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
    let begins = file.metadata()?.len();
    Ok((file, begins))
}

/// Turns a file over that a running replica has made long. The replica goes on writing at its (new) end.
pub(super) fn cap(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.len() > MOST {
        fs::copy(path, before(path))?;
        OpenOptions::new().write(true).open(path)?.set_len(0)?;
    }
    Ok(())
}

/// The last lines that were printed since `begins`, escaped, in one line; empty where there are none.
pub(super) fn tail(path: &Path, begins: u64) -> String {
    let read = || {
        let mut file = File::open(path)?;
        let len = file.metadata()?.len();
        // A file that is shorter than where the run began was turned over in between.
        let begins = if begins > len { 0 } else { begins };
        file.seek(SeekFrom::Start(begins.max(len.saturating_sub(TAIL))))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    let mut lines: Vec<&str> = text.lines().map(str::trim).rev().filter(|l| !l.is_empty()).take(LINES).collect();
    lines.reverse();
    clean(&lines.join(" | "), SHOWN)
}

/// Deletes the oldest files of replicas that are gone. Failures are harmless: it is tried again with the next.
pub(super) fn prune(folder: &Path, alive: &BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut gone: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            name.to_str().and_then(|n| n.strip_suffix(".log")).is_some_and(|replica| !alive.contains(replica))
        })
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    gone.sort();
    let many = gone.len().saturating_sub(REMEMBERED);
    for (_, path) in gone.into_iter().take(many) {
        let _ = fs::remove_file(before(&path));
        let _ = fs::remove_file(path);
    }
}

fn before(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail

    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_end_is_shown_in_one_safe_line() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/b/r-1.log");
        let (mut file, begins) = open(&path).unwrap();
        assert_eq!(begins, 0);
        writeln!(file, "old").unwrap();
        let (mut file, begins) = open(&path).unwrap();
        assert_eq!(tail(&path, begins), "", "what an earlier run printed is not shown");
        write!(file, "one\n\ntwo\n  \x1b[31mthree\nfour\n").unwrap();
        assert_eq!(tail(&path, begins), "two | \\u{1b}[31mthree | four");
        write!(file, "{}", "é".repeat(5000)).unwrap();
        assert!(tail(&path, begins).len() <= SHOWN);
        assert_eq!(tail(&place.path().join("none"), 0), "");
    }

    #[test]
    fn a_long_file_is_turned_over_once() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("r.log");
        let (mut file, _) = open(&path).unwrap();
        file.set_len(MOST + 1).unwrap();
        cap(&path).unwrap();
        assert_eq!(fs::metadata(before(&path)).unwrap().len(), MOST + 1);
        file.write_all(b"after").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"after", "who has it open goes on at the new end");
        file.set_len(MOST + 2).unwrap();
        assert_eq!(open(&path).unwrap().1, 0);
        assert_eq!(fs::metadata(before(&path)).unwrap().len(), MOST + 2);
    }

    #[test]
    fn files_of_the_gone_are_bounded() {
        let place = tempfile::tempdir().unwrap();
        for n in 0..30 {
            let path = place.path().join(format!("r-{n:02}.log"));
            let age = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000 + n);
            File::create(&path).unwrap().set_modified(age).unwrap();
            File::create(before(&path)).unwrap();
        }
        prune(place.path(), &BTreeSet::from(["r-00".to_owned()]));
        let mut left: Vec<String> =
            fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left.len(), 2 * (REMEMBERED + 1));
        assert!(left.contains(&"r-00.log".to_owned()) && left.contains(&"r-10.log".to_owned()));
        assert!(!left.contains(&"r-09.log".to_owned()) && !left.contains(&"r-09.log.1".to_owned()));
    }
}
