//! The binary as a person meets it: help, exit codes, messages, and what it says to a daemon.
//!
//! The daemon is faked on the wire: a listener that answers one canned page and keeps what it was asked.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;

fn trimtab(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trimtab")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// Answers one request; gives its first line, headers and body when joined.
fn daemon(status: &'static str, body: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).unwrap();
        }
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(|n| n.parse().unwrap()));
        let mut asked = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut asked).unwrap();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        head + &String::from_utf8(asked).unwrap()
    });
    (url, asked)
}

const VERBS: [&[&str]; 18] = [
    &["engine"],
    &["replay"],
    &["load"],
    &["status"],
    &["explain"],
    &["pause"],
    &["override"],
    &["resume"],
    &["wake"],
    &["policy", "build"],
    &["policy", "check"],
    &["policy", "inspect"],
    &["policy", "new"],
    &["policy", "call"],
    &["policy", "list"],
    &["policy", "forget"],
    &["completions"],
    &["version"],
];

#[test]
fn every_verb_has_help_with_examples() {
    for verb in VERBS {
        let output = trimtab(&[verb, &["--help"]].concat());
        assert_eq!(code(&output), 0, "{verb:?}: {}", err(&output));
        let (text, name) = (out(&output), verb.join(" "));
        assert!(text.contains("Examples:") && text.contains(&format!("trimtab {name}")), "{verb:?}: {text}");
        assert!(!text.contains('\u{1b}'), "colours in a pipe: {text:?}");
    }
    assert!(out(&trimtab(&["--help"])).contains("trimtab demo"));
}

#[test]
fn names_of_later_versions_are_refused_by_name() {
    let later: [&[&str]; 17] = [
        &["simulate", "-f", "x.yaml", "--trace", "y"],
        &["simulate", "--help"],
        &["compare", "--baselines", "all"],
        &["tune"],
        &["trace", "info", "x"],
        &["import"],
        &["gpus"],
        &["agent"],
        &["metrics", "probe"],
        &["budget"],
        &["usage"],
        &["engine", "fit"],
        &["policy", "test"],
        &["policy", "bench", "x"],
        &["policy", "dev"],
        &["policy", "push"],
        &["policy", "pull", "--x"],
    ];
    for verb in later {
        let output = trimtab(verb);
        assert_eq!(code(&output), 2, "{verb:?}");
        assert!(err(&output).contains("not in this version"), "{verb:?}: {}", err(&output));
    }
}

#[test]
fn wrong_usage_is_two_and_says_how_it_is_written() {
    let cases: [(&[&str], &str); 9] = [
        (&["nonsense"], "unrecognized subcommand"),
        (&["explain"], "NS/NAME"),
        (&["explain", "chat"], "default/chat"),
        (&["pause", "a/b", "--for", "soon"], "30m"),
        (&["override", "a/b"], "POOL=N"),
        (&["override", "a/b", "x=1", "x=2"], "named twice"),
        (&["status", "-o", "yaml"], "possible values"),
        (&["status", "--server", "ftp://x"], "http://HOST:PORT"),
        (&["policy", "build", "/nonexistent"], "Cargo.toml"),
    ];
    for (arguments, part) in cases {
        let output = trimtab(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", err(&output));
        let said = err(&output);
        assert!(said.contains(part) || part == "30m" && said.contains("1h30m"), "{arguments:?}: {said}");
    }
}

#[test]
fn no_daemon_is_one_and_names_the_address_and_the_fix() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = trimtab(&["status", "--server", &format!("http://{free}")]);
    assert_eq!(code(&output), 1);
    let said = err(&output);
    assert!(said.contains(&free.to_string()) && said.contains("trimtab run"), "{said}");
}

#[test]
fn json_is_the_daemons_own() {
    let (url, asked) = daemon("200 OK", r#"{"workloads":[],"later":1}"#);
    let output = trimtab(&["status", "-o", "json", "--server", &url]);
    assert_eq!((code(&output), out(&output).as_str()), (0, "{\"workloads\":[],\"later\":1}\n"));
    assert!(asked.join().unwrap().starts_with("GET /v1/workloads HTTP/1.1"));
}

#[test]
fn an_order_carries_its_term_its_reason_and_the_token() {
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "secret\n").unwrap();
    let (url, asked) = daemon("200 OK", "{}");
    let file = token.path().to_str().unwrap();
    let output =
        trimtab(&["override", "a/b", "x=3", "--for", "2m", "--reason", "noon", "--server", &url, "--token-file", file]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert_eq!(out(&output), "a/b: x=3 for 2m 0s\n");
    let asked = asked.join().unwrap();
    assert!(asked.starts_with("POST /v1/workloads/a/b/override HTTP/1.1"), "{asked}");
    let lower = asked.to_ascii_lowercase();
    assert!(
        lower.contains("authorization: bearer secret") && lower.contains("content-type: application/json"),
        "{asked}"
    );
    assert!(asked.ends_with(r#"{"forSeconds":120.0,"pools":{"x":3},"reason":"noon"}"#), "{asked}");
}

#[test]
fn a_problem_document_becomes_a_message() {
    let (url, asked) = daemon("404 Not Found", r#"{"title":"Not Found","detail":"there is no workload a/b"}"#);
    let output = trimtab(&["explain", "a/b", "--server", &url]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("there is no workload a/b"), "{}", err(&output));
    asked.join().unwrap();
}

#[test]
fn a_module_that_is_none_is_a_problem_with_place_stage_and_fix() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.wasm");
    std::fs::write(&file, "not wasm").unwrap();
    let output = trimtab(&["policy", "check", file.to_str().unwrap(), "-o", "json"]);
    assert_eq!(code(&output), 1, "{}", err(&output));
    let page: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    let problem = &page["problems"][0];
    assert_eq!((problem["place"].as_str(), problem["stage"].as_str()), (file.to_str(), Some("inspect")));
    assert!(problem["message"].is_string() && problem["hint"].is_string());
}

#[test]
fn completions_and_version_are_there() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(out(&trimtab(&["completions", shell])).contains("trimtab"), "{shell}");
    }
    let page: serde_json::Value = serde_json::from_str(&out(&trimtab(&["version", "-o", "json"]))).unwrap();
    assert_eq!(page["version"], env!("CARGO_PKG_VERSION"));
}

/// A process that is killed when the test ends, however it ends.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn load_over_an_engine_reports_what_was_served() {
    let engine = Command::new(env!("CARGO_BIN_EXE_trimtab"))
        .args(["engine", "--port", "0", "--startup", "0s", "--speed", "20"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut engine = Killed(engine);
    let mut line = String::new();
    BufReader::new(engine.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit("http://").next().unwrap().to_owned();
    // What the daemon's endpoints page says, for as long as the client asks.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/endpoints/default/x", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
            let page = format!(r#"[{{"targets":["{address}"],"labels":{{}}}}]"#);
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}",
                page.len()
            );
            let _ = reader.get_mut().write_all(answer.as_bytes());
        }
    });
    let output = trimtab(&["load", "--endpoints", &url, "--rate", "20", "--duration", "2s", "-o", "json"]);
    assert_eq!(code(&output), 0, "{}\n{}", out(&output), err(&output));
    let page: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert!(page["completed"].as_u64().unwrap() > 5 && page["failed"] == 0, "{page}");
    assert_eq!(err(&output), "", "no progress where nobody watches");
}

#[test]
fn bundled_policies_are_inspected_checked_and_called_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let seen = dir.path().join("seen.yaml");
    std::fs::write(
        &seen,
        "pools: [{min: 1, max: 9, desired: 1, ready: 1}]\nseries:\n  - {signal: queue-depth, values: [24], age: 1s}\n  \
         - {signal: active-sequences, values: [8], age: 1s}\n",
    )
    .unwrap();
    for name in ["burst-forecast", "concurrency", "cooldown", "queue-depth", "schedule", "warm-buffer"] {
        let output = trimtab(&["policy", "inspect", name, "-o", "json"]);
        assert_eq!(code(&output), 0, "{name}: {}", err(&output));
        let page: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
        assert_eq!(page["description"]["name"], name);
        assert!(page["digest"].as_str().unwrap().starts_with("sha256:") && page["needs"].is_array(), "{page}");
        let output = trimtab(&["policy", "check", name]);
        assert_eq!(code(&output), 0, "{name}: {}{}", out(&output), err(&output));
    }
    let file = seen.to_str().unwrap();
    let output = trimtab(&["policy", "call", "concurrency", "--observation", file, "-o", "json"]);
    assert_eq!(code(&output), 0, "{}{}", out(&output), err(&output));
    let page: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(page["targets"][0], serde_json::json!({"pool": "default", "tier": "serving", "replicas": 4}));

    let config = dir.path().join("config.yaml");
    std::fs::write(&config, "targett: 3").unwrap();
    let config = config.to_str().unwrap();
    let output = trimtab(&["policy", "check", "concurrency", "--config", config, "-o", "json"]);
    assert_eq!(code(&output), 1);
    let page: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    let problem = &page["problems"][0];
    assert!(problem["place"].as_str().unwrap().ends_with("config.yaml#/targett"), "{page}");
}

#[test]
fn a_new_project_is_written_once_and_names_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let here = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_trimtab")).args(arguments).current_dir(dir.path()).output().unwrap()
    };
    let output = here(&["policy", "new", "latency-guard"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    for file in ["Cargo.toml", "src/lib.rs", "schema.json", "sdk/Cargo.toml", "sdk/src/lib.rs", "sdk/wit/policy.wit"] {
        assert!(dir.path().join("latency-guard").join(file).is_file(), "{file}");
    }
    assert_eq!(code(&here(&["policy", "new", "latency-guard"])), 1, "it is there already");
    assert_eq!(code(&here(&["policy", "new", "../x"])), 2);
    let output = here(&["policy", "new", "x", "--lang", "python"]);
    assert!(code(&output) == 2 && err(&output).contains("not in this version"), "{}", err(&output));
}
