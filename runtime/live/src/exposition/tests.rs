#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// Name, labels, value, timestamp and declared type of every sample.
type Sampled = (String, Vec<(String, String)>, f64, Option<i64>, Declared);

fn read(body: &[u8], format: Format) -> Result<Vec<Sampled>, ExpositionError> {
    read_within(body, format, &Limits::default())
}

fn read_within(body: &[u8], format: Format, limits: &Limits) -> Result<Vec<Sampled>, ExpositionError> {
    let mut samples = Vec::new();
    let summary = parse(body, format, limits, &|_| true, &mut |line| {
        let labels = line.labels.iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        samples.push((line.name.into_owned(), labels, line.value, line.timestamp, line.declared));
    })?;
    assert_eq!(summary.samples, samples.len());
    Ok(samples)
}

fn labels(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn one_line_of_text() {
    let inf = f64::INFINITY;
    for (line, name, pairs, value, timestamp) in [
        ("a 1", "a", &[][..], 1.0, None),
        ("vllm:num_requests_waiting 2.0", "vllm:num_requests_waiting", &[], 2.0, None),
        (" \ta \t1 \t", "a", &[], 1.0, None),
        ("a{} 1", "a", &[], 1.0, None),
        ("a{}1", "a", &[], 1.0, None),
        ("a { } 1", "a", &[], 1.0, None),
        ("a{b=\"c\"} 1", "a", &[("b", "c")], 1.0, None),
        ("a{b=\"c\",} 1", "a", &[("b", "c")], 1.0, None),
        ("a{ b = \"c\" ,\td = \"\" , }\t1", "a", &[("b", "c"), ("d", "")], 1.0, None),
        ("a{b=\"}\",c=\"x,y\",d=\"#{=\"} 1", "a", &[("b", "}"), ("c", "x,y"), ("d", "#{=")], 1.0, None),
        (r#"a{b="\\ \" \n \t"} 1"#, "a", &[("b", "\\ \" \n \\t")], 1.0, None),
        (r#"a{b="\\"} 1"#, "a", &[("b", "\\")], 1.0, None),
        ("a{b=\"größe 模型\"} 1", "a", &[("b", "größe 模型")], 1.0, None),
        (r#"a{b="\ü"} 1"#, "a", &[("b", "\\ü")], 1.0, None),
        ("{\"my.metric\"} 1", "my.metric", &[], 1.0, None),
        ("{\"my.metric\",a=\"b\"} 1", "my.metric", &[("a", "b")], 1.0, None),
        ("{a=\"b\",\"my.metric\"} 1", "my.metric", &[("a", "b")], 1.0, None),
        (r#"{"my \"metric\"","my label"="b"} 1"#, "my \"metric\"", &[("my label", "b")], 1.0, None),
        ("a{\"b\"=\"c\"} 1", "a", &[("b", "c")], 1.0, None),
        ("a 1 1795453510424", "a", &[], 1.0, Some(1_795_453_510_424)),
        ("a 1 -5", "a", &[], 1.0, Some(-5)),
        ("a +Inf", "a", &[], inf, None),
        ("a Inf", "a", &[], inf, None),
        ("a -Inf", "a", &[], -inf, None),
        ("a -infinity", "a", &[], -inf, None),
        ("a 1.795453510424188e+09", "a", &[], 1_795_453_510.424_188, None),
        ("a .5", "a", &[], 0.5, None),
        ("a 5.", "a", &[], 5.0, None),
        ("a +5E-1", "a", &[], 0.5, None),
        ("a 9223372036854775794", "a", &[], 9_223_372_036_854_775_808.0, None),
    ] {
        let got = read(line.as_bytes(), Format::Text);
        assert_eq!(got, Ok(vec![(name.into(), labels(pairs), value, timestamp, Declared::Untyped)]), "{line:?}");
    }
    for nan in ["a NaN", "a nan", "a{b=\"c\"} NAN 5"] {
        assert!(read(nan.as_bytes(), Format::Text).unwrap()[0].2.is_nan(), "{nan:?}");
    }
}

#[test]
fn text_that_holds_no_sample() {
    for page in [
        "",
        "\n",
        " \t\n\n",
        "#",
        "# \n",
        "#x",
        "#TYPE a nonsense",
        "# a comment",
        "# EOF\n",
        "# HELP",
        "# HELP \n",
        "# TYPE ",
        "# HELP a",
        "# HELP a with {\"text\"} \\ \r",
        "# TYPE a gauge",
        "#\tTYPE\ta\tgauge\t",
        "# TYPE \"my.a\" counter",
        "# UNIT a seconds",
    ] {
        assert_eq!(read(page.as_bytes(), Format::Text), Ok(Vec::new()), "{page:?}");
    }
}

#[test]
fn a_malformed_line_is_named_with_its_place() {
    for (page, line, column, found) in [
        ("a 1\nb\n", 2, 2, "the end of the line"),
        ("a 1\nb{c=\"d\"\n", 2, 8, "the end of the line"),
        ("ä 1", 1, 1, "ä 1"),
        ("a{b=\"ä\" c} 1", 1, 9, "c} 1"),
        ("a-1", 1, 2, "-1"),
        ("1a 1", 1, 1, "1a 1"),
        ("a 0x1F", 1, 3, "0x1F"),
        ("a 0x1p4", 1, 3, "0x1p4"),
        ("a 1_000", 1, 3, "1_000"),
        ("a 1e999", 1, 3, "1e999"),
        ("a -nan", 1, 3, "-nan"),
        ("a +NaN", 1, 3, "+NaN"),
        ("a one", 1, 3, "one"),
        ("a 1 2.5", 1, 5, "2.5"),
        ("a 1 9223372036854775808", 1, 5, "9223372036854775808"),
        ("a 1 2 3", 1, 7, "3"),
        ("a 1 # {b=\"c\"} 1", 1, 5, "# {b=\"c\"} 1"),
        ("a 1\r\n", 1, 4, "\\r"),
        ("\u{feff}a 1", 1, 1, "\\u{feff}a 1"),
        ("a{,} 1", 1, 3, ",} 1"),
        ("a{b=\"c\",,} 1", 1, 9, ",} 1"),
        ("a{b=\"c\"\td=\"e\"} 1", 1, 9, "d=\"e\"} 1"),
        ("a{b=c} 1", 1, 5, "c} 1"),
        ("a{b} 1", 1, 4, "} 1"),
        ("a{b:c=\"d\"} 1", 1, 4, ":c=\"d\"} 1"),
        ("a{b=\"c} 1", 1, 5, "\"c} 1"),
        ("a{b=\"c\\", 1, 5, "\"c\\"),
        ("a{b=\"c\nd\"} 1", 1, 5, "\"c"),
        ("a{b=\"1\",c=\"2\",b=\"3\"} 1", 1, 15, "b=\"3\"} 1"),
        ("a{c=\"1\",b=\"2\",c=\"3\"} 1", 1, 15, "c=\"3\"} 1"),
        ("a{__name__=\"b\"} 1", 1, 3, "__name__=\"b\"} 1"),
        ("a{\"b\"} 1", 1, 2, "{\"b\"} 1"),
        ("x 1\n{a=\"b\"} 1", 2, 1, "{a=\"b\"} 1"),
        ("x 1\n{\"a\",\"b\"} 1", 2, 6, "\"b\"} 1"),
        ("x 1\n{\"\"} 1", 2, 2, "\"\"} 1"),
        ("# TYPE a nonsense", 1, 9, " nonsense"),
        ("# TYPE a", 1, 9, "the end of the line"),
        ("# TYPE a gauge\r", 1, 9, " gauge\\r"),
        ("# TYPE a unknown", 1, 9, " unknown"),
        ("# TYPE 1a gauge", 1, 8, "1a gauge"),
        ("# HELP 1a gauge", 1, 8, "1a gauge"),
        ("a\0 1", 1, 2, "\\u{0} 1"),
    ] {
        match read(page.as_bytes(), Format::Text) {
            Err(ExpositionError::Malformed { line: l, column: c, excerpt, .. }) => {
                assert_eq!((l, c, excerpt.as_str()), (line, column, found), "{page:?}");
            }
            other => panic!("{page:?}: {other:?}"),
        }
    }
}

#[test]
fn the_message_says_where_and_what() {
    let error = read(b"a 1\na{b=\"\x1b[31m\n", Format::Text).unwrap_err();
    let text = "line 2, column 5: expected a quoted text with its closing quote, found \"\"\\u{1b}[31m\"";
    assert_eq!((error.to_string().as_str(), error.code()), (text, "parse"));
    let error = read(format!("a{{b=\"{}", "x".repeat(1000)).as_bytes(), Format::Text).unwrap_err();
    assert!(error.to_string().len() < 200);
}

#[test]
fn openmetrics_lines() {
    let inf = f64::INFINITY;
    for (line, name, pairs, value, timestamp) in [
        ("a 1", "a", &[][..], 1.0, None),
        ("a{} 1", "a", &[], 1.0, None),
        ("a{b=\"c\",} 1", "a", &[("b", "c")], 1.0, None),
        ("{\"my.metric\",a=\"b\"} 1", "my.metric", &[("a", "b")], 1.0, None),
        ("a 1 1795453510.424", "a", &[], 1.0, Some(1_795_453_510_424)),
        ("a 1 -1.5", "a", &[], 1.0, Some(-1500)),
        ("a 1 # {} 5", "a", &[], 1.0, None),
        ("a_bucket{le=\"+Inf\"} 1 # {id=\"} # {\"} 0.5 1.5", "a_bucket", &[("le", "+Inf")], 1.0, None),
        ("a{b=\"c\"} +Inf 2 # {id=\"x\"} 0.5", "a", &[("b", "c")], inf, Some(2000)),
    ] {
        let page = format!("{line}\n# EOF\n");
        let got = read(page.as_bytes(), Format::OpenMetrics);
        assert_eq!(got, Ok(vec![(name.into(), labels(pairs), value, timestamp, Declared::Untyped)]), "{line:?}");
    }
    for page in [
        "# EOF",
        "# EOF\n",
        "# HELP a text\n# TYPE a gauge\n# UNIT a \n# EOF\n",
        "# HELP a\n# EOF",
        "# UNIT a_seconds seconds\n# EOF\n",
    ] {
        assert_eq!(read(page.as_bytes(), Format::OpenMetrics), Ok(Vec::new()), "{page:?}");
    }
}

#[test]
fn openmetrics_is_strict() {
    for (page, line, column) in [
        ("\n# EOF\n", 1, 1),
        ("# a comment\n# EOF\n", 1, 1),
        ("#EOF\n", 1, 1),
        (" a 1\n# EOF\n", 1, 1),
        ("a  1\n# EOF\n", 1, 3),
        ("a\t1\n# EOF\n", 1, 2),
        ("a{b=\"c\"}1\n# EOF\n", 1, 9),
        ("a {b=\"c\"} 1\n# EOF\n", 1, 3),
        ("a{b=\"c\", d=\"e\"} 1\n# EOF\n", 1, 9),
        ("a 1 \n# EOF\n", 1, 5),
        ("a 1 x\n# EOF\n", 1, 5),
        ("a 1 NaN\n# EOF\n", 1, 5),
        ("a 1 1 1\n# EOF\n", 1, 7),
        ("a 1 # {b=\"c\"}\n# EOF\n", 1, 5),
        ("a 1 # {\"b\"} 1\n# EOF\n", 1, 5),
        ("a 1 # {b=\"c\"} x\n# EOF\n", 1, 15),
        ("a 1 # {b=\"c\"} 1 x\n# EOF\n", 1, 17),
        ("# TYPE a untyped\n# EOF\n", 1, 9),
        ("# TYPE a gauge \n# EOF\n", 1, 9),
        ("# UNIT a seconds\n# EOF\n", 1, 9),
        ("# UNIT seconds seconds\n# EOF\n", 1, 15),
        ("# EOF\n\n", 2, 1),
        ("# EOF\na 1\n", 2, 1),
        ("# EOF\n# EOF\n", 2, 1),
    ] {
        match read(page.as_bytes(), Format::OpenMetrics) {
            Err(ExpositionError::Malformed { line: l, column: c, .. }) => {
                assert_eq!((l, c), (line, column), "{page:?}");
            }
            other => panic!("{page:?}: {other:?}"),
        }
    }
    for cut in ["", "a 1", "a 1\n", "# TYPE a gauge\na 1\n"] {
        let error = read(cut.as_bytes(), Format::OpenMetrics).unwrap_err();
        assert!(matches!(error, ExpositionError::Truncated { .. }), "{cut:?}: {error:?}");
        assert_eq!(error.code(), "parse");
    }
}

#[test]
fn the_type_is_what_the_page_declares() {
    use Declared::{Counter, Gauge, Histogram, Summary, Untyped};
    let page = "early 1\n\
        # TYPE early gauge\n\
        # TYPE vllm:iteration_tokens_total histogram\n\
        vllm:iteration_tokens_total_bucket{le=\"1\"} 1\n\
        vllm:iteration_tokens_total_count 1\n\
        # TYPE nv_inference_request_success counter\n\
        nv_inference_request_success 1\n\
        # TYPE level_total gauge\n\
        level_total 1\n\
        alone_total 1\n\
        vllm:iteration_tokens_total_sum 1\n\
        # TYPE rpc summary\n\
        rpc{quantile=\"0.5\"} 1\n\
        rpc_sum 1\n\
        rpc_bucket 1\n\
        # TYPE level gauge\n\
        level_count 1\n\
        # TYPE late counter\n\
        late 1\n\
        # TYPE late gauge\n\
        late 1\n\
        early 1\n";
    let got: Vec<Declared> = read(page.as_bytes(), Format::Text).unwrap().into_iter().map(|s| s.4).collect();
    let want = [
        Untyped, Histogram, Histogram, Counter, Gauge, Untyped, Histogram, Summary, Summary, Untyped, Untyped, Counter,
        Gauge, Gauge,
    ];
    assert_eq!(got, want);

    let page = "# TYPE a counter\na_total 1\na_created 1\n# TYPE b info\nb_info 1\n# TYPE c stateset\nc{c=\"x\"} 1\n\
        # TYPE d gaugehistogram\nd_bucket{le=\"1\"} 1\nd_gsum 1\n# TYPE e unknown\ne 1\n# EOF\n";
    let got: Vec<Declared> = read(page.as_bytes(), Format::OpenMetrics).unwrap().into_iter().map(|s| s.4).collect();
    let want = [
        Counter,
        Untyped,
        Declared::Info,
        Declared::StateSet,
        Declared::GaugeHistogram,
        Declared::GaugeHistogram,
        Untyped,
    ];
    assert_eq!(got, want);
}

#[test]
fn formats_by_content_type() {
    for (content_type, format) in [
        (None, Format::Text),
        (Some(""), Format::Text),
        (Some("text/plain; version=0.0.4; charset=utf-8"), Format::Text),
        (Some("application/octet-stream"), Format::Text),
        (Some("application/openmetrics-text; version=1.0.0; charset=utf-8"), Format::OpenMetrics),
        (Some("Application/OpenMetrics-Text;version=1.0.0"), Format::OpenMetrics),
    ] {
        assert_eq!(Format::of_content_type(content_type), Ok(format), "{content_type:?}");
    }
    for content_type in [
        "text/html",
        "text/html; charset=utf-8",
        "application/json",
        "application/problem+json",
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily",
        "image/png",
        "text/xml",
    ] {
        assert_eq!(Format::of_content_type(Some(content_type)).unwrap_err().code(), "not-metrics", "{content_type:?}");
    }
}

#[test]
fn other_bodies_are_no_metrics() {
    for body in
        ["<!doctype html>", "\n <html>", "<?xml ?>", "[1]", "[]", "{}", "{\"status\": \"ok\"}", " {\n \"a\": 1}", "{"]
    {
        let error = read(body.as_bytes(), Format::Text).unwrap_err();
        assert_eq!(error.code(), "not-metrics", "{body:?}: {error}");
    }
    // After a first good sample it is a page of metrics with a bad line.
    assert_eq!(read(b"{\"a\"} 1\n{}\n", Format::Text).unwrap_err().code(), "parse");
    let error = read(b"a 1\nb{c=\"\xff\"} 1\n", Format::Text).unwrap_err();
    assert_eq!(error, ExpositionError::NotUtf8 { line: 2 });
    assert_eq!(read(b"\xff", Format::Text), Err(ExpositionError::NotUtf8 { line: 1 }));
    assert_eq!(read(b"a 1\n\xff", Format::Text), Err(ExpositionError::NotUtf8 { line: 2 }));
}

#[test]
fn each_limit_has_its_own_error() {
    let limits = Limits { bytes: 60, line_bytes: 40, labels: 2, samples: 3, families: 1 };
    for (page, want) in [
        ("a 1\n".repeat(16), ExpositionError::TooManyBytes { bytes: 64, limit: 60 }),
        (format!("a 1\n# HELP a {}", "x".repeat(40)), ExpositionError::LineTooLong { line: 2, limit: 40 }),
        ("a{b=\"\",c=\"\",d=\"\"} 1\n".into(), ExpositionError::TooManyLabels { line: 1, limit: 2 }),
        ("a 1\n".repeat(4), ExpositionError::TooManySamples { limit: 3 }),
        ("# TYPE a gauge\n".repeat(2), ExpositionError::TooManyFamilies { limit: 1 }),
    ] {
        assert_eq!(want.code(), "too-large");
        assert_eq!(read_within(page.as_bytes(), Format::Text, &limits), Err(want), "{page:?}");
    }
    let just = "# TYPE a gauge\na{b=\"\",c=\"\"} 1\na 1\na 1\n";
    assert_eq!(read_within(just.as_bytes(), Format::Text, &limits).unwrap().len(), 3);
}

#[test]
fn only_wanted_samples_are_shown_and_every_line_is_checked() {
    let page = b"a 1\nb{c=\"d\"} 2\na 3\n";
    let mut seen = Vec::new();
    let wanted = |name: &str| name == "a";
    let summary = parse(page, Format::Text, &Limits::default(), &wanted, &mut |line| seen.push(line.value)).unwrap();
    assert_eq!((seen, summary.samples), (vec![1.0, 3.0], 3));
    let bad = b"a 1\nb{c=} 2\n";
    assert!(parse(bad, Format::Text, &Limits::default(), &wanted, &mut |_| ()).is_err());
}

#[test]
fn nothing_is_copied_without_an_escape() {
    let page = br#"a{b="plain",c="esc\"aped"} 1"#;
    let mut borrowed = Vec::new();
    parse(page, Format::Text, &Limits::default(), &|_| true, &mut |line| {
        borrowed.push(matches!(line.name, Cow::Borrowed(_)));
        borrowed.extend(line.labels.iter().map(|(_, value)| matches!(value, Cow::Borrowed(_))));
        assert_eq!(line.labels.get("c").as_deref(), Some("esc\"aped"));
        assert_eq!(line.labels.get("d"), None);
    })
    .unwrap();
    assert_eq!(borrowed, [true, true, false]);
}

/// A sample as it is written on a page.
#[derive(Debug, Clone)]
struct Written {
    name: String,
    quoted: bool,
    labels: Vec<(String, String)>,
    value: f64,
    timestamp: Option<i32>,
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl Written {
    fn line(&self, format: Format) -> String {
        let mut items: Vec<String> =
            self.labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let name = if self.quoted {
            items.insert(items.len() / 2, format!("\"{}\"", escape(&self.name)));
            ""
        } else {
            &self.name
        };
        let braces = if items.is_empty() { String::new() } else { format!("{{{}}}", items.join(",")) };
        let value = if self.value.is_infinite() { format!("{:+}", self.value) } else { self.value.to_string() };
        let timestamp = match (self.timestamp, format) {
            (None, _) => String::new(),
            (Some(ms), Format::Text) => format!(" {ms}"),
            (Some(ms), Format::OpenMetrics) => format!(" {}", f64::from(ms) / 1000.0),
        };
        format!("{name}{braces} {value}{timestamp}\n")
    }
}

fn written() -> impl Strategy<Value = Written> {
    // Any text, and text of what has a meaning on a page.
    let value = prop_oneof![any::<String>(), "[n\\\\\"\n}{,=# ü]{0,8}"];
    let labels = proptest::collection::btree_map("[a-zA-Z][a-zA-Z0-9_]{0,8}", value, 0..5)
        .prop_map(|map| map.into_iter().collect::<Vec<_>>())
        .prop_shuffle();
    let name = prop_oneof![
        "[a-zA-Z_:][a-zA-Z0-9_:]{0,20}".prop_map(|name| (name, false)),
        any::<String>().prop_map(|name| (format!("x{name}"), true)),
    ];
    (name, labels, any::<f64>(), proptest::option::of(any::<i32>()))
        .prop_map(|((name, quoted), labels, value, timestamp)| Written { name, quoted, labels, value, timestamp })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..200), strict in any::<bool>()) {
        let _ = read(&body, if strict { Format::OpenMetrics } else { Format::Text });
    }

    #[test]
    fn text_of_the_alphabet_never_panics(body in "[a{}\",=\\\\ \t\n#\r1.eNä:_]{0,60}", strict in any::<bool>()) {
        let _ = read(body.as_bytes(), if strict { Format::OpenMetrics } else { Format::Text });
    }

    #[test]
    fn a_written_page_reads_back(samples in proptest::collection::vec(written(), 0..8), strict in any::<bool>()) {
        let format = if strict { Format::OpenMetrics } else { Format::Text };
        let mut page: String = samples.iter().map(|s| s.line(format)).collect();
        if strict {
            page.push_str("# EOF\n");
        }
        let got = read(page.as_bytes(), format).unwrap();
        prop_assert_eq!(got.len(), samples.len());
        for (got, want) in got.iter().zip(&samples) {
            prop_assert_eq!((&got.0, &got.1), (&want.name, &want.labels));
            prop_assert!(got.2 == want.value || (got.2.is_nan() && want.value.is_nan()));
            let off = got.3.unwrap_or(0).abs_diff(i64::from(want.timestamp.unwrap_or(0)));
            prop_assert!(got.3.is_some() == want.timestamp.is_some() && off <= u64::from(strict));
        }
    }

    #[test]
    fn a_cut_page_panics_nowhere(samples in proptest::collection::vec(written(), 1..4), at in any::<prop::sample::Index>()) {
        let page: String = samples.iter().map(|s| s.line(Format::OpenMetrics)).collect();
        let cut = &page.as_bytes()[..at.index(page.len())];
        let _ = read(cut, Format::Text);
        prop_assert!(read(cut, Format::OpenMetrics).is_err());
    }
}
