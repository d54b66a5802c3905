//! Open directories.

use alloc::sync::Arc;
use alloc::vec::Vec;

use stockade_kernel_sync::Mutex;

use super::node::Node;
use crate::Errno;
use crate::io::Sink;
use crate::platform::{HostName, NodeId};
use crate::vfs::{DirEntry, Emit, FileObject, Seeking};

/// An open directory. Positions are the host's.
#[derive(Debug)]
pub(super) struct HostListing {
    node: Arc<Node>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Says what the host did not say at once.
    rest: Option<NodeId>,
    /// What it said last.
    part: Option<Arc<Part>>,
}

/// Names that the host gave at once.
#[derive(Debug)]
struct Part {
    /// The position before them.
    from: u64,
    names: Vec<HostName>,
    end: End,
}

/// Whether a part is the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Here,
    Later,
}

impl Part {
    /// The names behind a position; `None` when they are in another part.
    fn behind(&self, at: u64) -> Option<&[HostName]> {
        let start = match at == self.from {
            true => 0,
            false => self.names.iter().position(|name| name.next == at)? + 1,
        };
        let names = &self.names[start..];
        (!names.is_empty() || self.end == End::Here).then_some(names)
    }
}

impl HostListing {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node, state: Mutex::default() }
    }

    /// The part with the names behind a position. From the beginning on the directory is listed anew (rewinddir(3)).
    fn part(&self, at: u64) -> Result<Arc<Part>, Errno> {
        let (known, rest) = {
            let state = self.state.lock();
            (state.part.clone(), state.rest)
        };
        match (known, rest) {
            _ if at == 0 => self.begin(),
            (Some(known), _) if known.behind(at).is_some() => Ok(known),
            (_, Some(rest)) => self.go_on(rest, at),
            (_, None) => self.begin(),
        }
    }

    fn begin(&self) -> Result<Arc<Part>, Errno> {
        let first = self.node.list()?;
        let end = if first.rest.is_some() { End::Later } else { End::Here };
        let part = Arc::new(Part { from: 0, names: first.names, end });
        let state = State { rest: first.rest, part: Some(part.clone()) };
        let before = core::mem::replace(&mut *self.state.lock(), state);
        self.forget(&before);
        Ok(part)
    }

    fn go_on(&self, rest: NodeId, at: u64) -> Result<Arc<Part>, Errno> {
        let names = self.node.list_on(rest, at)?;
        let end = if names.is_empty() { End::Here } else { End::Later };
        let part = Arc::new(Part { from: at, names, end });
        self.state.lock().part = Some(part.clone());
        Ok(part)
    }

    fn forget(&self, state: &State) {
        if let Some(rest) = state.rest {
            self.node.shared.directory.forget(rest);
        }
    }
}

impl FileObject for HostListing {
    fn read(&self, _: &mut dyn Sink, _: u64) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Yes
    }

    fn read_dir(&self, at: u64, emit: &mut dyn FnMut(&DirEntry<'_>) -> Emit) -> Result<(), Errno> {
        let mut at = at;
        loop {
            let part = self.part(at)?;
            let names = part.behind(at).unwrap_or_default();
            for entry in names {
                let ino = self.node.number_of(entry.ino);
                let entry = DirEntry { name: &entry.name, ino, kind: entry.kind, next: entry.next };
                if emit(&entry) == Emit::Full {
                    return Ok(());
                }
            }
            match names.last() {
                Some(last) if part.end == End::Later => at = last.next,
                _ => return Ok(()),
            }
        }
    }
}

impl Drop for HostListing {
    fn drop(&mut self) {
        self.forget(&self.state.lock());
    }
}
