//! /sys/devices/system/node and /sys/kernel: one node, and huge pages as the host has them.

use alloc::vec::Vec;

use super::{cpu, link};
use crate::Errno;
use crate::fs::proc::vmstat_lines;
use crate::fs::synthetic::{Directory, Entry, Opener, Text};
use crate::fs::system::{System, all_cpus, mask_text};

pub(super) static NODES: Directory<System> = Directory::of(&[
    Entry::constant("has_cpu", "0\n"),
    Entry::constant("has_memory", "0\n"),
    Entry::constant("has_normal_memory", "0\n"),
    Entry::directory("node0", &NODE),
    Entry::constant("online", "0\n"),
    Entry::constant("possible", "0\n"),
    Entry::constant("uevent", "").mode(0o644),
]);

static NODE: Directory<System> = Directory::of(&[
    Entry::text("cpulist", |system, _| cpu::list(all_cpus(system.kernel.cpus()))),
    Entry::text("cpumap", cpumap),
    Entry::constant("distance", "10\n"),
    Entry::directory("hugepages", &Directory::of(&[])),
    Entry::text("meminfo", meminfo),
    Entry::constant("numastat", NUMASTAT),
    Entry::link("subsystem", |_, _| link("../../../../bus/node")),
    Entry::constant("uevent", "").mode(0o644),
    Entry::text("vmstat", |system, _| vmstat_lines(system).finish()),
]);

const NUMASTAT: &str = "numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\nlocal_node 0\nother_node 0\n";

fn cpumap(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    let cpus = system.kernel.cpus();
    let mut text = mask_text(all_cpus(cpus), cpus);
    text.bytes(b"\n");
    text.finish()
}

/// Lines like those of /proc/meminfo.
fn meminfo(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    let memory = system.memory();
    let in_use = memory.total - memory.free();
    let mut text = Text::new();
    for (name, bytes) in [
        ("MemTotal", memory.total),
        ("MemFree", memory.free()),
        ("MemUsed", in_use),
        ("SwapCached", 0),
        ("Active", 0),
        ("Inactive", in_use),
        ("Active(anon)", 0),
        ("Inactive(anon)", in_use),
        ("Active(file)", 0),
        ("Inactive(file)", 0),
        ("Unevictable", 0),
        ("Mlocked", 0),
        ("Dirty", 0),
        ("Writeback", 0),
        ("FilePages", memory.shared),
        ("Mapped", memory.mapped),
        ("AnonPages", memory.anonymous),
        ("Shmem", memory.shared),
    ] {
        text.bytes(b"Node 0 ").kib(name, bytes);
    }
    for name in ["Total:", "Free: ", "Surp: "] {
        writeln!(text, "Node 0 HugePages_{name} {:>5}", 0);
    }
    text.finish()
}

pub(super) static KERNEL: Directory<System> = Directory::of(&[
    Entry::constant("address_bits", "64\n"),
    Entry::constant("cpu_byteorder", "little\n"),
    Entry::directory("debug", &Directory::of(&[])).mode(0o700),
    Entry::constant("fscaps", "1\n"),
    Entry::directory("mm", &MM),
    Entry::constant("profiling", "0\n").mode(0o644),
    Entry::constant("rcu_expedited", "0\n").mode(0o644),
    Entry::directory("security", &Directory::of(&[])),
    Entry::constant("uevent_seqnum", "0\n"),
]);

static MM: Directory<System> = Directory::of(&[
    Entry::directory("hugepages", &Directory::of(&[Entry::directory("hugepages-2048kB", &HUGE_PAGES)])),
    Entry::directory("ksm", &Directory::of(&[Entry::constant("run", "0\n").mode(0o644)])),
    Entry::directory("transparent_hugepage", &TRANSPARENT),
]);

static HUGE_PAGES: Directory<System> = Directory::of(&[
    Entry::constant("free_hugepages", "0\n"),
    Entry::constant("nr_hugepages", "0\n").mode(0o644),
    Entry::constant("nr_hugepages_mempolicy", "0\n").mode(0o644),
    Entry::constant("nr_overcommit_hugepages", "0\n").mode(0o644),
    Entry::constant("resv_hugepages", "0\n"),
    Entry::constant("surplus_hugepages", "0\n"),
]);

static TRANSPARENT: Directory<System> = Directory::of(&[
    Entry::constant("defrag", "always defer defer+madvise [madvise] never\n").mode(0o644),
    Entry::constant("enabled", "always [madvise] never\n").mode(0o644),
    Entry::constant("hpage_pmd_size", "2097152\n"),
    Entry::constant("shmem_enabled", "always within_size advise [never] deny force\n").mode(0o644),
    Entry::constant("use_zero_page", "1\n").mode(0o644),
]);
