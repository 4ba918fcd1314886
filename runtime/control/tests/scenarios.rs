//! Plays every `tests/scenarios/*.txt` and compares the story with `NAME.out` beside it.
//!
//! For: cases that need no Rust. Write the file, run with `UPDATE_GOLDEN=1`, read the story, keep it.

#![allow(clippy::unwrap_used)] // a test may fail

#[path = "../examples/scenario/script.rs"]
mod script;

use std::path::Path;

#[test]
fn every_scenario_tells_its_story() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut wrong = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "txt")) {
        let text = std::fs::read_to_string(file).unwrap();
        let story = script::play(&text).unwrap_or_else(|problem| panic!("{}: {problem}", file.display())).story;
        let golden = file.with_extension("out");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &story).unwrap();
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != story {
            wrong.push(format!("{}:\n{story}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "stories differ from their golden output:\n{}", wrong.join("\n"));
}

#[test]
fn the_same_scenario_twice_gives_the_same_bytes() {
    let text = include_str!("scenarios/burst.txt");
    let bytes = || serde_json::to_vec(&script::play(text).unwrap().decisions).unwrap();
    assert_eq!(bytes(), bytes());
}

#[test]
fn a_wrong_line_is_named() {
    let problem = script::play("workload interval=5s\nnonsense here").err().unwrap();
    assert!(problem.starts_with("line 2:"), "{problem}");
}

#[test]
fn every_scenario_is_computed_again_to_the_same_bytes_from_every_segment() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let files = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path());
    let mut segments = 0;
    for file in files.filter(|f| f.extension().is_some_and(|e| e == "txt")) {
        let played = script::play(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let all = std::panic::catch_unwind(|| played.tapes.replay(0));
        assert_eq!(all.ok(), Some(played.decisions.len()), "{}", file.display());
        for first in 1..played.tapes.segments() {
            let again = std::panic::catch_unwind(|| played.tapes.replay(first));
            assert!(again.is_ok(), "{}, from segment {first}", file.display());
        }
        segments += played.tapes.segments();
    }
    assert!(segments > 50, "{segments}");
}
