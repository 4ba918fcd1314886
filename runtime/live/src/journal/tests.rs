use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trimtab_control::config::{
    Combine, Guardrails, Module, ModuleRef, OnFailure, PoolConfig, Rate, StageConfig, Step, WorkloadConfig,
};
use trimtab_control::decision::Grant;
use trimtab_control::sample::{Intake, Origin, PoolReport, Reading, Replica, ReplicaState, Sample};
use trimtab_control::time::Span;
use trimtab_control::{Controller, Slot};
use trimtab_sandbox::{Admitted, Sandbox, SandboxConfig};

use super::*;

fn sandbox() -> Sandbox {
    Sandbox::new(SandboxConfig::default()).unwrap()
}

fn shipped(sandbox: &Sandbox) -> Admitted {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/concurrency/concurrency.wasm");
    sandbox.admit(&fs::read(path).unwrap()).unwrap()
}

fn config() -> WorkloadConfig {
    WorkloadConfig {
        id: WorkloadId { namespace: "team-a".to_owned(), name: "chat".to_owned() },
        generation: 1,
        interval: Span(15_000),
        attributes: Vec::new(),
        pools: vec![PoolConfig {
            name: "default".to_owned(),
            group: None,
            min: 1,
            max: 8,
            zero: None,
            gpus_per_replica: 1,
            price_per_hour: None,
            startup: Span(60_000),
            attributes: Vec::new(),
        }],
        stages: vec![StageConfig {
            name: "concurrency".to_owned(),
            module: ModuleRef { policy: "concurrency".to_owned(), config: "{}".to_owned(), digest: None },
            combine: Combine::Replace,
            on_failure: OnFailure::NoDown,
            shadow: None,
        }],
        guardrails: Guardrails {
            stale_after: None,
            min_coverage: 0.9,
            silent_after: None,
            scale_up: None,
            scale_down: Rate { max_step: Step::Percent(100), per: Span(60_000) },
            cooldown: Span(300_000),
        },
    }
}

/// A workload that records.
struct Recorded {
    controller: Controller,
    recorder: Recorder,
    now: Time,
}

impl Recorded {
    fn new(journals: &Journals, admitted: &Admitted) -> Recorded {
        let now = Time(1_772_409_600_000);
        let mut controller = Controller::new(config(), None, now);
        let mut recorder = Recorder::new(journals.clone(), config().id);
        recorder.set(Some(1 << 20), &mut controller, now);
        recorder.module(admitted.digest(), admitted.bytes());
        let module = Module {
            policy: Arc::new(admitted.clone()),
            digest: admitted.digest().to_owned(),
            preparation: admitted.prepare("{}").unwrap(),
            state_version: admitted.description().state_version,
        };
        controller.install("concurrency", Slot::Stage, Ok(module), now);
        recorder.after(&mut controller, || now);
        Recorded { controller, recorder, now }
    }

    fn tick(&mut self) {
        self.now = self.now + Span(15_000);
        let (now, pool): (_, Arc<str>) = (self.now, Arc::from("default"));
        let ids: Vec<Arc<str>> = (0..6).map(|i| Arc::from(format!("r{i}"))).collect();
        let samples = ids.iter().enumerate().flat_map(|(i, id)| {
            let origin = Origin::Replica { pool: Arc::clone(&pool), replica: Arc::clone(id) };
            ["active-sequences", "queue-depth", "kv-cache-usage", "duty-cycle"].map(|signal| Sample {
                origin: origin.clone(),
                signal: Arc::from(signal),
                labels: Vec::new(),
                at: now,
                // Every byte of it is another than before.
                reading: Reading::Gauge((now.0 as f64 + i as f64).sin().abs()),
            })
        });
        let replica = |id: &Arc<str>| Replica {
            id: Arc::clone(id),
            state: ReplicaState::Ready,
            since: Time(0),
            restarting: false,
        };
        let report = PoolReport {
            pool: Arc::clone(&pool),
            at: now,
            desired: 6,
            standby: 0,
            can_standby: false,
            rolling_out: false,
            replicas: ids.iter().map(replica).collect(),
        };
        let intake = Intake { samples: samples.collect(), pools: vec![report], utc_offset_minutes: 0 };
        self.controller.observe(intake, now);
        self.controller.propose(now);
        self.controller.decide(&Grant { pools: Vec::new() }, now);
        self.recorder.after(&mut self.controller, || now);
    }
}

fn only(state: &Path) -> Workload {
    let mut found = workloads(state).unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn segments_rotate_within_their_bound_and_what_is_left_is_computed_again() {
    let state = tempfile::tempdir().unwrap();
    let (sandbox, journals) = (sandbox(), Journals::start(state.path()).unwrap());
    let mut recorded = Recorded::new(&journals, &shipped(&sandbox));
    // A module that only the first segment names.
    recorded.recorder.module(&trimtab_sandbox::digest_of(b"old"), &Arc::from(&b"old"[..]));
    journals.flush_blocking();
    assert_eq!(files(&state.path().join("journal/modules")).len(), 2);
    for tick in 0..8_000 {
        recorded.tick();
        if tick % 100 == 0 {
            journals.flush_blocking();
        }
    }
    assert_eq!(recorded.recorder.lost(), 0);
    recorded.recorder.set(None, &mut recorded.controller, recorded.now);
    journals.flush_blocking();
    let workload = only(state.path());
    let segments = workload.segments().unwrap();
    let total: u64 = segments.iter().map(|s| fs::metadata(&s.path).unwrap().len()).sum();
    assert!(segments[0].number > 1 && segments.len() > 3, "{segments:?}");
    assert!((700_000..=1 << 20).contains(&total), "{total} bytes");
    assert_eq!(files(&state.path().join("journal/modules")).len(), 1, "what no segment names is gone");
    let rerun = Rerun::new(sandbox);
    let report = rerun.run(&workload, Period::ALL, &Instead::default(), &mut |_| {});
    assert!(report.is_identical() && report.flaws.is_empty() && report.ticks > 1_000, "{report:?}");
    let (first, last) = report.span.unwrap();
    let middle = Period { from: Time((first.0 + last.0) / 2), to: last };
    let half = rerun.run(&workload, middle, &Instead::default(), &mut |_| {});
    assert!(half.is_identical() && half.segments < report.segments && half.ticks < report.ticks, "{half:?}");

    // A segment between two others is missed.
    fs::remove_file(&segments[2].path).unwrap();
    let report = rerun.run(&workload, Period::ALL, &Instead::default(), &mut |_| {});
    assert!(matches!(&report.flaws[..], [Flaw::Missing { count: 1, .. }]), "{:?}", report.flaws);
    assert!(!report.is_identical() && report.different == 0);
}

#[test]
fn what_cannot_be_written_is_counted_and_the_gap_is_named() {
    let state = tempfile::tempdir().unwrap();
    let (sandbox, journals) = (sandbox(), Journals::start(state.path()).unwrap());
    let mut recorded = Recorded::new(&journals, &shipped(&sandbox));
    (0..5).for_each(|_| recorded.tick());
    journals.flush_blocking();
    // The next segment has no place to go.
    let folder = state.path().join("journal/team-a/chat");
    let aside = state.path().join("aside");
    recorded.recorder.set(None, &mut recorded.controller, recorded.now);
    journals.flush_blocking();
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, b"in the way").unwrap();
    recorded.recorder.set(Some(1 << 20), &mut recorded.controller, recorded.now);
    journals.flush_blocking();
    recorded.tick();
    assert_eq!(recorded.recorder.lost(), 1);
    (0..3).for_each(|_| recorded.tick());
    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    for _ in 0..6 {
        journals.flush_blocking();
        recorded.tick();
    }
    recorded.recorder.end(&mut recorded.controller);
    journals.flush_blocking();
    let report = Rerun::new(sandbox).run(&only(state.path()), Period::ALL, &Instead::default(), &mut |_| {});
    assert!(report.flaws.iter().any(|flaw| matches!(flaw, Flaw::Gap { .. })), "{:?}", report.flaws);
    assert!(report.different == 0 && !report.is_identical() && report.ticks > 5, "{report:?}");
}

#[test]
fn a_place_without_a_journal_is_named() {
    let state = tempfile::tempdir().unwrap();
    assert!(matches!(workloads(state.path()), Err(JournalError::None { .. })));
    assert!(matches!(workloads(&state.path().join("nowhere")), Err(JournalError::Unreadable { .. })));
}
