//! /proc/net: the loopback interface, sockets, and column heads where there is nothing else.

use alloc::vec::Vec;

use super::{ProcSystem, sockets};
use crate::Errno;
use crate::fs::synthetic::{Directory, Entry, Opener, Text};

pub(super) static NET: Directory<ProcSystem> = Directory::of(&[
    Entry::constant("arp", "IP address       HW type     Flags       HW address            Mask     Device\n"),
    Entry::text("dev", dev),
    Entry::constant("dev_mcast", ""),
    Entry::constant("if_inet6", "00000000000000000000000000000001 01 80 10 80       lo\n"),
    Entry::constant("igmp", "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"),
    Entry::constant("ip_tables_names", "").mode(0o440),
    Entry::constant("ipv6_route", IPV6_ROUTE),
    Entry::constant("netlink", NETLINK),
    Entry::constant("netstat", NETSTAT),
    Entry::constant("packet", "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"),
    Entry::constant("protocols", PROTOCOLS),
    Entry::constant("ptype", "Type Device      Function\n"),
    Entry::constant("raw", RAW),
    Entry::constant("raw6", UDP6),
    Entry::constant("route", ROUTE),
    Entry::constant("snmp", SNMP),
    Entry::constant("snmp6", ""),
    Entry::constant("sockstat", SOCKSTAT),
    Entry::constant("sockstat6", SOCKSTAT6),
    Entry::constant("softnet_stat", ""),
    Entry::text("tcp", sockets::tcp),
    Entry::text("tcp6", sockets::tcp6),
    Entry::text("udp", sockets::udp),
    Entry::text("udp6", sockets::udp6),
    Entry::constant("udplite", UDP),
    Entry::constant("udplite6", UDP6),
    Entry::text("unix", sockets::unix),
]);

const DEV_HEAD: &str = "Inter-|   Receive                                                |  Transmit\n\
                   \x20face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop \
                   fifo colls carrier compressed\n";

/// `dev_seq_printf_stats` of Linux.
fn dev(system: &ProcSystem, _: &Opener) -> Result<Vec<u8>, Errno> {
    let (packets, bytes) = system.namespaces.net.traffic().totals();
    let mut text = Text::new();
    text.bytes(DEV_HEAD.as_bytes());
    write!(text, "{:>6}: {bytes:7} {packets:7}    0    0    0     0          0         0", "lo");
    writeln!(text, " {bytes:8} {packets:7}    0    0    0     0       0          0");
    text.finish()
}

pub(super) const UNIX: &str = "Num       RefCount Protocol Flags    Type St Inode Path\n";
pub(super) const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when \
    retrnsmt   uid  timeout inode\
    \x20                                                    \n";
pub(super) const UDP: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when \
    retrnsmt   uid  timeout inode ref pointer drops\
    \x20           \n";
const RAW: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when \
    retrnsmt   uid  timeout inode ref pointer drops\
    \n";
pub(super) const TCP6: &str = "  sl  local_address                         remote_address                        st tx_queue \
                    rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
pub(super) const UDP6: &str = "  sl  local_address                         remote_address                        st \
                            tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n";

/// Lines of 127 columns.
const ROUTE: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\
    \x20                                                      \n";
const IPV6_ROUTE: &str = "00000000000000000000000000000001 80 00000000000000000000000000000000 00 \
                          00000000000000000000000000000000 00000000 00000002 00000000 80200001       lo\n\
                          00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                          00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n";
const NETLINK: &str = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n";
const PROTOCOLS: &str = "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs \
                         se re bi br ha uh gp em\n";
const SOCKSTAT: &str = "sockets: used 0\nTCP: inuse 0 orphan 0 tw 0 alloc 0 mem 0\nUDP: inuse 0 mem 0\n\
                        UDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n";
const SOCKSTAT6: &str = "TCP6: inuse 0\nUDP6: inuse 0\nUDPLITE6: inuse 0\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0\n";

const SNMP: &str = "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos \
                    InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs \
                    ReasmFails FragOKs FragFails FragCreates OutTransmits\n\
                    Ip: 2 64 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n\
                    Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets \
                    CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\n\
                    Tcp: 1 200 120000 -1 0 0 0 0 0 0 0 0 0 0 0\n\
                    Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors \
                    IgnoredMulti MemErrors\n\
                    Udp: 0 0 0 0 0 0 0 0 0\n\
                    UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors \
                    IgnoredMulti MemErrors\n\
                    UdpLite: 0 0 0 0 0 0 0 0 0\n";
const NETSTAT: &str = "TcpExt: SyncookiesSent SyncookiesRecv SyncookiesFailed EmbryonicRsts PruneCalled ListenOverflows \
                       ListenDrops\n\
                       TcpExt: 0 0 0 0 0 0 0\n\
                       IpExt: InNoRoutes InTruncatedPkts InOctets OutOctets\n\
                       IpExt: 0 0 0 0\n";
