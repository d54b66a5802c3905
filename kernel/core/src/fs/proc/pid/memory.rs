//! Files that show a process's memory: cmdline, environ, auxv, mem, pagemap.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::{PidSubject, access, settings};
use crate::Errno;
use crate::fs::synthetic::Opener;
use crate::io::{Sink, Source};
use crate::mm::{Memory, PAGE};
use crate::platform::References;
use crate::vfs::{FileObject, Opening, Seeking, WriteAt, Written};

/// What of arguments and environment is shown; exec bounds them to less.
const STRINGS_BYTES_MAX: u64 = 8 << 20;
/// What is copied at once.
const CHUNK_BYTES: usize = 4096;

/// Bytes of a range as far as they are there.
fn strings(memory: &Memory, range: &Range<u64>) -> Vec<u8> {
    let len = range.end.saturating_sub(range.start).min(STRINGS_BYTES_MAX);
    let mut bytes = alloc::vec![0; usize::try_from(len).unwrap_or(0)];
    let count = memory.space().read(range.start, &mut bytes);
    bytes.truncate(count);
    bytes
}

/// /proc/PID/cmdline
pub(super) fn cmdline(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    Ok(subject.task().map(|task| command_line(&task.memory())).unwrap_or_default())
}

/// Arguments, each with a zero behind it. A process that wrote over the end of its arguments shows one string, which
/// may go on in the environment (`get_mm_cmdline` of Linux).
pub(super) fn command_line(memory: &Memory) -> Vec<u8> {
    let Some(program) = memory.program() else { return Vec::new() };
    let mut text = strings(memory, &program.arguments);
    let adjacent = program.arguments.end == program.environment.start;
    if text.last().is_some_and(|byte| *byte != 0) {
        if adjacent {
            text.extend(strings(memory, &program.environment));
        }
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        text.truncate(end);
    }
    text
}

/// /proc/PID/environ
pub(super) fn environ(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let Ok(task) = subject.task() else { return Ok(Vec::new()) };
    let memory = task.memory();
    Ok(memory.program().map_or_else(Vec::new, |program| strings(&memory, &program.environment)))
}

/// /proc/PID/auxv
pub(super) fn auxv(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let Ok(task) = subject.task() else { return Ok(Vec::new()) };
    Ok(task.memory().program().map_or_else(Vec::new, |program| program.auxiliary.clone()))
}

/// /proc/PID/mem
pub(super) fn open_mem(subject: &PidSubject, opening: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
    access::inspect(subject, opening.caller)?;
    Ok(Arc::new(Mem(subject.task()?.memory())))
}

/// An address space as a file. What is not there is `EIO`.
#[derive(Debug)]
struct Mem(Arc<Memory>);

impl FileObject for Mem {
    fn seeking(&self) -> Seeking {
        Seeking::Yes
    }

    fn read(&self, sink: &mut dyn Sink, at: u64) -> Result<usize, Errno> {
        if sink.remaining() == 0 {
            return Ok(0);
        }
        let mut chunk = [0; CHUNK_BYTES];
        let mut done = 0;
        while sink.remaining() > 0 {
            let len = sink.remaining().min(CHUNK_BYTES);
            let address = at.checked_add(done as u64).ok_or(Errno::EIO)?;
            let count = self.0.space().read(address, &mut chunk[..len]);
            let put = if count > 0 { sink.put(&chunk[..count])? } else { 0 };
            done += put;
            if put < len {
                break;
            }
        }
        if done > 0 { Ok(done) } else { Err(Errno::EIO) }
    }

    fn write(&self, source: &mut dyn Source, at: WriteAt) -> Result<Written, Errno> {
        let WriteAt::Offset(at) = at else { return Err(Errno::EINVAL) };
        let mut chunk = [0; CHUNK_BYTES];
        let len = source.remaining().min(CHUNK_BYTES);
        let taken = source.take(&mut chunk[..len])?;
        let count = self.0.space().write(at, &chunk[..taken]);
        if count == 0 && taken > 0 {
            return Err(Errno::EIO);
        }
        Ok(Written { count, end: at + count as u64 })
    }
}

/// /proc/PID/clear_refs
pub(super) fn clear_references(subject: &PidSubject, _: &Opener, bytes: &[u8]) -> Result<(), Errno> {
    let which = match settings::number(bytes)? {
        1 => References::All,
        2 => References::Anonymous,
        3 => References::Mapped,
        4 => References::Changes,
        5 => References::Peak,
        _ => return Err(Errno::EINVAL),
    };
    subject.task()?.memory().space().clear_references(which)
}

/// /proc/PID/pagemap
pub(super) fn open_page_map(subject: &PidSubject, opening: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
    access::inspect(subject, opening.caller)?;
    let task = subject.task()?;
    Ok(Arc::new(PageMap { memory: task.memory(), end: task.kernel().machine().info().user_range.end }))
}

/// Eight bytes for each page of an address space. Where pages lie is not told, as without CAP_SYS_ADMIN on Linux.
#[derive(Debug)]
struct PageMap {
    memory: Arc<Memory>,
    /// Of what applications can have.
    end: u64,
}

impl PageMap {
    const WORD: usize = size_of::<u64>();

    /// The words of some pages; zeros where the host tells nothing, or another program has taken over.
    fn words(&self, address: u64, count: usize) -> Vec<u8> {
        let mut words = alloc::vec![0; count];
        let known = self.memory.space().page_map(address, &mut words).is_ok();
        words.iter().flat_map(|word| if known { word.to_le_bytes() } else { [0; Self::WORD] }).collect()
    }
}

impl FileObject for PageMap {
    fn seeking(&self) -> Seeking {
        Seeking::Yes
    }

    fn read(&self, sink: &mut dyn Sink, at: u64) -> Result<usize, Errno> {
        let word = Self::WORD as u64;
        if !at.is_multiple_of(word) || !sink.remaining().is_multiple_of(Self::WORD) {
            return Err(Errno::EINVAL);
        }
        let mut done = 0;
        while sink.remaining() > 0 {
            let page = (at + done as u64) / word;
            let Some(address) = page.checked_mul(PAGE).filter(|address| *address < self.end) else { break };
            let left = usize::try_from((self.end - address) / PAGE).unwrap_or(usize::MAX);
            let count = (sink.remaining().min(CHUNK_BYTES) / Self::WORD).min(left);
            let put = sink.put(&self.words(address, count))?;
            done += put;
            if put < count * Self::WORD {
                break;
            }
        }
        Ok(done)
    }
}
