//! Options of the socket level that are more than an integer, and few use: the interface, the pace, what ss(8) asks.

use alloc::vec::Vec;

use linux_raw_sys::net as abi;

use crate::Errno;
use crate::net::Socket;
use crate::task::{Capabilities, Task};

/// The only interface, and IFNAMSIZ.
const INTERFACE: &[u8] = b"lo";
const INTERFACE_NUMBER: i32 = 1;
const NAME_BYTES: usize = 16;

/// The value of an option, for a reader with room for so many bytes; `None` if it is none of these.
pub(super) fn get(socket: &dyn Socket, name: u32, room: usize) -> Option<Result<Vec<u8>, Errno>> {
    match name {
        abi::SO_BINDTODEVICE => Some(device(socket, room)),
        abi::SO_COOKIE if room < 8 => Some(Err(Errno::EINVAL)),
        abi::SO_COOKIE => Some(Ok(socket.common().cookie().to_le_bytes().to_vec())),
        abi::SO_MAX_PACING_RATE => Some(Ok(pace(socket, room))),
        abi::SO_MEMINFO => Some(Ok(memory(socket))),
        _ => None,
    }
}

fn device(socket: &dyn Socket, room: usize) -> Result<Vec<u8>, Errno> {
    match socket.common().options.lock().is_bound_to_device {
        false => Ok(Vec::new()),
        true if room < NAME_BYTES => Err(Errno::EINVAL),
        true => Ok([INTERFACE, &[0]].concat()),
    }
}

fn pace(socket: &dyn Socket, room: usize) -> Vec<u8> {
    let rate = socket.common().options.lock().pacing_rate;
    if room >= 8 {
        return rate.to_le_bytes().to_vec();
    }
    u32::try_from(rate).unwrap_or(u32::MAX).to_le_bytes().to_vec()
}

/// `sk_get_meminfo` of Linux: what waits to be read, the room for it, what is under way, and the room for that.
fn memory(socket: &dyn Socket) -> Vec<u8> {
    let number = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let (readable, unread) = (number(socket.readable_bytes()), number(socket.unread_bytes()));
    let options = socket.common().options.lock();
    let (receives, sends) = (number(options.receive_bytes()), number(options.send_bytes()));
    [readable, receives, unread, sends, 0, unread, 0, 0, 0].map(u32::to_le_bytes).concat()
}

/// Changes an option. Says whether it was one of these.
pub(super) fn set(task: &Task, socket: &dyn Socket, name: u32, value: u64, len: usize) -> Result<bool, Errno> {
    match name {
        abi::SO_BINDTODEVICE => {
            let wanted = task.memory().read_vec(value, len.min(NAME_BYTES - 1))?;
            let end = wanted.iter().position(|byte| *byte == 0).unwrap_or(wanted.len());
            match &wanted[..end] {
                b"" => bind_to_device(task, socket, false)?,
                INTERFACE => bind_to_device(task, socket, true)?,
                _ => return Err(Errno::ENODEV),
            }
        }
        _ if len < 4 => return Ok(false),
        abi::SO_BINDTOIFINDEX => match task.memory().read_struct::<i32>(value)? {
            0 => bind_to_device(task, socket, false)?,
            INTERFACE_NUMBER => bind_to_device(task, socket, true)?,
            number if number < 0 => return Err(Errno::EINVAL),
            _ => return Err(Errno::ENODEV),
        },
        abi::SO_MAX_PACING_RATE => {
            let rate = if len >= 8 { task.memory().read_struct(value)? } else { short_rate(task, value)? };
            socket.common().options.lock().pacing_rate = rate;
        }
        // There never is one.
        abi::SO_DETACH_FILTER => return Err(Errno::ENOENT),
        _ => return Ok(false),
    }
    Ok(true)
}

/// All bits of 32 mean no limit, as all of 64 do.
fn short_rate(task: &Task, address: u64) -> Result<u64, Errno> {
    let rate: u32 = task.memory().read_struct(address)?;
    Ok(if rate == u32::MAX { u64::MAX } else { rate.into() })
}

/// Who is bound already needs a capability to change it (socket(7)).
fn bind_to_device(task: &Task, socket: &dyn Socket, bound: bool) -> Result<(), Errno> {
    let mut options = socket.common().options.lock();
    if options.is_bound_to_device && !task.credentials().has(Capabilities::NET_RAW) {
        return Err(Errno::EPERM);
    }
    options.is_bound_to_device = bound;
    Ok(())
}
