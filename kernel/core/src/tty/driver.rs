//! /dev/tty, /dev/console, /dev/ptmx, and the nodes of devpts.

use alloc::sync::Arc;

use super::{Owner, SlaveFile, Terminals, Tty};
use crate::Errno;
use crate::task::Task;
use crate::vfs::{Driver, FileObject, OpenFlags, Opening};

/// Major number 5.
#[derive(Debug)]
pub struct TtyDriver;

/// Major number 136.
#[derive(Debug)]
pub struct PtsDriver;

/// The minor numbers of [`TtyDriver`].
const TTY: u32 = 0;
const CONSOLE: u32 = 1;
const PTMX: u32 = 2;

fn caller<'a>(opening: &Opening<'a>) -> Result<&'a Arc<Task>, Errno> {
    opening.caller.task.as_ref().ok_or(Errno::ENXIO)
}

fn terminals(task: &Task) -> &Arc<Terminals> {
    &task.process().namespaces().terminals
}

impl Driver for TtyDriver {
    fn open(&self, minor: u32, opening: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
        let task = caller(opening)?;
        match minor {
            TTY => task.session().terminal().ok_or(Errno::ENXIO)?.open(&opening.caller.credentials),
            CONSOLE => open_slave(&terminals(task).get(0).ok_or(Errno::ENXIO)?, task, opening),
            PTMX => Ok(terminals(task).open_master(Owner::of(&opening.caller.credentials))?),
            _ => Err(Errno::ENXIO),
        }
    }
}

impl Driver for PtsDriver {
    fn open(&self, minor: u32, opening: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
        let task = caller(opening)?;
        open_slave(&terminals(task).get(minor).ok_or(Errno::EIO)?, task, opening)
    }
}

fn open_slave(tty: &Arc<Tty>, task: &Task, opening: &Opening<'_>) -> Result<Arc<dyn FileObject>, Errno> {
    let slave = SlaveFile::open(tty, &opening.caller.credentials)?;
    if !opening.flags.contains(OpenFlags::NO_CTTY) {
        tty.offer(task);
    }
    Ok(slave)
}
