//! name_to_handle_at(2), open_by_handle_at(2).

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::at::{At, AtFlags};
use super::{Call, open};
use crate::Errno;
use crate::abi::Encoder;
use crate::task::{Capabilities, Task};
use crate::vfs::{Caller, Follow, Handle, HandleForm, Name, Path};
use crate::wait::Stop;

/// AT_HANDLE_MNT_ID_UNIQUE
const UNIQUE_ID: u32 = 1;
/// AT_HANDLE_FID
const IDENTITY: u32 = abi::AT_REMOVEDIR;
/// MAX_HANDLE_SZ
const BYTES_MAX: u32 = 128;
/// Of `struct file_handle` without the handle.
const HEAD_BYTES: u64 = 8;

/// name_to_handle_at(2)
pub fn name_to_handle_at(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let bits = call.uint(4);
    let flags = AtFlags::check(bits & !(UNIQUE_ID | IDENTITY), AtFlags::SYMLINK_FOLLOW | AtFlags::EMPTY_PATH)?;
    let follow = if flags.contains(AtFlags::SYMLINK_FOLLOW) { Follow::Yes } else { Follow::No };
    let path = At::new(task, call.int(0), call.arg(1))?.find(flags, follow)?;
    if bits & IDENTITY == 0 && path.mount.superblock().filesystem().handles() == HandleForm::Identity {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let room: u32 = task.memory().read_struct::<[u32; 2]>(call.arg(2))?[0];
    if room > BYTES_MAX {
        return Err(Errno::EINVAL.into());
    }
    let handle = path.handle();
    let fits = handle.bytes.len() <= room as usize;
    store_id(task, &path, call.arg(3), bits)?;
    store(task, call.arg(2), &handle, fits)?;
    if fits { Ok(()) } else { Err(Errno::EOVERFLOW.into()) }
}

fn store_id(task: &Arc<Task>, path: &Path, address: u64, bits: u32) -> Result<(), Errno> {
    let id = path.mount.id();
    match bits & UNIQUE_ID {
        0 => task.memory().write_struct(address, &id.0),
        _ => task.memory().write_struct(address, &id.unique()),
    }
}

/// A handle that does not fit is told by its length alone.
fn store(task: &Arc<Task>, address: u64, handle: &Handle, fits: bool) -> Result<(), Errno> {
    let mut to = Encoder::new();
    to.put(u32::try_from(handle.bytes.len()).map_err(|_| Errno::EOVERFLOW)?).put(handle.kind);
    if fits {
        to.bytes(&handle.bytes);
    }
    task.memory().write_bytes(address, &to.finish())
}

/// open_by_handle_at(2)
pub fn open_by_handle_at(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let handle = read(task, call.arg(1))?;
    let at = match call.int(0) {
        abi::AT_FDCWD => task.fs().cwd(),
        fd => task.files().get(fd)?.path().clone(),
    };
    let caller = Caller::of(task);
    if !caller.credentials.has(Capabilities::DAC_READ_SEARCH) {
        return Err(Errno::EPERM.into());
    }
    let how = open::lenient(call.uint(2), 0)?;
    let path = at.find_handle(&handle, &caller)?;
    let context = task.fs();
    let opened = task.kernel().vfs().open_at(&Name::new(&context, &caller, b"/"), path, how.flags)?;
    open::finish(task, call, opened, how.flags, &caller.credentials)
}

fn read(task: &Arc<Task>, address: u64) -> Result<Handle, Errno> {
    let [len, kind] = task.memory().read_struct::<[u32; 2]>(address)?;
    if len == 0 || len > BYTES_MAX || i32::try_from(kind).is_err() {
        return Err(Errno::EINVAL);
    }
    Ok(Handle { kind, bytes: task.memory().read_vec(address.wrapping_add(HEAD_BYTES), len as usize)? })
}
