//! The Wasm engine: which features exist, how instances are allocated, what the linker offers.
//!
//! For: one place where the attack surface is chosen. Never loads machine code, never offers WASI.

use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::bindings::ScalingPolicy;
use crate::cache::{Cache, CacheError};
use crate::guest::CallData;
use crate::limits::{Allocator, Compiler, Limits, SandboxConfig};
use crate::ticker::Ticker;
use crate::wrap::Contract;
use crate::{SandboxError, deadline};

/// Components that may be instantiated at the same time.
const INSTANCES: u32 = 64;
/// Core instances of the largest known component (interpreters of scripts have 38).
const CORE_INSTANCES_PER_COMPONENT: u32 = 64;
/// The most that a tenant may be allowed.
pub(crate) const MEMORY_BYTES: usize = 1 << 30;
/// What a slot keeps mapped between two calls, so that a guest within it causes no page fault. Times the slots in use,
/// this is resident memory.
const KEEP_RESIDENT: usize = 512 << 10;

/// What all modules share.
pub(crate) struct Host {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<CallData>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) ticker: Ticker,
    pub(crate) contract: Contract,
    pub(crate) compiler: Compiler,
    /// None: nothing is kept; or why it cannot be.
    pub(crate) cache: Result<Option<Cache>, CacheError>,
}

impl Host {
    pub(crate) fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        let engine = engine(config.allocator)?;
        let mut linker = Linker::new(&engine);
        ScalingPolicy::add_to_linker::<_, HasSelf<_>>(&mut linker, |data: &mut CallData| data)
            .map_err(|e| SandboxError::Engine(format!("{e:#}")))?;
        let ticker = Ticker::start(engine.clone(), deadline::TICK).map_err(SandboxError::Ticker)?;
        let contract = Contract::parse().map_err(SandboxError::Contract)?;
        let cache = config.cache.map(|folder| Cache::open(&folder, &engine)).transpose();
        let SandboxConfig { limits, compiler, .. } = config;
        Ok(Host { engine, linker, limits: Arc::new(limits), ticker, contract, compiler, cache })
    }
}

impl Host {
    /// Where machine code is kept, if it is.
    pub(crate) fn kept(&self) -> Option<&Cache> {
        self.cache.as_ref().ok().and_then(Option::as_ref)
    }
}

/// An engine. Where instances live changes nothing about the machine code it makes and takes.
pub(crate) fn engine(allocator: Allocator) -> Result<Engine, SandboxError> {
    Engine::new(&engine_config(allocator)).map_err(|e| SandboxError::Engine(format!("{e:#}")))
}

fn engine_config(allocator: Allocator) -> Config {
    let mut wasm = Config::new();
    // Bounds.
    wasm.epoch_interruption(true);
    wasm.memory_init_cow(true);
    // Same inputs, same bytes, on every machine.
    wasm.cranelift_nan_canonicalization(true);
    wasm.wasm_relaxed_simd(false);
    wasm.relaxed_simd_deterministic(true);
    // What a policy does not need is not there.
    wasm.wasm_memory64(false);
    wasm.concurrency_support(false);
    // A trap's frames are never shown; capturing them costs more than the trap.
    wasm.wasm_backtrace_max_frames(None);
    wasm.generate_address_map(false);
    // A compile takes one core and leaves the others to ticks.
    wasm.parallel_compilation(false);
    if allocator == Allocator::Pooling {
        wasm.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    }
    wasm
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES);
    pool.max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT);
    pool.total_core_instances(INSTANCES * CORE_INSTANCES_PER_COMPONENT);
    pool.max_memories_per_component(8);
    pool.max_memories_per_module(4);
    pool.total_memories(INSTANCES * 4);
    // Of one memory; what a store may have in all is each tenant's own limit.
    pool.max_memory_size(MEMORY_BYTES);
    pool.max_tables_per_component(64);
    pool.max_tables_per_module(8);
    pool.total_tables(INSTANCES * 16);
    pool.table_elements(20_000);
    pool.max_unused_warm_slots(INSTANCES * 4);
    pool.linear_memory_keep_resident(KEEP_RESIDENT);
    pool.table_keep_resident(64 << 10);
    // Where the kernel can say which pages were touched, only those are reset.
    pool.pagemap_scan(Enabled::Auto);
    pool
}
