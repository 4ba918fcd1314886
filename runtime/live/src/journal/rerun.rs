//! A journal, computed again with the modules of that time, or with others.
//!
//! For: `trimtab replay`. Reads one segment at a time and says what is wrong with it; what follows a damaged segment is
//! computed again from its own beginning. Never writes, and reads the files of a daemon that runs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use trimtab_control::decision::Decision;
use trimtab_control::journal::frame::{Before, Begins, Ending, Found, Opening, Records};
use trimtab_control::journal::replay::{Other, Replay, Tick};
use trimtab_control::journal::{Numbers, Part};
use trimtab_control::policy::Policy;
use trimtab_control::time::Time;
use trimtab_sandbox::{Admitted, Limits, Sandbox};

use super::folder::{self, Segment, Workload};
use super::{Flaw, Instead};

/// Which decisions are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// None before.
    pub from: Time,
    /// None from then on.
    pub to: Time,
}

impl Period {
    /// All of them.
    pub const ALL: Period = Period { from: Time(0), to: Time(u64::MAX) };

    fn holds(&self, at: Time) -> bool {
        self.from <= at && at < self.to
    }
}

/// The first decision that came out otherwise.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The segment's file.
    pub file: std::path::PathBuf,
    /// The first part of it that differs.
    pub part: Part,
    /// Numbers per pool, as they were recorded.
    pub recorded: Vec<(String, Numbers)>,
    /// What was computed.
    pub decision: Decision,
}

/// What came of one workload's journal.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Segments that were read.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Decisions that were computed again.
    pub ticks: u64,
    /// Those that came out otherwise.
    pub different: u64,
    /// When the first and the last of them were made.
    pub span: Option<(Time, Time)>,
    /// The first that came out otherwise.
    pub first: Option<Difference>,
    /// What is damaged or missing, in the order in which it was found.
    pub flaws: Vec<Flaw>,
}

impl Report {
    /// Everything is there, and the same.
    #[must_use]
    pub fn is_identical(&self) -> bool {
        self.different == 0 && !self.flaws.iter().any(Flaw::is_serious)
    }
}

/// Computes journals again. Keeps the modules it compiled.
pub struct Rerun {
    sandbox: Sandbox,
    modules: RefCell<BTreeMap<String, Result<Admitted, String>>>,
}

impl Rerun {
    /// The most that any tenant may be given. What went beyond the tenant's own limits was recorded and is answered as it
    /// was; what kept within them must not be stopped now.
    #[must_use]
    pub fn limits() -> Limits {
        Limits {
            module_bytes: 1 << 30,
            compile_cpu: Duration::from_mins(10),
            compile_memory: 16 << 30,
            compile_wall: Duration::from_mins(20),
            call_cpu: Duration::from_secs(1),
            call_wall: Duration::from_secs(10),
            memory_bytes: 1 << 30,
            lifted_bytes: 64 << 20,
            ..Limits::default()
        }
    }

    /// With nothing compiled yet.
    pub fn new(sandbox: Sandbox) -> Rerun {
        Rerun { sandbox, modules: RefCell::default() }
    }

    fn module(&self, workload: &Workload, digest: &str) -> Result<Admitted, String> {
        if let Some(known) = self.modules.borrow().get(digest) {
            return known.clone();
        }
        let bytes = folder::module(&workload.modules, digest).map_err(|error| error.to_string());
        let admitted = bytes.and_then(|bytes| self.sandbox.admit(&bytes).map_err(|refusal| refusal.to_string()));
        self.modules.borrow_mut().insert(digest.to_owned(), admitted.clone());
        admitted
    }

    /// One workload; `tell` is told of each decision in the period. Blocks as long as that takes.
    pub fn run(
        &self,
        workload: &Workload,
        period: Period,
        instead: &Instead,
        tell: &mut dyn FnMut(&Tick<'_>),
    ) -> Report {
        let mut report = Report::default();
        let segments = match workload.segments() {
            Ok(segments) => segments,
            Err(error) => {
                report.flaws.push(Flaw::Unreadable { file: workload.path.clone(), why: error.to_string() });
                return report;
            }
        };
        let missing = RefCell::new(Vec::new());
        let admitted = |digest: &str| match self.module(workload, digest) {
            Ok(admitted) => Some(admitted),
            Err(why) => {
                let flaw = Flaw::Module { digest: digest.to_owned(), why };
                if !missing.borrow().contains(&flaw) {
                    missing.borrow_mut().push(flaw);
                }
                None
            }
        };
        let find = |digest: &str| admitted(digest).map(|admitted| Arc::new(admitted) as Arc<dyn Policy>);
        let module = |reference: &_, recorded: Option<&_>| instead.module(reference, recorded, &admitted);
        let other = instead.is_any().then(|| Other { config: instead.config.clone(), module: &module });
        let asks_others = other.is_some();
        let mut walk = Walk { workload, period, replay: Replay::new(&find, other), before: None, report, asks_others };
        for segment in &segments[first_of(&segments, period.from)..] {
            if !walk.segment(segment, tell) {
                break;
            }
        }
        let mut report = walk.report;
        report.flaws.extend(missing.into_inner());
        report
    }
}

/// The last segment that began before `from`: what it holds is needed to know the state then.
fn first_of(segments: &[Segment], from: Time) -> usize {
    if from == Time(0) {
        return 0;
    }
    let began = |segment: &Segment| -> Option<Time> {
        match Records::of(&fs::read(&segment.path).ok()?).next()?.ok()? {
            Found::Opening(opening, _) => Some(opening.at),
            Found::Entries(_) => None,
        }
    };
    segments.iter().rposition(|segment| began(segment).is_some_and(|at| at <= from)).unwrap_or(0)
}

struct Walk<'m> {
    workload: &'m Workload,
    period: Period,
    replay: Replay<'m>,
    /// How the segment before ended, where it was read to its end.
    before: Option<(Segment, Before)>,
    report: Report,
    asks_others: bool,
}

impl Walk<'_> {
    /// False: what follows lies behind the period.
    fn segment(&mut self, segment: &Segment, tell: &mut dyn FnMut(&Tick<'_>)) -> bool {
        let file = &segment.path;
        let bytes = match fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.before = None;
                self.report.flaws.push(Flaw::Unreadable { file: file.clone(), why: error.to_string() });
                return true;
            }
        };
        self.report.segments += 1;
        self.report.bytes += bytes.len() as u64;
        let mut records = Records::of(&bytes);
        let before = self.before.take();
        while let Some(next) = records.next() {
            let offset = records.offset();
            let taken = next.and_then(|found| match found {
                Found::Opening(opening, snapshot) => {
                    if opening.at >= self.period.to {
                        return Ok(false);
                    }
                    let goes_on = self.opens(segment, &opening, before.as_ref());
                    if !self.replay.begin(snapshot, goes_on)? && goes_on {
                        self.report.flaws.push(Flaw::State { file: file.clone() });
                    }
                    Ok(true)
                }
                Found::Entries(taped) => {
                    let (report, period, others) = (&mut self.report, self.period, self.asks_others);
                    self.replay.take(taped, &mut |tick| note(report, period, others, segment, tick, tell))?;
                    Ok(true)
                }
            });
            match taken {
                Ok(true) => {}
                Ok(false) => return false,
                Err(what) => {
                    self.report.flaws.push(Flaw::Damage { file: file.clone(), offset, what });
                    return true;
                }
            }
        }
        if let Some(Ending::Torn(offset)) = records.ending() {
            self.report.flaws.push(Flaw::Torn { file: file.clone(), offset });
        }
        self.before = Some((segment.clone(), records.before(segment.number)));
        true
    }

    /// Looks at the seam between two segments. True: nothing is missing there.
    fn opens(&mut self, segment: &Segment, opening: &Opening, before: Option<&(Segment, Before)>) -> bool {
        let file = || segment.path.clone();
        let flaws = &mut self.report.flaws;
        if opening.segment != segment.number || opening.workload != self.workload.id {
            let (number, workload) = (opening.segment, opening.workload.to_string());
            flaws.push(Flaw::Misplaced { file: file(), number, workload });
        }
        if let Begins::Gap(why) = &opening.begins {
            flaws.push(Flaw::Gap { file: file(), at: opening.at, why: why.clone() });
        }
        let Some((last, ended)) = before else { return false };
        if last.number + 1 != segment.number {
            flaws.push(Flaw::Missing { file: file(), count: segment.number.saturating_sub(last.number + 1) });
            return false;
        }
        if let Some(was) = opening.before.filter(|was| was != ended) {
            flaws.push(Flaw::Changed { file: last.path.clone(), was: was.bytes, is: ended.bytes });
            return false;
        }
        opening.begins == Begins::Next
    }
}

fn note(
    report: &mut Report,
    period: Period,
    others: bool,
    segment: &Segment,
    tick: &Tick<'_>,
    tell: &mut dyn FnMut(&Tick<'_>),
) {
    let at = tick.decision.at;
    if !period.holds(at) {
        return;
    }
    report.ticks += 1;
    report.span = Some((report.span.map_or(at, |(first, _)| first), at));
    tell(tick);
    let Some(part) = tick.differs.filter(|_| !others) else { return };
    report.different += 1;
    if report.first.is_none() {
        let (recorded, decision) = (tick.recorded.clone(), tick.decision.clone());
        report.first = Some(Difference { file: segment.path.clone(), part, recorded, decision });
    }
}
