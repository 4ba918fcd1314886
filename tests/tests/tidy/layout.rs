//! What lies where, words that belong nowhere, one contract, and links that lead somewhere.

use std::collections::BTreeSet;

use super::tree::Tree;

/// Everything at the top of the tree; names with a dot in front are settings of tools.
const TOP: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "clippy.toml",
    "deny.toml",
    "deploy",
    "docs",
    "policies",
    "runtime",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "sdk",
    "tests",
    "wit",
];
const REQUIRED: &[&str] = &[
    ".ci/run",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "deploy",
    "docs",
    "policies",
    "runtime",
    "sdk",
    "tests/run",
    "wit/policy.wit",
];

/// What must not stand in any file, and why.
const WORDS: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/opt/", "wheels"), "a path of one machine"),
    (concat!("iss", "ue #"), "say what it is, not where it was filed"),
];

/// Nothing else lies at the top.
pub(super) fn top_level(tree: &Tree) -> Vec<String> {
    let found: BTreeSet<&str> = tree.paths().map(|path| path.split('/').next().unwrap_or(path)).collect();
    let strange = found.iter().filter(|name| !name.starts_with('.') && !TOP.contains(name));
    let mut wrong: Vec<String> = strange.map(|name| format!("{name} does not belong at the top of the tree")).collect();
    wrong.extend(REQUIRED.iter().filter(|path| !tree.has(path)).map(|path| format!("{path} is missing")));
    wrong
}

/// Paths of machines, numbers of tickets, long dashes in what we write.
pub(super) fn words(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, text) in tree.texts() {
        let ours = [".rs", ".md", ".toml", ".wit"].iter().any(|end| path.ends_with(end));
        for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
            let lower = line.to_lowercase();
            for (_, why) in WORDS.iter().filter(|(word, _)| lower.contains(word)) {
                wrong.push(format!("{path}:{number}: {why}: {}", line.trim()));
            }
            if ours && line.contains('\u{2014}') {
                wrong.push(format!("{path}:{number}: a long dash; two sentences read better"));
            }
        }
    }
    wrong
}

/// There is one contract; a copy of it says the same.
pub(super) fn contract(tree: &Tree) -> Vec<String> {
    let Some(contract) = tree.text("wit/policy.wit") else { return vec!["wit/policy.wit is missing".into()] };
    let copies = tree.texts().filter(|(path, text)| path.ends_with(".wit") && *text != contract);
    copies.map(|(path, _)| format!("{path} is not what wit/policy.wit says")).collect()
}

/// Relative links of all pages lead to a file or a folder, and to a heading where they name one.
pub(super) fn links(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| path.ends_with(".md")) {
        for (number, link) in targets(text) {
            let (file, part) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { Some(path.to_owned()) } else { resolve(path, file) };
            let Some(target) = target.filter(|t| tree.has(t)) else {
                wrong.push(format!("{path}:{number}: {link} leads nowhere"));
                continue;
            };
            let heading = |text: &str| headings(text).any(|known| known == part);
            if !part.is_empty() && target.ends_with(".md") && !tree.text(&target).is_some_and(heading) {
                wrong.push(format!("{path}:{number}: {link}: no such heading in {target}"));
            }
        }
    }
    wrong
}

/// Targets of links to this tree, with their lines; what stands in code is no link.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced || line.starts_with("    ") {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        for piece in prose.split("](").skip(1) {
            let link = piece.split([')', ' ']).next().unwrap_or_default();
            if !link.contains("://") && !link.starts_with("mailto:") {
                found.push((number, link.to_owned()));
            }
        }
    }
    found
}

/// The path of a link from a file; none when it leads out of the tree.
fn resolve(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop()?;
        } else {
            parts.push(part);
        }
    }
    Some(parts.join("/"))
}

/// Anchors of a page's headings, as forges make them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

#[test]
fn links_are_read_as_a_reader_would() {
    let text = "[a](b.md) and `[no](code.md)`\n```\n[no](fence.md)\n```\n[c](https://x.y) [d](../e#f)";
    let found: Vec<String> = targets(text).into_iter().map(|(_, link)| link).collect();
    assert_eq!(found, ["b.md", "../e#f"]);
    assert_eq!(resolve("docs/a.md", "../wit/policy.wit").unwrap(), "wit/policy.wit");
    assert_eq!(resolve("docs/a.md", "../../x"), None);
    assert_eq!(headings("## A case, or `two`\n").next().unwrap(), "a-case-or-two");
}
