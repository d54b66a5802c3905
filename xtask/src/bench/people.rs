//! `stockade` as the benchmarks drive it.

use stockade_tests::{Registry, Scratch};

/// Pulls an image of the registry and returns its reference.
pub fn pull(scratch: &Scratch, registry: &Registry, name: &str) -> String {
    let reference = registry.reference(name);
    scratch.stockade(&["pull", "--quiet", &reference]).ok();
    reference
}
