//! Our exposition parser against others: Python's prometheus_client for samples, promtool for what is a page at all.
//!
//! `TRIMTAB_TEST_PYTHON` names a Python with the packages of `tests/requirements.txt`; `promtool` is looked for on the
//! PATH. Without them the tests say so and pass, but under `CI=true` they fail.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use trimtab_live::exposition::{ExpositionError, Format, Limits, parse};

/// Name, labels, and the number in a form that orders and compares NaN too.
type Sampled = (String, BTreeMap<String, String>, String);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Says that something is missing; a failure where everything is supposed to be there.
#[allow(clippy::print_stdout)] // the line is for whoever reads the test's output
fn skip(missing: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI=true, but {missing}");
    println!("skipped: {missing}");
}

fn number(value: f64) -> String {
    if value.is_nan() { "NaN".to_owned() } else { format!("{value:?}") }
}

fn ours(page: &str, format: Format) -> Result<Vec<Sampled>, ExpositionError> {
    let mut samples = Vec::new();
    parse(page.as_bytes(), format, &Limits::default(), &|_| true, &mut |line| {
        let labels = line.labels.iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        samples.push((line.name.into_owned(), labels, number(line.value)));
    })?;
    samples.sort();
    Ok(samples)
}

/// What prometheus_client makes of each page; none: there is no Python to ask.
fn prometheus_client(pages: &[(String, Format)]) -> Option<Vec<Result<Vec<Sampled>, String>>> {
    let Ok(python) = std::env::var("TRIMTAB_TEST_PYTHON") else {
        skip("TRIMTAB_TEST_PYTHON names no Python with the packages of tests/requirements.txt");
        return None;
    };
    let mut child = Command::new(python)
        .arg(root().join("tests/oracle/exposition.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let questions: Vec<String> = pages
        .iter()
        .map(|(page, format)| {
            // The client renames counters; with our names it can say which of them the page really has.
            let names: Vec<String> = ours(page, *format).unwrap_or_default().into_iter().map(|s| s.0).collect();
            let format = if *format == Format::Text { "text" } else { "openmetrics" };
            serde_json::json!({"page": page, "format": format, "names": names}).to_string()
        })
        .collect();
    let writer = std::thread::spawn(move || questions.iter().all(|q| writeln!(input, "{q}").is_ok()));
    let answers = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(|line| {
            let answer: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            if let Some(error) = answer["error"].as_str() {
                return Err(error.to_owned());
            }
            let samples: Vec<Sampled> = serde_json::from_value(answer["samples"].clone()).unwrap();
            let mut samples: Vec<Sampled> = samples
                .into_iter()
                .map(|(name, labels, value)| (name, labels, number(value.parse().unwrap())))
                .collect();
            samples.sort();
            Ok(samples)
        })
        .collect();
    assert!(writer.join().unwrap() && child.wait().unwrap().success(), "the oracle ended early");
    Some(answers)
}

fn assert_same_samples(pages: &[(String, Format)]) {
    let Some(theirs) = prometheus_client(pages) else { return };
    assert_eq!(theirs.len(), pages.len());
    for ((page, format), theirs) in pages.iter().zip(theirs) {
        match (ours(page, *format), theirs) {
            (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{format:?}\n{page}"),
            (ours, theirs) => panic!("{format:?}\n{page}\nours: {ours:?}\ntheirs: {theirs:?}"),
        }
    }
}

fn fixtures() -> Vec<(String, String)> {
    let folder = std::fs::read_dir(root().join("tests/fixtures/metrics")).unwrap();
    let pages = folder.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "prom"));
    pages.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn captured_pages_hold_the_same_samples() {
    let pages: Vec<_> = fixtures().into_iter().map(|(_, page)| (page, Format::Text)).collect();
    assert!(pages.len() >= 10);
    assert_same_samples(&pages);
}

/// A small generator with a state of its own, so that every run asks the same pages.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.roll(choices.len())]
    }

    /// A page as a server writes it: families with a type or without, and samples with all that labels may hold.
    fn page(&mut self) -> String {
        let mut page = String::new();
        for family in 0..self.roll(5) {
            let name = format!("{}{family}", self.one_of(&["vllm:x_", "a", "_b:", "c_total_", "D9_"]));
            let kind = self.one_of(&["", "gauge", "counter", "untyped", "histogram", "summary"]);
            if !kind.is_empty() {
                let help = self.one_of(&["", "\\\\", "\"}\" {", "ä"]);
                page.extend(["# HELP ", &name, " some ", help, " text\n# TYPE ", &name, " ", kind, "\n"]);
            }
            for index in 0..self.roll(4) {
                let suffix = match kind {
                    "histogram" => self.one_of(&["_bucket", "_sum", "_count"]),
                    "summary" => self.one_of(&["", "_sum", "_count"]),
                    _ => "",
                };
                let mut labels = vec![format!("i=\"{index}\"")];
                for label in 0..self.roll(4) {
                    let value: String = (0..self.roll(6)).map(|_| self.one_of(&PIECES)).collect();
                    let gap = self.one_of(&["", "", " "]);
                    labels.push(format!("l{label}{gap}={gap}\"{value}\""));
                }
                if index == 0 && self.roll(2) == 0 {
                    labels.clear();
                }
                let comma = if labels.is_empty() { "" } else { self.one_of(&["", ","]) };
                let braces = format!("{{{}{comma}}}", labels.join(self.one_of(&[",", ", "])));
                let braces = if labels.is_empty() && self.roll(2) == 0 { String::new() } else { braces };
                let value = self.one_of(&NUMBERS);
                let timestamp = self.one_of(&["", "", " 1795453510424"]);
                let gap = self.one_of(&[" ", "  ", "\t"]);
                page.extend([&name, suffix, &braces, gap, value, timestamp, "\n"]);
            }
            page += self.one_of(&["", "", "\n", "# a comment {with=\"braces\"} 1\n"]);
        }
        page
    }
}

/// What label values are made of, as it is written.
const PIECES: [&str; 16] =
    ["a", "0", " ", "}", "{", ",", "=", "#", "\\\\", "\\\"", "\\n", "ü", "模", "'", "\\\\\\\"", " # "];

const NUMBERS: [&str; 12] = [
    "0",
    "1",
    "-1",
    "2.5",
    "1.795453510424188e+09",
    "NaN",
    "+Inf",
    "-Inf",
    "1e-300",
    ".5",
    "5.",
    "9223372036854775794",
];

#[test]
fn generated_pages_hold_the_same_samples() {
    let mut dice = Dice(20_261_123);
    let pages: Vec<_> = (0..400).map(|_| (dice.page(), Format::Text)).collect();
    assert!(pages.iter().any(|(page, _)| page.contains("\\\\\\\"")));
    assert_same_samples(&pages);
}

#[test]
fn quoted_names_hold_the_same_samples() {
    let pages = [
        "{\"my.metric\"} 1\n",
        "{\"my.metric\",a=\"b\"} 1\n",
        "# TYPE \"my.metric\" counter\n{\"my.metric\",\"my.label\"=\"}\"} 1\n",
        "{\"with \\\"quotes\\\" and \\\\\",a=\"b\"} 1\n",
    ];
    assert_same_samples(&pages.map(|page| (page.to_owned(), Format::Text)));
}

#[test]
fn openmetrics_pages_hold_the_same_samples() {
    let pages = [
        "# EOF\n",
        "a 1\n# EOF\n",
        "# TYPE a counter\n# HELP a help\na_total 1\na_created 1.5\n# EOF\n",
        "# TYPE a counter\na_total{b=\"}\"} 1 1795453510.424 # {id=\"} # {\"} 0.5 1795453510.1\n# EOF\n",
        "# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds{b=\"\\\\ \\\" \\n\"} -0.5\na_seconds{b=\"#\"} NaN\n# EOF\n",
        "# TYPE h histogram\nh_bucket{le=\"1.0\"} 1 # {} 0.5\nh_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 3\nh_created 1\n# EOF\n",
        "# TYPE s summary\ns{quantile=\"0.5\"} 0.25\ns_count 4\ns_sum 1\n# EOF\n",
        "# TYPE i info\ni_info{v=\"1\"} 1\n# TYPE e stateset\ne{e=\"on\"} 1\ne{e=\"off\"} 0\n# TYPE u unknown\nu 1\n# EOF\n",
    ];
    assert_same_samples(&pages.map(|page| (page.to_owned(), Format::OpenMetrics)));
}

/// Both refuse. The client is stricter elsewhere (the order of families, what a counter's samples are called).
#[test]
fn openmetrics_pages_that_both_refuse() {
    let pages = [
        "",
        "a 1\n",
        "a 1\n# EOF\nb 1\n",
        "# EOF\n\n",
        "a  1\n# EOF\n",
        "a\t1\n# EOF\n",
        "a 1 \n# EOF\n",
        "a{b=\"c\n\"} 1\n# EOF\n",
        "a{b=\"c\"}1\n# EOF\n",
        "a{b=c} 1\n# EOF\n",
        "a 1 x\n# EOF\n",
        "a 1_0\n# EOF\n",
        "# TYPE a untyped\n# EOF\n",
        "\n# EOF\n",
        "a{b=\"1\",b=\"2\"} 1\n# EOF\n",
        "# UNIT a seconds\n# EOF\n",
        "a 1 # {b=\"c\"}\n# EOF\n",
    ]
    .map(|page| (page.to_owned(), Format::OpenMetrics));
    let Some(theirs) = prometheus_client(&pages) else { return };
    for ((page, format), theirs) in pages.iter().zip(theirs) {
        assert!(ours(page, *format).is_err(), "ours takes {page:?}");
        assert!(theirs.is_err(), "theirs takes {page:?}");
    }
}

/// Whether promtool can read a page; none: there is no promtool. What it says about style does not matter here.
fn promtool_reads(page: &str) -> Option<bool> {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.ok()?;
    // Where it refuses early it may not read to the end.
    let _ = child.stdin.take().unwrap().write_all(page.as_bytes());
    match child.wait().unwrap().code() {
        Some(0 | 3) => Some(true),
        Some(1) => Some(false),
        other => panic!("promtool ended with {other:?}"),
    }
}

/// Pages that both define. Not here, because promtool's parser and that of Prometheus' scraper differ and we follow the
/// scraper: a last line without its line feed, blanks after a value, a backslash before another letter in a label value, a
/// second `# TYPE` or one after the samples are taken, `#TYPE` without a blank is a comment; a `# TYPE` without a type is
/// refused. Quoted names are newer than some promtools.
#[test]
fn promtool_takes_and_refuses_the_same_pages() {
    if promtool_reads("a 1\n").is_none() {
        return skip("there is no promtool on the PATH (Debian package prometheus)");
    }
    let good = [
        "",
        "\n \t\n",
        "# x\n#\n#y\n",
        "a 1\n",
        " a\t1\n",
        "a:b 1\n",
        "a{} 1\n",
        "a{b=\"c\",} 1\n",
        "a{ b = \"}\" , } 1\n",
        "a{b=\"\\\\ \\\" \\n # , =\"} NaN\n",
        "a +Inf\na{b=\"\"} -Inf\n",
        "a 1 1795453510424\na 1 -5\n",
        "# HELP a\n# TYPE a untyped\na 1e3\n",
        "# TYPE a gauge\na{b=\"1\"} 1\na{c=\"2\"} 1\n",
        "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
        "a{b=\"c\"}1\n",
    ];
    let bad = [
        "a\n",
        "1a 1\n",
        "a-b 1\n",
        "a one\n",
        "a 0x1F\n",
        "a 0x1p4\n",
        "a 1_000\n",
        "a 1e999\n",
        "a 1 2.5\n",
        "a 1 2 3\n",
        "a 1\r\n",
        "a 1 # {b=\"c\"} 1\n",
        "a{b=c} 1\n",
        "a{b} 1\n",
        "a{b=\"c} 1\n",
        "a{b=\"c\" d=\"e\"} 1\n",
        "a{,} 1\n",
        "a{b=\"c\",,} 1\n",
        "a{b:c=\"d\"} 1\n",
        "a{b=\"1\",b=\"2\"} 1\n",
        "a{__name__=\"b\"} 1\n",
        "a{b=\"c\nd\"} 1\n",
        "# TYPE a nonsense\n",
        "# TYPE 1a gauge\n",
        "# HELP 1a x\n",
        "ä 1\n",
        "{b=\"c\"} 1\n",
        "<html></html>\n",
        "[1]\n",
        "{\"a\": 1}\n",
        "a{b=\"c\"\n",
        "a{\n",
    ];
    let cases = good.iter().map(|page| (*page, true)).chain(bad.iter().map(|page| (*page, false)));
    for (page, good) in cases {
        assert_eq!(ours(page, Format::Text).is_ok(), good, "ours: {page:?}");
        assert_eq!(promtool_reads(page), Some(good), "promtool: {page:?}");
    }
    for (name, page) in fixtures() {
        assert!(ours(&page, Format::Text).is_ok() && promtool_reads(&page) == Some(true), "{name}");
    }
}
