//! A source tree in memory, and the code of a Rust file without its comments and texts.
//!
//! Never looks at what version control ignores.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// All files below a root, by their path with `/`.
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    pub(crate) fn read(root: &Path) -> Tree {
        let ignored = std::fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
        let ignored: Vec<&str> =
            ignored.lines().filter_map(|line| Some(line.strip_prefix('/')?.trim_end_matches('/'))).collect();
        let mut tree = Tree { root: root.to_owned(), files: BTreeMap::new() };
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(root.join(&folder)).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                if name == ".git" || name == "__pycache__" || ignored.contains(&path.as_str()) {
                    continue;
                }
                if entry.file_type().unwrap().is_dir() {
                    folders.push(path);
                } else {
                    let bytes = std::fs::read(entry.path()).unwrap();
                    tree.files.insert(path, bytes);
                }
            }
        }
        tree
    }

    /// Writes all files below another root.
    pub(crate) fn write(&self, root: &Path) {
        for (path, bytes) in &self.files {
            let file = root.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, bytes).unwrap();
        }
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        self.files.contains_key(path) || self.paths().any(|known| known.starts_with(&folder))
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(self.files.get(path)?).ok()
    }

    /// Every file that is text, with its path.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.paths().filter_map(|path| Some((path, self.text(path)?)))
    }

    /// Every Rust file, with its path.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(|(path, _)| Path::new(path).extension().is_some_and(|e| e == "rs"))
    }
}

/// Whether a Rust file holds nothing but tests, by its place.
pub(crate) fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// The lines of a file without its inline test modules, each with its number.
pub(crate) fn without_tests(text: &str) -> Vec<(usize, &str)> {
    let mut kept = Vec::new();
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line)).peekable();
    while let Some((number, line)) = lines.next() {
        let opens = lines.peek().is_some_and(|(_, next)| next.starts_with("mod ") && next.ends_with('{'));
        if line == "#[cfg(test)]" && opens {
            for (_, inside) in lines.by_ref() {
                if inside == "}" {
                    break;
                }
            }
        } else {
            kept.push((number, line));
        }
    }
    kept
}

/// The code alone: comments and what stands in quotes become spaces, lines stay.
pub(crate) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = at + skipped(&text[at..], at == 0 || !is_word(bytes[at - 1])).unwrap_or(0);
        if end > at {
            out.extend(text[at..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            let c = text[at..].chars().next().unwrap_or(' ');
            out.push(c);
            at += c.len_utf8();
        }
    }
    out
}

pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// How many bytes of a comment, a text or a character stand at the start.
fn skipped(rest: &str, fresh: bool) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(rest.find("*/").map_or(rest.len(), |end| end + 2));
    }
    if fresh && (rest.starts_with("r\"") || rest.starts_with("r#") || rest.starts_with("br")) {
        let body = rest.trim_start_matches('b').strip_prefix('r')?;
        let hashes = body.len() - body.trim_start_matches('#').len();
        if body[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let start = rest.len() - body.len() + hashes + 1;
            return Some(rest[start..].find(&close).map_or(rest.len(), |end| start + end + close.len()));
        }
        return None;
    }
    if rest.starts_with('"') {
        let mut escaped = false;
        for (index, c) in rest.char_indices().skip(1) {
            match c {
                '"' if !escaped => return Some(index + 1),
                c => escaped = c == '\\' && !escaped,
            }
        }
        return Some(rest.len());
    }
    // A character, not a lifetime: a closing quote behind one character or an escape.
    let inner = rest.strip_prefix('\'')?;
    let length = if inner.starts_with('\\') {
        inner[2..].find('\'')? + 2
    } else {
        let first = inner.chars().next()?.len_utf8();
        inner[first..].starts_with('\'').then_some(first)?
    };
    Some(length + 2)
}

#[test]
fn code_has_neither_comments_nor_texts() {
    let text =
        "let a = \"std::fs // \\\" x\"; // fs\n/* env\n */ let c = '\"'; fn f<'a>() {} let r = r#\"x \" fs\"#; done";
    let code = code(text);
    assert!(!code.contains("fs") && !code.contains("env") && !code.contains('x'), "{code}");
    assert!(code.contains("fn f<'a>() {}") && code.contains("done") && code.lines().count() == 3, "{code}");
}

#[test]
fn inline_tests_do_not_count() {
    let text = "a\n#[cfg(test)]\nmod tests {\n    b\n}\nc\n#[cfg(test)]\nmod tests;";
    let kept: Vec<_> = without_tests(text).into_iter().map(|(number, _)| number).collect();
    assert_eq!(kept, [1, 6, 7, 8]);
}
