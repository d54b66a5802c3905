//! From a path's text to its place (path_resolution(7)).

use alloc::borrow::Cow;
use alloc::sync::Arc;
use core::ops::Range;

use linux_raw_sys::general as abi;

use super::permission::{Access, check_inode};
use super::{Caller, FileKind, FsContext, LinkTarget, MountFlags, MountNamespace, NAME_BYTES_MAX, Path};
use crate::Errno;

/// MAXSYMLINKS
const LINKS_MAX: u32 = 40;

bitflags::bitflags! {
    /// The restrictions of openat2(2).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Resolve: u32 {
        /// No mount is crossed.
        const NO_XDEV = abi::RESOLVE_NO_XDEV;
        /// No link of proc(5) is followed.
        const NO_MAGIC_LINKS = abi::RESOLVE_NO_MAGICLINKS;
        /// No symbolic link is followed.
        const NO_SYMLINKS = abi::RESOLVE_NO_SYMLINKS;
        /// Nothing outside the starting directory is reached.
        const BENEATH = abi::RESOLVE_BENEATH;
        /// The starting directory is the root.
        const IN_ROOT = abi::RESOLVE_IN_ROOT;
        /// Nothing that might wait is done.
        const CACHED = abi::RESOLVE_CACHED;
    }
}

/// Whether a symbolic link at the end of a path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// It is.
    Yes,
    /// The link itself is meant.
    No,
}

/// A path as somebody gave it.
#[derive(Clone, Debug)]
pub struct Name<'a> {
    /// Root and working directory.
    pub context: &'a FsContext,
    /// Who gave it.
    pub caller: &'a Caller,
    /// Where a relative one starts; `None` for the working directory.
    pub base: Option<Path>,
    /// The text.
    pub text: &'a [u8],
}

impl<'a> Name<'a> {
    /// A path without a directory of its own to start from.
    pub fn new(context: &'a FsContext, caller: &'a Caller, text: &'a [u8]) -> Self {
        Self { context, caller, base: None, text }
    }

    /// Finds what it names.
    pub fn find(&self, follow: Follow) -> Result<Path, Errno> {
        Walker::new(self, Resolve::empty())?.finish(follow)
    }

    /// Finds the directory of the last part.
    pub fn parent(&self) -> Result<Parent<'_>, Errno> {
        let mut walker = Walker::new(self, Resolve::empty())?;
        let last = walker.last()?;
        Ok(Parent { directory: walker.at, text: walker.text, last })
    }
}

/// A directory, and what is named in it.
#[derive(Debug)]
pub struct Parent<'a> {
    /// The directory.
    pub directory: Path,
    text: Cow<'a, [u8]>,
    /// The last part.
    pub last: Last,
}

impl Parent<'_> {
    /// The last part, or this error when it is no name but `.`, `..` or the root.
    pub fn name(&self, otherwise: Errno) -> Result<&[u8], Errno> {
        match &self.last {
            Last::Name { range, .. } => Ok(&self.text[range.clone()]),
            _ => Err(otherwise),
        }
    }

    /// Whether slashes follow the name.
    pub fn has_slash(&self) -> bool {
        matches!(self.last, Last::Name { slash: true, .. })
    }
}

/// The last part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Last {
    /// A name.
    Name {
        /// Where it lies in the text.
        range: Range<usize>,
        /// Whether slashes follow.
        slash: bool,
    },
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// Nothing: the path was `/`, or a link that led straight to a file.
    Nothing,
}

/// A path resolution under way.
#[derive(Debug)]
pub struct Walker<'a> {
    namespace: &'a MountNamespace,
    caller: &'a Caller,
    root: Path,
    at: Path,
    text: Cow<'a, [u8]>,
    cursor: usize,
    links: u32,
    resolve: Resolve,
}

impl<'a> Walker<'a> {
    /// Starts. `ENOENT` for an empty path.
    pub fn new(name: &'a Name<'_>, resolve: Resolve) -> Result<Self, Errno> {
        if name.text.is_empty() {
            return Err(Errno::ENOENT);
        }
        let (mut root, cwd) = name.context.places();
        let base = name.base.clone().unwrap_or(cwd);
        if resolve.intersects(Resolve::BENEATH | Resolve::IN_ROOT) {
            root = base.clone();
        }
        let absolute = name.text[0] == b'/';
        if absolute && resolve.contains(Resolve::BENEATH) {
            return Err(Errno::EXDEV);
        }
        let at = if absolute { root.clone() } else { base };
        Ok(Self {
            namespace: name.context.namespace(),
            caller: name.caller,
            root,
            at,
            text: Cow::Borrowed(name.text),
            cursor: 0,
            links: 0,
            resolve,
        })
    }

    /// Where it is now: after [`Self::last`], the directory of the last part.
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// The text of a last part.
    pub fn text(&self, range: &Range<usize>) -> &[u8] {
        &self.text[range.clone()]
    }

    /// Goes to the end.
    pub fn finish(mut self, follow: Follow) -> Result<Path, Errno> {
        loop {
            let last = self.last()?;
            let Last::Name { range, slash } = last else {
                return self.finish_without_name(&last);
            };
            let path = self.child(&self.text[range])?;
            if path.inode().kind() == FileKind::Symlink && (slash || follow == Follow::Yes) {
                self.follow_last(&path)?;
            } else if slash && path.inode().kind() != FileKind::Directory {
                return Err(Errno::ENOTDIR);
            } else {
                return Ok(path);
            }
        }
    }

    /// Goes to the end of a path that ends in no name.
    pub fn finish_without_name(mut self, last: &Last) -> Result<Path, Errno> {
        if *last == Last::DotDot {
            self.up()?;
        }
        Ok(self.at)
    }

    /// Goes to the directory of the last part. That it may be searched is checked.
    pub fn last(&mut self) -> Result<Last, Errno> {
        while let Some(range) = self.next() {
            self.check_search()?;
            let slash = self.text.get(self.cursor).is_some();
            let is_last = self.text[self.cursor..].iter().all(|byte| *byte == b'/');
            match &self.text[range.clone()] {
                b"." if is_last => return Ok(Last::Dot),
                b".." if is_last => return Ok(Last::DotDot),
                _ if is_last => return Ok(Last::Name { range, slash }),
                b"." => {}
                b".." => self.up()?,
                name => {
                    let path = self.child(name)?;
                    match path.inode().kind() {
                        FileKind::Symlink => self.follow(&path)?,
                        _ => self.at = path,
                    }
                }
            }
        }
        if self.text.ends_with(b"/") && self.at.inode().kind() != FileKind::Directory {
            return Err(Errno::ENOTDIR);
        }
        Ok(Last::Nothing)
    }

    /// The next part of the text.
    fn next(&mut self) -> Option<Range<usize>> {
        let rest = &self.text[self.cursor..];
        let start = self.cursor + rest.iter().position(|byte| *byte != b'/')?;
        let rest = &self.text[start..];
        let end = start + rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        self.cursor = end;
        Some(start..end)
    }

    fn check_search(&self) -> Result<(), Errno> {
        let inode = self.at.inode();
        if inode.kind() != FileKind::Directory {
            return Err(Errno::ENOTDIR);
        }
        check_inode(&**inode, &self.caller.credentials, Access::EXECUTE)?;
        inode.check(self.caller)
    }

    /// What has this name here, through mounts.
    pub fn child(&self, name: &[u8]) -> Result<Path, Errno> {
        check_name(name)?;
        let mount = &self.at.mount;
        let dentry = self.at.dentry.lookup(mount.superblock(), name)?;
        let mut path = Path { mount: mount.clone(), dentry };
        self.cross(&mut path)?;
        Ok(path)
    }

    /// Goes through what is mounted at a path.
    pub fn cross(&self, path: &mut Path) -> Result<(), Errno> {
        if self.namespace.cross(path) && self.resolve.contains(Resolve::NO_XDEV) {
            return Err(Errno::EXDEV);
        }
        Ok(())
    }

    fn up(&mut self) -> Result<(), Errno> {
        if self.at == self.root {
            return if self.resolve.contains(Resolve::BENEATH) { Err(Errno::EXDEV) } else { Ok(()) };
        }
        let Some(mut parent) = self.at.parent() else { return Ok(()) };
        self.namespace.cross(&mut parent);
        if self.resolve.contains(Resolve::NO_XDEV) && !Arc::ptr_eq(&parent.mount, &self.at.mount) {
            return Err(Errno::EXDEV);
        }
        self.at = parent;
        Ok(())
    }

    /// The same for the last part of a path, which others may have put here.
    pub fn follow_last(&mut self, link: &Path) -> Result<(), Errno> {
        if let Some(task) = self.caller.task.as_ref().filter(|_| self.links < LINKS_MAX) {
            let protections = task.kernel().vfs().protections();
            protections.check_following(&self.at.stat()?, &link.stat()?, &self.caller.credentials)?;
        }
        self.follow(link)
    }

    /// Goes on at the target of a link that was found here.
    fn follow(&mut self, link: &Path) -> Result<(), Errno> {
        self.links += 1;
        let forbidden =
            self.resolve.contains(Resolve::NO_SYMLINKS) || link.mount.flags().contains(MountFlags::NO_SYMLINK_FOLLOW);
        if self.links > LINKS_MAX || forbidden {
            return Err(Errno::ELOOP);
        }
        match link.inode().link_target(self.caller)? {
            LinkTarget::Text(target) => self.follow_text(target),
            LinkTarget::File(path) => self.jump(path),
        }
    }

    fn follow_text(&mut self, mut target: alloc::vec::Vec<u8>) -> Result<(), Errno> {
        match target.first() {
            None => return Err(Errno::ENOENT),
            Some(b'/') if self.resolve.contains(Resolve::BENEATH) => return Err(Errno::EXDEV),
            Some(b'/') => self.at = self.root.clone(),
            Some(_) => {}
        }
        target.extend_from_slice(&self.text[self.cursor..]);
        self.text = Cow::Owned(target);
        self.cursor = 0;
        Ok(())
    }

    fn jump(&mut self, path: Path) -> Result<(), Errno> {
        if self.resolve.contains(Resolve::NO_MAGIC_LINKS) {
            return Err(Errno::ELOOP);
        }
        if self.resolve.intersects(Resolve::BENEATH | Resolve::IN_ROOT) {
            return Err(Errno::EXDEV);
        }
        if self.resolve.contains(Resolve::NO_XDEV) && !Arc::ptr_eq(&path.mount, &self.at.mount) {
            return Err(Errno::EXDEV);
        }
        self.at = path;
        Ok(())
    }
}

/// `ENAMETOOLONG` for a part of a path that no file can have.
pub(super) fn check_name(name: &[u8]) -> Result<(), Errno> {
    if name.len() > NAME_BYTES_MAX { Err(Errno::ENAMETOOLONG) } else { Ok(()) }
}
