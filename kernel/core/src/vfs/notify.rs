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
        self.notify_changed(file);
        self.tell_directory(directory, WatchMask::CREATE, 0, name, file.inode().kind());
    }

    pub(super) fn notify_removed(&self, directory: &Path, name: &[u8], file: &Path) {
        self.tell_directory(directory, WatchMask::DELETE, 0, name, file.inode().kind());
        self.notify_replaced(file);
    }

    /// A file lost a name, maybe its last.
    pub(super) fn notify_replaced(&self, file: &Path) {
        let watches = &self.hooks().watches;
        if watches.is_empty() {
            return;
        }
        let key = file.key();
        if file.stat().is_ok_and(|stat| stat.nlink > 0) {
            return watches.tell(key, WatchMask::ATTRIB, 0, b"");
        }
        watches.tell(key, WatchMask::ATTRIB, 0, b"");
        watches.tell(key, WatchMask::DELETE_SELF, 0, b"");
        watches.drop_file(key);
    }

    pub(super) fn notify_moved(&self, from: &Path, name: &[u8], to: &Path, to_name: &[u8], file: &Path) {
        if self.hooks().watches.is_empty() {
            return;
        }
        let (cookie, kind) = (COOKIE.fetch_add(1, Ordering::Relaxed), file.inode().kind());
        self.tell_directory(from, WatchMask::MOVED_FROM, cookie, name, kind);
        self.tell_directory(to, WatchMask::MOVED_TO, cookie, to_name, kind);
        self.hooks().watches.tell(file.key(), WatchMask::MOVE_SELF, 0, b"");
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
    /// Tells those who watch a file, and those who watch its directory.
    pub fn tell_file(&self, path: &Path, mask: WatchMask) {
        if self.is_empty() {
            return;
        }
        let mask = with_kind(mask, path.inode().kind());
        self.tell(path.key(), mask, 0, b"");
        if let Some(parent) = path.dentry.parent().filter(|_| !path.dentry.is_unlinked()) {
            let parent = Path { mount: path.mount.clone(), dentry: parent };
            self.tell(parent.key(), mask, 0, &path.dentry.name());
        }
    }
}
