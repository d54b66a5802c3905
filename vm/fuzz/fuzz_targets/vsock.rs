//! The socket device against a hostile driver, with a process of the host that wants in.
#![no_main]

use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};

use libfuzzer_sys::fuzz_target;
use stockade_vmm::devices::virtio::vsock::Vsock;

fuzz_target!(|bytes: &[u8]| {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("v");
    let mut vsock = Vsock::new(3, &path).expect("listen");
    let _listener = UnixListener::bind(directory.path().join("v_1")).expect("listen");
    let mut process = UnixStream::connect(&path).expect("connect");
    process.write_all(b"CONNECT 1\nhello").expect("write");
    stockade_vm_fuzz::drive(&mut vsock, bytes);
});
