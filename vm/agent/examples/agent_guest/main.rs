//! The agent in a real guest: boots one with `stockade vmm` and looks at it from inside. For the tests of the lab,
//! where there is a KVM that can run guests.
//!
//! `agent_guest STOCKADE AGENT KERNEL`: the programs, and a directory with `vmlinux` and `modules`.

#[path = "../../tests/common/mod.rs"]
mod common;
mod restore;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{Host, VSOCK, fill_root, read, read_until};
use serde_json::json;
use stockade_sandbox::protocol::{
    CONTROL_PORT, Configure, ContainerRequest, CreateContainer, DiskPart, Empty, Event, FdRole, GuestRoot, GuestUpper,
    Method, OomRequest, Processes, Resize, Shutdown, StatsReply,
};
use stockade_sandbox::{Error, Stats};
use stockade_vm_kernel::cpio::Archive;
use stockade_vm_kernel::{Modules, drivers};

const COMMAND_LINE: &str = "console=ttyS0 quiet reboot=k panic=-1 cryptomgr.notests random.trust_cpu=on";
/// A time that no lab has: 2033-05-18.
const TIME_S: u64 = 2_000_000_000;

fn main() {
    let words: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [stockade, agent, kernel] = words.as_slice() else { panic!("agent_guest STOCKADE AGENT KERNEL") };
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("initramfs"), initramfs(agent, kernel)).expect("an initramfs");
    let parts = disk(dir.path());
    let mut host = boot(stockade, kernel, dir);
    surroundings(&mut host);
    containers(&mut host, &parts);
    terminal(&mut host, &parts);
    limits(&mut host, &parts);
    let mut restored = restore::twice(&mut host, stockade, &parts);
    end(&mut restored, &parts);
}

fn initramfs(agent: &Path, kernel: &Path) -> Vec<u8> {
    let modules = kernel.join("modules");
    let drivers = drivers::initramfs(&Modules::open(&modules).expect("modules")).expect("drivers");
    let mut archive = Archive::new(drivers);
    archive.directory("dev").expect("an archive");
    archive.device("dev/console", 5, 1).expect("an archive");
    archive.device("dev/null", 1, 3).expect("an archive");
    archive.file("init", 0o755, &fs::read(agent).expect("the agent")).expect("an archive");
    archive.finish().expect("an archive")
}

/// Two layers, one after the other.
fn disk(dir: &Path) -> Vec<DiskPart> {
    let top = dir.join("top");
    fs::create_dir_all(top.join("etc")).expect("a directory");
    fs::write(top.join("etc/motd"), "from the top\n").expect("a file");
    let mut disk = File::create(dir.join("disk")).expect("a file");
    let mut offset_bytes = 0;
    let layers = [("base", fill_root(&dir.join("base"))), ("upper", top)];
    layers
        .map(|(name, tree)| {
            let blob = dir.join(format!("{name}.erofs"));
            let made = Command::new("mkfs.erofs").arg(&blob).arg(tree).output().expect("mkfs.erofs runs");
            assert!(made.status.success(), "{made:?}");
            let len_bytes = std::io::copy(&mut File::open(&blob).expect("a layer"), &mut disk).expect("copy");
            let part = DiskPart { offset_bytes, len_bytes };
            offset_bytes += len_bytes;
            part
        })
        .to_vec()
}

fn boot(stockade: &Path, kernel: &Path, dir: tempfile::TempDir) -> Host {
    let path = |name: &str| dir.path().join(name).display().to_string();
    let config = json!({
        "boot-source": {"kernel_image_path": kernel.join("vmlinux"), "initrd_path": path("initramfs"), "boot_args": COMMAND_LINE},
        "drives": [{"drive_id": "layers0", "path_on_host": path("disk"), "is_root_device": false, "is_read_only": true}],
        "machine-config": {"vcpu_count": 1, "mem_size_mib": 256},
        "vsock": {"guest_cid": 3, "uds_path": path(VSOCK)},
        "entropy": {}
    });
    fs::write(path("config"), config.to_string()).expect("a file");
    let listener = UnixListener::bind(path(&format!("{VSOCK}_{CONTROL_PORT}"))).expect("listen");
    let mut command = Command::new(stockade);
    command.args(["vmm", "--api-sock", &path("api.sock"), "--config-file", &path("config")]);
    command.stdin(Stdio::null()).stdout(std::io::stderr());
    let machine = command.spawn().expect("stockade runs");
    let streams = dir.path().join(VSOCK);
    Host::of(dir, machine, listener, streams)
}

fn layers(parts: &[DiskPart]) -> impl Fn(&mut CreateContainer) {
    let upper = Some(GuestUpper { size_bytes: 8 << 20, ..GuestUpper::default() });
    let root = GuestRoot { disk: "layers0".into(), parts: parts.to_vec(), upper, ..GuestRoot::default() };
    move |message| message.root = Some(root.clone())
}

fn surroundings(host: &mut Host) {
    let configure = Configure {
        time_ns: TIME_S * 1_000_000_000,
        entropy: vec![7; 64],
        hostname: "machine".into(),
        ..Configure::default()
    };
    host.call::<Empty>(Method::Configure, &configure).expect("configure");
    assert!(SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs() < TIME_S);
}

fn containers(host: &mut Host, parts: &[DiskPart]) {
    let script = "cat /etc/motd; echo $(($(date +%s) / 10000)); echo mine > /etc/motd; cat /etc/motd; \
        dd if=/dev/zero of=/big bs=1M count=16 2>&1 | grep -c 'No space'; ip addr show lo | grep -c 127.0.0.1; exit 7";
    for _ in 0..2 {
        let (output, status) = host.output(script, |message, _| layers(parts)(message));
        assert_eq!((output.as_str(), status), ("from the top\n200000\nmine\n1\n1\n", 7 << 8));
    }
    let (id, mut streams) =
        host.run_changed("cat; echo end", &[FdRole::Stdin, FdRole::Stdout], |message, _| layers(parts)(message));
    let mut output = streams.pop().expect("its output");
    let mut input = streams.pop().expect("its input");
    let much: Vec<u8> = (0..500_000_u32).map(|n| b'a' + (n % 25).to_le_bytes()[0]).collect();
    let writer = std::thread::spawn({
        let much = much.clone();
        move || {
            input.write_all(&much).expect("write");
            input.shutdown(std::net::Shutdown::Write).expect("half-close");
        }
    });
    let all = read(&mut output);
    writer.join().expect("all is written");
    assert!(all.as_bytes() == [&much[..], b"end\n"].concat(), "{} bytes", all.len());
    assert_eq!(host.wait(&id, ""), 0);
    host.order(Method::Delete, &id).expect("delete");
}

fn terminal(host: &mut Host, parts: &[DiskPart]) {
    let script = "trap 'exit 9' HUP; tty; read line; stty size; while true; do sleep 0.1; done";
    let (id, mut streams) = host.run_changed(script, &[FdRole::Terminal], |message, _| layers(parts)(message));
    let mut terminal = streams.pop().expect("its terminal");
    read_until(&mut terminal, "/dev/pts/0");
    let size = Resize { id: id.clone(), process: String::new(), rows: 33, columns: 77 };
    host.call::<Empty>(Method::Resize, &size).expect("resize");
    terminal.write_all(b"go\n").expect("type");
    read_until(&mut terminal, "33 77");
    let mut streams = host.exec(&id, "one", &["sh", "-c", "hostname; exit 5"], &[FdRole::Stdout]).expect("exec");
    assert_eq!(read(&mut streams[0]), "box\n");
    assert_eq!(host.wait(&id, "one"), 5 << 8);
    drop(terminal);
    assert_eq!(host.wait(&id, ""), 9 << 8);
    host.order(Method::Delete, &id).expect("delete");
}

/// Control groups are v2's here, with all controllers.
fn limits(host: &mut Host, parts: &[DiskPart]) {
    let script = "cat /sys/fs/cgroup/memory.max; read line; dd if=/dev/zero of=/dev/null bs=64M count=1; read line";
    let (id, mut streams) = host.run_changed(script, &[FdRole::Stdin, FdRole::Stdout], |message, spec| {
        layers(parts)(message);
        spec["linux"]["resources"] = json!({"memory": {"limit": 32 << 20}, "pids": {"limit": 50}});
        let mounts = spec["mounts"].as_array_mut().expect("mounts");
        mounts.push(json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}));
        mounts.push(json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"}));
    });
    read_until(&mut streams[1], "33554432\n");
    let container = ContainerRequest { id: id.clone() };
    let reply: StatsReply = host.call(Method::Stats, &container).expect("stats");
    let stats: Stats = serde_json::from_slice(&reply.stats).expect("figures");
    assert_eq!((stats.memory.limit, stats.pids.limit, stats.pids.current), (32 << 20, 50, 1));
    let list: Processes = host.call(Method::Processes, &container).expect("processes");
    assert_eq!(list.entries.len(), 1);
    host.order(Method::Pause, &id).expect("pause");
    host.order(Method::Resume, &id).expect("resume");
    let question = host.ask(Method::WaitOom, &OomRequest { id: id.clone(), seen: 0 });
    streams[0].write_all(b"go\n").expect("write");
    assert_eq!(host.answer::<Event>(question).expect("an event").oom_kills, 1);
    host.order(Method::Delete, &id).expect("delete");
}

fn end(host: &mut Host, parts: &[DiskPart]) {
    let script = "trap 'echo bye; exit 0' TERM; echo ready; while true; do sleep 0.1; done";
    let (_, mut streams) = host.run_changed(script, &[FdRole::Stdout], |message, _| layers(parts)(message));
    read_until(&mut streams[0], "ready");
    streams[0].set_read_timeout(Some(Duration::from_secs(60))).expect("set a limit");
    let question = host.ask(Method::Shutdown, &Shutdown { grace_ms: 20_000 });
    let mut rest = String::new();
    streams[0].read_to_string(&mut rest).expect("read to the end");
    assert_eq!(rest.trim(), "bye");
    match host.answer::<Empty>(question) {
        // The machine may be off before its last words are through.
        Ok(_) | Err(Error::NotRunning) => {}
        Err(error) => panic!("{error}"),
    }
    assert!(host.end().success());
}
