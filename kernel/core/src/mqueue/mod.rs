//! POSIX message queues (mq_overview(7)), of one container.
//!
//! Lock order: the directory's names, a queue's state, the accounts. None is held while somebody is woken or told.

mod account;
mod directory;
mod notify;
mod place;
mod queue;

use alloc::sync::Arc;

use stockade_kernel_sync::Mutex;

use crate::Kernel;

pub use account::{Limits, Maker, PRIORITIES};
pub(crate) use directory::queue_of;
pub use directory::{Directory, Mqueue};
pub use notify::{COOKIE_BYTES, Notice, Registration, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD};
pub use place::Place;
pub use queue::{Attributes, Message, Queue};

use account::Accounts;

/// The queues of a container, and what they may take.
#[derive(Debug, Default)]
pub struct MessageQueues {
    accounts: Arc<Accounts>,
    directory: Mutex<Option<Arc<Directory>>>,
}

impl MessageQueues {
    /// The settings of /proc/sys/fs/mqueue.
    pub fn limits(&self) -> Limits {
        self.accounts.limits()
    }

    /// Changes them.
    pub fn set_limits(&self, limits: Limits) {
        self.accounts.set_limits(limits);
    }

    /// Where all of them are.
    pub fn directory(&self, kernel: &Arc<Kernel>) -> Arc<Directory> {
        self.directory.lock().get_or_insert_with(|| Directory::new(&self.accounts, kernel)).clone()
    }
}
