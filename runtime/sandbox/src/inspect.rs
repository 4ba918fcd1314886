//! What a file is, and what it imports and exports, read from its sections.
//!
//! For: refusing what can be refused before anything is compiled, by name and with the fix. Never executes, never
//! validates function bodies (the compiler does), never follows names into nested modules.

use serde::Serialize;
use sha2::{Digest, Sha256};
use wasmparser::{Chunk, ComponentInstance, Instance, Parser, Payload};

use crate::admit::TOO_COMPLEX;
use crate::limits::Limits;
use crate::refusal::{Refusal, Stage};
use crate::text::clean;

/// The interfaces a component may import.
const ALLOWED_IMPORTS: [&str; 2] = ["trimtab:policy/log@0.1.0", "trimtab:policy/types@0.1.0"];
/// The modules a core module may import from: the log, in the two spellings that compilers emit.
const ALLOWED_CORE_IMPORTS: [&str; 2] = ["trimtab:policy/log@0.1.0", "cm32p2|trimtab:policy/log@0.1"];
/// The export that makes a policy, and its spelling in core modules of the second kind.
const POLICY_EXPORT: &str = "trimtab:policy/policy@0.1.0";
const POLICY_EXPORT_CORE: &str = "cm32p2|trimtab:policy/policy@0.1";
/// The world those make.
const WORLD: &str = "trimtab:policy/scaling-policy@0.1.0";
/// Names kept of each list, and bytes of each.
const NAMES: usize = 256;
const NAME_BYTES: usize = 200;
/// Names quoted in a refusal.
const QUOTED: usize = 5;
/// Modules and components inside one another.
const NESTED: usize = 64;
/// Imports and exports of the outermost level together: each costs this host more memory than the file has bytes.
const MOST_NAMES: usize = 10_000;
/// Components that are made instances of, in all of a file. Each may make some of others in turn, so that what is made in
/// the end is exponential in this; wrappers of interfaces need one for each.
const COMPONENT_INSTANCES: usize = 16;

/// Which of the two binary forms a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A component.
    Component,
    /// A core module, which the host wraps.
    Module,
}

/// What can be said of a file without compiling it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// `sha256:HEX` of the file.
    pub digest: String,
    /// Its size.
    pub bytes: usize,
    /// Its binary form.
    pub kind: Kind,
    /// The contract's world; none where it does not export a policy.
    pub world: Option<String>,
    /// What it imports, in order, cleaned; of a core module `MODULE FIELD`. At most 256.
    pub imports: Vec<String>,
    /// What it exports, likewise.
    pub exports: Vec<String>,
}

/// `sha256:HEX` of some bytes.
pub fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// Bytes as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The names at the top level of a file.
#[derive(Default)]
struct Names {
    imports: Vec<(String, Option<String>)>,
    exports: Vec<String>,
    count: usize,
    typed: bool,
}

/// Reads the sections. The flag says whether a core module carries a world of its own.
pub(crate) fn inspect(bytes: &[u8], limits: &Limits) -> Result<(Inspection, bool), Refusal> {
    let kind = kind_of(bytes, limits)?;
    let names = read_names(bytes, limits)?;
    let world = names.exports.iter().any(|e| e.starts_with(POLICY_EXPORT) || e.starts_with(POLICY_EXPORT_CORE));
    let import = |(module, field): &(String, Option<String>)| match field {
        Some(field) => clean(&format!("{module} {field}"), NAME_BYTES),
        None => clean(module, NAME_BYTES),
    };
    let inspection = Inspection {
        digest: digest_of(bytes),
        bytes: bytes.len(),
        kind,
        world: world.then(|| WORLD.to_owned()),
        imports: names.imports.iter().take(NAMES).map(import).collect(),
        exports: names.exports.iter().take(NAMES).map(|e| clean(e, NAME_BYTES)).collect(),
    };
    if limits.controls.imports {
        check_imports(kind, &names)?;
    }
    if kind == Kind::Component && !names.exports.iter().any(|e| e == POLICY_EXPORT) {
        return Err(Refusal::new(Stage::Link, "not-a-policy", format!("it does not export {POLICY_EXPORT}"))
            .hint("build it for the world trimtab:policy/scaling-policy of this version; see wit/policy.wit"));
    }
    Ok((inspection, names.typed))
}

/// Magic, size and form.
fn kind_of(bytes: &[u8], limits: &Limits) -> Result<Kind, Refusal> {
    let refuse = |code, message: String| Err(Refusal::new(Stage::Inspect, code, message));
    if bytes.is_empty() {
        return refuse("empty", "the file is empty".into());
    }
    if bytes.len() > limits.module_bytes {
        let (size, max) = (bytes.len(), limits.module_bytes >> 20);
        return refuse("too-large", format!("the file has {size} bytes, and a module may have {max} MiB"));
    }
    if bytes.starts_with(b"\x7fELF") {
        return Err(Refusal::new(Stage::Inspect, "precompiled", "this is machine code, which is never accepted")
            .hint("drop the .wasm itself; the host compiles it"));
    }
    let magic = b"\0asm";
    if !bytes.starts_with(&magic[..bytes.len().min(4)]) {
        return Err(Refusal::new(Stage::Inspect, "not-wasm", "this is not WebAssembly: it does not begin with \\0asm")
            .hint("text (WAT) must be assembled first, for example with `wasm-tools parse`"));
    }
    match bytes.get(4..8) {
        None => Err(incomplete()),
        Some([1, 0, 0, 0]) => Ok(Kind::Module),
        Some([0x0d, 0, 1, 0]) => Ok(Kind::Component),
        Some(version) => refuse("not-wasm", format!("WebAssembly of an unknown version {version:02x?}")),
    }
}

fn incomplete() -> Refusal {
    Refusal::new(Stage::Inspect, "incomplete", "the file ends in the middle of a section")
        .hint("it may still be being written, and is tried again when it changes; write to another name, then rename")
}

/// Walks the sections, and collects the names of the outermost level.
fn read_names(bytes: &[u8], limits: &Limits) -> Result<Names, Refusal> {
    let bounded = limits.controls.shape;
    let mut names = Names::default();
    let mut made = Made::default();
    let mut parents: Vec<Parser> = Vec::new();
    let mut parser = Parser::new(0);
    let mut rest = bytes;
    loop {
        // More data could always follow at the outermost level, so the parser is told so, and the end is seen here.
        if rest.is_empty() && parents.is_empty() {
            return Ok(names);
        }
        let (consumed, payload) = match parser.parse(rest, false).map_err(|e| malformed(&e))? {
            Chunk::NeedMoreData(_) => return Err(incomplete()),
            Chunk::Parsed { consumed, payload } => (consumed, payload),
        };
        rest = &rest[consumed..];
        made.count(&payload).map_err(|e| malformed(&e))?;
        if bounded && (made.modules > limits.instances || made.components > COMPONENT_INSTANCES) {
            let (modules, most) = (limits.instances, COMPONENT_INSTANCES);
            let message = format!("it makes instances of more than {modules} modules or {most} components");
            return Err(Refusal::new(Stage::Inspect, TOO_COMPLEX, message));
        }
        match payload {
            Payload::ModuleSection { parser: inner, .. } | Payload::ComponentSection { parser: inner, .. } => {
                if bounded && parents.len() == NESTED {
                    let message = format!("more than {NESTED} modules and components are nested in one another");
                    return Err(Refusal::new(Stage::Inspect, TOO_COMPLEX, message));
                }
                parents.push(std::mem::replace(&mut parser, inner));
            }
            Payload::End(_) => match parents.pop() {
                Some(parent) => parser = parent,
                None => return Ok(names),
            },
            Payload::CodeSectionStart { size, .. } => {
                let Some(after) = rest.get(size as usize..) else { return Err(incomplete()) };
                parser.skip_section();
                rest = after;
            }
            payload if parents.is_empty() => {
                if bounded && names.count + count(&payload) > MOST_NAMES {
                    let message = format!("it has more than {MOST_NAMES} imports and exports");
                    return Err(Refusal::new(Stage::Inspect, TOO_COMPLEX, message));
                }
                names.count += count(&payload);
                names.read(&payload).map_err(|e| malformed(&e))?;
            }
            _ => {}
        }
    }
}

fn malformed(error: &wasmparser::Error) -> Refusal {
    Refusal::new(Stage::Inspect, "invalid", clean(&format!("this is not valid WebAssembly: {error}"), NAME_BYTES * 2))
}

/// Instances that the text of a file makes, at any depth.
#[derive(Default)]
struct Made {
    modules: usize,
    components: usize,
}

impl Made {
    fn count(&mut self, payload: &Payload<'_>) -> Result<(), wasmparser::Error> {
        match payload {
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    self.modules += usize::from(matches!(instance?, Instance::Instantiate { .. }));
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    self.components += usize::from(matches!(instance?, ComponentInstance::Instantiate { .. }));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Names that a section says it has.
fn count(payload: &Payload<'_>) -> usize {
    let count = match payload {
        Payload::ComponentImportSection(section) => section.count(),
        Payload::ComponentExportSection(section) => section.count(),
        Payload::ImportSection(section) => section.count(),
        Payload::ExportSection(section) => section.count(),
        _ => 0,
    };
    count as usize
}

impl Names {
    fn read(&mut self, payload: &Payload<'_>) -> Result<(), wasmparser::Error> {
        match payload {
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    self.imports.push((import?.name.name.to_owned(), None));
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    self.exports.push(export?.name.name.to_owned());
                }
            }
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    let import = import?;
                    self.imports.push((import.module.to_owned(), Some(import.name.to_owned())));
                }
            }
            Payload::ExportSection(section) => {
                for export in section.clone() {
                    self.exports.push(export?.name.to_owned());
                }
            }
            Payload::CustomSection(section) => self.typed |= section.name().starts_with("component-type"),
            _ => {}
        }
        Ok(())
    }
}

fn check_imports(kind: Kind, names: &Names) -> Result<(), Refusal> {
    let allowed: &[&str] = match kind {
        Kind::Component => &ALLOWED_IMPORTS,
        Kind::Module => &ALLOWED_CORE_IMPORTS,
    };
    let foreign: Vec<&(String, Option<String>)> =
        names.imports.iter().filter(|(module, _)| !allowed.contains(&module.as_str())).collect();
    let Some((first, _)) = foreign.first() else { return Ok(()) };
    let mut quoted: Vec<String> = foreign
        .iter()
        .take(QUOTED)
        .map(|(module, field)| {
            let name = field.as_ref().map_or_else(|| module.clone(), |field| format!("{module} {field}"));
            format!("`{}`", clean(&name, NAME_BYTES))
        })
        .collect();
    if foreign.len() > QUOTED {
        quoted.push(format!("{} more", foreign.len() - QUOTED));
    }
    let message = format!("it imports {}; a policy may import trimtab:policy/log@0.1.0 alone", quoted.join(", "));
    Err(Refusal::new(Stage::Imports, "foreign-import", message).hint(import_hint(first)))
}

/// The fix, by the first offender.
fn import_hint(name: &str) -> &'static str {
    if name.starts_with("wasi:") {
        "build it without WASI: Rust for wasm32-unknown-unknown, componentize-py with --stub-wasi, JavaScript on QuickJS \
         with --sync, C, C++ and Go with a stub of the system interface"
    } else if name.starts_with("wasi_") {
        "it was linked against a C library for WASI: build with -nostdlib, or stub the system interface"
    } else if name.starts_with("trimtab:policy/") {
        "it was built for another version of the contract: build it against the wit/ of this one"
    } else if name == "env" || name == "a" {
        "undefined symbols were left to the host: link what defines them"
    } else if name.contains("async") {
        "build it with the synchronous ABI (--sync)"
    } else {
        "remove the import: a policy has its configuration, its observation and its state, and nothing else"
    }
}
