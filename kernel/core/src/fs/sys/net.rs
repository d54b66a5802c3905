//! /sys/class/net/lo.

use alloc::vec::Vec;

use super::link;
use crate::Errno;
use crate::fs::synthetic::{Directory, Entry, Opener, Text};
use crate::fs::system::System;

pub(super) static LOOPBACK: Directory<System> = Directory::of(&[
    Entry::constant("addr_assign_type", "0\n"),
    Entry::constant("addr_len", "6\n"),
    Entry::constant("address", "00:00:00:00:00:00\n"),
    Entry::constant("broadcast", "00:00:00:00:00:00\n"),
    Entry::constant("carrier", "1\n").mode(0o644),
    Entry::constant("carrier_changes", "0\n"),
    Entry::constant("carrier_down_count", "0\n"),
    Entry::constant("carrier_up_count", "0\n"),
    Entry::constant("dev_id", "0x0\n"),
    Entry::constant("dev_port", "0\n"),
    Entry::constant("dormant", "0\n"),
    Entry::text("duplex", |_, _| Err(Errno::EINVAL)),
    Entry::constant("flags", "0x9\n").mode(0o644),
    Entry::constant("gro_flush_timeout", "0\n").mode(0o644),
    Entry::constant("ifalias", "\n").mode(0o644),
    Entry::constant("ifindex", "1\n"),
    Entry::constant("iflink", "1\n"),
    Entry::constant("link_mode", "0\n"),
    Entry::constant("mtu", "65536\n").mode(0o644),
    Entry::constant("name_assign_type", "2\n"),
    Entry::constant("napi_defer_hard_irqs", "0\n").mode(0o644),
    Entry::constant("netdev_group", "0\n").mode(0o644),
    Entry::constant("operstate", "unknown\n"),
    Entry::constant("proto_down", "0\n").mode(0o644),
    Entry::directory("queues", &QUEUES),
    Entry::text("speed", |_, _| Err(Errno::EINVAL)),
    Entry::directory("statistics", &STATISTICS),
    Entry::link("subsystem", |_, _| link("../../../../class/net")),
    Entry::constant("testing", "0\n"),
    Entry::constant("threaded", "0\n").mode(0o644),
    Entry::constant("tx_queue_len", "1000\n").mode(0o644),
    Entry::constant("type", "772\n"),
    Entry::constant("uevent", "INTERFACE=lo\nIFINDEX=1\n").mode(0o644),
]);

static QUEUES: Directory<System> =
    Directory::of(&[Entry::directory("rx-0", &Directory::of(&[])), Entry::directory("tx-0", &Directory::of(&[]))]);

static STATISTICS: Directory<System> = Directory::of(&[
    Entry::constant("collisions", "0\n"),
    Entry::constant("multicast", "0\n"),
    Entry::text("rx_bytes", bytes),
    Entry::constant("rx_compressed", "0\n"),
    Entry::constant("rx_crc_errors", "0\n"),
    Entry::constant("rx_dropped", "0\n"),
    Entry::constant("rx_errors", "0\n"),
    Entry::constant("rx_fifo_errors", "0\n"),
    Entry::constant("rx_frame_errors", "0\n"),
    Entry::constant("rx_length_errors", "0\n"),
    Entry::constant("rx_missed_errors", "0\n"),
    Entry::constant("rx_nohandler", "0\n"),
    Entry::constant("rx_over_errors", "0\n"),
    Entry::text("rx_packets", packets),
    Entry::constant("tx_aborted_errors", "0\n"),
    Entry::text("tx_bytes", bytes),
    Entry::constant("tx_carrier_errors", "0\n"),
    Entry::constant("tx_compressed", "0\n"),
    Entry::constant("tx_dropped", "0\n"),
    Entry::constant("tx_errors", "0\n"),
    Entry::constant("tx_fifo_errors", "0\n"),
    Entry::constant("tx_heartbeat_errors", "0\n"),
    Entry::text("tx_packets", packets),
    Entry::constant("tx_window_errors", "0\n"),
]);

fn packets(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    count(system.namespaces.net.traffic().totals().0)
}

fn bytes(system: &System, _: &Opener) -> Result<Vec<u8>, Errno> {
    count(system.namespaces.net.traffic().totals().1)
}

fn count(count: u64) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    writeln!(text, "{count}");
    text.finish()
}
