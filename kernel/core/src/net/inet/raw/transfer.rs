//! How packets leave and reach sockets that see headers.

use alloc::vec::Vec;

use super::{Form, RawSocket};
use crate::Errno;
use crate::io::Source;
use crate::net::inet::icmp;
use crate::net::inet::wire::{Head, ICMP, ICMP_V6, IpPacket, PACKET_BYTES_MAX, pseudo_checksum};
use crate::net::inet::{Packet, loopback_of};
use crate::net::{Address, Endpoint, Ip, Outgoing, Parcel};

impl RawSocket {
    /// Where an address leads: all of the machine's own lead back.
    pub(super) fn route(&self, address: &Address) -> Result<Endpoint, Errno> {
        let Endpoint { ip, port } = self.endpoint(address)?;
        let ip = match ip {
            Ip::ANY => Ip::LOOPBACK,
            Ip::ANY_V4 => Ip::LOOPBACK_V4,
            ip if !self.is_v4() && ip.to_v4().is_some() => return Err(Errno::EINVAL),
            ip if ip.is_local() => ip,
            _ => return Err(Errno::ENETUNREACH),
        };
        Ok(Endpoint { ip, port })
    }

    pub(super) fn send_packet(&self, source: &mut dyn Source, message: &Outgoing<'_>) -> Result<usize, Errno> {
        self.common.check_error()?;
        let len = source.remaining();
        if len > PACKET_BYTES_MAX {
            return Err(Errno::EMSGSIZE);
        }
        let to = self.destination(message)?;
        let mut data = alloc::vec![0; len];
        if source.take(&mut data)? < len {
            return Err(Errno::EFAULT);
        }
        let packet = self.packet(to, data, message)?;
        self.net().transmit(packet);
        Ok(len)
    }

    fn destination(&self, message: &Outgoing<'_>) -> Result<Ip, Errno> {
        let to = match message.to {
            Some(Address::Unspecified) if self.is_v4() => return Err(Errno::EINVAL),
            Some(address) => self.route(address)?,
            None => self.state.lock().remote.ok_or(Errno::EDESTADDRREQ)?,
        };
        // Version 6 wants the protocol or nothing there.
        match self.form {
            Form::Raw(protocol)
                if !self.is_v4() && message.to.is_some() && ![0, protocol.into()].contains(&to.port) =>
            {
                Err(Errno::EINVAL)
            }
            _ => Ok(to.ip),
        }
    }

    fn packet(&self, to: Ip, mut data: Vec<u8>, message: &Outgoing<'_>) -> Result<IpPacket, Errno> {
        let local = self.state.lock().local;
        let from = if local.is_any() { loopback_of(to) } else { local };
        let own = *self.own.lock();
        if own.header_included && self.is_v4() {
            return IpPacket::of_program(data, from);
        }
        let packet = Packet::outgoing(&self.options.lock(), self.family, to, message.controls)?;
        let head = Head { from, to, protocol: self.number(), hops: packet.hops(), class: packet.class() };
        match self.form {
            Form::Ping => self.number_echo(&head, &mut data)?,
            Form::Raw(ICMP_V6) if !self.is_v4() => {
                if data.len() < 4 {
                    return Err(Errno::EINVAL);
                }
                icmp::seal(&head, &mut data);
            }
            Form::Raw(_) => {
                if let Some(at) = own.checksum_at.filter(|_| !self.is_v4()) {
                    let field = data.get_mut(at..at + 2).ok_or(Errno::EINVAL)?;
                    field.fill(0);
                    let sum = pseudo_checksum(&head, &data).to_be_bytes();
                    data[at..at + 2].copy_from_slice(&sum);
                }
            }
        }
        if self.is_v4() && data.len() + 20 > PACKET_BYTES_MAX {
            return Err(Errno::EMSGSIZE);
        }
        Ok(IpPacket::new(head, &data))
    }

    /// An echo request gets the socket's number and a checksum; nothing else may be sent.
    fn number_echo(&self, head: &Head, data: &mut [u8]) -> Result<(), Errno> {
        if data.len() < icmp::HEADER_BYTES || data[..2] != [icmp::echo_request(self.is_v4()), 0] {
            return Err(Errno::EINVAL);
        }
        if self.state.lock().number == 0 {
            self.claim(0)?;
        }
        let number = self.state.lock().number.to_be_bytes();
        data[4..6].copy_from_slice(&number);
        icmp::seal(head, data);
        Ok(())
    }

    /// Takes a packet in, if it is one that the socket sees; says whether it is. One that has no room is lost.
    pub(in crate::net) fn hear(&self, packet: &IpPacket) -> bool {
        let head = packet.head();
        if packet.is_v4() != self.is_v4() || head.protocol != self.number() || !self.covers(head) {
            return false;
        }
        let is_wanted = match self.form {
            Form::Ping => icmp::replied(packet).is_some_and(|number| number == self.state.lock().number),
            Form::Raw(ICMP | ICMP_V6) => packet.payload().first().is_some_and(|kind| !self.own.lock().filters(*kind)),
            Form::Raw(_) => true,
        };
        if is_wanted {
            self.take_in(packet);
        }
        is_wanted
    }

    fn covers(&self, head: &Head) -> bool {
        let state = self.state.lock();
        let from_peer = state.remote.is_none_or(|remote| remote.ip == head.from);
        from_peer && (state.local.is_any() || state.local == head.to)
    }

    /// Sockets of version 4 see the header as well.
    fn take_in(&self, packet: &IpPacket) {
        let head = packet.head();
        let bytes = if self.form != Form::Ping && self.is_v4() { packet.bytes() } else { packet.payload() };
        let from = self.address(Endpoint { ip: head.from, port: 0 });
        let packet = Packet::received(head.to, head.hops, head.class);
        let parcel = Parcel { from: Some(from), packet: Some(packet), ..Parcel::default() };
        let _lost = self.inbox.put(&mut &*bytes, parcel, &self.common.queue);
    }
}
