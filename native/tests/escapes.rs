//! Images and volumes that try to lead the runtime out of the container's root. Each test plants the attack in the root
//! file system, runs the container and looks at what the host has suffered.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use common::{Bundle, stdout, text};
use serde_json::json;

/// A directory of the host that must stay empty.
fn outside(bundle: &Bundle) -> PathBuf {
    let path = bundle.dir.path().join("outside");
    fs::create_dir_all(&path).expect("outside");
    path
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).expect("outside").next().is_none()
}

fn plant(bundle: &Bundle, name: &str, target: impl AsRef<Path>) {
    let place = bundle.rootfs().join(name);
    let _ = fs::remove_dir_all(&place);
    symlink(target, place).expect("symlink");
}

/// The bundle with only the mounts whose destination is wanted.
fn with_mounts(mut bundle: Bundle, wanted: impl Fn(&str) -> bool) -> Bundle {
    let mounts = bundle.spec["mounts"].as_array_mut().expect("mounts");
    mounts.retain(|mount| mount["destination"].as_str().is_some_and(&wanted));
    bundle
}

/// CVE-2021-30465 and older: a mount target that is a link to the host.
#[test]
fn mount_targets_stay_in_the_root() {
    let bundle = Bundle::new("ls /v /deep/er 2>&1; mount | grep -c outside; true");
    let host = outside(&bundle);
    let up = format!("../../../../../../../../../..{}", host.display());
    plant(&bundle, "v", &host);
    plant(&bundle, "deep", up);
    let source = bundle.dir.path().join("source");
    fs::create_dir_all(&source).and_then(|()| fs::write(source.join("f"), "")).expect("source");
    let bundle = bundle
        .add("mounts", json!({"destination": "/v", "source": &source, "options": ["bind"]}))
        .add("mounts", json!({"destination": "/deep/er", "type": "tmpfs", "source": "tmpfs"}))
        .add("mounts", json!({"destination": "/v/../../../../x", "type": "tmpfs", "source": "tmpfs"}));
    let output = bundle.verb("run", &[]);
    assert!(is_empty(&host), "{}", text(&output));
    // The links resolve below the root, where the runtime made what they name.
    assert!(bundle.rootfs().join(host.strip_prefix("/").expect("absolute")).exists() || !output.status.success());
}

/// CVE-2019-19921, CVE-2023-27561: /proc or /sys as a link, so that masked paths mask something else.
#[test]
fn proc_and_sys_go_on_directories_only() {
    for name in ["proc", "sys"] {
        let bundle = Bundle::new("true");
        fs::create_dir_all(bundle.rootfs().join("other")).expect("other");
        plant(&bundle, name, "/other");
        let error = bundle.refuse();
        assert!(error.contains("must be mounted on ordinary directory"), "{error}");
    }
}

/// CVE-2019-16884: a volume over /proc makes label writes go nowhere.
#[test]
fn proc_cannot_be_covered() {
    let volume = |destination: &str| {
        let bundle = Bundle::new("true");
        let source = bundle.dir.path().join("source");
        fs::create_dir_all(&source).expect("source");
        bundle.add("mounts", json!({"destination": destination, "source": &source, "options": ["bind"]}))
    };
    assert!(volume("/proc").refuse().contains("cannot be mounted because it is not of type proc"));
    assert!(volume("/proc/self/attr").refuse().contains("cannot be mounted because it is inside /proc"));
    assert!(volume("/").refuse().contains("mounting over / is prohibited"));
    let through_a_link = volume("/alias/sys");
    plant(&through_a_link, "alias", "/proc");
    assert!(through_a_link.refuse().contains("cannot be mounted because it is inside /proc"));
    let meminfo = Bundle::new("cat /proc/meminfo");
    let source = meminfo.dir.path().join("meminfo");
    fs::write(&source, "MemTotal: 1 kB\n").expect("meminfo");
    let lxcfs = meminfo.add("mounts", json!({"destination": "/proc/meminfo", "source": &source, "options": ["bind"]}));
    assert_eq!(lxcfs.run(), "MemTotal: 1 kB");
}

/// CVE-2025-31133: the image's /dev/null as a link, by which masking a file would expose another.
#[test]
fn masks_use_the_hosts_null_device() {
    let bundle = Bundle::new("cat /proc/timer_list | wc -c; stat -c %t:%T /proc/timer_list")
        .set("linux/maskedPaths", json!(["/proc/timer_list"]));
    let target = bundle.dir.path().join("secret");
    fs::write(&target, "secret").expect("secret");
    let bundle = with_mounts(bundle, |destination| destination != "/dev");
    fs::create_dir_all(bundle.rootfs().join("dev")).expect("dev");
    plant(&bundle, "dev/null", &target);
    assert_eq!(bundle.run(), "0\n1:3");
    assert_eq!(fs::read_to_string(target).expect("secret"), "secret");
}

/// CVE-2025-52565: /dev/console as a link, so that the pty covers something else.
#[test]
fn the_console_is_bound_on_no_link() {
    let bundle = Bundle::new("true").set("process/terminal", json!(true));
    let bundle = with_mounts(bundle, |destination| destination != "/dev");
    plant(&bundle, "dev/console", "/proc/sys/kernel/core_pattern");
    let path = bundle.dir.path().join("console.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&path).expect("socket");
    let output = bundle.verb("create", &[&format!("console={}", path.display())]);
    assert!(text(&output).contains("/dev/console is a symbolic link"), "{}", text(&output));
}

/// Devices and links of /dev are made in the root, wherever its /dev points.
#[test]
fn devices_stay_in_the_root() {
    let bundle = Bundle::new("true");
    let host = outside(&bundle);
    let bundle = with_mounts(bundle, |destination| destination == "/proc")
        .set("linux/devices", json!([{"path": "/dev/../../../../esc", "type": "c", "major": 1, "minor": 3}]));
    plant(&bundle, "dev", &host);
    let output = bundle.verb("run", &[]);
    assert!(is_empty(&host), "{}", text(&output));
}

/// CVE-2024-21626: a working directory, or a program, named through a descriptor that leaked.
#[test]
fn no_descriptor_leads_to_the_host() {
    for number in 3..16 {
        let bundle = Bundle::new("ls; pwd").set("process/cwd", json!(format!("/proc/self/fd/{number}")));
        let output = bundle.verb("run", &[]);
        assert!(!output.status.success(), "descriptor {number}: {}", text(&output));
    }
    for number in 3..16 {
        let program = format!("/proc/self/fd/{number}/../../../bin/true");
        let bundle = Bundle::new("").set("process/args", json!([program]));
        assert!(!bundle.verb("run", &[]).status.success(), "descriptor {number}");
    }
}

#[test]
fn no_descriptor_of_exec_leads_to_the_host() {
    let bundle = Bundle::new("sleep 100");
    bundle.start();
    for number in 3..16 {
        let process = json!({"args": ["/bin/pwd"], "cwd": format!("/proc/self/fd/{number}")});
        assert!(!bundle.exec_process(process, &[]).status.success(), "descriptor {number}");
    }
    // A container that puts a link where exec will look for its directory gets its own root, not the host's.
    stdout(&bundle.exec("ln -s /proc/1/root/../../../.. /up"));
    let output = bundle.exec_process(json!({"args": ["/bin/ls", "/up"]}), &[]);
    assert!(!text(&output).contains("work"), "{}", text(&output));
}

/// CVE-2019-5736, CVE-2022-0811's cousin: processes of the container look at those that enter it.
#[test]
fn who_enters_cannot_be_watched() {
    // Any process whose program is not busybox and that can be looked at is a leak.
    let watch = "while :; do for p in /proc/[0-9]*; do l=$(readlink $p/exe) && [ \"$l\" != /bin/busybox ] && echo \
        $p $l >> /leak; done; done";
    let bundle = Bundle::new(watch);
    bundle.start();
    for _ in 0..100 {
        stdout(&bundle.exec("true"));
    }
    assert!(!bundle.rootfs().join("leak").exists(), "{:?}", fs::read_to_string(bundle.rootfs().join("leak")));
}

/// Account files that are no files must not hang or fill the runtime.
#[test]
fn account_files_of_any_kind() {
    for kind in ["mkfifo passwd", "ln -s /dev/zero passwd", "mkdir passwd", "ln -s passwd passwd"] {
        let bundle = Bundle::new("echo $HOME");
        let made = std::process::Command::new("sh")
            .args(["-c", &format!("rm passwd; {kind}")])
            .current_dir(bundle.rootfs().join("etc"))
            .status();
        assert!(made.expect("sh").success());
        let output = bundle.verb("run", &[]);
        assert!(text(&output).contains("/\n") || !output.status.success(), "{kind}: {}", text(&output));
    }
}

/// A volume whose owner swaps a directory and a link all the while (the race of CVE-2021-30465).
#[test]
fn a_racing_volume_gains_nothing() {
    let bundle = Bundle::new("true");
    let host = outside(&bundle);
    let volume = bundle.dir.path().join("volume");
    fs::create_dir_all(volume.join("dir")).expect("volume");
    symlink(&host, volume.join("link")).expect("link");
    let bundle = bundle
        .add("mounts", json!({"destination": "/v", "source": &volume, "options": ["bind"]}))
        .add("mounts", json!({"destination": "/v/dir/sub", "type": "tmpfs", "source": "tmpfs"}));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let flags = rustix::fs::RenameFlags::EXCHANGE;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = rustix::fs::renameat_with(
                    rustix::fs::CWD,
                    volume.join("dir"),
                    rustix::fs::CWD,
                    volume.join("link"),
                    flags,
                );
            }
        });
        for _ in 0..40 {
            let _ = bundle.verb("run", &[]);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(is_empty(&host));
}
