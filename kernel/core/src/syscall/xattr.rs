//! Extended attributes (xattr(7)).

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general as abi;

use super::Call;
use super::at::{At, AtFlags};
use crate::Errno;
use crate::exec::check_file_capabilities;
use crate::task::{Capabilities, Credentials, Task};
use crate::vfs::acl;
use crate::vfs::permission::{Access, check_inode, is_owner};
use crate::vfs::{FileKind, Follow, Path, XattrSet};
use crate::wait::Stop;

/// XATTR_NAME_MAX
const NAME_BYTES_MAX: usize = 255;
/// XATTR_SIZE_MAX, and XATTR_LIST_MAX
const VALUE_BYTES_MAX: usize = 65_536;

macro_rules! by_path_and_fd {
    ($($name:ident, $link:ident, $fd:ident => $serve:ident -> $result:ty;)*) => {$(
        #[doc = concat!(stringify!($name), "(2)")]
        pub fn $name(task: &Arc<Task>, call: &mut Call) -> Result<$result, Stop> {
            let path = At::cwd(task, call.arg(0))?.find(AtFlags::empty(), Follow::Yes)?;
            Ok($serve(task, call, &path)?)
        }

        #[doc = concat!(stringify!($link), "(2)")]
        pub fn $link(task: &Arc<Task>, call: &mut Call) -> Result<$result, Stop> {
            let path = At::cwd(task, call.arg(0))?.find(AtFlags::empty(), Follow::No)?;
            Ok($serve(task, call, &path)?)
        }

        #[doc = concat!(stringify!($fd), "(2)")]
        pub fn $fd(task: &Arc<Task>, call: &mut Call) -> Result<$result, Stop> {
            let file = task.files().get_open(call.int(0))?;
            Ok($serve(task, call, file.path())?)
        }
    )*};
}

by_path_and_fd! {
    getxattr, lgetxattr, fgetxattr => get -> usize;
    setxattr, lsetxattr, fsetxattr => set -> ();
    listxattr, llistxattr, flistxattr => list -> usize;
    removexattr, lremovexattr, fremovexattr => remove -> ();
}

fn get(task: &Arc<Task>, call: &Call, path: &Path) -> Result<usize, Errno> {
    let name = read_name(task, call.arg(1))?;
    check(path, &name, &task.credentials(), Access::READ)?;
    let value = path.inode().xattr(&name)?;
    give(task, call.arg(2), call.size(3), &value)
}

fn set(task: &Arc<Task>, call: &Call, path: &Path) -> Result<(), Errno> {
    let how = match call.uint(4) {
        0 => XattrSet::Any,
        abi::XATTR_CREATE => XattrSet::Create,
        abi::XATTR_REPLACE => XattrSet::Replace,
        _ => return Err(Errno::EINVAL),
    };
    let name = read_name(task, call.arg(1))?;
    let len = call.size(3);
    if len > VALUE_BYTES_MAX {
        return Err(Errno::E2BIG);
    }
    let value = task.memory().read_vec(call.arg(2), len)?;
    if is_acl(&name) {
        return task.kernel().vfs().set_acl(path, &name, &value, &task.credentials());
    }
    check(path, &name, &task.credentials(), Access::WRITE)?;
    if name == b"security.capability" {
        check_file_capabilities(&value)?;
    }
    path.inode().set_xattr(&name, &value, how)
}

fn list(task: &Arc<Task>, call: &Call, path: &Path) -> Result<usize, Errno> {
    let privileged = task.credentials().has(Capabilities::SYS_ADMIN);
    let mut names = path.inode().xattrs()?;
    names.retain(|name| privileged || !name.starts_with(b"trusted."));
    let text: Vec<u8> = names.iter().flat_map(|name| name.iter().copied().chain([0])).collect();
    give(task, call.arg(1), call.size(2), &text)
}

fn remove(task: &Arc<Task>, call: &Call, path: &Path) -> Result<(), Errno> {
    let name = read_name(task, call.arg(1))?;
    if is_acl(&name) {
        return task.kernel().vfs().set_acl(path, &name, &[], &task.credentials());
    }
    check(path, &name, &task.credentials(), Access::WRITE)?;
    path.inode().remove_xattr(&name)
}

fn read_name(task: &Arc<Task>, address: u64) -> Result<Vec<u8>, Errno> {
    let name = task.memory().read_string(address, NAME_BYTES_MAX + 1, Errno::ERANGE)?;
    if name.is_empty() { Err(Errno::ERANGE) } else { Ok(name) }
}

/// A room of 0 only asks for the length.
fn give(task: &Arc<Task>, address: u64, room: usize, bytes: &[u8]) -> Result<usize, Errno> {
    if room > 0 {
        if bytes.len() > room {
            return Err(Errno::ERANGE);
        }
        task.memory().write_bytes(address, bytes)?;
    }
    Ok(bytes.len())
}

/// Whether an attribute is an access list, which says who may do what and is changed by owners.
fn is_acl(name: &[u8]) -> bool {
    name == acl::ACCESS || name == acl::DEFAULT
}

/// `xattr_permission` of Linux.
fn check(path: &Path, name: &[u8], credentials: &Credentials, access: Access) -> Result<(), Errno> {
    let writes = access == Access::WRITE;
    if writes {
        path.mount.check_writable()?;
    }
    let denied = if writes { Errno::EPERM } else { Errno::ENODATA };
    let inode = path.inode();
    if [b"user.".as_slice(), b"trusted.", b"security."].contains(&name) {
        return Err(Errno::EINVAL);
    }
    if name.starts_with(b"trusted.") {
        return if credentials.has(Capabilities::SYS_ADMIN) { Ok(()) } else { Err(denied) };
    }
    if name.starts_with(b"security.") {
        let setfcap = name == b"security.capability" && credentials.has(Capabilities::SETFCAP);
        return if !writes || setfcap || credentials.has(Capabilities::SYS_ADMIN) { Ok(()) } else { Err(Errno::EPERM) };
    }
    if is_acl(name) {
        return if inode.kind() == FileKind::Symlink { Err(Errno::EOPNOTSUPP) } else { Ok(()) };
    }
    if !name.starts_with(b"user.") {
        return Err(Errno::EOPNOTSUPP);
    }
    match inode.kind() {
        FileKind::Regular => {}
        FileKind::Directory => {
            let stat = inode.stat()?;
            if writes && stat.mode & abi::S_ISVTX != 0 && !is_owner(&stat, credentials) {
                return Err(Errno::EPERM);
            }
        }
        _ => return Err(denied),
    }
    check_inode(&**inode, credentials, access)
}
