//! Another process' memory: process_vm_readv(2), process_vm_writev(2).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Call;
use crate::Errno;
use crate::io::{Sink, Source, UserBuffer};
use crate::mm::Memory;
use crate::task::{Pid, Task};
use crate::wait::Stop;

/// What is copied at a time.
const STEP_BYTES: usize = 256 << 10;

/// process_vm_readv(2)
pub fn process_vm_readv(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let (other, [local, remote]) = sides(task, call)?;
    let memory = task.memory();
    let mut to = memory.vectors(local.0, local.1)?;
    Ok(copy(&mut remote_buffer(&memory, &other, remote)?, &mut to)?)
}

/// process_vm_writev(2)
pub fn process_vm_writev(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let (other, [local, remote]) = sides(task, call)?;
    let memory = task.memory();
    let mut from = memory.vectors(local.0, local.1)?;
    Ok(copy(&mut from, &mut remote_buffer(&memory, &other, remote)?)?)
}

type Vectors = (u64, usize);

/// The other process' memory, and where the arrays of ranges are: here and there.
fn sides(task: &Task, call: &Call) -> Result<(Arc<Memory>, [Vectors; 2]), Errno> {
    if call.arg(5) != 0 {
        return Err(Errno::EINVAL);
    }
    let pid = Pid::new(call.int(0)).ok_or(Errno::ESRCH)?;
    let other = task.process().pids().task(pid).ok_or(Errno::ESRCH)?;
    task.check_inspect(&other)?;
    Ok((other.memory(), [(call.arg(1), call.size(2)), (call.arg(3), call.size(4))]))
}

/// Ranges of the other process, which are listed in this one.
fn remote_buffer<'a>(memory: &Memory, other: &'a Memory, (address, count): Vectors) -> Result<UserBuffer<'a>, Errno> {
    let ranges = memory.vector_ranges(address, count)?;
    Ok(UserBuffer::new(other, ranges))
}

/// Copies until one side ends or faults; `EFAULT` when nothing was copied.
fn copy(from: &mut dyn Source, to: &mut dyn Sink) -> Result<usize, Errno> {
    let mut done = 0;
    loop {
        let step = from.remaining().min(to.remaining()).min(STEP_BYTES);
        if step == 0 {
            return Ok(done);
        }
        let mut bytes: Vec<u8> = alloc::vec![0; step];
        let moved = from.take(&mut bytes).and_then(|count| to.put(&bytes[..count]));
        match moved {
            Ok(count) => done += count,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => return Ok(done),
        }
    }
}
