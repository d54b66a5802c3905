//! What a container finds around it: namespaces, mounts, devices, identity, limits.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use common::{Bundle, stdout};
use serde_json::json;

/// Runs a script in a container whose spec was changed, and compares what it wrote.
fn check(bundle: Bundle, expected: &str) {
    assert_eq!(bundle.run(), expected);
}

#[test]
fn namespaces_are_the_containers_own() {
    check(
        Bundle::new("hostname; echo $$; ip link | grep -c LOWER_UP; cat /proc/self/cgroup | grep -vc ':/$'; true"),
        "box\n1\n1\n0",
    );
}

#[test]
fn namespaces_can_be_joined() {
    let first = Bundle::new("sleep 100");
    first.start();
    let pid = first.state()["pid"].as_u64().expect("pid");
    let path = |kind: &str| format!("/proc/{pid}/ns/{kind}");
    let second = Bundle::new("for n in net ipc uts; do readlink /proc/self/ns/$n; done; ps | grep -c [s]leep.100").set(
        "linux/namespaces",
        json!([
            {"type": "mount"}, {"type": "pid", "path": path("pid")}, {"type": "network", "path": path("net")},
            {"type": "ipc", "path": path("ipc")}, {"type": "uts", "path": path("uts")}
        ]),
    );
    let links =
        ["net", "ipc", "uts"].map(|kind| fs::read_link(path(kind)).expect("link").to_string_lossy().into_owned());
    check(second, &format!("{}\n1", links.join("\n")));
    let wrong = Bundle::new("true")
        .set("linux/namespaces", json!([{"type": "mount"}, {"type": "network", "path": path("uts")}]));
    assert!(wrong.refuse().contains("is not a net namespace"));
    let other =
        Bundle::new("true").set("linux/namespaces", json!([{"type": "mount"}, {"type": "uts", "path": "/etc/passwd"}]));
    assert!(other.refuse().contains("is not a uts namespace"));
}

#[test]
fn time_offsets() {
    let bundle = Bundle::new("awk '{print ($1 > 1000000)}' /proc/uptime")
        .add("linux/namespaces", json!({"type": "time"}))
        .set("linux/timeOffsets", json!({"boottime": {"secs": 2_000_000}, "monotonic": {"secs": 5, "nanosecs": 7}}));
    check(bundle, "1");
}

#[test]
fn user_namespaces() {
    let script = "cat /proc/self/uid_map | awk '{print $1, $2, $3}'; id -u; touch /made; stat -c %u /made /bin; \
        test -c /dev/null && echo null > /dev/null && echo dev";
    let bundle = Bundle::new(script)
        .add("linux/namespaces", json!({"type": "user"}))
        .set("linux/uidMappings", json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]))
        .set("linux/gidMappings", json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]))
        .set("linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
    std::os::unix::fs::chown(bundle.rootfs(), Some(100_000), Some(100_000)).expect("chown");
    assert_eq!(bundle.run(), "0 100000 65536\n0\n0\n65534\ndev");
    assert_eq!(fs::metadata(bundle.rootfs().join("made")).expect("made").uid(), 100_000);
}

#[test]
fn a_joined_user_namespace() {
    let first = Bundle::new("sleep 100")
        .add("linux/namespaces", json!({"type": "user"}))
        .set("linux/uidMappings", json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]))
        .set("linux/gidMappings", json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]));
    first.start();
    let pid = first.state()["pid"].as_u64().expect("pid");
    let second = Bundle::new("awk '{print $2}' /proc/self/uid_map; id -u; hostname").set(
        "linux/namespaces",
        json!([{"type": "mount"}, {"type": "pid"}, {"type": "network", "path": format!("/proc/{pid}/ns/net")},
               {"type": "uts"}, {"type": "ipc"}, {"type": "user", "path": format!("/proc/{pid}/ns/user")}]),
    );
    check(second, "100000\n0\nbox");
    assert_eq!(stdout(&first.exec("awk '{print $2}' /proc/self/uid_map; id -u; echo $$ > /dev/null")), "100000\n0");
}

#[test]
fn mount_options() {
    let bundle =
        Bundle::new("grep -E ' /(a|b|c|d) ' /proc/self/mounts | awk '{print $2, $4}'; ls /a; echo x > /c/x; cat /a/f");
    let source = bundle.dir.path().join("source");
    fs::create_dir_all(&source).and_then(|()| fs::write(source.join("f"), "file\n")).expect("source");
    let bundle = bundle
        .add("mounts", json!({"destination": "/a", "source": &source, "options": ["rbind", "ro", "nosuid", "noexec"]}))
        .add(
            "mounts",
            json!({"destination": "/b", "source": "source/f", "type": "bind", "options": ["bind",
            "nodev", "noatime"]}),
        )
        .add(
            "mounts",
            json!({"destination": "/c", "source": "tmpfs", "type": "tmpfs",
            "options": ["size=1m", "mode=700", "nosuid"]}),
        )
        .add(
            "mounts",
            json!({"destination": "/d", "source": "tmpfs", "type": "tmpfs", "options": ["ro",
            "strictatime"]}),
        );
    let mounts = bundle.run();
    let lines: Vec<&str> = mounts.lines().collect();
    assert!(lines[0].starts_with("/a ro,nosuid,noexec,relatime"), "{mounts}");
    assert!(lines[1].starts_with("/b rw,nodev,noatime"), "{mounts}");
    assert_eq!(lines[2], "/c rw,nosuid,relatime,size=1024k,mode=700");
    assert!(lines[3].starts_with("/d ro") && !lines[3].contains("relatime"), "{mounts}");
    assert_eq!(lines[4..], ["f", "file"]);
}

#[test]
fn recursive_options_reach_mounts_below() {
    let script = "for d in /a /a/low /b /b/low; do touch $d/x 2>/dev/null && echo $d; done; true";
    let bundle = Bundle::new(script);
    let source = bundle.dir.path().join("source");
    fs::create_dir_all(source.join("low")).expect("source");
    let low = rustix_mount_tmpfs(&source.join("low"));
    let bundle = bundle
        .add("mounts", json!({"destination": "/a", "source": &source, "options": ["rbind", "ro"]}))
        .add("mounts", json!({"destination": "/b", "source": &source, "options": ["rbind", "rro"]}));
    let written = bundle.run();
    drop(low);
    assert_eq!(written, "/a/low");
}

/// A tmpfs until dropped.
fn rustix_mount_tmpfs(at: &std::path::Path) -> impl Drop + use<> {
    struct Mounted(std::path::PathBuf);
    impl Drop for Mounted {
        fn drop(&mut self) {
            rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH).expect("unmount");
        }
    }
    rustix::mount::mount("tmpfs", at, "tmpfs", rustix::mount::MountFlags::empty(), None).expect("mount a tmpfs");
    Mounted(at.to_owned())
}

#[test]
fn idmapped_mounts() {
    let bundle = Bundle::new("stat -c '%u %g' /v/f; touch /v/new");
    let source = bundle.dir.path().join("source");
    fs::create_dir_all(&source).and_then(|()| fs::write(source.join("f"), "")).expect("source");
    for path in [source.join("f"), source.clone()] {
        std::os::unix::fs::chown(path, Some(1000), Some(1000)).expect("chown");
    }
    let map = json!([{"containerID": 1000, "hostID": 0, "size": 1}, {"containerID": 0, "hostID": 1000, "size": 1}]);
    let bundle = bundle.add(
        "mounts",
        json!({"destination": "/v", "source": &source, "options": ["bind", "idmap"], "uidMappings": map,
            "gidMappings": map}),
    );
    assert_eq!(bundle.run(), "0 0");
    assert_eq!(fs::metadata(source.join("new")).expect("new").uid(), 1000);
}

#[test]
fn tmpcopyup_copies_what_it_covers() {
    let bundle =
        Bundle::new("cat /data/sub/f; readlink /data/link; stat -c '%a %u' /data/sub; echo > /data/g; ls /data");
    let data = bundle.rootfs().join("data");
    fs::create_dir_all(data.join("sub")).and_then(|()| fs::write(data.join("sub/f"), "content\n")).expect("data");
    symlink("sub/f", data.join("link")).expect("link");
    std::os::unix::fs::chown(data.join("sub"), Some(33), None).expect("chown");
    let bundle = bundle
        .add("mounts", json!({"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}));
    assert_eq!(bundle.run(), "content\nsub/f\n755 33\ng\nlink\nsub");
    assert!(!data.join("g").exists());
}

#[test]
fn cgroup_mounts_show_the_containers_own() {
    let bundle = Bundle::new(
        "cat /sys/fs/cgroup/pids/pids.max; cat /sys/fs/cgroup/memory/memory.limit_in_bytes; touch \
            /sys/fs/cgroup/pids/x 2>/dev/null; mkdir /sys/fs/cgroup/pids/x 2>/dev/null || echo ro",
    );
    let bundle = bundle
        .add(
            "mounts",
            json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro", "nosuid"]}),
        )
        .set("linux/resources", json!({"pids": {"limit": 77}, "memory": {"limit": 67_108_864}}));
    check(bundle, "77\n67108864\nro");
}

#[test]
fn devices() {
    let script = "for d in null zero full random urandom tty mine; do stat -c '%n %t:%T %a' /dev/$d; done; readlink \
        /dev/ptmx; readlink /dev/fd; stat -c %u /dev/mine";
    let bundle = Bundle::new(script).set(
        "linux/devices",
        json!([{"path": "/dev/mine", "type": "c", "major": 10, "minor": 200, "fileMode": 0o640, "uid": 33, "gid": 0}]),
    );
    let expected = "/dev/null 1:3 666\n/dev/zero 1:5 666\n/dev/full 1:7 666\n/dev/random 1:8 666\n/dev/urandom 1:9 \
        666\n/dev/tty 5:0 666\n/dev/mine a:c8 640\npts/ptmx\n/proc/self/fd\n33";
    check(bundle, expected);
}

#[test]
fn masked_and_readonly_paths() {
    let script = "cat /proc/kcore | dd bs=1 count=1 2>/dev/null; ls /sys/firmware; echo 1 > \
        /proc/sys/net/ipv4/ip_forward; echo $?";
    check(Bundle::new(&format!("({script}) 2>/dev/null")), "1");
}

#[test]
fn the_root_can_be_readonly() {
    check(
        Bundle::new("touch /x 2>/dev/null || echo ro; touch /dev/shm/y && echo rw").set("root/readonly", json!(true)),
        "ro\nrw",
    );
}

#[test]
fn sysctls_of_own_namespaces_only() {
    let set = |name: &str, value: &str| {
        let mut bundle = Bundle::new("cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/kernel/shmmni");
        bundle.spec["linux"]["sysctl"] = json!({});
        bundle.spec["linux"]["sysctl"][name] = json!(value);
        bundle
    };
    check(set("net.ipv4.ip_local_port_range", "2000\t3000"), "2000\t3000\n4096");
    check(set("kernel.shmmni", "99"), "32768\t60999\n99");
    assert!(set("kernel.core_pattern", "x").refuse().contains("is not in a separate kernel namespace"));
    let host_net = set("net.ipv4.ip_forward", "1").set("linux/namespaces", json!([{"type": "mount"}, {"type": "uts"}]));
    assert!(host_net.refuse().contains("not allowed in the hosts net namespace"));
}

#[test]
fn identity_and_privileges() {
    let script = "id -u; id -g; id -G; grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs' /proc/self/status | awk \
        '{print $2}'; umask; env | grep HOME";
    let bundle = Bundle::new(script)
        .set("process/user", json!({"uid": 33, "gid": 34, "additionalGids": [5, 9], "umask": 0o027}))
        .set(
            "process/capabilities",
            json!({"bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"],
                   "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"]}),
        );
    let kill = "0000000000000020";
    check(bundle, &format!("33\n34\n34 5 9\n{kill}\n{kill}\n{kill}\n0000000000000021\n{kill}\n1\n0027\nHOME=/srv"));
}

#[test]
fn users_by_name_are_the_containers() {
    let by_name = |name: &str| {
        let bundle = Bundle::new("id -u; id -g; id -G; echo $HOME");
        let output = bundle.verb("run", &[&format!("user={name}")]);
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    assert_eq!(by_name("web"), (true, "33\n34\n34 9\n/srv\n".into()));
    assert_eq!(by_name("1234:9"), (true, "1234\n9\n9\n/\n".into()));
    assert_eq!(by_name("nobody"), (false, "unable to find user nobody: no matching entries in passwd file\n".into()));
}

#[test]
fn rlimits() {
    let limit = |kind: &str, soft: u64, hard: u64| {
        Bundle::new("ulimit -n; ulimit -Hn").set("process/rlimits", json!([{"type": kind, "soft": soft, "hard": hard}]))
    };
    check(limit("RLIMIT_NOFILE", 100, 200), "100\n200");
    check(limit("RLIMIT_NOFILE", 5, 5), "5\n5");
    let refused = limit("RLIMIT_NOFILE", 1 << 40, 1 << 40).refuse();
    assert!(refused.contains("error setting rlimit RLIMIT_NOFILE"), "{refused}");
}

#[test]
fn the_working_directory_is_made() {
    check(Bundle::new("pwd").set("process/cwd", json!("/new/dir")), "/new/dir");
    let relative = Bundle::new("pwd").set("process/cwd", json!("new")).refuse();
    assert!(relative.contains("Cwd must be an absolute path"), "{relative}");
}

#[test]
fn nothing_of_the_hosts_is_inherited() {
    check(
        Bundle::new(
            "ls /proc/self/fd | grep -vE '^[0123]$'; grep -c . /proc/self/mountinfo > /dev/null; cat \
                /proc/1/environ | grep -c CARGO; true",
        ),
        "0",
    );
}

#[test]
fn scheduling() {
    let bundle = Bundle::new("awk '{print $19, $41}' /proc/self/stat; cat /proc/self/oom_score_adj")
        .set("process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 3}))
        .set("process/ioPriority", json!({"class": "IOPRIO_CLASS_IDLE", "priority": 0}))
        .set("process/oomScoreAdj", json!(500));
    check(bundle, "3 3\n500");
}

#[test]
fn root_propagation() {
    let peers = |word: &str| {
        let bundle =
            Bundle::new("awk '$5 == \"/\" {print $7}' /proc/self/mountinfo | grep -oE '(shared|master|unbindable|^-)'");
        bundle.set("linux/rootfsPropagation", json!(word)).run()
    };
    assert_eq!(peers("private"), "-");
    assert_eq!(peers("shared"), "shared");
    assert_eq!(peers("unbindable"), "unbindable");
}

#[test]
fn chroot_in_place_of_pivot_root() {
    let bundle = Bundle::new("ls / | grep -c bin; cat /proc/1/comm; ls /work 2>/dev/null | wc -l");
    assert_eq!(stdout(&bundle.verb("run", &["pivot=move"])).lines().next(), Some("1"));
}
