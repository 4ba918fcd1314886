//! Wrong manifests and words of later versions: refused with the place and the fix, before anything is bound.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use trimtab_tests::daemon::{Daemon, Said, trimtab};
use trimtab_tests::place;
use trimtab_tests::views::Problems;

use super::{dry_run, scaler};

/// What a fixture's `.txt` promises of `name`: `LINE:COLUMN: message` (or `file: message`), and the fix below it.
fn promised(name: &str, text: &str) -> Vec<(String, String, String)> {
    let mut lines = text.lines().peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let (place, message) = line.split_once(": ").unwrap();
        let fix = lines.next_if(|next| next.starts_with(' ')).unwrap_or("").trim();
        let place = if place == "file" { name.to_owned() } else { format!("{name}:{place}") };
        found.push((place, message.to_owned(), fix.to_owned()));
    }
    found
}

fn wrong() -> Vec<PathBuf> {
    let folder = place::root().join("tests/fixtures/manifests/wrong");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    files
}

/// `check` as a program reads it.
fn check(path: &Path) -> Problems {
    let path = path.to_str().unwrap();
    let json = trimtab(&["check", "-f", path, "-o", "json"]);
    let problems = serde_json::from_str(&json.out).unwrap_or_else(|e| panic!("{path}: {e}: {}{}", json.out, json.err));
    assert_eq!(json.code, Some(1), "{path}");
    assert!(!json.err.contains("panicked"), "{path}: {}", json.err);
    problems
}

/// `check` as a person reads it.
fn told(path: &Path) -> String {
    let said = trimtab(&["check", "-f", path.to_str().unwrap()]);
    assert_eq!(said.code, Some(1), "{}: {}", path.display(), said.err);
    said.out + &said.err
}

#[test]
fn check_names_the_place_and_the_fix_of_every_wrong_manifest() {
    let files = wrong();
    assert!(files.len() >= 30, "{} wrong manifests", files.len());
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let found = check(&path);
        let promised = promised(&name, &fs::read_to_string(path.with_extension("txt")).unwrap());
        assert_eq!(found.problems.len(), promised.len(), "{name}: {:#?}", found.problems);
        for ((place, message, fix), problem) in promised.iter().zip(&found.problems) {
            assert!(problem.place.ends_with(&format!("/{place}")), "{name}: {problem:?}");
            let said = problem.message.replace(&format!("{}/", path.parent().unwrap().display()), "");
            assert_eq!((&said, &problem.hint), (message, fix), "{name}");
        }
    }
    let three = place::root().join("tests/fixtures/manifests/wrong/three-mistakes.yaml");
    let told = told(&three);
    for (place, message, fix) in
        promised("three-mistakes.yaml", &fs::read_to_string(three.with_extension("txt")).unwrap())
    {
        assert!(told.contains(&place) && told.contains(&message) && told.contains(&fix), "no {place}: {told}");
    }
}

/// What only the whole can know: policies, their settings, and which signals there are.
const UNFIT: [(&str, &str, &[&str]); 6] = [
    ("missing-policy", "  policies: [{name: steer, policy: no-such}]", &["no-such"]),
    ("misspelt-policy", "  policies: [{name: concurency}]", &["concurency", "concurrency"]),
    ("config", "  policies: [{name: concurrency, config: {target: -3}}]", &["target"]),
    ("config-unknown", "  policies: [{name: queue-depth, config: {drainWitin: 30s}}]", &["drainWitin"]),
    ("signal", "  policies: [{name: concurrency}]", &["active-sequences"]),
    (
        "digest",
        "  policies: [{name: cooldown, digest: \"sha256:0000000000000000000000000000000000000000000000000000000000000000\"}]",
        &["sha256:"],
    ),
];

#[test]
fn check_and_run_refuse_what_does_not_fit_together() {
    let folder = tempfile::tempdir().unwrap();
    for (name, policies, words) in UNFIT {
        let path = folder.path().join(format!("{name}.yaml"));
        // `signal`: nothing gives the signals that the policy needs.
        let rest =
            if name == "signal" { policies.to_owned() } else { format!("  metrics: [{{engine: vllm}}]\n{policies}") };
        fs::write(&path, scaler("chat", &dry_run("maxReplicas: 3", 1, &[]), &rest)).unwrap();
        let found = check(&path);
        let text = format!("{:?}", found.problems);
        for word in words {
            assert!(text.contains(word), "{name}: no {word}: {text}");
        }
        assert!(
            found.problems.iter().all(|p| p.place.contains(&format!("{name}.yaml:"))),
            "{name}: {:?}",
            found.problems
        );
        assert_run_refuses(&path, words);
    }
}

/// `run` ends by itself and says why; it never came to the port, which is taken.
fn assert_run_refuses(path: &Path, words: &[&str]) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("timeout")
        .arg("60")
        .arg(place::trimtab())
        .arg("run")
        .arg("-f")
        .arg(path)
        .args(["--listen", &taken.local_addr().unwrap().to_string()])
        .arg("--state")
        .arg(folder.path().join("state"))
        .arg("--policies")
        .arg(folder.path().join("policies"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = Said::from(output);
    let text = said.out + &said.err;
    assert_eq!(said.code, Some(1), "{}: {text}", path.display());
    for word in words {
        assert!(text.contains(word), "{}: no {word}: {text}", path.display());
    }
    assert!(!text.contains("in use"), "it came to the port first: {text}");
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn run_ends_before_it_binds_a_port() {
    for name in ["unknown-field", "bad-url", "min-over-max", "two-targets", "later-target", "yaml-unclosed", "empty"] {
        let path = place::root().join(format!("tests/fixtures/manifests/wrong/{name}.yaml"));
        let promised = promised(&format!("{name}.yaml"), &fs::read_to_string(path.with_extension("txt")).unwrap());
        assert_run_refuses(&path, &[&promised[0].0, &promised[0].1]);
    }
    assert_run_refuses(Path::new("/no/such/file.yaml"), &["/no/such/file.yaml"]);
}

#[test]
fn a_good_manifest_passes_and_what_is_for_later_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("good.yaml");
    let rest = "  metrics: [{engine: vllm}]\n  policies: [{name: concurrency}]";
    fs::write(&path, scaler("chat", &dry_run("maxReplicas: 3", 1, &[]), rest)).unwrap();
    let good = trimtab(&["check", "-f", path.to_str().unwrap()]);
    assert_eq!(good.code, Some(0), "{}{}", good.out, good.err);
    for verb in ["simulate", "compare", "tune", "gpus", "budget"] {
        let said = trimtab(&[verb, "-f", "x.yaml"]);
        assert_eq!(said.code, Some(2), "{verb}");
        assert!(said.err.contains("not in this version"), "{verb}: {}", said.err);
    }
    let later = wrong().into_iter().filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("later-"));
    let mut count = 0;
    for path in later {
        let found = check(&path);
        assert!(found.problems.iter().any(|p| p.message.contains("not in this version")), "{:?}", found.problems);
        count += 1;
    }
    assert!(count >= 6, "{count} fields of later versions");
}

#[test]
fn an_order_for_nobody_and_a_page_that_is_not_there_are_problems_with_a_title() {
    let rest = "  policies: [{name: cooldown}]";
    let daemon = Daemon::with(&scaler("chat", &dry_run("maxReplicas: 3", 1, &[]), rest));
    for path in ["/v1/workloads/default/nobody", "/v1/workloads/default/nobody/decisions", "/v1/nothing"] {
        let answer = trimtab_tests::http::get(&daemon.url(path)).unwrap();
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.content_type.starts_with("application/problem+json"), "{path}: {answer:?}");
        assert!(answer.json().unwrap()["title"].is_string(), "{path}: {answer:?}");
    }
    let said = daemon.verb(&["explain", "default/nobody"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("default/nobody"), "{}", said.err);
}
