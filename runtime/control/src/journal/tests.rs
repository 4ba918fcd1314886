use proptest::prelude::*;

use super::frame::{Begins, Damage, Ending, Found, Framer, Opening, Records};
use super::tape::Decoder;
use super::*;
use crate::config::{
    Combine, Guardrails, ModuleRef, OnFailure, PoolConfig, Rate, StageConfig, Step, WakeRule, WorkloadId, ZeroGrant,
    absent,
};
use crate::decision::{OutcomeState, PoolGrant};
use crate::policy::{Level, LogLine, MetricNeed, Preparation};
use crate::sample::{Histogram, Origin, PoolReport, Reading, Replica, ReplicaState, Sample};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z]{1,8}", Just("\u{1F980}\n".to_owned())]
}

fn number() -> impl Strategy<Value = f64> {
    let odd = [f64::NAN, -f64::NAN, f64::from_bits(0x7ff0_0000_0000_0001), -0.0, 0.0, f64::INFINITY, f64::MIN_POSITIVE];
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        (0..100_u32).prop_map(f64::from),
        prop::sample::select(odd.to_vec())
    ]
}

fn time() -> impl Strategy<Value = Time> {
    prop_oneof![any::<u64>(), 1_767_225_600_000..1_767_225_700_000_u64].prop_map(Time)
}

fn reading() -> impl Strategy<Value = Reading> {
    let buckets = prop::collection::vec((number(), number()), 0..4);
    let usual = prop::collection::vec(0..9_u32, 3).prop_map(|counts| {
        [0.5, 1.0, f64::INFINITY].into_iter().zip(counts.into_iter().map(f64::from)).collect::<Vec<_>>()
    });
    let histogram = prop_oneof![buckets, usual].prop_map(|buckets| Histogram { buckets });
    prop_oneof![
        number().prop_map(Reading::Gauge),
        number().prop_map(Reading::Counter),
        histogram.prop_map(|h| Reading::Histogram(h.into())),
    ]
}

fn sample() -> impl Strategy<Value = Sample> {
    let names = prop::sample::select(&["a", "b", "c"][..]);
    let origin = prop_oneof![
        Just(Origin::Query),
        (names.clone(), names.clone()).prop_map(|(p, r)| Origin::Replica { pool: p.into(), replica: r.into() }),
    ];
    let labels = prop::collection::vec((text(), text()), 0..2);
    (origin, names, labels, time(), reading()).prop_map(|(origin, signal, labels, at, reading)| Sample {
        origin,
        signal: signal.into(),
        labels,
        at,
        reading,
    })
}

fn report() -> impl Strategy<Value = PoolReport> {
    let states = [
        ReplicaState::Ready,
        ReplicaState::Starting,
        ReplicaState::Draining,
        ReplicaState::Standby,
        ReplicaState::Failed,
    ];
    let state = prop::sample::select(states.to_vec());
    let replica = ("[ab]", state, time(), any::<bool>()).prop_map(|(id, state, since, restarting)| Replica {
        id: id.into(),
        state,
        since,
        restarting,
    });
    let few = prop_oneof![Just(Vec::new()), prop::collection::vec(replica, 0..3)];
    let number = prop_oneof![0..3_u32, any::<u32>()];
    ("[ab]", time(), number.clone(), number, any::<(bool, bool)>(), few).prop_map(
        |(pool, at, desired, standby, (can_standby, rolling_out), replicas)| PoolReport {
            pool: pool.into(),
            at,
            desired,
            standby,
            can_standby,
            rolling_out,
            replicas,
        },
    )
}

fn config() -> WorkloadConfig {
    let module = |policy: &str| ModuleRef { policy: policy.to_owned(), config: "{}".to_owned(), digest: None };
    let zero = ZeroGrant {
        after: Span(1),
        wake_on: vec![WakeRule { signal: "x".to_owned(), above: -0.0 }],
        wake_replicas: 1,
        hold: Span(2),
    };
    WorkloadConfig {
        id: WorkloadId { namespace: "default".to_owned(), name: "chat".to_owned() },
        generation: 7,
        interval: Span(15_000),
        attributes: vec![("a".to_owned(), "b".to_owned())],
        pools: vec![PoolConfig {
            name: "default".to_owned(),
            group: Some("pd".to_owned()),
            min: 0,
            max: 8,
            zero: Some(zero),
            gpus_per_replica: 1,
            price_per_hour: Some(2.5),
            startup: Span(180_000),
            attributes: Vec::new(),
        }],
        stages: vec![StageConfig {
            name: "steer".to_owned(),
            module: module("steer"),
            combine: Combine::Max,
            on_failure: OnFailure::Fallback(Box::new(module("other"))),
            shadow: Some(module("third")),
        }],
        guardrails: Guardrails {
            stale_after: None,
            min_coverage: 0.9,
            silent_after: Some(Span(3)),
            scale_up: Some(Rate { max_step: Step::Count(4), per: Span(5) }),
            scale_down: Rate { max_step: Step::Percent(10), per: Span(60_000) },
            cooldown: Span(300_000),
        },
    }
}

fn module() -> Module {
    let need = MetricNeed {
        signal: "queue-depth".to_owned(),
        by: vec!["pool".to_owned()],
        within: "max".to_owned(),
        across: String::new(),
        step: Span(0),
        window: Span(60_000),
        required: true,
    };
    let preparation = Preparation { needs: vec![need], attributes: Vec::new() };
    Module { policy: absent(), digest: "sha256:00".to_owned(), preparation, state_version: 3 }
}

fn fault() -> Fault {
    Fault { code: "trap".to_owned(), message: "why".to_owned() }
}

fn entry() -> impl Strategy<Value = Entry> {
    let intake = (prop::collection::vec(sample(), 0..12), prop::collection::vec(report(), 0..3), any::<i32>())
        .prop_map(|(samples, pools, utc_offset_minutes)| Intake { samples, pools, utc_offset_minutes });
    let slot = prop::sample::select(Slot::ALL.to_vec());
    let fallen = slot.clone().prop_map(|slot| {
        let log = vec![LogLine { level: Level::Warn, message: "so".to_owned() }];
        Fallen { stage: 1, slot, call: Call { answer: Err(fault()), log, bounds: Vec::new() } }
    });
    let grant = prop::collection::vec((text(), any::<Option<u32>>(), text()), 0..2).prop_map(|pools| Grant {
        pools: pools.into_iter().map(|(pool, replicas, why)| PoolGrant { pool, replicas, why }).collect(),
    });
    let outcome = (text(), text(), text()).prop_map(|(decision, pool, message)| Outcome {
        decision,
        pool,
        state: OutcomeState::Failed,
        message,
    });
    let lasting = any::<u64>().prop_map(Span);
    let commands = prop_oneof![
        (lasting.clone(), text()).prop_map(|(lasting, reason)| Command::Pause { lasting, reason }),
        (lasting.clone(), text(), any::<u32>()).prop_map(|(lasting, reason, n)| Command::Override {
            pools: [("default".to_owned(), n)].into(),
            lasting,
            reason,
        }),
        text().prop_map(|reason| Command::Resume { reason }),
        text().prop_map(|reason| Command::Wake { reason }),
    ];
    let numbers = any::<(u32, u32, u32, u32)>().prop_map(|(from, to, standby_from, standby_to)| Numbers {
        from,
        to,
        standby_from,
        standby_to,
    });
    let made = (any::<u64>(), prop::collection::vec(any::<u32>(), 5..8), prop::collection::vec(numbers, 0..3))
        .prop_map(|(whole, parts, numbers)| Made::from_parts(whole, parts, numbers));
    prop_oneof![
        (intake, time()).prop_map(|(intake, now)| Entry::Observe { intake, now }),
        (time(), prop::collection::vec(fallen, 0..2)).prop_map(|(now, fallen)| Entry::Propose { now, fallen }),
        (time(), grant, made).prop_map(|(now, grant, made)| Entry::Decide { now, grant, made }),
        (time(), outcome).prop_map(|(now, outcome)| Entry::Record { now, outcome }),
        (time(), commands).prop_map(|(now, command)| Entry::Command { now, command }),
        time().prop_map(|now| Entry::Reconfigure { now, config: Box::new(config()) }),
        (time(), text(), slot.clone(), any::<bool>()).prop_map(|(now, stage, slot, good)| Entry::Install {
            now,
            stage,
            slot,
            module: if good { Ok(module()) } else { Err(fault()) },
        }),
        (text(), slot).prop_map(|(stage, slot)| Entry::RestorePrevious { stage, slot }),
        lasting.prop_map(Entry::SourcePeriod),
        text().prop_map(|signal| Entry::SignalDefaults {
            signal,
            within: Within::Mean,
            across: Across::Percentile(95),
        }),
        prop::collection::vec(text(), 0..3).prop_map(Entry::PageSignals),
        prop::collection::vec(text(), 0..3).prop_map(Entry::ReplicaSignals),
        text().prop_map(|pool| Entry::LetGo { pool }),
    ]
}

fn written(entries: &[Entry]) -> Vec<u8> {
    let mut tape = Tape::default();
    entries.iter().for_each(|entry| tape.entry(entry));
    tape.take().bytes
}

fn read(bytes: &[u8]) -> Result<Vec<Entry>, Malformed> {
    let mut entries = Vec::new();
    Decoder::default().read(bytes, |entry| entries.push(entry))?;
    Ok(entries)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// `Debug` of a float names its value and its sign; the second pass compares its bits.
    #[test]
    fn every_entry_is_read_back_to_the_bit(entries in prop::collection::vec(entry(), 0..12)) {
        let bytes = written(&entries);
        let again = read(&bytes).unwrap();
        prop_assert_eq!(format!("{again:?}"), format!("{entries:?}"));
        prop_assert_eq!(written(&again), bytes);
    }

    #[test]
    fn no_bytes_are_more_than_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }

    #[test]
    fn a_damaged_tape_is_never_more_than_an_error(entries in prop::collection::vec(entry(), 1..6), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut bytes = written(&entries);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let _ = read(&bytes);
    }
}

#[test]
fn nan_and_negative_zero_keep_their_bits() {
    let bits = [0x7ff8_0000_0000_0000, 0xfff8_0000_0000_0001, 0x7ff0_0000_0000_0001, 1 << 63, 0];
    let samples = bits.map(|bits| Sample {
        origin: Origin::Query,
        signal: "x".into(),
        labels: Vec::new(),
        at: Time(5),
        reading: Reading::Gauge(f64::from_bits(bits)),
    });
    let intake = Intake { samples: samples.to_vec(), ..Intake::default() };
    let again = read(&written(&[Entry::Observe { intake, now: Time(5) }])).unwrap();
    let Entry::Observe { intake, .. } = &again[0] else { panic!("{again:?}") };
    let read: Vec<u64> = intake
        .samples
        .iter()
        .map(|s| if let Reading::Gauge(v) = s.reading { v.to_bits() } else { panic!("{s:?}") })
        .collect();
    assert_eq!(read, bits);
}

/// A closed segment with a few records.
fn segment() -> Vec<u8> {
    let opening = Opening {
        workload: config().id,
        segment: 4,
        at: Time(1_767_225_600_000),
        begins: Begins::Gap("the disk was full".to_owned()),
        before: Some(frame::Before { segment: 3, bytes: 1000, check: 7 }),
        modules: vec!["sha256:00".to_owned()],
        build: "0.1.0".to_owned(),
    };
    let mut framer = Framer::default();
    let mut bytes = framer.opening(&opening, b"a snapshot");
    for taped in [&b"first"[..], b"", b"third"] {
        bytes.extend(framer.entries(taped));
    }
    bytes.extend(framer.end());
    assert_eq!(framer.bytes(), bytes.len() as u64);
    bytes
}

/// Reads to the end, or to what is wrong and where.
fn look(bytes: &[u8]) -> (usize, Result<Ending, (u64, Damage)>) {
    let mut records = Records::of(bytes);
    let mut found = 0;
    while let Some(next) = records.next() {
        match next {
            Ok(_) => found += 1,
            Err(damage) => return (found, Err((records.offset(), damage))),
        }
    }
    (found, Ok(records.ending().unwrap()))
}

#[test]
fn a_segment_is_read_back() {
    let bytes = segment();
    let mut records = Records::of(&bytes);
    let Some(Ok(Found::Opening(opening, snapshot))) = records.next() else { panic!() };
    assert_eq!((opening.segment, snapshot), (4, &b"a snapshot"[..]));
    assert_eq!(records.next(), Some(Ok(Found::Entries(b"first"))));
    assert_eq!(look(&bytes), (4, Ok(Ending::Closed)));
}

#[test]
fn every_flipped_bit_is_found_where_it_is() {
    let bytes = segment();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let (_, Err((offset, _))) = look(&flipped) else { panic!("bit {bit} of byte {at} was not found") };
            assert!(offset <= at as u64, "bit {bit} of byte {at} was placed at {offset}");
        }
    }
}

#[test]
fn every_truncation_is_told_from_damage_and_named() {
    let bytes = segment();
    for length in 0..bytes.len() {
        let (_, Ok(ending)) = look(&bytes[..length]) else { panic!("cut to {length}: taken for damage") };
        assert_ne!(ending, Ending::Closed, "cut to {length}");
        if let Ending::Torn(at) = ending {
            assert!(at <= length as u64);
        }
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(look(&longer), (4, Err((_, Damage::Behind(1))))));
}

#[test]
fn records_do_not_trade_places() {
    let bytes = segment();
    let mut framer = Framer::default();
    let opening = bytes.len() - framer.entries(b"first").len() - framer.entries(b"").len();
    let opening = opening - framer.entries(b"third").len() - framer.end().len();
    let (first, second) = (12 + 6, 12 + 1);
    let mut traded = bytes[..opening].to_vec();
    traded.extend(&bytes[opening + first..opening + first + second]);
    traded.extend(&bytes[opening..opening + first]);
    traded.extend(&bytes[opening + first + second..]);
    assert_eq!(traded.len(), bytes.len());
    assert!(matches!(look(&traded), (1, Err((at, Damage::Length))) if at == opening as u64));
}
