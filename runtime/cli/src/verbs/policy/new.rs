//! `policy new`: a project to begin with.
//!
//! For: files that build and pass their tests as they are, with the SDK's source beside them, from inside this binary.
//! Never overwrites anything.

mod embedded;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::failure::Failure;
use crate::output::Console;

const EXAMPLES: &str = "Examples:
  trimtab policy new latency-guard
  cd latency-guard && cargo test && trimtab policy build";

/// Write a new policy project
///
/// The folder NAME gets a small working policy, its schema, a test and the SDK's source.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Lower-case letters, digits and dashes
    #[arg(value_name = "NAME")]
    name: String,
    /// Language: rust (others are not in this version)
    #[arg(long, value_name = "LANG", default_value = "rust")]
    lang: String,
}

/// Names that Cargo refuses for a package, and that of the SDK beside it.
const RESERVED: [&str; 44] = [
    "alloc",
    "as",
    "async",
    "await",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "match",
    "mod",
    "move",
    "mut",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "trimtab-sdk",
    "true",
    "type",
    "unsafe",
    "use",
    "where",
    "while",
    "yield",
];

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        if self.lang != "rust" {
            let what = format!("`{}` is not in this version", self.lang);
            return Err(
                Failure::usage("--lang", what, "write --lang rust; a core module in any language works too").into()
            );
        }
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let starts_well = self.name.starts_with(|c: char| c.is_ascii_lowercase());
        if RESERVED.contains(&self.name.as_str()) {
            let fix = "choose another, such as latency-guard";
            return Err(Failure::usage(self.name, "means something else to Rust", fix).into());
        }
        if !starts_well || !self.name.bytes().all(plain) || self.name.len() > 63 {
            let fix = "lower-case letters, digits and dashes, a letter first, such as latency-guard";
            return Err(Failure::usage(self.name, "cannot be the name of a policy", fix).into());
        }
        let dir = Path::new(&self.name);
        if dir.exists() {
            return Err(Failure::new(self.name, "is there already", "choose another name, or remove it").into());
        }
        write(dir, &self.name)?;
        let name = &self.name;
        console
            .print(&format!("{name}: a policy in src/lib.rs\nnext: cd {name} && cargo test && trimtab policy build"))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn write(dir: &Path, name: &str) -> anyhow::Result<()> {
    let own = embedded::PROJECT.iter().map(|(path, text)| ((*path).to_owned(), fill(text, name)));
    let sdk = embedded::SDK.iter().map(|(path, text)| (format!("sdk/{path}"), (*text).to_owned()));
    for (path, text) in own.chain(sdk) {
        let path = dir.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Names, and dependencies as the workspace has them: one place says which versions the SDK is built with.
fn fill(text: &str, name: &str) -> String {
    let mut text = text.replace("{{name}}", name).replace("{{version}}", env!("CARGO_PKG_VERSION"));
    for dependency in ["serde", "serde_json", "wit-bindgen"] {
        let start = format!("{dependency} = ");
        let line = embedded::WORKSPACE.lines().find(|line| line.starts_with(&start)).unwrap_or_default();
        text = text.replace(&format!("{{{{{dependency}}}}}"), line);
    }
    text
}
