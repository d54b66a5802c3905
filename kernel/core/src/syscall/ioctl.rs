//! ioctl(2).

use alloc::sync::Arc;

use linux_raw_sys::{general::O_NONBLOCK, ioctl};

use super::Call;
use crate::Errno;
use crate::task::Task;
use crate::vfs::{FdFlags, File, FileKind, OpenFlags};
use crate::wait::Stop;

/// ioctl(2)
pub fn ioctl(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let (fd, request, argument) = (call.int(0), call.uint(1), call.arg(2));
    let files = task.files();
    let file = files.get_open(fd)?;
    match request {
        ioctl::FIOCLEX => files.set_flags(fd, FdFlags::CLOSE_ON_EXEC)?,
        ioctl::FIONCLEX => files.set_flags(fd, FdFlags::empty())?,
        ioctl::FIONBIO => set_status(task, &file, OpenFlags::from_bits_truncate(O_NONBLOCK), argument)?,
        ioctl::FIOASYNC => set_status(task, &file, OpenFlags::ASYNC, argument)?,
        ioctl::FIONREAD if file.inode().kind() == FileKind::Regular && file.object().queue().is_none() => {
            let rest = file.inode().stat()?.size.saturating_sub(file.position());
            task.memory().write_struct(argument, &i32::try_from(rest).unwrap_or(i32::MAX))?;
        }
        ioctl::FIGETBSZ if matches!(file.inode().kind(), FileKind::Regular | FileKind::Directory) => {
            task.memory().write_struct(argument, &4096_i32)?;
        }
        _ => {
            file.object().check_request(task, request)?;
            return Ok(file.object().ioctl(task, request, argument)?);
        }
    }
    Ok(0)
}

fn set_status(task: &Arc<Task>, file: &File, flag: OpenFlags, argument: u64) -> Result<(), Errno> {
    let on: i32 = task.memory().read_struct(argument)?;
    let mut flags = file.flags();
    flags.set(flag, on != 0);
    file.set_status(flags);
    Ok(())
}
