//! End to end: the built binary against real servers.
