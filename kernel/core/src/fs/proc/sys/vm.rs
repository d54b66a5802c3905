//! /proc/sys/vm.

use super::value;
use crate::Errno;
use crate::fs::proc::ProcSystem;
use crate::fs::synthetic::{Directory, Entry, Opener};
use crate::task::Capabilities;

pub(super) static VM: Directory<ProcSystem> = Directory::of(&[
    value("admin_reserve_kbytes", "8192\n"),
    value("compaction_proactiveness", "20\n"),
    value("dirty_background_bytes", "0\n"),
    value("dirty_background_ratio", "10\n"),
    value("dirty_bytes", "0\n"),
    value("dirty_expire_centisecs", "3000\n"),
    value("dirty_ratio", "20\n"),
    value("dirty_writeback_centisecs", "500\n"),
    Entry::write_only("drop_caches", drop_caches),
    value("hugetlb_shm_group", "0\n"),
    value("laptop_mode", "0\n"),
    value("legacy_va_layout", "0\n"),
    value("max_map_count", "65530\n"),
    value("memfd_noexec", "0\n"),
    value("min_free_kbytes", "67584\n"),
    value("mmap_min_addr", "4096\n"),
    value("mmap_rnd_bits", "28\n").mode(0o600),
    value("nr_hugepages", "0\n"),
    value("nr_hugepages_mempolicy", "0\n"),
    value("nr_overcommit_hugepages", "0\n"),
    value("oom_dump_tasks", "1\n"),
    value("oom_kill_allocating_task", "0\n"),
    value("overcommit_kbytes", "0\n"),
    value("overcommit_memory", "0\n"),
    value("overcommit_ratio", "50\n"),
    value("page-cluster", "3\n"),
    value("panic_on_oom", "0\n"),
    value("stat_interval", "1\n"),
    value("swappiness", "60\n"),
    value("unprivileged_userfaultfd", "0\n"),
    value("user_reserve_kbytes", "131072\n"),
    value("vfs_cache_pressure", "100\n"),
    value("watermark_boost_factor", "15000\n"),
    value("watermark_scale_factor", "10\n"),
    value("zone_reclaim_mode", "0\n"),
]);

/// 1, 2 or 3: there is no cache of the kernel's own to be dropped.
fn drop_caches(_: &ProcSystem, opener: &Opener, bytes: &[u8]) -> Result<(), Errno> {
    if !opener.credentials.has(Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    let text = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
    let level: u32 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
    if (1..=4).contains(&level) { Ok(()) } else { Err(Errno::EINVAL) }
}
