//! Which port goes to which replica.
//!
//! For: one port each over all pools of this daemon, and none that somebody else listens on. Ports go round, so that one
//! that was just let go is the last to be taken again: clients that still know it must not meet another replica there,
//! and what the kernel remembers of its connections has time to pass. Never holds a port open.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::net::TcpSocket;

/// Ports that are looked at in one call; the next call goes on from there.
const MOST: u32 = 256;

/// The registry.
#[derive(Debug, Default)]
pub(super) struct Ports {
    taken: Mutex<BTreeSet<u16>>,
}

impl Ports {
    /// The first port after `last` in the range, going round, that no replica has and nobody listens on.
    pub(super) fn take(&self, range: &RangeInclusive<u16>, last: u16) -> Result<u16, u16> {
        let (first, end) = (*range.start(), *range.end());
        let mut port = last;
        for _ in 0..MOST.min(u32::from(end.saturating_sub(first)) + 1) {
            port = if port < first || port >= end { first } else { port + 1 };
            if !self.lock().contains(&port) && nobody_listens(port) {
                self.lock().insert(port);
                return Ok(port);
            }
        }
        Err(port)
    }

    /// For a replica that is there already.
    pub(super) fn hold(&self, port: u16) {
        self.lock().insert(port);
    }

    pub(super) fn release(&self, port: u16) {
        self.lock().remove(&port);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u16>> {
        // One insertion or removal at a time: after a panic elsewhere the set is still what it says.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the port can be bound on every address, as a server that may be reused would (`SO_REUSEADDR`: connections that
/// ended a moment ago do not count). It is bound and let go, never listened on.
fn nobody_listens(port: u16) -> bool {
    let bind = |address: Ipv4Addr| {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from((address, port)))
    };
    bind(Ipv4Addr::UNSPECIFIED).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail

    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_that_is_listened_on_is_passed_over() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let port = listener.local_addr().unwrap().port();
            assert_eq!(Ports::default().take(&(port..=port), 0), Err(port), "{address}");
            drop(listener);
            assert_eq!(Ports::default().take(&(port..=port), 0), Ok(port), "{address}");
        }
    }

    #[test]
    fn ports_go_round_and_are_unique() {
        let first = free_range(3);
        let (range, ports) = (first..=first + 2, Ports::default());
        assert_eq!(ports.take(&range, 0), Ok(first));
        assert_eq!(ports.take(&range, 0), Ok(first + 1));
        ports.release(first);
        assert_eq!(ports.take(&range, first + 1), Ok(first + 2));
        assert_eq!(ports.take(&range, first + 2), Ok(first));
        assert!(ports.take(&range, first).is_err());
        ports.hold(first);
        ports.release(first);
        assert_eq!(ports.take(&range, 65535), Ok(first));
    }

    /// So many ports in a row that nobody listens on now.
    fn free_range(count: u16) -> u16 {
        (23000..60000).step_by(17).find(|first| (*first..first + count).all(nobody_listens)).unwrap()
    }
}
