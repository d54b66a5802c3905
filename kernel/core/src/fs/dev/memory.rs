//! null(4), full(4), random(4).

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::Errno;
use crate::io::{Sink, Source};
use crate::mm::{MapPiece, PoolRange};
use crate::platform::{Backing, Machine, Sharing};
use crate::task::Task;
use crate::vfs::{Driver, FileObject, Opening, Seeking, WriteAt, Written};

/// Bytes made or taken at a time.
const STEP_BYTES: usize = 4096;

/// The memory devices.
#[derive(Debug)]
pub struct MemoryDriver {
    machine: Arc<dyn Machine>,
}

impl MemoryDriver {
    pub fn new(machine: &Arc<dyn Machine>) -> Self {
        Self { machine: machine.clone() }
    }
}

impl Driver for MemoryDriver {
    fn open(&self, minor: u32, _: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
        let kind = match minor {
            3 => Kind::Null,
            5 => Kind::Zero,
            7 => Kind::Full,
            8 | 9 => Kind::Random,
            _ => return Err(Errno::ENXIO),
        };
        Ok(Arc::new(MemoryDevice { kind, machine: self.machine.clone() }))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Null,
    Zero,
    Full,
    Random,
}

/// An open device.
#[derive(Debug)]
struct MemoryDevice {
    kind: Kind,
    machine: Arc<dyn Machine>,
}

impl FileObject for MemoryDevice {
    fn read(&self, sink: &mut dyn Sink, _: u64) -> Result<usize, Errno> {
        match self.kind {
            Kind::Null => Ok(0),
            Kind::Zero | Kind::Full => sink.put_zeros(sink.remaining()),
            Kind::Random => read_random(&*self.machine, sink),
        }
    }

    fn write(&self, source: &mut dyn Source, _: WriteAt) -> Result<Written, Errno> {
        let len = source.remaining();
        if self.kind == Kind::Full && len > 0 {
            return Err(Errno::ENOSPC);
        }
        // What is written to the entropy pool changes nothing: the host has its own. Like the others, it is not read.
        Ok(Written { count: len, end: 0 })
    }

    fn seeking(&self) -> Seeking {
        Seeking::Ignored
    }

    fn map(&self, _: u64, len: u64, sharing: Sharing) -> Result<Vec<MapPiece>, Errno> {
        if self.kind != Kind::Zero {
            return Err(Errno::ENODEV);
        }
        let piece = match sharing {
            Sharing::Private => MapPiece { len, backing: Backing::Anonymous, keep: None, fixed: None },
            Sharing::Shared => {
                let range = PoolRange::allocate(&self.machine, len)?;
                MapPiece {
                    len,
                    backing: Backing::Pool { offset: range.offset(), sharing },
                    keep: Some(range),
                    fixed: None,
                }
            }
        };
        Ok(alloc::vec![piece])
    }

    fn ioctl(&self, task: &Arc<Task>, request: u32, argument: u64) -> Result<u64, Errno> {
        /// RNDGETENTCNT
        const GET_ENTROPY_COUNT: u32 = 0x8004_5200;
        if self.kind != Kind::Random || request != GET_ENTROPY_COUNT {
            return Err(Errno::ENOTTY);
        }
        task.memory().write_struct(argument, &256_i32)?;
        Ok(0)
    }
}

fn read_random(machine: &dyn Machine, sink: &mut dyn Sink) -> Result<usize, Errno> {
    let mut done = 0;
    let mut buffer = [0; STEP_BYTES];
    while sink.remaining() > 0 {
        let step = sink.remaining().min(STEP_BYTES);
        machine.random(&mut buffer[..step]);
        match sink.put(&buffer[..step]) {
            Ok(count) if count < step => return Ok(done + count),
            Ok(count) => done += count,
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}
