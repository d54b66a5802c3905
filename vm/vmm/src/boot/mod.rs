//! From a kernel file to a guest whose first processor can start: kernel, initrd, command line, memory map, ACPI.

pub mod acpi;
mod kernel;
mod memory_map;
mod notes;
mod params;

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::ops::Range;

use linux_loader::loader::KernelLoaderResult;
use vm_memory::{Bytes, GuestAddress};

use crate::hypervisor::Entry;
use crate::memory::{Memory, layout};

pub use self::memory_map::{MemoryRange, RangeKind, memory_map};

/// What to boot.
pub struct Source<'a> {
    /// `vmlinux` or `bzImage`.
    pub kernel: &'a mut File,
    /// An initial RAM disk.
    pub initrd: Option<&'a mut File>,
    /// The kernel's command line.
    pub command_line: &'a str,
}

/// Why a guest cannot be booted from what was given.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel is no Linux kernel.
    #[error("the kernel is neither an x86-64 vmlinux (ELF) nor a bzImage: {0}")]
    Kernel(String),
    /// An old `bzImage`.
    #[error("the bzImage has no 64-bit entry point (boot protocol 2.12, Linux 3.8)")]
    OldKernel,
    /// It does not fit.
    #[error("kernel and initrd do not fit into the guest's memory")]
    TooLarge,
    /// The initrd cannot be read.
    #[error("cannot read the initrd: {0}")]
    Initrd(#[source] std::io::Error),
    /// The command line is too long.
    #[error("the kernel command line has {0} bytes; Linux takes at most {max}", max = layout::COMMAND_LINE_MAX - 1)]
    CommandLine(usize),
    /// The command line has bytes that no kernel expects.
    #[error("the kernel command line may hold printable ASCII characters only")]
    CommandLineBytes,
    /// There is no memory where boot structures belong.
    #[error("cannot write boot structures: {0}")]
    Memory(#[from] vm_memory::GuestMemoryError),
    /// ACPI tables.
    #[error(transparent)]
    Acpi(#[from] acpi::Error),
}

/// Where the initrd lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Initrd {
    /// Its first byte.
    pub address: u64,
    /// Its length; 0 for none.
    pub len: u64,
}

/// What was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// Where the first processor begins.
    pub entry: Entry,
    /// The kernel, to the end of what it clears first.
    pub kernel: Range<u64>,
}

/// Writes all that the guest needs to start into its memory. ACPI tables are written apart ([`acpi::write`]), because
/// they describe devices.
pub fn load(memory: &Memory, source: &mut Source<'_>) -> Result<Loaded, Error> {
    let loaded = kernel::load(memory, source.kernel)?;
    let initrd = match &mut source.initrd {
        Some(file) => load_initrd(memory, file, loaded.kernel_end)?,
        None => Initrd::default(),
    };
    write_command_line(memory, source.command_line)?;
    let entry = write_params(memory, &loaded, initrd, source.command_line.len())?;
    Ok(Loaded { entry, kernel: entry.address()..loaded.kernel_end })
}

fn write_params(
    memory: &Memory,
    loaded: &KernelLoaderResult,
    initrd: Initrd,
    command_line: usize,
) -> Result<Entry, Error> {
    match kernel::protocol(loaded)? {
        kernel::Protocol::Pvh(address) => {
            params::write_start_info(memory, initrd)?;
            Ok(Entry::Pvh { address, start_info: layout::START_INFO })
        }
        kernel::Protocol::Long(address) => {
            params::write_zero_page(memory, loaded.setup_header, initrd, command_line)?;
            Ok(Entry::Long { address, zero_page: layout::ZERO_PAGE })
        }
    }
}

/// As high in low memory as it goes, as boot loaders do, so that a relocated kernel does not meet it.
fn load_initrd(memory: &Memory, file: &mut File, kernel_end: u64) -> Result<Initrd, Error> {
    const PAGE: u64 = 0x1000;
    let len = file.seek(SeekFrom::End(0)).map_err(Error::Initrd)?;
    file.rewind().map_err(Error::Initrd)?;
    let end = memory_map::low_memory_end(memory);
    let address = end.checked_sub(len).map(|address| address & !(PAGE - 1)).ok_or(Error::TooLarge)?;
    if address < kernel_end {
        return Err(Error::TooLarge);
    }
    let count = usize::try_from(len).map_err(|_| Error::TooLarge)?;
    memory.read_exact_volatile_from(GuestAddress(address), file, count)?;
    Ok(Initrd { address, len })
}

fn write_command_line(memory: &Memory, line: &str) -> Result<(), Error> {
    if line.len() >= layout::COMMAND_LINE_MAX {
        return Err(Error::CommandLine(line.len()));
    }
    if !line.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(Error::CommandLineBytes);
    }
    memory.write_slice(line.as_bytes(), GuestAddress(layout::COMMAND_LINE))?;
    memory.write_obj(0_u8, GuestAddress(layout::COMMAND_LINE + line.len() as u64))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::DirtyLog;
    use crate::memory;

    fn check_command_line(line: &str, expected: &str) {
        let memory = memory::anonymous(2, DirtyLog::Off).expect("memory");
        let result = write_command_line(&memory, line).map_or_else(|error| error.to_string(), |()| "written".into());
        assert!(result.contains(expected), "{result} has no {expected}");
    }

    #[test]
    fn command_lines_are_checked() {
        check_command_line("console=ttyS0 quiet", "written");
        check_command_line(&"x".repeat(layout::COMMAND_LINE_MAX - 1), "written");
        check_command_line(&"x".repeat(layout::COMMAND_LINE_MAX), "at most 2047");
        check_command_line("a\nb", "printable");
    }

    #[test]
    fn an_initrd_lies_at_the_top_and_never_on_the_kernel() {
        let memory = memory::anonymous(4, DirtyLog::Off).expect("memory");
        let mut file = tempfile::tempfile().expect("file");
        file.set_len(0x1234).expect("grow");
        let initrd = load_initrd(&memory, &mut file, layout::HIGH_START).expect("fits");
        assert_eq!(initrd, Initrd { address: 0x40_0000 - 0x2000, len: 0x1234 });
        file.set_len(4 << 20).expect("grow");
        assert!(matches!(load_initrd(&memory, &mut file, layout::HIGH_START), Err(Error::TooLarge)));
    }
}
