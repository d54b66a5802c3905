//! v2: its life on the real hierarchy, which even a hybrid host has, and its figures and its chain of controllers on
//! directories that look like it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use oci_spec::runtime::LinuxResources;
use stockade_sandbox::{CgroupManager, CgroupParent};

use super::{Cgroup, Hierarchy, Version, create};

/// A container's cgroup cut down to its v2 directory, as on a pure v2 host; all of it goes with the test.
struct OnlyV2 {
    all: Cgroup,
    v2: Cgroup,
}

impl OnlyV2 {
    fn new(name: &str) -> Self {
        let id = format!("limits-v2-{name}-{}", std::process::id()).parse().unwrap();
        let all = Cgroup::create(None, &id, &LinuxResources::default(), CgroupManager::Cgroupfs).unwrap();
        let v2 = Cgroup { hierarchies: vec![all.v2().unwrap().clone()], parent: CgroupParent::Foreign };
        Self { all, v2 }
    }

    fn busy(&self) -> Child {
        let child = Command::new("sh").args(["-c", "while :; do :; done"]).stdout(Stdio::null()).spawn().unwrap();
        self.v2.attach(child.id()).unwrap();
        child
    }

    fn used(&self) -> u64 {
        self.v2.stats().unwrap().cpu.total_ns
    }
}

impl Drop for OnlyV2 {
    fn drop(&mut self) {
        let _ = self.v2.kill_all();
        let _ = self.all.remove();
    }
}

#[test]
fn freezing_counting_and_killing() {
    let own = OnlyV2::new("life");
    let mut child = own.busy();
    assert_eq!(own.v2.pids().unwrap(), [child.id()]);
    assert!(own.v2.joiner().unwrap().join().is_ok());
    own.v2.freeze().unwrap();
    assert!(own.v2.is_frozen().unwrap());
    let before = own.used();
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(own.used(), before);
    own.v2.kill_all().unwrap();
    assert!(!child.wait().unwrap().success());
    own.v2.thaw().unwrap();
    assert!(!own.v2.is_frozen().unwrap());
    own.v2.remove().unwrap();
    own.v2.kill_all().unwrap();
}

#[test]
fn signals_reach_the_frozen() {
    let own = OnlyV2::new("signal");
    let mut child = own.busy();
    own.v2.freeze().unwrap();
    own.v2.signal_all(libc::SIGTERM).unwrap();
    // In v2 a signal that ends a process does so although it is frozen (cgroup-v2.rst, cgroup.freeze); others wait.
    own.v2.thaw().unwrap();
    assert!(!child.wait().unwrap().success());
}

/// A directory tree that looks like a v2 hierarchy.
struct Fake(PathBuf);

impl Fake {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("limits-{name}-{}", std::process::id()));
        fs::create_dir(&root).unwrap();
        Self(root)
    }

    fn file(&self, path: &str, content: &str) -> &Self {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn content(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).unwrap()
    }

    fn cgroup(&self, path: &str, controllers: &[&str]) -> Cgroup {
        let controllers = controllers.iter().map(|name| (*name).to_owned()).collect();
        let (mountpoint, path) = (self.0.clone(), self.0.join(path));
        let hierarchies = vec![Hierarchy { version: Version::V2, controllers, mountpoint, path }];
        Cgroup { hierarchies, parent: CgroupParent::Foreign }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn chain(name: &str) -> Fake {
    let fake = Fake::new(name);
    fake.file("cgroup.controllers", "cpu memory pids").file("cgroup.subtree_control", "cpu");
    fake.file("a/cgroup.controllers", "cpu memory").file("a/cgroup.subtree_control", "");
    fake.file("a/web/cgroup.procs", "");
    fake
}

/// The device filter cannot be attached to a fake, so creation fails in the end, and must then undo what it made.
#[test]
fn controllers_are_passed_down_the_chain() {
    let fake = chain("chain");
    let error = create::make(&fake.cgroup("a/new", &["cpu", "memory", "pids"]), &LinuxResources::default());
    assert!(error.unwrap_err().to_string().contains("device filter"));
    assert_eq!(fake.content("cgroup.subtree_control"), "+memory +pids");
    assert_eq!(fake.content("a/cgroup.subtree_control"), "+cpu +memory");
    assert!(!fake.0.join("a/new").exists());
}

#[test]
fn threaded_cgroups_take_no_memory_limit() {
    let make = |kind: &str, resources: &str| {
        let fake = chain(&format!("threaded-{}", kind.len() + resources.len()));
        fake.file("a/web/cgroup.type", kind);
        let resources = serde_json::from_str(resources).unwrap();
        let error = create::make(&fake.cgroup("a/web", &["cpu", "memory", "pids"]), &resources).unwrap_err();
        (error.to_string(), fake.content("a/web/cgroup.type"))
    };
    let (error, _) = make("domain invalid", r#"{"memory": {"limit": 1000}}"#);
    assert!(error.contains("is in domain invalid mode"), "{error}");
    let (error, kind) = make("domain invalid", "{}");
    assert!(error.contains("device filter") && kind == "threaded", "{error} {kind}");
    let (error, kind) = make("domain", "{}");
    assert!(error.contains("device filter") && kind == "domain", "{error} {kind}");
}

#[test]
fn figures() {
    let fake = Fake::new("figures");
    fake.file("cpu.stat", "usage_usec 7\nuser_usec 4\nsystem_usec 3\nnr_periods 5\nnr_throttled 2\nthrottled_usec 9\n");
    fake.file("memory.current", "4096\n").file("memory.peak", "8192\n").file("memory.max", "max\n");
    fake.file("memory.swap.current", "10\n").file("memory.swap.max", "20\n");
    fake.file("memory.stat", "anon 1\nfile 2\nkernel 3\n").file("memory.events", "low 0\nmax 6\noom_kill 1\n");
    fake.file("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n8:16 \n");
    fake.file("hugetlb.2MB.current", "2097152\n").file("hugetlb.2MB.events", "max 3\n");
    fake.file("pids.current", "4\n").file("pids.max", "max\n");
    fake.file("memory.pressure", "some avg10=1.00 avg60=0.00 avg300=0.00 total=5\n");
    let stats = fake.cgroup("", &["cpu", "memory", "io", "pids", "hugetlb"]).stats().unwrap();
    let cpu = (stats.cpu.total_ns, stats.cpu.user_ns, stats.cpu.system_ns, stats.cpu.periods, stats.cpu.throttled_ns);
    assert_eq!(cpu, (7000, 4000, 3000, 5, 9000));
    assert_eq!((stats.memory.usage, stats.memory.max_usage, stats.memory.limit), (4096, 8192, u64::MAX));
    assert_eq!((stats.memory.swap_usage, stats.memory.swap_limit, stats.memory.failcnt), (10, 20, 6));
    assert_eq!((stats.memory.cache, stats.memory.kernel_usage, stats.memory.oom_kills), (2, 3, 1));
    let io: Vec<_> = stats.blkio.service_bytes.iter().map(|entry| (entry.op.as_str(), entry.value)).collect();
    assert_eq!(io, [("Read", 1), ("Write", 2), ("Discard", 5)]);
    assert_eq!((stats.hugetlb["2MB"].usage, stats.hugetlb["2MB"].failcnt), (2_097_152, 3));
    assert_eq!((stats.pids.current, stats.pids.limit), (4, 0));
    assert!(stats.memory.pressure.is_some() && stats.cpu.pressure.is_none());
}

/// inotify tells of changes to a real file as it does of memory.events.
#[test]
fn out_of_memory_events() {
    let fake = Fake::new("oom");
    fake.file("memory.events", "oom_kill 1\n").file("cgroup.events", "populated 1\nfrozen 0\n");
    let mut watch = fake.cgroup("", &["memory"]).watch_oom().unwrap();
    assert_eq!(watch.take().unwrap(), Some(0));
    fake.file("memory.events", "oom_kill 3\n").file("cgroup.events", "populated 0\nfrozen 0\n");
    assert_eq!(watch.take().unwrap(), Some(2));
    assert_eq!(watch.take().unwrap(), None);
    assert!(Path::new(&fake.0).exists());
}
