//! The host's tap device.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

use bitflags::bitflags;

use super::HEADER;

/// `TUNSETIFF`, `TUNSETOFFLOAD`, `TUNSETVNETHDRSZ` (linux/if_tun.h).
const SET_INTERFACE: libc::Ioctl = 0x4004_54ca;
const SET_OFFLOAD: libc::Ioctl = 0x4004_54d0;
const SET_HEADER_LEN: libc::Ioctl = 0x4004_54d8;
const NAME_MAX: usize = 15;

bitflags! {
    /// What a frame may leave to its reader (`TUN_F_…`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Offloads: libc::c_uint {
        /// Checksums.
        const CHECKSUM = 1;
        /// Segments of TCP over IPv4.
        const TSO4 = 2;
        /// Segments of TCP over IPv6.
        const TSO6 = 4;
    }
}

/// Why a tap cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The kernel has none, or its device may not be opened.
    #[error("cannot open /dev/net/tun: {0}")]
    Device(#[source] io::Error),
    /// No interface can have this name.
    #[error("{0} is no interface name: it has up to {NAME_MAX} bytes")]
    Name(String),
    /// The interface exists as something else, or is in use, or may not be made.
    #[error("cannot use the tap {name}: {source}")]
    Interface {
        /// Which.
        name: String,
        /// Why.
        source: io::Error,
    },
}

/// An open tap with frames that carry a virtio header. What is no tap, such as one end of a socket pair, serves tests.
#[derive(Debug)]
pub struct Tap {
    file: File,
}

impl Tap {
    /// Opens the interface with this name, which comes into being if there is none.
    pub fn open(name: &str) -> Result<Self, OpenError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun");
        let tap = Tap { file: file.map_err(OpenError::Device)? };
        let request = request(name).ok_or_else(|| OpenError::Name(name.into()))?;
        let len = libc::c_int::try_from(HEADER).unwrap_or(0);
        let made = tap
            .ioctl(SET_INTERFACE, Argument::Pointer((&raw const request).cast()))
            .and_then(|()| tap.ioctl(SET_HEADER_LEN, Argument::Pointer((&raw const len).cast())));
        made.map_err(|source| OpenError::Interface { name: name.into(), source })?;
        Ok(tap)
    }

    /// A tap that somebody opened as [`Tap::open`] does. In tests, any descriptor that keeps frames apart and does not
    /// block.
    pub fn over(file: File) -> Self {
        Tap { file }
    }

    /// The open device, for a machine in another process.
    pub fn into_file(self) -> File {
        self.file
    }

    /// To wait on.
    pub fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// For frames to the network.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// One frame from the network.
    pub fn read(&self, frame: &mut [u8]) -> io::Result<usize> {
        (&self.file).read(frame)
    }

    /// What frames from the network may leave undone.
    pub fn set_offloads(&self, offloads: Offloads) -> io::Result<()> {
        self.ioctl(SET_OFFLOAD, Argument::Number(offloads.bits().into()))
    }

    fn ioctl(&self, request: libc::Ioctl, argument: Argument) -> io::Result<()> {
        // SAFETY: the three requests take what `Argument` holds: pointers to a live `ifreq` or `int`, which the kernel
        // only reads, or a number. No safe wrapper knows them.
        let result = unsafe {
            match argument {
                Argument::Pointer(pointer) => libc::ioctl(self.fd(), request, pointer),
                Argument::Number(number) => libc::ioctl(self.fd(), request, number),
            }
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

enum Argument {
    Pointer(*const libc::c_void),
    Number(libc::c_ulong),
}

/// The request for an interface, or none for a name that cannot be.
fn request(name: &str) -> Option<Request> {
    if name.is_empty() || name.len() > NAME_MAX || name.bytes().any(|byte| byte == 0 || byte == b'/') {
        return None;
    }
    let mut request = Request { name: [0; NAME_MAX + 1], flags: FLAGS, rest: [0; 22] };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    Some(request)
}

/// `IFF_TAP | IFF_NO_PI | IFF_VNET_HDR`.
const FLAGS: u16 = 0x0002 | 0x1000 | 0x4000;

/// `struct ifreq`, as this request uses it.
#[repr(C)]
struct Request {
    name: [u8; NAME_MAX + 1],
    flags: u16,
    rest: [u8; 22],
}

const _: () = assert!(size_of::<Request>() == size_of::<libc::ifreq>());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_be_are_refused() {
        for name in ["", "sixteen-letters-", "a/b", "a\0b"] {
            assert!(request(name).is_none(), "{name}");
        }
        assert_eq!(request("tap0").map(|request| request.flags), Some(0x5002));
    }
}
