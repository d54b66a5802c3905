//! Memory balloon (virtio 1.2, 5.5): the guest gives pages back to the host and says what it has left.

mod discard;
mod stats;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use rustix::time::{timerfd_create, timerfd_settime};
use vm_memory::GuestAddress;

use super::queue::{Chain, Queues, Span};
use super::{Device, DeviceState, Error, Invalid, Source, SourceMode, copy_config, id};
use crate::config::{BalloonConfig, BalloonStats};
use crate::memory::Memory;

const INFLATE: usize = 0;
const DEFLATE: usize = 1;
const QUEUE_SIZE: u16 = 256;

const FEATURE_STATS: u64 = 1 << 1;
const FEATURE_DEFLATE_ON_OOM: u64 = 1 << 2;
const FEATURE_REPORTING: u64 = 1 << 5;

const PAGE_SHIFT: u32 = 12;
const PAGES_PER_MIB: u32 = 256;
/// Page numbers that are read at once.
const NUMBERS: usize = 256;

/// The device.
pub struct Balloon {
    config: BalloonConfig,
    /// Where optional queues ended up.
    stats_queue: Option<usize>,
    reporting_queue: Option<usize>,
    queue_sizes: Vec<u16>,
    /// What the driver says that it has given.
    actual: u32,
    stats: BalloonStats,
    /// The chain that the driver wants back when somebody asks for fresh statistics.
    stats_chain: Option<u16>,
    timer: OwnedFd,
    chain: Chain,
}

impl Balloon {
    /// A balloon of this size to begin with.
    pub fn new(config: BalloonConfig) -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let mut queue_sizes = vec![QUEUE_SIZE; 2];
        let mut optional = |wanted: bool| {
            wanted.then(|| {
                queue_sizes.push(QUEUE_SIZE);
                queue_sizes.len() - 1
            })
        };
        let stats_queue = optional(config.stats_polling_interval_s > 0);
        let reporting_queue = optional(config.free_page_reporting);
        let stats = BalloonStats::default();
        let chain = Chain::default();
        let actual = 0;
        Ok(Balloon {
            config,
            stats_queue,
            reporting_queue,
            queue_sizes,
            actual,
            stats,
            stats_chain: None,
            timer,
            chain,
        })
    }

    /// Another size; the driver has to be told that the configuration changed.
    pub fn set_target_mib(&mut self, amount_mib: u32) {
        self.config.amount_mib = amount_mib;
    }

    /// Another interval of statistics; they cannot be switched on or off while the guest runs.
    pub fn set_interval_s(&mut self, interval_s: u16) {
        self.config.stats_polling_interval_s = interval_s;
        self.set_timer();
    }

    /// How it is set.
    pub fn config(&self) -> &BalloonConfig {
        &self.config
    }

    /// The driver's latest report, if it makes any.
    pub fn stats(&self) -> Option<BalloonStats> {
        self.stats_queue?;
        let (target_pages, actual_pages) = (self.target_pages(), self.actual);
        let mib = |pages: u32| pages / PAGES_PER_MIB;
        let (target_mib, actual_mib) = (mib(target_pages), mib(actual_pages));
        Some(BalloonStats { target_pages, actual_pages, target_mib, actual_mib, ..self.stats })
    }

    fn target_pages(&self) -> u32 {
        self.config.amount_mib.saturating_mul(PAGES_PER_MIB)
    }

    fn inflate(&mut self, queues: &mut Queues) -> Result<(), Error> {
        queues.serve(INFLATE, &mut self.chain, |memory, chain| {
            give_pages(memory, chain);
            Some(0)
        })
    }

    /// The guest takes pages back; they fill themselves.
    fn deflate(&mut self, queues: &mut Queues) -> Result<(), Error> {
        queues.serve(DEFLATE, &mut self.chain, |_, _| Some(0))
    }

    /// Pages that the guest has free for the time being.
    fn report(&mut self, queue: usize, queues: &mut Queues) -> Result<(), Error> {
        queues.serve(queue, &mut self.chain, |memory, chain| {
            chain.writable.iter().for_each(|span| discard::discard(memory, *span));
            Some(0)
        })
    }

    /// The driver fills one chain with its report and gets it back when a new one is wanted.
    fn take_stats(&mut self, queue: usize, queues: &mut Queues) -> Result<(), Error> {
        while queues.pop(queue, &mut self.chain)? {
            if let Some(head) = self.stats_chain.replace(self.chain.head) {
                queues.push(queue, head, 0)?;
            }
            stats::read(queues.memory(), &self.chain, &mut self.stats);
        }
        Ok(())
    }

    fn ask_for_stats(&mut self, queues: &mut Queues) -> Result<(), Error> {
        let (Some(queue), Some(head)) = (self.stats_queue, self.stats_chain.take()) else { return Ok(()) };
        queues.push(queue, head, 0)?;
        queues.interrupt_for(queue)
    }

    fn set_timer(&self) {
        let every = Timespec { tv_sec: self.config.stats_polling_interval_s.into(), tv_nsec: 0 };
        let timer = Itimerspec { it_interval: every, it_value: every };
        if let Err(error) = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &timer) {
            tracing::warn!("balloon: no statistics: {error}");
        }
    }
}

/// Gives the pages of a chain of page numbers to the host, runs of them at once.
fn give_pages(memory: &Memory, chain: &Chain) {
    let mut at = 0;
    let mut run: Option<Span> = None;
    let mut numbers = [0; 4 * NUMBERS];
    loop {
        let len = chain.read(memory, at, &mut numbers) & !3;
        if len == 0 {
            break;
        }
        for number in numbers[..len].chunks_exact(4) {
            let number = u32::from_le_bytes([number[0], number[1], number[2], number[3]]);
            run = Some(joined(memory, run, number));
        }
        at += u32::try_from(len).unwrap_or(0);
    }
    if let Some(run) = run {
        discard::discard(memory, run);
    }
}

/// The run with one page more; if it does not follow, the run goes and a new one begins.
fn joined(memory: &Memory, run: Option<Span>, number: u32) -> Span {
    const PAGE: u32 = 1 << PAGE_SHIFT;
    let address = u64::from(number) << PAGE_SHIFT;
    match run {
        Some(run) if run.address.0 + u64::from(run.len) == address && run.len <= u32::MAX - PAGE => {
            Span { len: run.len + PAGE, ..run }
        }
        other => {
            if let Some(run) = other {
                discard::discard(memory, run);
            }
            Span { address: GuestAddress(address), len: PAGE }
        }
    }
}

impl Device for Balloon {
    fn id(&self) -> u32 {
        id::BALLOON
    }

    fn features(&self) -> u64 {
        let stats = self.stats_queue.map_or(0, |_| FEATURE_STATS);
        let reporting = self.reporting_queue.map_or(0, |_| FEATURE_REPORTING);
        stats | reporting | if self.config.deflate_on_oom { FEATURE_DEFLATE_ON_OOM } else { 0 }
    }

    fn queue_sizes(&self) -> &[u16] {
        &self.queue_sizes
    }

    fn read_config(&self, offset: usize, data: &mut [u8]) {
        let mut config = [0; 8];
        config[..4].copy_from_slice(&self.target_pages().to_le_bytes());
        config[4..].copy_from_slice(&self.actual.to_le_bytes());
        copy_config(&config, offset, data);
    }

    fn write_config(&mut self, offset: usize, data: &[u8]) {
        if let (4, Ok(actual)) = (offset, data.try_into()) {
            self.actual = u32::from_le_bytes(actual);
        }
    }

    fn activate(&mut self, _: u64) {
        if self.stats_queue.is_some() {
            self.set_timer();
        }
    }

    fn reset(&mut self) {
        self.stats_chain = None;
        self.actual = 0;
    }

    fn notified(&mut self, queue: usize, queues: &mut Queues) -> Result<(), Error> {
        match queue {
            INFLATE => self.inflate(queues),
            DEFLATE => self.deflate(queues),
            _ if Some(queue) == self.stats_queue => self.take_stats(queue, queues),
            _ => self.report(queue, queues),
        }
    }

    fn state(&self) -> Option<DeviceState> {
        Some(DeviceState::Balloon { actual: self.actual, stats_chain: self.stats_chain })
    }

    fn restore(&mut self, state: &DeviceState, queues: Option<&mut Queues>) -> Result<(), Invalid> {
        let &DeviceState::Balloon { actual, stats_chain } = state else { return Err(Invalid::Kind) };
        self.actual = actual;
        // A driver that is not ready has no chain here.
        self.stats_chain = stats_chain.filter(|_| queues.is_some() && self.stats_queue.is_some());
        Ok(())
    }

    fn sources(&self) -> Vec<Source> {
        vec![Source { fd: self.timer.as_raw_fd(), token: 0, mode: SourceMode::Level }]
    }

    fn ready(&mut self, _: u32, queues: &mut Queues) -> Result<(), Error> {
        // Read only to clear it.
        let _ = rustix::io::read(&self.timer, &mut [0; 8]);
        self.ask_for_stats(queues)
    }
}

#[cfg(test)]
mod tests;
