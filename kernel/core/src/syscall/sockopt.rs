//! getsockopt(2) and setsockopt(2).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use linux_raw_sys::net as abi;

use super::Call;
use super::socket::Opened;
use super::socket_facts;
use crate::Errno;
use crate::abi::{Abi as _, Encoder, Timeval};
use crate::net::{Direction, Socket, TimeLimit};
use crate::task::Task;
use crate::wait::Stop;

/// SO_PEERCRED's answer when there is no peer: nobody.
const NOBODY: [u32; 3] = [0, u32::MAX, u32::MAX];

/// setsockopt(2)
pub fn setsockopt(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let opened = Opened::new(task, call.int(0))?;
    let (level, name, value, len) = (call.uint(1), call.uint(2), call.arg(3), call.int(4));
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    let socket = opened.socket()?;
    if level == abi::SOL_SOCKET && set_structure(task, &**socket, name, value, len)? {
        return Ok(());
    }
    if let Some(most) = socket.structure_len(level, name) {
        let bytes = task.memory().read_vec(value, len.min(most))?;
        return Ok(socket.set_structure(level, name, &bytes)?);
    }
    // Options of one byte are read as such at the internet level (ip(7)).
    let value = match len {
        1..=3 if level != abi::SOL_SOCKET => i32::from(task.memory().read_struct::<u8>(value)?),
        0..=3 => return Err(Errno::EINVAL.into()),
        _ => task.memory().read_struct(value)?,
    };
    match level {
        abi::SOL_SOCKET => set_common(&**socket, name, value)?,
        _ => socket.set_option(level, name, value)?,
    }
    Ok(())
}

fn set_common(socket: &dyn Socket, name: u32, value: i32) -> Result<(), Errno> {
    match name {
        abi::SO_TYPE | abi::SO_PROTOCOL | abi::SO_DOMAIN | abi::SO_ERROR | abi::SO_ACCEPTCONN => {
            Err(Errno::ENOPROTOOPT)
        }
        _ => {
            socket.common().options.lock().set(name, value)?;
            socket.option_changed(name);
            Ok(())
        }
    }
}

/// Options that are no integer. Says whether it was one.
fn set_structure(task: &Task, socket: &dyn Socket, name: u32, value: u64, len: usize) -> Result<bool, Errno> {
    match name {
        abi::SO_LINGER => {
            check_len(len, 8)?;
            let [on, seconds]: [i32; 2] = task.memory().read_struct(value)?;
            let mut options = socket.common().options.lock();
            (options.linger.on, options.linger.seconds) = (i32::from(on != 0), seconds);
        }
        abi::SO_RCVTIMEO_OLD | abi::SO_RCVTIMEO_NEW => {
            let limit = read_limit(task, value, len)?;
            socket.common().options.lock().receive_limit = limit;
        }
        abi::SO_SNDTIMEO_OLD | abi::SO_SNDTIMEO_NEW => {
            let limit = read_limit(task, value, len)?;
            socket.common().options.lock().send_limit = limit;
        }
        abi::SO_ATTACH_FILTER | abi::SO_ATTACH_BPF => return Err(Errno::EPERM),
        _ => return socket_facts::set(task, socket, name, value, len),
    }
    Ok(true)
}

fn check_len(len: usize, needed: usize) -> Result<(), Errno> {
    if len < needed { Err(Errno::EINVAL) } else { Ok(()) }
}

/// No time at all means no limit; a negative one is none left.
fn read_limit(task: &Task, address: u64, len: usize) -> Result<TimeLimit, Errno> {
    check_len(len, Timeval::LEN)?;
    let time: Timeval = task.memory().read_struct(address)?;
    if !(0..1_000_000).contains(&time.microseconds) {
        return Err(Errno::EDOM);
    }
    if time.seconds < 0 {
        return Ok(Some(Duration::ZERO));
    }
    let limit = time.duration()?;
    Ok(if limit.is_zero() { None } else { Some(limit) })
}

/// getsockopt(2)
pub fn getsockopt(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let opened = Opened::new(task, call.int(0))?;
    let (level, name) = (call.uint(1), call.uint(2));
    let memory = task.memory();
    let room: i32 = memory.read_struct(call.arg(4))?;
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    let socket = opened.socket()?;
    let value = match level {
        abi::SOL_SOCKET => match socket_facts::get(&**socket, name, room) {
            Some(fact) => fact?,
            None => common(&**socket, name)?,
        },
        _ => match socket.structure(level, name) {
            Some(structure) => structure,
            None => socket.option(level, name)?.to_bytes(),
        },
    };
    let len = value.len().min(room);
    memory.write_bytes(call.arg(3), &value[..len])?;
    Ok(memory.write_struct(call.arg(4), &i32::try_from(len).unwrap_or(i32::MAX))?)
}

fn common(socket: &dyn Socket, name: u32) -> Result<Vec<u8>, Errno> {
    let options = || socket.common().options.lock();
    let number = match name {
        abi::SO_TYPE => socket.kind().raw(),
        abi::SO_DOMAIN => socket.family().into(),
        abi::SO_PROTOCOL => socket.protocol(),
        abi::SO_ACCEPTCONN => i32::from(socket.is_listening()),
        abi::SO_ERROR => socket.take_error().map_or(0, Errno::raw),
        abi::SO_PEERCRED => {
            let who = socket.peer_credentials().map_or(NOBODY, |who| [who.pid, who.uid, who.gid]);
            return Ok(who.to_bytes());
        }
        abi::SO_LINGER => {
            let linger = options().linger;
            return Ok([linger.on, linger.seconds].to_bytes());
        }
        abi::SO_RCVTIMEO_OLD | abi::SO_RCVTIMEO_NEW => return Ok(limit(socket, Direction::Receive)),
        abi::SO_SNDTIMEO_OLD | abi::SO_SNDTIMEO_NEW => return Ok(limit(socket, Direction::Send)),
        abi::SO_PEERSEC => return Err(Errno::ENOPROTOOPT),
        name => options().get(name)?,
    };
    Ok(number.to_bytes())
}

fn limit(socket: &dyn Socket, direction: Direction) -> Vec<u8> {
    let limit = socket.common().options.lock().limit(direction).unwrap_or_default();
    let mut bytes = Encoder::with_capacity(Timeval::LEN);
    bytes.put(Timeval::from(limit));
    bytes.finish()
}
