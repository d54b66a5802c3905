//! What ioctl(2) tells of interfaces (netdevice(7)).

use linux_raw_sys::ioctl as abi;

use crate::Errno;
use crate::abi::Encoder;
use crate::task::Task;

/// Bytes of a name in `struct ifreq`, and of all of it.
const NAME_BYTES: usize = 16;
const REQUEST_BYTES: usize = 40;
/// `lo` as `struct ifreq` has it.
const NAME: &[u8; NAME_BYTES] = b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// IFF_UP | IFF_LOOPBACK | IFF_RUNNING
const FLAGS: u16 = 0x49;
/// ARPHRD_LOOPBACK
const HARDWARE: u16 = 772;
const INDEX: i32 = 1;
/// SIOCBRADDBR and SIOCBRDELBR
const ADD_BRIDGE: u32 = 0x89a0;
const REMOVE_BRIDGE: u32 = 0x89a1;

/// Serves a request about interfaces: `ENOTTY` when it is none.
pub fn request(task: &Task, request: u32, argument: u64) -> Result<u64, Errno> {
    match request {
        abi::SIOCGIFCONF => list(task, argument),
        abi::SIOCGIFNAME => {
            let index: i32 = task.memory().read_struct(argument.wrapping_add(NAME_BYTES as u64))?;
            if index != INDEX {
                return Err(Errno::ENODEV);
            }
            task.memory().write_bytes(argument, NAME)?;
            Ok(0)
        }
        _ => one(task, request, argument),
    }
}

/// `struct ifconf`: a length, and where the list goes; nowhere asks for the length alone.
fn list(task: &Task, argument: u64) -> Result<u64, Errno> {
    let memory = task.memory();
    let room: i32 = memory.read_struct(argument)?;
    let at: u64 = memory.read_struct(argument.wrapping_add(8))?;
    let mut entry = Encoder::with_capacity(REQUEST_BYTES);
    entry.bytes(NAME);
    put_address(&mut entry, [127, 0, 0, 1]);
    let entry = entry.finish();
    let fits = usize::try_from(room).is_ok_and(|room| room >= REQUEST_BYTES);
    if at != 0 && fits {
        memory.write_bytes(at, &entry)?;
    }
    let len = if at == 0 || fits { 40_i32 } else { 0 };
    memory.write_struct(argument, &len)?;
    Ok(0)
}

fn put_address(to: &mut Encoder, address: [u8; 4]) {
    to.put(2_u16).put(0_u16).put(address).zeros(16);
}

fn one(task: &Task, request: u32, argument: u64) -> Result<u64, Errno> {
    let mut value = Encoder::with_capacity(24);
    match request {
        abi::SIOCGIFINDEX => value.put(INDEX),
        abi::SIOCGIFFLAGS => value.put(FLAGS),
        abi::SIOCGIFMTU => value.put(65_536_i32),
        abi::SIOCGIFMETRIC => value.put(0_i32),
        abi::SIOCGIFTXQLEN => value.put(1000_i32),
        abi::SIOCGIFHWADDR => value.put(HARDWARE).zeros(14),
        abi::SIOCGIFADDR => {
            put_address(&mut value, [127, 0, 0, 1]);
            &mut value
        }
        abi::SIOCGIFNETMASK => {
            put_address(&mut value, [255, 0, 0, 0]);
            &mut value
        }
        abi::SIOCGIFBRDADDR | abi::SIOCGIFDSTADDR => {
            put_address(&mut value, [0; 4]);
            &mut value
        }
        abi::SIOCSIFFLAGS | abi::SIOCSIFADDR | abi::SIOCSIFNETMASK | abi::SIOCSIFMTU => return Err(Errno::EPERM),
        abi::SIOCADDRT | abi::SIOCDELRT | ADD_BRIDGE | REMOVE_BRIDGE => return Err(Errno::EPERM),
        _ => return Err(Errno::ENOTTY),
    };
    let memory = task.memory();
    let name: [u8; NAME_BYTES] = memory.read_struct(argument)?;
    if name[..3] != NAME[..3] {
        return Err(Errno::ENODEV);
    }
    memory.write_bytes(argument.wrapping_add(NAME_BYTES as u64), &value.finish())?;
    Ok(0)
}
