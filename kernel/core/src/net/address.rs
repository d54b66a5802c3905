//! Addresses of sockets (`struct sockaddr` and its kinds).

use alloc::vec::Vec;

use linux_raw_sys::net as abi;

use crate::Errno;
use crate::abi::{Decoder, Encoder};

/// `sizeof(struct sockaddr_storage)`: what an address takes at most.
pub const ADDRESS_BYTES_MAX: usize = 128;
/// Bytes of a unix socket's name.
const UNIX_NAME_BYTES: usize = 108;

/// AF_UNSPEC
pub const UNSPEC: u16 = 0;
/// AF_UNIX
pub const UNIX: u16 = 1;
/// AF_INET
pub const INET: u16 = 2;
/// AF_INET6
pub const INET6: u16 = 10;
/// AF_NETLINK
pub const NETLINK: u16 = 16;
/// AF_PACKET
pub const PACKET: u16 = 17;
/// Bytes of `struct sockaddr_ll`, and those before its hardware address.
const LINK_BYTES: usize = 20;
const LINK_HEAD_BYTES: usize = 12;

/// An internet address; those of version 4 are mapped into version 6 (RFC 4291, 2.5.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ip(pub [u8; 16]);

impl Ip {
    /// `::`
    pub const ANY: Self = Self([0; 16]);
    /// `::1`
    pub const LOOPBACK: Self = Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    /// `0.0.0.0`
    pub const ANY_V4: Self = Self::v4([0; 4]);
    /// `127.0.0.1`
    pub const LOOPBACK_V4: Self = Self::v4([127, 0, 0, 1]);

    /// One of version 4.
    pub const fn v4([a, b, c, d]: [u8; 4]) -> Self {
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d])
    }

    /// Its version 4 form, if it is one.
    pub fn to_v4(self) -> Option<[u8; 4]> {
        let mapped = self.0[..10] == [0; 10] && self.0[10..12] == [0xff; 2];
        mapped.then(|| [self.0[12], self.0[13], self.0[14], self.0[15]])
    }

    /// Whether it stands for all addresses of the machine.
    pub fn is_any(self) -> bool {
        self == Self::ANY || self == Self::ANY_V4
    }

    /// The group of hosts that it stands for (RFC 1112), if it is one of version 4.
    pub fn to_group(self) -> Option<[u8; 4]> {
        self.to_v4().filter(|[first, ..]| (224..240).contains(first))
    }

    /// Whether it is one of the machine's own.
    pub fn is_local(self) -> bool {
        self == Self::LOOPBACK || self.to_v4().is_some_and(|[first, ..]| first == 127)
    }
}

/// An internet address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Endpoint {
    /// Address.
    pub ip: Ip,
    /// Port.
    pub port: u16,
}

/// `struct sockaddr_ll`: an interface, and what of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LinkAddress {
    /// Type of the frames' content (ETH_P_IP).
    pub protocol: u16,
    /// Index of the interface; 0 for any.
    pub interface: i32,
    /// ARPHRD_LOOPBACK
    pub hardware: u16,
    /// PACKET_HOST, PACKET_OUTGOING
    pub way: u8,
    /// The hardware address, and how many bytes of it count.
    pub address: [u8; 8],
    /// Those.
    pub address_len: u8,
    /// Whether it is told without what lies behind these.
    pub is_cut: bool,
}

/// An address as a program gives or gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// AF_UNSPEC: dissolves an association.
    Unspecified,
    /// A unix socket's. Empty: without a name. A leading zero: an abstract name. Otherwise a path.
    Unix(Vec<u8>),
    /// An internet socket's.
    Inet {
        /// AF_INET or AF_INET6: how it is written.
        family: u16,
        /// What.
        endpoint: Endpoint,
    },
    /// A packet socket's.
    Link(LinkAddress),
    /// A netlink socket's.
    Netlink {
        /// Port id.
        port: u32,
        /// Multicast groups.
        groups: u32,
    },
}

impl Address {
    /// A unix socket without a name.
    pub const UNNAMED: Self = Self::Unix(Vec::new());

    /// From a program's bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Errno> {
        if bytes.len() < 2 {
            return Err(Errno::EINVAL);
        }
        let mut fields = Decoder::new(bytes);
        let family: u16 = fields.take();
        match family {
            UNSPEC => Ok(Self::Unspecified),
            UNIX => parse_unix(fields.rest()),
            INET if bytes.len() >= 16 => Ok(parse_v4(fields)),
            INET6 if bytes.len() >= 24 => Ok(parse_v6(fields)),
            NETLINK if bytes.len() >= 12 => {
                fields.skip(2);
                Ok(Self::Netlink { port: fields.take(), groups: fields.take() })
            }
            PACKET => Self::parse_link(bytes),
            INET | INET6 | NETLINK => Err(Errno::EINVAL),
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }

    /// The same for a packet socket that sends, whatever family it says.
    pub fn parse_link(bytes: &[u8]) -> Result<Self, Errno> {
        if bytes.len() < LINK_BYTES {
            return Err(Errno::EINVAL);
        }
        let mut fields = Decoder::new(&bytes[2..]);
        let protocol = u16::from_be(fields.take());
        let (interface, hardware, way, address_len) = (fields.take(), fields.take(), fields.take(), fields.take());
        let address = fields.take();
        Ok(Self::Link(LinkAddress { protocol, interface, hardware, way, address, address_len, is_cut: false }))
    }

    /// Its family.
    pub fn family(&self) -> u16 {
        match self {
            Self::Unspecified => UNSPEC,
            Self::Unix(_) => UNIX,
            Self::Inet { family, .. } => *family,
            Self::Link(_) => PACKET,
            Self::Netlink { .. } => NETLINK,
        }
    }

    /// For a program.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Encoder::with_capacity(28);
        bytes.put(self.family());
        match self {
            Self::Unspecified => {}
            Self::Unix(name) => {
                bytes.bytes(name);
                if name.first().is_some_and(|byte| *byte != 0) {
                    bytes.put(0_u8);
                }
            }
            Self::Inet { family: INET, endpoint } => {
                bytes.bytes(&endpoint.port.to_be_bytes());
                bytes.bytes(&endpoint.ip.to_v4().unwrap_or_default()).zeros(8);
            }
            Self::Inet { endpoint, .. } => {
                bytes.bytes(&endpoint.port.to_be_bytes()).zeros(4).bytes(&endpoint.ip.0).zeros(4);
            }
            Self::Link(link) => link.encode(&mut bytes),
            Self::Netlink { port, groups } => {
                bytes.zeros(2).put(*port).put(*groups);
            }
        }
        bytes.finish()
    }
}

impl LinkAddress {
    fn encode(&self, to: &mut Encoder) {
        let len = if self.is_cut { usize::from(self.address_len) } else { LINK_BYTES - LINK_HEAD_BYTES };
        to.bytes(&self.protocol.to_be_bytes()).put(self.interface).put(self.hardware).put(self.way);
        to.put(self.address_len).bytes(&self.address[..len.min(self.address.len())]);
    }
}

/// A path ends at its zero, an abstract name where the address ends (unix(7)).
fn parse_unix(name: &[u8]) -> Result<Address, Errno> {
    if name.len() > UNIX_NAME_BYTES {
        return Err(Errno::EINVAL);
    }
    Ok(Address::Unix(match name.first() {
        None => Vec::new(),
        Some(0) => name.to_vec(),
        Some(_) => name.iter().copied().take_while(|byte| *byte != 0).collect(),
    }))
}

fn parse_v4(mut fields: Decoder<'_>) -> Address {
    let port = u16::from_be(fields.take());
    let ip = Ip::v4(fields.take());
    Address::Inet { family: INET, endpoint: Endpoint { ip, port } }
}

fn parse_v6(mut fields: Decoder<'_>) -> Address {
    let port = u16::from_be(fields.take());
    fields.skip(4);
    Address::Inet { family: INET6, endpoint: Endpoint { ip: Ip(fields.take()), port } }
}

/// SOCK_STREAM and its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes in order, with a connection.
    Stream,
    /// Messages.
    Datagram,
    /// Messages of the protocol below: netlink.
    Raw,
    /// Messages in order, with a connection.
    Packets,
}

impl Kind {
    /// From the type argument of socket(2), flags left out.
    pub fn from_raw(kind: u32) -> Result<Self, Errno> {
        match kind {
            abi::SOCK_STREAM => Ok(Self::Stream),
            abi::SOCK_DGRAM => Ok(Self::Datagram),
            abi::SOCK_RAW => Ok(Self::Raw),
            abi::SOCK_SEQPACKET => Ok(Self::Packets),
            abi::SOCK_RDM | 6 | 10 => Err(Errno::ESOCKTNOSUPPORT),
            _ => Err(Errno::EINVAL),
        }
    }

    /// For SO_TYPE.
    pub fn raw(self) -> i32 {
        match self {
            Self::Stream => 1,
            Self::Datagram => 2,
            Self::Raw => 3,
            Self::Packets => 5,
        }
    }
}
