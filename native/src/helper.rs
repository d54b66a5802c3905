//! Running one of our own programs as a host process beside a container.

use std::convert::Infallible;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::fcntl_dupfd_cloexec;
use stockade_sandbox::{Error, Result};

use crate::fail::Context;
use crate::streams;
use crate::sys::process::{CStrings, dup2, execveat, exit, take_descriptor};
use crate::wire::{Channel, Message};

/// A program of ours, and all that it gets.
#[derive(Debug)]
pub struct Helper {
    /// The program; a static one where its root is empty.
    pub program: OwnedFd,
    /// Its arguments, the name first.
    pub arguments: Vec<String>,
    /// Its environment.
    pub environment: Vec<String>,
    /// Descriptors 0, 1 and 2.
    pub streams: [OwnedFd; 3],
    /// Descriptors from 3 on.
    pub descriptors: Vec<OwnedFd>,
}

/// In the helper, before it opens any file: its descriptors from 3 on, `count` of them. They can be taken once.
pub fn take_descriptors(count: u16) -> Result<Vec<OwnedFd>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(Error::Other("the descriptors were taken before".to_owned()));
    }
    (3..).take(count.into()).map(|number| take_descriptor(number).at("take a descriptor")).collect()
}

/// A helper whose last look at paths of the host is behind.
#[derive(Debug)]
pub(crate) struct Ready<'a> {
    helper: &'a Helper,
    program: OwnedFd,
    channel: Channel,
    arguments: CStrings,
    environment: CStrings,
}

impl Helper {
    /// In the clone: gets everything out of the way of the helper's own descriptors.
    pub(crate) fn prepare(&self, channel: &Channel) -> Result<Ready<'_>> {
        let first_free = self.first_free();
        Ok(Ready {
            helper: self,
            program: fcntl_dupfd_cloexec(&self.program, first_free).at("copy the program's descriptor")?,
            channel: channel.moved_above(first_free)?,
            arguments: CStrings::new(&self.arguments).at("pass arguments")?,
            environment: CStrings::new(&self.environment).at("pass the environment")?,
        })
    }

    /// Above every number that will be given away, and every number that will be copied from.
    fn first_free(&self) -> i32 {
        let all = self.streams.iter().chain(&self.descriptors);
        let highest = all.map(AsRawFd::as_raw_fd).max().unwrap_or(0);
        highest.max(3 + i32::try_from(self.descriptors.len()).unwrap_or(i32::MAX)) + 1
    }
}

impl Ready<'_> {
    /// Becomes the program; returns only to say why it could not.
    pub(crate) fn run(self) -> Result<Infallible> {
        let copies = self.copies()?;
        for (number, descriptor) in (0..).zip(&copies) {
            dup2(descriptor.as_raw_fd(), number).at("place a descriptor")?;
        }
        let kept = (0..).take(copies.len()).chain([self.program.as_raw_fd().unsigned_abs(), self.channel.number()]);
        streams::close_others(0, kept.collect())?;
        // Their numbers are closed by now.
        copies.into_iter().for_each(std::mem::forget);
        let failure = Error::os("run the helper", execveat(&self.program, &self.arguments, &self.environment));
        // The caller's end of the channel was closed with all other descriptors.
        self.channel.send(&Message::Failed(failure.into()))?;
        exit(1)
    }

    /// Each descriptor at a number where placing another one does not overwrite it.
    fn copies(&self) -> Result<Vec<OwnedFd>> {
        let all = self.helper.streams.iter().chain(&self.helper.descriptors);
        let above = self.helper.first_free() + 2;
        all.map(|descriptor| fcntl_dupfd_cloexec(descriptor, above).at("copy a descriptor")).collect()
    }
}
