//! Which socket has which port.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use super::{InetSocket, Protocol};
use crate::Errno;
use crate::net::{Endpoint, Ip};

/// `net.ipv4.ip_local_port_range`
const EPHEMERAL: core::ops::RangeInclusive<u16> = 32_768..=60_999;

/// A port of a socket's.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub socket: Weak<InetSocket>,
    pub ip: Ip,
    /// `::` does not stand for addresses of version 4 (IPV6_V6ONLY).
    pub only_v6: bool,
    pub reuse_address: bool,
    pub reuse_port: bool,
    pub is_listening: bool,
}

/// The ports of all protocols.
#[derive(Debug, Default)]
pub struct Ports {
    claims: BTreeMap<(Protocol, u16), Vec<Claim>>,
    next: u16,
    turn: usize,
}

impl Claim {
    /// Whether what is sent to an address comes here.
    fn covers(&self, ip: Ip) -> bool {
        let is_v4 = ip.to_v4().is_some();
        match self.ip {
            Ip::ANY_V4 => is_v4,
            Ip::ANY => !is_v4 || !self.only_v6,
            own => own == ip,
        }
    }

    /// Whether both can have one port (socket(7), SO_REUSEADDR and SO_REUSEPORT).
    fn goes_with(&self, other: &Self, protocol: Protocol) -> bool {
        if !self.covers(other.ip) && !other.covers(self.ip) || self.reuse_port && other.reuse_port {
            return true;
        }
        let quiet = protocol != Protocol::Tcp || !self.is_listening && !other.is_listening;
        self.reuse_address && other.reuse_address && quiet
    }
}

impl Ports {
    fn at(&mut self, protocol: Protocol, port: u16) -> &mut Vec<Claim> {
        let claims = self.claims.entry((protocol, port)).or_default();
        claims.retain(|claim| claim.socket.strong_count() > 0);
        claims
    }

    /// Claims a port; 0 for any that is free. `EADDRINUSE` when it is not.
    pub(super) fn claim(&mut self, protocol: Protocol, port: u16, claim: Claim) -> Result<u16, Errno> {
        if port != 0 {
            let claims = self.at(protocol, port);
            if !claims.iter().all(|other| claim.goes_with(other, protocol)) {
                return Err(Errno::EADDRINUSE);
            }
            claims.push(claim);
            return Ok(port);
        }
        for _ in EPHEMERAL {
            self.next = if EPHEMERAL.contains(&(self.next + 1)) { self.next + 1 } else { *EPHEMERAL.start() };
            let port = self.next;
            let claims = self.at(protocol, port);
            if claims.is_empty() {
                claims.push(claim);
                return Ok(port);
            }
        }
        Err(Errno::EADDRINUSE)
    }

    /// Marks a socket as listening, unless another listens in its place.
    pub(super) fn listen(&mut self, port: u16, socket: &Weak<InetSocket>) -> Result<(), Errno> {
        let claims = self.at(Protocol::Tcp, port);
        let at = claims.iter().position(|claim| claim.socket.ptr_eq(socket)).ok_or(Errno::EINVAL)?;
        let mine = Claim { is_listening: true, ..claims[at].clone() };
        let mut others = claims.iter().enumerate().filter(|(other, claim)| *other != at && claim.is_listening);
        if others.any(|(_, other)| !mine.goes_with(other, Protocol::Tcp)) {
            return Err(Errno::EADDRINUSE);
        }
        claims[at] = mine;
        Ok(())
    }

    /// Frees the port of a socket that goes.
    pub(super) fn release(&mut self, protocol: Protocol, port: u16, socket: *const InetSocket) {
        let key = (protocol, port);
        if let Some(claims) = self.claims.get_mut(&key) {
            claims.retain(|claim| !core::ptr::eq(claim.socket.as_ptr(), socket));
            if claims.is_empty() {
                self.claims.remove(&key);
            }
        }
    }

    /// The sockets that take what is sent to a group: all that have its port.
    pub(super) fn find_all(&mut self, protocol: Protocol, to: Endpoint) -> Vec<Arc<InetSocket>> {
        let covering = self.at(protocol, to.port).iter().filter(|claim| claim.covers(to.ip));
        covering.filter_map(|claim| claim.socket.upgrade()).collect()
    }

    /// The sockets that may take what is sent to an endpoint: those of the most exact address, in turns.
    pub(super) fn find(&mut self, protocol: Protocol, to: Endpoint) -> Vec<Arc<InetSocket>> {
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn;
        let claims = self.at(protocol, to.port);
        let matching = |claim: &&Claim| claim.covers(to.ip) && (protocol != Protocol::Tcp || claim.is_listening);
        let exact = claims.iter().any(|claim| matching(&claim) && claim.ip == to.ip);
        let chosen = claims.iter().filter(matching).filter(|claim| !exact || claim.ip == to.ip);
        let mut found: Vec<_> = chosen.filter_map(|claim| claim.socket.upgrade()).collect();
        if !found.is_empty() {
            let by = turn % found.len();
            found.rotate_left(by);
        }
        found
    }
}
