//! What is written where, on a directory that looks like a v2 cgroup, or a v1 one where the kernel here lacks a file.

use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxResources;
use stockade_sandbox::CgroupParent;

use super::super::{Cgroup, CgroupError, Hierarchy, Version};

/// A directory with these files, which say what they are given.
struct Fake {
    dir: PathBuf,
    version: Version,
    controllers: Vec<String>,
}

const V2: &[(&str, &str)] = &[
    ("cpu.max", "max 100000"),
    ("cpu.max.burst", "0"),
    ("cpu.weight", "100"),
    ("cpu.idle", "0"),
    ("cpuset.cpus", ""),
    ("cpuset.mems", ""),
    ("hugetlb.2MB.max", "max"),
    ("hugetlb.2MB.rsvd.max", "max"),
    ("io.max", ""),
    ("io.weight", "default 100"),
    ("memory.current", "5000"),
    ("memory.low", "0"),
    ("memory.max", "max"),
    ("memory.high", "max"),
    ("memory.swap.max", "max"),
    ("pids.max", "max"),
    ("rdma.max", ""),
];

impl Fake {
    fn new(version: Version, controllers: &str, files: &[(&str, &str)]) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("limits-fake-{}-{count}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        for (name, value) in files {
            std::fs::write(dir.join(name), value).unwrap();
        }
        Self { dir, version, controllers: controllers.split_whitespace().map(str::to_owned).collect() }
    }

    fn v2() -> Self {
        Self::new(Version::V2, "cpuset cpu io memory hugetlb pids rdma", V2)
    }

    fn apply(&self, resources: &str) -> Result<(), CgroupError> {
        let (controllers, mountpoint, path) = (self.controllers.clone(), self.dir.clone(), self.dir.clone());
        let hierarchies = vec![Hierarchy { version: self.version, controllers, mountpoint, path }];
        let resources: LinuxResources = serde_json::from_str(resources).unwrap();
        super::apply(&Cgroup { hierarchies, parent: CgroupParent::Foreign }, &resources)
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.join(name)).unwrap()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// After these resources, these files differ from a fresh v2 cgroup's, and no others.
fn check(resources: &str, expected: &[(&str, &str)]) {
    let fake = Fake::v2();
    fake.apply(resources).unwrap();
    let changed: Vec<_> = V2.iter().map(|(name, old)| (*name, *old, fake.file(name))).collect();
    let changed = changed.iter().filter(|(_, old, new)| old != new).map(|(name, _, new)| (*name, new.as_str()));
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let mut changed: Vec<_> = changed.collect();
    changed.sort_unstable();
    assert_eq!(changed, expected, "{resources}");
}

fn check_refused(resources: &str, reason: &str) {
    let error = Fake::v2().apply(resources).unwrap_err().to_string();
    assert!(error.contains(reason), "{resources}: {error}");
}

#[test]
fn v2_memory() {
    check(r#"{"memory": {"limit": 1000}}"#, &[("memory.max", "1000")]);
    check(r#"{"memory": {"limit": 1000, "swap": 1500}}"#, &[("memory.max", "1000"), ("memory.swap.max", "500")]);
    check(r#"{"memory": {"limit": 1000, "swap": 1000}}"#, &[("memory.max", "1000"), ("memory.swap.max", "0")]);
    check(
        r#"{"memory": {"limit": 1000, "swap": -1, "reservation": 7}}"#,
        &[("memory.max", "1000"), ("memory.low", "7")],
    );
    check(r#"{"memory": {"limit": 0, "swap": 0, "kernel": 9, "swappiness": 10}}"#, &[]);
    check_refused(r#"{"memory": {"limit": 1000, "swap": 999}}"#, "below the memory limit");
    check_refused(r#"{"memory": {"limit": 5000, "checkBeforeUpdate": true}}"#, "<= usage 5000");
    check(r#"{"memory": {"limit": 5001, "checkBeforeUpdate": true}}"#, &[("memory.max", "5001")]);
}

#[test]
fn v2_unlimited_memory_includes_swap() {
    let fake = Fake::v2();
    fake.apply(r#"{"memory": {"limit": 1000, "swap": 1500}}"#).unwrap();
    fake.apply(r#"{"memory": {"swap": 1800}}"#).unwrap();
    assert_eq!(fake.file("memory.swap.max"), "800");
    fake.apply(r#"{"memory": {"limit": -1}}"#).unwrap();
    assert_eq!((fake.file("memory.max"), fake.file("memory.swap.max")), ("max".into(), "max".into()));
}

#[test]
fn v2_cpu() {
    check(r#"{"cpu": {"shares": 2048}}"#, &[("cpu.weight", "174")]);
    check(r#"{"cpu": {"quota": 5000}}"#, &[("cpu.max", "5000")]);
    check(
        r#"{"cpu": {"quota": 5000, "period": 10000, "burst": 100}}"#,
        &[("cpu.max", "5000 10000"), ("cpu.max.burst", "100")],
    );
    check(r#"{"cpu": {"period": 10000}}"#, &[("cpu.max", "max 10000")]);
    check(r#"{"cpu": {"quota": -1, "period": 10000}}"#, &[("cpu.max", "max 10000")]);
    check(
        r#"{"cpu": {"idle": 1, "cpus": "0-1", "mems": "0"}}"#,
        &[("cpu.idle", "1"), ("cpuset.cpus", "0-1"), ("cpuset.mems", "0")],
    );
    check(r#"{"cpu": {"shares": 0, "quota": 0, "period": 0, "cpus": "", "mems": ""}}"#, &[]);
    check_refused(r#"{"cpu": {"realtimeRuntime": 1000}}"#, "no realtime");
}

#[test]
fn v2_block_io() {
    check(r#"{"blockIO": {"weight": 10}}"#, &[("io.weight", "1")]);
    check(r#"{"blockIO": {"weight": 1000}}"#, &[("io.weight", "10000")]);
    check(r#"{"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 500}]}}"#, &[("io.weight", "8:0 4950")]);
    check(
        r#"{"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 4096}]}}"#,
        &[("io.max", "8:0 rbps=4096")],
    );
    check(
        r#"{"blockIO": {"throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 0}]}}"#,
        &[("io.max", "8:0 wiops=max")],
    );
    check_refused(r#"{"blockIO": {"weight": 5}}"#, "10..=1000");
}

#[test]
fn v2_others() {
    check(r#"{"pids": {"limit": 10}}"#, &[("pids.max", "10")]);
    check(r#"{"pids": {"limit": -1}}"#, &[]);
    check(r#"{"pids": {"limit": 0}}"#, &[]);
    check(
        r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 4096}]}"#,
        &[("hugetlb.2MB.max", "4096"), ("hugetlb.2MB.rsvd.max", "4096")],
    );
    check(
        r#"{"rdma": {"mlx5_0": {"hcaHandles": 3, "hcaObjects": 4}}}"#,
        &[("rdma.max", "mlx5_0 hca_handle=3 hca_object=4")],
    );
    check(r#"{"unified": {"memory.high": "4096"}}"#, &[("memory.high", "4096")]);
    check_refused(r#"{"unified": {"../memory.high": "1"}}"#, "CONTROLLER.FILE");
    check_refused(r#"{"unified": {"misc.max": "1"}}"#, "controller \"misc\" is not available");
    check_refused(r#"{"unified": {"memory.nonsense": "1"}}"#, "cannot be written");
    check_refused(r#"{"network": {"classID": 1}}"#, "\"net_cls\" is not mounted");
}

#[test]
fn missing_controllers_are_named() {
    let fake = Fake::new(Version::V2, "cpu", V2);
    for (resources, controller) in [
        (r#"{"memory": {"limit": 1000}}"#, "memory"),
        (r#"{"pids": {"limit": 10}}"#, "pids"),
        (r#"{"cpu": {"cpus": "0"}}"#, "cpuset"),
        (r#"{"blockIO": {"weight": 10}}"#, "blkio"),
        (r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 4096}]}"#, "hugetlb"),
    ] {
        let error = fake.apply(resources).unwrap_err().to_string();
        assert!(error.contains(&format!("controller \"{controller}\" is not mounted")), "{error}");
    }
    fake.apply(r#"{"memory": {"limit": 0}, "pids": {"limit": 0}}"#).unwrap();
}

#[test]
fn v1_block_io_weight_needs_a_scheduler() {
    let bfq = Fake::new(Version::V1, "blkio", &[("blkio.bfq.weight", "100")]);
    bfq.apply(r#"{"blockIO": {"weight": 500}}"#).unwrap();
    assert_eq!(bfq.file("blkio.bfq.weight"), "500");
    let none = Fake::new(Version::V1, "blkio", &[]);
    let error = none.apply(r#"{"blockIO": {"weight": 500}}"#).unwrap_err().to_string();
    assert!(error.contains("BFQ"), "{error}");
}

#[test]
fn v1_memory_without_swap_accounting() {
    let fake = Fake::new(Version::V1, "memory", &[("memory.limit_in_bytes", "9223372036854771712")]);
    fake.apply(r#"{"memory": {"limit": -1}}"#).unwrap();
    assert_eq!(fake.file("memory.limit_in_bytes"), "-1");
    let error = fake.apply(r#"{"memory": {"limit": 10, "swap": 20}}"#).unwrap_err().to_string();
    assert!(error.contains("swapaccount=1"), "{error}");
    assert!(!Path::new(&fake.dir.join("memory.memsw.limit_in_bytes")).exists());
}
