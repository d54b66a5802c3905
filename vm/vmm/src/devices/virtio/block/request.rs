//! One request (virtio 1.2, 5.2.6): a header, data, and a status byte at the very end of the writable part.

use std::io;

use vm_memory::{Bytes, GuestAddress};

use super::super::iovec::{Direction, Transfer};
use super::super::queue::{Chain, Span, slice};
use super::disk::{Piece, Space};
use super::engine::Operation;
use super::{Access, DISCARD_RANGES_MAX, DISCARD_SECTORS_MAX, Disk, SECTOR};
use crate::memory::Memory;

const READ: u32 = 0;
const WRITE: u32 = 1;
const FLUSH: u32 = 4;
const IDENTIFY: u32 = 8;
const DISCARD: u32 = 11;
const WRITE_ZEROES: u32 = 13;

const HEADER: u32 = 16;
const RANGE: usize = 16;
const RANGE_LEN: u32 = 16;
const UNMAP: u32 = 1;

/// What a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// The host failed, or the request makes no sense.
    Failed = 1,
    /// Not in this device's repertoire.
    Unsupported = 2,
}

/// A request whose header was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    kind: u32,
    sector: u64,
    answer: Answer,
}

/// Where the answer to a request goes. It outlives the chain's descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Names the chain.
    pub head: u16,
    status: GuestAddress,
    /// Bytes before the status.
    room: u32,
}

/// What is left to do for a request.
#[derive(Debug)]
pub enum Work {
    /// Nothing: this is what it came to, and how many bytes of data were written to the guest.
    Done(Status, u32),
    /// These, one after the other; then so many bytes of data were written to the guest.
    Steps(Vec<Operation>, u32),
}

impl Answer {
    /// Writes the status; all bytes written.
    pub fn give(self, memory: &Memory, status: Status, written: u32) -> u32 {
        let code: u8 = match status {
            Status::Ok => 0,
            Status::Failed => 1,
            Status::Unsupported => 2,
        };
        if memory.write_obj(code, self.status).is_err() {
            return 0;
        }
        // The length counts from the front: data that was not written must not be taken for written (2.7.8.2).
        if written == self.room { written + 1 } else { written }
    }
}

impl Request {
    /// The request of a chain, or none if there is no header or no room for a status.
    pub fn parse(memory: &Memory, chain: &Chain) -> Option<Self> {
        let mut header = [0; HEADER as usize];
        if chain.read(memory, 0, &mut header) < header.len() {
            return None;
        }
        let (kind, _, sector) = (word(&header[..4]), word(&header[4..8]), quad(&header[8..]));
        let room = chain.writable_len().checked_sub(1)?;
        let status = slice(&chain.writable, room, 1).next()?.address;
        Some(Request { kind, sector, answer: Answer { head: chain.head, status, room } })
    }

    /// Whether it is to wait for all writes before it.
    pub fn is_flush(&self) -> bool {
        self.kind == FLUSH
    }

    /// Where its answer goes.
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// What it takes; nothing was done to the disk yet.
    pub fn work(&self, disk: &Disk, memory: &Memory, chain: &Chain) -> Work {
        let (steps, written) = match self.kind {
            READ => (self.read(disk, memory, chain), self.answer.room),
            WRITE => (self.write(disk, memory, chain), 0),
            FLUSH => (Ok(disk.flush().into_iter().collect()), 0),
            IDENTIFY => return Work::Done(Status::Ok, self.identify(disk, memory, chain)),
            DISCARD => (ranges(disk, memory, chain, Range::discarded), 0),
            WRITE_ZEROES => (ranges(disk, memory, chain, Range::zeroed), 0),
            _ => (Err(Status::Unsupported), 0),
        };
        match steps {
            Ok(steps) if steps.is_empty() => Work::Done(Status::Ok, written),
            Ok(steps) => Work::Steps(steps, written),
            Err(status) => Work::Done(status, 0),
        }
    }

    fn read(&self, disk: &Disk, memory: &Memory, chain: &Chain) -> Result<Vec<Operation>, Status> {
        let place = self.place(disk, self.answer.room)?;
        transfers(Direction::FromFile, disk.pieces(place, self.answer.room), memory, (&chain.writable, 0))
    }

    fn write(&self, disk: &Disk, memory: &Memory, chain: &Chain) -> Result<Vec<Operation>, Status> {
        let len = chain.readable_len() - HEADER;
        let place = self.place(disk, len)?;
        match disk.access() {
            Access::ReadOnly => Err(Status::Failed),
            Access::ReadWrite => {
                transfers(Direction::ToFile, disk.pieces(place, len), memory, (&chain.readable, HEADER))
            }
        }
    }

    fn identify(&self, disk: &Disk, memory: &Memory, chain: &Chain) -> u32 {
        let room = usize::try_from(self.answer.room).unwrap_or(usize::MAX);
        let serial = disk.serial();
        let written = chain.write(memory, 0, &serial[..room.min(serial.len())]);
        u32::try_from(written).unwrap_or(0)
    }

    /// Where the data lies: whole sectors, on the disk.
    fn place(&self, disk: &Disk, len: u32) -> Result<u64, Status> {
        let len = u64::from(len);
        let place = if len.is_multiple_of(SECTOR) { disk.offset(self.sector, len) } else { None };
        place.ok_or(Status::Failed)
    }
}

/// One transfer for each file that a range of the disk lies in; the data is in `spans` after `skip` bytes.
fn transfers<'a>(
    direction: Direction,
    pieces: impl Iterator<Item = Piece<'a>>,
    memory: &Memory,
    (spans, mut skip): (&[Span], u32),
) -> Result<Vec<Operation>, Status> {
    let transfer = |piece: Piece<'a>| {
        let part = slice(spans, skip, piece.len);
        skip += piece.len;
        let transfer = Transfer::new(direction, (piece.file.clone(), piece.offset), memory, part);
        transfer.map(Operation::Transfer).map_err(|error| failed(&error))
    };
    pieces.map(transfer).collect()
}

/// One range of a discard or of zeroes to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    sector: u64,
    sectors: u32,
    flags: u32,
}

impl Range {
    fn parse(bytes: &[u8; RANGE]) -> Self {
        Range { sector: quad(&bytes[..8]), sectors: word(&bytes[8..12]), flags: word(&bytes[12..]) }
    }

    /// Its space goes back to the host.
    fn discarded(self, disk: &Disk) -> Result<Option<Operation>, Status> {
        match self.flags {
            0 => self.on(disk, Space::Freed),
            _ => Err(Status::Unsupported),
        }
    }

    fn zeroed(self, disk: &Disk) -> Result<Option<Operation>, Status> {
        match self.flags {
            0 => self.on(disk, Space::Kept),
            UNMAP => self.on(disk, Space::Freed),
            _ => Err(Status::Unsupported),
        }
    }

    fn on(self, disk: &Disk, space: Space) -> Result<Option<Operation>, Status> {
        let len = u64::from(self.sectors) * SECTOR;
        match disk.offset(self.sector, len) {
            Some(_) if self.sectors > DISCARD_SECTORS_MAX => Err(Status::Failed),
            Some(_) if len == 0 => Ok(None),
            Some(offset) => Ok(Some(disk.zeroes(offset, len, space))),
            None => Err(Status::Failed),
        }
    }
}

/// One operation for each range; none is done if one is refused.
fn ranges(
    disk: &Disk,
    memory: &Memory,
    chain: &Chain,
    plan: impl Fn(Range, &Disk) -> Result<Option<Operation>, Status>,
) -> Result<Vec<Operation>, Status> {
    let len = chain.readable_len() - HEADER;
    let count = len / RANGE_LEN;
    if disk.access() == Access::ReadOnly || len != count * RANGE_LEN || count > DISCARD_RANGES_MAX {
        return Err(Status::Failed);
    }
    let range = |index: u32| {
        let mut bytes = [0; RANGE];
        chain.read(memory, HEADER + index * RANGE_LEN, &mut bytes);
        plan(Range::parse(&bytes), disk).transpose()
    };
    (0..count).filter_map(range).collect()
}

/// What operations came to.
pub fn status_of(result: &io::Result<()>) -> Status {
    match result {
        Ok(()) => Status::Ok,
        Err(error) => failed(error),
    }
}

fn failed(error: &io::Error) -> Status {
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP) => Status::Unsupported,
        _ => {
            tracing::warn!("disk: {error}");
            Status::Failed
        }
    }
}

fn word(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}

fn quad(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}
