//! Loading machine code that this program made itself.
//!
//! For: the only unsafe code that is written by hand in this crate. What is loaded here runs with all the rights of this
//! process; so it comes either straight from the child that compiled it, or from the cache, whose folder nobody else can
//! write and whose bytes were compared with the digest they were written under. Never anything that a user dropped.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd as _;

use wasmtime::Engine;
use wasmtime::component::Component;

/// From a file of the cache. It is mapped, so its pages are shared and need not stay in memory.
pub(super) fn from_file(engine: &Engine, file: &File) -> wasmtime::Result<Component> {
    // Through the descriptor that was checked, so that no other file can take its place under the same name.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: the file was written by `Cache::keep` from what our own compiler gave, belongs to this user, cannot be
    // written by others, and still has the digest in its name. The engine checks that it was made by an equal one.
    unsafe { Component::deserialize_file(engine, path) }
}

/// From memory.
pub(crate) fn from_bytes(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes came over a pipe from our own compiler in a child of this process.
    unsafe { Component::deserialize(engine, code) }
}
