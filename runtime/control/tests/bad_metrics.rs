//! Metrics that vanish, freeze, turn NaN or negative, reset, or come from half of the replicas, each for five times
//! `staleAfter`, at intervals of one and of five seconds: nothing goes down, what is known still scales up, and after
//! recovery everything goes on.
//!
//! For: the promise that bad data scale nothing down. Never a golden file: what counts here is the same for every case.

#![allow(clippy::unwrap_used)] // a test may fail

#[path = "../examples/scenario/script.rs"]
mod script;

use trimtab_control::decision::{Decision, InputKind};

/// Six replicas at work, wanted by the load; while they are ill the chain wants two, whatever it sees.
fn setup(interval: u64) -> String {
    format!(
        "workload interval={interval}s silent=20m cooldown=0s down=100%/1s\n\
         pool default min=1 max=9\n\
         stage load needs=queue-depth!,active-sequences!,request-rate,kv-cache-usage\n\
         stage want\n\
         fleet default replicas=6 takes=1s\n\
         signal default queue-depth=1 active-sequences=3 kv-cache-usage=0.2\n\
         signal default requests-completed=+1/s output-tokens=+50/s engine-steps=+20/s\n\
         answer want default=6\nrun {}s\n",
        10 * interval
    )
}

fn play(text: &str) -> Vec<Decision> {
    script::play(text).unwrap_or_else(|problem| panic!("{problem}\n{text}")).decisions
}

const ILLNESSES: &[&str] = &[
    "mute default/*",
    "mute default/r1 r2 r3",
    "freeze default/*",
    "freeze default/r1 r2 r3",
    "nan default/*",
    "nan default/r4",
    "negative default/*",
    "negative default/r1 r2 r3",
    "garbage default/*",
    "without default/* queue-depth",
    "without default/* requests-completed",
    "without default/r1 r2 r3 active-sequences",
];

#[test]
fn nothing_goes_down_while_metrics_are_ill_and_everything_goes_on_after() {
    for interval in [1, 5] {
        let (stale, ill) = (3 * interval, 15 * interval);
        for illness in ILLNESSES {
            // Whatever is wrong is known at the latest after staleAfter; what is asked before is asked in good faith.
            let text = format!(
                "{}{illness}\nrun {}s\nanswer want default=2\nrun {ill}s\nheal default/*\nanswer want default=6\n\
                 run {}s\nanswer want default=2\nrun {}s\n",
                setup(interval),
                stale + interval,
                2 * interval,
                2 * interval
            );
            let decisions = play(&text);
            let last = decisions.len() - 2;
            for decision in &decisions[..last] {
                assert!(decision.pools[0].to >= 6, "{illness} at {interval} s: {:?}", decision.guardrails);
            }
            let (during, after) = (&decisions[last - 4], &decisions[last]);
            assert!(during.inputs.iter().any(|i| i.kind != InputKind::Fresh), "{illness}: {:?}", during.inputs);
            assert!(during.guardrails.iter().any(|s| s.why.starts_with("not down:")), "{illness} is not explained");
            assert_eq!(after.pools[0].to, 2, "{illness} at {interval} s, healed: {:?}", after.guardrails);
        }
    }
}

#[test]
fn what_is_known_still_scales_up() {
    for illness in ["mute default/r1 r2 r3", "freeze default/r1 r2 r3", "nan default/r1 r2 r3"] {
        let text = format!(
            "{}{illness}\nrun 10s\nsignal default queue-depth=9\nanswer load load/8\nanswer want keep\nrun 3s\n",
            setup(1)
        );
        assert_eq!(play(&text).last().unwrap().pools[0].to, 9, "{illness}");
    }
}

#[test]
fn a_reset_is_no_harm() {
    let text = format!("{}reset default/*\nrun 1s\nanswer want default=2\nrun 2s\n", setup(1));
    let decisions = play(&text);
    let reset = &decisions[decisions.len() - 3];
    assert!(reset.inputs.iter().any(|i| i.kind == InputKind::Reset), "{:?}", reset.inputs);
    assert_eq!(decisions.last().unwrap().pools[0].to, 2);
}

#[test]
fn a_page_that_thaws_or_comes_back_makes_no_rush_of_arrivals_and_no_faster_engine() {
    for illness in ["freeze", "mute", "nan"] {
        let text = format!(
            "{}{illness} default/*\nrun 15s\nheal default/*\nrun 30s\n",
            setup(1).replace("request-rate,", "request-rate,service-rate,")
        );
        let value = |d: &Decision, signal: &str| d.inputs.iter().find(|i| i.signal == signal).and_then(|i| i.value);
        let decisions = play(&text);
        for decision in decisions.iter().skip(3) {
            let arrivals = value(decision, "request-rate").unwrap_or(0.0);
            assert!(arrivals <= 6.5, "{illness}: {arrivals} arrivals a second at {:?}", decision.at);
            let service = value(decision, "service-rate").unwrap_or(0.0);
            assert!(service <= 1.01, "{illness}: {service} completions a second at {:?}", decision.at);
        }
        assert!(value(decisions.last().unwrap(), "service-rate").is_some(), "{illness}");
    }
}

#[test]
fn a_long_prompt_and_an_idle_engine_are_not_suspicious() {
    let only_kv = "without default/* engine-steps\nstall default/*";
    for healthy in
        [only_kv, "stall default/*", "signal default queue-depth=0 active-sequences=0 requests-completed=+0/s"]
    {
        let text = format!("{}{healthy}\nrun 30s\nanswer want default=2\nrun 1s\n", setup(1));
        let last = play(&text).pop().unwrap();
        assert_eq!(last.pools[0].to, 2, "{healthy}: {:?}", last.guardrails);
    }
}

#[test]
fn one_doubtful_replica_of_many_is_like_one_missing() {
    for illness in ["freeze default/r3", "nan default/r3", "mute default/r3"] {
        let text = format!(
            "workload interval=1s cooldown=0s down=100%/1s\npool default min=1 max=40\n\
             stage load needs=queue-depth!,active-sequences!\nfleet default replicas=30\n\
             signal default queue-depth=0 active-sequences=2 output-tokens=+50/s\nrun 3s\n{illness}\nrun 6s\n\
             answer load default=20\nrun 1s\n"
        );
        assert_eq!(play(&text).pop().unwrap().pools[0].to, 20, "{illness}");
    }
}

#[test]
fn a_signal_that_an_engine_no_longer_has_blocks_until_silent_after() {
    // The chain can do without it: after another engine took its place, nothing waits for it for ever.
    let text = "workload interval=5s stale=15s silent=60s cooldown=0s down=100%/1s\npool default min=1 max=9\n\
                stage load needs=queue-depth!,ttft-p95,request-rate\nfleet default replicas=4\n\
                signal default queue-depth=0 active-sequences=1 requests-completed=+1/s output-tokens=+9/s\nrun 20s\n\
                without default/* requests-completed\nrun 20s\nanswer load default=2\nrun 40s\n";
    let decisions = play(text);
    assert_eq!(decisions.last().unwrap().pools[0].to, 4);
    let decisions = play(&format!("{text}run 30s\n"));
    assert_eq!(decisions.last().unwrap().pools[0].to, 2, "{:?}", decisions.last().unwrap().guardrails);
}

#[test]
fn all_silent_is_no_data_and_holds() {
    let text = "workload interval=5s stale=15s silent=40s cooldown=0s down=100%/1s\npool default min=1 max=9\n\
                stage load needs=queue-depth!,active-sequences!\nfleet default replicas=4\n\
                signal default queue-depth=0 active-sequences=1\nrun 20s\nmute default/*\nrun 60s\n\
                answer load default=1\nrun 60s\noverride default=2 10s someone looked\nrun 5s\n";
    let decisions = play(text);
    assert!(decisions[..decisions.len() - 1].iter().all(|d| d.pools[0].to == 4));
    assert_eq!(decisions.last().unwrap().pools[0].to, 2, "a person may");
    assert_eq!(decisions.last().unwrap().remove_first[0].1.len(), 4);
}

/// What may be wrong with the page for the workload.
const PAGES: &[&str] = &["", "page queue-depth=-\n", "page queue-depth=nan\n"];

#[test]
fn no_page_and_no_replica_that_is_ill_lets_anything_go_down_however_long_it_lasts_and_over_a_restart() {
    // The queue comes from a page for the workload, the rest from the replicas; or from both.
    let shapes = [
        ("queue-depth@pool!,active-sequences@pool!", "active-sequences=3"),
        ("queue-depth!,active-sequences!", "active-sequences=3"),
        ("queue-depth,active-sequences@pool", "active-sequences=3"),
        ("queue-depth!,active-sequences!", "active-sequences=3 queue-depth=1"),
        ("queue-depth!", "active-sequences=3 queue-depth=1"),
        ("queue-depth@pool", "active-sequences=3 queue-depth=1"),
    ];
    // Whole fleets, since one replica of them that is silent for long leaves the count.
    let illnesses = ["", "mute default/*", "freeze default/*", "nan default/*", "garbage default/*"];
    for (needs, signals) in shapes {
        for (page, illness) in PAGES.iter().flat_map(|page| illnesses.map(|illness| (page, illness))) {
            for restart in ["", "restart 20s\n"] {
                if page.is_empty() && illness.is_empty() {
                    continue;
                }
                // A page that freezes over a restart is known after staleAfter; what is asked before is asked in good
                // faith. Then for five times staleAfter, and past all that is kept.
                let text = format!(
                    "workload interval=5s stale=15s silent=40s cooldown=0s down=100%/1s\npool default min=1 max=9\n\
                     stage load needs={needs}\nstage want\nfleet default replicas=6\n\
                     owes queue-depth / queue-depth active-sequences output-tokens\n\
                     page queue-depth=9\nsignal default {signals} output-tokens=+50/s\nanswer want default=6\n\
                     run 20s\n{page}{illness}\nrun 20s\n{restart}run 20s\nanswer want default=2\nrun 75s\n\
                     run 600s\nheal default/*\npage queue-depth=9\nanswer want default=6\nrun 30s\n\
                     answer want default=2\nrun 5s\n"
                );
                let decisions = play(&text);
                let (healed, ill) = decisions.split_last().unwrap();
                for decision in ill {
                    let at = decision.at;
                    assert!(decision.pools[0].to >= 6, "{text}{at:?}: {:?}", decision.guardrails);
                }
                assert_eq!(healed.pools[0].to, 2, "{text}healed: {:?}", healed.guardrails);
            }
        }
    }
}
