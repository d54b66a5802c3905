//! An instance as one task sees it, who asks another instance or poll(2): its files show that task its own.

use alloc::sync::{Arc, Weak};

use super::Epoll;
use crate::task::Task;
use crate::vfs::{FileObject, PollEvents};
use crate::wait::SharedQueue;

/// For as long as a call looks.
#[derive(Debug)]
pub(super) struct Seen {
    epoll: Arc<Epoll>,
    looker: Weak<Task>,
}

impl Seen {
    /// By this task.
    pub fn new(epoll: Arc<Epoll>, task: &Arc<Task>) -> Self {
        Self { epoll, looker: Arc::downgrade(task) }
    }
}

impl FileObject for Seen {
    fn poll(&self) -> PollEvents {
        let looker = self.looker.upgrade();
        if self.epoll.is_ready_for(looker.as_ref()) { PollEvents::READABLE } else { PollEvents::empty() }
    }

    fn queue(&self) -> Option<SharedQueue> {
        self.epoll.queue()
    }
}
