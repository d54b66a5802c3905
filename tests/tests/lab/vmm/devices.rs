//! One guest that looks at every device, while its host changes them.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::guest::Vmm;
use super::loop_device::LoopDevice;
use super::tap::Tap;
use super::{balloon, disks, network};

/// A stream that stands still so long does not go on.
const STREAM_TIMEOUT: Duration = Duration::from_secs(100);

type Look = (&'static str, fn(&mut Vmm));

const LOOKS: &[Look] = &[
    ("threads of a core", threads),
    ("disks", disks::look),
    ("network", network::look),
    ("metadata", network::metadata),
    ("sockets", sockets),
    ("entropy", entropy),
    ("balloon", balloon::look),
    ("free memory given back", balloon::reporting),
    ("balloon that does not give way", balloon::stays),
];

pub(super) fn looks(dir: &Path) {
    let _tap = Tap::new("tap1", 1);
    let mut vmm = Vmm::start(&[]);
    let _block_device = configure(&vmm, dir);
    vmm.boot();
    let look = |(name, look): &&Look| {
        eprintln!("a guest looks at its {name}");
        catch_unwind(AssertUnwindSafe(|| look(&mut vmm))).is_err()
    };
    let failed: Vec<_> = LOOKS.iter().filter(look).map(|(name, _)| *name).collect();
    assert!(failed.is_empty(), "a guest does not find its {}", failed.join(", "));
    // The guest hears of the keys that its host presses.
    vmm.sh("echo 1 >/proc/sys/kernel/ctrl-alt-del");
    vmm.put("/actions", json!({"action_type": "SendCtrlAltDel"}));
    // Told no way to restart, Linux ends at the reset vector.
    let (code, said) = vmm.end();
    assert!(code == 0 && said.contains("reboot: Restarting system"), "{code}\n{said}");
}

fn configure(vmm: &Vmm, dir: &Path) -> LoopDevice {
    vmm.put("/machine-config", json!({"vcpu_count": 2, "mem_size_mib": 256, "smt": true}));
    vmm.set_boot_source(dir, "console=ttyS0 panic=1 quiet");
    let block_device = disks::configure(vmm);
    network::configure(vmm);
    vmm.put("/vsock", json!({"guest_cid": 5, "uds_path": "vsock"}));
    vmm.put("/entropy", json!({"rate_limiter": {"bandwidth": {"size": 100_000, "refill_time": 100}}}));
    vmm.put("/balloon", balloon::config(balloon::OnOom::Stays));
    block_device
}

fn threads(vmm: &mut Vmm) {
    assert_eq!(vmm.sh("cat /sys/devices/system/cpu/cpu1/topology/thread_siblings_list"), "0-1");
}

/// Both directions, with more than any buffer holds, and ends that nobody listens at.
fn sockets(vmm: &mut Vmm) {
    vmm.sh("vsock echo 5000 >/dev/null 2>&1 &");
    let mut stream = connect(vmm, 5000);
    let sent: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let writer = {
        let (mut stream, sent) = (stream.try_clone().expect("another end"), sent.clone());
        thread::spawn(move || {
            stream.write_all(&sent).expect("send");
            stream.shutdown(Shutdown::Write).expect("half-close");
        })
    };
    let mut received = Vec::new();
    stream.read_to_end(&mut received).expect("receive");
    writer.join().expect("no panic");
    assert!(received == sent, "{} bytes came back", received.len());

    let listener = UnixListener::bind(vmm.path("vsock_6000")).expect("listen");
    let echo = thread::spawn(move || {
        let (mut peer, _) = listener.accept().expect("the guest's connection");
        let mut said = Vec::new();
        peer.read_to_end(&mut said).expect("receive");
        peer.write_all(&said).expect("send back");
    });
    assert_eq!(vmm.sh("echo from the guest | vsock connect 6000"), "from the guest");
    echo.join().expect("no panic");
    let (status, said) = vmm.run("vsock connect 6001");
    assert_eq!((status, said.as_str()), (1, "connect: Connection reset by peer"));
}

/// A connection to a port of the guest, once somebody listens there.
fn connect(vmm: &Vmm, port: u32) -> UnixStream {
    let attempt = || {
        let mut stream = UnixStream::connect(vmm.path("vsock")).ok()?;
        stream
            .set_read_timeout(Some(STREAM_TIMEOUT))
            .and_then(|()| stream.set_write_timeout(Some(STREAM_TIMEOUT)))
            .ok()?;
        stream.write_all(format!("CONNECT {port}\n").as_bytes()).ok()?;
        let mut byte = [0];
        let mut line = Vec::new();
        while byte != *b"\n" {
            stream.read_exact(&mut byte).ok()?;
            line.push(byte[0]);
        }
        line.starts_with(b"OK ").then_some(stream)
    };
    vmm.wait_for("listener in the guest", attempt)
}

fn entropy(vmm: &mut Vmm) {
    let seen = vmm.sh("cat /sys/class/misc/hw_random/rng_current; dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc -c");
    assert_eq!(seen, "virtio_rng.0\n64");
}

/// The part of a configuration with this name.
pub(super) fn configured(vmm: &Vmm, list: &str, key: &str, name: &str) -> Value {
    let config = vmm.get("/vm/config");
    let found = config[list].as_array().expect("a list").iter().find(|item| item[key] == name);
    found.expect("an item of this name").clone()
}
