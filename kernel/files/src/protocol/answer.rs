//! What the server answers: 0 and what was asked for, or an errno.

use std::ffi::CStr;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Statx, StatxFlags, StatxTimestamp, statx};
use rustix::io::Errno;

use super::codec::{Reader, Writer};
use super::request::{Time, decode_time, encode_time};

/// Facts about a file (statx(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of statx(2) and statfs(2)")]
pub struct Attributes {
    /// As `st_dev`.
    pub device: u64,
    pub ino: u64,
    /// Type and permission bits.
    pub mode: u32,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    /// Major and minor.
    pub rdev: (u32, u32),
    pub size: u64,
    /// Of 512 bytes.
    pub blocks: u64,
    pub atime: Time,
    pub mtime: Time,
    pub ctime: Time,
    pub btime: Option<Time>,
}

impl Attributes {
    /// Those of an open file.
    pub fn of(file: impl AsFd) -> rustix::io::Result<Self> {
        statx(file, c"", AtFlags::EMPTY_PATH, Self::WANTED).map(|found| Self::from(&found))
    }

    /// Those of what has a name in a directory, itself: a link is not followed.
    pub fn at(directory: impl AsFd, name: &CStr) -> rustix::io::Result<Self> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        statx(directory, name, flags, Self::WANTED).map(|found| Self::from(&found))
    }

    const WANTED: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);

    /// Adds them to an answer.
    pub fn encode(&self, out: &mut Writer) {
        [self.device, self.ino, self.size, self.blocks].into_iter().for_each(|word| out.u64(word));
        let words = [self.mode, self.nlink, self.uid, self.gid, self.rdev.0, self.rdev.1];
        words.into_iter().for_each(|word| out.u32(word));
        [self.atime, self.mtime, self.ctime].into_iter().for_each(|time| encode_time(out, time));
        out.optional(self.btime, encode_time);
    }

    /// From an answer.
    pub fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            device: reader.u64()?,
            ino: reader.u64()?,
            size: reader.u64()?,
            blocks: reader.u64()?,
            mode: reader.u32()?,
            nlink: reader.u32()?,
            uid: reader.u32()?,
            gid: reader.u32()?,
            rdev: (reader.u32()?, reader.u32()?),
            atime: decode_time(reader)?,
            mtime: decode_time(reader)?,
            ctime: decode_time(reader)?,
            btime: reader.optional(decode_time)?,
        })
    }
}

impl From<&Statx> for Attributes {
    fn from(found: &Statx) -> Self {
        let has_btime = found.stx_mask & StatxFlags::BTIME.bits() != 0;
        Self {
            device: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
            ino: found.stx_ino,
            mode: found.stx_mode.into(),
            nlink: found.stx_nlink,
            uid: found.stx_uid,
            gid: found.stx_gid,
            rdev: (found.stx_rdev_major, found.stx_rdev_minor),
            size: found.stx_size,
            blocks: found.stx_blocks,
            atime: time(&found.stx_atime),
            mtime: time(&found.stx_mtime),
            ctime: time(&found.stx_ctime),
            btime: has_btime.then(|| time(&found.stx_btime)),
        }
    }
}

fn time(time: &StatxTimestamp) -> Time {
    (time.tv_sec, time.tv_nsec)
}

/// A file that was found or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, until it is forgotten.
    pub node: u32,
    /// Facts about it.
    pub attributes: Attributes,
}

impl Entry {
    /// Adds it to an answer.
    pub fn encode(&self, out: &mut Writer) {
        out.u32(self.node);
        self.attributes.encode(out);
    }

    /// From an answer.
    pub fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { node: reader.u32()?, attributes: Attributes::decode(reader)? })
    }
}

/// Facts about the file system (statfs(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of statx(2) and statfs(2)")]
pub struct FileSystem {
    pub block_bytes: u64,
    pub blocks: u64,
    pub blocks_free: u64,
    pub files: u64,
    pub files_free: u64,
    pub magic: u32,
}

impl FileSystem {
    /// Adds them to an answer.
    pub fn encode(&self, out: &mut Writer) {
        let Self { block_bytes, blocks, blocks_free, files, files_free, magic } = *self;
        [block_bytes, blocks, blocks_free, files, files_free].into_iter().for_each(|word| out.u64(word));
        out.u32(magic);
    }

    /// From an answer.
    pub fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            block_bytes: reader.u64()?,
            blocks: reader.u64()?,
            blocks_free: reader.u64()?,
            files: reader.u64()?,
            files_free: reader.u64()?,
            magic: reader.u32()?,
        })
    }
}

/// One name of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The inode's number.
    pub ino: u64,
    /// The type bits of its mode.
    pub kind: u32,
    /// The position behind it.
    pub next: u64,
    /// Facts, unless it is gone since.
    pub attributes: Option<Attributes>,
}

/// Adds one to an answer.
pub fn push_listed(out: &mut Writer, entry: &Listed<'_>) {
    out.u64(entry.ino);
    out.u64(entry.next);
    out.u32(entry.kind);
    out.bytes(entry.name);
    out.optional(entry.attributes, |out, attributes| attributes.encode(out));
}

/// The next one of an answer; `None` at its end.
pub fn listed<'a>(reader: &mut Reader<'a>) -> Option<Listed<'a>> {
    let (ino, next, kind) = (reader.u64()?, reader.u64()?, reader.u32()?);
    let name = reader.bytes().filter(|name| is_name(name))?;
    Some(Listed { name, ino, kind, next, attributes: reader.optional(Attributes::decode)? })
}

fn is_name(name: &[u8]) -> bool {
    let ends = !name.is_empty() && name.len() <= super::NAME_BYTES_MAX;
    ends && name != b"." && name != b".." && !name.iter().any(|byte| matches!(byte, 0 | b'/'))
}

/// The packet that says why not.
pub fn encode_failure(errno: Errno) -> Vec<u8> {
    errno.raw_os_error().to_le_bytes().to_vec()
}

/// What an answer holds, or why there is none; `None` when it is no answer.
pub fn decode_answer(packet: &[u8]) -> Option<Result<Reader<'_>, Errno>> {
    let (head, rest) = packet.split_at_checked(4)?;
    match i32::from_le_bytes(head.try_into().ok()?) {
        0 => Some(Ok(Reader(rest))),
        errno @ 1..4096 => Some(Err(Errno::from_raw_os_error(errno))),
        _ => None,
    }
}
