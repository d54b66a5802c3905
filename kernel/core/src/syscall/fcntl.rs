//! What fcntl(2) does with open files.

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::Call;
use super::locks;
use crate::Errno;
use crate::fs::{Seals, sealed_node};
use crate::pipe::{CAPACITY_MAX, PipeEnd};
use crate::task::{Capabilities, Task};
use crate::vfs::File;
use crate::wait::Stop;

/// The commands that are about the file, not about its descriptor.
pub(super) fn other(task: &Arc<Task>, call: &mut Call, file: &Arc<File>, command: u32) -> Result<u64, Stop> {
    let owner = locks::owner(task, file, command);
    match command {
        abi::F_GETLK | abi::F_OFD_GETLK => locks::get(task, call, file, owner),
        abi::F_SETLK | abi::F_OFD_SETLK => locks::set(task, call, file, owner, false),
        abi::F_SETLKW | abi::F_OFD_SETLKW => locks::set(task, call, file, owner, true),
        abi::F_GETPIPE_SZ => Ok(pipe(file)?.pipe().capacity() as u64),
        abi::F_SETPIPE_SZ => Ok(set_pipe_size(task, file, call.arg(2))? as u64),
        abi::F_GET_SEALS => Ok(sealed_node(file.inode())?.seals()?.bits().into()),
        abi::F_ADD_SEALS => {
            file.check_writable().map_err(|_| Errno::EPERM)?;
            let seals = Seals::from_bits(call.uint(2)).ok_or(Errno::EINVAL)?;
            sealed_node(file.inode())?.add_seals(seals)?;
            Ok(0)
        }
        // Without events it ends all notices, of which there are none.
        abi::F_NOTIFY if call.uint(2) & !abi::DN_MULTISHOT == 0 => Ok(0),
        // Nobody ever took a lease.
        abi::F_GETLEASE => Ok(UNLOCKED),
        abi::F_SETOWN | abi::F_GETOWN => owner_of(task, call, file, command),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// F_UNLCK
const UNLOCKED: u64 = 2;

fn pipe(file: &File) -> Result<&PipeEnd, Errno> {
    file.downcast().ok_or(Errno::EBADF)
}

fn set_pipe_size(task: &Arc<Task>, file: &File, bytes: u64) -> Result<usize, Errno> {
    let pipe = pipe(file)?;
    let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= 1 << 31).ok_or(Errno::EINVAL)?;
    if bytes > CAPACITY_MAX && !task.credentials().has(Capabilities::SYS_RESOURCE) {
        return Err(Errno::EPERM);
    }
    pipe.pipe().set_capacity(bytes)
}

/// Who gets SIGIO and SIGURG.
fn owner_of(_task: &Arc<Task>, call: &Call, file: &File, command: u32) -> Result<u64, Stop> {
    if command == abi::F_SETOWN {
        file.set_owner(call.int(2));
        return Ok(0);
    }
    Ok(i64::from(file.owner()).cast_unsigned())
}
