//! A block device of the lab's, on a file.

use std::path::{Path, PathBuf};

use stockade_tests::Cmd;

/// It goes with this.
pub(super) struct LoopDevice(PathBuf);

impl LoopDevice {
    /// A device that has what `file` has.
    pub(super) fn new(file: &Path) -> Self {
        let output = Cmd::new("losetup").args(["--find", "--show"]).arg(file).ok();
        Self(output.stdout.trim_end().into())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        Cmd::new("losetup").arg("--detach").arg(&self.0).ok();
    }
}
