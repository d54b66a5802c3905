//! Balloons: one that gives way to a program in need of memory, and one that does not.

use std::fs;

use serde_json::{Value, json};

use super::super::guest::Vmm;

const MIB: u64 = 1 << 20;

/// What a balloon leaves to the guest's programs, and what one of them then asks for.
const LEFT_MIB: u64 = 64;
const WANTED_MIB: u64 = 96;

/// What a balloon does when the guest is out of memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnOom {
    Stays,
    GivesWay,
}

/// An empty one.
pub(super) fn config(on_oom: OnOom) -> Value {
    json!({
        "amount_mib": 0, "deflate_on_oom": on_oom == OnOom::GivesWay, "stats_polling_interval_s": 1,
        "free_page_reporting": true,
    })
}

fn statistics(vmm: &Vmm) -> Value {
    vmm.get("/balloon/statistics")
}

/// The balloon takes memory, says so, and gives it back.
pub(super) fn look(vmm: &mut Vmm) {
    inflate(vmm, 64);
    vmm.wait_until("report of the guest", || {
        statistics(vmm)["total_memory"].as_u64().is_some_and(|len| len > 100 * MIB)
    });
    vmm.patch("/balloon/statistics", json!({"stats_polling_interval_s": 2}));
    assert_eq!(vmm.get("/balloon")["stats_polling_interval_s"], 2);
    inflate(vmm, 0);
}

/// What the guest frees comes back to the host without being asked for.
pub(super) fn reporting(vmm: &mut Vmm) {
    vmm.sh("dd if=/dev/zero of=/tmp/fill bs=1M count=48 2>/dev/null");
    let full = resident(vmm);
    vmm.sh("rm /tmp/fill");
    vmm.wait_until("memory given back", || resident(vmm) + 24 * MIB < full);
}

/// The program is killed, and the balloon is as large as before. The guest's free memory is in pieces afterwards, too
/// small to be reported.
pub(super) fn stays(vmm: &mut Vmm) {
    let amount = inflate_but(vmm, LEFT_MIB);
    let said = ask(vmm);
    assert!(said.ends_with("status 137"), "{said}");
    assert_eq!(statistics(vmm)["actual_mib"], amount);
    inflate(vmm, 0);
}

/// The program gets its memory, and the balloon has shrunk by what was missing.
pub(super) fn gives_way(vmm: &mut Vmm) {
    let amount = inflate_but(vmm, LEFT_MIB);
    assert_eq!(ask(vmm), "status 0");
    let actual = statistics(vmm)["actual_mib"].as_u64().expect("a number");
    assert!(actual < amount, "{actual} of {amount} MiB");
    inflate(vmm, 0);
}

fn inflate(vmm: &Vmm, amount_mib: u64) {
    vmm.patch("/balloon", json!({"amount_mib": amount_mib}));
    vmm.wait_until("balloon of that size", || statistics(vmm)["actual_mib"] == amount_mib);
}

/// Takes all but so much of what the guest could give to programs; how much that is.
fn inflate_but(vmm: &mut Vmm, left_mib: u64) -> u64 {
    let available = vmm.sh("awk '/^MemAvailable/ {print int($2 / 1024)}' /proc/meminfo");
    let available: u64 = available.parse().expect("a number");
    let amount = available.checked_sub(left_mib).expect("a guest with memory to give");
    inflate(vmm, amount);
    amount
}

/// A program of the guest writes to more memory than there is, which it is promised; what its shell says of its end.
fn ask(vmm: &mut Vmm) -> String {
    vmm.sh(&format!(
        "dmesg -n 1; echo 1 >/proc/sys/vm/overcommit_memory
        dd if=/dev/zero of=/dev/null bs={WANTED_MIB}M count=1 2>/dev/null; echo status $?"
    ))
}

/// Bytes of the VMM in memory.
fn resident(vmm: &Vmm) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", vmm.pid())).expect("the VMM's status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its resident size");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}
