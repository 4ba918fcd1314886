//! What both ends of a tape know from the entries before: names and voices by number, and what each said last.
//!
//! For: an entry that says only what is new. Begins empty with every segment, so that each can be read alone. Never
//! forgets within a segment: a tape that knows too much ends it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::wire::{Malformed, Reader, Writer};
use crate::decision::Grant;
use crate::sample::{Histogram, Labels, Origin, PoolReport, Reading, Sample};
use crate::time::Time;

/// What kind of reading a voice gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Gauge,
    Counter,
    Histogram,
}

impl Kind {
    pub(super) fn of(reading: &Reading) -> Kind {
        match reading {
            Reading::Gauge(_) => Kind::Gauge,
            Reading::Counter(_) => Kind::Counter,
            Reading::Histogram(_) => Kind::Histogram,
        }
    }

    pub(super) fn parse(byte: u8) -> Result<Kind, Malformed> {
        let known = [Kind::Gauge, Kind::Counter, Kind::Histogram];
        known.get(usize::from(byte)).copied().ok_or(Malformed::Value("a kind of reading"))
    }
}

/// One signal of one replica or page with one set of labels.
#[derive(Debug)]
pub(super) struct Voice {
    pub(super) origin: Origin,
    pub(super) signal: Arc<str>,
    pub(super) labels: Labels,
    pub(super) kind: Kind,
    /// The bits of its newest number.
    pub(super) number: u64,
    /// Its newest histogram.
    pub(super) histogram: Option<Arc<Histogram>>,
}

type Key = (Origin, Arc<str>, Labels, Kind);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    names: Vec<Arc<str>>,
    number_of: BTreeMap<Arc<str>, u64>,
    pub(super) voices: Vec<Voice>,
    voice_of: BTreeMap<Key, usize>,
    pub(super) reports: BTreeMap<Arc<str>, PoolReport>,
    pub(super) grant: Option<Grant>,
    pub(super) utc_offset_minutes: i32,
    now: Time,
}

impl Dictionary {
    /// How much it holds, in names and voices.
    pub(super) fn len(&self) -> usize {
        self.names.len() + self.voices.len()
    }

    /// A name by its number, or in full when it is new.
    pub(super) fn write_name(&mut self, name: &Arc<str>, out: &mut Writer) {
        if let Some(number) = self.number_of.get(name) {
            return out.unsigned(number + 1);
        }
        out.unsigned(0);
        out.text(name);
        self.number_of.insert(Arc::clone(name), self.names.len() as u64);
        self.names.push(Arc::clone(name));
    }

    pub(super) fn read_name(&mut self, input: &mut Reader<'_>) -> Result<Arc<str>, Malformed> {
        match input.unsigned()? {
            0 => {
                let name: Arc<str> = Arc::from(input.text()?);
                self.names.push(Arc::clone(&name));
                Ok(name)
            }
            n => self.names.get(n as usize - 1).cloned().ok_or(Malformed::Value("a name")),
        }
    }

    /// An instant against the one before.
    pub(super) fn write_now(&mut self, now: Time, out: &mut Writer) {
        out.signed(now.0.wrapping_sub(self.now.0) as i64);
        self.now = now;
    }

    pub(super) fn read_now(&mut self, input: &mut Reader<'_>) -> Result<Time, Malformed> {
        self.now = Time(self.now.0.wrapping_add(input.signed()? as u64));
        Ok(self.now)
    }

    /// The number of the voice that a sample belongs to; `likely` is tried first. A new voice gets the next.
    pub(super) fn voice(&mut self, sample: &Sample, likely: usize) -> usize {
        let kind = Kind::of(&sample.reading);
        let same = |voice: &Voice| {
            voice.signal == sample.signal
                && voice.origin == sample.origin
                && voice.kind == kind
                && voice.labels == sample.labels
        };
        if self.voices.get(likely).is_some_and(same) {
            return likely;
        }
        let key = (sample.origin.clone(), Arc::clone(&sample.signal), sample.labels.clone(), kind);
        let next = self.voices.len();
        let number = *self.voice_of.entry(key).or_insert(next);
        if number == next {
            self.voices.push(Voice {
                origin: sample.origin.clone(),
                signal: Arc::clone(&sample.signal),
                labels: sample.labels.clone(),
                kind,
                number: 0,
                histogram: None,
            });
        }
        number
    }
}
