//! One address space: a stub and its threads.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::io::{pread, pwrite};
use stockade_kernel::Errno;
use stockade_kernel::platform::{
    Begin, Forked, Frame, HostCall, RangeUsage, References, Space, ThreadEvents, UserThread,
};
use stockade_kernel_stub::abi::{Command, SAID_WORD};

use crate::boot::Progress;
use crate::machine::{NewStub, Order, Shared};
use crate::path::TrapPath;
use crate::pool::Place;
use crate::procfs::Expendable;
use crate::stub::Stub;
use crate::sys::seccomp::Listener;
use crate::sys::{memory, process};
use crate::thread::{Beginning, Entry, HostThread, Spare};

/// The space. Dropping it ends the process, unless another program has it now.
#[derive(Debug)]
pub(crate) struct HostSpace {
    machine: Arc<Shared>,
    stub: Arc<Stub>,
    /// Which of the process's programs this is.
    program: u32,
    /// The slot and listener of a thread that came with the process and waits.
    first: Mutex<Option<(u32, Listener)>>,
}

impl HostSpace {
    pub(crate) fn new(machine: Arc<Shared>, stub: Arc<Stub>) -> Self {
        Self { machine, stub, program: 0, first: Mutex::default() }
    }

    /// One whose first thread is there already.
    pub(crate) fn with_thread(machine: Arc<Shared>, stub: Arc<Stub>, first: (u32, Listener)) -> Self {
        Self { machine, stub, program: 0, first: Mutex::new(Some(first)) }
    }

    /// Whether the process is this space's.
    fn is_current(&self) -> bool {
        self.stub.program() == self.program
    }

    /// A parked host thread becomes the new one.
    fn reuse(
        &self,
        spare: Spare,
        frame: &Frame,
        setup: Vec<HostCall>,
        events: Arc<dyn ThreadEvents>,
    ) -> Result<Arc<dyn UserThread>, Errno> {
        // If it cannot be written, the process is dead.
        let entry = Entry::new(spare.slot, frame, &self.machine.hello);
        entry.and_then(|entry| entry.write(self.stub.pid())).inspect_err(|_| self.stub.kill())?;
        Ok(Arc::new(HostThread::new(self.machine.clone(), self.stub.clone(), spare, setup, events)))
    }

    /// What the thread of a copy does before it is heard of; `None` when it waits. Only where the host chooses its
    /// processor nothing is done to it by an id that it says itself.
    fn beginning(&self, setup: &[HostCall], begin: Begin) -> Option<Beginning> {
        let may = begin == Begin::AtOnce && self.machine.path == TrapPath::Sync;
        may.then(|| Beginning::of(setup)).flatten()
    }

    /// A host thread without an application's: its slot, in which it will find its frame, and its listener.
    fn make_thread(&self, frame: &Frame) -> Result<(u32, Listener), Errno> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((slot, listener)) = first {
            Entry::new(slot, frame, &self.machine.hello)?.write(self.stub.pid())?;
            return Ok((slot, listener));
        }
        let slot = self.stub.take_slot().ok_or(Errno::EAGAIN)?;
        let listener = Entry::new(slot, frame, &self.machine.hello)
            .and_then(|entry| self.machine.make_thread(self.stub.spawner(), slot, &entry))
            .inspect_err(|_| self.stub.free_slot(slot))?;
        Ok((slot, Listener::new(listener, self.machine.path)))
    }
}

impl Space for HostSpace {
    fn read(&self, address: u64, buffer: &mut [u8]) -> usize {
        if self.is_current() { memory::read(self.stub.pid(), address, buffer) } else { 0 }
    }

    fn write(&self, address: u64, bytes: &[u8]) -> usize {
        if self.is_current() { memory::write(self.stub.pid(), address, bytes) } else { 0 }
    }

    fn read_mapped(&self, address: u64, buffer: &mut [u8]) -> usize {
        let file = self.is_current().then(|| self.stub.memory(&self.machine.proc)).flatten();
        match file.and_then(|file| pread(file, &mut *buffer, address).ok()) {
            Some(count) if count == buffer.len() => count,
            // The host may say more of what it can do of it.
            _ => self.read(address, buffer),
        }
    }

    fn write_mapped(&self, address: u64, bytes: &[u8]) -> usize {
        let file = self.is_current().then(|| self.stub.memory(&self.machine.proc)).flatten();
        match file.and_then(|file| pwrite(file, bytes, address).ok()) {
            Some(count) if count == bytes.len() => count,
            _ => self.write(address, bytes),
        }
    }

    fn read_ranges(&self, ranges: &[(u64, usize)], buffer: &mut [u8]) -> usize {
        if self.is_current() { memory::read_ranges(self.stub.pid(), ranges, buffer) } else { 0 }
    }

    fn write_ranges(&self, ranges: &[(u64, usize)], bytes: &[u8]) -> usize {
        if self.is_current() { memory::write_ranges(self.stub.pid(), ranges, bytes) } else { 0 }
    }

    fn write_from_pool(&self, ranges: &[(u64, usize)], pool_offset: u64) -> Result<usize, Errno> {
        if !self.is_current() {
            return Ok(0);
        }
        match self.machine.pool.place(pool_offset)? {
            Place::Memory(mapping) => Ok(mapping.write_to_process(pool_offset, self.stub.pid(), ranges)),
            Place::Store(store, offset) => store.write_to_process(offset, self.stub.pid(), ranges),
        }
    }

    fn read_into_pool(&self, ranges: &[(u64, usize)], pool_offset: u64) -> Result<usize, Errno> {
        if !self.is_current() {
            return Ok(0);
        }
        match self.machine.pool.place(pool_offset)? {
            Place::Memory(mapping) => Ok(mapping.read_from_process(pool_offset, self.stub.pid(), ranges)),
            Place::Store(store, offset) => store.read_from_process(offset, self.stub.pid(), ranges),
        }
    }

    /// The stub does it: nobody else has the memory mapped.
    fn compare_exchange_u32(&self, address: u64, expected: u32, new: u32) -> Result<u32, Errno> {
        let is_possible = address.is_multiple_of(4) && crate::range::is_applications(address, 4);
        if !is_possible || !self.is_current() {
            return Err(Errno::EFAULT);
        }
        let pid = self.stub.pid();
        let mut held = 0;
        let order = Order::new(Command::Exchange).with([address, expected.into(), new.into()]);
        self.machine.order(self.stub.spawner(), &order, |said| {
            if (said.sender, said.message.kind) != (pid, SAID_WORD) {
                return Progress::Refused;
            }
            held = said.message.value;
            Progress::Done
        })?;
        u32::try_from(held).map_err(|_| Errno::EFAULT)
    }

    fn spawn(
        &self,
        frame: &Frame,
        setup: Vec<HostCall>,
        events: Arc<dyn ThreadEvents>,
    ) -> Result<Arc<dyn UserThread>, Errno> {
        if let Some(spare) = self.stub.take_spare() {
            return self.reuse(spare, frame, setup, events);
        }
        let made = self.make_thread(frame)?;
        Ok(Arc::new(HostThread::new(self.machine.clone(), self.stub.clone(), Spare::new(made), setup, events)))
    }

    fn fork(
        &self,
        frame: &Frame,
        setup: Vec<HostCall>,
        begin: Begin,
        events: Arc<dyn ThreadEvents>,
    ) -> Result<Forked, Errno> {
        let slot = self.stub.take_slot().ok_or(Errno::EAGAIN)?;
        let hello = &self.machine.hello;
        let beginning = self.beginning(&setup, begin);
        let entry = match &beginning {
            Some(beginning) => Entry::at_once(slot, frame, hello, beginning),
            None => Entry::new(slot, frame, hello),
        };
        let copy =
            entry.and_then(|entry| self.machine.fork_stub(self.stub.spawner(), slot, Some((&*self.stub, &entry))));
        self.stub.free_slot(slot);
        let NewStub { stub, listener, thread } = copy?;
        let stub = Arc::new(stub);
        self.machine.see_turns(&stub);
        let made = (slot, Listener::new(listener.ok_or(Errno::EAGAIN)?, self.machine.path));
        let (first, setup) = match beginning {
            Some(beginning) => (Spare::at_once(made, thread_id(thread)?, beginning), Vec::new()),
            None => (Spare::new(made), setup),
        };
        let thread = Arc::new(HostThread::new(self.machine.clone(), stub.clone(), first, setup, events));
        Ok(Forked { space: Arc::new(HostSpace::new(self.machine.clone(), stub)), thread })
    }

    fn succeed(&self) -> Option<Arc<dyn Space>> {
        if !self.is_current() || self.stub.has_running() {
            return None;
        }
        let (machine, stub, program) = (self.machine.clone(), self.stub.clone(), self.program.wrapping_add(1));
        Some(Arc::new(Self { machine, stub, program, first: Mutex::default() }))
    }

    fn begin(&self) {
        self.stub.set_program(self.program);
    }

    fn kill(&self) {
        if self.is_current() {
            self.stub.kill_and_wait();
        }
    }

    fn prefer(&self) {
        self.stub.turn().prefer();
        self.machine.set_expendable(self.stub.pid(), Expendable::Next);
    }

    fn unmaps(&self, bytes: u64) {
        self.stub.turn().shrink(bytes);
    }

    fn resident_bytes(&self) -> (u64, u64) {
        self.machine.proc.resident_bytes(self.stub.pid())
    }

    fn resident_peak_bytes(&self) -> u64 {
        self.machine.proc.resident_peak_bytes(self.stub.pid())
    }

    fn usage(&self) -> Vec<RangeUsage> {
        self.machine.proc.usage(self.stub.pid())
    }

    fn page_map(&self, address: u64, words: &mut [u64]) -> Result<(), Errno> {
        self.machine.proc.page_map(self.stub.pid(), address, words).map_err(|_| Errno::ESRCH)
    }

    fn clear_references(&self, which: References) -> Result<(), Errno> {
        self.machine.proc.clear_references(self.stub.pid(), which).map_err(|_| Errno::ESRCH)
    }

    fn cpu_time(&self) -> (Duration, Duration) {
        process::cpu_time(self.stub.pid())
    }
}

/// A thread's id, as a stub says it.
fn thread_id(said: i64) -> Result<i32, Errno> {
    i32::try_from(said).ok().filter(|id| *id > 0).ok_or(Errno::EAGAIN)
}

impl Drop for HostSpace {
    fn drop(&mut self) {
        if self.is_current() {
            self.stub.kill();
        }
    }
}
