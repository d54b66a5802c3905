//! A handler as others write it, in a thread: it reads faults and copies pages of a file.

use super::*;
use crate::hypervisor::DirtyLog;
use crate::memory::anonymous;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::thread;
use vm_memory::{Bytes, GuestAddress};

const COPY: libc::Ioctl = 0xc028_aa03_u32 as libc::Ioctl;
const EVENT_PAGE_FAULT: u8 = 0x12;

/// Serves this many faults.
fn handle(socket: &UnixStream, file: &File, faults: usize) -> String {
    let mut message = [0; 1024];
    let (len, descriptor) = socket.recv_with_fd(&mut message).expect("a message");
    let descriptor = descriptor.expect("a descriptor");
    let text = String::from_utf8(message[..len].to_vec()).expect("text");
    let regions: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let base = regions[0]["base_host_virt_addr"].as_u64().expect("an address");
    for _ in 0..faults {
        let address = next_fault(&descriptor);
        let mut page = vec![0_u8; 4096];
        file.read_exact_at(&mut page, address - base).expect("a page of the file");
        // `struct uffdio_copy`: where to, where from, length, mode, and room for what was done.
        let mut copy = [address, page.as_ptr() as u64, 4096, 0, 0];
        let done = OwnedFd::from(descriptor.try_clone().expect("clone"));
        ioctl(&done, COPY, copy.as_mut_ptr().cast()).expect("fill a page");
    }
    text
}

/// The page of the next fault: `struct uffd_msg`.
fn next_fault(descriptor: &File) -> u64 {
    let mut fds = [rustix::event::PollFd::new(descriptor, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut fds, None).expect("poll");
    let mut message = [0; 32];
    assert_eq!(rustix::io::read(descriptor, &mut message).expect("a fault"), 32);
    assert_eq!(message[0], EVENT_PAGE_FAULT);
    u64::from_le_bytes(message[16..24].try_into().expect("eight bytes")) & !4095
}

#[test]
fn another_process_fills_the_pages_that_are_touched() {
    let file = tempfile::tempfile().expect("file");
    file.set_len(1 << 20).expect("grow");
    file.write_all_at(b"fifth", 5 * 4096).expect("write");
    file.write_all_at(b"last", (1 << 20) - 4).expect("write");
    let memory = anonymous(1, DirtyLog::Off).expect("memory");
    let (ours, theirs) = UnixStream::pair().expect("sockets");
    let handler = thread::spawn(move || handle(&theirs, &file, 2));
    let faults = hand_over(&memory, &ours).expect("handed over");
    let read = |at, len| {
        let mut bytes = vec![0; len];
        memory.read_slice(&mut bytes, GuestAddress(at)).expect("inside");
        bytes
    };
    assert_eq!((read(5 * 4096, 5), read((1 << 20) - 4, 4)), (b"fifth".to_vec(), b"last".to_vec()));
    let text = handler.join().expect("no panic");
    let regions: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let region = &regions[0];
    assert_eq!(
        (&region["size"], &region["offset"], &region["page_size"]),
        (&(1 << 20).into(), &0.into(), &4096.into())
    );
    drop(faults);
}

/// What Linux notes of a mapping (proc_pid_smaps(5), `VmFlags`).
fn flags_of(address: u64) -> String {
    let smaps = std::fs::read_to_string("/proc/self/smaps").expect("smaps");
    let is_first = |line: &&str| line.starts_with(&format!("{address:08x}-"));
    let mut lines = smaps.lines().skip_while(|line| !is_first(line));
    lines.find_map(|line| line.strip_prefix("VmFlags: ")).expect("its flags").to_owned()
}

#[test]
fn no_huge_page_is_made_for_nothing() {
    // Huge pages are only for memory that is long enough; it is a mapping of its own.
    let memory = anonymous(16, DirtyLog::Off).expect("memory");
    let (ours, _theirs) = UnixStream::pair().expect("sockets");
    let _faults = hand_over(&memory, &ours).expect("handed over");
    let flags = flags_of(mappings(&memory)[0].base_host_virt_addr);
    assert!(flags.split(' ').any(|flag| flag == "nh"), "{flags}");
}
