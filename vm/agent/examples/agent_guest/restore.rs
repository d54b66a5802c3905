//! A guest that is saved and goes on twice, by the VMM's API: its connections are gone, its agent makes a new one, and
//! what the host says of time and random numbers then holds.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockade_sandbox::protocol::{CONTROL_PORT, Configure, DiskPart, Empty, FdRole, Method};

use super::common::{Host, VSOCK, read};
use super::{TIME_S, layers};

const LIMIT: Duration = Duration::from_secs(60);
/// How much later each of the two is told that it is.
const LATER_S: [u64; 2] = [100_000_000, 200_000_000];
/// Runs until it is told to end, which its connections do not.
const SCRIPT: &str = "until [ -e /end ]; do sleep 0.1; done; exit 4";
const LOOK: &str = "echo $(($(date +%s) / 10000)) $(cat /proc/sys/kernel/random/uuid)";

/// Saves the guest, ends its VMM, and loads it twice; the second one that goes on. The disk stays where it was.
pub(super) fn twice(host: &mut Host, stockade: &Path, parts: &[DiskPart]) -> Host {
    let (id, streams) = host.run_changed(SCRIPT, &[FdRole::Stdout], |message, _| layers(parts)(message));
    // Nobody answers it: whoever asked is gone by then.
    host.ask_end(&id, "");
    let saved = Saved::of(host);
    host.kill();
    drop(streams);
    let [(first, _), (second, mut last)] = LATER_S.map(|later| looked_at(saved.load(stockade), &id, TIME_S + later));
    assert_ne!(first, second, "both have the same random numbers");
    let mut output = last.exec(&id, "end", &["touch", "/end"], &[FdRole::Stdout]).expect("exec");
    assert_eq!(read(&mut output[0]), "");
    assert_eq!(last.wait(&id, ""), 4 << 8);
    last.order(Method::Delete, &id).expect("delete");
    last
}

/// A random number of a guest, whose clock is as it was told.
fn looked_at(mut host: Host, id: &str, time_s: u64) -> (String, Host) {
    let configure = Configure { time_ns: time_s * 1_000_000_000, entropy: vec![7; 64], ..Configure::default() };
    host.call::<Empty>(Method::Configure, &configure).expect("configure again");
    let mut output = host.exec(id, "look", &["sh", "-c", LOOK], &[FdRole::Stdout]).expect("exec");
    let said = read(&mut output[0]);
    let (time, random) = said.trim().split_once(' ').unwrap_or_else(|| panic!("the guest says {said:?}"));
    assert_eq!((time, random.len()), ((time_s / 10000).to_string().as_str(), 36), "{said:?}");
    (random.to_owned(), host)
}

/// Files of a snapshot, in the folder of the machine that was saved.
struct Saved {
    state: PathBuf,
    memory: PathBuf,
}

impl Saved {
    fn of(host: &Host) -> Self {
        let saved = Self { state: host.dir.path().join("state"), memory: host.dir.path().join("memory") };
        request(host.dir.path(), "PATCH", "/vm", &json!({"state": "Paused"}));
        let files = json!({"snapshot_path": saved.state, "mem_file_path": saved.memory});
        request(host.dir.path(), "PUT", "/snapshot/create", &files);
        saved
    }

    fn load(&self, stockade: &Path) -> Host {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        let listener = UnixListener::bind(path(&format!("{VSOCK}_{CONTROL_PORT}"))).expect("listen");
        let mut command = Command::new(stockade);
        command.args(["vmm", "--api-sock"]).arg(path("api.sock")).stdin(Stdio::null()).stdout(std::io::stderr());
        let machine = command.spawn().expect("stockade runs");
        let load = json!({
            "snapshot_path": self.state, "resume_vm": true,
            "mem_backend": {"backend_type": "File", "backend_path": self.memory},
            "vsock_override": {"uds_path": path(VSOCK)},
        });
        request(dir.path(), "PUT", "/snapshot/load", &load);
        let streams = path(VSOCK);
        Host::of(dir, machine, listener, streams)
    }
}

/// A request to the VMM of this folder, once it listens.
fn request(dir: &Path, method: &str, path: &str, body: &Value) {
    let body = body.to_string();
    let mut stream = connected(&dir.join("api.sock"));
    stream.set_read_timeout(Some(LIMIT)).expect("set a limit");
    write!(stream, "{method} {path} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len()).expect("ask");
    let mut answer = [0; 512];
    let len = stream.read(&mut answer).expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..len]);
    assert!(answer.starts_with("HTTP/1.1 204"), "{method} {path}: {answer}");
}

fn connected(socket: &Path) -> UnixStream {
    let deadline = Instant::now() + LIMIT;
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "the VMM does not listen: {error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
