//! What this machine cannot show, shown in the lab: standard KVM, and cgroup v2 with all controllers. One boot for all.

mod agent;
mod base;
mod callers;
mod class;
mod devices;
mod doubled;
mod guest;
mod network_class;
mod several;
mod share;
#[cfg(feature = "all")]
mod small_kernel;
mod standstill;
mod vmm;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use stockade_tests::Lab;

use doubled::Doubled;

/// Each must leave the lab as it found it.
type Case = (&'static str, fn(&mut Lab));

/// The cases of each module, in the order in which they run.
const GROUPS: &[&[Case]] = &[
    base::CASES,
    agent::CASES,
    devices::CASES,
    class::CASES,
    network_class::CASES,
    several::CASES,
    #[cfg(feature = "all")]
    small_kernel::CASES,
    class::END,
    share::CASES,
    callers::CASES,
    vmm::CASES,
];

/// A function of this program that runs in the lab, because its case asks for it; it gets a folder of the case's.
type Part = (&'static str, fn(&Path));

const PARTS: &[&[Part]] = &[
    vmm::PARTS,
    #[cfg(feature = "all")]
    small_kernel::PARTS,
];

#[test]
fn what_needs_the_lab() {
    if let Some((name, dir)) = Lab::part() {
        let found = PARTS.iter().copied().flatten().find(|(part, _)| *part == name);
        return found.expect("a part of this name").1(&dir);
    }
    let mut lab = Lab::boot(env!("CARGO_BIN_EXE_lab-agent"));
    let mut doubled = Doubled::watch(&mut lab);
    let mut failed = Vec::new();
    for (name, case) in cases() {
        eprintln!("in the lab: {name}");
        let mut passed = passes(&mut lab, *case);
        let interrupts = doubled.more(&mut lab);
        if !passed && interrupts > 0 {
            eprintln!("in the lab: {name}: once more, since guests had {interrupts} interrupts twice");
            passed = passes(&mut lab, *case);
        }
        if !passed {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "failed in the lab: {}", failed.join(", "));
}

fn passes(lab: &mut Lab, case: fn(&mut Lab)) -> bool {
    catch_unwind(AssertUnwindSafe(|| case(lab))).is_ok()
}

/// All cases; or, for people, those whose name contains one of the words between commas in `STOCKADE_LAB_CASE`.
fn cases() -> Vec<&'static Case> {
    let wanted = std::env::var("STOCKADE_LAB_CASE").unwrap_or_default();
    let cases: Vec<_> =
        GROUPS.iter().copied().flatten().filter(|(name, _)| wanted.split(',').any(|one| name.contains(one))).collect();
    assert!(!cases.is_empty(), "no case's name contains {wanted:?}");
    cases
}
