//! Snapshots: a guest that counts is saved, its VMM is killed, and it goes on counting elsewhere, several times at
//! once.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::guest::{BOOT_ARGS, Vmm};

const MEMORY_MIB: u64 = 128;
const DISK: u64 = 1 << 20;
const STREAM_TIMEOUT: Duration = Duration::from_secs(100);

/// Counts for ever; a socket that ends says how; both survive this script.
const BEGIN: &str = "
    echo first >/tmp/memory
    (n=0; while :; do n=$((n + 1)); echo $n >/tmp/count.new; mv /tmp/count.new /tmp/count; usleep 20000; done) &
    (vsock echo 9000 2>/tmp/vsock.error; echo $? >/tmp/vsock.status) &
    echo first | dd of=/dev/vda conv=fsync 2>/dev/null
    while ! test -e /tmp/count; do usleep 10000; done";

/// All that a guest knows of itself, a line each.
const LOOK: &str = "
    read before </tmp/count
    now=$before
    while [ $now = $before ]; do usleep 20000; read now </tmp/count; done
    echo $now
    cat /tmp/memory
    head -n 1 /dev/vda
    cut -d ' ' -f 1 /proc/uptime";

/// The guest's end of the connection says that it is gone; then a new one is waited for. The last line tells how often
/// the guest heard of a new generation.
const RESET: &str = "
    while ! test -s /tmp/vsock.status; do usleep 20000; done
    cat /tmp/vsock.error
    vsock echo 9000 >/dev/null 2>&1 &
    dmesg | grep -c 'crng reseeded due to virtual machine fork'";

/// What a guest knows of itself.
#[derive(Debug)]
struct Look {
    count: u64,
    memory: String,
    disk: String,
    uptime: f64,
    at: Instant,
}

impl Look {
    #[track_caller]
    fn at(vmm: &mut Vmm) -> Self {
        let said = vmm.sh(LOOK);
        let [count, memory, disk, uptime] = said.lines().collect::<Vec<_>>()[..] else {
            panic!("the guest says {said}")
        };
        let (count, uptime) = (count.parse().expect("a number"), uptime.parse().expect("seconds"));
        let [memory, disk] = [memory, disk].map(str::to_owned);
        Self { count, memory, disk, uptime, at: Instant::now() }
    }

    /// That this guest goes on where `before` was, as another one.
    #[track_caller]
    fn follows(&self, before: &Self) {
        assert!(self.count > before.count && self.count < before.count + 100_000, "{before:?} {self:?}");
        assert_eq!((&self.memory, &self.disk), (&before.memory, &before.disk));
        assert!(self.uptime >= before.uptime, "{before:?} {self:?}");
    }

    /// Seconds in the guest and on the host since `before`.
    fn since(&self, before: &Self) -> (f64, f64) {
        (self.uptime - before.uptime, (self.at - before.at).as_secs_f64())
    }
}

/// Files of one snapshot.
struct Saved {
    state: PathBuf,
    memory: PathBuf,
    disk: PathBuf,
    look: Look,
}

impl Saved {
    /// Saves a guest whose disk is in its VMM's folder.
    #[track_caller]
    fn of(vmm: &mut Vmm, dir: &Path, name: &str, kind: &str) -> Self {
        let path = |part: &str| dir.join(format!("{name}.{part}"));
        let look = Look::at(vmm);
        let saved = Self { state: path("state"), memory: path("memory"), disk: path("disk"), look };
        vmm.patch("/vm", json!({"state": "Paused"}));
        vmm.put("/snapshot/create", files(kind, &saved.state, &saved.memory));
        fs::copy(vmm.path("disk"), &saved.disk).expect("copy the disk");
        saved
    }

    fn load(&self, backend: &str, path: &Path, more: &Value) -> Value {
        let mut body = json!({
            "snapshot_path": self.state, "resume_vm": true,
            "mem_backend": {"backend_type": backend, "backend_path": path},
        });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    }

    /// A VMM with the disk that belongs to it, and no guest yet.
    fn vmm(&self) -> Vmm {
        let vmm = Vmm::start(&[]);
        fs::copy(&self.disk, vmm.path("disk")).expect("copy the disk");
        vmm
    }

    #[track_caller]
    fn restored(&self, backend: &str, path: &Path, more: &Value) -> Vmm {
        let vmm = self.vmm();
        vmm.put("/snapshot/load", self.load(backend, path, more));
        vmm
    }
}

fn files(kind: &str, state: &Path, memory: &Path) -> Value {
    json!({"snapshot_type": kind, "snapshot_path": state, "mem_file_path": memory})
}

pub(super) fn snapshots(dir: &Path) {
    let folder = TempDir::new().expect("a directory");
    let mut first = booted(dir);
    first.sh(BEGIN);
    let socket = first.path("vsock.sock");
    first.wait_until("listener in the guest", || listens(&socket));
    let connection = connected(&socket);
    let full = Saved::of(&mut first, folder.path(), "full", "Full");
    refusals(&first, folder.path());
    first.patch("/vm", json!({"state": "Resumed"}));
    let diff = changed(&mut first, &full, folder.path());
    drop(first);
    drop(connection);
    assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 6, "nothing half-written is left");

    let handler = Handler::start(dir, folder.path(), &full.memory);
    let mut faulting = full.restored("Uffd", &handler.socket, &json!({}));
    let mut forward = refused_and_then_restored(&full);
    let mut merged = diff.restored("File", &diff.memory, &json!({}));
    let stood_still = goes_on(&mut faulting, "vsock.sock", &full);
    let moved_on = goes_on(&mut forward, "other.sock", &full);
    let changed = goes_on(&mut merged, "vsock.sock", &diff);

    // The time between does not exist for a guest whose clock was not put forward.
    let (guest, host) = stood_still.since(&full.look);
    assert!(guest < host - 1.0, "{guest} s in the guest, {host} s on the host");
    let (guest, host) = moved_on.since(&full.look);
    assert!((guest - host).abs() < 5.0, "{guest} s in the guest, {host} s on the host");
    assert_eq!((changed.memory.as_str(), changed.disk.as_str()), ("second", "second"));
    drop((forward, merged));
    handler.end(faulting);
}

fn booted(dir: &Path) -> Vmm {
    let mut vmm = Vmm::start(&[]);
    fs::File::create(vmm.path("disk")).and_then(|disk| disk.set_len(DISK)).expect("make a disk");
    vmm.set_boot_source(dir, BOOT_ARGS);
    vmm.put("/machine-config", json!({"vcpu_count": 2, "mem_size_mib": MEMORY_MIB, "track_dirty_pages": true}));
    let disk = json!({"drive_id": "data", "path_on_host": "disk", "is_root_device": false, "is_read_only": false});
    vmm.put("/drives/data", disk);
    vmm.put("/vsock", json!({"guest_cid": 3, "uds_path": "vsock.sock"}));
    vmm.put("/entropy", json!({}));
    vmm.boot();
    vmm
}

/// What cannot be saved, with words; nothing of it stays.
fn refusals(vmm: &Vmm, folder: &Path) {
    let refused = |body: &Value, words: &str| {
        let (status, answer) = vmm.request("PUT", "/snapshot/create", body);
        let said = answer["fault_message"].as_str().unwrap_or_default();
        assert!(status == 400 && said.contains(words), "{status} {answer}");
    };
    let [state, memory] = ["refused.state", "refused.memory"].map(|name| folder.join(name));
    refused(&files("Full", &memory, &folder.join("./refused.memory")), "cannot be the same file");
    // As long as this guest's memory, and another's.
    fs::write(&memory, []).expect("make a file");
    let file = fs::File::options().write(true).open(&memory).expect("open a file");
    file.set_len(MEMORY_MIB << 20).expect("make it as long");
    std::os::unix::fs::FileExt::write_all_at(&file, &[7; 4096], 0xf_f000).expect("write another's page");
    refused(&files("Diff", &state, &memory), "is not the memory of this machine's last snapshot");
    fs::remove_file(memory).expect("remove a file");
}

/// A diff onto a copy of the full snapshot's memory, of a guest that went on.
fn changed(vmm: &mut Vmm, full: &Saved, folder: &Path) -> Saved {
    vmm.sh("echo second >/tmp/memory; echo second | dd of=/dev/vda conv=fsync 2>/dev/null");
    fs::copy(&full.memory, folder.join("diff.memory")).expect("copy the memory");
    Saved::of(vmm, folder, "diff", "Diff")
}

/// A connection to the guest's echo, which has answered.
#[track_caller]
fn connected(socket: &Path) -> UnixStream {
    let mut stream = UnixStream::connect(socket).expect("connect to the guest's sockets");
    stream.set_read_timeout(Some(STREAM_TIMEOUT)).expect("set a timeout");
    stream.write_all(b"CONNECT 9000\n").expect("write");
    let mut said = Vec::new();
    while !said.ends_with(b"\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        said.extend(byte);
    }
    assert!(said.starts_with(b"OK "), "{said:?}");
    stream.write_all(b"ping").expect("write");
    let mut echo = [0; 4];
    stream.read_exact(&mut echo).expect("an echo");
    assert_eq!(&echo, b"ping");
    stream
}

/// A damaged state is refused by its reason, and the VMM takes the sound one after it, with another socket and a clock
/// that is put forward.
fn refused_and_then_restored(full: &Saved) -> Vmm {
    let vmm = full.vmm();
    let damaged = vmm.path("damaged");
    let mut bytes = fs::read(&full.state).expect("read the state");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&damaged, bytes).expect("write a damaged state");
    let other = json!({"vsock_override": {"uds_path": "other.sock"}, "clock_realtime": true});
    let mut body = full.load("File", &full.memory, &other);
    body["snapshot_path"] = json!(damaged);
    let (status, answer) = vmm.request("PUT", "/snapshot/load", &body);
    let words = answer["fault_message"].as_str().unwrap_or_default();
    assert!(status == 400 && words.contains("the snapshot is damaged: its checksum is wrong"), "{status} {answer}");
    vmm.put("/snapshot/load", full.load("File", &full.memory, &other));
    vmm
}

/// What a restored guest shows: itself, gone connections, and new ones.
#[track_caller]
fn goes_on(vmm: &mut Vmm, socket: &str, saved: &Saved) -> Look {
    let look = Look::at(vmm);
    look.follows(&saved.look);
    assert_eq!(vmm.sh(RESET), "read: Connection reset by peer\n1");
    let path = vmm.path(socket);
    // The guest listens a moment after its script has ended.
    vmm.wait_until("listener in the guest", || listens(&path));
    drop(connected(&path));
    look
}

/// Whether a connection to the guest's echo is answered.
fn listens(socket: &Path) -> bool {
    let attempt = || {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(STREAM_TIMEOUT))?;
        stream.write_all(b"CONNECT 9000\n")?;
        let mut word = [0; 3];
        stream.read_exact(&mut word)?;
        Ok::<_, std::io::Error>(word == *b"OK ")
    };
    attempt().unwrap_or(false)
}

/// A process that answers page faults.
struct Handler {
    socket: PathBuf,
    child: Child,
}

impl Handler {
    fn start(programs: &Path, folder: &Path, memory: &Path) -> Self {
        let socket = folder.join("faults.sock");
        let mut command = Command::new(programs.join("uffd"));
        let child = command.arg(&socket).arg(memory).arg("1").spawn().expect("start the page fault handler");
        let deadline = Instant::now() + STREAM_TIMEOUT;
        while !socket.exists() {
            assert!(Instant::now() < deadline, "the page fault handler does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { socket, child }
    }

    /// It ends well, after its guest.
    #[track_caller]
    fn end(mut self, guest: Vmm) {
        drop(guest);
        let deadline = Instant::now() + STREAM_TIMEOUT;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait for the page fault handler") {
                break status;
            }
            assert!(Instant::now() < deadline, "the page fault handler does not end");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "{status}");
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
