//! Multicast of version 4 (ip(7)): groups that sockets join on the loopback interface, and datagrams to them.

use alloc::vec::Vec;

use super::{InetSocket, options};
use crate::Errno;
use crate::net::Ip;

/// IP_MULTICAST_IF, IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP
pub(super) const INTERFACE: u32 = 32;
const JOIN: u32 = 35;
const LEAVE: u32 = 36;
/// IP_MULTICAST_ALL
const ALL: u32 = 49;
/// Bytes of `struct ip_mreqn`, and of `struct ip_mreq`, which lacks the number of the interface.
const REQUEST_BYTES: usize = 12;
const SHORT_REQUEST_BYTES: usize = 8;
/// The interface: `lo`.
const NUMBER: i32 = 1;
/// All hosts: the interface is always in it.
const HOSTS: [u8; 4] = [224, 0, 0, 1];

/// Who joined what: a group stands here once for each socket that is in it.
#[derive(Debug, Default)]
pub struct Members(Vec<[u8; 4]>);

/// What a socket has to do with groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    joined: Vec<[u8; 4]>,
    /// What it sends leaves by the interface, which no route leads to.
    has_interface: bool,
    /// The address that IP_MULTICAST_IF was given.
    address: [u8; 4],
}

/// How many bytes an option about groups has.
pub(super) fn structure_len(level: u32, name: u32) -> Option<usize> {
    (level == options::IP && [INTERFACE, JOIN, LEAVE].contains(&name)).then_some(REQUEST_BYTES)
}

impl InetSocket {
    /// The address that datagrams to groups leave by.
    pub(super) fn group_interface(&self) -> Vec<u8> {
        self.groups.lock().address.to_vec()
    }

    /// Where datagrams to groups come from: no address is chosen for who names no more than the interface.
    pub(super) fn group_source(&self) -> Ip {
        Ip::v4(self.groups.lock().address)
    }

    /// Changes an option about groups.
    pub(super) fn set_groups(&self, name: u32, bytes: &[u8]) -> Result<(), Errno> {
        match (name, bytes.len()) {
            (INTERFACE, 4..) => self.set_group_interface(bytes),
            (JOIN | LEAVE, SHORT_REQUEST_BYTES..) => {
                let group = word(bytes, 0);
                if !(224..240).contains(&group[0]) {
                    return Err(if name == JOIN { Errno::EINVAL } else { Errno::EADDRNOTAVAIL });
                }
                let is_ours = interface(number(bytes), word(bytes, 4)).ok_or(Errno::ENODEV)?;
                // Without an interface a route would have to lead to one.
                if !is_ours && name == JOIN {
                    return Err(Errno::ENODEV);
                }
                if name == JOIN { self.join(group) } else { self.leave(group) }
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn set_group_interface(&self, bytes: &[u8]) -> Result<(), Errno> {
        let address = word(bytes, if bytes.len() >= SHORT_REQUEST_BYTES { 4 } else { 0 });
        let has_interface = interface(number(bytes), address).ok_or(Errno::EADDRNOTAVAIL)?;
        let mut groups = self.groups.lock();
        (groups.has_interface, groups.address) = (has_interface, address);
        Ok(())
    }

    fn join(&self, group: [u8; 4]) -> Result<(), Errno> {
        /// `net.ipv4.igmp_max_memberships`
        const MEMBERSHIPS_MAX: usize = 20;
        let mut groups = self.groups.lock();
        match groups.joined.len() {
            _ if groups.joined.contains(&group) => return Err(Errno::EADDRINUSE),
            MEMBERSHIPS_MAX.. => return Err(Errno::ENOBUFS),
            _ => groups.joined.push(group),
        }
        self.net().members().lock().0.push(group);
        Ok(())
    }

    fn leave(&self, group: [u8; 4]) -> Result<(), Errno> {
        let mut groups = self.groups.lock();
        let at = groups.joined.iter().position(|joined| *joined == group).ok_or(Errno::EADDRNOTAVAIL)?;
        groups.joined.swap_remove(at);
        self.net().members().lock().remove(group);
        Ok(())
    }

    /// Leaves all groups.
    pub(super) fn leave_groups(&self) {
        let joined = core::mem::take(&mut self.groups.lock().joined);
        joined.into_iter().for_each(|group| self.net().members().lock().remove(group));
    }

    /// Whether datagrams to groups have a way out.
    pub(super) fn reaches_groups(&self) -> bool {
        let local = self.state.lock().local.ip;
        local.is_local() || self.common.options.lock().is_bound_to_device || self.groups.lock().has_interface
    }

    /// Whether it wants what is sent to a group (`ip_mc_sf_allow` of Linux).
    pub(super) fn wants(&self, group: [u8; 4]) -> bool {
        self.groups.lock().joined.contains(&group) || self.options.lock().value(options::IP, ALL) != 0
    }
}

impl Members {
    /// Whether datagrams to a group are taken in at all.
    pub(super) fn has(&self, group: [u8; 4]) -> bool {
        group == HOSTS || self.0.contains(&group)
    }

    fn remove(&mut self, group: [u8; 4]) {
        if let Some(at) = self.0.iter().position(|member| *member == group) {
            self.0.swap_remove(at);
        }
    }
}

/// Whether a number and an address mean our interface or none; `None` for those of others.
fn interface(number: i32, address: [u8; 4]) -> Option<bool> {
    match (number, address) {
        (NUMBER, _) | (0, [127, ..]) => Some(true),
        (0, [0, 0, 0, 0]) => Some(false),
        _ => None,
    }
}

fn word(bytes: &[u8], at: usize) -> [u8; 4] {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default()
}

fn number(bytes: &[u8]) -> i32 {
    i32::from_le_bytes(word(bytes, 8))
}
