//! Page faults of guest memory, answered by another process (userfaultfd(2)), by Firecracker's protocol.
//!
//! The process listens on a unix socket. It gets one message: the descriptor that faults are read from, and JSON that
//! says where each region of memory lies in this process and in the memory file. From then on it fills each page that
//! is touched, and it hears of pages that a balloon gives back. If it goes away, whoever touches a missing page waits
//! for ever: an empty page in its place would be a lie.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use serde::Serialize;
use vm_memory::{GuestMemoryBackend, GuestMemoryRegion};
use vmm_sys_util::sock_ctrl_msg::ScmSocket;

use super::Memory;

const PAGE: u64 = 4096;
/// linux/userfaultfd.h: `UFFD_API`, `UFFDIO_API`, `UFFDIO_REGISTER`, `UFFDIO_REGISTER_MODE_MISSING`,
/// `UFFD_FEATURE_EVENT_REMOVE`, and `USERFAULTFD_IOC_NEW` of its device.
const VERSION: u64 = 0xaa;
const API: libc::Ioctl = 0xc018_aa3f_u32 as libc::Ioctl;
const REGISTER: libc::Ioctl = 0xc020_aa00_u32 as libc::Ioctl;
const MODE_MISSING: u64 = 1;
const FEATURE_EVENT_REMOVE: u64 = 1 << 3;
const DEVICE_NEW: libc::Ioctl = 0xaa00;

/// Why page faults cannot be handed over.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refuses.
    #[error("cannot {what}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// Its answer.
        source: io::Error,
    },
    /// The handler cannot be told.
    #[error("cannot tell the page fault handler")]
    Send(#[source] io::Error),
}

/// One region, as a handler is told of it.
#[derive(Serialize)]
struct Mapping {
    /// Where it lies in this process.
    base_host_virt_addr: u64,
    size: u64,
    /// Where it lies in the memory file.
    offset: u64,
    page_size: u64,
    /// Firecracker's older name of the same, in bytes all the same.
    page_size_kib: u64,
}

/// `struct uffdio_api`.
#[repr(C)]
struct ApiRequest {
    api: u64,
    features: u64,
    ioctls: u64,
}

/// `struct uffdio_register`.
#[repr(C)]
struct RegisterRequest {
    start: u64,
    len: u64,
    mode: u64,
    ioctls: u64,
}

/// Leaves all faults of `memory`, of which no page was touched, to the process behind `socket`. The descriptor is to
/// stay open as long as the memory is used.
pub fn hand_over(memory: &Memory, socket: &UnixStream) -> Result<OwnedFd, Error> {
    let faults = open().map_err(refused("open a descriptor for page faults"))?;
    let mut api = ApiRequest { api: VERSION, features: FEATURE_EVENT_REMOVE, ioctls: 0 };
    ioctl(&faults, API, (&raw mut api).cast()).map_err(refused("agree with the kernel on page faults"))?;
    let mappings = mappings(memory);
    for mapping in &mappings {
        let (start, len) = (mapping.base_host_virt_addr, mapping.size);
        no_huge_pages(start, len).map_err(refused("go without huge pages"))?;
        let mut request = RegisterRequest { start, len, mode: MODE_MISSING, ioctls: 0 };
        ioctl(&faults, REGISTER, (&raw mut request).cast()).map_err(refused("watch memory for page faults"))?;
    }
    let text = serde_json::to_string(&mappings).map_err(|error| Error::Send(error.into()))?;
    let sent = socket.send_with_fd(text.as_bytes(), faults.as_raw_fd());
    match sent.map_err(|errno| Error::Send(errno.into()))? {
        len if len == text.len() => Ok(faults),
        _ => Err(Error::Send(io::ErrorKind::WriteZero.into())),
    }
}

fn mappings(memory: &Memory) -> Vec<Mapping> {
    let mut offset = 0;
    let mapping = |region: &super::Region| {
        let (base_host_virt_addr, size) = (region.as_ptr() as u64, region.len());
        offset += size;
        Mapping { base_host_virt_addr, size, offset: offset - size, page_size: PAGE, page_size_kib: PAGE }
    };
    memory.iter().map(mapping).collect()
}

/// Before Linux asks the handler for a page of 2 MiB that has none yet, it makes a huge page, fills it with zeroes and
/// throws it away (mm/huge_memory.c, `__do_huge_pmd_anonymous_page`).
fn no_huge_pages(start: u64, len: u64) -> io::Result<()> {
    let [start, len] = [start, len].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    let start = std::ptr::without_provenance_mut(start);
    // SAFETY: the range is guest memory, whose contents the advice leaves alone. `madvise` has no safe form.
    let result = unsafe { libc::madvise(start, len, libc::MADV_NOHUGEPAGE) };
    match io::Error::last_os_error() {
        // A kernel that has no huge pages.
        error if result != 0 && error.raw_os_error() != Some(libc::EINVAL) => Err(error),
        _ => Ok(()),
    }
}

/// By the system call, or by the device where that is for privileged processes alone: KVM's own faults have to be seen.
fn open() -> io::Result<OwnedFd> {
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: the call takes flags and gives a new descriptor or an error. No safe wrapper is at hand.
    let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, flags) };
    match RawFd::try_from(fd) {
        // SAFETY: just made, and nobody else's.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => by_device(flags, io::Error::last_os_error()),
    }
}

fn by_device(flags: libc::c_int, refusal: io::Error) -> io::Result<OwnedFd> {
    let Ok(device) = std::fs::File::open("/dev/userfaultfd") else { return Err(refusal) };
    // SAFETY: the request takes flags and gives a new descriptor or an error.
    let fd = unsafe { libc::ioctl(device.as_raw_fd(), DEVICE_NEW, flags) };
    // SAFETY: just made, and nobody else's.
    if fd >= 0 { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) } else { Err(io::Error::last_os_error()) }
}

fn ioctl(fd: &OwnedFd, request: libc::Ioctl, argument: *mut libc::c_void) -> io::Result<()> {
    // SAFETY: both requests take a pointer to a structure of theirs, which the callers have; the kernel changes the
    // structure alone. What is registered is memory of a guest, which Rust code accesses by volatile copies only.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), request, argument) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn refused(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Refused { what, source }
}

#[cfg(test)]
#[path = "faults_tests.rs"]
mod tests;
