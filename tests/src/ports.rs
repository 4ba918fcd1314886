//! Ports that nobody else uses: each test gets its own.
//!
//! For: daemons and their replicas, whose ports stand in a manifest before anybody binds them. Below the range that the
//! system hands out by itself, so that no client's connection takes one in between.

use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

/// `count` ports in a row, free now and given to nobody else in this process.
pub fn range(count: u16) -> RangeInclusive<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two test processes at once begin at different places.
    let start = FIRST + u16::try_from(std::process::id() % 97).unwrap() * 120;
    let _ = NEXT.compare_exchange(0, start, Ordering::SeqCst, Ordering::SeqCst);
    for _ in 0..LAST - FIRST {
        let mut first = NEXT.fetch_add(count, Ordering::SeqCst);
        if first < FIRST || first > LAST - count {
            NEXT.store(FIRST + count, Ordering::SeqCst);
            first = FIRST;
        }
        let all = first..=first + count - 1;
        if all.clone().all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return all;
        }
    }
    panic!("no {count} free ports in a row between {FIRST} and {LAST}");
}

/// One port.
pub fn one() -> u16 {
    *range(1).start()
}
