//! io_uring(7) for one disk. The ring can do what a disk needs and nothing else, so that no system call filter is
//! circumvented by it.
//!
//! Its descriptor is readable as long as something is over that was not looked at: what is over within the call that
//! began it, as data in the page cache is, costs no wake-up.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use io_uring::register::Restriction;
use io_uring::{IoUring, opcode, squeue, types};

use super::super::iovec::Direction;
use super::engine::Operation;
use crate::memory::Memory;

/// Threads of the kernel that may wait for this disk, and for what is no file.
const WORKERS_MAX: [u32; 2] = [4, 1];

/// A ring, and what is under way in it.
pub struct Ring {
    ring: IoUring,
    under_way: usize,
    /// Pushed, and not submitted yet.
    pushed: usize,
    room: usize,
    /// Holds guest memory in its place as long as the kernel may write to it.
    memory: Option<Memory>,
}

impl Ring {
    /// A ring for so many operations at once.
    pub fn new(operations: u16) -> io::Result<Self> {
        let ring = IoUring::builder().setup_r_disabled().dontfork().build(operations.into())?;
        if !ring.params().is_feature_nodrop() || !ring.params().is_feature_submit_stable() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let codes =
            [opcode::Readv::CODE, opcode::Writev::CODE, opcode::Fsync::CODE, opcode::Fallocate::CODE].into_iter();
        let mut allowed: Vec<_> = codes.map(Restriction::sqe_op).collect();
        let submitter = ring.submitter();
        // Linux 5.15; without a limit there are as many as the kernel likes.
        if let Err(error) = submitter.register_iowq_max_workers(&mut { WORKERS_MAX }) {
            tracing::debug!("io_uring: {error}");
        }
        submitter.register_restrictions(&mut allowed)?;
        submitter.register_enable_rings()?;
        Ok(Ring { ring, under_way: 0, pushed: 0, room: operations.into(), memory: None })
    }

    /// Readable when something is over.
    pub fn fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }

    /// Whether one more operation can be begun.
    pub fn has_room(&self) -> bool {
        self.under_way < self.room
    }

    /// Takes an operation; [`Ring::submit`] begins it. It must stay where it is until it is over.
    pub fn push(&mut self, number: u64, operation: &Operation, memory: &Memory) -> io::Result<()> {
        if !self.has_room() {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        if self.memory.is_none() {
            self.memory = Some(memory.clone());
        }
        let entry = entry(operation).user_data(number);
        // SAFETY: the vectors are read while the entry is submitted (IORING_FEAT_SUBMIT_STABLE), before which the
        // owner of `operation` does not move or drop it; what they point to is guest memory, which `self.memory` keeps
        // mapped until nothing is under way, and which Rust code accesses by volatile copies only. The file is held by
        // the kernel from then on. There is no safe form.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        pushed.map_err(|_| io::Error::from(io::ErrorKind::ResourceBusy))?;
        self.under_way += 1;
        self.pushed += 1;
        Ok(())
    }

    /// Lets the kernel begin what was pushed; how many operations that were.
    pub fn submit(&mut self) -> io::Result<usize> {
        let all = self.pushed;
        while self.pushed > 0 {
            match self.ring.submit() {
                Ok(taken) => self.pushed -= taken.min(self.pushed),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// The number and result of one operation that is over, if there is one.
    pub fn finished(&mut self) -> Option<(u64, io::Result<usize>)> {
        let entry = self.ring.completion().next()?;
        self.under_way -= 1;
        // A negative result is an error's number.
        let result = usize::try_from(entry.result()).map_err(|_| io::Error::from_raw_os_error(-entry.result()));
        Some((entry.user_data(), result))
    }

    /// Waits until something is over that was not looked at; false when nothing is under way.
    pub fn wait(&mut self) -> io::Result<bool> {
        self.submit()?;
        if self.under_way == 0 {
            return Ok(false);
        }
        match self.ring.submit_and_wait(1) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(true),
        }
    }
}

impl Drop for Ring {
    /// Guest memory must not go before what is written to it has come to its end.
    fn drop(&mut self) {
        while let Ok(true) = self.wait() {
            while self.finished().is_some() {}
        }
    }
}

fn entry(operation: &Operation) -> squeue::Entry {
    match operation {
        Operation::Transfer(transfer) => {
            let (fd, pieces) = (types::Fd(transfer.file().as_raw_fd()), transfer.pieces());
            let len = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
            match transfer.direction() {
                Direction::FromFile => opcode::Readv::new(fd, pieces.as_ptr(), len).offset(transfer.offset()).build(),
                Direction::ToFile => opcode::Writev::new(fd, pieces.as_ptr(), len).offset(transfer.offset()).build(),
            }
        }
        Operation::Sync(file) => {
            opcode::Fsync::new(types::Fd(file.as_raw_fd())).flags(types::FsyncFlags::DATASYNC).build()
        }
        Operation::Allocate { file, flags, offset, len } => {
            let mode = flags.bits().cast_signed();
            opcode::Fallocate::new(types::Fd(file.as_raw_fd()), *len).offset(*offset).mode(mode).build()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_ring_does_nothing_else() {
        let mut ring = Ring::new(8).expect("a kernel with io_uring");
        // SAFETY: it has no pointers.
        unsafe { ring.ring.submission().push(&opcode::Nop::new().build()) }.expect("room");
        ring.under_way += 1;
        ring.pushed += 1;
        assert!(ring.wait().expect("waits"));
        let (_, result) = ring.finished().expect("over");
        assert_eq!(result.expect_err("refused").raw_os_error(), Some(libc::EACCES));
    }

    #[test]
    fn what_is_under_way_is_counted() {
        let mut ring = Ring::new(2).expect("a kernel with io_uring");
        let memory = crate::memory::anonymous(1, crate::hypervisor::DirtyLog::Off).expect("memory");
        let file = Arc::new(tempfile::tempfile().expect("file"));
        let operations = [Operation::Sync(file.clone()), Operation::Sync(file)];
        for (number, operation) in (0..).zip(&operations) {
            ring.push(number, operation, &memory).expect("room");
        }
        assert!(!ring.has_room() && ring.push(9, &operations[0], &memory).is_err());
        let mut numbers = Vec::new();
        while ring.wait().expect("waits") {
            numbers.extend(std::iter::from_fn(|| ring.finished()).map(|(number, result)| (number, result.is_ok())));
        }
        numbers.sort_unstable();
        assert_eq!(numbers, [(0, true), (1, true)]);
    }
}
