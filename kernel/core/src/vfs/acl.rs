//! Access control lists (acl(5)), as the extended attributes that hold them.

use alloc::vec::Vec;

use super::permission::{Access, is_owner};
use super::{Changes, FileKind, Inode, Path, Stat, Vfs, XattrSet};
use crate::Errno;
use crate::abi::{Decoder, Encoder};
use crate::task::{Capabilities, Credentials};

/// Where a file's list is.
pub const ACCESS: &[u8] = b"system.posix_acl_access";
/// Where a directory has the list of files that are made in it.
pub const DEFAULT: &[u8] = b"system.posix_acl_default";

/// POSIX_ACL_XATTR_VERSION
const VERSION: u32 = 2;
const HEAD_BYTES: usize = 4;
const ENTRY_BYTES: usize = 8;
/// Who has no number.
const NOBODY: u32 = u32::MAX;

/// Whom an entry is about; the numbers are the format's, and their order is the list's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tag {
    Owner = 0x1,
    User = 0x2,
    OwningGroup = 0x4,
    Group = 0x8,
    Mask = 0x10,
    Other = 0x20,
}

impl Tag {
    const ALL: [Self; 6] = [Self::Owner, Self::User, Self::OwningGroup, Self::Group, Self::Mask, Self::Other];

    fn new(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|tag| *tag as u16 == number)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    tag: Tag,
    access: Access,
    id: u32,
}

/// A list that is well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl(Vec<Entry>);

impl Acl {
    /// From an attribute; `None` for one without entries, which means that there is none. `EOPNOTSUPP` for another
    /// version, `EINVAL` for what is no list.
    pub fn decode(value: &[u8]) -> Result<Option<Self>, Errno> {
        if value.is_empty() {
            return Ok(None);
        }
        if value.len() < HEAD_BYTES || !(value.len() - HEAD_BYTES).is_multiple_of(ENTRY_BYTES) {
            return Err(Errno::EINVAL);
        }
        let mut from = Decoder::new(value);
        if from.take::<u32>() != VERSION {
            return Err(Errno::EOPNOTSUPP);
        }
        let mut entries = Vec::new();
        while !from.rest().is_empty() {
            let [tag, access] = from.take::<[u16; 2]>();
            let tag = Tag::new(tag).ok_or(Errno::EINVAL)?;
            let access = Access::from_bits(access.into()).ok_or(Errno::EINVAL)?;
            entries.push(Entry { tag, access, id: from.take() });
        }
        if entries.is_empty() { Ok(None) } else { Self(entries).checked().map(Some) }
    }

    fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::with_capacity(HEAD_BYTES + self.0.len() * ENTRY_BYTES);
        to.put(VERSION);
        for entry in &self.0 {
            let access = u16::try_from(entry.access.bits()).unwrap_or_default();
            let id = if matches!(entry.tag, Tag::User | Tag::Group) { entry.id } else { NOBODY };
            to.put([entry.tag as u16, access]).put(id);
        }
        to.finish()
    }

    /// `posix_acl_valid` of Linux: the tags in order, one of each that must be there, and a mask where it is needed.
    fn checked(self) -> Result<Self, Errno> {
        let count = |tag| self.0.iter().filter(|entry| entry.tag == tag).count();
        let in_order = self.0.is_sorted_by_key(|entry| entry.tag);
        let complete = [Tag::Owner, Tag::OwningGroup, Tag::Other].into_iter().all(|tag| count(tag) == 1);
        let named = count(Tag::User) + count(Tag::Group) > 0;
        let masks = count(Tag::Mask);
        let ids_fit = self.0.iter().all(|entry| !matches!(entry.tag, Tag::User | Tag::Group) || entry.id != NOBODY);
        if in_order && complete && masks <= 1 && (!named || masks == 1) && ids_fit {
            Ok(self)
        } else {
            Err(Errno::EINVAL)
        }
    }

    fn of(&self, tag: Tag) -> Option<Access> {
        self.0.iter().find(|entry| entry.tag == tag).map(|entry| entry.access)
    }

    fn set(&mut self, tag: Tag, access: Access) {
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.tag == tag) {
            entry.access = access;
        }
    }

    /// The entry that the group's permission bits stand for.
    fn group_class(&self) -> Tag {
        if self.of(Tag::Mask).is_some() { Tag::Mask } else { Tag::OwningGroup }
    }

    /// Permission bits that say the same, as far as they can.
    fn mode(&self) -> u32 {
        let bits = |tag| self.of(tag).unwrap_or_default().bits();
        bits(Tag::Owner) << 6 | bits(self.group_class()) << 3 | bits(Tag::Other)
    }

    /// Whether permission bits say all of it.
    fn is_mode(&self) -> bool {
        self.0.iter().all(|entry| matches!(entry.tag, Tag::Owner | Tag::OwningGroup | Tag::Other))
    }

    /// Takes permission bits over (`posix_acl_chmod` of Linux).
    fn set_mode(&mut self, mode: u32) {
        self.set(Tag::Owner, Access::from_bits_truncate(mode >> 6 & 7));
        self.set(self.group_class(), Access::from_bits_truncate(mode >> 3 & 7));
        self.set(Tag::Other, Access::from_bits_truncate(mode & 7));
    }

    /// Leaves what a maker's permission bits leave (`posix_acl_create_masq` of Linux).
    fn limit(&mut self, mode: u32) {
        self.set_mode(self.mode() & mode);
    }

    /// Whether somebody who is not the owner may (`posix_acl_permission` of Linux).
    fn grants(&self, group: u32, credentials: &Credentials, access: Access) -> bool {
        let mask = self.of(Tag::Mask).unwrap_or(Access::all());
        if let Some(own) = self.0.iter().find(|entry| entry.tag == Tag::User && entry.id == credentials.fsuid) {
            return (own.access & mask).contains(access);
        }
        let is_mine = |entry: &&Entry| match entry.tag {
            Tag::OwningGroup => credentials.in_group(group),
            Tag::Group => credentials.in_group(entry.id),
            _ => false,
        };
        let mut mine = self.0.iter().filter(is_mine).peekable();
        if mine.peek().is_none() {
            return self.of(Tag::Other).unwrap_or_default().contains(access);
        }
        mine.any(|entry| entry.access.contains(access)) && mask.contains(access)
    }
}

/// What an inode's list says of somebody; `None` where there is none, or where it does not count.
pub(super) fn granted(inode: &dyn Inode, stat: &Stat, credentials: &Credentials, access: Access) -> Option<bool> {
    if credentials.fsuid == stat.uid || stat.mode & 0o070 == 0 || !inode.has_acl() {
        return None;
    }
    let acl = Acl::decode(&inode.xattr(ACCESS).ok()?).ok()??;
    Some(acl.grants(stat.gid, credentials, access))
}

/// The list of a directory for what is made in it.
fn default_of(directory: &dyn Inode) -> Option<Acl> {
    if !directory.has_acl() {
        return None;
    }
    Acl::decode(&directory.xattr(DEFAULT).ok()?).ok()?
}

/// What a new file inherits.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    /// In place of the maker's permission bits after the umask.
    pub permissions: Option<u32>,
    access: Option<Acl>,
    default: Option<Acl>,
}

impl Inherited {
    /// From a directory (`posix_acl_create` of Linux): the umask does not count where there is a list.
    pub(super) fn of(directory: &dyn Inode, kind: FileKind, permissions: u32) -> Self {
        let Some(default) = default_of(directory).filter(|_| kind != FileKind::Symlink) else { return Self::default() };
        let mut access = default.clone();
        access.limit(permissions);
        Self {
            permissions: Some(permissions & !0o777 | access.mode()),
            access: Some(access).filter(|access| !access.is_mode()),
            default: Some(default).filter(|_| kind == FileKind::Directory),
        }
    }

    /// Gives the lists to what was made.
    pub(super) fn give(&self, inode: &dyn Inode) -> Result<(), Errno> {
        for (name, acl) in [(ACCESS, &self.access), (DEFAULT, &self.default)] {
            if let Some(acl) = acl {
                inode.set_xattr(name, &acl.encode(), XattrSet::Any)?;
            }
        }
        Ok(())
    }
}

/// Keeps a file's list as its permission bits were changed to be.
pub(super) fn follow_mode(inode: &dyn Inode, permissions: u32) -> Result<(), Errno> {
    if !inode.has_acl() {
        return Ok(());
    }
    match inode.xattr(ACCESS).map(|value| Acl::decode(&value)) {
        Ok(Ok(Some(mut acl))) => {
            acl.set_mode(permissions);
            inode.set_xattr(ACCESS, &acl.encode(), XattrSet::Any)
        }
        _ => Ok(()),
    }
}

impl Vfs {
    /// Sets or, by an empty value, removes one of a file's two lists (`set_posix_acl` of Linux).
    pub fn set_acl(&self, path: &Path, name: &[u8], value: &[u8], credentials: &Credentials) -> Result<(), Errno> {
        path.mount.check_writable()?;
        let acl = Acl::decode(value)?;
        let (inode, stat) = (path.inode(), path.stat()?);
        if inode.kind() == FileKind::Symlink {
            return Err(Errno::EOPNOTSUPP);
        }
        if name == DEFAULT && inode.kind() != FileKind::Directory {
            return if acl.is_some() { Err(Errno::EACCES) } else { Ok(()) };
        }
        if !is_owner(&stat, credentials) {
            return Err(Errno::EPERM);
        }
        let permissions = acl.as_ref().filter(|_| name == ACCESS).map(|acl| stat.permissions() & !0o777 | acl.mode());
        // What permission bits say alone is kept in them alone.
        let changed = match acl.filter(|acl| name == DEFAULT || !acl.is_mode()) {
            Some(acl) => inode.set_xattr(name, &acl.encode(), XattrSet::Any),
            None => inode.remove_xattr(name).or_else(|errno| if errno == Errno::ENODATA { Ok(()) } else { Err(errno) }),
        };
        changed?;
        if let Some(mut permissions) = permissions {
            if !credentials.in_group(stat.gid) && !credentials.has(Capabilities::FSETID) {
                permissions &= !linux_raw_sys::general::S_ISGID;
            }
            inode.change(&Changes { permissions: Some(permissions), ..Changes::default() })?;
        }
        self.notify_changed(path);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list by letters: `u` the owner, `u5` a user, `g`, `g5`, `m`, `o`, each with its permissions.
    fn list(text: &str) -> Vec<u8> {
        let entries = text.split(' ').map(|entry| {
            let (who, access) = entry.split_once('=').expect("an entry");
            let id = who[1..].parse().unwrap_or(NOBODY);
            let tag = match (&who[..1], id) {
                ("u", NOBODY) => Tag::Owner,
                ("u", _) => Tag::User,
                ("g", NOBODY) => Tag::OwningGroup,
                ("g", _) => Tag::Group,
                ("m", _) => Tag::Mask,
                _ => Tag::Other,
            };
            Entry { tag, access: Access::from_bits_truncate(access.parse().expect("a number")), id }
        });
        Acl(entries.collect()).encode()
    }

    #[test]
    fn only_whole_lists_in_order_are_taken() {
        for good in ["u=6 g=4 o=0", "u=6 u5=7 g=4 m=7 o=0", "u=6 g=4 g5=1 g6=1 m=7 o=0"] {
            let value = list(good);
            assert_eq!(Acl::decode(&value).expect(good).expect(good).encode(), value, "{good}");
        }
        for bad in ["u=6 g=4", "g=4 u=6 o=0", "u=6 u5=7 g=4 o=0", "u=6 g=4 m=1 m=1 o=0", "u=6 u=6 g=4 o=0"] {
            assert_eq!(Acl::decode(&list(bad)), Err(Errno::EINVAL), "{bad}");
        }
        assert_eq!(Acl::decode(&[2, 0, 0, 0]), Ok(None));
        assert_eq!(Acl::decode(&[]), Ok(None));
        assert_eq!(Acl::decode(&[1, 0, 0, 0]), Err(Errno::EOPNOTSUPP));
        assert_eq!(Acl::decode(&[2, 0, 0, 0, 1]), Err(Errno::EINVAL));
    }

    fn check(text: &str, uid: u32, groups: &[u32], access: Access, granted: bool) {
        let acl = Acl::decode(&list(text)).expect(text).expect(text);
        let credentials = Credentials {
            fsuid: uid,
            fsgid: 99,
            groups: alloc::sync::Arc::new(groups.to_vec()),
            ..Credentials::root(Capabilities::empty())
        };
        assert_eq!(acl.grants(3, &credentials, access), granted, "{text} {uid} {groups:?} {access:?}");
    }

    #[test]
    fn the_closest_entry_counts() {
        let (read, write) = (Access::READ, Access::WRITE);
        check("u=7 u5=4 g=2 m=6 o=2", 5, &[3], read, true);
        check("u=7 u5=4 g=2 m=6 o=2", 5, &[3], write, false);
        check("u=7 u5=6 g=0 m=4 o=7", 5, &[], write, false);
        check("u=7 g=4 g8=2 m=6 o=0", 6, &[3, 8], read | write, false);
        check("u=7 g=4 g8=2 m=6 o=0", 6, &[3, 8], write, true);
        check("u=7 g=0 g8=0 m=7 o=7", 6, &[8], read, false);
        check("u=7 g=0 g8=0 m=7 o=6", 6, &[9], read, true);
    }

    #[test]
    fn modes_and_lists_follow_each_other() {
        let mut acl = Acl::decode(&list("u=7 u5=7 g=5 m=6 o=1")).expect("good").expect("not empty");
        assert_eq!((acl.mode(), acl.is_mode()), (0o761, false));
        acl.set_mode(0o640);
        assert_eq!(acl.encode(), list("u=6 u5=7 g=5 m=4 o=0"));
        acl.limit(0o600);
        assert_eq!(acl.mode(), 0o600);
    }
}
