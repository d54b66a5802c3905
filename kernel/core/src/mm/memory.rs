//! An address space.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::ops::Range;

use stockade_kernel_sync::Mutex;

use super::settle::Settling;
use super::{Object, PAGE, Placement, Source, Vma, VmaFlags, Vmas, page_down};
use crate::Errno;
use crate::aio::AioContext;
use crate::exec::ProgramInfo;
use crate::platform::{Backing, HostCall, Protection, Sharing, Space, UserRange};
use crate::task::Task;
use crate::vfs::InUse;

/// One address space, shared by the tasks that clone(2) made with CLONE_VM.
#[derive(Debug)]
pub struct Memory {
    me: Weak<Memory>,
    pub(super) space: Arc<dyn Space>,
    pub(super) state: Mutex<State>,
    /// Contexts of asynchronous I/O (io_setup(2)), by their identifiers.
    pub(crate) contexts: Mutex<BTreeMap<u64, Arc<AioContext>>>,
    /// Who runs in it.
    pub(super) users: Mutex<Vec<Weak<Task>>>,
}

/// A word of the pool, which stays there as long as this does.
#[derive(Debug)]
pub struct SharedWord {
    /// Where in the pool.
    pub offset: u64,
    /// Whether its application may write it.
    pub is_writable: bool,
    _keep: Option<Arc<dyn Any + Send + Sync>>,
}

/// What is known about an address space.
#[derive(Debug)]
pub(crate) struct State {
    /// All mappings.
    pub vmas: Vmas,
    /// Where applications can map at all.
    pub bounds: Range<u64>,
    /// Mappings are placed below this.
    pub top: u64,
    /// From the first address of brk(2) to the break.
    pub heap: Range<u64>,
    /// What host calls under way free.
    pub settling: Vec<Settling>,
    /// mlockall(2) MCL_FUTURE: flags of mappings to come.
    pub lock_future: VmaFlags,
    /// Host calls that the next thread that can makes, before it goes on.
    pub deferred: Vec<HostCall>,
    /// What runs in it; nothing before the first program was loaded.
    pub program: Option<Arc<ProgramInfo>>,
    /// Keeps that program's file from being written.
    pub running: Option<InUse>,
    /// How many bytes were given back.
    pub freed_bytes: u64,
    /// Zeros that were taken out, of which the machine does not know yet.
    pub unmapped_bytes: u64,
}

impl Memory {
    /// Of an empty space.
    pub fn new(space: Arc<dyn Space>, range: UserRange) -> Arc<Self> {
        let state = State {
            vmas: Vmas::default(),
            bounds: range.start..range.end,
            top: range.end,
            heap: range.start..range.start,
            settling: Vec::new(),
            lock_future: VmaFlags::empty(),
            deferred: Vec::new(),
            program: None,
            running: None,
            freed_bytes: 0,
            unmapped_bytes: 0,
        };
        Self::with_state(space, state)
    }

    pub(super) fn with_state(space: Arc<dyn Space>, state: State) -> Arc<Self> {
        let memory = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            space,
            state: Mutex::new(state),
            contexts: Mutex::default(),
            users: Mutex::default(),
        });
        memory.register();
        memory
    }

    /// The machine's side of it.
    pub fn space(&self) -> &Arc<dyn Space> {
        &self.space
    }

    /// Places mappings below `top`, and starts brk(2) at `heap`: for a new program.
    pub fn set_layout(&self, top: u64, heap: u64) {
        let mut state = self.state.lock();
        state.top = top;
        state.heap = heap..heap;
    }

    /// Where a mapping of this many bytes would go.
    pub fn find_place(&self, len: u64) -> Result<u64, Errno> {
        self.state.lock().place(0, len, Placement::Anywhere)
    }

    /// Where in the pool an address lies, if it is mapped shared.
    pub fn pool_offset(&self, address: u64) -> Option<u64> {
        Some(self.shared_word(address)?.offset)
    }

    /// A word at an address that others may have mapped too; `None` when it is private.
    pub fn shared_word(&self, address: u64) -> Option<SharedWord> {
        let (start, vma) = self.find(address)?;
        let Object::Source { source, offset, .. } = &vma.object else { return None };
        if vma.sharing == Sharing::Private {
            return None;
        }
        let page = page_down(address);
        let piece = source.map(offset + (page - start), PAGE, Sharing::Shared).ok()?.into_iter().next()?;
        let Backing::Pool { offset, .. } = piece.backing else { return None };
        let is_writable = vma.protection.contains(Protection::WRITE);
        Some(SharedWord { offset: offset + (address - page), is_writable, _keep: piece.keep })
    }

    /// Whether anything that runs in it can write what other spaces see.
    pub fn writes_shared(&self) -> bool {
        let state = self.state.lock();
        state.vmas.iter().any(|(_, vma)| vma.sharing == Sharing::Shared && vma.protection.contains(Protection::WRITE))
    }

    /// What runs in it.
    pub fn program(&self) -> Option<Arc<ProgramInfo>> {
        self.state.lock().program.clone()
    }

    /// Notes what runs in it, and keeps its file from being written.
    pub fn set_program(&self, program: ProgramInfo) {
        let running = program.file.take_usage();
        let mut state = self.state.lock();
        state.program = Some(Arc::new(program));
        state.running = running;
    }

    /// One more task runs in it.
    pub(super) fn join(&self, task: &Weak<Task>) {
        let mut users = self.users.lock();
        users.retain(|other| other.strong_count() > 0);
        users.push(task.clone());
    }

    /// A task of it ended, or became another program. With the last one its program's file can be written again, before
    /// anybody hears of the end (do_exit of Linux: exit_mm, then exit_notify).
    pub(super) fn leave(&self, task: &Weak<Task>) {
        let mut users = self.users.lock();
        users.retain(|other| !other.ptr_eq(task) && other.strong_count() > 0);
        let is_last = users.is_empty();
        drop(users);
        if is_last {
            let running = self.state.lock().running.take();
            drop(running);
        }
    }

    /// Hears of changes of a file that it maps.
    pub(super) fn register_with(&self, source: &dyn Source) {
        if let (Some(mappers), Some(me)) = (source.mappers(), self.me.upgrade()) {
            mappers.add(&me);
        }
    }

    /// Hears of changes of all files that it maps.
    fn register(&self) {
        let sources: Vec<Arc<dyn Source>> = {
            let state = self.state.lock();
            let source = |vma: &Vma| match &vma.object {
                Object::Source { source, .. } => Some(source.clone()),
                Object::Anonymous => None,
            };
            state.vmas.iter().filter_map(|(_, vma)| source(vma)).collect()
        };
        sources.iter().for_each(|source| self.register_with(&**source));
    }

    /// The mapping at an address.
    pub fn find(&self, address: u64) -> Option<(u64, Vma)> {
        self.state.lock().vmas.find(address).map(|(start, vma)| (start, vma.clone()))
    }
}
