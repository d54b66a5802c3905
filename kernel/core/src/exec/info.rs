//! What is known about a running program.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use crate::vfs::File;

/// What /proc/PID/{exe,cmdline,environ,auxv,stat} show.
#[derive(Clone, Debug)]
pub struct ProgramInfo {
    /// Its file.
    pub file: Arc<File>,
    /// Where its arguments' strings lie.
    pub arguments: Range<u64>,
    /// Where its environment's strings lie.
    pub environment: Range<u64>,
    /// The auxiliary vector.
    pub auxiliary: Vec<u8>,
    /// The stack pointer at its start.
    pub stack_start: u64,
    /// Where it began.
    pub entry: u64,
}
