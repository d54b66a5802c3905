//! /proc/sys/net.

use alloc::vec::Vec;

use super::kernel::line;
use super::{fact, value};
use crate::Errno;
use crate::fs::proc::ProcSystem;
use crate::fs::synthetic::{Directory, Entry, Opener};

pub(super) static NET: Directory<ProcSystem> = Directory::of(&[
    Entry::directory("core", &CORE),
    Entry::directory("ipv4", &IPV4),
    Entry::directory("ipv6", &IPV6),
    Entry::directory("unix", &Directory::of(&[value("max_dgram_qlen", "512\n")])),
]);

static CORE: Directory<ProcSystem> = Directory::of(&[
    value("busy_poll", "0\n"),
    value("busy_read", "0\n"),
    value("default_qdisc", "pfifo_fast\n"),
    value("netdev_budget", "300\n"),
    value("netdev_max_backlog", "1000\n"),
    value("optmem_max", "131072\n"),
    value("rmem_default", "212992\n"),
    value("rmem_max", "4194304\n"),
    value("somaxconn", "4096\n"),
    value("wmem_default", "212992\n"),
    value("wmem_max", "4194304\n"),
]);

static IPV4: Directory<ProcSystem> = Directory::of(&[
    Entry::directory("conf", &CONF4),
    value("icmp_echo_ignore_all", "0\n"),
    value("icmp_echo_ignore_broadcasts", "1\n"),
    value("icmp_ratelimit", "1000\n"),
    value("ip_default_ttl", "64\n"),
    value("ip_dynaddr", "0\n"),
    value("ip_forward", "0\n"),
    value("ip_local_port_range", "32768\t60999\n"),
    value("ip_local_reserved_ports", "\n"),
    value("ip_no_pmtu_disc", "0\n"),
    value("ip_nonlocal_bind", "0\n"),
    Entry::text("ip_unprivileged_port_start", unprivileged_port_start).mode(0o644),
    Entry::text("ping_group_range", ping_group_range).mode(0o644),
    value("tcp_abort_on_overflow", "0\n"),
    value("tcp_allowed_congestion_control", "reno cubic\n"),
    fact("tcp_available_congestion_control", "reno cubic\n"),
    value("tcp_base_mss", "1024\n"),
    value("tcp_congestion_control", "cubic\n"),
    value("tcp_dsack", "0\n"),
    value("tcp_ecn", "2\n"),
    value("tcp_fack", "0\n"),
    value("tcp_fastopen", "0\n"),
    value("tcp_fin_timeout", "60\n"),
    value("tcp_keepalive_intvl", "75\n"),
    value("tcp_keepalive_probes", "9\n"),
    value("tcp_keepalive_time", "7200\n"),
    value("tcp_max_orphans", "131072\n"),
    value("tcp_max_syn_backlog", "2048\n"),
    value("tcp_max_tw_buckets", "131072\n"),
    value("tcp_mem", "287901\t383869\t575802\n"),
    value("tcp_moderate_rcvbuf", "1\n"),
    value("tcp_mtu_probing", "0\n"),
    value("tcp_no_metrics_save", "0\n"),
    value("tcp_notsent_lowat", "4294967295\n"),
    value("tcp_orphan_retries", "0\n"),
    value("tcp_reordering", "3\n"),
    value("tcp_retries1", "3\n"),
    value("tcp_retries2", "15\n"),
    value("tcp_rfc1337", "0\n"),
    value("tcp_rmem", "4096\t131072\t6291456\n"),
    value("tcp_sack", "1\n"),
    value("tcp_slow_start_after_idle", "1\n"),
    value("tcp_syn_retries", "6\n"),
    value("tcp_synack_retries", "5\n"),
    value("tcp_syncookies", "1\n"),
    value("tcp_timestamps", "1\n"),
    value("tcp_tw_reuse", "2\n"),
    value("tcp_window_scaling", "1\n"),
    value("tcp_wmem", "4096\t16384\t4194304\n"),
    value("udp_mem", "575802\t767738\t1151604\n"),
    value("udp_rmem_min", "4096\n"),
    value("udp_wmem_min", "4096\n"),
]);

static CONF4: Directory<ProcSystem> = Directory::of(&[
    Entry::directory("all", &CONF4_OF),
    Entry::directory("default", &CONF4_OF),
    Entry::directory("lo", &CONF4_OF),
]);

static CONF4_OF: Directory<ProcSystem> = Directory::of(&[
    value("accept_redirects", "1\n"),
    value("accept_source_route", "0\n"),
    value("arp_announce", "0\n"),
    value("arp_ignore", "0\n"),
    value("forwarding", "0\n"),
    value("log_martians", "0\n"),
    value("rp_filter", "0\n"),
    value("secure_redirects", "1\n"),
    value("send_redirects", "1\n"),
]);

static IPV6: Directory<ProcSystem> = Directory::of(&[
    value("bindv6only", "0\n"),
    Entry::directory("conf", &CONF6),
    value("ip_nonlocal_bind", "0\n"),
    Entry::directory("neigh", &Directory::of(&[])),
]);

static CONF6: Directory<ProcSystem> = Directory::of(&[
    Entry::directory("all", &CONF6_OF),
    Entry::directory("default", &CONF6_OF),
    Entry::directory("lo", &CONF6_OF),
]);

static CONF6_OF: Directory<ProcSystem> = Directory::of(&[
    value("accept_ra", "1\n"),
    value("accept_redirects", "1\n"),
    value("autoconf", "1\n"),
    value("disable_ipv6", "0\n"),
    value("forwarding", "0\n"),
    value("hop_limit", "64\n"),
    value("mtu", "65536\n"),
    value("use_tempaddr", "-1\n"),
]);

fn ping_group_range(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let (first, last) = system.namespaces.net.ping_groups();
    line(alloc::format!("{first}\t{last}"))
}

fn unprivileged_port_start(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    line(system.namespaces.net.unprivileged_port_start())
}
