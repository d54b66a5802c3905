//! /proc/vmstat and /proc/zoneinfo: one node with one zone.

use alloc::vec::Vec;

use super::ProcSystem;
use crate::Errno;
use crate::fs::synthetic::{Opener, Text};
use crate::fs::system::{MemoryUse, System};
use crate::mm::PAGE;

/// What is counted, in pages, and what each is.
fn counts(memory: &MemoryUse) -> [(&'static str, u64); 12] {
    let (anonymous, shared) = (memory.anonymous / PAGE, memory.shared / PAGE);
    [
        ("nr_inactive_anon", anonymous + shared),
        ("nr_active_anon", 0),
        ("nr_inactive_file", 0),
        ("nr_active_file", 0),
        ("nr_unevictable", 0),
        ("nr_slab_reclaimable", 0),
        ("nr_slab_unreclaimable", 0),
        ("nr_anon_pages", anonymous),
        ("nr_mapped", memory.mapped / PAGE),
        ("nr_file_pages", shared),
        ("nr_dirty", 0),
        ("nr_shmem", shared),
    ]
}

/// Events, of which only faults happen here; programs look these up by name.
const EVENTS: &[&str] = &[
    "nr_writeback",
    "nr_anon_transparent_hugepages",
    "nr_kernel_stack",
    "nr_page_table_pages",
    "pgpgin",
    "pgpgout",
    "pswpin",
    "pswpout",
    "pgalloc_normal",
    "pgfree",
    "pgactivate",
    "pgdeactivate",
    "pgfault",
    "pgmajfault",
    "pgsteal_kswapd",
    "pgsteal_direct",
    "pgscan_kswapd",
    "pgscan_direct",
    "allocstall_normal",
    "oom_kill",
    "compact_stall",
    "thp_fault_alloc",
    "thp_collapse_alloc",
];

/// Of an event, with faults of all kinds and those with input.
pub(crate) fn count_of(event: &str, (faults, major): (u64, u64)) -> u64 {
    match event {
        "pgfault" => faults,
        "pgmajfault" => major,
        _ => 0,
    }
}

/// The lines that proc and sysfs share.
pub(crate) fn lines(system: &System) -> Text {
    let memory = system.memory();
    let mut text = Text::new();
    writeln!(text, "nr_free_pages {}", memory.free() / PAGE);
    for (name, pages) in counts(&memory) {
        writeln!(text, "{name} {pages}");
    }
    text
}

/// /proc/vmstat
pub(super) fn vmstat(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = lines(system);
    let (faults, major) = system.faults();
    for name in EVENTS {
        writeln!(text, "{name} {}", count_of(name, (faults, major)));
    }
    text.finish()
}

/// /proc/zoneinfo
pub(super) fn zoneinfo(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let memory = system.memory();
    let (all, free) = (memory.total / PAGE, memory.free() / PAGE);
    let mut text = Text::new();
    writeln!(text, "Node 0, zone   Normal");
    writeln!(text, "  per-node stats");
    for (name, pages) in counts(&memory) {
        writeln!(text, "      {name:<12} {pages}");
    }
    writeln!(text, "  pages free     {free}");
    for (name, pages) in [("boost", 0), ("min", 0), ("low", 0), ("high", 0), ("promo", 0)] {
        writeln!(text, "        {name:<8} {pages}");
    }
    for (name, pages) in [("spanned", all), ("present", all), ("managed", all), ("cma", 0)] {
        writeln!(text, "        {name:<8} {pages}");
    }
    writeln!(text, "        protection: (0, 0, 0, 0)");
    writeln!(text, "      {:<12} {free}", "nr_free_pages");
    writeln!(text, "  pagesets");
    for cpu in 0..system.kernel.cpus() {
        writeln!(
            text,
            "    cpu: {cpu}\n              count:    0\n              high:     0\n              batch:    1"
        );
        writeln!(text, "  vm stats threshold: 0");
    }
    writeln!(text, "  node_unreclaimable:  0\n  start_pfn:           0");
    text.finish()
}
