//! Documents about tenants: which they are, and the limits they come to.
//!
//! For: `kind: Tenant`. Never starts or ends anything: the limits hold from the next call on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use trimtab_control::time::Span;
use trimtab_sandbox::Limits;

use super::TenantDocument;
use super::field::Written as _;
use super::problem::{Problem, Report, Step};
use super::tree::{Node, Value};
use super::written;

/// Whether a document says that it is about a tenant.
pub(super) fn is_one(root: &Node) -> bool {
    root.get("kind").is_some_and(|kind| matches!(&kind.value, Value::Scalar { text, .. } if text == "Tenant"))
}

/// Reads one.
pub(super) fn read(root: &Node, mut report: Report, file: &Path) -> TenantDocument {
    let name = root.get("metadata").and_then(|metadata| metadata.get("name"));
    let name = name.and_then(|node| super::scalar::Name::read(node, &mut Report::new(&Arc::from(""))));
    let place = report.place(root.spot);
    let document = written::TenantDocument::read(root, &mut report);
    let problems = report.finish();
    let outcome = match document {
        Some(document) if problems.is_empty() => Ok(Arc::new(limits(&document.spec.limits))),
        _ => Err(problems),
    };
    TenantDocument { name: name.map(|name| name.0), file: file.to_owned(), place, outcome }
}

fn limits(written: &written::Limits) -> Limits {
    let time = |span: Span| Duration::from_millis(span.0);
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let call_cpu = time(written.call_cpu.value.0);
    Limits {
        call_cpu,
        start_cpu: call_cpu * 2,
        call_wall: time(written.call_wall.value.0),
        memory_bytes: bytes(written.memory.value.0),
        lifted_bytes: bytes(written.answer.value.0),
        state_bytes: bytes(written.state.value.0),
        module_bytes: bytes(written.module.value.0),
        compile_cpu: time(written.compile_cpu.value.0),
        compile_wall: time(written.compile_wall.value.0),
        compile_memory: bytes(written.compile_memory.value.0),
        ..Limits::default()
    }
}

/// Every mistake in them, and a second document of one tenant.
pub(super) fn problems(documents: &[TenantDocument]) -> Vec<Problem> {
    let mut problems: Vec<Problem> =
        documents.iter().filter_map(|d| d.outcome.as_ref().err()).flatten().cloned().collect();
    for (n, document) in documents.iter().enumerate() {
        let Some(name) = &document.name else { continue };
        if let Some(first) = documents[..n].iter().find(|other| other.name.as_ref() == Some(name)) {
            problems.push(Problem {
                place: document.place.clone(),
                stage: Step::Manifest,
                message: format!("a second document of tenant {name}; the first is at {}", first.place),
                hint: "give one of them another name, or remove it".into(),
            });
        }
    }
    problems
}
