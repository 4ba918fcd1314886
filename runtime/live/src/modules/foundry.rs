//! What is known of modules by their digest, before anybody asks under which name they lie.
//!
//! For: compiling nothing twice: what serves under another name, is inside the binary, was compiled ahead or before, or
//! was refused within the same limits. Never knows a name or a file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trimtab_sandbox::{Admitted, Limits, Refusal, Sandbox};

use super::Candidate;
use super::admissions::{Admissions, Done, Job};

/// Digests remembered as failed.
const FAILED: usize = 1024;

pub(super) struct Foundry {
    sandbox: Sandbox,
    admissions: Admissions,
    bundled: BTreeMap<&'static str, Candidate>,
    /// By digest: within which limits, and why.
    failed: BTreeMap<String, (Arc<Limits>, Refusal)>,
    /// Digests that are being compiled, and for whom.
    in_flight: BTreeSet<(Option<String>, String)>,
    /// Admitted before it was known whether they are what is meant to lie there.
    ahead: Vec<Admitted>,
}

impl Foundry {
    pub(super) fn new(sandbox: Sandbox, admissions: Admissions, bundled: &[(&'static str, &'static [u8])]) -> Foundry {
        let bundled = bundled.iter().map(|(name, bytes)| (*name, Candidate::bundled(bytes, &sandbox))).collect();
        let (failed, in_flight, ahead) = Default::default();
        Foundry { sandbox, admissions, bundled, failed, in_flight, ahead }
    }

    /// Modules inside the binary.
    pub(super) fn bundled(&self) -> &BTreeMap<&'static str, Candidate> {
        &self.bundled
    }

    /// What comes of bytes that need not be compiled; `loaded`: what serves under some name. None: they must be.
    pub(super) fn known<'a>(
        &mut self,
        bytes: &[u8],
        digest: &str,
        limits: &Arc<Limits>,
        mut loaded: impl Iterator<Item = &'a Admitted>,
    ) -> Option<Result<Admitted, Refusal>> {
        if let Some((_, refusal)) = self.failed.get(digest).filter(|(within, _)| within == limits) {
            return Some(Err(refusal.clone()));
        }
        if let Some(bundled) = self.bundled.values().find(|candidate| candidate.digest() == digest) {
            return Some(bundled.admitted().map(|admitted| admitted.under(limits)));
        }
        let same = |admitted: &&Admitted| admitted.digest() == digest;
        if let Some(loaded) = loaded.find(same).or_else(|| self.ahead.iter().find(same)) {
            return Some(Ok(loaded.under(limits)));
        }
        let known = self.sandbox.admit_known(bytes, limits)?;
        if let Err(refusal) = &known {
            self.remember(digest, limits, refusal);
        }
        Some(known)
    }

    /// Admits bytes at once, however long it takes.
    pub(super) fn admit(&self, bytes: &[u8], limits: &Arc<Limits>) -> Result<Admitted, Refusal> {
        self.sandbox.admit_under(bytes, limits)
    }

    /// Queues a module, unless it is being compiled for the same tenant.
    pub(super) fn submit(&mut self, job: Job) {
        if self.in_flight.insert((job.tenant.clone(), job.digest.clone())) {
            self.admissions.submit(job);
        }
    }

    /// A module was tried.
    pub(super) fn finished(&mut self, done: &Done) {
        self.in_flight.remove(&(done.tenant.clone(), done.digest.clone()));
        match &done.result {
            Some(Ok(admitted)) => self.ahead.push(admitted.clone()),
            Some(Err(refusal)) => self.remember(&done.digest, &done.limits, refusal),
            None => {}
        }
    }

    /// Keeps a good module at hand for a while.
    pub(super) fn hold(&mut self, result: Result<Admitted, Refusal>) {
        self.ahead.extend(result);
    }

    /// Nothing is being compiled.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Everything was looked at: what nobody took is let go.
    pub(super) fn settle(&mut self) {
        if self.is_idle() {
            self.ahead.clear();
        }
    }

    /// What failed is tried again.
    pub(super) fn forgive(&mut self) {
        self.failed.clear();
    }

    fn remember(&mut self, digest: &str, limits: &Arc<Limits>, refusal: &Refusal) {
        // A fault of the host, or a machine too busy at the time, says nothing about the module.
        if matches!(refusal.code, "host" | "compile-wall") {
            return;
        }
        if self.failed.len() >= FAILED {
            self.failed.clear();
        }
        self.failed.insert(digest.to_owned(), (Arc::clone(limits), refusal.clone()));
    }
}
