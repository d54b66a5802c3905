//! Who is in the group, and the pids controller.

use alloc::vec::Vec;

use super::line;
use crate::Errno;
use crate::fs::synthetic::{Opener, Text};
use crate::fs::system::System;

/// `cgroup.procs`: zombies are not counted.
pub(super) fn processes(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    for process in system.processes().iter().filter(|process| !process.has_ended()) {
        writeln!(text, "{}", process.pid());
    }
    text.finish()
}

/// `cgroup.threads`
pub(super) fn threads(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    for task in system.processes().iter().flat_map(|process| process.tasks()) {
        writeln!(text, "{}", task.tid());
    }
    text.finish()
}

/// `pids.current`
pub(super) fn current(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    line(Some(system.namespaces.pids.usage().0 as u64))
}

/// `pids.max`
pub(super) fn max(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    line(system.namespaces.pids.usage().1.map(|limit| limit as u64))
}

/// `pids.events`
pub(super) fn events(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    writeln!(text, "max {}", system.namespaces.pids.refused());
    text.finish()
}
