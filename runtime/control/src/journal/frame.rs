//! Segments: a head, then records, each with a checksum over its length, its place and its bytes.
//!
//! For: finding and naming what is wrong with bytes that lay on a disk. The length has a checksum of its own, so that a
//! record that was cut off is told apart from one whose length was damaged. A segment that was closed ends with a record
//! that says so, and each opening says how the one before it ended. Never repairs anything.

use serde::{Deserialize, Serialize};

use super::wire::{Malformed, Reader, Writer};
use crate::config::WorkloadId;
use crate::time::Time;

/// What a segment begins with: a name, and the version of everything that follows.
const HEAD: [u8; 8] = *b"TRIMJRN\x01";
/// Length and its check, and the check of everything.
const FRAME: usize = 12;
/// The longest record: no snapshot comes near.
pub const MOST_RECORD: usize = 1 << 30;

const OPENING: u8 = 0;
const ENTRIES: u8 = 1;
const END: u8 = 2;

/// Why a segment begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Begins {
    /// A daemon has started, or its journal was switched on.
    Start,
    /// The one before was full. It goes on where that ended.
    Next,
    /// What came between could not be written down, for this reason.
    Gap(String),
}

/// How the segment before looked when this one began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Its number.
    pub segment: u64,
    /// Its bytes.
    pub bytes: u64,
    /// The checksum of its last record.
    pub check: u32,
}

/// The first record of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Whose it is.
    pub workload: WorkloadId,
    /// Its number.
    pub segment: u64,
    /// When it began.
    pub at: Time,
    /// Why.
    pub begins: Begins,
    /// The one before it; none: there was none, or it could not be read.
    pub before: Option<Before>,
    /// Digests of the modules behind the stages.
    pub modules: Vec<String>,
    /// The version of the program.
    pub build: String,
}

/// Writes the records of one segment, one after the other.
#[derive(Debug, Default)]
pub struct Framer {
    sequence: u32,
    check: u32,
    bytes: u64,
}

impl Framer {
    /// The first bytes of a segment; `snapshot` is that of its controller.
    pub fn opening(&mut self, opening: &Opening, snapshot: &[u8]) -> Vec<u8> {
        let mut payload = Writer::default();
        payload.byte(OPENING);
        payload.structure(opening);
        payload.raw(snapshot);
        let mut out = HEAD.to_vec();
        out.extend(self.record(&payload.into_bytes()));
        self.bytes = out.len() as u64;
        out
    }

    /// What was on a tape.
    pub fn entries(&mut self, taped: &[u8]) -> Vec<u8> {
        let mut payload = Vec::with_capacity(taped.len() + 1);
        payload.push(ENTRIES);
        payload.extend_from_slice(taped);
        self.record(&payload)
    }

    /// The last record.
    pub fn end(&mut self) -> Vec<u8> {
        self.record(&[END])
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How a segment that ended here looks to the next.
    pub fn before(&self, segment: u64) -> Before {
        Before { segment, bytes: self.bytes, check: self.check }
    }

    fn record(&mut self, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_le_bytes();
        self.check = check(length, self.sequence, payload);
        let mut out = Vec::with_capacity(FRAME + payload.len());
        out.extend_from_slice(&length);
        out.extend_from_slice(&check(length, self.sequence, &[]).to_le_bytes());
        out.extend_from_slice(&self.check.to_le_bytes());
        out.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.bytes += out.len() as u64;
        out
    }
}

fn check(length: [u8; 4], sequence: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(&sequence.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// What a segment holds, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'a> {
    /// Its first record: what it says of itself, and the snapshot.
    Opening(Box<Opening>, &'a [u8]),
    /// What was on a tape.
    Entries(&'a [u8]),
}

/// How a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With the record that says so.
    Closed,
    /// After a whole record: it is still being written, or its writer was killed.
    Open,
    /// In the middle of a record that began here: its writer was killed, or it was cut.
    Torn(u64),
}

/// Bytes that are not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The first bytes are none of a segment.
    #[error("it does not begin as a segment of a journal does")]
    Head,
    /// Another version wrote it.
    #[error("it has version {0} of the format, and this program reads version {version}", version = HEAD[7])]
    Version(u8),
    /// A record's length is not what it was.
    #[error("the length of a record is damaged")]
    Length,
    /// A record is not what it was.
    #[error("a record is damaged: its checksum does not fit")]
    Record,
    /// The checksum fits, and the record does not read.
    #[error("a record does not read: {0}")]
    Malformed(#[from] Malformed),
    /// There is something behind the last record.
    #[error("{0} byte(s) follow its last record")]
    Behind(u64),
    /// A record where another kind should be.
    #[error("a record out of its place")]
    Place,
}

/// Reads one segment.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    bytes: &'a [u8],
    /// Where the next record begins.
    offset: usize,
    sequence: u32,
    check: u32,
    ending: Option<Ending>,
}

impl<'a> Records<'a> {
    /// From the bytes of a whole file.
    pub fn of(bytes: &'a [u8]) -> Self {
        Records { bytes, offset: 0, sequence: 0, check: 0, ending: None }
    }

    /// How it ended; none: it was not read to its end.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// Where the next record begins: what is wrong is wrong there.
    pub fn offset(&self) -> u64 {
        self.offset as u64
    }

    /// What the next segment should say of this one, which was read to its end.
    pub fn before(&self, segment: u64) -> Before {
        Before { segment, bytes: self.bytes.len() as u64, check: self.check }
    }

    /// The next record. None: there is no more; see [`Records::ending`]. After damage nothing more can be read.
    #[allow(clippy::should_implement_trait)] // what is lent to an iterator could not say how it ended
    pub fn next(&mut self) -> Option<Result<Found<'a>, Damage>> {
        if self.ending.is_some() {
            return None;
        }
        if self.offset == 0 {
            let head = &self.bytes[..self.bytes.len().min(HEAD.len())];
            if !HEAD.starts_with(head) {
                let known = head.starts_with(&HEAD[..7]);
                return Some(Err(if known { Damage::Version(head[7]) } else { Damage::Head }));
            }
            if head.len() < HEAD.len() {
                return self.end(Ending::Torn(0));
            }
            self.offset = HEAD.len();
        }
        let left = &self.bytes[self.offset..];
        if left.is_empty() {
            // A head alone is no segment yet.
            let ending = if self.sequence == 0 { Ending::Torn(0) } else { Ending::Open };
            return self.end(ending);
        }
        let Some((frame, left)) = left.split_at_checked(FRAME) else { return self.torn() };
        let word = |at: usize| [frame[at], frame[at + 1], frame[at + 2], frame[at + 3]];
        let length = u32::from_le_bytes(word(0)) as usize;
        if check(word(0), self.sequence, &[]) != u32::from_le_bytes(word(4)) || length > MOST_RECORD {
            return Some(Err(Damage::Length));
        }
        let Some((payload, behind)) = left.split_at_checked(length) else { return self.torn() };
        let whole = u32::from_le_bytes(word(8));
        if check(word(0), self.sequence, payload) != whole {
            return Some(Err(Damage::Record));
        }
        let (kind, body) = match payload.split_first() {
            Some((kind, body)) => (*kind, body),
            None => return Some(Err(Damage::Place)),
        };
        let found = match (kind, self.sequence) {
            (OPENING, 0) => {
                let mut input = Reader::new(body);
                match input.structure::<Opening>() {
                    Ok(opening) => Found::Opening(Box::new(opening), input.rest()),
                    Err(malformed) => return Some(Err(malformed.into())),
                }
            }
            (ENTRIES, 1..) => Found::Entries(body),
            (END, 1..) if behind.is_empty() => {
                self.check = whole;
                return self.end(Ending::Closed);
            }
            (END, 1..) => return Some(Err(Damage::Behind(behind.len() as u64))),
            _ => return Some(Err(Damage::Place)),
        };
        self.offset += FRAME + length;
        self.sequence = self.sequence.wrapping_add(1);
        self.check = whole;
        Some(Ok(found))
    }

    fn torn(&mut self) -> Option<Result<Found<'a>, Damage>> {
        self.end(Ending::Torn(self.offset as u64))
    }

    fn end(&mut self, ending: Ending) -> Option<Result<Found<'a>, Damage>> {
        self.ending = Some(ending);
        None
    }
}
