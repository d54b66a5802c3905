//! How unix sockets are bound and found.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use super::{Address, UnixSocket};
use crate::Errno;
use crate::task::Task;
use crate::vfs::permission::{Access, check_path};
use crate::vfs::{Caller, FileKind, Follow, InodeKey, Name, NewKind};

/// Bound sockets, by abstract name and by the inode of their path.
#[derive(Debug, Default)]
pub struct Names {
    abstracts: BTreeMap<Vec<u8>, Weak<UnixSocket>>,
    paths: BTreeMap<InodeKey, Weak<UnixSocket>>,
    next: u32,
}

impl Names {
    fn claim(&mut self, name: &[u8], socket: &Weak<UnixSocket>) -> Result<(), Errno> {
        if self.abstracts.get(name).is_some_and(|socket| socket.strong_count() > 0) {
            return Err(Errno::EADDRINUSE);
        }
        self.abstracts.insert(name.to_vec(), socket.clone());
        Ok(())
    }

    /// A free abstract name of five digits (unix(7), autobind).
    pub(super) fn claim_any(&mut self, socket: &Weak<UnixSocket>) -> Result<Vec<u8>, Errno> {
        for _ in 0..=0xf_ffff_u32 {
            self.next = (self.next + 1) & 0xf_ffff;
            let name = alloc::format!("\0{:05x}", self.next).into_bytes();
            if self.claim(&name, socket).is_ok() {
                return Ok(name);
            }
        }
        Err(Errno::ENOSPC)
    }

    /// Forgets a socket that is gone.
    pub(super) fn release(&mut self, name: &[u8], key: Option<InodeKey>) {
        match key {
            Some(key) => self.paths.remove(&key),
            None => self.abstracts.remove(name),
        };
    }
}

impl UnixSocket {
    pub(super) fn bind_name(&self, task: &Arc<Task>, address: &Address) -> Result<(), Errno> {
        let Address::Unix(name) = address else { return Err(Errno::EINVAL) };
        if name.first().is_some_and(|first| *first != 0) {
            return self.bind_path(task, name);
        }
        let mut names = self.net().unix().lock();
        if !self.identity.name.lock().is_empty() {
            return if name.is_empty() { Ok(()) } else { Err(Errno::EINVAL) };
        }
        let name = if name.is_empty() {
            names.claim_any(&self.me)?
        } else {
            names.claim(name, &self.me)?;
            name.clone()
        };
        self.own_name(name);
        Ok(())
    }

    /// Has a name from now on, which it gives back when it goes.
    pub(super) fn own_name(&self, name: Vec<u8>) {
        *self.identity.name.lock() = name;
        self.state.lock().owns_name = true;
    }

    fn bind_path(&self, task: &Arc<Task>, text: &[u8]) -> Result<(), Errno> {
        let (context, caller) = (task.fs(), Caller::of(task));
        if !self.identity.name.lock().is_empty() {
            let taken = Name::new(&context, &caller, text).find(Follow::No).is_ok();
            return Err(if taken { Errno::EADDRINUSE } else { Errno::EINVAL });
        }
        let made = task.kernel().vfs().create(&Name::new(&context, &caller, text), NewKind::Socket, 0o777);
        let path = made.map_err(|errno| if errno == Errno::EEXIST { Errno::EADDRINUSE } else { errno })?;
        let mut names = self.net().unix().lock();
        names.paths.insert(path.key(), self.me.clone());
        self.own_name(text.to_vec());
        self.state.lock().bound = Some(path);
        Ok(())
    }

    /// The socket with this name: `ECONNREFUSED` when there is none.
    pub(super) fn find(&self, task: &Arc<Task>, address: &Address) -> Result<Arc<UnixSocket>, Errno> {
        let Address::Unix(name) = address else { return Err(Errno::EINVAL) };
        let found = match name.first() {
            None => return Err(Errno::EINVAL),
            Some(0) => self.net().unix().lock().abstracts.get(name).and_then(Weak::upgrade),
            Some(_) => self.find_path(task, name)?,
        };
        let socket = found.ok_or(Errno::ECONNREFUSED)?;
        if socket.kind == self.kind { Ok(socket) } else { Err(Errno::EPROTOTYPE) }
    }

    fn find_path(&self, task: &Arc<Task>, text: &[u8]) -> Result<Option<Arc<UnixSocket>>, Errno> {
        let (context, caller) = (task.fs(), Caller::of(task));
        let path = Name::new(&context, &caller, text).find(Follow::Yes)?;
        check_path(&path, &caller.credentials, Access::WRITE)?;
        if path.inode().kind() != FileKind::Socket {
            return Err(Errno::ECONNREFUSED);
        }
        Ok(self.net().unix().lock().paths.get(&path.key()).and_then(Weak::upgrade))
    }
}
