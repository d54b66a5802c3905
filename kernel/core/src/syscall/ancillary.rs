//! Control messages (cmsg(3), unix(7)).

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::net as abi;

use super::new_file::install;
use crate::Errno;
use crate::abi::{Decoder, Encoder};
use crate::net::unix::Rights;
use crate::net::{ControlMessage, Socket, Ucred};
use crate::task::{Capabilities, Pid, Resource, Task};
use crate::vfs::OpenFlags;

/// SCM_MAX_FD
const FILES_MAX: usize = 253;
/// Bytes of `struct cmsghdr`.
const HEADER_BYTES: usize = 16;
/// Most bytes of control messages in one call (`net.core.optmem_max`).
const CONTROL_BYTES_MAX: usize = 131_072;
const SCM_RIGHTS: u32 = abi::SCM_RIGHTS;
const SCM_CREDENTIALS: u32 = abi::SCM_CREDENTIALS;
const SOL_SOCKET: u32 = abi::SOL_SOCKET;

/// What a program sends along.
#[derive(Debug, Default)]
pub(super) struct Ancillary {
    /// Files.
    pub rights: Option<Rights>,
    /// As whom it sends.
    pub sender: Option<Ucred>,
    /// What is for protocols.
    pub controls: Vec<ControlMessage>,
}

impl Ancillary {
    /// Reads control messages.
    pub fn read(task: &Arc<Task>, address: u64, len: usize) -> Result<Self, Errno> {
        let mut found = Self::default();
        if len < HEADER_BYTES {
            return Ok(found);
        }
        if len > CONTROL_BYTES_MAX {
            return Err(Errno::ENOBUFS);
        }
        let bytes = task.memory().read_vec(address, len)?;
        let mut rest = &bytes[..];
        while rest.len() >= HEADER_BYTES {
            let mut fields = Decoder::new(rest);
            let (len, level, kind): (u64, u32, u32) = (fields.take(), fields.take(), fields.take());
            let len = usize::try_from(len).ok().filter(|len| (HEADER_BYTES..=rest.len()).contains(len));
            let len = len.ok_or(Errno::EINVAL)?;
            let data = &rest[HEADER_BYTES..len];
            match level {
                SOL_SOCKET => found.take(task, kind, data)?,
                _ => found.controls.push(ControlMessage { level, kind, data: data.to_vec() }),
            }
            rest = rest.get(len.next_multiple_of(8)..).unwrap_or_default();
        }
        Ok(found)
    }

    fn take(&mut self, task: &Arc<Task>, kind: u32, data: &[u8]) -> Result<(), Errno> {
        match kind {
            SCM_RIGHTS => {
                let mut files = self.rights.as_ref().map(|rights| rights.files().to_vec()).unwrap_or_default();
                for fd in data.chunks_exact(4) {
                    files.push(task.files().get(Decoder::new(fd).take())?);
                }
                if files.len() > FILES_MAX {
                    return Err(Errno::EINVAL);
                }
                check_in_flight(task)?;
                let namespaces = task.process().namespaces();
                self.rights = if files.is_empty() { None } else { Some(Rights::new(files, namespaces)?) };
            }
            SCM_CREDENTIALS if data.len() == 12 => self.sender = Some(read_credentials(task, data)?),
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }
}

/// `ETOOMANYREFS` when more files travel than a process may have open (unix(7)); the kernel counts a container's.
fn check_in_flight(task: &Task) -> Result<(), Errno> {
    let process = task.process();
    let most = process.limit(Resource::Files).soft;
    let above = task.credentials().has(Capabilities::SYS_RESOURCE) || task.credentials().has(Capabilities::SYS_ADMIN);
    let travelling = process.namespaces().net.in_flight().count() as u64;
    if travelling > most && !above { Err(Errno::ETOOMANYREFS) } else { Ok(()) }
}

/// A program may say who it is, unless it may say anything (`scm_check_creds` of Linux).
fn read_credentials(task: &Task, data: &[u8]) -> Result<Ucred, Errno> {
    let mut fields = Decoder::new(data);
    let said = Ucred { pid: fields.take(), uid: fields.take(), gid: fields.take() };
    let own = task.credentials();
    let pid_known = said.pid == task.process().pid().raw() || own.has(Capabilities::SYS_ADMIN);
    let uid_known = [own.uid, own.euid, own.suid].contains(&said.uid) || own.has(Capabilities::SETUID);
    let gid_known = [own.gid, own.egid, own.sgid].contains(&said.gid) || own.has(Capabilities::SETGID);
    if !(pid_known && uid_known && gid_known) {
        return Err(Errno::EPERM);
    }
    let pid = i32::try_from(said.pid).ok().and_then(Pid::new).ok_or(Errno::ESRCH)?;
    task.process().pids().process(pid).map(|_| said).ok_or(Errno::ESRCH)
}

/// Control messages on their way to a program.
#[derive(Debug)]
pub(super) struct Control {
    bytes: Encoder,
    room: usize,
    /// Something did not fit.
    pub truncated: bool,
}

impl Control {
    /// For a program with so much room.
    pub fn new(room: usize) -> Self {
        Self { bytes: Encoder::new(), room, truncated: false }
    }

    /// Adds a message, or as much of it as there is room for behind its header (`put_cmsg` of Linux).
    pub fn add(&mut self, level: u32, kind: u32, data: &[u8]) {
        let room = self.room - self.bytes.len();
        let len = room.min(HEADER_BYTES + data.len());
        self.truncated |= len < HEADER_BYTES + data.len();
        if len < HEADER_BYTES {
            return;
        }
        self.bytes.put(len as u64).put(level).put(kind).bytes(&data[..len - HEADER_BYTES]);
        let padding = len.next_multiple_of(8) - len;
        self.bytes.zeros(padding.min(self.room - self.bytes.len()));
    }

    /// Gives the program those files that there is room for.
    pub fn add_rights(&mut self, task: &Arc<Task>, rights: &Rights, flags: OpenFlags) {
        let room = (self.room - self.bytes.len()).saturating_sub(HEADER_BYTES) / 4;
        let mut numbers: Vec<u8> = Vec::new();
        for file in rights.files().iter().take(room) {
            match install(task, file.clone(), flags) {
                Ok(fd) => numbers.extend_from_slice(&u32::try_from(fd).unwrap_or(u32::MAX).to_le_bytes()),
                Err(_) => break,
            }
        }
        if !numbers.is_empty() {
            self.add(SOL_SOCKET, SCM_RIGHTS, &numbers);
        }
        self.truncated |= numbers.len() < rights.files().len() * 4;
    }

    /// Tells who sent, if the socket wants to know.
    pub fn add_credentials(&mut self, socket: &dyn Socket, sender: Ucred) {
        if socket.common().options.lock().is_on(abi::SO_PASSCRED) {
            let mut data = Encoder::with_capacity(12);
            data.put(sender.pid).put(sender.uid).put(sender.gid);
            self.add(SOL_SOCKET, SCM_CREDENTIALS, &data.finish());
        }
    }

    /// The bytes.
    pub fn finish(self) -> Vec<u8> {
        self.bytes.finish()
    }
}
