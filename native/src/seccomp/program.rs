//! The whole filter: architecture, then call table, then a search by number.

use super::CompileError;
use super::action::{Answer, KILL_THREAD};
use super::bpf::GREATER_OR_EQUAL;
use super::bpf::{ARCHITECTURE, EQUAL, Instruction, JUMP, LENGTH_MAX, LOAD, NUMBER, RETURN, statement, test};
use super::rules::{Calls, Table};
use super::search::{branch, length, search};

const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const AUDIT_ARCH_I386: u32 = 0x4000_0003;

/// The number by which a tracer skips a call; the filter sees it after the tracer, and it must not kill (seccomp(2)).
const SKIPPED: u32 = u32::MAX;

/// What a profile says, table by table. x86_64, the native one, is always there.
#[derive(Debug)]
pub(super) struct Tables {
    pub default: Answer,
    /// Whether numbers above all that the profile names are answered ENOSYS: its author could not know them, and
    /// programs fall back on ENOSYS where EPERM would be an error. runc's rule.
    pub unknown: Unknown,
    pub x86_64: Calls,
    pub i386: Option<Calls>,
    pub x32: Option<Calls>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    Default,
    Enosys,
}

pub(super) fn build(tables: &Tables) -> Result<Vec<Instruction>, CompileError> {
    let long = long_mode(tables)?;
    let mut code = vec![statement(LOAD, ARCHITECTURE), test(EQUAL, AUDIT_ARCH_X86_64, 1, 0)];
    // Jumps over the long-mode part can be far: two instructions, always.
    code.push(statement(JUMP, length(&long)?));
    code.extend(long);
    if let Some(calls) = &tables.i386 {
        let search = search(tables, calls, Table::I386, u32::MAX)?;
        code.extend([test(EQUAL, AUDIT_ARCH_I386, 1, 0), statement(RETURN, KILL_THREAD), statement(LOAD, NUMBER)]);
        code.extend(search);
    } else {
        code.push(statement(RETURN, KILL_THREAD));
    }
    if code.len() > LENGTH_MAX { Err(CompileError::TooLong { length: code.len() }) } else { Ok(code) }
}

/// x86_64 and x32 share an architecture and differ in a bit of the number.
fn long_mode(tables: &Tables) -> Result<Vec<Instruction>, CompileError> {
    let native = search(tables, &tables.x86_64, Table::X86_64, Table::X32_BIT - 1)?;
    let x32 = match &tables.x32 {
        Some(calls) => search(tables, calls, Table::X32, u32::MAX)?,
        None => {
            vec![test(EQUAL, SKIPPED, 1, 0), statement(RETURN, KILL_THREAD), statement(RETURN, tables.default)]
        }
    };
    let mut code = vec![statement(LOAD, NUMBER)];
    code.extend(branch(GREATER_OR_EQUAL, Table::X32_BIT, &native)?);
    code.extend(native.into_iter().chain(x32));
    Ok(code)
}
