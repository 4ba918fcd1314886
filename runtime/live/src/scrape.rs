//! Scrape rounds: every source of a workload, at most one reading in flight for each address.
