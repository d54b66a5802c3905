//! Who may use an object (`struct ipc_perm`).

use crate::Errno;
use crate::task::{Capabilities, Credentials};

bitflags::bitflags! {
    /// What is asked for; the bits of one class of a mode.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct IpcAccess: u32 {
        /// Reading.
        const READ = 4;
        /// Writing.
        const WRITE = 2;
    }
}

/// Owner, maker and mode of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpcPermission {
    /// What it is found by; 0 for none.
    pub key: i32,
    /// Owner.
    pub uid: u32,
    /// Group of the owner.
    pub gid: u32,
    /// Maker.
    pub creator_uid: u32,
    /// Group of the maker.
    pub creator_gid: u32,
    /// Permission bits.
    pub mode: u32,
}

impl IpcPermission {
    /// Of an object that somebody makes.
    pub fn new(key: i32, mode: u32, credentials: &Credentials) -> Self {
        let (uid, gid) = (credentials.euid, credentials.egid);
        Self { key, uid, gid, creator_uid: uid, creator_gid: gid, mode: mode & 0o777 }
    }

    /// `EACCES` unless the mode grants it.
    pub fn check(&self, credentials: &Credentials, access: IpcAccess) -> Result<(), Errno> {
        let own = [self.uid, self.creator_uid].contains(&credentials.euid);
        let group = |gid| credentials.egid == gid || credentials.groups.binary_search(&gid).is_ok();
        let shift = match own {
            true => 6,
            false if group(self.gid) || group(self.creator_gid) => 3,
            false => 0,
        };
        let granted = IpcAccess::from_bits_truncate(self.mode >> shift).contains(access);
        if granted || credentials.has(Capabilities::IPC_OWNER) { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// `EPERM` unless it is the caller's to change.
    pub fn check_owner(&self, credentials: &Credentials) -> Result<(), Errno> {
        let own = [self.uid, self.creator_uid].contains(&credentials.euid);
        if own || credentials.has(Capabilities::SYS_ADMIN) { Ok(()) } else { Err(Errno::EPERM) }
    }
}
