//! tmpfs through its own calls.
