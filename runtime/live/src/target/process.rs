//! Servers on this host, one process each.
