//! Where things lie in a new address space, so that nobody can guess it.

use super::image::{Image, Lies};
use crate::mm::{PAGE, page_down};
use crate::platform::Machine;

/// As Linux on x86-64: pages of randomness below the end of the address space, for mappings and programs, ...
const MAPPING_PAGES: u64 = 1 << 28;
/// ... for the stack, ...
const STACK_PAGES: u64 = 1 << 22;
/// ... and behind the program, for the heap.
const HEAP_PAGES: u64 = (1 << 30) / PAGE;
/// Between the stack and the mappings below it: at least, and at most in sixths of the address space.
const STACK_GAP_MIN: u64 = 128 << 20;
const STACK_GUARD_GAP: u64 = 256 * PAGE;

/// Random numbers for one program.
#[derive(Debug)]
pub struct Random {
    mapping: u64,
    stack: u64,
    heap: u64,
    program: u64,
    bytes: [u8; 16],
}

impl Random {
    /// From the machine; zeros for addresses when the personality asks for that.
    pub fn new(machine: &dyn Machine, spread: bool) -> Self {
        let mut entropy = [0; 48];
        machine.random(&mut entropy);
        let number = |at: usize, pages: u64| -> u64 {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&entropy[at..at + 8]);
            if spread { u64::from_le_bytes(bytes) % pages * PAGE } else { 0 }
        };
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&entropy[32..]);
        Self {
            mapping: number(0, MAPPING_PAGES),
            stack: number(8, STACK_PAGES),
            heap: number(16, HEAP_PAGES),
            program: number(24, MAPPING_PAGES),
            bytes,
        }
    }

    /// What AT_RANDOM points to.
    pub fn bytes(&self) -> [u8; 16] {
        self.bytes
    }

    /// Where the stack ends.
    pub fn stack_top(&self, end: u64) -> u64 {
        page_down(end) - self.stack
    }

    /// Below which mappings are placed.
    pub fn mapping_top(&self, end: u64, stack_limit: u64) -> u64 {
        let gap_max = end / 6 * 5;
        let gap = stack_limit.saturating_add(STACK_PAGES * PAGE + STACK_GUARD_GAP).clamp(STACK_GAP_MIN, gap_max);
        page_down(end - gap).saturating_sub(self.mapping).max(end / 8)
    }

    /// Where a program lies that is loaded by another and can lie anywhere: in the second third.
    pub fn program_base(&self, end: u64, align: u64) -> u64 {
        (end / 3 * 2 + self.program) & !(align - 1)
    }

    /// Where the heap starts: behind the program, or where programs usually lie when this one was loaded among the
    /// mappings, which would leave it no room.
    pub fn heap_start(&self, behind: u64, image: &Image, end: u64) -> u64 {
        let base = if image.lies == Lies::AmongMappings { self.program_base(end, PAGE) } else { behind };
        page_down(base + self.heap)
    }
}
