//! capget(2), capset(2).

use alloc::sync::Arc;

use super::Call;
use crate::Errno;
use crate::task::{Capabilities, Pid, Task};
use crate::wait::Stop;

const VERSION_1: u32 = 0x1998_0330;
const VERSION_2: u32 = 0x2007_1026;
const VERSION_3: u32 = 0x2008_0522;

/// Which task, and in how many pieces of 32 bits the sets come. An unknown version is answered with the known one.
fn header(task: &Task, call: &Call) -> Result<(i32, usize), Errno> {
    let memory = task.memory();
    let version: u32 = memory.read_struct(call.arg(0))?;
    let pieces = match version {
        VERSION_1 => 1,
        VERSION_2 | VERSION_3 => 2,
        _ => {
            memory.write_struct(call.arg(0), &VERSION_3)?;
            return Err(Errno::EINVAL);
        }
    };
    Ok((memory.read_struct(call.arg(0).wrapping_add(4))?, pieces))
}

/// capget(2)
pub fn capget(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let (pid, pieces) = match header(task, call) {
        Err(Errno::EINVAL) if call.arg(1) == 0 => return Ok(()),
        header => header?,
    };
    if pid < 0 {
        return Err(Errno::EINVAL.into());
    }
    let other = match Pid::new(pid) {
        None => task.clone(),
        Some(pid) => task.process().pids().task(pid).ok_or(Errno::ESRCH)?,
    };
    if call.arg(1) == 0 {
        return Ok(());
    }
    let credentials = other.credentials();
    let sets = [credentials.effective, credentials.permitted, credentials.inheritable].map(|set| set.bits());
    let piece = |set: u64, at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| set.to_le_bytes()[at * 4 + byte]));
    let words: alloc::vec::Vec<u32> = (0..pieces).flat_map(|at| sets.map(|set| piece(set, at))).collect();
    Ok(task.memory().write_array(call.arg(1), &words)?)
}

/// capset(2)
pub fn capset(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let (pid, pieces) = header(task, call)?;
    if pid != 0 && Pid::new(pid) != Some(task.tid()) {
        return Err(Errno::EPERM.into());
    }
    let words: alloc::vec::Vec<u32> = task.memory().read_array(call.arg(1), pieces * 3)?;
    let high = |index: usize| words.get(3 + index).copied().unwrap_or(0);
    let set = |index: usize| Capabilities::from_bits_truncate(u64::from(words[index]) | u64::from(high(index)) << 32);
    Ok(task.change_credentials(|credentials| credentials.set_capabilities(set(0), set(1), set(2)))?)
}
