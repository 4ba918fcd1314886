use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::profile;
use crate::step::StepTime;

const INSTANT: Startup = Startup::Fixed(Duration::ZERO);

fn h100() -> Profile {
    profile::named("h100-llama-3.1-8b-bf16").expect("in the table")
}

/// 10 ms a step and nothing else, with limits small enough to bite.
fn small(kv_tokens: u32, max_seqs: u32, max_batched_tokens: u32) -> Profile {
    let step = StepTime {
        base_ms: 10.0,
        per_sequence_us: 0.0,
        per_kv_token_ns: 0.0,
        per_prompt_token_us: 0.0,
        per_prompt_token_squared_ns: 0.0,
    };
    Profile { step, kv_tokens, max_seqs, max_batched_tokens, ..h100() }
}

fn request(prompt_tokens: u32, output_tokens: u32) -> Request {
    Request { prompt_tokens, output_tokens }
}

/// Runs until nothing is left to happen.
fn drain(replica: &mut Replica) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(at) = replica.next_event() {
        events.extend(replica.advance(at));
    }
    events
}

#[test]
fn one_request_takes_what_the_formula_says() {
    let mut replica = Replica::new(h100(), &INSTANT, 0, Moment::ZERO);
    replica.submit(request(1000, 3), Moment::ZERO).expect("fits");
    let events = drain(&mut replica);
    let step = h100().step;
    let mut prefill = StepWork::default();
    prefill.prefill(1000, 0);
    let first = step.duration(&prefill);
    let next = |kv| step.duration(&StepWork { decoding: 1, kv_tokens: kv, ..StepWork::default() });
    let id = RequestId(0);
    let at = |span| Moment::ZERO + span;
    assert_eq!(
        events,
        [
            Event { at: Moment::ZERO, kind: EventKind::Ready },
            Event { at: Moment::ZERO, kind: EventKind::Admitted { request: id, queued: Duration::ZERO } },
            Event { at: at(first), kind: EventKind::FirstToken { request: id, since_arrival: first } },
            Event {
                at: at(first + next(1001)),
                kind: EventKind::NextToken { request: id, index: 2, since_previous: next(1001) },
            },
            Event {
                at: at(first + next(1001) + next(1002)),
                kind: EventKind::NextToken { request: id, index: 3, since_previous: next(1002) },
            },
            Event {
                at: at(first + next(1001) + next(1002)),
                kind: EventKind::Finished { request: id, since_arrival: first + next(1001) + next(1002), tokens: 3 },
            },
        ]
    );
    assert_eq!(replica.kv().used(), 0);
}

#[test]
fn long_prompts_are_chunked_beside_decoding() {
    let mut replica = Replica::new(small(4096, 4, 100), &INSTANT, 0, Moment::ZERO);
    replica.submit(request(10, 50), Moment::ZERO).expect("fits");
    replica.advance(Moment(5_000));
    replica.submit(request(250, 1), Moment(5_000)).expect("fits");
    // Steps end every 10 ms; the decoding sequence takes one token of the budget, the prompt 99 a step: three chunks.
    let events = replica.advance(Moment(40_000));
    let first = |id| {
        events.iter().find_map(|event| match event.kind {
            EventKind::FirstToken { request, .. } if request == RequestId(id) => Some(event.at),
            _ => None,
        })
    };
    assert_eq!((first(0), first(1)), (Some(Moment(10_000)), Some(Moment(40_000))));
    let kept_decoding = events.iter().filter(|e| matches!(e.kind, EventKind::NextToken { .. })).count();
    assert_eq!(kept_decoding, 3);
}

#[test]
fn the_latest_gives_way_when_the_cache_is_full_and_still_finishes() {
    // 8 blocks; two sequences of 48 + 32 tokens need 5 each.
    let mut replica = Replica::new(small(128, 4, 512), &INSTANT, 0, Moment::ZERO);
    for _ in 0..2 {
        replica.submit(request(48, 32), Moment::ZERO).expect("fits");
    }
    let events = drain(&mut replica);
    let preempted: Vec<_> = events.iter().filter(|e| matches!(e.kind, EventKind::Preempted { .. })).collect();
    assert!(preempted.iter().all(|e| e.kind == EventKind::Preempted { request: RequestId(1) }));
    assert_eq!(replica.counters().preemptions, preempted.len() as u64);
    assert!(!preempted.is_empty());
    assert_eq!((replica.counters().completed, replica.counters().output_tokens), (2, 64));
    // A preempted request keeps its place at the front, and its prompt counts once.
    assert_eq!(replica.counters().prompt_tokens, 96);
}

#[test]
fn sequences_beyond_the_limit_wait_in_order() {
    let mut replica = Replica::new(small(4096, 2, 512), &INSTANT, 0, Moment::ZERO);
    for _ in 0..5 {
        replica.submit(request(16, 4), Moment::ZERO).expect("fits");
    }
    replica.advance(Moment(1));
    assert_eq!((replica.running(), replica.waiting()), (2, 3));
    let admitted: Vec<u64> = drain(&mut replica)
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Admitted { request, .. } => Some(request.0),
            _ => None,
        })
        .collect();
    assert_eq!(admitted, [2, 3, 4]);
}

#[test]
fn what_can_never_fit_is_refused() {
    let mut replica = Replica::new(small(128, 4, 512), &INSTANT, 0, Moment::ZERO);
    assert_eq!(replica.context_limit(), 128);
    replica.submit(request(100, 28), Moment::ZERO).expect("exactly fits");
    let refused = replica.submit(request(100, 29), Moment::ZERO).expect_err("one too many");
    assert_eq!(refused.to_string(), "100 prompt tokens and 29 output tokens exceed the context length of 128 tokens");
    replica.submit(request(u32::MAX, u32::MAX), Moment::ZERO).expect_err("no overflow");
    assert_eq!(drain(&mut replica).iter().filter(|e| matches!(e.kind, EventKind::Finished { .. })).count(), 1);
}

#[test]
fn requests_wait_for_the_start() {
    let mut replica = Replica::new(small(4096, 4, 512), &Startup::Fixed(Duration::from_secs(5)), 0, Moment::ZERO);
    replica.submit(request(16, 1), Moment::ZERO).expect("fits");
    assert_eq!(replica.advance(Moment(4_999_999)), []);
    assert_eq!(replica.phase(), Phase::Starting { until: Moment(5_000_000) });
    let events = drain(&mut replica);
    assert_eq!(events[0], Event { at: Moment(5_000_000), kind: EventKind::Ready });
    assert!(matches!(events.last(), Some(Event { at: Moment(5_010_000), kind: EventKind::Finished { .. } })));
}

#[test]
fn sleep_holds_requests_and_wake_computes_them_anew() {
    for level in 0..3 {
        let mut replica = Replica::new(small(4096, 4, 512), &INSTANT, 0, Moment::ZERO);
        replica.submit(request(160, 10), Moment::ZERO).expect("fits");
        replica.advance(Moment(35_000));
        assert!(replica.kv().used() > 0);
        replica.sleep(level, Moment(35_000));
        assert_eq!(replica.kv().used() > 0, level == 0, "level {level}");
        replica.submit(request(16, 2), Moment(36_000)).expect("fits");
        replica.advance(Moment(1_000_000));
        assert_eq!(replica.next_event(), None, "asleep at level {level}");
        assert_eq!(replica.counters().completed, 0);
        replica.wake(Moment(1_000_000));
        let events = drain(&mut replica);
        assert_eq!(events[0].at, Moment(1_000_000) + replica.profile().wake_delay(level));
        assert_eq!(events[0].kind, EventKind::Awake);
        assert_eq!((replica.counters().completed, replica.counters().output_tokens), (2, 12));
        assert_eq!(replica.counters().preemptions, 0);
    }
}

#[test]
fn a_cancelled_request_frees_its_blocks_at_once() {
    let mut replica = Replica::new(small(4096, 1, 512), &INSTANT, 0, Moment::ZERO);
    let running = replica.submit(request(160, 100), Moment::ZERO).expect("fits");
    let queued = replica.submit(request(16, 1), Moment::ZERO).expect("fits");
    replica.advance(Moment(25_000));
    assert!(replica.cancel(running) && !replica.cancel(running));
    assert_eq!(replica.kv().used(), 0);
    let finished = drain(&mut replica);
    assert!(
        matches!(finished.last(), Some(Event { kind: EventKind::Finished { request, .. }, .. }) if *request == queued)
    );
    assert!(!replica.cancel(queued));
    assert_eq!((replica.counters().completed, replica.counters().cancelled), (1, 1));
}

#[test]
fn duty_cycle_is_the_share_of_time_in_steps() {
    let mut replica = Replica::new(small(4096, 4, 512), &INSTANT, 0, Moment::ZERO);
    replica.submit(request(16, 3), Moment::ZERO).expect("fits");
    replica.advance(Moment(25_000));
    assert!((replica.duty_cycle(Duration::ZERO, Moment::ZERO) - 1.0).abs() < 1e-9);
    replica.advance(Moment(60_000));
    assert!((replica.duty_cycle(Duration::ZERO, Moment::ZERO) - 0.5).abs() < 1e-9);
}

/// Time per token of a closed loop of users against measured ones (1,024 in, 512 out, ms by concurrency). The fit is
/// within 2 % of the mean; the bound here is what the worst point needs.
#[test]
fn closed_loops_reproduce_measured_time_per_token() {
    for (users, measured_ms) in [(8_u32, 7.4), (16, 8.4), (32, 9.9), (64, 13.1), (128, 19.3)] {
        let mut replica = Replica::new(h100(), &INSTANT, 0, Moment::ZERO);
        for _ in 0..users {
            replica.submit(request(1024, 512), Moment::ZERO).expect("fits");
        }
        let (mut sum, mut count, mut finished) = (0.0, 0_u32, 0);
        while finished < users * 4 {
            let at = replica.next_event().expect("busy");
            for event in replica.advance(at) {
                match event.kind {
                    EventKind::NextToken { since_previous, .. } if finished >= users => {
                        sum += since_previous.as_secs_f64() * 1e3;
                        count += 1;
                    }
                    EventKind::Finished { .. } => {
                        finished += 1;
                        replica.submit(request(1024, 512), at).expect("fits");
                    }
                    _ => {}
                }
            }
        }
        let mean = sum / f64::from(count);
        assert!((mean / measured_ms - 1.0_f64).abs() < 0.12, "{users} users: {mean} ms, measured {measured_ms}");
    }
}

#[derive(Debug, Clone)]
enum Act {
    Submit(u32, u32),
    Cancel(u64),
    Sleep(u8),
    Wake,
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0_u32..200, 0_u32..80).prop_map(|(p, o)| Act::Submit(p, o)),
        1 => (0_u64..40).prop_map(Act::Cancel),
        1 => (0_u8..3).prop_map(Act::Sleep),
        2 => Just(Act::Wake),
        4 => (0_u64..300_000).prop_map(Act::Pass),
    ]
}

/// Checked after every advance, with access to the inside.
fn check(replica: &Replica) {
    let held: u32 = replica.running.iter().map(|s| s.blocks).sum();
    assert_eq!(held, replica.kv.used(), "blocks held and blocks used");
    assert!(replica.kv.used() <= replica.kv.capacity());
    assert!(replica.running.len() <= replica.profile.max_seqs as usize);
    assert!(replica.waiting.iter().all(|s| s.blocks == 0 && s.computed == 0));
    let counters = replica.counters();
    let open = (replica.running.len() + replica.waiting.len()) as u64;
    assert_eq!(counters.submitted, counters.completed + counters.cancelled + open);
}

proptest! {
    #[test]
    fn nothing_is_lost_and_the_cache_is_never_exceeded(
        acts in prop::collection::vec(act(), 1..60),
        blocks in 1_u32..24, seqs in 1_u32..6, batched in 1_u32..128, startup_ms in 0_u64..200,
    ) {
        let startup = Startup::Fixed(Duration::from_millis(startup_ms));
        let mut replica = Replica::new(small(blocks * 16 + 7, seqs, batched), &startup, 0, Moment::ZERO);
        let mut now = Moment::ZERO;
        let mut expected: BTreeMap<u64, u32> = BTreeMap::new();
        let mut events = Vec::new();
        for act in acts {
            match act {
                Act::Submit(prompt, output) => {
                    let fits = prompt.max(1) + output.max(1) <= blocks * 16;
                    match replica.submit(request(prompt, output), now) {
                        Ok(id) => { prop_assert!(fits); expected.insert(id.0, output.max(1)); }
                        Err(_) => prop_assert!(!fits),
                    }
                }
                Act::Cancel(id) => if replica.cancel(RequestId(id)) { expected.remove(&id); },
                Act::Sleep(level) => replica.sleep(level, now),
                Act::Wake => replica.wake(now),
                Act::Pass(micros) => {
                    now = now + Duration::from_micros(micros);
                    events.extend(replica.advance(now));
                }
            }
            check(&replica);
        }
        // A replica that sleeps for ever finishes nothing: past its start, wake it.
        events.extend(replica.advance(now + Duration::from_secs(1)));
        replica.wake(now + Duration::from_secs(1));
        while let Some(at) = replica.next_event() {
            events.extend(replica.advance(at));
            check(&replica);
        }
        prop_assert!(events.windows(2).all(|pair| pair[0].at <= pair[1].at), "events in order");
        let mut tokens: BTreeMap<u64, u32> = BTreeMap::new();
        let mut finished: BTreeMap<u64, u32> = BTreeMap::new();
        for event in &events {
            match event.kind {
                EventKind::FirstToken { request, .. } => prop_assert_eq!(tokens.insert(request.0, 1), None),
                EventKind::NextToken { request, index, .. } => {
                    prop_assert_eq!(tokens.insert(request.0, index), Some(index - 1));
                }
                EventKind::Finished { request, tokens, .. } => {
                    prop_assert_eq!(finished.insert(request.0, tokens), None, "finished twice");
                }
                _ => {}
            }
        }
        prop_assert_eq!(&finished, &expected, "every request that was not cancelled finishes, once, whole");
        prop_assert_eq!(tokens.values().map(|n| u64::from(*n)).sum::<u64>(), replica.counters().output_tokens);
        prop_assert!(finished.iter().all(|(id, n)| tokens.get(id) == Some(n)));
        prop_assert_eq!(replica.kv().used(), 0);
    }

    #[test]
    fn how_far_each_advance_goes_changes_nothing(
        lengths in prop::collection::vec((1_u32..100, 1_u32..40), 1..12), stride in 1_u64..50_000,
    ) {
        let build = || {
            let mut replica = Replica::new(small(256, 3, 64), &INSTANT, 0, Moment::ZERO);
            for (prompt, output) in &lengths {
                replica.submit(request(*prompt, *output), Moment::ZERO).expect("fits");
            }
            replica
        };
        let (mut by_event, mut by_stride) = (build(), build());
        let expected = drain(&mut by_event);
        let mut events = Vec::new();
        let mut now = Moment::ZERO;
        while by_stride.next_event().is_some() {
            events.extend(by_stride.advance(now));
            now = now + Duration::from_micros(stride);
        }
        prop_assert_eq!(events, expected);
    }
}
