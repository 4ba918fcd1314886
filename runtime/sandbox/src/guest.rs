//! One call of one export: a fresh store, a deadline, an instance, the call, and what went wrong.
//!
//! For: the only way into guest code. The store and all it holds is dropped when the call ends. Never retries, never
//! keeps an instance, never believes an answer: `answer` and `needs` check those.

use std::sync::Arc;

use trimtab_control::policy::{Fault, Limit, LogLine};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, UpdateDeadline};

use crate::admit::TOO_COMPLEX;
use crate::bindings::{ScalingPolicy, ScalingPolicyPre};
use crate::deadline::{Deadline, Stopped};
use crate::engine::Host;
use crate::guest_log::GuestLog;
use crate::limits::Limits;
use crate::memory::{Memory, Refused};
use crate::text::clean;

/// What a store carries: the bounds at work during one call.
pub(crate) struct CallData {
    pub(crate) log: GuestLog,
    memory: Memory,
    deadline: Deadline,
    interruptible: bool,
}

impl CallData {
    /// Whether the call has had its time.
    pub(crate) fn tick(&mut self) -> UpdateDeadline {
        if self.interruptible { self.deadline.tick() } else { UpdateDeadline::Continue(1) }
    }
}

/// What came of a call.
pub(crate) struct Called<R> {
    pub(crate) result: Result<R, Fault>,
    pub(crate) log: Vec<LogLine>,
    /// The bounds that it ran into.
    pub(crate) bounds: Vec<Limit>,
}

/// A linked module.
pub(crate) struct Guest {
    pub(crate) host: Arc<Host>,
    pub(crate) pre: ScalingPolicyPre<CallData>,
}

/// Which part of a call was running.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Instantiate,
    Export,
}

impl Guest {
    /// A store with every bound in force, its time for instantiation begun.
    pub(crate) fn store(&self, limits: &Limits) -> Store<CallData> {
        let data = CallData {
            log: GuestLog::new(limits),
            memory: Memory::new(limits),
            deadline: Deadline::start(limits.start_cpu, limits.call_wall),
            interruptible: limits.controls.deadline,
        };
        let mut store = Store::new(self.pre.engine(), data);
        store.limiter(|data| &mut data.memory);
        store.set_hostcall_fuel(limits.lifted_bytes);
        store.set_max_component_handles(limits.handles);
        store.epoch_deadline_callback(|mut context| Ok(context.data_mut().tick()));
        store.set_epoch_deadline(1);
        store
    }

    /// Calls `export` through `run` in a fresh instance.
    pub(crate) fn call<R>(
        &self,
        export: &str,
        limits: &Limits,
        run: impl FnOnce(&ScalingPolicy, &mut Store<CallData>) -> wasmtime::Result<R>,
    ) -> Called<R> {
        let _in_flight = self.host.ticker.enter();
        let mut store = self.store(limits);
        let mut phase = Phase::Instantiate;
        let result = self.pre.instantiate(&mut store).and_then(|instance| {
            phase = Phase::Export;
            store.data_mut().deadline.arm(limits.call_cpu);
            run(&instance, &mut store)
        });
        let data = store.into_data();
        let mut bounds: Vec<Limit> = data.log.is_cut().then_some(Limit::Log).into_iter().collect();
        let result = result.map_err(|error| {
            let (code, limit, message) = fault(&error, phase, export, limits, &data);
            bounds.extend(limit);
            Fault { code: code.into(), message: clean(&message, limits.text_bytes) }
        });
        Called { result, log: data.log.finish(), bounds }
    }
}

/// What an error of the engine means, in the words of the contract: a code, the bound if it is one, a sentence.
fn fault(
    error: &wasmtime::Error,
    phase: Phase,
    export: &str,
    limits: &Limits,
    data: &CallData,
) -> (&'static str, Option<Limit>, String) {
    let (place, cpu) = match phase {
        Phase::Instantiate => ("its start function", Limit::StartCpu),
        Phase::Export => (export, Limit::CallCpu),
    };
    if let Some(stopped) = data.deadline.stopped() {
        return match stopped {
            Stopped::Cpu(budget) => {
                let ms = budget.as_millis();
                ("timeout", Some(cpu), format!("{place} used up its {ms} ms of CPU time: an endless loop?"))
            }
            Stopped::Wall(wall) => {
                let ms = wall.as_millis();
                let message = format!("{place} could not finish in {ms} ms: this machine is overloaded");
                ("host", Some(Limit::CallWall), message)
            }
        };
    }
    // Its own words of the engine, which has no type for them; the hostile corpus holds a case for each.
    let said = root(error);
    let parts = ["resource limit exceeded", "store handle limit exceeded"];
    if parts.iter().any(|part| said.contains(part))
        || (data.memory.refused() == Some(Refused::Table) && phase == Phase::Instantiate)
    {
        let message = format!("it has more parts than a policy may have: {said}");
        return (TOO_COMPLEX, Some(Limit::Complexity), message);
    }
    if let Some(Trap::StackOverflow) = error.downcast_ref::<Trap>() {
        let message = format!("{place} ran out of call stack: the recursion is too deep");
        return ("stack", Some(Limit::Stack), message);
    }
    if let Some(refused) = data.memory.refused() {
        let what = match refused {
            Refused::Memory if limits.memory_bytes < 1 << 20 => {
                format!("{} KiB of memory and tables", limits.memory_bytes >> 10)
            }
            Refused::Memory => format!("{} MiB of memory and tables", limits.memory_bytes >> 20),
            Refused::Table => format!("{} elements of a table", limits.table_elements),
        };
        let message = format!("{place} asked for more than {what}, then failed: {said}");
        return ("memory", Some(Limit::Memory), message);
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return ("trap", None, format!("{place} trapped: {}", explain(*trap)));
    }
    if phase == Phase::Instantiate || error.is::<PoolConcurrencyLimitError>() {
        return ("host", None, format!("no instance could be made: {said}"));
    }
    if said.contains("fuel allocated for hostcalls") {
        let kib = limits.lifted_bytes >> 10;
        let message = format!("{place} handed over more than {kib} KiB in one piece");
        return ("answer-too-large", Some(Limit::Lifted), message);
    }
    ("bad-answer", None, format!("{place} gave what the contract does not allow: {said}"))
}
fn root(error: &wasmtime::Error) -> String {
    error.root_cause().to_string()
}

/// A trap in words that help its author.
fn explain(trap: Trap) -> String {
    match trap {
        Trap::UnreachableCodeReached => {
            "it stopped itself (wasm `unreachable`): a panic, or probably a system call: print, \
                                         clock, file or random"
                .into()
        }
        Trap::MemoryOutOfBounds => {
            "out of bounds memory access: a wrong pointer, or its own stack ran over (link with a larger one)".into()
        }
        other => other.to_string().trim_start_matches("wasm trap: ").to_owned(),
    }
}
