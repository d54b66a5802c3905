//! Who a task is (credentials(7), capabilities(7)).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Capabilities;

/// User and group ids, and capabilities. Shared between tasks and replaced as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Real user id.
    pub uid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Saved user id.
    pub suid: u32,
    /// File system user id.
    pub fsuid: u32,
    /// Real group id.
    pub gid: u32,
    /// Effective group id.
    pub egid: u32,
    /// Saved group id.
    pub sgid: u32,
    /// File system group id.
    pub fsgid: u32,
    /// Supplementary groups, sorted.
    pub groups: Arc<Vec<u32>>,
    /// Capability sets, a bit each.
    pub effective: Capabilities,
    /// What can become effective.
    pub permitted: Capabilities,
    /// What survives exec of a file with inheritable capabilities.
    pub inheritable: Capabilities,
    /// What exec can give.
    pub bounding: Capabilities,
    /// What survives exec of an ordinary file.
    pub ambient: Capabilities,
    /// prctl(PR_SET_SECUREBITS).
    pub securebits: u32,
    /// prctl(PR_SET_NO_NEW_PRIVS).
    pub no_new_privs: bool,
    /// prctl(PR_SET_KEEPCAPS).
    pub keep_capabilities: bool,
}

impl Credentials {
    /// Root with these capabilities.
    pub fn root(capabilities: Capabilities) -> Self {
        Self {
            uid: 0,
            euid: 0,
            suid: 0,
            fsuid: 0,
            gid: 0,
            egid: 0,
            sgid: 0,
            fsgid: 0,
            groups: Arc::new(Vec::new()),
            effective: capabilities,
            permitted: capabilities,
            inheritable: Capabilities::empty(),
            bounding: capabilities,
            ambient: Capabilities::empty(),
            securebits: 0,
            no_new_privs: false,
            keep_capabilities: false,
        }
    }

    /// Whether a capability is effective.
    pub fn has(&self, capability: Capabilities) -> bool {
        self.effective.contains(capability)
    }

    /// Whether a group is the file system group or a supplementary one.
    pub fn in_group(&self, group: u32) -> bool {
        self.fsgid == group || self.groups.binary_search(&group).is_ok()
    }
}
