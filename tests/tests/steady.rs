//! A decision of an SDK guest asks the kernel for nothing: no system call, no page fault.
//!
//! For: the fast path, which one `mprotect` a call would make several times slower, and slower still on two cores. Counted
//! by `strace`, so the figure has no noise. The clock of the deadline may be asked at a tick, which is no part of a call.

use std::process::Command;

use serde_json::Value;
use trimtab_tests::place;

const CALLS: &str = "3000";
/// Between the marks; see `bench/steady.rs`.
const MARK: &str = "getppid(";
/// What a tick of the deadline asks; and its end, where another thread came in between.
const TICK: [&str; 3] =
    ["clock_gettime(CLOCK_THREAD_CPUTIME_ID", "<... clock_gettime resumed>", "<... getppid resumed>"];

#[test]
fn a_decision_makes_no_system_call_and_no_page_fault() {
    let Some(strace) = place::program(&["strace"]) else {
        return place::skip("steady::a_decision_makes_no_system_call_and_no_page_fault", "strace is not installed");
    };
    let measure = place::trimtab().with_file_name("measure");
    let plain = Command::new(&measure).args(["steady", CALLS]).output().unwrap();
    let told: Value = serde_json::from_slice(&plain.stdout).unwrap();
    assert_eq!(told["faults"], 0, "page faults in {CALLS} calls");

    let trace = tempfile::NamedTempFile::new().unwrap();
    let traced = Command::new(strace)
        .args(["-f", "-o"])
        .arg(trace.path())
        .arg(&measure)
        .args(["steady", CALLS])
        .output()
        .unwrap();
    assert!(traced.status.success(), "{}", String::from_utf8_lossy(&traced.stderr));
    let text = std::fs::read_to_string(trace.path()).unwrap();
    let marks: Vec<(&str, usize)> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains(MARK))
        .map(|(number, line)| (line.split_whitespace().next().unwrap(), number))
        .collect();
    let [(thread, from), (_, to)] = marks[..] else { panic!("{} marks instead of two", marks.len()) };
    let between = text.lines().take(to).skip(from + 1).filter(|line| line.split_whitespace().next() == Some(thread));
    let others: Vec<&str> = between.filter(|line| !TICK.iter().any(|tick| line.contains(tick))).collect();
    assert!(
        others.is_empty(),
        "{} system calls in {CALLS} calls, such as {:?}",
        others.len(),
        &others[..others.len().min(5)]
    );
}
