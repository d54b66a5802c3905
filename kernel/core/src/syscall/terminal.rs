//! The slave of a terminal by its master (TIOCGPTPEER).

use alloc::sync::Arc;

use super::new_file::install;
use crate::Errno;
use crate::task::Task;
use crate::vfs::{Caller, Name, OpenFlags, OpenHow, Opened};

/// Opens the slave with this number, as the task sees /dev/pts, and gives it a descriptor.
pub(crate) fn open_terminal(task: &Arc<Task>, number: u32, flags: u64) -> Result<u64, Errno> {
    let flags = u32::try_from(flags).ok().and_then(OpenFlags::from_bits).ok_or(Errno::EINVAL)?;
    let (context, caller) = (task.fs(), Caller::of(task));
    let text = alloc::format!("/dev/pts/{number}");
    let name = Name::new(&context, &caller, text.as_bytes());
    match task.kernel().vfs().open(&name, &OpenHow::existing(flags))? {
        Opened::File(file) => install(task, file, flags),
        Opened::Fifo(_) => Err(Errno::EIO),
    }
}
