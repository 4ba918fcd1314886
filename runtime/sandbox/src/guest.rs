//! One call of one export: a fresh store, a deadline, an instance, the call, and what went wrong.
//!
//! For: the only way into guest code. The store and all it holds is dropped when the call ends. Never retries, never
//! keeps an instance, never believes an answer: `answer` and `needs` check those.

use std::sync::Arc;

use trimtab_control::policy::{Fault, LogLine};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap};

use crate::bindings::{ScalingPolicy, ScalingPolicyPre};
use crate::deadline::{Deadline, Stopped};
use crate::engine::Host;
use crate::guest_log::GuestLog;
use crate::limits::Limits;
use crate::memory::Memory;
use crate::text::clean;

/// What a store carries: the bounds at work during one call.
pub(crate) struct CallData {
    pub(crate) log: GuestLog,
    memory: Memory,
    deadline: Deadline,
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
    /// Calls `export` through `run` in a fresh instance.
    pub(crate) fn call<R>(
        &self,
        export: &str,
        limits: &Limits,
        run: impl FnOnce(&ScalingPolicy, &mut Store<CallData>) -> wasmtime::Result<R>,
    ) -> (Result<R, Fault>, Vec<LogLine>) {
        let _in_flight = self.host.ticker.enter();
        let data = CallData {
            log: GuestLog::new(limits.log_lines, limits.text_bytes),
            memory: Memory::new(limits.memory_bytes),
            deadline: Deadline::start(limits.start_cpu, limits.call_wall),
        };
        let mut store = Store::new(&self.host.engine, data);
        store.limiter(|data| &mut data.memory);
        store.set_hostcall_fuel(limits.lifted_bytes);
        store.epoch_deadline_callback(|mut context| Ok(context.data_mut().deadline.tick()));
        store.set_epoch_deadline(1);

        let mut phase = Phase::Instantiate;
        let result = self.pre.instantiate(&mut store).and_then(|instance| {
            phase = Phase::Export;
            store.data_mut().deadline.arm(limits.call_cpu);
            run(&instance, &mut store)
        });
        let data = store.into_data();
        let result = result.map_err(|error| fault(&error, phase, export, limits, &data));
        (result, data.log.finish())
    }
}

/// What an error of the engine means, in the words of the contract.
fn fault(error: &wasmtime::Error, phase: Phase, export: &str, limits: &Limits, data: &CallData) -> Fault {
    let place = match phase {
        Phase::Instantiate => "its start function",
        Phase::Export => export,
    };
    let (code, message) = if let Some(stopped) = data.deadline.stopped() {
        match stopped {
            Stopped::Cpu(budget) => {
                ("timeout", format!("{place} used up its {} ms of CPU time: an endless loop?", budget.as_millis()))
            }
            Stopped::Wall(wall) => {
                ("host", format!("{place} could not finish in {} ms: this machine is overloaded", wall.as_millis()))
            }
        }
    } else if data.memory.refused() {
        let most = match limits.memory_bytes {
            few if few < 1 << 20 => format!("{} KiB", few >> 10),
            many => format!("{} MiB", many >> 20),
        };
        ("memory", format!("{place} asked for more than {most} of memory and tables, then failed: {}", root(error)))
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        ("trap", format!("{place} trapped: {}", explain(*trap)))
    } else if phase == Phase::Instantiate || error.is::<PoolConcurrencyLimitError>() {
        ("host", format!("no instance could be made: {}", root(error)))
    } else if root(error).contains("fuel allocated for hostcalls") {
        let kib = limits.lifted_bytes >> 10;
        ("bad-answer", format!("{place} handed over more than {kib} KiB in one piece"))
    } else {
        ("bad-answer", format!("{place} gave what the contract does not allow: {}", root(error)))
    };
    Fault { code: code.into(), message: clean(&message, limits.text_bytes) }
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
        Trap::StackOverflow => "call stack exhausted: the recursion is too deep".into(),
        Trap::MemoryOutOfBounds => {
            "out of bounds memory access: a wrong pointer, or its own stack ran over (link with a larger one)".into()
        }
        other => other.to_string().trim_start_matches("wasm trap: ").to_owned(),
    }
}
