//! What no safe wrapper covers: addresses of virtual sockets, partitions by ioctl, entropy. The only unsafe code here.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};

/// An address of a virtual socket (vsock(7)).
#[derive(Clone, Copy, Debug)]
pub(crate) struct VsockAddress {
    /// The machine.
    pub cid: u32,
    /// The port.
    pub port: u32,
}

/// The machine's host.
pub(crate) const HOST: u32 = libc::VMADDR_CID_HOST;
/// Whichever number this machine has.
pub(crate) const ANY: u32 = libc::VMADDR_CID_ANY;

// SAFETY: the pointer that `f` gets is to a whole sockaddr_vm, which lives through the call.
unsafe impl SocketAddrArg for VsockAddress {
    unsafe fn with_sockaddr<R>(&self, f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R) -> R {
        // SAFETY: sockaddr_vm is plain integers, for which zero is a value.
        let mut address: libc::sockaddr_vm = unsafe { std::mem::zeroed() };
        address.svm_family = u16::try_from(libc::AF_VSOCK).unwrap_or_default();
        (address.svm_cid, address.svm_port) = (self.cid, self.port);
        let len = SocketAddrLen::try_from(size_of::<libc::sockaddr_vm>()).unwrap_or_default();
        f((&raw const address).cast(), len)
    }
}

/// Which machine the other end of a connected virtual socket is.
pub(crate) fn peer(socket: impl AsFd) -> io::Result<u32> {
    // SAFETY: sockaddr_vm is plain integers, for which zero is a value.
    let mut address: libc::sockaddr_vm = unsafe { std::mem::zeroed() };
    let mut len = libc::socklen_t::try_from(size_of::<libc::sockaddr_vm>()).unwrap_or_default();
    // SAFETY: the kernel writes no more than the given length, which is the structure's.
    check(unsafe { libc::getpeername(socket.as_fd().as_raw_fd(), (&raw mut address).cast(), &raw mut len) })?;
    if i32::from(address.svm_family) == libc::AF_VSOCK {
        Ok(address.svm_cid)
    } else {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// linux/blkpg.h
const BLKPG: libc::c_ulong = 0x1269;
const BLKPG_ADD_PARTITION: libc::c_int = 1;
const BLKPG_DEL_PARTITION: libc::c_int = 2;

/// struct blkpg_partition.
#[repr(C)]
struct Partition {
    start: i64,
    length: i64,
    number: libc::c_int,
    device_name: [u8; 64],
    volume_name: [u8; 64],
}

/// struct blkpg_ioctl_arg.
#[repr(C)]
struct PartitionCall {
    operation: libc::c_int,
    flags: libc::c_int,
    len: libc::c_int,
    data: *mut Partition,
}

/// Makes a range of an open disk a partition with this number.
pub(crate) fn add_partition(disk: impl AsFd, number: u8, start: i64, length: i64) -> io::Result<()> {
    partition(disk, BLKPG_ADD_PARTITION, number, (start, length))
}

/// Takes a partition away again.
pub(crate) fn delete_partition(disk: impl AsFd, number: u8) -> io::Result<()> {
    partition(disk, BLKPG_DEL_PARTITION, number, (0, 0))
}

fn partition(disk: impl AsFd, operation: libc::c_int, number: u8, (start, length): (i64, i64)) -> io::Result<()> {
    let number = number.into();
    let mut data = Partition { start, length, number, device_name: [0; 64], volume_name: [0; 64] };
    let len = libc::c_int::try_from(size_of::<Partition>()).unwrap_or_default();
    let call = PartitionCall { operation, flags: 0, len, data: &raw mut data };
    // SAFETY: the kernel reads both structures, which live through the call and have the layout of linux/blkpg.h.
    check(unsafe { libc::ioctl(disk.as_fd().as_raw_fd(), BLKPG, &raw const call) })
}

/// linux/random.h
const RNDADDENTROPY: libc::c_ulong = 0x4008_5203;
const RNDRESEEDCRNG: libc::c_ulong = 0x5207;
/// Bytes of one call; struct rand_pool_info is two integers and these.
pub(crate) const ENTROPY_CHUNK_BYTES: usize = 256;

#[repr(C)]
struct PoolInfo {
    entropy_bits: libc::c_int,
    len_bytes: libc::c_int,
    bytes: [u8; ENTROPY_CHUNK_BYTES],
}

/// Credits bytes to the kernel's random numbers, by an open /dev/random. No more than [`ENTROPY_CHUNK_BYTES`] count.
pub(crate) fn add_entropy(random: impl AsFd, bytes: &[u8]) -> io::Result<()> {
    let mut info = PoolInfo { entropy_bits: 0, len_bytes: 0, bytes: [0; ENTROPY_CHUNK_BYTES] };
    for (place, byte) in info.bytes.iter_mut().zip(bytes) {
        *place = *byte;
        info.entropy_bits += 8;
        info.len_bytes += 1;
    }
    // SAFETY: the kernel reads the structure, which says how many of its bytes count and lives through the call.
    check(unsafe { libc::ioctl(random.as_fd().as_raw_fd(), RNDADDENTROPY, &raw const info) })
}

/// Has the generator start anew from what was credited.
pub(crate) fn reseed(random: impl AsFd) -> io::Result<()> {
    // SAFETY: this ioctl takes no argument.
    check(unsafe { libc::ioctl(random.as_fd().as_raw_fd(), RNDRESEEDCRNG) })
}

fn check(answer: libc::c_int) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offsets of linux/blkpg.h on x86-64.
    #[test]
    fn structures_are_the_kernels() {
        assert_eq!((size_of::<Partition>(), std::mem::offset_of!(Partition, device_name)), (152, 20));
        assert_eq!((size_of::<PartitionCall>(), std::mem::offset_of!(PartitionCall, data)), (24, 16));
        assert_eq!(std::mem::offset_of!(PoolInfo, bytes), 8);
    }

    #[test]
    fn other_sockets_have_no_machine() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().expect("make a socket");
        assert!(peer(&one).is_err());
    }

    #[test]
    fn what_is_no_disk_has_no_partitions() {
        let file = std::fs::File::open("/dev/null").expect("open /dev/null");
        assert!(add_partition(&file, 1, 0, 512).is_err() && delete_partition(&file, 1).is_err());
    }
}
