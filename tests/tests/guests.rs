//! Guests written against the byte-level contract alone.
