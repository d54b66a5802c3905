//! How a disk's operations are done: by the kernel while the devices' thread serves others, or one after the other in a
//! thread of the disk's own.

use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, fallocate};

use super::super::iovec::{Direction, Transfer};
use super::flight::Flight;
use crate::config::IoEngine;

/// One thing to do to a file.
#[derive(Debug)]
pub enum Operation {
    /// Data between guest memory and the file.
    Transfer(Transfer),
    /// What was written is to be on the disk.
    Sync(Arc<File>),
    /// Space is to be given back, or to read as zeroes.
    Allocate {
        /// The file.
        file: Arc<File>,
        /// Which of both.
        flags: FallocateFlags,
        /// From here on.
        offset: u64,
        /// As many bytes.
        len: u64,
    },
}

/// Whether an operation is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It is.
    Done,
    /// Only a part of it was done.
    More,
}

impl Operation {
    /// Does it here and now.
    pub fn run(&mut self) -> io::Result<()> {
        match self {
            Operation::Transfer(transfer) => transfer.run(),
            Operation::Sync(file) => file.sync_data(),
            Operation::Allocate { file, flags, offset, len } => Ok(fallocate(&**file, *flags, *offset, *len)?),
        }
    }

    /// The kernel did a part of it: as many bytes, where it is about bytes.
    pub fn progress(&mut self, done: io::Result<usize>) -> io::Result<Progress> {
        let done = match done {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Progress::More),
            done => done?,
        };
        match self {
            Operation::Transfer(transfer) => {
                transfer.advance(done)?;
                Ok(if transfer.is_over() { Progress::Done } else { Progress::More })
            }
            Operation::Sync(_) | Operation::Allocate { .. } => Ok(Progress::Done),
        }
    }

    /// Whether a flush that comes later has to wait for it.
    pub fn is_write(&self) -> bool {
        match self {
            Operation::Transfer(transfer) => transfer.direction() == Direction::ToFile,
            Operation::Sync(_) => false,
            Operation::Allocate { .. } => true,
        }
    }
}

/// Does operations.
pub enum Engine {
    /// Several at once, by io_uring.
    Ring(Box<Flight>),
    /// In the calling thread.
    Here,
}

impl Engine {
    /// The engine that a drive's configuration asks for; where the kernel has no io_uring for us, the other one.
    pub fn new(engine: IoEngine) -> Self {
        match engine {
            IoEngine::Sync => Engine::Here,
            IoEngine::Async => match Flight::new() {
                Ok(flight) => Engine::Ring(Box::new(flight)),
                Err(error) => {
                    tracing::warn!("no io_uring ({error}): a disk's requests are served one after the other");
                    Engine::Here
                }
            },
        }
    }
}
