//! cgroup2 on the fake machine.

use super::Cgroup2;
use crate::fs::synthetic::testing::Mounted;
use crate::testing::World;
use crate::{CpuQuota, Errno};

fn cgroup() -> Mounted {
    let world = World::new();
    let cgroup = Cgroup2::new(&world.kernel, world.task.process().namespaces());
    Mounted::new(world, cgroup)
}

#[test]
fn everything_that_is_listed_reads() {
    assert!(cgroup().read_all("/") > 40);
}

#[test]
fn files_show_the_limits() {
    let mounted = cgroup();
    let check = |path: &str, expected: &str| assert_eq!(mounted.read(path).as_deref(), Ok(expected), "{path}");
    check("/memory.max", "max\n");
    check("/cpu.max", "max 100000\n");
    check("/pids.max", "max\n");
    check("/cpuset.cpus.effective", "0-3\n");
    check("/cpu.weight.nice", "0\n");
    let limits = mounted.world.kernel.limits();
    limits.set_memory_bytes(64 << 20);
    limits.set_cpu_quota(Some(CpuQuota { quota_us: 150_000, period_us: 100_000 }));
    limits.set_cpu_weight(39);
    mounted.world.task.process().namespaces().pids.set_limit(Some(77));
    check("/memory.max", "67108864\n");
    check("/cpu.max", "150000 100000\n");
    check("/cpu.weight", "39\n");
    check("/cpu.weight.nice", "4\n");
    check("/pids.max", "77\n");
    check("/pids.current", "1\n");
    check("/cpuset.cpus.effective", "0-1\n");
    check("/cgroup.procs", "1\n");
    check("/cgroup.events", "populated 1\nfrozen 0\n");
}

#[test]
fn nothing_can_be_changed() {
    assert_eq!(cgroup().write("/memory.max", "max"), Err(Errno::EACCES));
}
