//! The flags of `run` that set limits and control groups: what the kernel has, what `inspect` says.

mod people;

use std::fs;
use std::path::Path;

use people::People;
use stockade_tests::leaks;

/// A limit by its flag: the files that hold it, in either version of control groups, and `inspect`'s word for it.
struct Limit {
    flags: &'static [&'static str],
    v1: (&'static str, &'static str),
    /// `None` where the second version has no such limit.
    v2: Option<(&'static str, &'static str)>,
    inspect: (&'static str, &'static str),
}

const LIMITS: &[Limit] = &[
    Limit {
        flags: &["--memory-reservation", "48m"],
        v1: ("memory/memory.soft_limit_in_bytes", "50331648"),
        v2: Some(("memory.low", "50331648")),
        inspect: ("{{.HostConfig.MemoryReservation}}", "50331648"),
    },
    Limit {
        flags: &["--memory-swappiness", "17"],
        v1: ("memory/memory.swappiness", "17"),
        v2: None,
        inspect: ("{{.HostConfig.MemorySwappiness}}", "17"),
    },
    Limit {
        flags: &["--memory-swappiness", "0"],
        v1: ("memory/memory.swappiness", "0"),
        v2: None,
        inspect: ("{{.HostConfig.MemorySwappiness}}", "0"),
    },
    Limit {
        flags: &["-m", "64m", "--oom-kill-disable"],
        v1: ("memory/memory.oom_control", "oom_kill_disable 1"),
        v2: None,
        inspect: ("{{.HostConfig.OomKillDisable}}", "true"),
    },
    Limit {
        flags: &["--cpu-quota", "30000"],
        v1: ("cpu/cpu.cfs_quota_us", "30000"),
        v2: Some(("cpu.max", "30000 100000")),
        inspect: ("{{.HostConfig.CpuQuota}} {{.HostConfig.CpuPeriod}}", "30000 0"),
    },
    Limit {
        flags: &["--cpu-period", "50000"],
        v1: ("cpu/cpu.cfs_period_us", "50000"),
        v2: Some(("cpu.max", "max 50000")),
        inspect: ("{{.HostConfig.CpuQuota}} {{.HostConfig.CpuPeriod}}", "0 50000"),
    },
    Limit {
        flags: &["--cpuset-mems", "0"],
        v1: ("cpuset/cpuset.mems", "0"),
        v2: Some(("cpuset.mems", "0")),
        inspect: ("{{.HostConfig.CpusetMems}}", "0"),
    },
];

fn unified() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

#[test]
fn limits_reach_their_files_and_inspect() {
    let people = People::new();
    for limit in LIMITS {
        let Some((file, expected)) = (if unified() { limit.v2 } else { Some(limit.v1) }) else { continue };
        let id = people.background(limit.flags, &["sleep", "1000"]);
        let content = people.stockade(&["exec", &id, "cat", &format!("/sys/fs/cgroup/{file}")]).ok();
        assert_eq!(content.out().lines().next(), Some(expected), "{:?}: {content}", limit.flags);
        let (template, expected) = limit.inspect;
        assert_eq!(people.field(&id, template), expected, "{:?}", limit.flags);
        people.stockade(&["rm", "-f", &id]).ok();
    }
}

#[test]
fn updates_of_limits_reach_their_files() {
    let people = People::new();
    let id = people.background(&["-m", "64m"], &["sleep", "1000"]);
    for limit in LIMITS.iter().filter(|limit| limit.flags.len() == 2) {
        let Some((file, expected)) = (if unified() { limit.v2 } else { Some(limit.v1) }) else { continue };
        people.stockade(&[&["update"], limit.flags, &[&id]].concat()).ok();
        let content = people.stockade(&["exec", &id, "cat", &format!("/sys/fs/cgroup/{file}")]).ok();
        let value = expected.split(' ').next();
        assert!(value.is_some_and(|value| content.out().contains(value)), "{:?}: {content}", limit.flags);
    }
    assert_eq!(people.field(&id, "{{.HostConfig.CpuQuota}} {{.HostConfig.CpuPeriod}}"), "30000 50000");
}

#[test]
fn limits_out_of_range_are_refused() {
    let people = People::new();
    let check = |flags: &[&str], expected: &str| {
        let output = people.run(&[&["--rm"], flags].concat(), &["true"]).exits(125);
        assert!(output.stderr.contains(expected), "{flags:?}: {output}");
        assert_eq!(people.stockade(&["ps", "-aq"]).ok().out(), "", "{flags:?} left a container");
    };
    check(&["--memory-swappiness", "101"], "Invalid memory swappiness");
    check(&["--memory-swappiness", "many"], "--memory-swappiness");
    check(&["--memory-reservation", "1k"], "Minimum memory reservation");
    check(&["-m", "64m", "--memory-reservation", "65m"], "less than memory reservation limit");
    check(&["--cpu-period", "10"], "CPU cfs period");
    check(&["--cpu-quota", "10"], "CPU cfs quota");
    check(&["--cpus", "1", "--cpu-quota", "30000"], "cannot both be set");
    check(&["--cpus", "1", "--cpu-period", "30000"], "cannot both be set");
    check(&["--cpuset-mems", "77"], "cpuset.mems");
    check(&["--cpuset-cpus", "7777"], "cpuset.cpus");
}

/// The places of a process, one line for each hierarchy.
fn places(pid: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("read a process's cgroups");
    let places = text.lines().map(|line| line.splitn(3, ':').nth(2).expect("three fields").to_owned());
    places.collect()
}

#[test]
fn the_parent_of_the_cgroup_is_as_asked() {
    let people = People::new();
    let parent = people.scratch.id("parent");
    for written in [format!("/{parent}/sub"), parent.clone()] {
        let id = people.background(&["--cgroup-parent", &written], &["sleep", "1000"]);
        let expected = format!("/{}/{id}", written.trim_start_matches('/'));
        let places = places(&people.field(&id, "{{.State.Pid}}"));
        assert!(places.contains(&expected), "{expected}: {places:?}");
        assert!(places.iter().all(|place| *place == "/" || *place == expected), "{places:?}");
        assert_eq!(people.field(&id, "{{.HostConfig.CgroupParent}}"), written);
        people.stockade(&["rm", "-f", &id]).ok();
    }
    // The parent stays for others, as runc has it.
    leaks::remove_empty_groups(&parent);
    let error = people.run(&["--cgroup-parent", "/a/../../b"], &["true"]).exits(125).stderr;
    assert!(error.contains(".."), "{error}");
}

#[test]
fn the_cgroup_namespace_is_as_asked() {
    let people = People::new();
    let inside = |flags: &[&str]| {
        let id = people.background(flags, &["sleep", "1000"]);
        let seen = people.stockade(&["exec", &id, "cat", "/proc/1/cgroup"]).ok().stdout;
        let namespace = people.stockade(&["exec", &id, "readlink", "/proc/1/ns/cgroup"]).ok().out().to_owned();
        let mode = people.field(&id, "{{.HostConfig.CgroupnsMode}}");
        (seen.contains(&id), namespace, mode)
    };
    let host = fs::read_link("/proc/self/ns/cgroup").unwrap().display().to_string();
    for flags in [&[][..], &["--cgroupns", "private"]] {
        let (shown, namespace, mode) = inside(flags);
        assert!(!shown && namespace != host, "{flags:?}: {namespace}");
        assert_eq!(mode, "private");
    }
    assert_eq!(inside(&["--cgroupns=host"]), (true, host, "host".to_owned()));
    for mode in ["container:x", "shareable", "other"] {
        let error = people.run(&["--cgroupns", mode], &["true"]).exits(125).stderr;
        assert!(error.contains("cgroupns") || error.contains("shareable"), "{error}");
    }
}
