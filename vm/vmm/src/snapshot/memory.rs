//! Memory files: the guest's memory as it lies, region after region, with holes.
//!
//! In a whole one a hole is a page of zeroes. In a diff it is a page that has not changed; written over its base it
//! makes a whole one.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{SeekFrom, copy_file_range, seek};
use rustix::io::Errno;
use vm_memory::bitmap::Bitmap;
use vm_memory::{GuestMemoryBackend, GuestMemoryRegion, GuestUsize, MemoryRegionAddress};

use crate::memory::{Memory, Region};

const PAGE: usize = 4096;
/// What is read and written at once.
const PIECE: usize = 64 << 10;

/// What goes into a memory file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// All of it; zeroes become holes of a new file.
    Full,
    /// What was written since the last snapshot, over what the file has. Without a log that is every page.
    Changes,
}

/// How long a memory's file is.
pub fn len(memory: &Memory) -> u64 {
    memory.iter().map(GuestMemoryRegion::len).sum()
}

/// Notes pages that the guest wrote beside those that devices wrote: a bit for each page, by region.
pub fn mark(memory: &Memory, log: &[Vec<u64>]) {
    for (region, words) in memory.iter().zip(log) {
        for (index, word) in words.iter().enumerate().filter(|(_, word)| **word != 0) {
            (0..64).filter(|bit| word >> bit & 1 == 1).for_each(|bit| {
                region.bitmap().mark_dirty((64 * index + bit) * PAGE, PAGE);
            });
        }
    }
}

/// Forgets which pages were written: a snapshot has them.
pub fn forget(memory: &Memory) {
    for bitmap in memory.iter().filter_map(|region| (**region).bitmap().as_ref()) {
        bitmap.reset();
    }
}

/// Writes memory into `file`, which becomes as long as it.
pub fn write(memory: &Memory, content: Content, file: &File) -> io::Result<()> {
    file.set_len(len(memory))?;
    let mut start = 0;
    for region in memory.iter() {
        write_region(region, content, file, start)?;
        start += region.len();
    }
    Ok(())
}

fn write_region(region: &Region, content: Content, file: &File, start: u64) -> io::Result<()> {
    let len = usize::try_from(region.len()).map_err(io::Error::other)?;
    let log = (**region).bitmap().as_ref();
    let mut piece = vec![0; PIECE];
    for at in (0..len).step_by(PIECE) {
        let piece = &mut piece[..PIECE.min(len - at)];
        let pages = at..at + piece.len();
        let wanted = |page: usize| content == Content::Full || log.is_none_or(|log| log.is_addr_set(page));
        if !pages.step_by(PAGE).any(wanted) {
            continue;
        }
        vm_memory::Bytes::read_slice(region, piece, MemoryRegionAddress(at as GuestUsize)).map_err(io::Error::other)?;
        let keep = |page: usize, bytes: &[u8]| wanted(at + page) && (content == Content::Changes || !is_zero(bytes));
        write_runs(piece, keep, file, start + at as u64)?;
    }
    Ok(())
}

/// Writes the pages of `piece` that are to be kept, neighbours at once.
fn write_runs(piece: &[u8], keep: impl Fn(usize, &[u8]) -> bool, file: &File, offset: u64) -> io::Result<()> {
    let mut run = None;
    for (at, page) in (0..).step_by(PAGE).zip(piece.chunks(PAGE)) {
        match (keep(at, page), run) {
            (true, None) => run = Some(at),
            (false, Some(start)) => {
                file.write_all_at(&piece[start..at], offset + start as u64)?;
                run = None;
            }
            _ => {}
        }
    }
    run.map_or(Ok(()), |start| file.write_all_at(&piece[start..], offset + start as u64))
}

fn is_zero(page: &[u8]) -> bool {
    page.chunks(8).all(|word| word == &[0; 8][..word.len()])
}

/// Writes a diff over its base: each page that the diff has.
pub fn merge(diff: &File, base: &File) -> io::Result<()> {
    if diff.metadata()?.len() != base.metadata()?.len() {
        return Err(io::Error::other("a diff and its base are of the same size"));
    }
    copy(diff, base)
}

/// Copies what `from` has besides holes to the same places of `to`, by reference where the file system can.
pub fn copy(from: &File, to: &File) -> io::Result<()> {
    let len = from.metadata()?.len();
    if to.metadata()?.len() < len {
        to.set_len(len)?;
    }
    let mut at = 0;
    while let Some(start) = next(from, SeekFrom::Data(at))? {
        let end = next(from, SeekFrom::Hole(start))?.unwrap_or(len);
        copy_range(from, to, start, end)?;
        at = end;
    }
    Ok(())
}

/// Where the next data or hole begins; none behind the last.
fn next(file: &File, from: SeekFrom) -> io::Result<Option<u64>> {
    match seek(file, from) {
        Ok(at) => Ok(Some(at)),
        Err(Errno::NXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn copy_range(from: &File, to: &File, mut start: u64, end: u64) -> io::Result<()> {
    while start < end {
        let (mut source, mut target) = (start, start);
        let left = usize::try_from(end - start).map_err(io::Error::other)?;
        match copy_file_range(from, Some(&mut source), to, Some(&mut target), left) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(done) => start += done as u64,
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
                return copy_bytes(from, to, start, end);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// For files of different file systems.
fn copy_bytes(from: &File, to: &File, mut start: u64, end: u64) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    while start < end {
        let len = usize::try_from(end - start).map_or(PIECE, |left| left.min(PIECE));
        from.read_exact_at(&mut piece[..len], start)?;
        to.write_all_at(&piece[..len], start)?;
        start += len as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::DirtyLog;
    use crate::memory::{anonymous, from_file};
    use std::sync::Arc;
    use vm_memory::{Bytes, GuestAddress};

    const MIB: u64 = 1 << 20;

    fn put(memory: &Memory, bytes: &[(u64, u8)]) {
        bytes.iter().for_each(|(at, byte)| memory.write_obj(*byte, GuestAddress(*at)).expect("inside"));
    }

    fn saved(memory: &Memory, content: Content) -> File {
        let file = tempfile::tempfile().expect("file");
        write(memory, content, &file).expect("write");
        file
    }

    fn bytes(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(file.metadata().expect("size").len()).expect("small")];
        file.read_exact_at(&mut bytes, 0).expect("read");
        bytes
    }

    fn data_pages(file: &File) -> u64 {
        let (mut at, mut pages) = (0, 0);
        while let Some(start) = next(file, SeekFrom::Data(at)).expect("seek") {
            at = next(file, SeekFrom::Hole(start)).expect("seek").expect("a hole");
            pages += (at - start) / 4096;
        }
        pages
    }

    #[test]
    fn memory_comes_back_and_zeroes_are_holes() {
        let memory = anonymous(3, DirtyLog::Off).expect("memory");
        put(&memory, &[(0, 1), (4096, 2), (3 * 4096, 3), (MIB - 1, 4), (MIB, 5), (3 * MIB - 1, 6)]);
        let file = saved(&memory, Content::Full);
        assert_eq!(data_pages(&file), 6);
        let back = from_file(&Arc::new(file), 3, DirtyLog::Off).expect("map");
        for (at, byte) in [(0, 1), (1, 0), (4096, 2), (8192, 0), (3 * 4096, 3), (MIB - 1, 4), (MIB, 5)] {
            assert_eq!(back.read_obj::<u8>(GuestAddress(at)).expect("inside"), byte, "{at:#x}");
        }
    }

    #[test]
    fn a_diff_over_its_base_is_the_whole() {
        let memory = anonymous(2, DirtyLog::On).expect("memory");
        put(&memory, &[(0, 1), (0x5000, 2), (0x9000, 3), (MIB, 4)]);
        let base = saved(&memory, Content::Full);
        forget(&memory);
        // Written by devices, one back to zero, and one by the guest, of which only the log tells.
        put(&memory, &[(0x5000, 0), (0x6000, 7), (2 * MIB - 1, 8)]);
        let diff = saved(&memory, Content::Changes);
        assert_eq!(data_pages(&diff), 3);
        merge(&diff, &base).expect("merge");
        assert_eq!(bytes(&base), bytes(&saved(&memory, Content::Full)));
        forget(&memory);
        let mut log = vec![vec![0; 8]];
        log[0][1] = 1 << 2;
        mark(&memory, &log);
        assert_eq!(data_pages(&saved(&memory, Content::Changes)), 1);
    }

    #[test]
    fn without_a_log_everything_has_changed() {
        let memory = anonymous(1, DirtyLog::Off).expect("memory");
        assert_eq!(data_pages(&saved(&memory, Content::Changes)), 256);
    }

    #[test]
    fn sizes_must_agree() {
        let (small, large) =
            (anonymous(1, DirtyLog::Off).expect("memory"), anonymous(2, DirtyLog::Off).expect("memory"));
        assert!(merge(&saved(&small, Content::Full), &saved(&large, Content::Full)).is_err());
    }
}
