//! Class `kernel` on a bundle's directory, behind its file server: programs find what class `native` shows them, the
//! host's directory changes as it would there, and whatever dies, nothing is left.

mod kernel;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use kernel::PATIENCE;
use kernel::bundles::{debian, oci, processes, run, same, same_scripts};
use rustix::process::{Signal, kill_process};
use serde_json::json;
use stockade_tests::{Bundle, Scratch, wait_until};

#[test]
fn names_and_links() {
    // Devices are another matter: see `no_device_is_made_on_the_host`.
    same_scripts("bash", &include_str!("kernel/names_and_links.sh").replace("; mknod d c 1 3; echo $?", ""));
}

#[test]
fn no_device_is_made_on_the_host() {
    let scratch = Scratch::new();
    let bundle = debian(&["sh", "-c", "mknod /d c 1 3; mknod /b b 8 0; mkfifo /p; ls /; echo x >/dev/null; exit 4"]);
    let output = run(&scratch, "kernel", &bundle);
    assert_eq!((output.code, output.stderr.matches("Operation not permitted").count()), (4, 2), "{output}");
    assert!(!bundle.rootfs().join("d").exists() && bundle.rootfs().join("p").exists());
}

#[test]
fn contents_and_attributes() {
    // Standard output is a file here, which that would empty.
    same_scripts(
        "bash",
        &include_str!("kernel/contents_and_attributes.sh")
            .replace("; echo out >/dev/stdout; echo err >/dev/stderr", ""),
    );
}

#[test]
fn the_host_sees_what_the_container_does() {
    let scratch = Scratch::new();
    let script = "echo hi >/tmp/x; chown 1000:1001 /tmp/x; chmod 4755 /tmp/x; mkdir -m 1777 /srv/d; ln -s ../x /srv/l; \
                  ln /tmp/x /srv/h; su -s /bin/sh www-data -c 'echo w >/srv/d/w'; cat /etc/from-host; rm /etc/motd";
    let bundle = debian(&["sh", "-c", script]);
    let root = bundle.rootfs();
    fs::write(root.join("etc/from-host"), "here\n").expect("write a file");
    let output = run(&scratch, "kernel", &bundle);
    assert_eq!((output.stdout.as_str(), output.code), ("here\n", 0), "{output}");
    let look = |path: &str| fs::symlink_metadata(root.join(path)).expect("the container made it");
    let x = look("tmp/x");
    assert_eq!((x.uid(), x.gid(), x.permissions().mode(), x.nlink()), (1000, 1001, 0o104_755, 2));
    assert_eq!(x.ino(), look("srv/h").ino());
    assert_eq!((look("srv/d").mode(), look("srv/d/w").uid()), (0o041_777, 33));
    assert_eq!(fs::read_link(root.join("srv/l")).expect("read a link").to_str(), Some("../x"));
    assert!(!root.join("etc/motd").exists());
}

#[test]
fn what_a_spec_says_holds() {
    same(|bundle| bundle, &["sh", "-c", "pwd; id; env | sort; ls -a /; cat /etc/hostname; exit 9"]);
    let as_user = |bundle: Bundle| {
        let user = json!({"uid": 1000, "gid": 1001, "additionalGids": [5]});
        bundle.set("/process/user", user).set("/process/cwd", json!("/var/tmp")).set("/process/env", json!(["A=b"]))
    };
    let script = "id; pwd; echo $A; echo x >f; stat -c '%u %g %a' f; echo y >/etc/y; cat /etc/shadow; rm /etc/passwd";
    same(as_user, &["/bin/sh", "-c", script]);
    let tmpfs = |bundle: Bundle| {
        bundle.mount(json!({"destination": "/data/in", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m"]}))
    };
    let manner = |bundle: Bundle| {
        let scheduler = json!({"policy": "SCHED_BATCH", "nice": 7, "flags": ["SCHED_RESET_ON_FORK"]});
        let disk = json!({"class": "IOPRIO_CLASS_IDLE", "priority": 7});
        bundle
            .set("/process/scheduler", scheduler)
            .set("/process/ioPriority", disk)
            .set("/process/oomScoreAdj", json!(300))
            .set("/linux/personality", json!({"domain": "LINUX32"}))
    };
    let script = "nice; chrt -p $$; ionice -p $$; cat /proc/self/oom_score_adj; uname -m; nice -n 3 nice";
    assert!(same(manner, &["sh", "-c", script]).stdout.contains("i686"));
    same(tmpfs, &["sh", "-c", "touch /data/in/f; ls /data/in; stat -f -c %T /data/in; df -k /data/in | wc -l"]);
}

#[test]
fn a_read_only_root_is_read_only() {
    let read_only = |bundle: Bundle| bundle.set("/root/readonly", json!(true));
    let script = "echo x >/tmp/x; echo x >>/etc/passwd; mkdir /d; rm /etc/passwd; chmod 0 /etc; touch /dev/shm/ok; \
                  chown 1 /etc; mv /etc /f; ln -s a /l; head -1 /etc/passwd; ls /dev/shm";
    let output = same(read_only, &["sh", "-c", script]);
    assert!(output.stderr.contains("Read-only file system"), "{output}");
}

#[test]
fn a_container_lives_from_create_to_delete() {
    let scratch = Scratch::new();
    let bundle = debian(&["sh", "-c", "echo up >/up; exec sleep 1000"]);
    let id = scratch.id("life");
    let verb = |args: &[&str]| scratch.oci(args).run();
    oci(&scratch, "kernel", &["create", "--bundle"]).arg(bundle.path()).arg(&id).ok();
    assert_eq!(verb(&["state", &id]).json()["status"], "created");
    verb(&["start", &id]);
    assert_eq!(verb(&["state", &id]).json()["status"], "running");
    wait_until("it to be up", PATIENCE, || bundle.rootfs().join("up").exists());
    let listed = verb(&["exec", &id, "sh", "-c", "cat /up; echo in >/in; exit 3"]);
    assert_eq!((listed.out(), listed.code), ("up", 3), "{listed}");
    assert_eq!(fs::read_to_string(bundle.rootfs().join("in")).expect("exec made it"), "in\n");
    verb(&["kill", &id, "KILL"]);
    wait_until("it to stop", PATIENCE, || verb(&["state", &id]).json()["status"] == "stopped");
    assert_eq!(verb(&["delete", &id]).code, 0);
    assert!(verb(&["state", &id]).stderr.contains("does not exist"));
}

#[track_caller]
fn survives_the_death_of(name: &str) {
    let scratch = Scratch::new();
    let bundle = debian(&["sh", "-c", "echo up >/up; sleep 1000 & sleep 1000"]);
    let id = scratch.id("dying");
    oci(&scratch, "kernel", &["create", "--bundle"]).arg(bundle.path()).arg(&id).ok();
    scratch.oci(&["start", &id]).ok();
    wait_until("it to be up", PATIENCE, || bundle.rootfs().join("up").exists());
    let victims = processes(&id, name);
    assert!(!victims.is_empty(), "no {name} runs");
    victims.into_iter().for_each(|pid| kill_process(pid, Signal::KILL).expect("kill it"));
    wait_until("its processes to end", PATIENCE, || processes(&id, "").is_empty());
    assert_eq!(scratch.oci(&["state", &id]).ok().json()["status"], "stopped");
}

#[test]
fn the_file_server_dies() {
    survives_the_death_of("stockade-files");
}

#[test]
fn the_monitor_dies() {
    survives_the_death_of("stockade-monitor");
}

#[test]
fn the_proxy_dies() {
    survives_the_death_of("stockade-proxy");
}
