//! The thread that runs all devices, and one for each that waits for the host: what they wait for are doorbells and the
//! host's descriptors.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use event_manager::{EventManager, EventOps, EventSet, Events, MutEventSubscriber, SubscriberOps};
use vmm_sys_util::eventfd::EventFd;

use super::control::Order;
use super::platform::Platform;
use crate::devices::virtio::mmio::Transport;
use crate::devices::virtio::{Served, Source, SourceMode};
use crate::seccomp::{Filters, Role};

/// Event data beside queue numbers: sources of a device.
const SOURCES: u32 = 0x1_0000;
const INPUT_PIECE: usize = 256;

/// A thread of devices.
pub struct DeviceThread {
    wake: EventFd,
    thread: JoinHandle<()>,
}

/// Why the devices' thread cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No event loop.
    #[error("cannot set up the devices' events: {0}")]
    Events(String),
    /// No thread.
    #[error("cannot start the devices' thread: {0}")]
    Thread(#[from] io::Error),
}

impl DeviceThread {
    /// Starts the threads, which stand still until the control says otherwise. `input` goes to the serial port. Disks
    /// that come later share a thread.
    pub fn start_all(platform: &Arc<Platform>, input: Option<OwnedFd>, filters: Filters) -> Result<Vec<Self>, Error> {
        let all = 0..platform.virtio.len();
        let (apart, together): (Vec<_>, Vec<_>) =
            all.partition(|index| platform.virtio[*index].transport.served() == Served::Apart);
        let (later, apart): (Vec<_>, Vec<_>) =
            apart.into_iter().partition(|index| platform.virtio[*index].transport.is_empty());
        let input = input.map(|input| Input { platform: platform.clone(), file: input.into() });
        let mut threads = vec![Self::start(platform, together, input, (Role::Devices, "devices"), filters)?];
        let alone = apart.into_iter().map(|index| vec![index]);
        for devices in alone.chain(Some(later).filter(|later| !later.is_empty())) {
            threads.push(Self::start(platform, devices, None, (Role::Disk, "disk"), filters)?);
        }
        Ok(threads)
    }

    fn start(
        platform: &Arc<Platform>,
        devices: Vec<usize>,
        input: Option<Input>,
        (role, name): (Role, &str),
        filters: Filters,
    ) -> Result<Self, Error> {
        let events = |error: event_manager::Error| Error::Events(format!("{error:?}"));
        let wake = EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)?;
        let mut manager = EventManager::<Box<dyn MutEventSubscriber + Send>>::new().map_err(events)?;
        manager.add_subscriber(Box::new(Wake(wake.try_clone()?)));
        for index in devices.iter().copied() {
            manager.add_subscriber(Box::new(Virtio::new(platform.clone(), index)));
        }
        if let Some(input) = input {
            manager.add_subscriber(Box::new(input));
        }
        let platform = platform.clone();
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            if platform.control.confine(role, filters) {
                run(&mut manager, &platform, &devices);
            }
        })?;
        Ok(DeviceThread { wake, thread })
    }

    /// Makes the thread look at the control.
    pub fn kick(&self) {
        if let Err(error) = self.wake.write(1) {
            tracing::trace!("wake: {error}");
        }
    }

    /// Waits for the thread's end.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("a thread of devices panicked");
        }
    }
}

fn run(manager: &mut EventManager<Box<dyn MutEventSubscriber + Send>>, platform: &Platform, devices: &[usize]) {
    loop {
        match platform.control.order() {
            Order::Run => {
                if let Err(error) = manager.run() {
                    tracing::warn!("devices' events: {error:?}");
                }
            }
            Order::Pause => {
                devices.iter().for_each(|index| platform.virtio[*index].transport.quiesce());
                platform.control.wait_while_paused();
            }
            Order::End => return,
        }
    }
}

/// Only ends a wait.
struct Wake(EventFd);

impl MutEventSubscriber for Wake {
    fn process(&mut self, _: Events, _: &mut EventOps) {
        clear(&self.0);
    }

    fn init(&mut self, ops: &mut EventOps) {
        add(ops, Events::new(&self.0, EventSet::IN));
    }
}

struct Virtio {
    platform: Arc<Platform>,
    index: usize,
    /// The device whose sources these are.
    tenancy: u64,
    sources: Vec<Source>,
    /// Sources that nobody serves before a driver rings.
    parked: Vec<u32>,
}

impl Virtio {
    fn new(platform: Arc<Platform>, index: usize) -> Self {
        Self { platform, index, tenancy: 0, sources: Vec::new(), parked: Vec::new() }
    }

    fn transport(&self) -> &Transport {
        &self.platform.virtio[self.index].transport
    }

    /// Waits for the descriptors of what is in the slot by now, and no more for those of what was.
    fn follow(&mut self, ops: &mut EventOps) {
        let tenancy = self.transport().tenancy();
        if tenancy == self.tenancy {
            return;
        }
        let parked = std::mem::take(&mut self.parked);
        for source in self.sources.iter().filter(|source| !parked.contains(&source.token)) {
            if let Err(error) = ops.remove(Events::new_raw(source.fd, EventSet::empty())) {
                tracing::debug!("a source of a device that is gone: {error:?}");
            }
        }
        self.transport().bury();
        self.sources = self.transport().sources();
        self.tenancy = tenancy;
        self.sources.iter().for_each(|source| listen(ops, source));
    }

    /// What stays readable would be told of for ever.
    fn park(&mut self, token: u32, events: Events, ops: &mut EventOps) {
        if !self.sources.iter().any(|source| source.token == token && source.mode == SourceMode::Level) {
            return;
        }
        match ops.remove(events) {
            Ok(()) => self.parked.push(token),
            Err(error) => tracing::debug!("a source of no driver: {error:?}"),
        }
    }

    fn unpark(&mut self, ops: &mut EventOps) {
        let parked = std::mem::take(&mut self.parked);
        if parked.is_empty() {
            return;
        }
        self.sources.iter().filter(|source| parked.contains(&source.token)).for_each(|source| listen(ops, source));
    }
}

impl MutEventSubscriber for Virtio {
    fn process(&mut self, events: Events, ops: &mut EventOps) {
        self.follow(ops);
        let transport = self.transport();
        match events.data().checked_sub(SOURCES) {
            Some(token) => {
                let served = transport.ready(token);
                self.platform.look_at(transport);
                if !served {
                    self.park(token, events, ops);
                }
            }
            None => {
                let queue = usize::try_from(events.data()).unwrap_or(usize::MAX);
                if let Some(doorbell) = transport.doorbells().get(queue) {
                    clear(doorbell);
                    transport.notified(queue);
                }
                self.unpark(ops);
            }
        }
    }

    fn init(&mut self, ops: &mut EventOps) {
        let transport = self.transport();
        let ours = if transport.served() == Served::Elsewhere { &[] } else { transport.doorbells() };
        for (queue, doorbell) in (0..).zip(ours) {
            add(ops, Events::with_data(doorbell, queue, EventSet::IN));
        }
        (self.tenancy, self.sources) = (transport.tenancy(), transport.sources());
        self.sources.iter().for_each(|source| listen(ops, source));
    }
}

/// What somebody types for the guest.
struct Input {
    platform: Arc<Platform>,
    file: File,
}

impl MutEventSubscriber for Input {
    fn process(&mut self, events: Events, ops: &mut EventOps) {
        let mut piece = [0; INPUT_PIECE];
        match (&self.file).read(&mut piece) {
            Ok(len) if len > 0 => {
                if let Some(serial) = &self.platform.serial {
                    serial.input(&piece[..len]);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // The end of input, or a broken terminal: no more will come.
            _ => {
                if let Err(error) = ops.remove(events) {
                    tracing::debug!("console input: {error:?}");
                }
            }
        }
    }

    fn init(&mut self, ops: &mut EventOps) {
        // A regular file cannot be waited for and is no console.
        if let Err(error) = ops.add(Events::new(&self.file, EventSet::IN)) {
            tracing::debug!("console input {}: {error:?}", self.file.as_raw_fd());
        }
    }
}

fn listen(ops: &mut EventOps, source: &Source) {
    let mode = match source.mode {
        SourceMode::Level => EventSet::IN,
        SourceMode::Edge => EventSet::IN | EventSet::EDGE_TRIGGERED,
    };
    add(ops, Events::with_data_raw(source.fd, SOURCES + source.token, mode));
}

fn add(ops: &mut EventOps, events: Events) {
    if let Err(error) = ops.add(events) {
        tracing::error!("a device's event cannot be waited for: {error:?}");
    }
}

fn clear(event: &EventFd) {
    if let Err(error) = event.read() {
        tracing::trace!("event: {error}");
    }
}
