//! What open files tell when they go.

use alloc::sync::Arc;

use super::inotify::Watches;
use super::locks::Locks;
use super::usage::Usage;
use super::users::Users;
use crate::eventfd::Ids;

/// Tables that are kept by file, and that a file leaves when it is closed.
#[derive(Debug, Default)]
pub struct Hooks {
    /// Locks on files.
    pub locks: Locks,
    /// Who wants to hear of changes.
    pub watches: Watches,
    /// Who writes and runs files.
    pub usage: Usage,
    /// How much each user has.
    pub users: Users,
    /// The numbers of counters.
    pub counters: Arc<Ids>,
}
