//! Where what happens to files is told to those who watch.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use super::{File, FileKind, Path, Vfs, WatchMask};
use crate::task::Credentials;

static COOKIE: AtomicU32 = AtomicU32::new(1);

impl Vfs {
    pub(super) fn notify_created(&self, directory: &Path, name: &[u8], kind: FileKind) {
        self.tell_directory(directory, WatchMask::CREATE, 0, name, kind);
    }

    pub(super) fn notify_linked(&self, directory: &Path, name: &[u8], file: &Path) {
        self.hooks().watches.tell(file.key(), WatchMask::ATTRIB, 0, b"");
        self.tell_directory(directory, WatchMask::CREATE, 0, name, file.inode().kind());
    }

    pub(super) fn notify_removed(&self, directory: &Path, name: &[u8], file: &Path) {
        let (watches, kind) = (&self.hooks().watches, file.inode().kind());
        if kind != FileKind::Directory {
            watches.tell(file.key(), WatchMask::ATTRIB, 0, b"");
        }
        watches.file_unused(file);
        self.tell_directory(directory, WatchMask::DELETE, 0, name, kind);
    }

    /// A file was moved, maybe onto the name of another.
    pub(super) fn notify_moved(&self, from: (&Path, &[u8]), to: (&Path, &[u8]), file: &Path, replaced: Option<&Path>) {
        if self.hooks().watches.is_empty() {
            return;
        }
        let (cookie, kind) = (COOKIE.fetch_add(1, Ordering::Relaxed), file.inode().kind());
        let watches = &self.hooks().watches;
        self.tell_directory(from.0, WatchMask::MOVED_FROM, cookie, from.1, kind);
        self.tell_directory(to.0, WatchMask::MOVED_TO, cookie, to.1, kind);
        replaced.inspect(|path| watches.tell(path.key(), WatchMask::ATTRIB, 0, b""));
        watches.tell(file.key(), WatchMask::MOVE_SELF, 0, b"");
        replaced.inspect(|path| watches.file_unused(path));
    }

    pub(super) fn notify_changed(&self, path: &Path) {
        self.tell_file(path, WatchMask::ATTRIB);
    }

    pub(super) fn notify_modified(&self, path: &Path) {
        self.tell_file(path, WatchMask::MODIFY);
    }

    pub(super) fn notify_opened(&self, path: &Path) {
        self.tell_file(path, WatchMask::OPEN);
    }

    /// Bytes were read from a file.
    pub fn notify_read(&self, file: &Arc<File>, count: usize) {
        if count > 0 && !self.is_internal(file.path()) {
            self.tell_file(file.path(), WatchMask::ACCESS);
        }
    }

    /// Bytes were written to a file by somebody: takes set-id bits away, and tells watchers.
    pub fn notify_written(&self, file: &Arc<File>, count: usize, credentials: &Credentials) {
        if count > 0 && !self.is_internal(file.path()) {
            // The bytes are written, whatever becomes of the bits.
            let _unreported = self.wrote(file.path(), credentials);
        }
    }

    fn tell_directory(&self, directory: &Path, mask: WatchMask, cookie: u32, name: &[u8], kind: FileKind) {
        let watches = &self.hooks().watches;
        if !watches.is_empty() {
            watches.tell(directory.key(), with_kind(mask, kind), cookie, name);
        }
    }

    fn tell_file(&self, path: &Path, mask: WatchMask) {
        self.hooks().watches.tell_file(path, mask);
    }
}

fn with_kind(mask: WatchMask, kind: FileKind) -> WatchMask {
    if kind == FileKind::Directory { mask | WatchMask::IS_DIRECTORY } else { mask }
}

impl super::inotify::Watches {
    /// A file that neither has a name nor is open any more is gone: its watches end.
    pub fn file_unused(&self, file: &Path) {
        let gone = || file.dentry.is_unlinked() && !file.dentry.is_open();
        if !self.is_empty() && gone() && file.stat().is_ok_and(|stat| stat.nlink == 0) {
            self.tell(file.key(), WatchMask::DELETE_SELF, 0, b"");
            self.drop_file(file.key());
        }
    }

    /// Tells those who watch a file's directory, and those who watch the file.
    pub fn tell_file(&self, path: &Path, mask: WatchMask) {
        if self.is_empty() {
            return;
        }
        let mask = with_kind(mask, path.inode().kind());
        if let Some(parent) = path.dentry.parent() {
            let parent = Path { mount: path.mount.clone(), dentry: parent };
            let unlinked = path.dentry.is_unlinked();
            let wants = |watch: WatchMask| !(unlinked && watch.contains(WatchMask::EXCLUDE_UNLINKED));
            self.tell_those(parent.key(), mask, 0, &path.dentry.name(), wants);
        }
        self.tell(path.key(), mask, 0, b"");
    }
}
