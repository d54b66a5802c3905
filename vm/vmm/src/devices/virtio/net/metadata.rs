//! The metadata service on a card's link: frames for it go from the guest's queue to a stack of ours, not to the tap.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use rustix::time::{timerfd_create, timerfd_settime};

use super::super::queue::Chain;
use super::HEADER;
use crate::memory::Memory;
use crate::mmds::{SharedMmds, Stack};

/// The header in front of a frame.
const SKIP: u32 = 12;
/// As much of a frame as tells whom it is for: Ethernet and ARP.
const FRONT: usize = 14 + 28;
/// Frames that wait for buffers of the guest; more are lost, as on any network.
const WAITING_MAX: usize = 64;

const _: () = assert!(SKIP as usize == HEADER);

/// The service behind one card.
pub struct Metadata {
    stack: Stack,
    waiting: VecDeque<Vec<u8>>,
    timer: OwnedFd,
}

impl Metadata {
    /// The service at `address`.
    pub fn new(address: Ipv4Addr, mmds: SharedMmds) -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Metadata { stack: Stack::new(address, mmds, Instant::now()), waiting: VecDeque::new(), timer })
    }

    /// Takes what the guest sends if it is for the service.
    pub fn take(&mut self, memory: &Memory, chain: &Chain) -> bool {
        let mut front = [0; FRONT];
        let len = chain.read(memory, SKIP, &mut front);
        if !self.stack.takes(&front[..len]) {
            return false;
        }
        let mut frame = vec![0; usize::try_from(chain.readable_len()).unwrap_or(0).saturating_sub(HEADER)];
        chain.read(memory, SKIP, &mut frame);
        let now = Instant::now();
        let answers = self.stack.handle(&frame, now);
        self.send(answers, now);
        true
    }

    /// The next frame for the guest.
    pub fn answer(&mut self) -> Option<Vec<u8>> {
        self.waiting.pop_front()
    }

    /// Forgets frames of a guest that let go of its card.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// To wait on.
    pub fn fd(&self) -> RawFd {
        self.timer.as_raw_fd()
    }

    /// The timer ended.
    pub fn elapsed(&mut self) {
        // Read only to clear it.
        let _ = rustix::io::read(&self.timer, &mut [0; 8]);
        let now = Instant::now();
        let frames = self.stack.poll(now);
        self.send(frames, now);
    }

    fn send(&mut self, frames: Vec<Vec<u8>>, now: Instant) {
        let room = WAITING_MAX.saturating_sub(self.waiting.len());
        self.waiting.extend(frames.into_iter().take(room));
        let delay = self.stack.poll_delay(now);
        self.set_timer(delay);
    }

    /// Something may be due at once: the shortest time that sets the timer then.
    fn set_timer(&self, delay: Option<Duration>) {
        let delay = delay.map_or(Duration::ZERO, |delay| delay.max(Duration::from_millis(1)));
        let it_value = Timespec {
            tv_sec: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(delay.subsec_nanos()),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        if let Err(error) = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once) {
            tracing::warn!("metadata service: nothing will be sent again: {error}");
        }
    }
}
