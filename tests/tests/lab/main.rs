//! What this machine cannot show, shown in the lab: standard KVM, and cgroup v2 with all controllers. One boot for all.

mod agent;
mod base;
mod class;
mod devices;

use std::panic::{AssertUnwindSafe, catch_unwind};

use stockade_tests::Lab;

/// Each must leave the lab as it found it.
type Case = (&'static str, fn(&mut Lab));

/// The cases of each module, in the order in which they run.
const GROUPS: &[&[Case]] = &[base::CASES, agent::CASES, devices::CASES, class::CASES];

#[test]
fn what_needs_the_lab() {
    let mut lab = Lab::boot(env!("CARGO_BIN_EXE_lab-agent"));
    let mut failed = Vec::new();
    for (name, case) in GROUPS.iter().copied().flatten() {
        eprintln!("in the lab: {name}");
        if catch_unwind(AssertUnwindSafe(|| case(&mut lab))).is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "failed in the lab: {}", failed.join(", "));
}
