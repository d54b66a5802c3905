//! How ids and capabilities change together (credentials(7), capabilities(7)). Pure rules; the calls are in
//! `syscall/ids.rs` and `syscall/capabilities.rs`.

use super::{Capabilities, Credentials};
use crate::Errno;

/// `SECURE_NO_SETUID_FIXUP`
const NO_SETUID_FIXUP: u32 = 1 << 2;

/// The capabilities that follow the file system user id.
const FILE_SYSTEM: Capabilities = Capabilities::CHOWN
    .union(Capabilities::MKNOD)
    .union(Capabilities::DAC_OVERRIDE)
    .union(Capabilities::DAC_READ_SEARCH)
    .union(Capabilities::FOWNER)
    .union(Capabilities::FSETID)
    .union(Capabilities::LINUX_IMMUTABLE);

/// Ids for setresuid(2) and its like; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewIds {
    pub real: Option<u32>,
    pub effective: Option<u32>,
    pub saved: Option<u32>,
}

impl Credentials {
    /// setuid(2)
    pub(crate) fn set_uid(&mut self, uid: u32) -> Result<(), Errno> {
        let all = self.has(Capabilities::SETUID);
        if !all && uid != self.uid && uid != self.suid {
            return Err(Errno::EPERM);
        }
        let other = all.then_some(uid);
        self.replace_uids(NewIds { real: other, effective: Some(uid), saved: other });
        Ok(())
    }

    /// setreuid(2)
    pub(crate) fn set_reuid(&mut self, real: Option<u32>, effective: Option<u32>) -> Result<(), Errno> {
        let free = self.has(Capabilities::SETUID);
        let real_ok = real.is_none_or(|uid| [self.uid, self.euid].contains(&uid));
        let effective_ok = effective.is_none_or(|uid| [self.uid, self.euid, self.suid].contains(&uid));
        let allowed = free || real_ok && effective_ok;
        if !allowed {
            return Err(Errno::EPERM);
        }
        let saves = real.is_some() || effective.is_some_and(|uid| uid != self.uid);
        let saved = saves.then(|| effective.unwrap_or(self.euid));
        self.replace_uids(NewIds { real, effective, saved });
        Ok(())
    }

    /// setresuid(2)
    pub(crate) fn set_resuid(&mut self, new: NewIds) -> Result<(), Errno> {
        let known = [self.uid, self.euid, self.suid];
        if !self.has(Capabilities::SETUID) && !new.all_in(known) {
            return Err(Errno::EPERM);
        }
        self.replace_uids(new);
        Ok(())
    }

    fn replace_uids(&mut self, new: NewIds) {
        let old = self.clone();
        self.uid = new.real.unwrap_or(self.uid);
        self.euid = new.effective.unwrap_or(self.euid);
        self.suid = new.saved.unwrap_or(self.suid);
        self.fsuid = self.euid;
        if self.securebits & NO_SETUID_FIXUP == 0 {
            self.fix_capabilities(&old);
        }
    }

    /// `cap_emulate_setxuid` of Linux.
    fn fix_capabilities(&mut self, old: &Credentials) {
        let is_root = |credentials: &Credentials| [credentials.uid, credentials.euid, credentials.suid].contains(&0);
        if is_root(old) && !is_root(self) {
            if !self.keep_capabilities {
                self.permitted = Capabilities::empty();
                self.effective = Capabilities::empty();
            }
            self.ambient = Capabilities::empty();
        }
        if old.euid == 0 && self.euid != 0 {
            self.effective = Capabilities::empty();
        }
        if old.euid != 0 && self.euid == 0 {
            self.effective = self.permitted;
        }
    }

    /// setfsuid(2): gives the old id.
    pub(crate) fn set_fsuid(&mut self, uid: u32) -> u32 {
        let old = self.fsuid;
        let known = [self.uid, self.euid, self.suid, self.fsuid];
        if uid == u32::MAX || !(known.contains(&uid) || self.has(Capabilities::SETUID)) {
            return old;
        }
        self.fsuid = uid;
        if self.securebits & NO_SETUID_FIXUP == 0 {
            if old == 0 && uid != 0 {
                self.effective -= FILE_SYSTEM;
            } else if old != 0 && uid == 0 {
                self.effective |= self.permitted & FILE_SYSTEM;
            }
        }
        old
    }

    /// setgid(2)
    pub(crate) fn set_gid(&mut self, gid: u32) -> Result<(), Errno> {
        let all = self.has(Capabilities::SETGID);
        if !all && gid != self.gid && gid != self.sgid {
            return Err(Errno::EPERM);
        }
        let other = all.then_some(gid);
        self.replace_gids(NewIds { real: other, effective: Some(gid), saved: other });
        Ok(())
    }

    /// setregid(2)
    pub(crate) fn set_regid(&mut self, real: Option<u32>, effective: Option<u32>) -> Result<(), Errno> {
        let free = self.has(Capabilities::SETGID);
        let real_ok = real.is_none_or(|gid| [self.gid, self.egid].contains(&gid));
        let effective_ok = effective.is_none_or(|gid| [self.gid, self.egid, self.sgid].contains(&gid));
        let allowed = free || real_ok && effective_ok;
        if !allowed {
            return Err(Errno::EPERM);
        }
        let saves = real.is_some() || effective.is_some_and(|gid| gid != self.gid);
        let saved = saves.then(|| effective.unwrap_or(self.egid));
        self.replace_gids(NewIds { real, effective, saved });
        Ok(())
    }

    /// setresgid(2)
    pub(crate) fn set_resgid(&mut self, new: NewIds) -> Result<(), Errno> {
        let known = [self.gid, self.egid, self.sgid];
        if !self.has(Capabilities::SETGID) && !new.all_in(known) {
            return Err(Errno::EPERM);
        }
        self.replace_gids(new);
        Ok(())
    }

    fn replace_gids(&mut self, new: NewIds) {
        self.gid = new.real.unwrap_or(self.gid);
        self.egid = new.effective.unwrap_or(self.egid);
        self.sgid = new.saved.unwrap_or(self.sgid);
        self.fsgid = self.egid;
    }

    /// setfsgid(2): gives the old id.
    pub(crate) fn set_fsgid(&mut self, gid: u32) -> u32 {
        let old = self.fsgid;
        let known = [self.gid, self.egid, self.sgid, self.fsgid];
        if gid != u32::MAX && (known.contains(&gid) || self.has(Capabilities::SETGID)) {
            self.fsgid = gid;
        }
        old
    }

    /// capset(2)
    pub(crate) fn set_capabilities(
        &mut self,
        effective: Capabilities,
        permitted: Capabilities,
        inheritable: Capabilities,
    ) -> Result<(), Errno> {
        let capped = !self.has(Capabilities::SETPCAP);
        if capped && !(self.inheritable | self.permitted).contains(inheritable) {
            return Err(Errno::EPERM);
        }
        let in_bounds = (self.inheritable | self.bounding).contains(inheritable);
        if !in_bounds || !self.permitted.contains(permitted) || !permitted.contains(effective) {
            return Err(Errno::EPERM);
        }
        self.effective = effective;
        self.permitted = permitted;
        self.inheritable = inheritable;
        self.ambient &= permitted & inheritable;
        Ok(())
    }

    /// Whether somebody else's view of the task must be restricted after a change (`commit_creds` of Linux).
    pub(crate) fn differs_in_power(&self, old: &Credentials) -> bool {
        (self.euid, self.egid, self.fsuid, self.fsgid) != (old.euid, old.egid, old.fsuid, old.fsgid)
            || !old.permitted.contains(self.permitted)
    }
}

impl NewIds {
    fn all_in(self, known: [u32; 3]) -> bool {
        [self.real, self.effective, self.saved].into_iter().flatten().all(|id| known.contains(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: u32) -> Credentials {
        let mut credentials = Credentials::root(Capabilities::all());
        credentials.set_resuid(NewIds { real: Some(uid), effective: Some(uid), saved: Some(uid) }).expect("root may");
        credentials
    }

    #[test]
    fn root_loses_its_capabilities_with_its_last_root_id() {
        let mut credentials = Credentials::root(Capabilities::all());
        credentials.set_reuid(None, Some(7)).expect("root may");
        assert!(credentials.effective.is_empty());
        assert_eq!(credentials.permitted, Capabilities::all());
        credentials.set_reuid(None, Some(0)).expect("the saved id is root's");
        assert_eq!(credentials.effective, Capabilities::all());
        assert!(user(7).permitted.is_empty());
    }

    #[test]
    fn kept_capabilities_are_permitted_but_not_effective() {
        let mut credentials = Credentials::root(Capabilities::all());
        credentials.keep_capabilities = true;
        credentials.set_uid(7).expect("root may");
        assert_eq!((credentials.permitted, credentials.effective), (Capabilities::all(), Capabilities::empty()));
    }

    #[test]
    fn others_only_swap_the_ids_that_they_have() {
        let mut credentials = user(7);
        assert_eq!(credentials.set_uid(8), Err(Errno::EPERM));
        assert_eq!(credentials.set_reuid(Some(8), None), Err(Errno::EPERM));
        assert_eq!(credentials.set_uid(7), Ok(()));
        assert_eq!(credentials.set_fsuid(8), 7);
        assert_eq!(credentials.fsuid, 7);
    }

    #[test]
    fn capabilities_are_only_given_up() {
        let mut credentials = Credentials::root(Capabilities::KILL | Capabilities::CHOWN);
        let (kill, none) = (Capabilities::KILL, Capabilities::empty());
        assert_eq!(credentials.set_capabilities(kill, kill, none), Ok(()));
        assert_eq!(credentials.set_capabilities(kill, Capabilities::CHOWN, none), Err(Errno::EPERM));
        assert_eq!(credentials.set_capabilities(kill, none, none), Err(Errno::EPERM));
    }
}
