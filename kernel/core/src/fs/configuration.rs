//! A file system on its way to be mounted or changed, and what went wrong with it (fsopen(2), fspick(2)).

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use stockade_kernel_sync::Mutex;

use super::parameters::{self, Refusal};
use super::{TYPES, make};
use crate::io::Sink;
use crate::task::Namespaces;
use crate::vfs::{FileObject, ReadOnly, Superblock};
use crate::{Errno, Kernel};

/// Messages that are kept; older ones are lost.
const MESSAGES_MAX: usize = 8;
/// What all parameters of a file system may take: as much as the data of mount(2).
const OPTIONS_BYTES_MAX: usize = 4096;

/// A value of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// None.
    Flag,
    /// Text.
    Text(&'a [u8]),
    /// Bytes, a path or a descriptor: no file system here takes any.
    Other,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Takes parameters of a new file system.
    Creating,
    /// The file system is there and can be mounted.
    Created,
    /// Takes parameters that change it.
    Changing,
    /// They were taken over; more may follow.
    Changed,
    /// It could not be made.
    Failed,
}

/// What fsopen(2) opens.
#[derive(Debug)]
pub struct Configuration {
    kernel: Arc<Kernel>,
    namespaces: Arc<Namespaces>,
    kind: &'static str,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    superblock: Option<Arc<Superblock>>,
    source: Option<Vec<u8>>,
    options: String,
    read_only: Option<ReadOnly>,
    messages: VecDeque<Vec<u8>>,
}

impl State {
    fn new(phase: Phase, superblock: Option<Arc<Superblock>>) -> Self {
        let (options, messages) = (String::new(), VecDeque::new());
        Self { phase, superblock, source: None, options, read_only: None, messages }
    }

    fn complain(&mut self, message: &str) -> Errno {
        if self.messages.len() == MESSAGES_MAX {
            self.messages.pop_front();
        }
        self.messages.push_back(alloc::format!("e {message}\n").into_bytes());
        Errno::EINVAL
    }

    /// After a change was taken over, parameters of the next one are taken.
    fn begin_anew(&mut self) {
        if self.phase == Phase::Changed {
            self.phase = Phase::Changing;
            self.options.clear();
            self.read_only = None;
        }
    }

    fn check_phase(&self, phases: &[Phase]) -> Result<(), Errno> {
        if phases.contains(&self.phase) { Ok(()) } else { Err(Errno::EBUSY) }
    }

    fn set_source(&mut self, value: Value<'_>) -> Result<(), Errno> {
        match (value, &self.source) {
            (Value::Text(_), Some(_)) => Err(self.complain("Multiple sources")),
            (Value::Text(text), None) => {
                self.source = Some(text.to_vec());
                Ok(())
            }
            _ => Err(self.complain("Non-string source")),
        }
    }
}

impl Configuration {
    /// Of a new file system: `ENODEV` for one that is not known.
    pub fn new(kernel: &Arc<Kernel>, namespaces: &Arc<Namespaces>, name: &[u8]) -> Result<Arc<Self>, Errno> {
        let kind = *TYPES.iter().find(|kind| kind.as_bytes() == name).ok_or(Errno::ENODEV)?;
        let (kernel, namespaces) = (kernel.clone(), namespaces.clone());
        let state = Mutex::new(State::new(Phase::Creating, None));
        Ok(Arc::new(Self { kernel, namespaces, kind, state }))
    }

    /// Of one that is there.
    pub fn of(kernel: &Arc<Kernel>, namespaces: &Arc<Namespaces>, superblock: &Arc<Superblock>) -> Arc<Self> {
        let (kernel, namespaces, kind) = (kernel.clone(), namespaces.clone(), superblock.filesystem().name());
        let state = Mutex::new(State::new(Phase::Changing, Some(superblock.clone())));
        Arc::new(Self { kernel, namespaces, kind, state })
    }

    /// Sets one parameter.
    pub fn set(&self, key: &[u8], value: Value<'_>) -> Result<(), Errno> {
        let mut state = self.state.lock();
        state.begin_anew();
        state.check_phase(&[Phase::Creating, Phase::Changing])?;
        match key {
            b"ro" => state.read_only = Some(ReadOnly::Yes),
            b"rw" => state.read_only = Some(ReadOnly::No),
            // What only matters to disks.
            b"async" | b"dirsync" | b"lazytime" | b"mand" | b"nolazytime" | b"nomand" | b"sync" => {}
            b"source" => state.set_source(value)?,
            _ => self.set_own(&mut state, key, value)?,
        }
        Ok(())
    }

    /// A parameter of the file system's own.
    fn set_own(&self, state: &mut State, key: &[u8], value: Value<'_>) -> Result<(), Errno> {
        let text = |bytes| core::str::from_utf8(bytes).unwrap_or("?");
        let key = text(key);
        let option = match value {
            Value::Flag => parameters::option(self.kind, key, None),
            Value::Text(value) => parameters::option(self.kind, key, Some(text(value))),
            Value::Other => parameters::option(self.kind, key, None).and(Err(Refusal::BadValue)),
        };
        let message = match option {
            Ok(option) if state.options.len() + option.len() < OPTIONS_BYTES_MAX => {
                state.options.push_str(&option);
                state.options.push(',');
                return Ok(());
            }
            Ok(_) => "Too many parameters".into(),
            Err(Refusal::Unknown) => alloc::format!("Unknown parameter '{key}'"),
            Err(Refusal::BadValue) => alloc::format!("Bad value for '{key}'"),
        };
        Err(state.complain(&alloc::format!("{}: {message}", self.kind)))
    }

    /// Makes the file system (FSCONFIG_CMD_CREATE).
    pub fn create(&self) -> Result<(), Errno> {
        let mut state = self.state.lock();
        state.begin_anew();
        state.check_phase(&[Phase::Creating])?;
        state.phase = Phase::Failed;
        let filesystem = make(&self.kernel, &self.namespaces, self.kind.as_bytes(), state.options.as_bytes())?;
        let superblock = self.kernel.vfs().superblock(filesystem);
        superblock.set_read_only(state.read_only.unwrap_or(ReadOnly::No));
        state.superblock = Some(superblock);
        state.phase = Phase::Created;
        Ok(())
    }

    /// Changes it (FSCONFIG_CMD_RECONFIGURE).
    pub fn reconfigure(&self) -> Result<(), Errno> {
        let mut state = self.state.lock();
        state.begin_anew();
        state.check_phase(&[Phase::Changing])?;
        let superblock = state.superblock.clone().ok_or(Errno::EINVAL)?;
        let changed = superblock.filesystem().remount(state.options.as_bytes());
        state.phase = if changed.is_ok() { Phase::Changed } else { Phase::Failed };
        changed?;
        if let Some(read_only) = state.read_only {
            superblock.set_read_only(read_only);
        }
        Ok(())
    }

    /// What is to be mounted, and what it is called (fsmount(2)).
    pub fn take(&self) -> Result<(Arc<Superblock>, Vec<u8>), Errno> {
        let mut state = self.state.lock();
        let superblock = state.superblock.clone().ok_or(Errno::EINVAL)?;
        state.check_phase(&[Phase::Created])?;
        state.phase = Phase::Changed;
        Ok((superblock, state.source.take().unwrap_or_default()))
    }
}

impl FileObject for Configuration {
    /// One message for each read: `ENODATA` when there are no more.
    fn read(&self, sink: &mut dyn Sink, _: u64) -> Result<usize, Errno> {
        let mut state = self.state.lock();
        let len = state.messages.front().ok_or(Errno::ENODATA)?.len();
        if sink.remaining() < len {
            return Err(Errno::EMSGSIZE);
        }
        let message = state.messages.pop_front().unwrap_or_default();
        drop(state);
        sink.put(&message)
    }
}
