//! Requests that are under way in a ring: each of some operations, one after the other.

use std::io;
use std::os::fd::RawFd;

use super::engine::{Operation, Progress};
use super::request::{Answer, Status, status_of};
use super::ring::Ring;
use crate::memory::Memory;

/// Requests at a time. More wait in their queue.
const REQUESTS_MAX: u16 = 64;

/// All of one disk.
pub struct Flight {
    ring: Ring,
    /// By their numbers in the ring.
    requests: Vec<Option<UnderWay>>,
    free: Vec<usize>,
}

struct UnderWay {
    steps: Vec<Operation>,
    /// The one that the kernel does.
    step: usize,
    answer: Answer,
    /// Bytes for the guest, if all goes well.
    written: u32,
}

impl Flight {
    /// None are under way.
    pub fn new() -> io::Result<Self> {
        let count = usize::from(REQUESTS_MAX);
        let requests = std::iter::repeat_with(|| None).take(count).collect();
        Ok(Flight { ring: Ring::new(REQUESTS_MAX)?, requests, free: (0..count).rev().collect() })
    }

    /// Readable when something is over.
    pub fn fd(&self) -> RawFd {
        self.ring.fd()
    }

    /// Whether one more request can be begun.
    pub fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Whether a request that changes the disk is under way.
    pub fn has_writes(&self) -> bool {
        self.requests.iter().flatten().any(|request| request.steps.iter().any(Operation::is_write))
    }

    /// Takes a request of at least one step; [`Flight::submit`] begins it. There is room for it.
    pub fn take(&mut self, steps: Vec<Operation>, answer: Answer, written: u32, memory: &Memory) -> io::Result<()> {
        let number = self.free.pop().ok_or(io::ErrorKind::ResourceBusy)?;
        self.requests[number] = Some(UnderWay { steps, step: 0, answer, written });
        self.push(number, memory)
    }

    /// Lets the kernel begin what was taken, or goes on; how many operations.
    pub fn submit(&mut self) -> io::Result<usize> {
        self.ring.submit()
    }

    /// Goes on with what is over, and gives the chain of one request that is done, with the bytes written to it.
    pub fn next_done(&mut self, memory: &Memory) -> io::Result<Option<(u16, u32)>> {
        while let Some((number, result)) = self.ring.finished() {
            let number = usize::try_from(number).map_err(io::Error::other)?;
            if let Some((answer, status, written)) = self.go_on(number, result, memory)? {
                return Ok(Some((answer.head, answer.give(memory, status, written))));
            }
        }
        Ok(None)
    }

    /// Waits until something is over; false when nothing is under way.
    pub fn wait(&mut self) -> io::Result<bool> {
        self.ring.wait()
    }

    /// Waits for the end of all that is under way, which nobody wants to hear of any more.
    pub fn abandon(&mut self) -> io::Result<()> {
        while self.ring.wait()? {
            while let Some((number, _)) = self.ring.finished() {
                if let Ok(number) = usize::try_from(number) {
                    self.remove(number);
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, number: usize, memory: &Memory) -> io::Result<()> {
        let Some(request) = &self.requests[number] else { return Ok(()) };
        let name = u64::try_from(number).map_err(io::Error::other)?;
        self.ring.push(name, &request.steps[request.step], memory)
    }

    fn go_on(
        &mut self,
        number: usize,
        result: io::Result<usize>,
        memory: &Memory,
    ) -> io::Result<Option<(Answer, Status, u32)>> {
        let Some(request) = self.requests.get_mut(number).and_then(Option::as_mut) else { return Ok(None) };
        let failure = match request.steps[request.step].progress(result) {
            Ok(Progress::More) => return self.push(number, memory).map(|()| None),
            Ok(Progress::Done) if request.step + 1 < request.steps.len() => {
                request.step += 1;
                return self.push(number, memory).map(|()| None);
            }
            Ok(Progress::Done) => Ok(()),
            Err(error) => Err(error),
        };
        let (status, answer) = (status_of(&failure), request.answer);
        let written = if status == Status::Ok { request.written } else { 0 };
        self.remove(number);
        Ok(Some((answer, status, written)))
    }

    fn remove(&mut self, number: usize) {
        if self.requests.get_mut(number).and_then(Option::take).is_some() {
            self.free.push(number);
        }
    }
}
