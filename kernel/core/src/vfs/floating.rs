//! Mounts that show nowhere: what a descriptor of fsmount(2) or open_tree(2) stands for.

use alloc::sync::Arc;

use super::{FileObject, Mount, MountNamespace};

/// The inside of such a descriptor. With the last one of it the mounts go, unless they were put somewhere.
#[derive(Debug)]
pub struct FloatingTree {
    namespace: Arc<MountNamespace>,
    mount: Arc<Mount>,
}

impl FloatingTree {
    /// Of a mount that the namespace knows.
    pub fn new(namespace: &Arc<MountNamespace>, mount: Arc<Mount>) -> Self {
        Self { namespace: namespace.clone(), mount }
    }
}

impl FileObject for FloatingTree {}

impl Drop for FloatingTree {
    fn drop(&mut self) {
        self.namespace.sink(&self.mount);
    }
}
