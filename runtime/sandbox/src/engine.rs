//! The Wasm engine: which features exist, how instances are allocated, what the linker offers.
//!
//! For: one place where the attack surface is chosen. Never loads precompiled code, never offers WASI.

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::bindings::ScalingPolicy;
use crate::guest::CallData;
use crate::limits::{Allocator, Limits, SandboxConfig};
use crate::ticker::Ticker;
use crate::wrap::Contract;
use crate::{SandboxError, deadline};

/// Components that may be instantiated at the same time.
const INSTANCES: u32 = 64;
/// What a slot keeps mapped between two calls, so that a guest within it causes no page fault. Times the slots in use,
/// this is resident memory.
const KEEP_RESIDENT: usize = 512 << 10;

/// What all modules share.
pub(crate) struct Host {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<CallData>,
    pub(crate) limits: Limits,
    pub(crate) ticker: Ticker,
    pub(crate) contract: Contract,
}

impl Host {
    pub(crate) fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        let engine = Engine::new(&engine_config(&config)).map_err(|e| SandboxError::Engine(format!("{e:#}")))?;
        let mut linker = Linker::new(&engine);
        ScalingPolicy::add_to_linker::<_, HasSelf<_>>(&mut linker, |data: &mut CallData| data)
            .map_err(|e| SandboxError::Engine(format!("{e:#}")))?;
        let ticker = Ticker::start(engine.clone(), deadline::TICK).map_err(SandboxError::Ticker)?;
        let contract = Contract::parse().map_err(SandboxError::Contract)?;
        Ok(Host { engine, linker, limits: config.limits, ticker, contract })
    }
}

fn engine_config(config: &SandboxConfig) -> Config {
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
    // A compile takes one core and leaves the others to ticks.
    wasm.parallel_compilation(false);
    if config.allocator == Allocator::Pooling {
        wasm.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(&config.limits)));
    }
    wasm
}

/// A pool counts in 32 bits.
fn count(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES);
    let (instances, memories, tables) = (count(limits.instances), count(limits.memories), count(limits.tables));
    pool.max_core_instances_per_component(instances);
    pool.total_core_instances(INSTANCES * instances);
    // No less for one module than for all of a component: the limiter, which counts without a pool, knows no modules.
    pool.max_memories_per_component(memories);
    pool.max_memories_per_module(memories);
    pool.total_memories(INSTANCES * 4);
    // All that 32 bits address, which a slot reserves anyway: `memory` bounds what is used, with every allocator alike.
    pool.max_memory_size(1 << 32);
    pool.max_tables_per_component(tables);
    pool.max_tables_per_module(tables);
    pool.total_tables(INSTANCES * 16);
    pool.table_elements(limits.table_elements);
    pool.max_unused_warm_slots(INSTANCES * 4);
    pool.linear_memory_keep_resident(KEEP_RESIDENT);
    pool.table_keep_resident(64 << 10);
    // Where the kernel can say which pages were touched, only those are reset.
    pool.pagemap_scan(Enabled::Auto);
    pool
}
