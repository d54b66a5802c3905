//! What one user may have of some objects, in all processes together (/proc/sys/fs).

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use stockade_kernel_sync::Mutex;

use super::Hooks;
use crate::Errno;

/// Objects that are counted by user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UserLimit {
    /// /proc/sys/fs/inotify/max_user_instances
    InotifyInstances,
    /// /proc/sys/fs/inotify/max_user_watches
    InotifyWatches,
    /// /proc/sys/fs/epoll/max_user_watches
    EpollWatches,
}

impl UserLimit {
    /// How many a user may have.
    pub fn most(self) -> u32 {
        match self {
            Self::InotifyInstances => 128,
            Self::InotifyWatches => 65_536,
            Self::EpollWatches => 1 << 20,
        }
    }

    /// What is said to who wants more.
    fn errno(self) -> Errno {
        match self {
            Self::InotifyInstances => Errno::EMFILE,
            Self::InotifyWatches | Self::EpollWatches => Errno::ENOSPC,
        }
    }
}

/// How many objects each user has.
#[derive(Debug, Default)]
pub struct Users(Mutex<BTreeMap<(UserLimit, u32), u32>>);

/// A user whose objects are counted.
#[derive(Clone, Debug)]
pub struct User {
    hooks: Arc<Hooks>,
    uid: u32,
}

impl User {
    /// By its id.
    pub fn new(hooks: &Arc<Hooks>, uid: u32) -> Self {
        Self { hooks: hooks.clone(), uid }
    }

    /// The tables of its kernel.
    pub(super) fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    /// Counts one more object.
    pub fn charge(&self, limit: UserLimit) -> Result<UserCharge, Errno> {
        let mut counts = self.hooks.users.0.lock();
        let count = counts.entry((limit, self.uid)).or_default();
        if *count >= limit.most() {
            return Err(limit.errno());
        }
        *count += 1;
        Ok(UserCharge { user: self.clone(), limit })
    }
}

/// One object of a user's, counted until this is dropped.
#[derive(Debug)]
pub struct UserCharge {
    user: User,
    limit: UserLimit,
}

impl UserCharge {
    /// Whose it is.
    pub fn user(&self) -> &User {
        &self.user
    }
}

impl Drop for UserCharge {
    fn drop(&mut self) {
        let mut counts = self.user.hooks.users.0.lock();
        let key = (self.limit, self.user.uid);
        if let Some(count) = counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn each_user_has_a_limit_of_its_own() {
        let hooks = Arc::new(Hooks::default());
        let [one, other] = [1, 2].map(|uid| User::new(&hooks, uid));
        let instances = UserLimit::InotifyInstances;
        let mut held: Vec<_> = (0..instances.most()).map(|_| one.charge(instances).unwrap()).collect();
        assert_eq!(one.charge(instances).err(), Some(Errno::EMFILE));
        assert!(other.charge(instances).is_ok() && one.charge(UserLimit::EpollWatches).is_ok());
        held.pop();
        assert!(one.charge(instances).is_ok());
        drop(held);
        assert!(hooks.users.0.lock().is_empty());
    }
}
