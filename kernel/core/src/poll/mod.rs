//! Looking at many files at once (poll(2), select(2)).

use alloc::sync::Arc;

use crate::Errno;
use crate::syscall::Call;
use crate::task::Task;
use crate::vfs::{File, PollEvents};

/// What is always told.
pub const ALWAYS: PollEvents = PollEvents::ERR.union(PollEvents::HUP);

/// Whether a look that finds nothing is followed by waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It is.
    Wait,
    /// It is not: the time is over, or something was found already.
    Once,
}

/// What of `wanted` a file has. Watches the file when there is nothing and the caller will wait.
pub fn look(task: &Arc<Task>, call: &mut Call, file: &File, wanted: PollEvents, look: Look) -> PollEvents {
    let own = file.object().seen_by(task);
    let object = own.as_ref().unwrap_or_else(|| file.object());
    let found = object.poll() & (wanted | ALWAYS);
    if found.is_empty()
        && look == Look::Wait
        && let Some(queue) = object.queue()
    {
        call.watch_for(task, &queue, wanted | ALWAYS);
    }
    found
}

/// The file behind a descriptor that is polled: those opened with O_PATH are as good as closed.
pub fn polled(task: &Arc<Task>, fd: i32) -> Result<Arc<File>, Errno> {
    task.files().get_open(fd)
}
