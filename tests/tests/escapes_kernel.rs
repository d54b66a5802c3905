//! Ways out of a container through files of the kernel: procfs, cgroups, devices, keys.
//!
//! Every attack also runs where it must succeed, so that a test whose attack is broken fails.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stockade_tests::{Bundle, Output, Scratch};

/// Runs the bundle's script to its end.
fn run(scratch: &Scratch, name: &str, bundle: &Bundle) -> Output {
    let path = bundle.path().to_str().expect("a UTF-8 path");
    scratch.oci(&["run", "--bundle", path, &scratch.id(name)]).run()
}

fn shell(scratch: &Scratch, script: &str) -> Bundle {
    scratch.bundle(&["sh", "-c", script])
}

/// The script prints `out` once per way out that it found.
#[track_caller]
fn check_contained(scratch: &Scratch, bundle: &Bundle) {
    let output = run(scratch, "attack", bundle);
    assert!(output.code == 0 && !output.stdout.contains("out"), "{output}");
}

#[track_caller]
fn check_escapes(scratch: &Scratch, bundle: &Bundle) {
    let output = run(scratch, "control", bundle);
    assert!(output.stdout.contains("out"), "the attack does not work where nothing hinders it\n{output}");
}

/// CVE-2022-0492 and the escapes by core_pattern, sysrq, uevent_helper and the like: files by which the kernel is made
/// to run a program of the attacker's, or to stop. What is written is what is there already, or harmless.
#[test]
fn kernel_wide_settings_are_out_of_reach() {
    let script = r#"
        for file in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/kernel/hostname \
            /proc/sys/vm/overcommit_memory /proc/irq/default_smp_affinity /sys/kernel/uevent_helper; do
            old=$(cat $file 2>/dev/null) && (echo "$old" > $file) 2>/dev/null && echo "out by $file"
        done
        (echo h > /proc/sysrq-trigger) 2>/dev/null && echo "out by sysrq"
        true
    "#;
    let scratch = Scratch::new();
    check_contained(&scratch, &shell(&scratch, script));
    check_escapes(&scratch, &shell(&scratch, script).set("/linux/readonlyPaths", json!([])));
}

/// Writes to files of control groups what is there already, and makes a group.
const WRITE_CGROUPS: &str = r#"
    for dir in /sys/fs/cgroup /sys/fs/cgroup/*; do
        for file in release_agent notify_on_release pids.max cgroup.clone_children; do
            old=$(cat $dir/$file 2>/dev/null) && (echo "$old" > $dir/$file) 2>/dev/null && echo "out by $dir/$file"
        done
        mkdir $dir/inner 2>/dev/null && rmdir $dir/inner && echo "out by mkdir in $dir"
    done
"#;

/// The bundle with the mount at `destination` changed.
fn with_mount(bundle: Bundle, destination: &str, change: impl FnOnce(&mut Value)) -> Bundle {
    bundle.edit(|config| {
        let mounts = config["mounts"].as_array_mut().expect("mounts is an array");
        change(mounts.iter_mut().find(|mount| mount["destination"] == destination).expect("a mount"));
    })
}

/// CVE-2022-0492: release_agent, by what is mounted or by a mount of the attacker's.
#[test]
fn cgroup_files_are_read_only() {
    let script = format!(
        "{WRITE_CGROUPS}
        mkdir /tmp/c && mount -t cgroup -o pids cgroup /tmp/c 2>/dev/null && echo 'out by mount'
        unshare -Urm mount -t cgroup -o pids cgroup /tmp/c 2>/dev/null && echo 'out by user namespace'
        true"
    );
    let scratch = Scratch::new();
    check_contained(&scratch, &shell(&scratch, &script));
    let writable = |cgroup: &mut Value| cgroup["options"] = json!(["nosuid", "noexec", "nodev"]);
    check_escapes(&scratch, &with_mount(shell(&scratch, &script), "/sys/fs/cgroup", writable));
}

/// CVE-2023-25809: in a user namespace and the host's cgroup namespace, as rootless containers have them, the mount of
/// the control groups, or the host's /sys bound in its place, is writable although it was to be read only.
#[test]
fn cve_2023_25809_cgroups_are_read_only_in_a_user_namespace() {
    let scratch = Scratch::new();
    let script = format!("{WRITE_CGROUPS} true");
    let rootless = |options: &Value, bound: bool| {
        let bundle = shell(&scratch, &script).edit(|config| {
            push(&mut config["linux"]["namespaces"], json!({"type": "user"}));
            for key in ["uidMappings", "gidMappings"] {
                config["linux"][key] = json!([{"containerID": 0, "hostID": 0, "size": 1000}]);
            }
        });
        with_mount(bundle, if bound { "/sys" } else { "/sys/fs/cgroup" }, |mount| {
            mount["options"] = options.clone();
            if bound {
                (mount["type"], mount["source"]) = (json!("none"), json!("/sys"));
            }
        })
    };
    let flags = |more: &[&str]| json!([&["nosuid", "noexec", "nodev"], more].concat());
    check_contained(&scratch, &rootless(&flags(&["ro"]), false));
    check_contained(&scratch, &rootless(&flags(&["rbind", "ro"]), true));
    check_escapes(&scratch, &rootless(&flags(&[]), false));
}

/// The host's core_pattern, put back by a test that fails.
struct CorePattern {
    path: &'static Path,
    old: String,
}

impl CorePattern {
    fn read() -> Self {
        let path = Path::new("/proc/sys/kernel/core_pattern");
        Self { path, old: fs::read_to_string(path).expect("read core_pattern") }
    }

    #[track_caller]
    fn assert_untouched(&self, attack: &str) {
        assert_eq!(fs::read_to_string(self.path).expect("read core_pattern"), self.old, "by {attack}");
    }
}

impl Drop for CorePattern {
    fn drop(&mut self) {
        if fs::read_to_string(self.path).is_ok_and(|now| now != self.old) {
            let _ = fs::write(self.path, &self.old);
        }
    }
}

/// CVE-2022-0811: a parameter that is the container's own carries another one that is the whole host's, in its name or
/// in its value.
#[test]
fn cve_2022_0811_no_sysctl_reaches_core_pattern() {
    let scratch = Scratch::new();
    let host = CorePattern::read();
    let set = |name: &str, key: &str, value: &str| {
        let bundle = shell(&scratch, "echo ran; cat /proc/sys/kernel/shm_rmid_forced");
        run(&scratch, name, &bundle.set("/linux/sysctl", json!({key: value})))
    };
    let names = [
        "kernel.core_pattern",
        "kernel/core_pattern",
        "net/../kernel/core_pattern",
        "net.//.kernel.core_pattern",
        "net.ipv4.//.//.kernel.core_pattern",
        "fs.mqueue.//.//.kernel.core_pattern",
    ];
    for name in names {
        let output = set("name", name, "stockade-test");
        assert!(output.code != 0 && output.stdout.is_empty(), "{name}: {output}");
        host.assert_untouched(name);
        let naive = Path::new("/proc/sys").join(path_of(name)).canonicalize().expect(name);
        assert_eq!(naive, host.path, "{name} leads there on a naive caller");
    }
    let injected = "kernel.shm_rmid_forced=1+kernel.core_pattern";
    for (key, value) in [
        ("kernel.shm_rmid_forced", "1+kernel.core_pattern=stockade-test"),
        ("kernel.shm_rmid_forced", "1\nkernel.core_pattern=stockade-test"),
        (injected, "stockade-test"),
    ] {
        set("value", key, value);
        host.assert_untouched(value);
    }
    assert_eq!(set("control", "kernel.shm_rmid_forced", "1").out(), "ran\n1");
}

/// A parameter's name as a path: dots and slashes change places unless a slash comes first (sysctl(8)).
fn path_of(name: &str) -> PathBuf {
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        c => c,
    };
    let slash_first = name.find(['.', '/']).is_some_and(|at| name[at..].starts_with('/'));
    if slash_first { name.into() } else { name.chars().map(swap).collect::<String>().into() }
}

/// Root in a container may make device nodes, as Docker's default has it, but not open them.
#[test]
fn nodes_of_host_devices_cannot_be_opened() {
    let script = "mknod /disk c 10 229 && (: < /disk) 2>/dev/null && echo 'out by the device'; true";
    let scratch = Scratch::new();
    let capable = |bundle: Bundle| {
        bundle.edit(|config| {
            for set in ["bounding", "effective", "permitted"] {
                push(&mut config["process"]["capabilities"][set], json!("CAP_MKNOD"));
            }
        })
    };
    check_contained(&scratch, &capable(shell(&scratch, script)));
    let allowed = json!({"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"});
    let bundle = capable(shell(&scratch, script));
    check_escapes(&scratch, &bundle.edit(|config| push(&mut config["linux"]["resources"]["devices"], allowed)));
}

fn push(array: &mut Value, value: Value) {
    array.as_array_mut().expect("an array").push(value);
}

/// Keys of the caller's session, Kerberos tickets among them, are not the container's (`--no-new-keyring` shares them).
#[test]
fn the_session_keyring_is_the_containers_own() {
    let scratch = Scratch::new();
    let bundle = || shell(&scratch, "cat /proc/keys").set("/linux/maskedPaths", json!([]));
    let keys = |name: &str, flags: &[&str]| {
        let bundle = bundle();
        let path = bundle.path().to_str().expect("a UTF-8 path");
        let id = scratch.id(name);
        let own = format!("_ses.{id}");
        let output = scratch.oci(&[&["run", "--bundle", path], flags, &[id.as_str()]].concat()).ok();
        output.stdout.contains(&own)
    };
    assert!(keys("own", &[]));
    assert!(!keys("shared", &["--no-new-keyring"]));
}

/// What the kernel tells about the host is hidden: masked paths are empty, and stay so for a root that lacks
/// CAP_SYS_ADMIN.
#[test]
fn masked_paths_cannot_be_uncovered() {
    let script = r#"
        umount /proc/kcore 2>/dev/null && echo out
        mkdir /tmp/p && mount -t proc proc /tmp/p 2>/dev/null && echo out
        [ -s /proc/timer_list ] || [ -n "$(cat /proc/timer_list 2>/dev/null)" ] && echo out
        [ -n "$(ls /sys/firmware)" ] && echo out
        true
    "#;
    let scratch = Scratch::new();
    check_contained(&scratch, &shell(&scratch, script));
    check_escapes(&scratch, &shell(&scratch, script).set("/linux/maskedPaths", json!([])));
    assert!(fs::metadata("/proc/timer_list").is_ok(), "the host itself must have the file");
}
