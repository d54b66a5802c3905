//! `stockade vmm` with a Linux guest whose shell is reached over the serial line: what parts of the tests that run in
//! the lab share.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockade_tests::{LAB, Lab, bin, fixture};
use stockade_vm_kernel::cpio::Archive;
use stockade_vm_kernel::{Modules, drivers};
use tempfile::TempDir;

use super::standstill;

/// A guest is emulated twice, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(150);
const PAUSE: Duration = Duration::from_millis(20);

/// What Firecracker's getting-started guide boots with; `quiet` spares one exit per letter.
pub(crate) const BOOT_ARGS: &str = "console=ttyS0 reboot=k panic=1 quiet";

/// As much of the log as an account of a failure has.
const LOG_LINES: usize = 20;

/// A terminal takes no longer lines.
const SCRIPT_MAX: usize = 3000;

/// Runs a part in the lab, on a folder with the guest's initramfs that is made here, where it costs little.
pub(crate) fn run_part(lab: &mut Lab, part: &str) {
    let dir = TempDir::new().expect("a directory");
    LAB.build(&["uffd", "vsock"], dir.path());
    fs::write(dir.path().join("initramfs"), initramfs(dir.path())).expect("write the initramfs");
    let output = lab.run_part("what_needs_the_lab", part, dir.path());
    assert_eq!(output.code, 0, "{output}");
}

/// busybox, the devices' modules, the test's own programs in `programs`, and a first process that obeys the host.
fn initramfs(programs: &Path) -> Vec<u8> {
    let modules = fixture("lab/kernel/modules");
    let modules = Modules::open(&modules).expect("the kernel's modules");
    let mut archive = Archive::new(Vec::new());
    let build = |archive: &mut Archive<Vec<u8>>| {
        ["bin", "dev", "proc", "sys", "tmp", "mnt", "modules"].iter().try_for_each(|dir| archive.directory(dir))?;
        archive.device("dev/console", 5, 1)?;
        archive.file("init", 0o755, INIT.as_bytes())?;
        archive.file("bin/busybox", 0o755, &fs::read("/bin/busybox")?)?;
        archive.file("bin/vsock", 0o755, &fs::read(programs.join("vsock"))?)?;
        drivers::add(archive, &modules, drivers::NAMES)
    };
    build(&mut archive).expect("build the guest's archive");
    archive.finish().expect("end the guest's archive")
}

/// Each line from the host is a number and a script in base64; the answer is its output, the number and its status. One
/// that does not end is killed before the host's patience is, and the guest tells where its processes stand.
const INIT: &str = r#"#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs devtmpfs /dev
while read -r module; do
    busybox insmod "/modules/$module"
done </modules/order
busybox devmem 0xc0000000 8 123
busybox stty -F /dev/ttyS0 -echo -onlcr
exec </dev/ttyS0 >/dev/ttyS0 2>&1
standstill() {
    busybox cat /proc/uptime /proc/interrupts
    for process in /proc/[0-9]*; do
        [ ! -s $process/cmdline ] || { echo $(busybox cat $process/comm $process/wchan); busybox cat $process/stack; }
    done
    busybox dmesg | busybox tail -n 20
}
echo "the guest is up"
while read -r number script; do
    echo "$script" | busybox base64 -d >/tmp/script
    busybox timeout -s KILL 100 busybox sh /tmp/script </dev/null >/tmp/output 2>&1
    status=$?
    busybox cat /tmp/output
    [ $status != 137 ] || standstill
    echo "=== $number $status ==="
done
"#;

/// A running VMM; it is killed with this.
pub(crate) struct Vmm {
    dir: TempDir,
    child: Child,
    input: ChildStdin,
    /// How much of the serial line's output was read.
    seen: usize,
    commands: u32,
    /// It was waited for in vain: nobody does so again.
    lost: Cell<bool>,
}

impl Vmm {
    /// A VMM with an API socket and these flags.
    pub(crate) fn start(flags: &[&str]) -> Self {
        let vmm = Self::spawn(
            TempDir::new().expect("a directory"),
            &[&["--api-sock", "api.sock", "--log-path", "log"], flags].concat(),
        );
        let socket = vmm.path("api.sock");
        vmm.wait_until("the API socket", || socket.exists());
        vmm
    }

    /// A VMM in a directory that has what its flags name.
    pub(crate) fn spawn(dir: TempDir, flags: &[&str]) -> Self {
        let file = |name: &str| File::create(dir.path().join(name)).expect("make a file");
        let mut command = Command::new(bin("stockade"));
        command.arg("vmm").args(flags).current_dir(dir.path());
        command.stdin(Stdio::piped()).stdout(file("serial")).stderr(file("stderr"));
        drop(file("log"));
        let mut child = command.spawn().expect("start the VMM");
        let input = child.stdin.take().expect("a pipe");
        Self { dir, child, input, seen: 0, commands: 0, lost: Cell::default() }
    }

    /// A file beside its socket.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in KiB without the guest's, which is the largest mapping.
    pub(crate) fn own_kib(&self) -> u64 {
        let smaps = fs::read_to_string(format!("/proc/{}/smaps", self.pid())).expect("read smaps");
        let values = |key: &str| {
            let lines = smaps.lines().filter_map(|line| line.strip_prefix(key)?.trim().strip_suffix(" kB"));
            lines.map(|kib| kib.parse::<u64>().expect("a number")).collect::<Vec<_>>()
        };
        let mappings: Vec<_> = values("Size:").into_iter().zip(values("Rss:")).collect();
        let guest = mappings.iter().max().map_or(0, |(_, resident)| *resident);
        mappings.iter().map(|(_, resident)| resident).sum::<u64>() - guest
    }

    /// One request, and the answer's status and body.
    pub(crate) fn request(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = UnixStream::connect(self.path("api.sock")).expect("connect to the API");
        stream.set_read_timeout(Some(PATIENCE)).expect("set a timeout");
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).expect("send a request");
        answer(BufReader::new(stream))
    }

    /// Reads.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = self.request("GET", path, &Value::Null);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Sets.
    #[track_caller]
    pub(crate) fn put(&self, path: &str, body: Value) {
        assert_eq!(self.request("PUT", path, &body), (204, Value::Null), "{path} {body}");
    }

    /// Changes.
    #[track_caller]
    pub(crate) fn patch(&self, path: &str, body: Value) {
        assert_eq!(self.request("PATCH", path, &body), (204, Value::Null), "{path} {body}");
    }

    /// Debian's kernel with the initramfs of `dir`.
    pub(crate) fn set_boot_source(&self, dir: &Path, boot_args: &str) {
        self.put("/boot-source", boot_source(dir, "vmlinux", boot_args));
    }

    /// Starts the guest and waits until it obeys.
    #[track_caller]
    pub(crate) fn boot(&mut self) {
        self.put("/actions", json!({"action_type": "InstanceStart"}));
        self.wait_up();
    }

    /// Waits until the guest obeys.
    #[track_caller]
    pub(crate) fn wait_up(&mut self) {
        self.read_to("the guest is up\n");
    }

    /// Runs a script in the guest; what it says, without white space around it.
    #[track_caller]
    pub(crate) fn sh(&mut self, script: &str) -> String {
        let (status, output) = self.run(script);
        assert_eq!(status, 0, "{script}\n{output}\n{}", self.account());
        output
    }

    /// The same with its status.
    #[track_caller]
    pub(crate) fn run(&mut self, script: &str) -> (u32, String) {
        self.send(script);
        self.receive()
    }

    /// Sends a script, without waiting for its end.
    pub(crate) fn send(&mut self, script: &str) {
        assert!(script.len() <= SCRIPT_MAX, "the script is too long for a terminal");
        self.commands += 1;
        let line = format!("{} {}\n", self.commands, base64(script.as_bytes()));
        self.input.write_all(line.as_bytes()).expect("write to the serial line");
    }

    /// The status and output of the script that was sent last.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> (u32, String) {
        let output = self.read_to(&format!("=== {} ", self.commands));
        let status = self.read_to(" ===\n");
        (status.parse().unwrap_or_else(|_| panic!("a status: {status}")), output.trim().to_owned())
    }

    /// Waits for the process; its exit status and all that the guest said.
    #[track_caller]
    pub(crate) fn end(mut self) -> (i32, String) {
        let deadline = self.deadline();
        loop {
            if let Some(status) = self.child.try_wait().expect("ask for the VMM's status") {
                return (status.code().unwrap_or(-1), self.serial());
            }
            self.wait_more(deadline, "the VMM does not end");
        }
    }

    /// Waits for a state that somebody else brings about.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn() -> bool) {
        self.wait_for(what, || is_so().then_some(()));
    }

    /// Waits for something that is not there at once.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, find: impl Fn() -> Option<T>) -> T {
        let deadline = self.deadline();
        loop {
            if let Some(found) = find() {
                return found;
            }
            self.wait_more(deadline, &format!("no {what}"));
        }
    }

    /// All that the guest said.
    pub(crate) fn serial(&self) -> String {
        self.content("serial")
    }

    /// What it says next, up to `mark`.
    #[track_caller]
    fn read_to(&mut self, mark: &str) -> String {
        let deadline = self.deadline();
        loop {
            let ended = self.child.try_wait().expect("ask for the VMM's status");
            let said = self.serial();
            if let Some(at) = said[self.seen..].find(mark) {
                let text = said[self.seen..self.seen + at].to_owned();
                self.seen += at + mark.len();
                return text;
            }
            assert!(ended.is_none(), "the VMM ended: {ended:?}\n{}", self.account());
            self.wait_more(deadline, &format!("the guest never said {mark:?}"));
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + if self.lost.get() { Duration::ZERO } else { PATIENCE }
    }

    /// Waits a moment; after the deadline it tells where the guest stands.
    #[track_caller]
    fn wait_more(&self, deadline: Instant, what: &str) {
        if Instant::now() < deadline {
            return std::thread::sleep(PAUSE);
        }
        assert!(!self.lost.replace(true), "{what}, as before");
        panic!("{what}\n{}{}", standstill::account(self.pid()), self.account());
    }

    fn content(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    fn account(&self) -> String {
        let [serial, stderr, log] = ["serial", "stderr", "log"].map(|name| self.content(name));
        let lines: Vec<&str> = log.lines().collect();
        let log = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        format!("--- serial line\n{serial}\n--- standard error\n{stderr}\n--- end of the log\n{log}")
    }
}

impl Drop for Vmm {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of `PUT /boot-source`: Debian's kernel in one of its forms, with the initramfs of `dir`.
pub(crate) fn boot_source(dir: &Path, kernel: &str, boot_args: &str) -> Value {
    let kernel = fixture(&format!("lab/kernel/{kernel}"));
    json!({"kernel_image_path": kernel, "initrd_path": dir.join("initramfs"), "boot_args": boot_args})
}

fn answer(mut stream: impl BufRead) -> (u16, Value) {
    let mut line = || {
        let mut line = String::new();
        stream.read_line(&mut line).expect("read an answer");
        line.trim_end().to_owned()
    };
    let status = line();
    let headers: Vec<String> = std::iter::from_fn(|| Some(line()).filter(|line| !line.is_empty())).collect();
    let length = |header: &String| header.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<u64>().ok();
    let len = headers.iter().filter_map(length).sum();
    let mut body = String::new();
    stream.take(len).read_to_string(&mut body).expect("read a body");
    let status = status.split(' ').nth(1).and_then(|word| word.parse().ok());
    let body = if body.is_empty() { Value::Null } else { serde_json::from_str(&body).expect("JSON") };
    (status.expect("a status"), body)
}

/// RFC 4648, 4.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |index: u32| char::from(LETTERS[usize::try_from(index & 63).expect("small")]);
    let mut text = String::new();
    for piece in bytes.chunks(3) {
        let byte = |at: usize| u32::from(piece.get(at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        let letters = [18, 12, 6, 0].map(|shift| letter(word >> shift));
        text.extend(&letters[..=piece.len()]);
        text.extend(std::iter::repeat_n('=', 3 - piece.len()));
    }
    text
}
