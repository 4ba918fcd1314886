//! What `/proc` says of the processes of this host.
//!
//! For: telling one process from another that later has the same number, and finding the processes that carry a mark of
//! ours. Never signals anything. Everything here blocks for as long as the kernel takes.

use std::fs;
use std::io::{self, Read as _};

/// In the environment of a replica: its token, as in its record.
pub(super) const TOKEN: &str = "TRIMTAB_REPLICA";
/// The identity of the state directory that the replica belongs to.
pub(super) const STATE: &str = "TRIMTAB_STATE";
/// `NS/NAME/POOL`.
pub(super) const POOL: &str = "TRIMTAB_POOL";
/// The replica's name.
pub(super) const NAME: &str = "TRIMTAB_NAME";
/// Its port.
pub(super) const PORT: &str = "TRIMTAB_PORT";
/// Which start of the replica it is.
pub(super) const START: &str = "TRIMTAB_START";

/// The most that is read of one process's environment; the kernel allows about as much.
const MAX_ENVIRON: u64 = 4 << 20;
/// Bytes of a replica's name: those of a namespace, a workload and a pool, and a number.
const MAX_NAME: usize = 240;

/// One process, as it was when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: i32,
    /// The number of the process that began its session.
    pub(super) session: i32,
    /// In clock ticks since the host started: with the number, one process among all of this boot.
    pub(super) start: u64,
    /// It has ended; only its parent has not looked yet.
    pub(super) ended: bool,
}

/// The marks that a replica carries in its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) token: String,
    pub(super) state: String,
    pub(super) pool: String,
    pub(super) name: String,
    pub(super) port: u16,
    /// Which start of the replica it is: 1, 2 and so on; 0: its mark was lost.
    pub(super) nth: u32,
}

/// A running process that carries our marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) pid: i32,
    pub(super) start: u64,
    /// It began its own session.
    pub(super) leads: bool,
    pub(super) marks: Marks,
}

/// Names this boot of the host; empty where the kernel does not tell.
pub(super) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// Every process number there is.
pub(super) fn pids() -> io::Result<Vec<i32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        if let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            pids.push(pid);
        }
    }
    Ok(pids)
}

/// None: there is no such process.
pub(super) fn stat(pid: i32) -> Option<Stat> {
    parse_stat(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The program's name stands in parentheses and may hold anything, parentheses too: what counts begins after the last.
fn parse_stat(pid: i32, text: &[u8]) -> Option<Stat> {
    let after = text.iter().rposition(|b| *b == b')')? + 1;
    let mut fields = std::str::from_utf8(&text[after..]).ok()?.split_ascii_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X" | "x");
    // Of proc(5): the state is field 3, the session 6, the start time 22.
    let session = fields.nth(2)?.parse().ok()?;
    let start = fields.nth(15)?.parse().ok()?;
    Some(Stat { pid, session, start, ended })
}

/// None: it carries none, has overwritten them, or is not ours to look into.
pub(super) fn marks(pid: i32) -> Option<Marks> {
    let mut text = Vec::new();
    fs::File::open(format!("/proc/{pid}/environ")).ok()?.take(MAX_ENVIRON).read_to_end(&mut text).ok()?;
    parse_marks(&text)
}

fn parse_marks(text: &[u8]) -> Option<Marks> {
    let value = |name: &str| {
        let found = text.split(|b| *b == 0).find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
        std::str::from_utf8(found).ok().map(str::to_owned)
    };
    let (token, state) = (value(TOKEN)?, value(STATE)?);
    let nth = value(START).and_then(|nth| nth.parse().ok()).unwrap_or(0);
    let marks = Marks { token, state, pool: value(POOL)?, name: value(NAME)?, port: value(PORT)?.parse().ok()?, nth };
    // The name becomes part of a path again.
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (marks.name.len() <= MAX_NAME && marks.name.bytes().all(plain)).then_some(marks)
}

/// Every running process that carries the mark of this state directory. What a replica has started in turn carries the
/// marks too, but seldom begins a session with them.
pub(super) fn find(state: &str) -> io::Result<Vec<Found>> {
    let runs = |pid| stat(pid).filter(|stat| !stat.ended);
    let mut found = Vec::new();
    for before in pids()?.into_iter().filter_map(runs) {
        let Some(marks) = marks(before.pid).filter(|marks| marks.state == state) else { continue };
        // Looked at twice: the number may have gone to another process in between.
        if stat(before.pid).is_some_and(|now| now.start == before.start) {
            let Stat { pid, session, start, .. } = before;
            found.push(Found { pid, start, leads: session == pid, marks });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail

    use super::*;

    #[test]
    fn a_program_may_be_called_anything() {
        let line = b"42 (a) b (c)) S 1 42 41 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 1000 50 18446744073709551615";
        assert_eq!(parse_stat(42, line), Some(Stat { pid: 42, session: 41, start: 777, ended: false }));
        let dead = b"42 (\xff\xfe) Z 1 42 41 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 778 0";
        assert_eq!(parse_stat(42, dead), Some(Stat { pid: 42, session: 41, start: 778, ended: true }));
        for broken in
            [&b""[..], b"42", b"42 (sh)", b"42 (sh) S 1 2", b"42 (sh) S 1 2 x 0 -1 4 1 2 3 4 5 6 7 8 2 0 1 0 7"]
        {
            assert_eq!(parse_stat(42, broken), None);
        }
    }

    #[test]
    fn this_process_is_found_in_proc() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(pids().unwrap().contains(&own));
        let stat = stat(own).unwrap();
        assert!(stat.start > 0 && !stat.ended);
        assert!(!boot_id().is_empty());
    }

    #[test]
    fn marks_are_whole_or_none() {
        let all = b"A=1\0TRIMTAB_NAME=n\0TRIMTAB_POOL=a/b/c\0TRIMTAB_PORT=80\0TRIMTAB_REPLICA=t\0TRIMTAB_STATE=s\0";
        let marks = parse_marks(all).unwrap();
        assert_eq!((marks.token.as_str(), marks.state.as_str(), marks.port), ("t", "s", 80));
        assert_eq!((marks.pool.as_str(), marks.name.as_str(), marks.nth), ("a/b/c", "n", 0));
        let numbered = [&all[..], b"TRIMTAB_START=7\0"].concat();
        assert_eq!(parse_marks(&numbered).unwrap(), Marks { nth: 7, ..marks });
        assert_eq!(parse_marks(&all[..40]), None);
        let path = b"TRIMTAB_NAME=../n\0TRIMTAB_POOL=a/b/c\0TRIMTAB_PORT=80\0TRIMTAB_REPLICA=t\0TRIMTAB_STATE=s\0";
        assert_eq!(parse_marks(path), None);
        assert_eq!(parse_marks(b"TRIMTAB_REPLICAS=t\0TRIMTAB_STATE=s\0"), None);
        assert_eq!(parse_marks(b""), None);
    }
}
