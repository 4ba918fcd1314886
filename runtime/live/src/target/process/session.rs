//! The two things a spawn needs that the standard library cannot do safely.
//!
//! For: a replica in a session of its own, holding no open file of ours, so that it outlives the daemon, its terminal
//! and whoever waits for the daemon's pipes to close. The only unsafe code of this crate; never does anything else.
#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Makes the child begin its own session.
pub(super) fn own(command: &mut Command) {
    let begin = || rustix::process::setsid().map(|_| ()).map_err(Into::into);
    // SAFETY: between fork and exec only what is safe in a signal handler may run. `setsid` is one plain system call;
    // neither it nor the conversion of its error number allocates or takes a lock.
    unsafe { command.pre_exec(begin) };
}

/// Marks every file that this process was born with, beyond the standard three, as not for its children. What is opened
/// later by the standard library and our libraries is marked from the start.
pub fn keep_files() {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return };
    for number in open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        if number <= 2 {
            continue;
        }
        // SAFETY: the number is not negative. It may have been closed since it was listed, or stand for another file by
        // now: then nothing happens, or a file is marked that should be marked anyway; none is read, written or closed.
        let file = unsafe { BorrowedFd::borrow_raw(number) };
        if let Ok(flags) = fcntl_getfd(file) {
            // A file that cannot be marked is one that is gone.
            let _ = fcntl_setfd(file, flags | FdFlags::CLOEXEC);
        }
    }
}
