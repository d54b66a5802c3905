//! Who a new program runs as (credentials(7), capabilities(7) "Transformation of capabilities during execve()").

use alloc::vec::Vec;

use super::auxiliary::Secure;
use crate::Errno;
use crate::abi::Decoder;
use crate::task::{Capabilities, Credentials};
use crate::vfs::{MountFlags, Path, Stat};

const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;
const GROUP_EXECUTE: u32 = 0o010;
const XATTR: &[u8] = b"security.capability";
/// Versions of `struct vfs_cap_data`, and its flag.
const REVISION_MASK: u32 = 0xff00_0000;
const REVISION_1: u32 = 0x0100_0000;
const REVISION_2: u32 = 0x0200_0000;
const REVISION_3: u32 = 0x0300_0000;
const FLAG_EFFECTIVE: u32 = 1;
/// SECBIT_NOROOT and SECBIT_KEEP_CAPS.
const NO_ROOT: u32 = 1;
const KEEP_CAPABILITIES: u32 = 1 << 4;

/// Capabilities of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct FileCapabilities {
    permitted: Capabilities,
    inheritable: Capabilities,
    effective: bool,
}

/// Who the program runs as, and whether it may do more than its caller.
pub fn after_exec(old: &Credentials, path: &Path) -> Result<(Credentials, Secure), Errno> {
    let stat = path.stat()?;
    let trusted = !path.mount.flags().contains(MountFlags::NO_SUID);
    let file = if trusted { file_capabilities(path)? } else { None };
    let set_ids = trusted && !old.no_new_privs;
    change(old, &stat, set_ids, file)
}

fn change(
    old: &Credentials,
    stat: &Stat,
    set_ids: bool,
    file: Option<FileCapabilities>,
) -> Result<(Credentials, Secure), Errno> {
    let mut new = old.clone();
    if set_ids && stat.mode & SETUID != 0 {
        new.euid = stat.uid;
    }
    if set_ids && stat.mode & (SETGID | GROUP_EXECUTE) == SETGID | GROUP_EXECUTE {
        new.egid = stat.gid;
    }
    let ids_changed = new.euid != old.euid || new.egid != old.egid;
    let granted = granted(&new, file);
    let mut permitted = (old.inheritable & granted.inheritable) | (granted.permitted & old.bounding);
    if file.is_some_and(|file| file.effective && !permitted.contains(file.permitted)) {
        return Err(Errno::EPERM);
    }
    if old.no_new_privs {
        permitted &= old.permitted;
    }
    let privileged = file.is_some() || ids_changed;
    new.ambient = if privileged { Capabilities::empty() } else { old.ambient };
    new.permitted = permitted | new.ambient;
    new.effective = if granted.effective { new.permitted } else { new.ambient };
    (new.suid, new.fsuid) = (new.euid, new.euid);
    (new.sgid, new.fsgid) = (new.egid, new.egid);
    new.securebits &= !KEEP_CAPABILITIES;
    new.keep_capabilities = false;
    let more = new.uid != 0 && (granted.effective || new.permitted != new.ambient);
    let secure = new.euid != new.uid || new.egid != new.gid || more;
    Ok((new, if secure { Secure::Yes } else { Secure::No }))
}

/// What the file grants, root's rights included.
fn granted(new: &Credentials, file: Option<FileCapabilities>) -> FileCapabilities {
    let mut granted = file.unwrap_or_default();
    // A program of root's with capabilities of its own has those, unless root itself runs it.
    let own = file.is_some() && new.uid != 0 && new.euid == 0;
    if new.securebits & NO_ROOT != 0 || own {
        return granted;
    }
    if new.uid == 0 || new.euid == 0 {
        granted.permitted = Capabilities::all();
        granted.inheritable = Capabilities::all();
    }
    granted.effective |= new.euid == 0;
    granted
}

fn file_capabilities(path: &Path) -> Result<Option<FileCapabilities>, Errno> {
    match path.inode().xattr(XATTR) {
        Ok(value) => parse(&value).map(Some),
        Err(Errno::ENODATA | Errno::EOPNOTSUPP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// `EINVAL` unless a program can be given these capabilities (`cap_convert_nscap` of Linux).
pub fn check_file_capabilities(value: &[u8]) -> Result<(), Errno> {
    // The first version is read, but nobody writes it any more.
    if value.len() == 12 { Err(Errno::EINVAL) } else { parse(value).map(drop) }
}

/// `struct vfs_cap_data`, or `vfs_ns_cap_data`: `EINVAL` when it is neither.
fn parse(value: &[u8]) -> Result<FileCapabilities, Errno> {
    let magic = value.get(..4).map(|bytes| Decoder::new(bytes).take::<u32>()).ok_or(Errno::EINVAL)?;
    let words = match (magic & REVISION_MASK, value.len()) {
        (REVISION_1, 12) => 1,
        (REVISION_2, 20) | (REVISION_3, 24) => 2,
        _ => return Err(Errno::EINVAL),
    };
    let mut fields = Decoder::new(&value[4..]);
    let sets: Vec<[u32; 2]> = (0..words).map(|_| fields.take()).collect();
    let set = |which: usize| {
        let high = sets.get(1).map_or(0, |pair| u64::from(pair[which]));
        Capabilities::from_bits_truncate(u64::from(sets[0][which]) | high << 32)
    };
    Ok(FileCapabilities { permitted: set(0), inheritable: set(1), effective: magic & FLAG_EFFECTIVE != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::FileKind;

    fn user() -> Credentials {
        let none = Capabilities::empty();
        Credentials {
            uid: 7,
            euid: 7,
            suid: 7,
            fsuid: 7,
            gid: 7,
            egid: 7,
            bounding: Capabilities::all(),
            ..Credentials::root(none)
        }
    }

    fn stat(mode: u32) -> Stat {
        Stat::new(1, FileKind::Regular, mode)
    }

    #[test]
    fn an_ordinary_file_changes_nothing_but_drops_capabilities() {
        let old = Credentials { permitted: Capabilities::KILL, effective: Capabilities::KILL, ..user() };
        let (new, secure) = change(&old, &stat(0o755), true, None).unwrap();
        assert_eq!((new.permitted, new.effective, secure), (Capabilities::empty(), Capabilities::empty(), Secure::No));
        let old = Credentials { ambient: Capabilities::KILL, ..old };
        assert_eq!(change(&old, &stat(0o755), true, None).unwrap().0.effective, Capabilities::KILL);
    }

    #[test]
    fn setuid_makes_root() {
        let (new, secure) = change(&user(), &stat(0o4755), true, None).unwrap();
        assert_eq!((new.uid, new.euid, new.suid, new.fsuid), (7, 0, 0, 0));
        assert_eq!((new.effective, secure), (Capabilities::all(), Secure::Yes));
        let (new, secure) = change(&user(), &stat(0o4755), false, None).unwrap();
        assert_eq!((new.euid, secure), (7, Secure::No));
        let (new, _) = change(&user(), &stat(0o2745), true, None).unwrap();
        assert_eq!(new.egid, 7, "without the group's right to execute it means nothing");
    }

    #[test]
    fn files_can_have_capabilities() {
        let raw = [1, 0, 0, 2, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let file = parse(&raw).unwrap();
        assert_eq!((file.permitted, file.effective), (Capabilities::KILL, true));
        let (new, secure) = change(&user(), &stat(0o755), true, Some(file)).unwrap();
        assert_eq!((new.effective, secure), (Capabilities::KILL, Secure::Yes));
        let bounded = Credentials { bounding: Capabilities::empty(), ..user() };
        assert_eq!(change(&bounded, &stat(0o755), true, Some(file)).unwrap_err(), Errno::EPERM);
        assert_eq!(parse(&raw[..19]), Err(Errno::EINVAL));
    }

    #[test]
    fn root_keeps_what_it_may_have() {
        let old = Credentials { bounding: Capabilities::CHOWN, ..Credentials::root(Capabilities::CHOWN) };
        let (new, secure) = change(&old, &stat(0o755), true, None).unwrap();
        assert_eq!((new.effective, secure), (Capabilities::CHOWN, Secure::No));
    }
}
