//! Loop device ioctls (linux/loop.h).

use std::io;
use std::os::fd::RawFd;

use super::check;

const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4C82;
const LOOP_CONFIGURE: libc::c_ulong = 0x4C0A;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;

/// struct loop_info64.
#[repr(C)]
struct LoopInfo {
    numbers: [u64; 5],
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// struct loop_config.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// The number of a loop device that nobody uses.
pub(crate) fn free_device(control: RawFd) -> io::Result<u32> {
    // SAFETY: LOOP_CTL_GET_FREE takes no argument.
    let number = check(unsafe { libc::ioctl(control, LOOP_CTL_GET_FREE) }.into())?;
    u32::try_from(number).map_err(io::Error::other)
}

/// Puts `file` behind the device, read-only, until the device's last close.
pub(crate) fn configure(device: RawFd, file: RawFd) -> io::Result<()> {
    // SAFETY: loop_config is plain integers; zero is each field's "not used".
    let mut config: LoopConfig = unsafe { std::mem::zeroed() };
    config.fd = file.unsigned_abs();
    config.info.flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
    // SAFETY: LOOP_CONFIGURE reads one loop_config, which lives through the call.
    check(unsafe { libc::ioctl(device, LOOP_CONFIGURE, &raw const config) }.into()).map(drop)
}
