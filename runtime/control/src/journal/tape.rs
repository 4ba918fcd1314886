//! The tape inside a controller: its mutating methods write to it, whoever holds the controller takes what is on it.
//!
//! For: a record that nothing can bypass, in the bytes in which it is kept. Bounded: a tape that nobody empties, or that
//! knows too many names, is full, and wants a new segment. Never changes what a controller does.

use super::dictionary::Dictionary;
use super::made::Made;
use super::order::Order;
use super::wire::{Malformed, Reader, Writer};
use super::{Entry, Fallen};
use crate::command::Command;
use crate::config::{Module, WorkloadConfig};
use crate::decision::{Grant, Outcome};
use crate::policy::Fault;
use crate::sample::Intake;
use crate::saved::Slot;
use crate::signals::{Across, Within};
use crate::time::{Span, Time};

/// Most bytes on a tape that nobody empties.
const MOST_BYTES: usize = 16 << 20;
/// Most names and voices of a segment.
const MOST_NAMES: usize = 1 << 17;

const OBSERVE: u8 = 0;
const PROPOSE: u8 = 1;
const DECIDE: u8 = 2;
const RECORD: u8 = 3;
const COMMAND: u8 = 4;
const RECONFIGURE: u8 = 5;
const INSTALL: u8 = 6;
const RESTORE_PREVIOUS: u8 = 7;
const SOURCE_PERIOD: u8 = 8;
const SIGNAL_DEFAULTS: u8 = 9;
const PAGE_SIGNALS: u8 = 10;
const REPLICA_SIGNALS: u8 = 11;
const LET_GO: u8 = 12;

/// What was on a tape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taped {
    /// Entries; may be empty.
    pub bytes: Vec<u8>,
    /// Entries were lost, or soon will be: the segment ends here, and the next begins with a snapshot.
    pub full: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    dictionary: Dictionary,
    out: Writer,
    /// For what is hashed and thrown away.
    pub(crate) scratch: Writer,
    /// Nothing is written: what is decided is only hashed.
    watches: bool,
    /// The newest decision.
    made: Option<Made>,
    full: bool,
}

impl Tape {
    /// One that only keeps what was decided last.
    pub(crate) fn watching() -> Tape {
        Tape { watches: true, ..Tape::default() }
    }

    pub(crate) fn take(&mut self) -> Taped {
        Taped { bytes: self.out.take(), full: self.full }
    }

    pub(crate) fn take_made(&mut self) -> Option<Made> {
        self.made.take()
    }

    fn write(&mut self, tag: u8, body: impl FnOnce(&mut Dictionary, &mut Writer)) {
        if self.watches || self.full {
            return;
        }
        self.out.byte(tag);
        body(&mut self.dictionary, &mut self.out);
        self.full = self.out.len() > MOST_BYTES || self.dictionary.len() > MOST_NAMES;
    }

    pub(crate) fn observe(&mut self, intake: &Intake, now: Time) {
        self.write(OBSERVE, |dictionary, out| {
            dictionary.write_now(now, out);
            dictionary.write_intake(intake, now, out);
        });
    }

    pub(crate) fn propose(&mut self, now: Time, fallen: &[Fallen]) {
        self.write(PROPOSE, |dictionary, out| {
            dictionary.write_now(now, out);
            out.structure(fallen);
        });
    }

    pub(crate) fn decide(&mut self, now: Time, grant: &Grant, made: Made) {
        self.write(DECIDE, |dictionary, out| {
            dictionary.write_now(now, out);
            let same = dictionary.grant.as_ref() == Some(grant);
            out.byte(u8::from(same));
            if !same {
                out.structure(grant);
                dictionary.grant = Some(grant.clone());
            }
            made.write(out);
        });
        self.made = Some(made);
    }

    pub(crate) fn record(&mut self, outcome: &Outcome, now: Time) {
        self.write(RECORD, |dictionary, out| {
            dictionary.write_now(now, out);
            out.structure(outcome);
        });
    }

    pub(crate) fn command(&mut self, command: &Command, now: Time) {
        self.write(COMMAND, |dictionary, out| {
            dictionary.write_now(now, out);
            out.structure(&Order::from(command));
        });
    }

    pub(crate) fn reconfigure(&mut self, config: &WorkloadConfig, now: Time) {
        self.write(RECONFIGURE, |dictionary, out| {
            dictionary.write_now(now, out);
            out.structure(config);
        });
    }

    pub(crate) fn install(&mut self, stage: &str, slot: Slot, module: &Result<Module, Fault>, now: Time) {
        self.write(INSTALL, |dictionary, out| {
            dictionary.write_now(now, out);
            out.structure(&(stage, slot, module));
        });
    }

    pub(crate) fn restore_previous(&mut self, stage: &str, slot: Slot) {
        self.write(RESTORE_PREVIOUS, |_, out| out.structure(&(stage, slot)));
    }

    pub(crate) fn source_period(&mut self, period: Span) {
        self.write(SOURCE_PERIOD, |_, out| out.unsigned(period.0));
    }

    pub(crate) fn signal_defaults(&mut self, signal: &str, within: Within, across: Across) {
        self.write(SIGNAL_DEFAULTS, |_, out| out.structure(&(signal, within, across)));
    }

    pub(crate) fn page_signals(&mut self, signals: &[String]) {
        self.write(PAGE_SIGNALS, |_, out| out.structure(signals));
    }

    pub(crate) fn replica_signals(&mut self, signals: &[String]) {
        self.write(REPLICA_SIGNALS, |_, out| out.structure(signals));
    }

    pub(crate) fn let_go(&mut self, pool: &str) {
        self.write(LET_GO, |_, out| out.text(pool));
    }

    /// Any entry.
    #[cfg(test)]
    pub(super) fn entry(&mut self, entry: &Entry) {
        match entry {
            Entry::Observe { intake, now } => self.observe(intake, *now),
            Entry::Propose { now, fallen } => self.propose(*now, fallen),
            Entry::Decide { now, grant, made } => self.decide(*now, grant, made.clone()),
            Entry::Record { now, outcome } => self.record(outcome, *now),
            Entry::Command { now, command } => self.command(command, *now),
            Entry::Reconfigure { now, config } => self.reconfigure(config, *now),
            Entry::Install { now, stage, slot, module } => self.install(stage, *slot, module, *now),
            Entry::RestorePrevious { stage, slot } => self.restore_previous(stage, *slot),
            Entry::SourcePeriod(period) => self.source_period(*period),
            Entry::SignalDefaults { signal, within, across } => self.signal_defaults(signal, *within, *across),
            Entry::PageSignals(signals) => self.page_signals(signals),
            Entry::ReplicaSignals(signals) => self.replica_signals(signals),
            Entry::LetGo { pool } => self.let_go(pool),
        }
    }
}

/// Reads what tapes of one segment held, in their order.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    dictionary: Dictionary,
}

impl Decoder {
    /// Tells every entry of the bytes of one tape.
    pub(crate) fn read(&mut self, bytes: &[u8], mut tell: impl FnMut(Entry)) -> Result<(), Malformed> {
        let mut input = Reader::new(bytes);
        while !input.is_empty() {
            tell(self.entry(&mut input)?);
        }
        Ok(())
    }

    fn entry(&mut self, input: &mut Reader<'_>) -> Result<Entry, Malformed> {
        let dictionary = &mut self.dictionary;
        let tag = input.byte()?;
        let now = if tag <= INSTALL { dictionary.read_now(input)? } else { Time(0) };
        Ok(match tag {
            OBSERVE => Entry::Observe { intake: dictionary.read_intake(now, input)?, now },
            PROPOSE => Entry::Propose { now, fallen: input.structure()? },
            DECIDE => {
                if input.byte()? == 0 {
                    dictionary.grant = Some(input.structure()?);
                }
                let grant = dictionary.grant.clone().ok_or(Malformed::Value("a grant to repeat"))?;
                Entry::Decide { now, grant, made: Made::read(input)? }
            }
            RECORD => Entry::Record { now, outcome: input.structure()? },
            COMMAND => Entry::Command { now, command: input.structure::<Order>()?.into() },
            RECONFIGURE => Entry::Reconfigure { now, config: input.structure()? },
            INSTALL => {
                let (stage, slot, module) = input.structure()?;
                Entry::Install { now, stage, slot, module }
            }
            RESTORE_PREVIOUS => {
                let (stage, slot) = input.structure()?;
                Entry::RestorePrevious { stage, slot }
            }
            SOURCE_PERIOD => Entry::SourcePeriod(Span(input.unsigned()?)),
            SIGNAL_DEFAULTS => {
                let (signal, within, across) = input.structure()?;
                Entry::SignalDefaults { signal, within, across }
            }
            PAGE_SIGNALS => Entry::PageSignals(input.structure()?),
            REPLICA_SIGNALS => Entry::ReplicaSignals(input.structure()?),
            LET_GO => Entry::LetGo { pool: input.text()?.to_owned() },
            _ => return Err(Malformed::Value("a kind of entry")),
        })
    }
}
