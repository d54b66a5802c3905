//! ELF files (elf(5)), hostile: what of them matters for starting a program.

use alloc::vec::Vec;

use linux_raw_sys::elf as abi;

use super::read;
use crate::Errno;
use crate::abi::Decoder;
use crate::platform::Protection;
use crate::vfs::File;

const HEADER_BYTES: usize = 64;
/// Bytes of a program header.
pub const SEGMENT_HEADER_BYTES: usize = 56;
/// All program headers together, as on Linux.
const HEADERS_BYTES_MAX: usize = 65_536;
const MACHINE_X86_64: u16 = 62;
const TYPE_EXECUTABLE: u16 = 2;
const TYPE_DYNAMIC: u16 = 3;
const PATH_BYTES_MAX: u64 = 4096;

/// Whether a program says where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// At the addresses in the file.
    Fixed,
    /// Anywhere.
    Independent,
}

/// A program.
#[derive(Clone, Debug)]
pub struct Elf {
    /// Whether it can be moved.
    pub position: Position,
    /// Where it starts.
    pub entry: u64,
    /// Where its program headers lie in the file.
    pub headers_offset: u64,
    /// How many there are.
    pub header_count: u16,
    /// What is to be mapped, in the file's order.
    pub loads: Vec<Segment>,
    /// The address of the program headers, if the file names it.
    pub headers_address: Option<u64>,
    /// Whether it asks for a stack that can be executed.
    pub executable_stack: bool,
    interpreter: Option<(u64, u64)>,
}

/// One PT_LOAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where in the file.
    pub offset: u64,
    /// Where in memory.
    pub address: u64,
    /// Bytes in the file.
    pub file_len: u64,
    /// Bytes in memory; what the file lacks is zero.
    pub memory_len: u64,
    /// Access.
    pub protection: Protection,
    /// A power of two, at least the page size.
    pub align: u64,
}

/// A program header as it stands in the file.
struct Header {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    file_len: u64,
    memory_len: u64,
    align: u64,
}

impl Elf {
    /// From a file and its first bytes. `ENOEXEC` unless it is a program for this processor.
    pub fn read(file: &File, head: &[u8]) -> Result<Self, Errno> {
        let head = head.get(..HEADER_BYTES).ok_or(Errno::ENOEXEC)?;
        let mut fields = Decoder::new(head);
        let ident = fields.bytes(16);
        let (kind, machine) = (fields.take::<u16>(), fields.take::<u16>());
        fields.skip(4);
        let (entry, headers_offset) = (fields.take::<u64>(), fields.take::<u64>());
        fields.skip(8 + 4 + 2);
        let (header_len, header_count) = (fields.take::<u16>(), fields.take::<u16>());
        let position = match kind {
            TYPE_EXECUTABLE => Position::Fixed,
            TYPE_DYNAMIC => Position::Independent,
            _ => return Err(Errno::ENOEXEC),
        };
        // 64 bits, little endian.
        let ours = ident.starts_with(b"\x7fELF\x02\x01") && machine == MACHINE_X86_64;
        if !ours || usize::from(header_len) != SEGMENT_HEADER_BYTES {
            return Err(Errno::ENOEXEC);
        }
        let mut elf = Self {
            position,
            entry,
            headers_offset,
            header_count,
            loads: Vec::new(),
            headers_address: None,
            executable_stack: false,
            interpreter: None,
        };
        elf.read_headers(file)?;
        Ok(elf)
    }

    fn read_headers(&mut self, file: &File) -> Result<(), Errno> {
        let len = usize::from(self.header_count) * SEGMENT_HEADER_BYTES;
        if len == 0 || len > HEADERS_BYTES_MAX {
            return Err(Errno::ENOEXEC);
        }
        let bytes = read(file, self.headers_offset, len)?;
        if bytes.len() < len {
            return Err(Errno::ENOEXEC);
        }
        bytes.chunks_exact(SEGMENT_HEADER_BYTES).try_for_each(|header| self.take(&Header::decode(header)))
    }

    fn take(&mut self, header: &Header) -> Result<(), Errno> {
        match header.kind {
            abi::PT_LOAD => self.loads.push(header.segment()?),
            abi::PT_PHDR => self.headers_address = Some(header.address),
            abi::PT_GNU_STACK => self.executable_stack = header.flags & abi::PF_X != 0,
            abi::PT_INTERP if self.interpreter.is_none() => {
                if !(2..=PATH_BYTES_MAX).contains(&header.file_len) {
                    return Err(Errno::ENOEXEC);
                }
                self.interpreter = Some((header.offset, header.file_len));
            }
            _ => {}
        }
        Ok(())
    }

    /// The path of the program that is to load this one.
    pub fn interpreter(&self, file: &File) -> Result<Option<Vec<u8>>, Errno> {
        let Some((offset, len)) = self.interpreter else { return Ok(None) };
        let mut path = read(file, offset, usize::try_from(len).map_err(|_| Errno::ENOEXEC)?)?;
        if path.pop() != Some(0) {
            return Err(Errno::ENOEXEC);
        }
        if let Some(end) = path.iter().position(|byte| *byte == 0) {
            path.truncate(end);
        }
        Ok(Some(path))
    }

    /// From the first page to behind the last byte, and the greatest alignment. `ENOEXEC` when nothing is loaded.
    pub fn extent(&self) -> Result<Extent, Errno> {
        let start = self.loads.iter().map(|load| crate::mm::page_down(load.address)).min().ok_or(Errno::ENOEXEC)?;
        let end = self.loads.iter().map(|load| load.address + load.memory_len).max().ok_or(Errno::ENOEXEC)?;
        let align = self.loads.iter().map(|load| load.align).max().unwrap_or(crate::mm::PAGE);
        Ok(Extent { start, end, align })
    }

    /// Where the program headers lie in memory, before the program is moved; 0 when they are not loaded.
    pub fn headers(&self) -> u64 {
        let loaded = |load: &&Segment| (load.offset..load.offset + load.file_len).contains(&self.headers_offset);
        let found = || self.loads.iter().find(loaded).map(|load| self.headers_offset - load.offset + load.address);
        self.headers_address.or_else(found).unwrap_or(0)
    }
}

/// What a program spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first page.
    pub start: u64,
    /// Behind the last byte.
    pub end: u64,
    /// The greatest alignment.
    pub align: u64,
}

impl Header {
    fn decode(bytes: &[u8]) -> Self {
        let mut fields = Decoder::new(bytes);
        let (kind, flags) = (fields.take(), fields.take());
        let (offset, address) = (fields.take(), fields.take());
        fields.skip(8);
        let (file_len, memory_len) = (fields.take(), fields.take());
        Self { kind, flags, offset, address, file_len, memory_len, align: fields.take() }
    }

    /// Sums stay far from 64 bits, so that nobody after this needs to check them.
    fn segment(&self) -> Result<Segment, Errno> {
        const MAX: u64 = 1 << 47;
        let sane = self.file_len <= self.memory_len
            && [self.address, self.memory_len, self.offset].iter().all(|value| *value <= MAX)
            && self.address % crate::mm::PAGE == self.offset % crate::mm::PAGE;
        if !sane {
            return Err(Errno::EINVAL);
        }
        let align = if self.align.is_power_of_two() { self.align.clamp(crate::mm::PAGE, MAX) } else { crate::mm::PAGE };
        let pairs = [(abi::PF_R, Protection::READ), (abi::PF_W, Protection::WRITE), (abi::PF_X, Protection::EXEC)];
        let granted = pairs.into_iter().filter(|(flag, _)| self.flags & flag != 0).map(|(_, access)| access);
        Ok(Segment {
            offset: self.offset,
            address: self.address,
            file_len: self.file_len,
            memory_len: self.memory_len,
            protection: granted.collect(),
            align,
        })
    }
}
