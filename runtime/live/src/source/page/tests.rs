#![allow(clippy::unwrap_used)]

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::client::TlsSpec;
use crate::presets::{self, Preset};

const AT: Time = Time(1_000_000);
const INF: f64 = f64::INFINITY;

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/metrics");
    std::fs::read(folder.join(name)).unwrap()
}

fn owned(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn with_preset(preset: &'static Preset, body: &[u8], labels: &[(&str, &str)]) -> Result<Vec<Sample>, PageError> {
    let spec = EngineSpec {
        preset,
        path: preset.path.to_owned(),
        port: None,
        scheme: None,
        labels: owned(labels),
        auth: None,
        tls: TlsSpec::default(),
    };
    engine_samples(body, None, &spec, &Arc::from("default"), &Arc::from("r1"), AT)
}

fn engine(name: &str, body: &[u8], labels: &[(&str, &str)]) -> Result<Vec<Sample>, PageError> {
    with_preset(presets::find(name).unwrap(), body, labels)
}

fn signal(name: &str, metric: &str) -> SignalSpec {
    SignalSpec { name: name.into(), metric: metric.into(), labels: Labels::new(), within: None, across: None }
}

fn page(body: &[u8], signals: Vec<SignalSpec>) -> Result<Vec<Sample>, PageError> {
    let url = "http://127.0.0.1:9400/metrics".parse().unwrap();
    page_samples(body, None, &ExpositionSpec { url, signals, auth: None, tls: TlsSpec::default() }, AT)
}

/// Signal, labels and reading, as the tables below write them.
fn shown(samples: &[Sample]) -> Vec<(String, Labels, Reading)> {
    samples.iter().map(|s| (s.signal.to_string(), s.labels.clone(), s.reading.clone())).collect()
}

fn histogram(buckets: &[(f64, f64)]) -> Reading {
    Reading::Histogram(Arc::new(Histogram { buckets: buckets.to_vec() }))
}

fn reading<'s>(samples: &'s [Sample], signal: &str) -> &'s Reading {
    let mut found = samples.iter().filter(|s| &*s.signal == signal);
    let first = found.next().unwrap_or_else(|| panic!("no {signal}"));
    assert!(found.next().is_none(), "{signal} twice");
    &first.reading
}

#[test]
fn llama_cpp_under_load_and_otherwise() {
    for (name, [queued, running, prompt, output, steps]) in [
        ("llama-server.idle.prom", [0.0, 0.0, 0.0, 0.0, 0.0]),
        ("llama-server.load.prom", [8.0, 4.0, 12_474.0, 10_800.0, 2_815.0]),
        ("llama-server.after-load.prom", [0.0, 0.0, 17_524.0, 18_000.0, 4_501.0]),
        ("llama-server.sleeping.prom", [0.0, 0.0, 2_454.0, 160.0, 40.0]),
    ] {
        let samples = engine("llama-cpp", &fixture(name), &[]).unwrap();
        let want = [
            ("queue-depth", Reading::Gauge(queued)),
            ("active-sequences", Reading::Gauge(running)),
            ("prompt-tokens", Reading::Counter(prompt)),
            ("output-tokens", Reading::Counter(output)),
            ("engine-steps", Reading::Counter(steps)),
        ];
        let want: Vec<_> =
            want.into_iter().map(|(signal, reading)| (signal.to_owned(), Labels::new(), reading)).collect();
        assert_eq!(shown(&samples), want, "{name}");
        let origin = Origin::Replica { pool: Arc::from("default"), replica: Arc::from("r1") };
        assert!(samples.iter().all(|s| s.origin == origin && s.at == AT));
    }
}

#[test]
fn vllm_levels_and_totals() {
    for (name, [queued, running, kv], [done, prompt, output, preempted]) in [
        ("vllm-cpu.idle.prom", [0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]),
        ("vllm-cpu.load.prom", [16.0, 8.0, 0.002_563_789_525_088_511], [8.0, 4403.0, 991.0, 0.0]),
        ("vllm-cpu.kv-pressure.prom", [10.0, 6.0, 1.0], [12.0, 4902.0, 4821.0, 13.0]),
        ("vllm-cpu.sleep0.prom", [0.0, 0.0, 0.0], [72.0, 21_060.0, 6912.0, 0.0]),
    ] {
        let samples = engine("vllm", &fixture(name), &[]).unwrap();
        let got: Vec<(&str, &Reading)> = samples.iter().map(|s| (&*s.signal, &s.reading)).take(7).collect();
        let want = [
            ("queue-depth", &Reading::Gauge(queued)),
            ("active-sequences", &Reading::Gauge(running)),
            ("kv-cache-usage", &Reading::Gauge(kv)),
            ("requests-completed", &Reading::Counter(done)),
            ("prompt-tokens", &Reading::Counter(prompt)),
            ("output-tokens", &Reading::Counter(output)),
            ("preemptions", &Reading::Counter(preempted)),
        ];
        assert_eq!(got, want, "{name}");
        assert_eq!(samples.len(), 11, "{name}");
        assert!(samples.iter().all(|s| s.labels == owned(&[("model", "tiny")])));
    }
}

#[test]
fn vllm_histograms() {
    let samples = engine("vllm", &fixture("vllm-cpu.load.prom"), &[]).unwrap();
    let ttft = [
        (0.001, 0.0),
        (0.005, 0.0),
        (0.01, 0.0),
        (0.02, 0.0),
        (0.04, 0.0),
        (0.06, 0.0),
        (0.08, 0.0),
        (0.1, 0.0),
        (0.25, 0.0),
        (0.5, 0.0),
        (0.75, 7.0),
        (1.0, 7.0),
        (2.5, 8.0),
        (5.0, 8.0),
        (7.5, 8.0),
        (10.0, 8.0),
        (20.0, 16.0),
        (40.0, 16.0),
        (80.0, 16.0),
        (160.0, 16.0),
        (640.0, 16.0),
        (2560.0, 16.0),
        (INF, 16.0),
    ];
    assert_eq!(reading(&samples, "ttft"), &histogram(&ttft));
    let itl = [
        (0.01, 0.0),
        (0.025, 0.0),
        (0.05, 0.0),
        (0.075, 0.0),
        (0.1, 0.0),
        (0.15, 471.0),
        (0.2, 815.0),
        (0.3, 903.0),
        (0.4, 959.0),
        (0.5, 974.0),
        (0.75, 975.0),
        (1.0, 975.0),
        (2.5, 975.0),
        (5.0, 975.0),
        (7.5, 975.0),
        (10.0, 975.0),
        (20.0, 975.0),
        (40.0, 975.0),
        (80.0, 975.0),
        (INF, 975.0),
    ];
    assert_eq!(reading(&samples, "itl"), &histogram(&itl));
    for (signal, counts) in [("queue-time", [8.0, 8.0]), ("e2e-latency", [0.0, 8.0])] {
        let Reading::Histogram(found) = reading(&samples, signal) else { panic!("{signal}") };
        let (first, last) = (found.buckets[0], found.buckets[21]);
        assert_eq!((found.buckets.len(), first, last), (22, (0.3, counts[0]), (INF, counts[1])), "{signal}");
    }
}

#[test]
fn an_engine_that_speaks_as_vllm_gives_what_it_has() {
    let samples = engine("vllm", &fixture("dynamo-mocker-worker.load.prom"), &[]).unwrap();
    let got: Vec<&str> = samples.iter().map(|s| &*s.signal).collect();
    let want = ["queue-depth", "active-sequences", "kv-cache-usage", "preemptions", "ttft", "itl", "e2e-latency"];
    assert_eq!(got, want);
    assert_eq!(reading(&samples, "kv-cache-usage"), &Reading::Gauge(0.621_093_75));
    assert_eq!(reading(&samples, "queue-depth"), &Reading::Gauge(16.0));
}

#[test]
fn ray_serve_as_an_exposition_page() {
    let deployment = || owned(&[("application", "tiny"), ("deployment", "M")]);
    let queue = SignalSpec {
        labels: deployment(),
        across: Some(Across::Sum),
        ..signal("gateway-queue", "ray_serve_deployment_queued_queries")
    };
    let counter =
        SignalSpec { labels: deployment(), ..signal("gateway-requests", "ray_serve_deployment_request_counter_total") };
    let samples = page(&fixture("ray-serve.load.prom"), vec![queue, counter]).unwrap();
    assert_eq!(
        (&*samples[0].signal, &samples[0].labels, &samples[0].reading),
        ("gateway-queue", &Labels::new(), &Reading::Gauge(12.0))
    );
    assert_eq!((samples.len(), &samples[1].reading), (2, &Reading::Counter(18.0)));
    let names: Vec<&str> = samples[1].labels.iter().map(|(name, _)| name.as_str()).collect();
    let want = [
        "Component",
        "NodeAddress",
        "SessionName",
        "Version",
        "WorkerId",
        "application",
        "deployment",
        "otel_scope_name",
        "replica",
        "route",
    ];
    assert_eq!(names, want); // and not the two that are empty
    assert!(samples.iter().all(|s| s.origin == Origin::Query));
}

#[test]
fn several_ranks_and_models_of_one_page() {
    let body = b"\
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine=\"0\",model_name=\"a\"} 3
vllm:num_requests_waiting{engine=\"1\",model_name=\"a\"} 4
vllm:num_requests_waiting{engine=\"0\",model_name=\"b\"} 5
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"a\"} 0.5
vllm:kv_cache_usage_perc{engine=\"1\",model_name=\"a\"} 0.25
# TYPE vllm:request_success_total counter
vllm:request_success_total{engine=\"0\",finished_reason=\"stop\",model_name=\"a\"} 1
vllm:request_success_total{engine=\"1\",finished_reason=\"length\",model_name=\"a\"} 10
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{le=\"+Inf\",engine=\"0\",model_name=\"a\"} 4
vllm:time_to_first_token_seconds_bucket{engine=\"1\",model_name=\"a\",le=\"1\"} 10
vllm:time_to_first_token_seconds_bucket{le=\"1.0\",engine=\"0\",model_name=\"a\"} 2
vllm:time_to_first_token_seconds_bucket{le=\"0.5\",engine=\"0\",model_name=\"a\"} 1
vllm:time_to_first_token_seconds_bucket{engine=\"1\",model_name=\"a\",le=\"+Inf\"} 20
vllm:time_to_first_token_seconds_count{engine=\"0\",model_name=\"a\"} 4
";
    let a = owned(&[("model", "a")]);
    let b = owned(&[("model", "b")]);
    // The bound 0.5 is of one rank only: how many of the other's lie below it nobody knows.
    let rest = [
        ("kv-cache-usage", Reading::Gauge(0.375)),
        ("requests-completed", Reading::Counter(11.0)),
        ("ttft", histogram(&[(1.0, 12.0), (INF, 24.0)])),
    ];
    let mut want = vec![
        ("queue-depth".to_owned(), a.clone(), Reading::Gauge(7.0)),
        ("queue-depth".to_owned(), b.clone(), Reading::Gauge(5.0)),
    ];
    want.extend(rest.map(|(signal, reading)| (signal.to_owned(), a.clone(), reading)));
    assert_eq!(shown(&engine("vllm", body, &[]).unwrap()), want);
    want.remove(1);
    assert_eq!(shown(&engine("vllm", body, &[("model_name", "a")]).unwrap()), want);
    let only_b = engine("vllm", body, &[("model_name", "b")]).unwrap();
    assert_eq!(shown(&only_b), [("queue-depth".to_owned(), b, Reading::Gauge(5.0))]);
    let one_rank = engine("vllm", body, &[("model_name", "a"), ("engine", "1")]).unwrap();
    assert_eq!(reading(&one_rank, "ttft"), &histogram(&[(1.0, 10.0), (INF, 20.0)]));
}

/// Each trap of a page: what the preset for vLLM makes of `queue-depth`, `kv-cache-usage`, `output-tokens` and `ttft`.
#[test]
fn traps_of_engine_pages() {
    let gauge = |v| Some(Reading::Gauge(v));
    for (what, body, signal, want) in [
        (
            "the newer name wins, in any order",
            "vllm:gpu_cache_usage_perc 0.9\nvllm:kv_cache_usage_perc 0.5\n",
            "kv-cache-usage",
            gauge(0.5),
        ),
        ("the older name serves alone", "vllm:gpu_cache_usage_perc 0.9\n", "kv-cache-usage", gauge(0.9)),
        (
            "a newer name of another type does not hide the older",
            "# TYPE vllm:kv_cache_usage_perc counter\nvllm:kv_cache_usage_perc 5\nvllm:gpu_cache_usage_perc 0.9\n",
            "kv-cache-usage",
            gauge(0.9),
        ),
        (
            "a level declared a total is not read",
            "# TYPE vllm:num_requests_waiting counter\nvllm:num_requests_waiting 5\nvllm:num_requests_running 1\n",
            "queue-depth",
            None,
        ),
        (
            "a total declared a level is not read",
            "# TYPE vllm:generation_tokens_total gauge\nvllm:generation_tokens_total 5\nvllm:num_requests_running 1\n",
            "output-tokens",
            None,
        ),
        (
            "a total declared a histogram by its name is not read",
            "# TYPE vllm:generation_tokens_total histogram\nvllm:generation_tokens_total_bucket{le=\"+Inf\"} 5\n\
          vllm:num_requests_running 1\n",
            "output-tokens",
            None,
        ),
        (
            "untyped is read as what it should be",
            "# TYPE vllm:generation_tokens_total untyped\nvllm:generation_tokens_total 5\n",
            "output-tokens",
            Some(Reading::Counter(5.0)),
        ),
        (
            "the time of creation is not the total",
            "# TYPE vllm:generation_tokens_created gauge\nvllm:generation_tokens_created 1.7e9\nvllm:num_requests_running 1\n",
            "output-tokens",
            None,
        ),
        (
            "of two lines of one series the first counts",
            "vllm:num_requests_waiting{engine=\"0\",model_name=\"\"} 2\nvllm:num_requests_waiting{engine=\"0\"} 3\n",
            "queue-depth",
            gauge(2.0),
        ),
        (
            "labels may differ within a family",
            "vllm:num_requests_waiting 2\nvllm:num_requests_waiting{engine=\"1\"} 3\n",
            "queue-depth",
            gauge(5.0),
        ),
        (
            "a negative part is not hidden in the sum",
            "vllm:num_requests_waiting{engine=\"0\"} 9\nvllm:num_requests_waiting{engine=\"1\"} -1\n",
            "queue-depth",
            gauge(-1.0),
        ),
        (
            "nor an infinite one",
            "vllm:num_requests_waiting{engine=\"0\"} 9\nvllm:num_requests_waiting{engine=\"1\"} +Inf\n",
            "queue-depth",
            gauge(INF),
        ),
        (
            "what a GPU does not support is no reading",
            "vllm:num_requests_waiting 9223372036854775794\nvllm:num_requests_running 1\n",
            "queue-depth",
            None,
        ),
        (
            "a bucket without a bound spoils its histogram",
            "vllm:time_to_first_token_seconds_bucket{le=\"1\"} 1\nvllm:time_to_first_token_seconds_bucket 2\nvllm:num_requests_running 1\n",
            "ttft",
            None,
        ),
        (
            "so does one that is no number",
            "vllm:time_to_first_token_seconds_bucket{le=\"1\"} 1\nvllm:time_to_first_token_seconds_bucket{le=\"x\"} 2\nvllm:num_requests_running 1\n",
            "ttft",
            None,
        ),
        (
            "a histogram without buckets is none",
            "# TYPE vllm:time_to_first_token_seconds histogram\nvllm:time_to_first_token_seconds_count 2\nvllm:num_requests_running 1\n",
            "ttft",
            None,
        ),
        (
            "a summary of that name is no histogram",
            "# TYPE vllm:time_to_first_token_seconds summary\nvllm:time_to_first_token_seconds{quantile=\"0.5\"} 2\nvllm:num_requests_running 1\n",
            "ttft",
            None,
        ),
        (
            "two bounds of one number are one bucket",
            "vllm:time_to_first_token_seconds_bucket{le=\"1\"} 1\nvllm:time_to_first_token_seconds_bucket{le=\"1.0\"} 7\n",
            "ttft",
            Some(histogram(&[(1.0, 1.0)])),
        ),
    ] {
        let samples = engine("vllm", body.as_bytes(), &[]).unwrap_or_else(|e| panic!("{what}: {e}"));
        let got = samples.iter().find(|s| &*s.signal == signal).map(|s| s.reading.clone());
        assert_eq!(got, want, "{what}");
    }
    let nan = "vllm:num_requests_waiting{engine=\"0\"} 9\nvllm:num_requests_waiting{engine=\"1\"} NaN\n";
    let samples = engine("vllm", nan.as_bytes(), &[]).unwrap();
    assert!(matches!(samples[0].reading, Reading::Gauge(v) if v.is_nan()));
}

#[test]
fn openmetrics_says_the_same_of_an_engine() {
    let body = b"# TYPE vllm:generation_tokens counter\nvllm:generation_tokens_total 5 # {id=\"x\"} 1\n\
        vllm:generation_tokens_created 1.7e9\n# TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting 2\n# EOF\n";
    let spec = EngineSpec {
        preset: presets::find("vllm").unwrap(),
        path: "/metrics".into(),
        port: None,
        scheme: None,
        labels: Labels::new(),
        auth: None,
        tls: TlsSpec::default(),
    };
    let read = |body: &[u8]| {
        let content_type = Some("application/openmetrics-text; version=1.0.0; charset=utf-8");
        engine_samples(body, content_type, &spec, &Arc::from("p"), &Arc::from("r"), AT)
    };
    let samples = read(body).unwrap();
    assert_eq!((samples.len(), reading(&samples, "output-tokens")), (2, &Reading::Counter(5.0)));
    assert_eq!(read(&body[..body.len() - 6]).unwrap_err().code(), "parse");
}

#[test]
fn scale_applies_to_numbers_and_to_bounds() {
    use crate::presets::{Combine, Kind, Row};
    static SCALED: Preset = Preset {
        name: "scaled",
        path: "/metrics",
        model_label: None,
        rows: &[
            Row {
                signal: "kv-cache-usage",
                metrics: &["percent"],
                kind: Kind::Gauge,
                scale: 0.01,
                combine: Combine::Max,
            },
            Row { signal: "ttft", metrics: &["ms"], kind: Kind::Histogram, scale: 0.001, combine: Combine::Sum },
        ],
    };
    let body = b"percent{gpu=\"0\"} 50\npercent{gpu=\"1\"} 25\nms_bucket{le=\"500\"} 1\nms_bucket{le=\"+Inf\"} 2\n";
    let samples = with_preset(&SCALED, body, &[]).unwrap();
    assert_eq!(samples[0].reading, Reading::Gauge(0.5));
    assert_eq!(samples[1].reading, histogram(&[(0.5, 1.0), (INF, 2.0)]));
}

const PAGE: &str = "\
# TYPE q gauge
q{m=\"a\",z=\"1\"} 1
q{m=\"b\",a=\"2\"} 2
q{m=\"b\",a=\"3\"} 6
# TYPE c_total counter
c_total{m=\"a\"} 10
c_total{m=\"b\"} 20
# TYPE h histogram
h_bucket{m=\"a\",le=\"1\"} 1
h_bucket{m=\"a\",le=\"+Inf\"} 2
h_bucket{m=\"b\",le=\"1\"} 10
h_bucket{m=\"b\",le=\"+Inf\"} 20
h_sum{m=\"a\"} 3
h_count{m=\"a\"} 2
# TYPE s summary
s{quantile=\"0.5\"} 0.25
s_count 4
u 7
";

#[test]
fn signals_of_an_exposition_page() {
    let none = Labels::new;
    let m = |v: &str| owned(&[("m", v)]);
    let (gauge, counter) = (Reading::Gauge, Reading::Counter);
    let h = |a: f64| histogram(&[(1.0, a), (INF, 2.0 * a)]);
    for (metric, labels, within, across, want) in [
        (
            "q",
            none(),
            None,
            None,
            vec![
                (owned(&[("a", "2"), ("m", "b")]), gauge(2.0)),
                (owned(&[("a", "3"), ("m", "b")]), gauge(6.0)),
                (owned(&[("m", "a"), ("z", "1")]), gauge(1.0)),
            ],
        ),
        ("q", none(), None, Some(Across::Sum), vec![(none(), gauge(9.0))]),
        ("q", none(), Some(Within::Max), Some(Across::Mean), vec![(none(), gauge(3.0))]),
        ("q", none(), None, Some(Across::Max), vec![(none(), gauge(6.0))]),
        ("q", none(), None, Some(Across::Min), vec![(none(), gauge(1.0))]),
        ("q", none(), None, Some(Across::Percentile(50)), vec![(none(), gauge(2.0))]),
        ("q", none(), None, Some(Across::Percentile(99)), vec![(none(), gauge(6.0))]),
        ("q", m("b"), None, Some(Across::Sum), vec![(none(), gauge(8.0))]),
        ("q", owned(&[("m", "b"), ("a", "3")]), None, None, vec![(owned(&[("a", "3"), ("m", "b")]), gauge(6.0))]),
        ("q", owned(&[("z", "")]), None, Some(Across::Sum), vec![(none(), gauge(8.0))]),
        ("q", m("a"), Some(Within::Rate), None, vec![(owned(&[("m", "a"), ("z", "1")]), counter(1.0))]),
        ("c_total", none(), None, None, vec![(m("a"), counter(10.0)), (m("b"), counter(20.0))]),
        // A series that leaves the page must not look like a restart of all: totals and histograms are added as growth.
        ("c_total", none(), None, Some(Across::Sum), vec![(m("a"), counter(10.0)), (m("b"), counter(20.0))]),
        ("c_total", none(), Some(Within::Last), Some(Across::Sum), vec![(none(), gauge(30.0))]),
        ("h", none(), None, None, vec![(m("a"), h(1.0)), (m("b"), h(10.0))]),
        ("h", m("b"), Some(Within::Rate), Some(Across::Sum), vec![(m("b"), h(10.0))]),
        ("h_count", none(), None, None, vec![(m("a"), counter(2.0))]),
        ("h_sum", none(), None, None, vec![(m("a"), counter(3.0))]),
        ("s", none(), None, None, vec![(owned(&[("quantile", "0.5")]), gauge(0.25))]),
        ("s_count", none(), None, None, vec![(none(), counter(4.0))]),
        ("u", none(), None, None, vec![(none(), gauge(7.0))]),
        ("u", none(), Some(Within::Rate), Some(Across::Sum), vec![(none(), counter(7.0))]),
    ] {
        let asked = SignalSpec { name: "x".into(), metric: metric.into(), labels, within, across };
        let samples = page(PAGE.as_bytes(), vec![asked.clone()]).unwrap_or_else(|e| panic!("{asked:?}: {e}"));
        let got: Vec<(Labels, Reading)> = samples.into_iter().map(|s| (s.labels, s.reading)).collect();
        assert_eq!(got, want, "{asked:?}");
    }
}

#[test]
fn one_metric_may_be_several_signals() {
    let of =
        |name: &str, m: &str| SignalSpec { labels: owned(&[("m", m)]), across: Some(Across::Sum), ..signal(name, "q") };
    let samples = page(PAGE.as_bytes(), vec![of("x", "a"), of("y", "b"), of("z", "nobody")]).unwrap();
    let want =
        [("x".to_owned(), Labels::new(), Reading::Gauge(1.0)), ("y".to_owned(), Labels::new(), Reading::Gauge(8.0))];
    assert_eq!(shown(&samples), want);
}

#[test]
fn a_page_that_dates_its_samples_is_believed_but_not_about_the_future() {
    for (body, at) in [
        ("q 1\n", AT),
        ("q 1 400000\n", Time(400_000)),
        ("q 1 1000001\n", AT),
        ("q 1 -5\n", Time(0)),
        ("q{a=\"1\"} 1 400000\nq{a=\"2\"} 1\n", Time(400_000)),
    ] {
        let asked = SignalSpec { across: Some(Across::Sum), ..signal("x", "q") };
        assert_eq!(page(body.as_bytes(), vec![asked]).unwrap()[0].at, at, "{body:?}");
    }
}

#[test]
fn nothing_to_read_says_why() {
    let vllm = |body: &str, labels: &[(&str, &str)]| engine("vllm", body.as_bytes(), labels).unwrap_err();
    let looked = "none of vllm:num_requests_waiting, vllm:num_requests_running, vllm:kv_cache_usage_perc and 10 more is on the page; \
        is it a page of vllm?";
    let waiting = "vllm:num_requests_waiting{model_name=\"b\"} 1\n";
    for (error, text) in [
        (vllm("", &[]), looked),
        (vllm("up 1\n", &[]), looked),
        (
            vllm(waiting, &[("model_name", "a")]),
            "the page has vllm:num_requests_waiting, but no series with the labels of `match` (model_name=\"a\")",
        ),
        (
            vllm("# TYPE vllm:num_requests_running counter\nvllm:num_requests_running 1\n", &[]),
            "the page has vllm:num_requests_running, but of another type or without a usable value",
        ),
        (page(b"up 1\n", vec![signal("x", "q")]).unwrap_err(), "none of q is on the page; is it the right page?"),
        (
            page(PAGE.as_bytes(), vec![SignalSpec { labels: owned(&[("m", "c")]), ..signal("x", "q") }]).unwrap_err(),
            "the page has q, but no series with the labels of `match` (m=\"c\")",
        ),
        (
            page(b"q 9223372036854775794\n", vec![signal("x", "q")]).unwrap_err(),
            "the page has q, but of another type or without a usable value",
        ),
    ] {
        assert_eq!((error.code(), error.to_string().as_str()), ("no-metrics", text));
    }
    let llama = engine("llama-cpp", &fixture("vllm-cpu.load.prom"), &[]).unwrap_err();
    assert_eq!(llama.code(), "no-metrics");
    for (body, content_type, code) in [
        (&b"<html>"[..], None, "not-metrics"),
        (b"q 1\n", Some("text/html"), "not-metrics"),
        (b"{\"error\": 1}", None, "not-metrics"),
        (b"q 1\nbad line here\n", None, "parse"),
        (b"q 1\n", Some("application/openmetrics-text"), "parse"),
    ] {
        let url = "http://127.0.0.1/".parse().unwrap();
        let spec = ExpositionSpec { url, signals: vec![signal("x", "q")], auth: None, tls: TlsSpec::default() };
        assert_eq!(page_samples(body, content_type, &spec, AT).unwrap_err().code(), code, "{body:?}");
    }
}

#[test]
fn a_page_gives_a_bounded_number_of_bounded_samples() {
    let lines = |n: usize| (0..n).map(|i| format!("q{{i=\"{i}\"}} 1\n")).collect::<Vec<_>>().concat();
    let read = |body: &str, across| page(body.as_bytes(), vec![SignalSpec { across, ..signal("x", "q") }]);
    assert_eq!(read(&lines(1000), None).unwrap().len(), 1000);
    assert_eq!(read(&lines(1001), None).unwrap_err(), PageError::TooManySamples { signal: "x".into() });
    assert_eq!(read(&lines(20_000), Some(Across::Sum)).unwrap()[0].reading, Reading::Gauge(20_000.0));
    assert_eq!(read(&lines(20_001), Some(Across::Sum)).unwrap_err(), PageError::TooManySeries { limit: 20_000 });

    let long = |n: usize| format!("q{{v=\"{}\"}} 1\n", "x".repeat(n));
    let many = |n: usize| {
        let labels: Vec<String> = (0..n).map(|i| format!("l{i}=\"1\"")).collect();
        format!("q{{{}}} 1\n", labels.join(","))
    };
    for (body, fits) in [
        (long(256), true),
        (long(257), false),
        (many(32), true),
        (many(33), false),
        (format!("q{{{}=\"1\"}} 1\n", "n".repeat(257)), false),
        ("q{v=\"".to_owned() + &"\u{1b}".repeat(100) + "\"} 1\n", false),
    ] {
        let got = read(&body, None);
        assert_eq!(
            got.as_ref().map_or_else(PageError::code, |_| "ok"),
            if fits { "ok" } else { "too-large" },
            "{body:?}"
        );
        assert!(read(&body, Some(Across::Sum)).is_ok(), "labels that are merged away do not count");
    }
    let samples = read("q{v=\"a\\nb\u{202e}c\"} 1\n", None).unwrap();
    assert_eq!(samples[0].labels, owned(&[("v", "a\\nb\\u{202e}c")]));
}

proptest! {
    #[test]
    fn no_page_panics_and_every_answer_is_bounded(
        lines in proptest::collection::vec(
            "(# TYPE )?(vllm:num_requests_waiting|vllm:time_to_first_token_seconds_bucket|q)( gauge|(\\{(le|a)=\"[0-9.]{0,3}\"\\})? (NaN|-?[0-9]{1,3}|\\+Inf)( [0-9])?)",
            0..20,
        )
    ) {
        let body = lines.join("\n");
        let samples = engine("vllm", body.as_bytes(), &[]).unwrap_or_default();
        prop_assert!(samples.len() <= 2);
        let samples = page(body.as_bytes(), vec![signal("x", "q"), signal("y", "vllm:time_to_first_token_seconds")]);
        prop_assert!(samples.unwrap_or_default().len() <= 40);
    }
}
