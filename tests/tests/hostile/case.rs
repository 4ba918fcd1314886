//! One case of the corpus: what it tries, what must come of it, and the module.
//!
//! For: files that anybody can add. The head of a file is comment lines:
//!
//! ```text
//! ;; expect: decide timeout
//! ;; given: call-cpu-ms=2000
//! ;; An endless loop in `decide`.
//! ```
//!
//! `expect` names stage and code, and with a colon a part of the message; ` then ` separates several decisions, each with
//! the state that the one before it gave. After `decide ok` may stand what the answer must be like (`replicas=3`,
//! `reason=1024` bytes, `log=64` lines, `notes=32`, `state=4` bytes, `bounds=log,reason`). `given` changes limits and
//! the observation, `config` the configuration. The rest of the head says in words what it tries. Never runs anything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use trimtab_sandbox::Limits;
use trimtab_tests::corpus;

/// What must come of one step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expect {
    pub(super) stage: String,
    /// `ok`, or a code.
    pub(super) code: String,
    /// A part of the message.
    pub(super) message: String,
    pub(super) facts: BTreeMap<String, String>,
}

/// One file.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// As written.
    pub(super) expects: String,
    pub(super) steps: Vec<Expect>,
    pub(super) tries: String,
    pub(super) given: BTreeMap<String, u64>,
    pub(super) config: String,
}

/// Every case, by name.
pub(super) fn all() -> Vec<Case> {
    corpus::modules()
        .iter()
        .map(|path| read(path).unwrap_or_else(|wrong| panic!("{}: {wrong}", path.display())))
        .collect()
}

fn read(path: &Path) -> Result<Case, String> {
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let head = head(&text, ";;");
    let of = |key: &str| head.iter().find_map(|line| line.strip_prefix(key));
    let expects =
        of("expect: ").filter(|_| head[0].starts_with("expect: ")).ok_or("the first line is no `;; expect: `")?;
    let words = head.iter().filter(|l| !["expect: ", "given: ", "config: "].iter().any(|key| l.starts_with(key)));
    let tries = words.copied().collect::<Vec<_>>().join(" ");
    if tries.is_empty() {
        return Err("it does not say what it tries".to_owned());
    }
    let given = of("given: ").unwrap_or("").split_whitespace().map(|pair| {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("given: `{pair}` has no `=`"))?;
        Ok((key.to_owned(), value.parse().map_err(|_| format!("given: `{value}` is no number"))?))
    });
    Ok(Case {
        name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        path: path.to_owned(),
        expects: expects.to_owned(),
        steps: expects.split(" then ").map(expectation).collect::<Result<_, String>>()?,
        tries,
        given: given.collect::<Result<_, String>>()?,
        config: of("config: ").unwrap_or("{}").to_owned(),
    })
}

/// The comment lines that a file begins with, without their mark.
pub(super) fn head<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    text.lines().map_while(|line| line.strip_prefix(mark)).map(str::trim).filter(|line| !line.is_empty()).collect()
}

fn expectation(text: &str) -> Result<Expect, String> {
    let (words, message) = text.split_once(": ").unwrap_or((text, ""));
    let mut words = words.split_whitespace();
    let (Some(stage), Some(code)) = (words.next(), words.next()) else {
        return Err(format!("`{text}` is no stage and code"));
    };
    let facts = words.map(|word| {
        let (key, value) = word.split_once('=').ok_or_else(|| format!("`{word}` has no `=`"))?;
        Ok((key.to_owned(), value.to_owned()))
    });
    let facts = facts.collect::<Result<_, String>>()?;
    Ok(Expect { stage: stage.to_owned(), code: code.to_owned(), message: message.to_owned(), facts })
}

impl Case {
    /// The module, or whatever bytes it is.
    pub(super) fn wasm(&self) -> Result<Vec<u8>, String> {
        corpus::assemble(&self.path)
    }

    /// The limits as the case wants them, on top of these.
    pub(super) fn limits(&self, mut limits: Limits) -> Limits {
        for (key, value) in &self.given {
            match key.as_str() {
                "call-cpu-ms" => limits.call_cpu = Duration::from_millis(*value),
                "call-wall-ms" => limits.call_wall = Duration::from_millis(*value),
                "start-cpu-ms" => limits.start_cpu = Duration::from_millis(*value),
                "module-bytes" => limits.module_bytes = *value as usize,
                "series" | "values" => {}
                other => panic!("{}: given: `{other}` is unknown", self.name),
            }
        }
        limits
    }

    /// True: it cannot share a sandbox with others.
    pub(super) fn has_limits(&self) -> bool {
        self.given.keys().any(|key| key != "series" && key != "values")
    }
}
