//! The memory controller. The host enforces and counts; what is told is what the kernel knows.

use alloc::vec::Vec;

use super::line;
use crate::Errno;
use crate::fs::proc::count_of;
use crate::fs::synthetic::{Opener, Text};
use crate::fs::system::System;

/// `memory.max`
pub(super) fn max(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    line(Some(system.kernel.limits().memory_bytes()).filter(|bytes| *bytes != u64::MAX))
}

/// `memory.current`
pub(super) fn current(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    line(Some(system.kernel.memory_used()))
}

/// `memory.events`: how often the limit was met is the host's to know, but not whom it ended for that.
pub(super) fn events(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    let ended = system.kernel.starved();
    writeln!(text, "low 0\nhigh 0\nmax {ended}\noom {ended}\noom_kill {ended}\noom_group_kill 0");
    text.finish()
}

/// `memory.stat`
pub(super) fn stat(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    let memory = system.memory();
    let mut text = Text::new();
    for (name, bytes) in [("anon", memory.anonymous), ("file", memory.shared)] {
        writeln!(text, "{name} {bytes}");
    }
    for name in ["kernel", "kernel_stack", "pagetables", "sec_pagetables", "percpu", "sock", "vmalloc"] {
        writeln!(text, "{name} 0");
    }
    writeln!(text, "shmem {}", memory.shared);
    for name in ["zswap", "zswapped"] {
        writeln!(text, "{name} 0");
    }
    writeln!(text, "file_mapped {}", memory.mapped);
    for name in ["file_dirty", "file_writeback", "swapcached", "anon_thp", "file_thp", "shmem_thp"] {
        writeln!(text, "{name} 0");
    }
    writeln!(text, "inactive_anon {}\nactive_anon 0", memory.anonymous + memory.shared);
    let faults = system.faults();
    for name in [
        "inactive_file",
        "active_file",
        "unevictable",
        "slab_reclaimable",
        "slab_unreclaimable",
        "slab",
        "workingset_refault_anon",
        "workingset_refault_file",
        "workingset_activate_anon",
        "workingset_activate_file",
        "workingset_restore_anon",
        "workingset_restore_file",
        "workingset_nodereclaim",
        "pgscan",
        "pgsteal",
        "pgfault",
        "pgmajfault",
        "pgrefill",
        "pgactivate",
        "pgdeactivate",
        "pglazyfree",
        "pglazyfreed",
        "thp_fault_alloc",
        "thp_collapse_alloc",
    ] {
        writeln!(text, "{name} {}", count_of(name, faults));
    }
    text.finish()
}
