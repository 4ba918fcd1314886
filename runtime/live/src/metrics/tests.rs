#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;

fn chat() -> WorkloadId {
    WorkloadId { namespace: "team-a".into(), name: "chat".into() }
}

/// One of everything.
fn serving(policies: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    policies.iter().map(|(policy, digest)| ((*policy).to_owned(), (*digest).to_owned())).collect()
}

fn busy() -> Metrics {
    let metrics = Metrics::new();
    let (id, ms) = (chat(), Duration::from_millis);
    metrics.tick(&id, ms(3), ms(1));
    metrics.missed(&id, 2);
    metrics.policy_call("team-a", "queue-depth", "ok", Duration::from_micros(80));
    metrics.policy_call("", "queue-depth", "trap", ms(2));
    metrics.policy_limit("", "queue-depth", "log");
    metrics.tick_cpu(&id, ms(2));
    metrics.policy_load("", "queue-depth", "compile", "failed");
    metrics.policies_serving(&id, serving(&[("queue-depth", "sha256:aa")]));
    metrics.replicas(&id, "default", &[("ready", 2), ("starting", 1)]);
    metrics.signal_age(&id, "queue-depth", Some(1.5));
    metrics.scraped("vllm", ms(12), None);
    metrics.scraped("vllm", ms(900), Some("timeout"));
    metrics.action(&id, "applied");
    metrics.limited(&id, "cooldown");
    metrics.startup(&id, "default", 42.0);
    metrics.violation(&id);
    metrics
}

#[test]
fn every_family_has_its_name_and_labels() {
    let page = busy().encode(Format::Prometheus);
    for line in [
        "# TYPE trimtab_ticks_total counter",
        r#"trimtab_ticks_total{namespace="team-a",workload="chat"} 1"#,
        r#"trimtab_ticks_missed_total{namespace="team-a",workload="chat"} 2"#,
        "trimtab_tick_duration_seconds_count 1",
        "trimtab_tick_lateness_seconds_sum 0.001",
        r#"trimtab_policy_call_duration_seconds_count{tenant="team-a",policy="queue-depth"} 1"#,
        r#"trimtab_policy_calls_total{tenant="",policy="queue-depth",outcome="trap"} 1"#,
        r#"trimtab_policy_limits_total{tenant="",policy="queue-depth",limit="log"} 1"#,
        r#"trimtab_tick_cpu_seconds_total{namespace="team-a",workload="chat"} 0.002"#,
        r#"trimtab_policy_loads_total{tenant="",policy="queue-depth",stage="compile",result="failed"} 1"#,
        r#"trimtab_policy_info{tenant="team-a",policy="queue-depth",digest="sha256:aa"} 1"#,
        r#"trimtab_replicas{namespace="team-a",workload="chat",pool="default",state="ready"} 2"#,
        r#"trimtab_signal_age_seconds{namespace="team-a",workload="chat",signal="queue-depth"} 1.5"#,
        r#"trimtab_scrape_duration_seconds_bucket{le="+Inf",source="vllm"} 2"#,
        r#"trimtab_scrape_failures_total{source="vllm",reason="timeout"} 1"#,
        r#"trimtab_actions_total{namespace="team-a",workload="chat",outcome="applied"} 1"#,
        r#"trimtab_guardrail_limits_total{namespace="team-a",workload="chat",rule="cooldown"} 1"#,
        r#"trimtab_startup_seconds_sum{namespace="team-a",workload="chat",pool="default"} 42.0"#,
        r#"trimtab_check_violations_total{namespace="team-a",workload="chat"} 1"#,
        "trimtab_metric_series_dropped_total 0",
        "# TYPE process_cpu_seconds_total counter",
    ] {
        assert!(page.lines().any(|l| l == line), "{line}\nis not in\n{page}");
    }
    assert!(page.contains(r#"trimtab_build_info{version="0."#), "{page}");
    for name in ["process_resident_memory_bytes ", "process_cpu_seconds_total ", "process_open_fds "] {
        let line = page.lines().find(|l| l.starts_with(name)).unwrap();
        assert!(line[name.len()..].parse::<f64>().unwrap() > 0.0, "{line}");
    }
}

#[test]
fn the_older_form_has_no_line_that_the_older_form_does_not_know() {
    let (old, new) = (busy().encode(Format::Prometheus), busy().encode(Format::OpenMetrics));
    assert!(new.ends_with("# EOF\n") && new.contains("# TYPE trimtab_ticks counter\n"), "{new}");
    assert!(!old.contains("# EOF") && !old.contains("# UNIT") && old.contains("# HELP trimtab_ticks_total "), "{old}");
    let samples =
        |page: &str| page.lines().filter(|l| l.starts_with("trimtab_")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(samples(&old), samples(&new));
}

#[test]
fn promtool_finds_nothing_to_say() {
    let Ok(mut promtool) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        eprintln!("skipped: there is no promtool on this machine");
        return;
    };
    promtool.stdin.take().unwrap().write_all(busy().encode(Format::Prometheus).as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success() && text.is_empty(), "{text}");
}

#[test]
fn accept_decides_the_form() {
    let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for (accept, want) in [
        ("", Format::Prometheus),
        ("*/*", Format::Prometheus),
        ("text/plain;version=0.0.4", Format::Prometheus),
        ("application/openmetrics-text", Format::OpenMetrics),
        (prometheus, Format::OpenMetrics),
        ("application/openmetrics-text;q=0.2, text/plain", Format::Prometheus),
        ("application/openmetrics-text;q=0", Format::Prometheus),
        ("application/openmetrics-text;q=x", Format::Prometheus),
    ] {
        assert_eq!(Format::wanted(accept), want, "{accept:?}");
    }
}

#[test]
fn what_ended_leaves_no_series() {
    let metrics = busy();
    let other = WorkloadId { namespace: "team-a".into(), name: "chat-2".into() };
    metrics.missed(&other, 1);
    metrics.forget(&chat());
    let page = metrics.encode(Format::Prometheus);
    assert!(!page.contains(r#"workload="chat""#), "{page}");
    assert!(page.contains(r#"workload="chat-2""#), "{page}");
}

#[test]
fn every_version_that_serves_somebody_is_shown() {
    let metrics = busy();
    let other = WorkloadId { namespace: "team-a".into(), name: "chat-2".into() };
    let digests = |metrics: &Metrics| {
        let page = metrics.encode(Format::Prometheus);
        let lines = page.lines().filter(|l| l.starts_with("trimtab_policy_info{"));
        lines.map(|l| l.split("digest=").nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    metrics.policies_serving(&other, serving(&[("queue-depth", "sha256:bb"), ("cooldown", "sha256:cc")]));
    assert_eq!(digests(&metrics), [r#""sha256:cc"} 1"#, r#""sha256:aa"} 1"#, r#""sha256:bb"} 1"#]);
    metrics.policies_serving(&chat(), serving(&[("queue-depth", "sha256:bb")]));
    assert_eq!(digests(&metrics), [r#""sha256:cc"} 1"#, r#""sha256:bb"} 1"#]);
    metrics.forget(&other);
    assert_eq!(digests(&metrics), [r#""sha256:bb"} 1"#]);
}

#[test]
fn a_signal_that_is_gone_has_no_age() {
    let metrics = busy();
    metrics.signal_age(&chat(), "queue-depth", None);
    assert!(!metrics.encode(Format::Prometheus).contains("trimtab_signal_age_seconds{"));
}

#[test]
fn label_values_are_escaped_and_cut() {
    let metrics = Metrics::new();
    let long = format!("a\"b\\c\nd{}", "x".repeat(10_000));
    for _ in 0..2 {
        metrics.policy_call("", &long, "ok", Duration::ZERO);
    }
    let page = metrics.encode(Format::Prometheus);
    let lines: Vec<_> = page.lines().filter(|l| l.starts_with("trimtab_policy_calls_total{")).collect();
    assert_eq!(lines.len(), 1, "{page}");
    assert!(lines[0].contains(r#"policy="a\"b\\c\\ndxxx"#) && lines[0].ends_with("} 2"), "{}", lines[0]);
    assert!(lines[0].len() < 400);
}

#[test]
fn a_full_family_drops_what_is_new_and_counts_it() {
    let dropped = Counter::default();
    let series = Series::new(["of"], Counter::<u64>::default, &dropped).with_room(2);
    for value in ["b", "a", "c", "a", "d"] {
        series.with([value], Counter::inc);
    }
    assert_eq!(dropped.get(), 2);
    let mut a = 0;
    series.with(["a"], |counter| a = counter.get());
    assert_eq!(a, 2);
    series.remove(&["b"]);
    series.with(["c"], Counter::inc);
    assert_eq!(dropped.get(), 2);
}
