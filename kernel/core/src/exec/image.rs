//! Mapping a program's segments.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::elf::{Elf, Position, Segment};
use super::joined::joined;
use super::random::Random;
use crate::Errno;
use crate::mm::{
    MapRequest, Memory, MemoryLimits, PAGE, Placement, SharedMemory, Source, VmaFlags, page_down, page_up,
};
use crate::platform::{HostCall, Machine, Protection};
use crate::task::Pid;
use crate::vfs::File;

/// Where a program lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lies {
    /// At its own address, or where programs lie.
    Apart,
    /// Where mappings are placed.
    AmongMappings,
}

/// A program in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Where execution begins: the interpreter, if there is one.
    pub start: u64,
    /// The program's own entry (AT_ENTRY).
    pub entry: u64,
    /// The program headers (AT_PHDR).
    pub headers: u64,
    /// How many (AT_PHNUM).
    pub header_count: u16,
    /// Where the interpreter lies (AT_BASE); 0 when there is none.
    pub base: u64,
    /// Behind the program.
    pub heap: u64,
    /// Where it lies.
    pub lies: Lies,
}

/// Maps into a new address space, and collects what the host has to do.
#[derive(Debug)]
pub struct Loader<'a> {
    memory: &'a Memory,
    machine: &'a Arc<dyn Machine>,
    calls: Vec<HostCall>,
}

impl<'a> Loader<'a> {
    /// Into an empty space.
    pub fn new(memory: &'a Memory, machine: &'a Arc<dyn Machine>) -> Self {
        Self { memory, machine, calls: Vec::new() }
    }

    /// All host calls.
    pub fn finish(self) -> Vec<HostCall> {
        joined(&self.calls)
    }

    /// Loads a program, and the one that it wants to be loaded by.
    pub fn load(
        &mut self,
        file: &Arc<File>,
        program: &Elf,
        interpreter: Option<&(Arc<File>, Elf)>,
        random: &Random,
    ) -> Result<Image, Errno> {
        let extent = program.extent()?;
        let end = self.machine.info().user_range.end;
        let lies = if program.position == Position::Fixed || interpreter.is_some() {
            Lies::Apart
        } else {
            Lies::AmongMappings
        };
        let bias = match (program.position, lies) {
            (Position::Fixed, _) => 0,
            (_, Lies::Apart) => random.program_base(end, extent.align).wrapping_sub(extent.start & !(extent.align - 1)),
            (_, Lies::AmongMappings) => self.free_bias(program)?,
        };
        self.map_all(file, program, bias)?;
        let entry = program.entry.wrapping_add(bias);
        let (base, start) = match interpreter {
            Some((file, elf)) => {
                let base = if elf.position == Position::Fixed { 0 } else { self.free_bias(elf)? };
                self.map_all(file, elf, base)?;
                (base, elf.entry.wrapping_add(base))
            }
            None => (0, entry),
        };
        let heap = page_up(extent.end.wrapping_add(bias)).ok_or(Errno::ENOMEM)?;
        let headers = program.headers().wrapping_add(bias);
        Ok(Image { start, entry, headers, header_count: program.header_count, base, heap, lies })
    }

    /// How far a program is moved to lie among the mappings.
    fn free_bias(&self, elf: &Elf) -> Result<u64, Errno> {
        let extent = elf.extent()?;
        let len = page_up(extent.end - extent.start).ok_or(Errno::ENOMEM)?;
        let slack = extent.align - PAGE;
        let found = self.memory.find_place(len + slack)?;
        let aligned = found.checked_next_multiple_of(extent.align).ok_or(Errno::ENOMEM)?;
        Ok(aligned.wrapping_sub(extent.start & !(extent.align - 1)))
    }

    fn map_all(&mut self, file: &Arc<File>, elf: &Elf, bias: u64) -> Result<(), Errno> {
        elf.loads.iter().try_for_each(|segment| self.map_segment(file, segment, bias))
    }

    fn map_segment(&mut self, file: &Arc<File>, segment: &Segment, bias: u64) -> Result<(), Errno> {
        let at = segment.address.wrapping_add(bias);
        let (start, file_end, end) = (page_down(at), at + segment.file_len, at + segment.memory_len);
        let offset = segment.offset - (at - start);
        let mut behind = start;
        if segment.file_len > 0 {
            let source: Arc<dyn Source> = file.clone();
            behind = page_up(file_end).ok_or(Errno::ENOMEM)?;
            self.map_fixed(start..behind, segment.protection, Some((source, offset)))?;
            // The file's last page has zeros behind its data.
            if end > file_end && behind > file_end && segment.protection.contains(Protection::WRITE) {
                self.calls.push(HostCall::Zero { address: file_end, len: behind - file_end });
            }
        }
        self.map_fixed(behind..page_up(end).ok_or(Errno::ENOMEM)?.max(behind), segment.protection, None)
    }

    fn map_fixed(
        &mut self,
        range: Range<u64>,
        protection: Protection,
        source: Option<(Arc<dyn Source>, u64)>,
    ) -> Result<(), Errno> {
        if range.is_empty() {
            return Ok(());
        }
        self.map(MapRequest {
            address: range.start,
            placement: Placement::Fixed,
            source,
            ..MapRequest::anonymous(range.end - range.start, protection)
        })
    }

    /// Has the thread put bytes where something is mapped by then.
    pub fn fill(&mut self, address: u64, bytes: &[u8]) {
        self.calls.push(HostCall::Fill { address, bytes: bytes.to_vec() });
    }

    /// Maps part of the stack; `content` is private to the program.
    pub fn map_stack(
        &mut self,
        range: Range<u64>,
        protection: Protection,
        content: Option<&[u8]>,
    ) -> Result<(), Errno> {
        let len = range.end - range.start;
        let source: Option<(Arc<dyn Source>, u64)> = match content {
            Some(bytes) => Some((SharedMemory::filled(self.machine, bytes, len, Default::default())?, 0)),
            None => None,
        };
        self.map(MapRequest {
            address: range.start,
            placement: Placement::Fixed,
            flags: VmaFlags::STACK | VmaFlags::GROWS_DOWN | VmaFlags::NO_RESERVE,
            source,
            ..MapRequest::anonymous(len, protection)
        })
    }

    fn map(&mut self, request: MapRequest) -> Result<(), Errno> {
        let change = self.memory.map(Pid::NONE, &request, &MemoryLimits::NONE)?;
        self.calls.extend(change.calls);
        Ok(())
    }
}
