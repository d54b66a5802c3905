//! The protocols above IP.

use crate::Errno;
use crate::net::Kind;

/// What a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// tcp(7)
    Tcp,
    /// udp(7)
    Udp,
    /// udplite(7): the same, where nothing damages data, with ports of its own.
    UdpLite,
    /// Any that has no ports here (raw(7)).
    Other,
}

impl Protocol {
    /// What socket(2) asks for; 0 is the usual one.
    pub fn new(kind: Kind, number: i32) -> Result<Self, Errno> {
        match (kind, number) {
            (Kind::Stream, 0 | 6) => Ok(Self::Tcp),
            (Kind::Datagram, 0 | 17) => Ok(Self::Udp),
            (Kind::Datagram, 136) => Ok(Self::UdpLite),
            (Kind::Stream | Kind::Datagram | Kind::Raw, _) => Err(Errno::EPROTONOSUPPORT),
            (Kind::Packets, _) => Err(Errno::ESOCKTNOSUPPORT),
        }
    }

    /// Its number (SO_PROTOCOL).
    pub fn raw(self) -> i32 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::UdpLite => 136,
            Self::Other => 255,
        }
    }

    /// What socket(2) calls its type.
    pub fn kind(self) -> Kind {
        match self {
            Self::Tcp => Kind::Stream,
            Self::Udp | Self::UdpLite => Kind::Datagram,
            Self::Other => Kind::Raw,
        }
    }
}
