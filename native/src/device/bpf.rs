//! Loading a device filter and attaching it to a cgroup (bpf(2)).
//!
//! Unsafe because no safe wrapper of bpf(2) is among our dependencies.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::program::Instruction;

const PROG_LOAD: i32 = 5;
const PROG_ATTACH: i32 = 8;
const PROG_DETACH: i32 = 9;
const PROG_GET_FD_BY_ID: i32 = 13;
const PROG_QUERY: i32 = 16;

const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
/// Programs of cgroups above stay in force; several may be attached to one.
const F_ALLOW_MULTI: u32 = 2;
/// Swap one program for another without a gap (Linux 5.6).
const F_REPLACE: u32 = 4;
const PROGRAMS_MAX: usize = 64;

/// Attaches the program to the cgroup and detaches the device filters that were there.
pub(super) fn replace(dir: &Path, program: &[Instruction]) -> io::Result<()> {
    let cgroup = rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let program = load(program)?;
    match attached(&cgroup)?.as_slice() {
        [] => attach(&cgroup, &program, None),
        [old] => attach(&cgroup, &program, Some(old)),
        many => {
            attach(&cgroup, &program, None)?;
            many.iter().try_for_each(|old| detach(&cgroup, old))
        }
    }
}

/// The part of `union bpf_attr` for BPF_PROG_LOAD, up to the fields that we use.
#[repr(C)]
struct Load {
    prog_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
}

fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    let license = c"Apache";
    let attributes = Load {
        prog_type: PROG_TYPE_CGROUP_DEVICE,
        instruction_count: u32::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        instructions: program.as_ptr().addr() as u64,
        license: license.as_ptr().addr() as u64,
        log_level: 0,
        log_size: 0,
        log_buffer: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: both pointers in `attributes` outlive the call, which reads as many instructions as the slice has.
    owned(unsafe { bpf(PROG_LOAD, &attributes) }?)
}

/// For BPF_PROG_ATTACH and BPF_PROG_DETACH.
#[repr(C)]
struct Attach {
    target: RawFd,
    program: RawFd,
    kind: u32,
    flags: u32,
    replaced: RawFd,
}

fn attach(cgroup: &OwnedFd, program: &OwnedFd, old: Option<&OwnedFd>) -> io::Result<()> {
    let (flags, replaced) = old.map_or((F_ALLOW_MULTI, 0), |old| (F_ALLOW_MULTI | F_REPLACE, old.as_raw_fd()));
    let (target, program) = (cgroup.as_raw_fd(), program.as_raw_fd());
    // SAFETY: the attributes hold no pointers.
    unsafe { bpf(PROG_ATTACH, &Attach { target, program, kind: ATTACH_CGROUP_DEVICE, flags, replaced }) }.map(drop)
}

fn detach(cgroup: &OwnedFd, program: &OwnedFd) -> io::Result<()> {
    let (target, program) = (cgroup.as_raw_fd(), program.as_raw_fd());
    // SAFETY: the attributes hold no pointers.
    unsafe { bpf(PROG_DETACH, &Attach { target, program, kind: ATTACH_CGROUP_DEVICE, flags: 0, replaced: 0 }) }
        .map(drop)
}

/// For BPF_PROG_QUERY.
#[repr(C)]
struct Query {
    target: RawFd,
    kind: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
}

/// The device filters of this very cgroup.
fn attached(cgroup: &OwnedFd) -> io::Result<Vec<OwnedFd>> {
    let mut ids = [0u32; PROGRAMS_MAX];
    let mut query = Query {
        target: cgroup.as_raw_fd(),
        kind: ATTACH_CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        ids: ids.as_mut_ptr().addr() as u64,
        count: 64,
    };
    // SAFETY: the kernel writes at most `count` ids, which is the length of `ids`, and the count into `query`.
    unsafe { bpf_mut(PROG_QUERY, &mut query) }?;
    let count = usize::try_from(query.count).unwrap_or(PROGRAMS_MAX).min(PROGRAMS_MAX);
    ids[..count].iter().map(|id| by_id(*id)).collect()
}

/// For BPF_PROG_GET_FD_BY_ID.
#[repr(C)]
struct ById {
    id: u32,
    next_id: u32,
    flags: u32,
}

fn by_id(id: u32) -> io::Result<OwnedFd> {
    // SAFETY: the attributes hold no pointers.
    owned(unsafe { bpf(PROG_GET_FD_BY_ID, &ById { id, next_id: 0, flags: 0 }) }?)
}

fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    let fd = RawFd::try_from(fd).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// # Safety
/// Pointers inside the attributes must be good for what `command` does with them.
unsafe fn bpf<T>(command: i32, attributes: &T) -> io::Result<libc::c_long> {
    // SAFETY: the kernel reads `size` bytes of attributes; the commands passed here do not write to them.
    checked(unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) })
}

/// # Safety
/// As for [`bpf`].
unsafe fn bpf_mut<T>(command: i32, attributes: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: the kernel reads and writes within `size` bytes of attributes.
    checked(unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>()) })
}

fn checked(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
