//! What a program finds on its stack: strings, and above the stack pointer the number of arguments, pointers to
//! arguments and environment, and the auxiliary vector (System V ABI, "Initial Stack and Register State").

use alloc::vec::Vec;
use core::ops::Range;

use linux_raw_sys::auxvec as abi;

use super::image::Loader;
use crate::Errno;
use crate::abi::Encoder;
use crate::mm::{PAGE, page_down, page_up};
use crate::platform::{FILL_BYTES_MAX, Protection};

/// MAX_ARG_STRLEN, the terminator included.
pub const STRING_BYTES_MAX: usize = 131_072;
/// Strings may take this much whatever the limit on the stack (ARG_MAX of old).
const STRINGS_BYTES_MIN: u64 = 131_072;
/// And three quarters of the usual limit at most.
const STRINGS_BYTES_MAX: u64 = 6 << 20;
/// What is mapped of a stack without a limit; what lies below is mapped when it is touched.
const AREA_BYTES_MAX: u64 = 256 << 20;
const PLATFORM: &[u8] = b"x86_64\0";

/// What the stack is made of.
#[derive(Debug)]
pub struct StackRequest<'a> {
    /// Where it ends.
    pub top: u64,
    /// RLIMIT_STACK
    pub limit: u64,
    /// AT_EXECFN
    pub name: &'a [u8],
    /// Arguments.
    pub arguments: &'a [Vec<u8>],
    /// Environment.
    pub environment: &'a [Vec<u8>],
    /// AT_RANDOM
    pub random: [u8; 16],
    /// Entries of the auxiliary vector that point to nothing here.
    pub auxiliary: Vec<(u64, u64)>,
    /// Whether it can be executed.
    pub executable: bool,
}

/// A stack, ready to be mapped.
#[derive(Debug)]
pub struct Stack {
    /// The stack pointer at the start.
    pub pointer: u64,
    /// Where the arguments' strings lie.
    pub arguments: Range<u64>,
    /// Where the environment's strings lie.
    pub environment: Range<u64>,
    /// The auxiliary vector as bytes.
    pub auxiliary: Vec<u8>,
    area: Range<u64>,
    content: Vec<u8>,
    executable: bool,
}

/// What strings may take.
fn strings_limit(stack_limit: u64) -> u64 {
    (stack_limit / 4).clamp(STRINGS_BYTES_MIN, STRINGS_BYTES_MAX)
}

/// `E2BIG` when strings and the pointers to them take too much.
fn check_size(request: &StackRequest<'_>) -> Result<(), Errno> {
    let strings = || request.arguments.iter().chain(request.environment);
    let bytes: u64 = strings().map(|string| string.len() as u64 + 1 + 8).sum();
    let longest = strings().map(|string| string.len() + 1).max().unwrap_or(0);
    if bytes > strings_limit(request.limit) || longest > STRING_BYTES_MAX { Err(Errno::E2BIG) } else { Ok(()) }
}

/// Strings in a row from an address on, and where each of them lies.
fn lay(strings: &[Vec<u8>], from: u64, bytes: &mut Encoder) -> Vec<u64> {
    let mut at = from;
    let mut addresses = Vec::with_capacity(strings.len());
    for string in strings {
        addresses.push(at);
        bytes.bytes(string).zeros(1);
        at += string.len() as u64 + 1;
    }
    addresses
}

fn total(strings: &[Vec<u8>]) -> u64 {
    strings.iter().map(|string| string.len() as u64 + 1).sum()
}

impl Stack {
    /// Lays all out from the top down.
    pub fn build(request: &StackRequest<'_>) -> Result<Self, Errno> {
        check_size(request)?;
        // As on Linux, the topmost word is zero.
        let name = request.top - 8 - (request.name.len() as u64 + 1);
        let environment = name - total(request.environment);
        let arguments = environment - total(request.arguments);
        let platform = arguments - PLATFORM.len() as u64;
        let random = platform - 16;
        let mut strings = Encoder::new();
        strings.bytes(&request.random).bytes(PLATFORM);
        let argument_addresses = lay(request.arguments, arguments, &mut strings);
        let environment_addresses = lay(request.environment, environment, &mut strings);
        strings.bytes(request.name).zeros(1 + 8);
        let pointers = [(abi::AT_EXECFN, name), (abi::AT_PLATFORM, platform), (abi::AT_RANDOM, random)];
        let pointers = pointers.into_iter().map(|(kind, value)| (u64::from(kind), value));
        let mut auxiliary = Encoder::new();
        for (kind, value) in request.auxiliary.iter().copied().chain(pointers).chain([(0, 0)]) {
            auxiliary.put(kind).put(value);
        }
        let auxiliary = auxiliary.finish();
        let words = 1 + argument_addresses.len() + 1 + environment_addresses.len() + 1;
        let pointer = (random - 8 * words as u64 - auxiliary.len() as u64) & !15;
        let mut content = Encoder::new();
        content.zeros(usize::try_from(pointer - page_down(pointer)).unwrap_or_default());
        content.put(argument_addresses.len() as u64);
        argument_addresses.into_iter().chain([0]).chain(environment_addresses).chain([0]).for_each(|word| {
            content.put(word);
        });
        content.bytes(&auxiliary);
        let written = page_down(pointer) + content.len() as u64;
        content.zeros(usize::try_from(random - written).unwrap_or_default()).bytes(&strings.finish());
        let area = area(request, pointer);
        Ok(Self {
            pointer,
            arguments: arguments..environment,
            environment: environment..name,
            auxiliary,
            area,
            content: content.finish(),
            executable: request.executable,
        })
    }

    /// Maps it.
    pub fn map(&self, loader: &mut Loader<'_>) -> Result<(), Errno> {
        let mut protection = Protection::READ | Protection::WRITE;
        protection.set(Protection::EXEC, self.executable);
        let filled = page_down(self.pointer);
        let used = &self.content[usize::try_from(self.pointer - filled).map_err(|_| Errno::E2BIG)?..];
        if used.len() <= FILL_BYTES_MAX {
            loader.map_stack(self.area.clone(), protection, None)?;
            loader.fill(self.pointer, used);
            return Ok(());
        }
        loader.map_stack(self.area.start..filled, protection, None)?;
        loader.map_stack(filled..self.area.end, protection, Some(&self.content))
    }
}

/// All that is mapped: what the limit allows, and some pages below what is there already.
fn area(request: &StackRequest<'_>, pointer: u64) -> Range<u64> {
    let wanted = request.limit.min(AREA_BYTES_MAX);
    let lowest = page_down(pointer) - 32 * PAGE;
    let start = request.top - page_up(wanted).unwrap_or(AREA_BYTES_MAX);
    start.min(lowest)..request.top
}
