//! Firecracker's getting-started session, by curl, to a booted guest with two processors; what it sees of its machine.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use stockade_tests::Cmd;

use super::super::guest::{BOOT_ARGS, Vmm, boot_source};
use super::balloon;
use super::tap::Tap;

/// Of a VMM that nobody asks for anything: its start took twice as much.
const OWN_KIB_MAX: u64 = 3 << 10;

pub(super) fn session(dir: &Path) {
    let mut vmm = Vmm::start(&["--id", "getting-started", "--boot-timer"]);
    let curl = |path: &str, body: Value| curl(&vmm, path, &body);
    curl("logger", json!({"log_path": "log", "level": "Debug", "show_level": true, "show_log_origin": true}));
    curl("boot-source", boot_source(dir, "vmlinux", BOOT_ARGS));
    fs::write(vmm.path("rootfs"), vec![b'x'; 1 << 20]).expect("make a disk");
    curl(
        "drives/rootfs",
        json!({"drive_id": "rootfs", "path_on_host": "rootfs", "is_root_device": true, "is_read_only": false}),
    );
    let _tap = Tap::new("tap0", 0);
    let card = json!({"iface_id": "net1", "guest_mac": "06:00:AC:10:00:02", "host_dev_name": "tap0"});
    curl("network-interfaces/net1", card);
    curl("balloon", balloon::config(balloon::OnOom::GivesWay));
    curl("machine-config", json!({"vcpu_count": 2, "mem_size_mib": 256}));
    curl("actions", json!({"action_type": "InstanceStart"}));
    vmm.wait_up();
    assert_eq!(vmm.get("/")["state"], "Running");
    processors(&mut vmm);
    boot_is_timed(&vmm);
    vmm.wait_until("VMM that has little memory of its own", || vmm.own_kib() <= OWN_KIB_MAX);
    vmm.sh("ip addr add 172.16.0.2/30 dev eth0; ip link set eth0 up; ping -c 1 172.16.0.1");
    stands_still(&mut vmm);
    balloon::gives_way(&mut vmm);
    // The guide's way out: the keyboard controller's reset, as reboot=k asks for.
    vmm.send("reboot -f");
    let (status, serial) = vmm.end();
    assert_eq!(status, 0, "{serial}");
}

#[track_caller]
fn curl(vmm: &Vmm, path: &str, body: &Value) {
    let curl = Cmd::new("curl").args(["--silent", "--show-error", "-X", "PUT", "--write-out", "%{http_code}"]);
    let socket = vmm.path("api.sock").display().to_string();
    let output =
        curl.args(["--unix-socket", &socket, "--data", &body.to_string(), &format!("http://localhost/{path}")]);
    assert_eq!(output.ok().stdout, "204", "{path} {body}");
}

/// Both processors run, time is the hypervisor's, and nothing of what the machine lacks was waited for.
fn processors(vmm: &mut Vmm) {
    let seen = vmm.sh(
        "nproc; for cpu in 1 2; do taskset $cpu sh -c 'set -- $(cat /proc/self/stat); shift 38; echo on $1'; done
        cat /sys/devices/system/clocksource/clocksource0/current_clocksource
        cat /sys/devices/system/cpu/cpu1/topology/thread_siblings_list",
    );
    assert_eq!(seen, "2\non 0\non 1\nkvm-clock\n1");
}

/// The log has the time as soon as the guest stored to the timer, not at its end.
fn boot_is_timed(vmm: &Vmm) {
    let log = fs::read_to_string(vmm.path("log")).expect("read the log");
    let lines: Vec<_> = log.lines().filter(|line| line.contains("Guest-boot-time = ")).collect();
    assert_eq!(lines.len(), 1, "{log}");
}

/// A paused guest does nothing, and goes on where it was.
fn stands_still(vmm: &mut Vmm) {
    vmm.patch("/vm", json!({"state": "Paused"}));
    assert_eq!(vmm.get("/")["state"], "Paused");
    let before = vmm.serial();
    vmm.send("echo awake");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(vmm.serial(), before);
    vmm.patch("/vm", json!({"state": "Resumed"}));
    assert_eq!(vmm.receive(), (0, "awake".to_owned()));
}
