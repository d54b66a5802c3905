//! Numbers of the kernel's interface, under the kernel's names as far as they say what they are.

/// RTM_NEWLINK and its like.
pub const NEW_LINK: u16 = 16;
/// RTM_GETLINK.
pub const GET_LINK: u16 = 18;
/// RTM_SETLINK.
pub const SET_LINK: u16 = 19;
/// RTM_NEWADDR.
pub const NEW_ADDRESS: u16 = 20;
/// RTM_DELADDR.
pub const DELETE_ADDRESS: u16 = 21;
/// RTM_GETADDR.
pub const GET_ADDRESS: u16 = 22;
/// RTM_NEWROUTE.
pub const NEW_ROUTE: u16 = 24;
/// RTM_GETROUTE.
pub const GET_ROUTE: u16 = 26;
/// RTM_NEWNEIGH.
pub const NEW_NEIGHBOUR: u16 = 28;
/// RTM_GETNEIGH.
pub const GET_NEIGHBOUR: u16 = 30;
/// RTM_NEWQDISC.
pub const NEW_QDISC: u16 = 36;
/// RTM_DELQDISC.
pub const DELETE_QDISC: u16 = 37;
/// RTM_NEWTFILTER.
pub const NEW_FILTER: u16 = 44;
/// RTM_GETTFILTER.
pub const GET_FILTER: u16 = 46;

/// Length of `struct ifinfomsg`.
pub const LINK_BYTES: usize = 16;
/// Length of `struct ifaddrmsg`.
pub const ADDRESS_BYTES: usize = 8;
/// Length of `struct rtmsg`.
pub const ROUTE_BYTES: usize = 12;
/// Length of `struct ndmsg`.
pub const NEIGHBOUR_BYTES: usize = 12;

/// IPv4.
pub const AF_INET: u8 = 2;
/// IPv6.
pub const AF_INET6: u8 = 10;

/// linux/if_link.h
pub const IFLA_ADDRESS: u16 = 1;
/// See there.
pub const IFLA_IFNAME: u16 = 3;
/// See there.
pub const IFLA_MTU: u16 = 4;
/// An interface is up (netdevice(7)).
pub const IFF_UP: u32 = 1;

/// linux/if_addr.h
pub const IFA_ADDRESS: u16 = 1;
/// See there.
pub const IFA_LOCAL: u16 = 2;
/// See there.
pub const IFA_BROADCAST: u16 = 4;

/// linux/rtnetlink.h
pub const RTA_DST: u16 = 1;
/// See there.
pub const RTA_OIF: u16 = 4;
/// See there.
pub const RTA_GATEWAY: u16 = 5;
/// See there.
pub const RTA_PREFSRC: u16 = 7;
/// See there.
pub const RT_TABLE_MAIN: u8 = 254;
/// See there.
pub const RTN_UNICAST: u8 = 1;

/// linux/neighbour.h
pub const NDA_DST: u16 = 1;
/// See there.
pub const NDA_LLADDR: u16 = 2;
/// An entry that stays until it is removed.
pub const NUD_PERMANENT: u16 = 0x80;
