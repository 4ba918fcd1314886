//! docs/hostile.md: every case with what it tries and what must come of it, and every control with the cases that fail
//! without it.
//!
//! For: a page that cannot be behind, because a test writes it (TRIMTAB_BLESS=1) or compares it. Never edited by hand.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use trimtab_tests::place;

use super::case::{self, Case};
use super::controls::{CONTROLS, PAIRS, failing};
use super::files;

const PATH: &str = "docs/hostile.md";

/// Bombs for the compiler. Those that are refused before it sees them are the shape's; the others are slow, and no control
/// here is for them.
const SLOW: &str = "compile-";

#[test]
fn each_control_is_needed_and_the_page_says_by_which_cases() {
    let cases = case::all();
    let path = place::root().join(PATH);
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let bless = std::env::var("TRIMTAB_BLESS").unwrap_or_default();
    if bless == "cases" {
        let known = table_of(&committed);
        let table = CONTROLS.iter().map(|(name, ..)| (*name, known.get(*name).cloned().unwrap_or_default())).collect();
        std::fs::write(&path, page(&cases, &table)).unwrap();
        return;
    }
    if !bless.is_empty() {
        let table: BTreeMap<&str, Vec<String>> = CONTROLS
            .iter()
            .map(|(name, ..)| {
                let quick: Vec<Case> = cases
                    .iter()
                    .filter(|c| !c.name.starts_with(SLOW) || (*name == "shape" && c.expects.starts_with("inspect")))
                    .cloned()
                    .collect();
                let failed = failing(name, &quick);
                // A machine that was too busy is no proof: with every control in place it has to pass.
                let suspects: Vec<Case> = quick.iter().filter(|c| failed.contains(&c.name.as_str())).cloned().collect();
                let busy = failing("none", &suspects);
                let names = failed.iter().filter(|name| !busy.contains(*name)).map(|name| (*name).to_owned());
                (*name, names.collect())
            })
            .collect();
        std::fs::write(&path, page(&cases, &table)).unwrap();
        return;
    }
    let table = table_of(&committed);
    let known = |name: &str| table.get(name).cloned().unwrap_or_default();
    let mut wrong = Vec::new();
    for (name, ..) in CONTROLS {
        let few: Vec<Case> =
            known(name).iter().take(PAIRS).filter_map(|n| cases.iter().find(|c| c.name == *n)).cloned().collect();
        let failed = failing(name, &few);
        if few.is_empty() {
            wrong.push(format!("{name}: no case needs it"));
        }
        wrong.extend(
            few.iter()
                .filter(|c| !failed.contains(&c.name.as_str()))
                .map(|c| format!("{name}: {} is contained without it", c.name)),
        );
    }
    let table = CONTROLS.iter().map(|(name, ..)| (*name, known(name))).collect();
    if page(&cases, &table) != committed {
        wrong.push(format!("{PATH} is behind: TRIMTAB_BLESS=1 tests/run hostile::page"));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The rows of the last table: control, and its cases.
fn table_of(page: &str) -> BTreeMap<String, Vec<String>> {
    let rows = page.split("## Controls").nth(1).unwrap_or("").lines().filter_map(|line| line.strip_prefix("| `"));
    let row = |line: &str| {
        let (name, rest) = line.split_once('`')?;
        let cases = rest.rsplit_once(" | ").map_or("", |(_, cases)| cases.trim_end_matches(" |"));
        Some((name.to_owned(), cases.split(", ").filter(|c| !c.is_empty()).map(str::to_owned).collect()))
    };
    rows.filter_map(row).collect()
}

fn page(cases: &[Case], table: &BTreeMap<&str, Vec<String>>) -> String {
    let scripts = files::all();
    let mut out = format!(
        "# The hostile corpus

What somebody might drop into a policies directory to do harm, and what comes of it. Each case is a file below
`tests/hostile`: {} modules, which are played with the pooling and with the on-demand allocator, each followed by a good
module that must still answer; and {} scripts against the loader. This page is written by a test.

A new case is a new file, and no Rust. `modules/NAME.wat` begins with `;; expect:` and what it tries; the heads of
`tests/tests/hostile/case.rs` and `expand.rs` say what may stand there, and `parts` holds what cases include. `files/NAME.sh`
is explained in `tests/tests/hostile/files.rs`. Then `TRIMTAB_BLESS=1 tests/run hostile::page` writes this
page, in some minutes; `TRIMTAB_BLESS=cases` leaves the last table as it is.

## Modules

The stage and code that it comes to, and what it tries. `decide ok` is a case that the host takes without harm.

| case | comes to | tries |
| --- | --- | --- |
",
        cases.len(),
        scripts.len()
    );
    for case in cases {
        let _ = writeln!(out, "| {} | {} | {} |", case.name, cell(&case.expects), cell(&case.tries));
    }
    out += "\n## Files\n\nThe event that comes of it, and what serves afterwards where `good` did before.\n\n| case | comes to | tries |\n| --- | --- | --- |\n";
    for script in &scripts {
        let _ = writeln!(out, "| {} | {} | {} |", script.name, cell(&script.expects), cell(&script.tries));
    }
    out += "\n## Controls\n\nWithout the control, the cases are not contained, or not as they should be. `runtime/sandbox/src/limits.rs` holds the numbers.\n\n| control | is | cases that fail without it |\n| --- | --- | --- |\n";
    for (name, what, _) in CONTROLS {
        let _ = writeln!(
            out,
            "| `{name}` | {what} | {} |",
            table.get(name).map(|cases| cases.join(", ")).unwrap_or_default()
        );
    }
    out
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
