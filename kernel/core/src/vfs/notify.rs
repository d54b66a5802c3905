//! Where changes are told to watchers (inotify(7)).

use super::{FileKind, Path, Vfs};

impl Vfs {
    pub(super) fn notify_created(&self, _directory: &Path, _name: &[u8], _kind: FileKind) {}

    pub(super) fn notify_linked(&self, _directory: &Path, _name: &[u8], _file: &Path) {}

    pub(super) fn notify_removed(&self, _directory: &Path, _name: &[u8], _file: &Path) {}

    pub(super) fn notify_replaced(&self, _file: &Path) {}

    pub(super) fn notify_moved(&self, _from: &Path, _name: &[u8], _to: &Path, _to_name: &[u8], _file: &Path) {}

    pub(super) fn notify_changed(&self, _path: &Path) {}

    pub(super) fn notify_modified(&self, _path: &Path) {}
}
