//! What open files tell when they go.

use super::inotify::Watches;
use super::locks::Locks;
use super::usage::Usage;
use super::users::Users;

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
}
