//! sysfs on the fake machine.

use super::Sysfs;
use crate::Errno;
use crate::fs::synthetic::testing::Mounted;
use crate::testing::World;

fn sysfs() -> Mounted {
    let world = World::new();
    let sysfs = Sysfs::new(&world.kernel, world.task.process().namespaces());
    Mounted::new(world, sysfs)
}

#[test]
fn everything_that_is_listed_reads() {
    assert!(sysfs().read_all("/") > 150);
}

#[test]
fn processors_follow_the_limits() {
    let mounted = sysfs();
    let check = |path: &str, expected| assert_eq!(mounted.read(path).as_deref(), expected, "{path}");
    check("/devices/system/cpu/online", Ok("0-3\n"));
    check("/devices/system/cpu/cpu3/topology/thread_siblings", Ok("8\n"));
    check("/bus/cpu/devices/cpu2/topology/core_id", Ok("2\n"));
    mounted.world.kernel.limits().set_cpus_max(1);
    check("/devices/system/cpu/online", Ok("0\n"));
    check("/devices/system/cpu/cpu3/topology/thread_siblings", Err(&Errno::ENOENT));
    check("/devices/system/cpu/cpu00/online", Err(&Errno::ENOENT));
    check("/devices/system/node/node0/cpumap", Ok("1\n"));
}

#[test]
fn the_loopback_interface_is_there() {
    let mounted = sysfs();
    assert_eq!(mounted.read("/class/net/lo/operstate").as_deref(), Ok("unknown\n"));
    assert_eq!(mounted.read("/class/net/lo/speed"), Err(Errno::EINVAL));
    assert_eq!(mounted.read("/class/net/lo/subsystem/lo/mtu").as_deref(), Ok("65536\n"));
    let enabled = mounted.read("/kernel/mm/transparent_hugepage/enabled");
    assert_eq!(enabled.as_deref(), Ok("always [madvise] never\n"));
}
