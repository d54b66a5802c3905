//! Devices of every kind for states that may be hostile: for tests and fuzz targets.

use vmm_sys_util::eventfd::EventFd;

use crate::config::{BalloonConfig, CacheType, IoEngine};
use crate::devices::serial::{Line, Port, SerialState};
use crate::devices::virtio::balloon::Balloon;
use crate::devices::virtio::block::{Access, Block, Disk};
use crate::devices::virtio::limiter::Limiter;
use crate::devices::virtio::mmio::Transport;
use crate::devices::virtio::rng::Rng;
use crate::devices::virtio::vsock::{Vsock, channel};
use crate::devices::virtio::{Device, TransportState};
use crate::hypervisor::DirtyLog;
use crate::machine::{IoApic, IoApicState};
use crate::memory;

fn block() -> Block {
    let file = tempfile();
    file.set_len(1 << 20).expect("grow");
    let disk = Disk::new(file, Access::ReadWrite, CacheType::Unsafe).expect("disk");
    Block::new(disk, Limiter::new(None).expect("timer"), IoEngine::Sync)
}

/// A file without a name; this crate has no helper for it outside of its tests.
fn tempfile() -> std::fs::File {
    let file = rustix::fs::open(
        std::env::temp_dir(),
        rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    );
    file.expect("a file").into()
}

fn devices() -> Vec<Box<dyn Device>> {
    let balloon = BalloonConfig { stats_polling_interval_s: 1, free_page_reporting: true, ..Default::default() };
    let (inside, _) = channel(&[1]).expect("bells");
    vec![
        Box::<Rng>::default(),
        Box::new(block()),
        Box::new(Balloon::new(balloon).expect("timer")),
        Box::new(Vsock::within(3, inside).expect("device")),
    ]
}

/// Whether a device of any kind takes this state; those that do are let to work.
pub(super) fn try_device(state: &TransportState) -> bool {
    let mut taken = false;
    for device in devices() {
        let queues = device.queue_sizes().len();
        let memory = memory::anonymous(2, DirtyLog::Off).expect("memory");
        let transport = Transport::new(device, memory).expect("events");
        if transport.restore(state).is_ok() {
            transport.wake();
            (0..queues).for_each(|queue| transport.notified(queue));
            assert!(transport.state().is_some(), "what was put into a state has one");
            taken = true;
        }
    }
    taken
}

/// Of an I/O APIC.
pub(super) const PINS: u32 = 5;

/// Whether an I/O APIC takes this state.
pub(super) fn try_io_apic(state: &IoApicState) -> bool {
    let io_apic = IoApic::new(PINS, Box::new(|_| Ok(())));
    let taken = io_apic.check(state).is_ok() && io_apic.restore(state).is_ok();
    for offset in [0, 0x10, 0x11] {
        io_apic.read(offset, &mut [0; 4]);
        io_apic.write(offset, &[0xff; 4]).expect("routes are set");
    }
    taken
}

/// Whether a serial port takes this state.
pub(super) fn try_serial(state: &SerialState) -> bool {
    let line = Line(EventFd::new(libc::EFD_NONBLOCK).expect("event"));
    let port = Port::restore(line, Box::new(std::io::sink()), state);
    port.is_ok_and(|port| {
        port.wake();
        (0..8).for_each(|register| _ = port.read(register));
        true
    })
}
