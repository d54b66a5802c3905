//! /proc/PID/maps (proc_pid_maps(5)).

use alloc::string::String;
use alloc::vec::Vec;

use super::PidSubject;
use crate::Errno;
use crate::fs::synthetic::{Opener, Text};
use crate::mm::{MapLine, MappedName, Memory, VmaFlags};
use crate::platform::{MachineInfo, Protection, Sharing, UserRange};

/// Where names begin.
const NAME_COLUMN: usize = 73;

/// Every mapping, those of the vDSO too.
pub(super) fn lines(subject: &PidSubject, memory: &Memory) -> Vec<MapLine> {
    let mut lines = memory.map_lines();
    lines.extend(vdso(subject.system.kernel.machine().info()));
    lines.sort_by_key(|line| line.range.start);
    lines
}

/// The mappings of the vDSO, which the host makes.
fn vdso(info: &MachineInfo) -> Vec<MapLine> {
    let UserRange { start, end } = info.vdso_range;
    let line = |range: core::ops::Range<u64>, protection, name: &str| MapLine {
        range,
        protection,
        sharing: Sharing::Private,
        offset: 0,
        name: MappedName { path: String::from(name), ..MappedName::default() },
        flags: VmaFlags::empty(),
    };
    let code = Protection::READ | Protection::EXEC;
    let both =
        [line(start..info.vdso_address, Protection::READ, "[vvar]"), line(info.vdso_address..end, code, "[vdso]")];
    both.into_iter().filter(|line| !line.range.is_empty()).collect()
}

/// One line (`show_map_vma` of Linux).
pub(super) fn write_line(text: &mut Text, line: &MapLine) {
    let start = text.len();
    let bit = |flag, letter| if line.protection.contains(flag) { letter } else { '-' };
    let (read, write) = (bit(Protection::READ, 'r'), bit(Protection::WRITE, 'w'));
    let execute = bit(Protection::EXEC, 'x');
    let sharing = if line.sharing == Sharing::Shared { 's' } else { 'p' };
    let (major, minor) = line.name.device;
    write!(text, "{:08x}-{:08x} {read}{write}{execute}{sharing}", line.range.start, line.range.end);
    write!(text, " {:08x} {major:02x}:{minor:02x} {} ", line.offset, line.name.inode);
    if !line.name.path.is_empty() {
        text.pad(start, NAME_COLUMN).escaped(line.name.path.as_bytes(), b"\n");
    }
    text.bytes(b"\n");
}

/// /proc/PID/maps
pub(super) fn maps(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let Ok(task) = subject.task() else { return Ok(Vec::new()) };
    let mut text = Text::new();
    for line in lines(subject, &task.memory()) {
        write_line(&mut text, &line);
    }
    text.finish()
}
