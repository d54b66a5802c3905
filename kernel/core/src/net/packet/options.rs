//! Options of packet sockets (packet(7)). Rings that programs map are refused: they then read frame by frame.

use crate::Errno;

/// SOL_PACKET
pub(super) const LEVEL: u32 = 263;
/// PACKET_STATISTICS
pub(super) const STATISTICS: u32 = 6;
/// PACKET_ADD_MEMBERSHIP and PACKET_DROP_MEMBERSHIP, and the bytes of `struct packet_mreq`.
const ADD_MEMBERSHIP: u32 = 1;
const DROP_MEMBERSHIP: u32 = 2;
const MEMBERSHIP_BYTES: usize = 16;
/// PACKET_IGNORE_OUTGOING
const IGNORE_OUTGOING: u32 = 23;
/// What concerns rings, offload and what is told beside a frame: PACKET_COPY_THRESH, PACKET_AUXDATA, PACKET_ORIGDEV,
/// PACKET_VERSION, PACKET_RESERVE, PACKET_LOSS, PACKET_VNET_HDR, PACKET_TIMESTAMP, PACKET_FANOUT, PACKET_QDISC_BYPASS
const OFF: [u32; 10] = [7, 8, 9, 10, 12, 14, 15, 17, 18, 20];

/// What was chosen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Own {
    /// Frames on their way out are not wanted.
    pub ignores_outgoing: bool,
    memberships: u32,
}

/// How many bytes an option has that is more than an integer.
pub(super) fn structure_len(level: u32, name: u32) -> Option<usize> {
    ((level == LEVEL) && [ADD_MEMBERSHIP, DROP_MEMBERSHIP].contains(&name)).then_some(MEMBERSHIP_BYTES)
}

impl Own {
    pub fn get(self, level: u32, name: u32) -> Result<i32, Errno> {
        match name {
            _ if level != LEVEL => Err(Errno::ENOPROTOOPT),
            IGNORE_OUTGOING => Ok(self.ignores_outgoing.into()),
            name if OFF.contains(&name) => Ok(0),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    /// What is off cannot be put on.
    pub fn set(&mut self, level: u32, name: u32, value: i32) -> Result<(), Errno> {
        match (name, value) {
            _ if level != LEVEL => Err(Errno::ENOPROTOOPT),
            (IGNORE_OUTGOING, 0 | 1) => {
                self.ignores_outgoing = value == 1;
                Ok(())
            }
            (IGNORE_OUTGOING, _) => Err(Errno::EINVAL),
            (name, 0) if OFF.contains(&name) => Ok(()),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    /// The interface takes everything anyway.
    pub fn change_membership(&mut self, name: u32, request: &[u8]) -> Result<(), Errno> {
        let interface = request.first_chunk().filter(|_| request.len() == MEMBERSHIP_BYTES).ok_or(Errno::EINVAL)?;
        match (i32::from_le_bytes(*interface), name) {
            (super::INTERFACE, ADD_MEMBERSHIP) => self.memberships += 1,
            (_, ADD_MEMBERSHIP) => return Err(Errno::ENODEV),
            _ => self.memberships = self.memberships.checked_sub(1).ok_or(Errno::EADDRNOTAVAIL)?,
        }
        Ok(())
    }
}
