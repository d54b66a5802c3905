//! What the headers of a datagram say, as far as programs ask for it or set it (ip(7), ipv6(7), RFC 3542).

use super::options::{IP, IPV6, ProtocolOptions};
use crate::Errno;
use crate::net::{ControlMessage, INET, Ip};

const IP_TOS: u32 = 1;
const IP_TTL: u32 = 2;
const IP_PKTINFO: u32 = 8;
const IP_RECVTTL: u32 = 12;
const IP_RECVTOS: u32 = 13;
const IPV6_UNICAST_HOPS: u32 = 16;
const IPV6_RECVPKTINFO: u32 = 49;
const IPV6_PKTINFO: u32 = 50;
const IPV6_RECVHOPLIMIT: u32 = 51;
const IPV6_HOPLIMIT: u32 = 52;
const IPV6_DONTFRAG: u32 = 62;
const IPV6_RECVTCLASS: u32 = 66;
const IPV6_TCLASS: u32 = 67;
/// The only interface: `lo`.
const INTERFACE: u32 = 1;
/// What a value of -1 asks for.
const HOPS: u8 = 64;

/// The headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    to: Ip,
    hops: u8,
    class: u8,
}

impl Packet {
    /// As a socket's options say, unless control messages say otherwise. Those of other levels are passed over.
    pub(super) fn outgoing(
        options: &ProtocolOptions,
        family: u16,
        to: Ip,
        controls: &[ControlMessage],
    ) -> Result<Self, Errno> {
        let (level, hops, class) =
            if family == INET { (IP, IP_TTL, IP_TOS) } else { (IPV6, IPV6_UNICAST_HOPS, IPV6_TCLASS) };
        let byte = |name, default| u8::try_from(options.value(level, name)).unwrap_or(default);
        let mut packet = Self { to, hops: byte(hops, HOPS), class: byte(class, 0) };
        for control in controls.iter().filter(|control| control.level == level) {
            if family == INET { packet.set_v4(control)? } else { packet.set_v6(control)? }
        }
        Ok(packet)
    }

    /// `ip_cmsg_send` of Linux.
    fn set_v4(&mut self, control: &ControlMessage) -> Result<(), Errno> {
        match control.kind {
            IP_TTL => self.hops = u8::try_from(int(control)?).ok().filter(|hops| *hops > 0).ok_or(Errno::EINVAL)?,
            IP_TOS if control.data.len() == 1 => self.class = control.data[0],
            IP_TOS => self.class = u8::try_from(int(control)?).map_err(|_| Errno::EINVAL)?,
            IP_PKTINFO if control.data.len() == 12 => {}
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    /// `ip6_datagram_send_ctl` of Linux.
    fn set_v6(&mut self, control: &ControlMessage) -> Result<(), Errno> {
        match control.kind {
            IPV6_HOPLIMIT => self.hops = byte_or(int(control)?, self.hops)?,
            IPV6_TCLASS => self.class = byte_or(int(control)?, self.class)?,
            IPV6_DONTFRAG => drop(int(control)?),
            IPV6_PKTINFO if control.data.len() == 20 => {}
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    /// What a header said.
    pub(in crate::net) fn received(to: Ip, hops: u8, class: u8) -> Self {
        Self { to, hops, class }
    }

    /// TTL or hop limit.
    pub(in crate::net) fn hops(self) -> u8 {
        self.hops
    }

    /// TOS or traffic class.
    pub(in crate::net) fn class(self) -> u8 {
        self.class
    }

    /// Tells a receiver what its options ask for, in the order of Linux.
    pub(super) fn tell(self, options: &ProtocolOptions, family: u16, add: &mut dyn FnMut(u32, u32, &[u8])) {
        if family == INET { self.tell_v4(options, add) } else { self.tell_v6(options, add) }
    }

    fn tell_v4(self, options: &ProtocolOptions, add: &mut dyn FnMut(u32, u32, &[u8])) {
        let asked = |name| options.value(IP, name) != 0;
        let to = self.to.to_v4().unwrap_or_default();
        if asked(IP_PKTINFO) {
            let info = [INTERFACE.to_le_bytes(), to, to];
            add(IP, IP_PKTINFO, info.as_flattened());
        }
        if asked(IP_RECVTTL) {
            add(IP, IP_TTL, &u32::from(self.hops).to_le_bytes());
        }
        if asked(IP_RECVTOS) {
            add(IP, IP_TOS, &[self.class]);
        }
    }

    fn tell_v6(self, options: &ProtocolOptions, add: &mut dyn FnMut(u32, u32, &[u8])) {
        let asked = |name| options.value(IPV6, name) != 0;
        if asked(IPV6_RECVPKTINFO) {
            let mut info = [0; 20];
            info[..16].copy_from_slice(&self.to.0);
            info[16..].copy_from_slice(&INTERFACE.to_le_bytes());
            add(IPV6, IPV6_PKTINFO, &info);
        }
        if asked(IPV6_RECVHOPLIMIT) {
            add(IPV6, IPV6_HOPLIMIT, &u32::from(self.hops).to_le_bytes());
        }
        if asked(IPV6_RECVTCLASS) {
            add(IPV6, IPV6_TCLASS, &u32::from(self.class).to_le_bytes());
        }
    }
}

fn int(control: &ControlMessage) -> Result<i32, Errno> {
    control.data.as_slice().try_into().map(i32::from_le_bytes).map_err(|_| Errno::EINVAL)
}

/// -1 leaves what is.
fn byte_or(value: i32, known: u8) -> Result<u8, Errno> {
    if value == -1 { Ok(known) } else { u8::try_from(value).map_err(|_| Errno::EINVAL) }
}
