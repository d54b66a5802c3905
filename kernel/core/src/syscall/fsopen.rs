//! fsopen(2), fspick(2), fsconfig(2), fsmount(2).

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::at::{At, AtFlags};
use super::mount::check_admin;
use super::mount_attributes::{VALID, flags_of};
use super::new_file::install;
use super::{Call, open_tree};
use crate::Errno;
use crate::fs::{Configuration, Value};
use crate::task::Task;
use crate::vfs::{File, Follow, OpenFlags};
use crate::wait::Stop;

/// FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC, FSPICK_CLOEXEC
const CLOSE_ON_EXEC: u32 = 1;
/// Bytes of a key or a value, the NUL included.
const TEXT_BYTES_MAX: usize = 256;

fn status(flags: u32) -> OpenFlags {
    let close = if flags & CLOSE_ON_EXEC == 0 { OpenFlags::empty() } else { OpenFlags::CLOSE_ON_EXEC };
    OpenFlags::READ_WRITE | close
}

/// fsopen(2)
pub fn fsopen(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    check_admin(task)?;
    let flags = call.uint(1);
    if flags & !CLOSE_ON_EXEC != 0 {
        return Err(Errno::EINVAL.into());
    }
    let name = task.memory().read_string(call.arg(0), 4096, Errno::EINVAL)?;
    let configuration = Configuration::new(task.kernel(), task.process().namespaces(), &name)?;
    open(task, configuration, flags)
}

fn open(task: &Arc<Task>, configuration: Arc<Configuration>, flags: u32) -> Result<u64, Stop> {
    let vfs = task.kernel().vfs();
    let file = vfs.open_anonymous("[fscontext]", configuration, status(flags), &task.credentials())?;
    Ok(install(task, file, status(flags))?)
}

/// fspick(2)
pub fn fspick(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    const NO_FOLLOW: u32 = 2;
    const NO_AUTOMOUNT: u32 = 4;
    const EMPTY_PATH: u32 = 8;
    check_admin(task)?;
    let flags = call.uint(2);
    if flags & !(CLOSE_ON_EXEC | NO_FOLLOW | NO_AUTOMOUNT | EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let follow = if flags & NO_FOLLOW == 0 { Follow::Yes } else { Follow::No };
    let empty = if flags & EMPTY_PATH == 0 { AtFlags::empty() } else { AtFlags::EMPTY_PATH };
    let path = At::new(task, call.int(0), call.arg(1))?.find(empty, follow)?;
    if !path.is_mount_root() {
        return Err(Errno::EINVAL.into());
    }
    let configuration = Configuration::of(task.kernel(), task.process().namespaces(), path.mount.superblock());
    open(task, configuration, flags)
}

/// Its file; `EINVAL` when a descriptor is of something else.
fn configuration(task: &Arc<Task>, fd: i32) -> Result<Arc<File>, Errno> {
    let file = task.files().get_open(fd)?;
    if file.downcast::<Configuration>().is_some() { Ok(file) } else { Err(Errno::EINVAL) }
}

/// fsconfig(2)
pub fn fsconfig(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let (fd, command) = (call.int(0), call.uint(1));
    let (key, value, extra) = (call.arg(2) != 0, call.arg(3) != 0, call.int(4));
    let well_formed = match command {
        abi_commands::SET_FLAG => key && !value && extra == 0,
        abi_commands::SET_STRING => key && value && extra == 0,
        abi_commands::SET_BINARY => key && value && (1..=1 << 20).contains(&extra),
        abi_commands::SET_PATH | abi_commands::SET_PATH_EMPTY => key && value && (extra == abi::AT_FDCWD || extra >= 0),
        abi_commands::SET_FD => key && !value && extra >= 0,
        abi_commands::CREATE | abi_commands::RECONFIGURE | abi_commands::CREATE_EXCLUSIVE => {
            !key && !value && extra == 0
        }
        _ if fd >= 0 => return Err(Errno::EOPNOTSUPP.into()),
        _ => false,
    };
    if fd < 0 || !well_formed {
        return Err(Errno::EINVAL.into());
    }
    let file = configuration(task, fd)?;
    let configuration = file.downcast::<Configuration>().ok_or(Errno::EINVAL)?;
    Ok(match command {
        // Each is new: no file system here is shared by who names the same source.
        abi_commands::CREATE | abi_commands::CREATE_EXCLUSIVE => create(task, configuration),
        abi_commands::RECONFIGURE => check_admin(task).and_then(|()| configuration.reconfigure()),
        _ => set(task, configuration, call),
    }?)
}

/// `enum fsconfig_command`
mod abi_commands {
    pub const SET_FLAG: u32 = 0;
    pub const SET_STRING: u32 = 1;
    pub const SET_BINARY: u32 = 2;
    pub const SET_PATH: u32 = 3;
    pub const SET_PATH_EMPTY: u32 = 4;
    pub const SET_FD: u32 = 5;
    pub const CREATE: u32 = 6;
    pub const RECONFIGURE: u32 = 7;
    pub const CREATE_EXCLUSIVE: u32 = 8;
}

fn create(task: &Arc<Task>, configuration: &Configuration) -> Result<(), Errno> {
    check_admin(task)?;
    configuration.create()
}

fn set(task: &Arc<Task>, configuration: &Configuration, call: &Call) -> Result<(), Errno> {
    let key = task.memory().read_string(call.arg(2), TEXT_BYTES_MAX, Errno::EINVAL)?;
    match call.uint(1) {
        abi_commands::SET_FLAG => configuration.set(&key, Value::Flag),
        abi_commands::SET_STRING => {
            let value = task.memory().read_string(call.arg(3), TEXT_BYTES_MAX, Errno::EINVAL)?;
            configuration.set(&key, Value::Text(&value))
        }
        abi_commands::SET_FD => {
            task.files().get(call.int(4))?;
            configuration.set(&key, Value::Other)
        }
        _ => configuration.set(&key, Value::Other),
    }
}

/// fsmount(2)
pub fn fsmount(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    check_admin(task)?;
    let (flags, attributes) = (call.uint(1), call.uint(2));
    if flags & !CLOSE_ON_EXEC != 0 || attributes & !VALID != 0 {
        return Err(Errno::EINVAL.into());
    }
    let mount_flags = flags_of(attributes)?;
    let file = configuration(task, call.int(0))?;
    let (superblock, source) = file.downcast::<Configuration>().ok_or(Errno::EINVAL)?.take()?;
    let mount = task.fs().namespace().float(&superblock, mount_flags, &source);
    open_tree::install_floating(task, mount, status(flags))
}
