//! Who writes a file, and who runs it: never both (`ETXTBSY`).

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use stockade_kernel_sync::Mutex;

use super::InodeKey;
use super::hooks::Hooks;
use crate::Errno;

/// The files that somebody writes or runs: how many write, or below zero how many run.
#[derive(Debug, Default)]
pub struct Usage(Mutex<BTreeMap<InodeKey, i64>>);

/// One who writes or runs a file, until it is dropped.
#[derive(Debug)]
pub struct InUse {
    hooks: Arc<Hooks>,
    key: InodeKey,
    step: i64,
}

impl Usage {
    /// `ETXTBSY` when somebody runs the file.
    pub fn check_writable(&self, key: InodeKey) -> Result<(), Errno> {
        if self.0.lock().get(&key).is_some_and(|users| *users < 0) { Err(Errno::ETXTBSY) } else { Ok(()) }
    }
}

impl Hooks {
    /// One more writes the file: `ETXTBSY` when somebody runs it.
    pub fn begin_writing(self: &Arc<Self>, key: InodeKey) -> Result<InUse, Errno> {
        self.begin(key, 1)
    }

    /// One more runs the file: `ETXTBSY` when somebody writes it.
    pub fn begin_running(self: &Arc<Self>, key: InodeKey) -> Result<InUse, Errno> {
        self.begin(key, -1)
    }

    fn begin(self: &Arc<Self>, key: InodeKey, step: i64) -> Result<InUse, Errno> {
        let mut files = self.usage.0.lock();
        let users = files.entry(key).or_default();
        if *users != 0 && users.signum() != step {
            return Err(Errno::ETXTBSY);
        }
        *users += step;
        Ok(InUse { hooks: self.clone(), key, step })
    }
}

impl InUse {
    /// One more of the same kind.
    pub fn again(&self) -> Self {
        *self.hooks.usage.0.lock().entry(self.key).or_default() += self.step;
        Self { hooks: self.hooks.clone(), key: self.key, step: self.step }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut files = self.hooks.usage.0.lock();
        if let Some(users) = files.get_mut(&self.key) {
            *users -= self.step;
            if *users == 0 {
                files.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::Device;

    #[test]
    fn a_file_is_written_or_run() {
        let (hooks, key) = (Arc::new(Hooks::default()), InodeKey { device: Device::new(0, 1), ino: 1 });
        let writers = [hooks.begin_writing(key).unwrap(), hooks.begin_writing(key).unwrap()];
        assert!(matches!(hooks.begin_running(key), Err(Errno::ETXTBSY)));
        drop(writers);
        let running = hooks.begin_running(key).unwrap();
        drop(running.again());
        assert!(matches!(hooks.begin_writing(key), Err(Errno::ETXTBSY)));
        assert_eq!(hooks.usage.check_writable(key), Err(Errno::ETXTBSY));
        drop(running);
        assert_eq!(hooks.usage.check_writable(key), Ok(()));
    }
}
