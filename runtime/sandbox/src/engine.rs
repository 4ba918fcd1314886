//! The Wasm engine: which features exist, how instances are allocated, what the linker offers.
//!
//! For: one place where the attack surface is chosen. Never loads machine code, never offers WASI.

use std::sync::Arc;

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::bindings::ScalingPolicy;
use crate::cache::{Cache, CacheError};
use crate::guest::CallData;
use crate::limits::{Allocator, Bounds, Compiler, Limits, SandboxConfig};
use crate::ticker::Ticker;
use crate::wrap::Contract;
use crate::{SandboxError, deadline};

/// Components that may be instantiated at the same time.
const INSTANCES: u32 = 64;
/// What one memory may grow to where it has no guard pages; with them a slot reserves all that 32 bits address.
const UNGUARDED: u64 = 1 << 30;
/// Memory that a guest may begin with to be lean: written over between two calls, so that a call within it makes no
/// system call and no page fault. The SDK's guests are.
const LEAN: usize = 256 << 10;
/// What a slot of another guest keeps mapped between two calls, of the pages that the call has touched. Times the slots
/// in use, this is resident memory.
const ROOMY: usize = 2 << 20;

/// What all modules share.
pub(crate) struct Host {
    pub(crate) engines: Engines,
    lean: Linker<CallData>,
    roomy: Linker<CallData>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) ticker: Ticker,
    pub(crate) contract: Contract,
    pub(crate) compiler: Compiler,
    pub(crate) bounds: Bounds,
    /// None: nothing is kept; or why it cannot be.
    pub(crate) cache: Result<Option<Cache>, CacheError>,
}

/// Two engines with the same settings but for how memory is made new between two calls. Machine code of one is that of
/// the other.
pub(crate) struct Engines {
    pub(crate) lean: Engine,
    roomy: Engine,
}

impl Engines {
    pub(crate) fn new(allocator: Allocator, bounds: Bounds, limits: &Limits) -> Result<Engines, SandboxError> {
        let lean = engine(allocator, bounds, limits)?;
        if allocator == Allocator::OnDemand {
            return Ok(Engines { roomy: lean.clone(), lean });
        }
        let mut roomy = settings(bounds);
        let mut pool = pool(limits, bounds);
        pool.linear_memory_keep_resident(ROOMY);
        // Where the kernel can say which pages were touched, only those are reset.
        pool.pagemap_scan(Enabled::Auto);
        roomy.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let roomy = Engine::new(&roomy).map_err(|e| SandboxError::Engine(format!("{e:#}")))?;
        Ok(Engines { lean, roomy })
    }

    /// Loads machine code into the engine that suits it.
    pub(crate) fn place(&self, load: impl Fn(&Engine) -> wasmtime::Result<Component>) -> wasmtime::Result<Component> {
        let component = load(&self.lean)?;
        let pages = component.resources_required().and_then(|needs| needs.max_initial_memory_size);
        if pages.is_none_or(|pages| pages <= (LEAN >> 16) as u64) || Engine::same(&self.lean, &self.roomy) {
            return Ok(component);
        }
        load(&self.roomy)
    }
}

impl Host {
    pub(crate) fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        let engines = Engines::new(config.allocator, config.bounds, &config.limits)?;
        let linker = |engine: &Engine| {
            let mut linker = Linker::new(engine);
            let added = ScalingPolicy::add_to_linker::<_, HasSelf<_>>(&mut linker, |data: &mut CallData| data);
            added.map(|()| linker).map_err(|e| SandboxError::Engine(format!("{e:#}")))
        };
        let (lean, roomy) = (linker(&engines.lean)?, linker(&engines.roomy)?);
        let clocked = vec![engines.lean.clone(), engines.roomy.clone()];
        let ticker = Ticker::start(clocked, deadline::TICK).map_err(SandboxError::Ticker)?;
        let contract = Contract::parse().map_err(SandboxError::Contract)?;
        let cache = config.cache.map(|folder| Cache::open(&folder, &engines.lean)).transpose();
        let SandboxConfig { limits, compiler, bounds, .. } = config;
        Ok(Host { engines, lean, roomy, limits: Arc::new(limits), ticker, contract, compiler, bounds, cache })
    }

    /// Where machine code is kept, if it is.
    pub(crate) fn kept(&self) -> Option<&Cache> {
        self.cache.as_ref().ok().and_then(Option::as_ref)
    }

    /// What a component is linked with.
    pub(crate) fn linker(&self, component: &Component) -> &Linker<CallData> {
        if Engine::same(component.engine(), &self.engines.lean) { &self.lean } else { &self.roomy }
    }
}

/// An engine. Where instances live changes nothing about the machine code it makes and takes.
pub(crate) fn engine(allocator: Allocator, bounds: Bounds, limits: &Limits) -> Result<Engine, SandboxError> {
    let mut wasm = settings(bounds);
    if allocator == Allocator::Pooling {
        wasm.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits, bounds)));
    }
    Engine::new(&wasm).map_err(|e| SandboxError::Engine(format!("{e:#}")))
}

fn settings(bounds: Bounds) -> Config {
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
    if bounds == Bounds::Checked {
        wasm.signals_based_traps(false);
        wasm.memory_guard_size(0);
        wasm.memory_reservation(UNGUARDED);
    }
    wasm
}

/// A pool counts in 32 bits.
fn count(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

fn pool(limits: &Limits, bounds: Bounds) -> PoolingAllocationConfig {
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
    pool.max_memory_size(if bounds == Bounds::Checked { UNGUARDED as usize } else { 1 << 32 });
    pool.max_tables_per_component(tables);
    pool.max_tables_per_module(tables);
    pool.total_tables(INSTANCES * 16);
    pool.table_elements(limits.table_elements);
    pool.max_unused_warm_slots(INSTANCES * 4);
    pool.linear_memory_keep_resident(LEAN);
    pool.table_keep_resident(64 << 10);
    pool
}
