//! A tenant, as its platform writes it: what the policies of one namespace may cost.
//!
//! For: the fields of `kind: Tenant`. Bounds of these bounds are here: what no document can raise.

use super::super::field::{words, written};
use super::super::quantity::{Period, Size};
use super::super::scalar::Name;
use super::ApiVersion;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

words! {
    /// What a document describes.
    enum TenantKind {
        /// A namespace and what its policies may cost.
        Tenant = "Tenant",
    }
}

written! {
    /// What the policies of one namespace may cost. The platform writes it; a namespace without one has the defaults.
    struct TenantDocument as "Tenant" {
        /// Version of the format.
        api_version: ApiVersion = "apiVersion" required;
        /// What the document describes.
        kind: TenantKind = "kind" required;
        /// Who the tenant is.
        metadata: TenantName = "metadata" required;
        /// What it may use.
        spec: TenantSpec = "spec" required;
    }
}

written! {
    /// Who the tenant is.
    struct TenantName as "Tenant metadata" {
        /// The namespace.
        name: Name = "name" required;
    }
}

written! {
    /// What the tenant may use.
    struct TenantSpec as "Tenant spec" {
        /// What its modules and their calls may cost.
        limits: Limits = "limits" default("{}");
    }
    later { "egress": "which addresses its sources may read" }
}

written! {
    /// What the tenant's modules and their calls may cost. Each has an error code of its own.
    struct Limits as "Tenant spec.limits" {
        /// CPU time of one call; beyond it the call ends with `timeout`.
        call_cpu: Period<1, 1000> = "callCpu" default("50ms");
        /// Wall time of one call, start functions included; beyond it the call ends with `host`, which is not held against
        /// the policy.
        call_wall: Period<10, 10_000> = "callWall" default("500ms");
        /// Memory and tables of one call together; beyond it the call ends with `memory`.
        memory: Size<{ 64 * KIB }, { 1024 * MIB }> = "memory" default("64MiB");
        /// What one call may hand back; beyond it the call ends with `answer-too-large`.
        answer: Size<{ 4 * KIB }, { 64 * MIB }> = "answer" default("2MiB");
        /// What a stage may keep from one call to the next; beyond it the call ends with `state-too-large`.
        state: Size<0, { 64 * KIB }> = "state" default("64KiB");
        /// A module's file; a larger one is refused with `too-large`.
        module: Size<KIB, { 1024 * MIB }> = "module" default("64MiB");
        /// CPU time of compiling a module; beyond it the module is refused with `compile-cpu`.
        compile_cpu: Period<1000, 600_000> = "compileCpu" default("60s");
        /// Wall time of compiling a module; beyond it the module is refused with `compile-wall`.
        compile_wall: Period<1000, 1_200_000> = "compileWall" default("120s");
        /// Memory of compiling a module; beyond it the module is refused with `compile-memory`.
        compile_memory: Size<{ 256 * MIB }, { 16 * 1024 * MIB }> = "compileMemory" default("2GiB");
    }
}
