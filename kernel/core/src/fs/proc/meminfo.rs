//! /proc/meminfo: the sandbox's memory limit as the machine's size.

use alloc::vec::Vec;

use super::ProcSystem;
use crate::Errno;
use crate::fs::synthetic::{Opener, Text};

/// What `VmallocTotal` says on every x86-64.
const VMALLOC_BYTES: u64 = 34_359_738_367 << 10;

/// /proc/meminfo
pub(super) fn meminfo(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let memory = system.memory();
    let (free, shared, anonymous) = (memory.free(), memory.shared, memory.anonymous);
    let mut text = Text::new();
    let mut lines = |lines: &[(&str, u64)]| lines.iter().for_each(|(name, bytes)| text.kib(name, *bytes));
    lines(&[("MemTotal", memory.total), ("MemFree", free), ("MemAvailable", free), ("Buffers", 0)]);
    lines(&[("Cached", shared), ("SwapCached", 0)]);
    lines(&[("Active", 0), ("Inactive", anonymous + shared), ("Active(anon)", 0)]);
    lines(&[("Inactive(anon)", anonymous + shared), ("Active(file)", 0), ("Inactive(file)", 0)]);
    lines(&[("Unevictable", 0), ("Mlocked", 0), ("SwapTotal", 0), ("SwapFree", 0), ("Zswap", 0), ("Zswapped", 0)]);
    lines(&[("Dirty", 0), ("Writeback", 0), ("AnonPages", anonymous), ("Mapped", memory.mapped), ("Shmem", shared)]);
    lines(&[("KReclaimable", 0), ("Slab", 0), ("SReclaimable", 0), ("SUnreclaim", 0), ("KernelStack", 0)]);
    lines(&[("PageTables", 0), ("SecPageTables", 0), ("NFS_Unstable", 0), ("Bounce", 0), ("WritebackTmp", 0)]);
    lines(&[("CommitLimit", memory.total / 2), ("Committed_AS", memory.committed + shared)]);
    lines(&[("VmallocTotal", VMALLOC_BYTES), ("VmallocUsed", 0), ("VmallocChunk", 0), ("Percpu", 0)]);
    lines(&[("AnonHugePages", 0), ("ShmemHugePages", 0), ("ShmemPmdMapped", 0), ("FileHugePages", 0)]);
    lines(&[("FilePmdMapped", 0)]);
    for name in ["Total:", "Free: ", "Rsvd: ", "Surp: "] {
        writeln!(text, "HugePages_{name}{:>8}", 0);
    }
    text.kib("Hugepagesize", 2 << 20);
    text.kib("Hugetlb", 0);
    for (name, bytes) in [("DirectMap4k", 0), ("DirectMap2M", memory.total), ("DirectMap1G", 0)] {
        text.kib(name, bytes);
    }
    text.finish()
}
