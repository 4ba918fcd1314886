//! The child process that compiles one module and ends.
//!
//! For: bounds that a compiler cannot argue with. It takes them on itself before it reads a byte of the module: CPU time,
//! address space, no file to write, no core, the lowest priority, the first to go when memory is short, and an end when
//! the daemon ends. It is given nothing but the module. Never loads or runs what it compiled.

use std::io::{self, BufRead, Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, Signal, getppid, nice, set_parent_process_death_signal, setrlimit};
use rustix::thread::set_no_new_privs;
use serde::{Deserialize, Serialize};

use super::{as_component, invalid};
use crate::engine::engine;
use crate::inspect::inspect;
use crate::limits::{Allocator, Bounds, Limits};
use crate::refusal::{Refusal, Stage};
use crate::text::clean;
use crate::wrap::Contract;

/// Bytes of the line that says what to do.
const TASK_BYTES: u64 = 4096;
/// Files it may have open: the three it was born with, and what the engine looks at for a moment.
const FILES: u64 = 16;
/// The first byte of the answer: machine code follows, or a refusal as JSON.
pub(super) const CODE: u8 = 0;
pub(super) const REFUSAL: u8 = 1;

/// One line of JSON, before the module's bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) parent: i32,
    pub(super) cpu_seconds: u64,
    pub(super) memory_bytes: u64,
    pub(super) module_bytes: usize,
    pub(super) text_bytes: usize,
    pub(super) bounds: Bounds,
}

/// The whole of a hidden verb: reads a task and a module from standard input, writes machine code or a refusal to
/// standard output.
pub fn compile_child() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The last words of a process that only a parent reads.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut line = String::new();
    (&mut input).take(TASK_BYTES).read_line(&mut line)?;
    let task: Task = serde_json::from_str(&line)?;
    confine(&task)?;
    let mut module = Vec::new();
    input.take(task.module_bytes as u64 + 1).read_to_end(&mut module)?;
    let answer = build(&module, &task);
    let mut output = io::stdout().lock();
    match answer {
        Ok(code) => {
            output.write_all(&[CODE])?;
            output.write_all(&code)?;
        }
        Err(refusal) => {
            output.write_all(&[REFUSAL])?;
            serde_json::to_writer(&mut output, &refusal)?;
        }
    }
    output.flush()
}

fn confine(task: &Task) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid().is_none_or(|parent| parent.as_raw_nonzero().get() != task.parent) {
        return Err(io::Error::other("the daemon has ended"));
    }
    set_no_new_privs(true)?;
    let limit = |resource, soft: u64, hard: u64| {
        setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) }).map_err(io::Error::from)
    };
    limit(Resource::Cpu, task.cpu_seconds, task.cpu_seconds + 1)?;
    limit(Resource::As, task.memory_bytes, task.memory_bytes)?;
    limit(Resource::Core, 0, 0)?;
    limit(Resource::Fsize, 0, 0)?;
    limit(Resource::Nofile, FILES, FILES)?;
    // Politeness, where the kernel allows it: neither makes a module any more dangerous.
    let _ = nice(19);
    let _ =
        std::fs::OpenOptions::new().write(true).open("/proc/self/oom_score_adj").and_then(|mut f| f.write_all(b"1000"));
    Ok(())
}

fn build(module: &[u8], task: &Task) -> Result<Vec<u8>, Refusal> {
    let limits = Limits { module_bytes: task.module_bytes, text_bytes: task.text_bytes, ..Limits::default() };
    let host = |message: String| Refusal::new(Stage::Compile, "host", clean(&message, task.text_bytes));
    let engine = engine(Allocator::OnDemand, task.bounds, &limits).map_err(|error| host(error.to_string()))?;
    let contract = Contract::parse().map_err(host)?;
    let (inspection, typed) = inspect(module, &limits)?;
    let wasm = as_component(&contract, module, inspection.kind, typed, &limits)?;
    engine.precompile_component(&wasm).map_err(|error| {
        let starved = |cause: &(dyn std::error::Error + 'static)| {
            cause
                .downcast_ref::<io::Error>()
                .is_some_and(|e| e.raw_os_error() == Some(rustix::io::Errno::NOMEM.raw_os_error()))
        };
        if error.chain().any(starved) {
            super::parent::out_of_memory(task.memory_bytes)
        } else {
            invalid(&error, &limits)
        }
    })
}
