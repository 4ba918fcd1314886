//! One workload's way into its journal.
//!
//! For: whoever holds a controller, which calls this after every step with it. Begins segments, sees that one is full, and
//! that something was lost. Never waits.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use trimtab_control::Controller;
use trimtab_control::config::WorkloadId;
use trimtab_control::journal::frame::Begins;
use trimtab_control::time::{Span, Time};

use super::{Begin, Journals, Link, Message, Modules};

/// Segments of a journal, of its full size.
const SEGMENTS: u64 = 8;
/// Modules that are held while nothing is recorded, in case it will be.
const MODULES: usize = 32;
/// What a record costs beside its bytes.
const RECORD: u64 = 13;
/// Until a journal that could not be written is tried again.
const RETRY: Span = Span(5_000);
/// Why something had no room on its way.
const TOO_MUCH: &str = "too much was to be written at once";

/// See the module.
pub struct Recorder {
    journals: Journals,
    id: WorkloadId,
    link: Arc<Link>,
    /// Bytes of the whole journal; none: there is none.
    most: Option<u64>,
    /// The segment that is open: its bytes, and where it ends.
    segment: Option<(u64, u64)>,
    /// Why none is, and when to try again.
    gap: Option<(Begins, Time)>,
    /// Files of modules, and whether each was named since the segment began: it may be about to be installed.
    modules: BTreeMap<String, (Arc<[u8]>, bool)>,
    lost: u64,
}

impl Recorder {
    /// One that records nothing yet.
    pub fn new(journals: Journals, id: WorkloadId) -> Recorder {
        let (link, modules) = (Arc::default(), BTreeMap::new());
        Recorder { journals, id, link, most: None, segment: None, gap: None, modules, lost: 0 }
    }

    /// Records within so many bytes from now on; none: not at all.
    pub fn set(&mut self, most: Option<u64>, controller: &mut Controller, now: Time) {
        self.most = most;
        match (most, self.segment.is_some()) {
            (Some(most), false) => self.begin(most, Begins::Start, controller, now),
            (None, _) => self.end(controller),
            _ => {}
        }
    }

    /// Whether anything is recorded.
    pub fn is_on(&self) -> bool {
        self.most.is_some()
    }

    /// Segments that ended because something could not be written.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// A module that may be installed: its file is kept with the journal.
    pub fn module(&mut self, digest: &str, bytes: &Arc<[u8]>) {
        let known = self.modules.insert(digest.to_owned(), (Arc::clone(bytes), true));
        if self.segment.is_some() && known.is_none() {
            let (id, digest) = (self.id.clone(), digest.to_owned());
            if !self.journals.tell(Message::Module { id, digest, bytes: Arc::clone(bytes) }) {
                // The next segment brings it along.
                self.modules_were_lost();
            }
        }
    }

    fn modules_were_lost(&self) {
        let mut why = self.link.why.lock().unwrap_or_else(PoisonError::into_inner);
        TOO_MUCH.clone_into(&mut why);
        self.link.broken.store(true, Ordering::SeqCst);
    }

    /// After every step with the controller.
    pub fn after(&mut self, controller: &mut Controller, now: impl FnOnce() -> Time) {
        let Some(most) = self.most else {
            if self.modules.len() > MODULES {
                self.forget_modules(controller);
            }
            return;
        };
        let Some((bytes, limit)) = &mut self.segment else {
            let now = now();
            if let Some((begins, _)) = self.gap.take_if(|(_, at)| *at <= now) {
                self.begin(most, begins, controller, now);
            }
            return;
        };
        let Some(taped) = controller.take_tape() else { return };
        if self.link.broken.swap(false, Ordering::SeqCst) {
            let why = self.link.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
            return self.lose(why, controller, now());
        }
        if !taped.bytes.is_empty() {
            *bytes += taped.bytes.len() as u64 + RECORD;
            let full = taped.full || *bytes > *limit;
            if !self.journals.tell(Message::Append { id: self.id.clone(), taped: taped.bytes }) {
                return self.lose(TOO_MUCH.to_owned(), controller, now());
            }
            if full {
                // A tape that is full may have lost what came last.
                let begins =
                    if taped.full { Begins::Gap("too much happened at once".to_owned()) } else { Begins::Next };
                self.begin(most, begins, controller, now());
            }
        }
    }

    /// The process ends, or the workload does.
    pub fn end(&mut self, controller: &mut Controller) {
        if self.segment.take().is_some() {
            if let Some(taped) = controller.take_tape().filter(|taped| !taped.bytes.is_empty()) {
                self.journals.tell(Message::Append { id: self.id.clone(), taped: taped.bytes });
            }
            self.journals.tell(Message::Close { id: self.id.clone() });
        }
        controller.end_tape();
        self.gap = None;
    }

    /// All but those that are installed, or were named since the last time.
    fn forget_modules(&mut self, controller: &Controller) {
        let installed: Vec<String> = controller.modules().map(|(_, module)| module.digest).collect();
        self.modules.retain(|digest, (_, named)| std::mem::take(named) || installed.contains(digest));
    }

    fn lose(&mut self, why: String, controller: &mut Controller, now: Time) {
        controller.end_tape();
        self.segment = None;
        self.lost += 1;
        self.gap = Some((Begins::Gap(why), now + RETRY));
    }

    fn begin(&mut self, most: u64, begins: Begins, controller: &mut Controller, now: Time) {
        let snapshot = controller.begin_tape();
        // A segment holds more than its beginning.
        let limit = (most / SEGMENTS).max(snapshot.len() as u64 * 2);
        if limit > most / 2 {
            let why = format!("its state alone has {} bytes, too many for maxSize", snapshot.len());
            tracing::error!(workload = %self.id, "the journal cannot be written: {why}; raise spec.journal.maxSize");
            controller.end_tape();
            (self.segment, self.lost) = (None, self.lost + 1);
            self.gap = Some((Begins::Gap(why), now + Span(3_600_000)));
            return;
        }
        self.forget_modules(controller);
        let modules: Modules =
            self.modules.iter().map(|(digest, (bytes, _))| (digest.clone(), Arc::clone(bytes))).collect();
        self.link.broken.store(false, Ordering::SeqCst);
        let size = snapshot.len() as u64;
        let link = Arc::clone(&self.link);
        let again = begins.clone();
        let begin = Begin { id: self.id.clone(), at: now, begins, snapshot, modules, most, limit, link };
        if self.journals.tell(Message::Open(Box::new(begin))) {
            self.segment = Some((size, limit));
            self.gap = None;
            return;
        }
        let why = match again {
            Begins::Gap(why) => why,
            _ => TOO_MUCH.to_owned(),
        };
        self.lose(why, controller, now);
    }
}
