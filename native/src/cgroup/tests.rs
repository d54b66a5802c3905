//! On the real cgroups of this host, whatever their version, as root. Each test has a cgroup of its own.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use oci_spec::runtime::LinuxResources;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use stockade_sandbox::{CgroupManager, CgroupParent, ContainerId};

use super::{Cgroup, CgroupError, Joiner, file};

/// A cgroup that goes with the test.
struct Own(Cgroup);

fn id() -> ContainerId {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("limits-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)).parse().unwrap()
}

fn create(resources: &str) -> Result<Own, CgroupError> {
    let resources: LinuxResources = serde_json::from_str(resources).unwrap();
    Cgroup::create(None, &id(), &resources, CgroupManager::Cgroupfs).map(Own)
}

fn resources(text: &str) -> LinuxResources {
    serde_json::from_str(text).unwrap()
}

impl Own {
    /// Runs a shell command inside.
    fn shell(&self, command: &str) -> Child {
        let entry = Entry::of(&self.0);
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).stdout(Stdio::null()).stderr(Stdio::null());
        // SAFETY: `enter` only makes system calls.
        unsafe { shell.pre_exec(move || entry.enter()) };
        shell.spawn().unwrap()
    }

    /// The file of a v1 host, or the one of a v2 host; each with what it should hold.
    fn check(&self, controller: &str, v1: (&str, &str), v2: (&str, &str)) {
        let (dir, (name, expected)) = match self.0.has_v1(controller) {
            Some(dir) => (dir, v1),
            None => (self.0.v2().unwrap().path.as_path(), v2),
        };
        assert_eq!(file::read(dir, name).unwrap().trim(), expected, "{name}");
    }
}

/// How a forked child gets into a cgroup: [`Joiner`] knows the way in v1, and clone3 does in v2.
struct Entry {
    joiner: Joiner,
    v2: Option<File>,
}

impl Entry {
    fn of(cgroup: &Cgroup) -> Self {
        let procs = |own: &super::Hierarchy| File::options().write(true).open(own.path.join("cgroup.procs")).unwrap();
        Self { joiner: cgroup.joiner().unwrap(), v2: cgroup.v2().map(procs) }
    }

    /// Allocates nothing: the child may be forked from many threads.
    fn enter(&self) -> io::Result<()> {
        self.joiner.join()?;
        self.v2.as_ref().map_or(Ok(()), |procs| Ok(rustix::io::write(procs, b"0").map(drop)?))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.0.kill_all();
        let removed = self.0.remove();
        assert!(std::thread::panicking() || removed.is_ok(), "{removed:?}");
    }
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn limits_arrive_and_change() {
    let own = create(
        r#"{"memory": {"limit": 104857600, "swap": 209715200, "reservation": 52428800, "swappiness": 10},
            "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0"}, "pids": {"limit": 33}}"#,
    )
    .unwrap();
    own.check("memory", ("memory.limit_in_bytes", "104857600"), ("memory.max", "104857600"));
    own.check("memory", ("memory.memsw.limit_in_bytes", "209715200"), ("memory.swap.max", "104857600"));
    own.check("memory", ("memory.soft_limit_in_bytes", "52428800"), ("memory.low", "52428800"));
    own.check("cpu", ("cpu.shares", "512"), ("cpu.weight", "59"));
    own.check("cpu", ("cpu.cfs_quota_us", "50000"), ("cpu.max", "50000 100000"));
    own.check("cpuset", ("cpuset.cpus", "0"), ("cpuset.cpus", "0"));
    own.check("pids", ("pids.max", "33"), ("pids.max", "33"));

    let update = |text| own.0.apply(&resources(text)).unwrap();
    // Up past the old sum, then down below the old limit: either order of the two writes fails once.
    update(r#"{"memory": {"limit": 419430400, "swap": 524288000}}"#);
    own.check("memory", ("memory.limit_in_bytes", "419430400"), ("memory.max", "419430400"));
    update(r#"{"memory": {"limit": 52428800, "swap": 62914560}}"#);
    own.check("memory", ("memory.memsw.limit_in_bytes", "62914560"), ("memory.swap.max", "10485760"));
    update(r#"{"memory": {"limit": -1}}"#);
    own.check("memory", ("memory.memsw.limit_in_bytes", "9223372036854771712"), ("memory.swap.max", "max"));
    update(r#"{"pids": {"limit": -1}, "cpu": {"quota": -1, "shares": 0}}"#);
    own.check("pids", ("pids.max", "max"), ("pids.max", "max"));
    own.check("cpu", ("cpu.cfs_quota_us", "-1"), ("cpu.max", "max 100000"));
    own.check("cpu", ("cpu.shares", "512"), ("cpu.weight", "59"));
}

#[test]
fn quota_and_burst_change_together() {
    let own = create(r#"{"cpu": {"quota": 10000, "period": 100000}}"#).unwrap();
    own.0.apply(&resources(r#"{"cpu": {"quota": 40000, "burst": 30000}}"#)).unwrap();
    own.check("cpu", ("cpu.cfs_burst_us", "30000"), ("cpu.max.burst", "30000"));
    own.0.apply(&resources(r#"{"cpu": {"quota": 2000, "period": 2000, "burst": 100}}"#)).unwrap();
    own.check("cpu", ("cpu.cfs_period_us", "2000"), ("cpu.max", "2000 2000"));
}

#[test]
fn what_the_kernel_would_bend_or_lacks_is_refused() {
    let refused = |text: &str, reason: &str| match create(text) {
        Ok(_) => panic!("{text} was accepted"),
        Err(error) => assert!(error.to_string().contains(reason), "{error}"),
    };
    let is_pure_v2 = create("{}").unwrap().0.is_pure_v2();
    if !is_pure_v2 {
        refused(r#"{"cpu": {"shares": 1}}"#, "minimum allowed cpu-shares is 2");
        refused(r#"{"cpu": {"shares": 9999999}}"#, "maximum allowed cpu-shares is 262144");
        refused(r#"{"memory": {"swappiness": 101}}"#, "0..=100");
    }
    refused(r#"{"network": {"classID": 1}}"#, "net_cls");
    refused(r#"{"unified": {"memory.none": "1"}}"#, if is_pure_v2 { "memory.none" } else { "v1" });
    refused(r#"{"devices": [{"allow": true, "type": "c", "access": "x"}]}"#, "other letters");
}

#[test]
fn a_failed_create_leaves_nothing() {
    let id = id();
    let path = format!("/{id}/a/b");
    let wrong = resources(r#"{"cpu": {"cpus": "4000"}}"#);
    let error = Cgroup::create(Some(Path::new(&path)), &id, &wrong, CgroupManager::Cgroupfs).unwrap_err();
    assert!(error.to_string().contains("cpuset.cpus"), "{error}");
    for mounted in super::host::detect().unwrap() {
        assert!(!mounted.mountpoint.join(id.as_str()).exists());
    }
}

#[test]
fn a_cgroup_in_use_is_refused_and_an_empty_one_reused() {
    let id = id();
    let path = format!("/{id}/nested");
    let create = || Cgroup::create(Some(Path::new(&path)), &id, &resources("{}"), CgroupManager::Cgroupfs);
    let own = Own(create().unwrap());
    drop(create().unwrap());
    let child = own.shell("exec sleep 100");
    eventually("the child is in", || own.0.pids().unwrap() == [child.id()]);
    let error = create().unwrap_err().to_string();
    assert!(error.contains("is not empty: 1 process(es) found"), "{error}");
    end(child);
    let parents: Vec<_> = own.0.hierarchies().iter().map(|own| own.path.parent().unwrap().to_owned()).collect();
    drop(own);
    parents.iter().for_each(|parent| super::remove::tree(parent).unwrap());
}

#[test]
fn attach_and_join_reach_every_hierarchy() {
    let own = create("{}").unwrap();
    let joined = own.shell("exec sleep 100");
    let mut attached = Command::new("sleep").arg("100").spawn().unwrap();
    own.0.attach(attached.id()).unwrap();
    eventually("both are in", || own.0.pids().unwrap().len() == 2);
    let text = std::fs::read_to_string(format!("/proc/{}/cgroup", attached.id())).unwrap();
    for hierarchy in own.0.hierarchies() {
        let path = format!("/{}", hierarchy.path.strip_prefix(&hierarchy.mountpoint).unwrap().display());
        assert!(text.lines().any(|line| line.ends_with(&path)), "{path} in {text}");
    }
    own.0.kill_all().unwrap();
    assert!(!attached.wait().unwrap().success());
    end(joined);
    assert!(own.0.clone_target().unwrap().is_some());
}

#[test]
fn state_survives_json() {
    let own = create("{}").unwrap();
    let text = serde_json::to_string(&own.0).unwrap();
    assert_eq!(serde_json::from_str::<Cgroup>(&text).unwrap(), own.0);
}

#[test]
fn a_cgroup_in_no_hierarchy_is_empty() {
    let none = Cgroup::none();
    none.kill_all().unwrap();
    none.remove().unwrap();
    assert!(none.pids().unwrap().is_empty() && none.joiner().is_ok() && none.clone_target().unwrap().is_none());
    assert!(none.freeze().is_err() && none.watch_oom().is_err() && none.stats().is_ok());
}

#[test]
fn frozen_processes_stand_still_and_can_be_killed() {
    let own = create("{}").unwrap();
    let mut child = own.shell("while :; do :; done");
    eventually("it runs", || own.0.stats().unwrap().cpu.total_ns > 20_000_000);
    own.0.freeze().unwrap();
    assert!(own.0.is_frozen().unwrap());
    let before = own.0.stats().unwrap().cpu.total_ns;
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(own.0.stats().unwrap().cpu.total_ns, before);
    own.0.thaw().unwrap();
    assert!(!own.0.is_frozen().unwrap());
    eventually("it goes on", || own.0.stats().unwrap().cpu.total_ns > before);
    own.0.freeze().unwrap();
    own.0.kill_all().unwrap();
    assert!(!child.wait().unwrap().success());
}

/// Forks without end: each process leaves two orphans and ends. At the limit of processes it waits, so that it cannot
/// die out, even where the dead, who count, are reaped late or never.
fn fork_without_end(entry: &Entry) -> ! {
    let mut born = 0;
    // The streams of other tests' children must not stay open here.
    let ready = entry.enter().and_then(|()| crate::sys::process::close_range(3, u32::MAX)).is_ok();
    while ready && born < 2 {
        // SAFETY: a process with one thread that only makes system calls, before and after.
        match unsafe { libc::syscall(libc::SYS_fork) } {
            0 => born = 0,
            -1 => drop(rustix::thread::nanosleep(&Timespec { tv_sec: 0, tv_nsec: 5_000_000 })),
            _ => born += 1,
        }
    }
    crate::sys::process::exit(0)
}

#[test]
fn a_signal_reaches_all_generations() {
    let own = create(r#"{"pids": {"limit": 200}}"#).unwrap();
    let entry = Entry::of(&own.0);
    // SAFETY: the child only makes system calls, so a lock that another thread holds does not matter.
    let bomb = match unsafe { libc::fork() } {
        0 => fork_without_end(&entry),
        pid => rustix::process::Pid::from_raw(pid).expect("fork"),
    };
    eventually("it has grown", || own.0.pids().unwrap().len() > 50);
    own.0.kill_all().unwrap();
    rustix::process::waitpid(Some(bomb), rustix::process::WaitOptions::empty()).unwrap();
    eventually("all are gone", || own.0.pids().unwrap().is_empty());
}

#[test]
fn real_time_signals_pass() {
    let own = create("{}").unwrap();
    let mut child = own.shell("trap 'exit 7' RTMIN; while :; do sleep 0.01; done");
    std::thread::sleep(Duration::from_millis(100));
    own.0.signal_all(34).unwrap();
    // dash knows no RTMIN: the signal's default ends it.
    assert!(!child.wait().unwrap().success());
    assert!(own.0.signal_all(65).is_err());
}

#[test]
fn nested_cgroups_are_counted_and_removed() {
    let own = create("{}").unwrap();
    for hierarchy in own.0.hierarchies() {
        std::fs::create_dir(hierarchy.path.join("inner")).unwrap();
        std::fs::create_dir(hierarchy.path.join("inner/most")).unwrap();
    }
    // In v1 an empty cpuset takes no process.
    for (cpuset, name) in own.0.has_v1("cpuset").iter().flat_map(|dir| [(dir, "cpuset.cpus"), (dir, "cpuset.mems")]) {
        let value = file::read(cpuset, name).unwrap();
        file::write(&cpuset.join("inner"), name, value.trim()).unwrap();
        file::write(&cpuset.join("inner/most"), name, value.trim()).unwrap();
    }
    let inner = own.0.below(Path::new("inner/most")).unwrap();
    assert!(own.0.below(Path::new("../x")).is_err());
    let child = Command::new("sleep").arg("100").spawn().unwrap();
    inner.attach(child.id()).unwrap();
    assert_eq!(own.0.pids().unwrap(), [child.id()]);
    own.0.kill_all().unwrap();
    end(child);
}

#[test]
fn removal_waits_for_dying_processes_and_is_idempotent() {
    let own = create("{}").unwrap();
    let children: Vec<_> = (0..20).map(|_| own.shell("exec sleep 100")).collect();
    own.0.kill_all().unwrap();
    own.0.remove().unwrap();
    own.0.remove().unwrap();
    own.0.kill_all().unwrap();
    assert_eq!(own.0.pids().unwrap(), [0u32; 0]);
    assert!(!own.0.is_frozen().unwrap());
    children.into_iter().for_each(end);
}

#[test]
fn figures() {
    let own =
        create(r#"{"cpu": {"quota": 5000, "period": 50000}, "pids": {"limit": 50}, "memory": {"limit": 67108864}}"#);
    let own = own.unwrap();
    let child = own.shell("while :; do :; done");
    eventually("it was throttled", || own.0.stats().unwrap().cpu.throttled_periods > 2);
    let stats = own.0.stats().unwrap();
    assert!(stats.cpu.total_ns > 0 && stats.cpu.user_ns > 0 && stats.cpu.periods > 0 && stats.cpu.throttled_ns > 0);
    assert!(stats.memory.usage > 0 && stats.memory.max_usage >= stats.memory.usage);
    assert_eq!((stats.memory.limit, stats.memory.swap_limit), (67_108_864, u64::MAX));
    assert_eq!((stats.pids.current, stats.pids.limit), (1, 50));
    assert!(stats.memory.raw.contains_key("total_rss") || stats.memory.raw.contains_key("anon"));
    end(child);
}

#[test]
fn out_of_memory_is_told_with_its_count() {
    let own = create(r#"{"memory": {"limit": 8388608, "swap": 8388608}}"#).unwrap();
    // In v2 an empty cgroup has nothing more to tell.
    let waiting = own.shell("exec sleep 100");
    eventually("it waits", || own.0.pids().unwrap() == [waiting.id()]);
    let mut watch = own.0.watch_oom().unwrap();
    assert_eq!(watch.take().unwrap(), Some(0));
    let mut hungry = own.shell("exec dd if=/dev/zero of=/dev/null bs=200M count=1");
    let mut kills = 0;
    let deadline = Instant::now() + Duration::from_secs(20);
    while kills == 0 && Instant::now() < deadline {
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        poll(&mut [PollFd::new(&watch.fd(), PollFlags::IN)], Some(&second)).unwrap();
        kills += watch.take().unwrap().unwrap();
    }
    assert_eq!(kills, 1);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&hungry.wait().unwrap()), Some(libc::SIGKILL));
    assert_eq!(own.0.stats().unwrap().memory.oom_kills, 1);
    end(waiting);
    own.0.remove().unwrap();
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(&watch.fd().as_fd(), PollFlags::IN)], Some(&second)).unwrap(), 1);
    assert_eq!(watch.take().unwrap(), None);
}

#[test]
fn processes_that_go_by_themselves_are_waited_for() {
    let own = create("{}").unwrap();
    let mut child = Command::new("sleep").arg("100").spawn().unwrap();
    own.0.attach(child.id()).unwrap();
    assert!(!own.0.is_empty_within(Duration::from_millis(1)).unwrap());
    child.kill().unwrap();
    assert!(own.0.is_empty_within(Duration::from_secs(10)).unwrap());
    child.wait().unwrap();
    own.0.remove().unwrap();
    assert!(own.0.is_empty_within(Duration::ZERO).unwrap());
}

/// The directories of a parent in all hierarchies, by its name.
fn parents(name: &str) -> Vec<std::path::PathBuf> {
    super::host::detect().unwrap().into_iter().map(|mounted| mounted.mountpoint.join(name)).collect()
}

fn below(parent: &str, name: &str, whose: CgroupParent, wanted: &str) -> Result<Cgroup, CgroupError> {
    let path = format!("/{parent}/{name}");
    let cgroup = Cgroup::locate(Some(Path::new(&path)), &id(), CgroupManager::Cgroupfs)?.with_parent(whose);
    cgroup.make(&resources(wanted)).map(|()| cgroup)
}

#[test]
fn a_shared_parent_goes_with_its_last_cgroup() {
    let parent = id().to_string();
    let make = |name, wanted| below(&parent, name, CgroupParent::Shared, wanted);
    let there = || parents(&parent).iter().filter(|dir| dir.exists()).count();
    let (one, two) = (make("one", "{}").unwrap(), make("two", "{}").unwrap());
    one.remove().unwrap();
    assert_eq!(there(), parents(&parent).len());
    // A failed creator may be the last as well.
    two.hierarchies().iter().for_each(|own| super::remove::tree(&own.path).unwrap());
    assert_eq!(there(), parents(&parent).len());
    make("three", r#"{"cpu": {"cpus": "4000"}}"#).unwrap_err();
    assert_eq!(there(), 0);
    two.remove().unwrap();
}

#[test]
fn a_foreign_parent_stays() {
    let parent = id().to_string();
    below(&parent, "one", CgroupParent::Foreign, "{}").unwrap().remove().unwrap();
    for dir in parents(&parent) {
        assert!(dir.exists(), "{}", dir.display());
        super::remove::tree(&dir).unwrap();
    }
}

/// Each creator finds the parent gone between its two steps every so often.
#[test]
fn a_shared_parent_vanishes_under_no_creator() {
    let parent = id().to_string();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let parent = &parent;
            scope.spawn(move || {
                for _ in 0..60 {
                    let name = format!("of-{thread}");
                    below(parent, &name, CgroupParent::Shared, "{}").unwrap().remove().unwrap();
                }
            });
        }
    });
    assert_eq!(parents(&parent).iter().filter(|dir| dir.exists()).count(), 0);
}
