//! One request (virtio 1.2, 5.2.6): a header, data, and a status byte at the very end of the writable part.

use std::io;

use super::super::iovec;
use super::super::queue::{Chain, slice};
use super::{Access, DISCARD_RANGES_MAX, DISCARD_SECTORS_MAX, Disk, SECTOR};
use crate::memory::Memory;

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
    /// Where the status goes.
    status_at: u32,
}

impl Request {
    /// The request of a chain, or none if there is no header or no room for a status.
    pub fn parse(memory: &Memory, chain: &Chain) -> Option<Self> {
        let mut header = [0; HEADER as usize];
        if chain.read(memory, 0, &mut header) < header.len() {
            return None;
        }
        let (kind, _, sector) = (word(&header[..4]), word(&header[4..8]), quad(&header[8..]));
        let status_at = chain.writable_len().checked_sub(1)?;
        Some(Request { kind, sector, status_at })
    }

    /// Does it; its status, and how many bytes of data were written to the guest.
    pub fn serve(&self, disk: &Disk, memory: &Memory, chain: &Chain) -> (Status, u32) {
        match self.kind {
            0 => self.read(disk, memory, chain),
            1 => (self.write(disk, memory, chain), 0),
            4 => (of(disk.flush()), 0),
            8 => (Status::Ok, self.identify(disk, memory, chain)),
            11 => (ranges(disk, memory, chain, Range::discard), 0),
            13 => (ranges(disk, memory, chain, Range::write_zeroes), 0),
            _ => (Status::Unsupported, 0),
        }
    }

    /// Writes the status; all bytes written.
    pub fn finish(&self, memory: &Memory, chain: &Chain, status: Status, written: u32) -> u32 {
        let code = [match status {
            Status::Ok => 0,
            Status::Failed => 1,
            Status::Unsupported => 2,
        }];
        chain.write(memory, self.status_at, &code);
        // The length counts from the front: data that was not written must not be taken for written (2.7.8.2).
        if written == self.status_at { written + 1 } else { written }
    }

    fn read(&self, disk: &Disk, memory: &Memory, chain: &Chain) -> (Status, u32) {
        let len = self.status_at;
        let Some(offset) = self.place(disk, len) else { return (Status::Failed, 0) };
        let mut done = 0;
        for piece in disk.pieces(offset, len) {
            let spans = slice(&chain.writable, done, piece.len);
            if let Err(error) = iovec::read_at(piece.file, piece.offset, memory, spans) {
                return (failed(&error), 0);
            }
            done += piece.len;
        }
        (Status::Ok, len)
    }

    fn write(&self, disk: &Disk, memory: &Memory, chain: &Chain) -> Status {
        let len = chain.readable_len() - HEADER;
        match self.place(disk, len) {
            Some(offset) if disk.access() == Access::ReadWrite => {
                let mut done = HEADER;
                of(disk.pieces(offset, len).try_for_each(|piece| {
                    let spans = slice(&chain.readable, done, piece.len);
                    done += piece.len;
                    iovec::write_at(piece.file, piece.offset, memory, spans)
                }))
            }
            _ => Status::Failed,
        }
    }

    fn identify(&self, disk: &Disk, memory: &Memory, chain: &Chain) -> u32 {
        let room = usize::try_from(self.status_at).unwrap_or(usize::MAX);
        let serial = disk.serial();
        let written = chain.write(memory, 0, &serial[..room.min(serial.len())]);
        u32::try_from(written).unwrap_or(0)
    }

    /// Where the data lies: whole sectors, on the disk.
    fn place(&self, disk: &Disk, len: u32) -> Option<u64> {
        let len = u64::from(len);
        if len.is_multiple_of(SECTOR) { disk.offset(self.sector, len) } else { None }
    }
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

    fn discard(self, disk: &Disk) -> Status {
        match self.flags {
            0 => self.on(disk, Disk::punch),
            _ => Status::Unsupported,
        }
    }

    fn write_zeroes(self, disk: &Disk) -> Status {
        match self.flags {
            0 => self.on(disk, Disk::zero),
            UNMAP => self.on(disk, Disk::punch),
            _ => Status::Unsupported,
        }
    }

    fn on(self, disk: &Disk, act: impl FnOnce(&Disk, u64, u64) -> io::Result<()>) -> Status {
        let len = u64::from(self.sectors) * SECTOR;
        match disk.offset(self.sector, len) {
            Some(_) if self.sectors > DISCARD_SECTORS_MAX => Status::Failed,
            Some(_) if len == 0 => Status::Ok,
            Some(offset) => of(act(disk, offset, len)),
            None => Status::Failed,
        }
    }
}

fn ranges(disk: &Disk, memory: &Memory, chain: &Chain, act: impl Fn(Range, &Disk) -> Status) -> Status {
    let len = chain.readable_len() - HEADER;
    let count = len / RANGE_LEN;
    if disk.access() == Access::ReadOnly || len != count * RANGE_LEN || count > DISCARD_RANGES_MAX {
        return Status::Failed;
    }
    for index in 0..count {
        let mut bytes = [0; RANGE];
        chain.read(memory, HEADER + index * RANGE_LEN, &mut bytes);
        match act(Range::parse(&bytes), disk) {
            Status::Ok => {}
            other => return other,
        }
    }
    Status::Ok
}

fn of(result: io::Result<()>) -> Status {
    match result {
        Ok(()) => Status::Ok,
        Err(error) => failed(&error),
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
