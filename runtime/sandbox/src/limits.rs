//! Every number that bounds a policy, in one place.
//!
//! For: the defaults of the design, and the record that a caller may change. Never enforced here: each field names the
//! module that does.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use trimtab_control::time::Span;

/// What one module and one call of it may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Size of a module file, bytes (`inspect`).
    pub module_bytes: usize,
    /// CPU time of compiling a module, in a child process (`compile/child`).
    pub compile_cpu: Duration,
    /// Address space of that process, bytes (`compile/child`).
    pub compile_memory: usize,
    /// Wall time of that process (`compile/parent`).
    pub compile_wall: Duration,
    /// Machine code that a module may become, bytes (`compile/parent`).
    pub code_bytes: usize,
    /// Thread CPU time of one export (`deadline`).
    pub call_cpu: Duration,
    /// Thread CPU time of instantiation, where start functions run (`deadline`).
    pub start_cpu: Duration,
    /// Wall time of instantiation and call together; beyond it the host is to blame, not the guest (`deadline`).
    pub call_wall: Duration,
    /// Memories and tables of a store, summed, bytes (`memory`).
    pub memory_bytes: usize,
    /// Elements of one table (`memory`).
    pub table_elements: usize,
    /// Core instances of a component; what is one too many is refused when it is compiled or made (`memory`).
    pub instances: usize,
    /// Memories of a component, likewise.
    pub memories: usize,
    /// Tables of a component, likewise.
    pub tables: usize,
    /// Handles of its own resources that a guest may hold at a time (`guest`).
    pub handles: usize,
    /// What the host copies out of the guest in one crossing, bytes (`guest`).
    pub lifted_bytes: usize,
    /// State that a call may hand back, bytes (`answer`).
    pub state_bytes: usize,
    /// Reasons and messages, bytes after escaping (`text`).
    pub text_bytes: usize,
    /// Notes of an answer (`answer`).
    pub notes: usize,
    /// Name or value of a note, bytes (`answer`).
    pub note_bytes: usize,
    /// Log lines of a call, each cut at `text_bytes` (`guest_log`).
    pub log_lines: usize,
    /// JSON Schema in a description, bytes (`description`).
    pub schema_bytes: usize,
    /// Needs of one stage (`needs`).
    pub needs: usize,
    /// Steps of one need (`needs`).
    pub steps: u64,
    /// How far back a need may reach (`needs`).
    pub window: Span,
    /// Series in an observation (`guest`).
    pub series: usize,
    /// Values in all series of an observation (`guest`).
    pub values: usize,
    /// What no number expresses.
    #[doc(hidden)]
    pub controls: Controls,
}

/// Checks that stand between a policy and its host; all are on. For tests alone, which show what each is for.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controls {
    /// Calls are interrupted (`deadline`).
    pub deadline: bool,
    /// Only the contract may be imported (`inspect`).
    pub imports: bool,
    /// Nesting of components and the number of names are bounded before anything is parsed (`inspect`).
    pub shape: bool,
    /// A schema is measured before it is compiled (`schema`).
    pub schema: bool,
    /// Control characters of guests are escaped (`text`).
    pub escape: bool,
    /// An answer may only name pools of the observation, each tier once (`answer`).
    pub answers: bool,
    /// A policy's own error can only have a code of the contract (`answer`).
    pub codes: bool,
    /// What a policy says of itself has to be usable (`description`).
    pub description: bool,
    /// What is asked for has to be a signal, a label, a known aggregation (`needs`).
    pub needs: bool,
}

impl Default for Controls {
    fn default() -> Self {
        Controls {
            deadline: true,
            imports: true,
            shape: true,
            schema: true,
            escape: true,
            answers: true,
            codes: true,
            description: true,
            needs: true,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            module_bytes: 64 << 20,
            compile_cpu: Duration::from_secs(60),
            compile_memory: 2 << 30,
            compile_wall: Duration::from_secs(120),
            code_bytes: 256 << 20,
            call_cpu: Duration::from_millis(50),
            start_cpu: Duration::from_millis(100),
            call_wall: Duration::from_millis(500),
            memory_bytes: 64 << 20,
            table_elements: 20_000,
            instances: 64,
            memories: 8,
            tables: 64,
            handles: 10_000,
            lifted_bytes: 2 << 20,
            state_bytes: 64 << 10,
            text_bytes: 1 << 10,
            notes: 32,
            note_bytes: 256,
            log_lines: 64,
            schema_bytes: 256 << 10,
            needs: 32,
            steps: 1440,
            window: Span(24 * 3_600_000),
            series: 256,
            values: 131_072,
            controls: Controls::default(),
        }
    }
}

/// Where instances live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Allocator {
    /// Slots reserved at the start and reset between calls: no system call per call. Reserves about 1 TiB of address
    /// space (not memory).
    #[default]
    Pooling,
    /// Memory mapped for each instance: slower, for verbs that make a few calls and hosts that limit address space.
    OnDemand,
}

/// How an access beyond a guest's memory is caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Bounds {
    /// By pages around the memory that nothing may touch, in addition to the compiler's own proof: a second wall.
    #[default]
    Guarded,
    /// By a comparison before each access alone. Guests that grow their memory in every call are faster so; those of the
    /// SDK do not, and are slower.
    Checked,
}

/// Where modules are compiled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Compiler {
    /// In this process, without bounds: for modules that are trusted, and for tests.
    #[default]
    InProcess,
    /// In a child of its own, bounded by [`Limits`]: this program with these arguments, which must end up in
    /// [`compile_child`](crate::compile_child).
    Child(Vec<OsString>),
}

/// What a sandbox is made from.
#[derive(Debug, Clone, Default)]
pub struct SandboxConfig {
    /// The bounds of modules and calls that are given no others.
    pub limits: Limits,
    /// Where instances live.
    pub allocator: Allocator,
    /// How an access beyond memory is caught.
    pub bounds: Bounds,
    /// Where modules are compiled.
    pub compiler: Compiler,
    /// Where machine code is kept: a folder that nobody else can write. None: it is not kept.
    pub cache: Option<PathBuf>,
}
