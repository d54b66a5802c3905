//! Options of sockets that see headers (raw(7), icmp(7), RFC 3542).

use alloc::vec::Vec;

use super::{Form, RawSocket};
use crate::Errno;
use crate::net::inet::Protocol;
use crate::net::inet::options::{IP, IPV6};
use crate::net::inet::wire::{ICMP, ICMP_V6};

/// SOL_RAW
const RAW: u32 = 255;
/// SOL_ICMPV6
const RAW_ICMP_V6: u32 = 58;
/// ICMP_FILTER and ICMP6_FILTER
const FILTER: u32 = 1;
/// Bytes of a filter of ICMP, one bit for each of its 32 first types, and of ICMPv6, one for each.
const FILTER_BYTES: usize = 4;
const FILTER_BYTES_V6: usize = 32;
/// IP_HDRINCL and IPV6_HDRINCL
const HEADER_INCLUDED: u32 = 3;
const HEADER_INCLUDED_V6: u32 = 36;
/// IPV6_CHECKSUM
const CHECKSUM: u32 = 7;
/// IPPROTO_RAW
const PLAIN: u8 = 255;

/// What only these sockets have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    /// Programs write headers themselves.
    pub header_included: bool,
    /// A bit for each type of message that is not wanted.
    filter: [u8; FILTER_BYTES_V6],
    /// Where the kernel writes checksums in version 6.
    pub checksum_at: Option<usize>,
}

impl Own {
    pub fn new(form: Form) -> Self {
        let header_included = form == Form::Raw(PLAIN);
        Self { header_included, filter: [0; FILTER_BYTES_V6], checksum_at: None }
    }

    /// What the bytes do not reach stays.
    pub fn set_filter(&mut self, bytes: &[u8]) {
        self.filter.iter_mut().zip(bytes).for_each(|(own, byte)| *own = *byte);
    }

    /// Whether a message of a type is not wanted.
    pub fn filters(&self, kind: u8) -> bool {
        self.filter[usize::from(kind / 8)] >> (kind % 8) & 1 == 1
    }
}

impl RawSocket {
    pub(super) fn own_structure_len(&self, level: u32, name: u32) -> Option<usize> {
        match (level, name, self.form) {
            (RAW, FILTER, Form::Raw(ICMP)) if self.is_v4() => Some(FILTER_BYTES),
            (RAW_ICMP_V6, FILTER, Form::Raw(ICMP_V6)) if !self.is_v4() => Some(FILTER_BYTES_V6),
            _ => None,
        }
    }

    pub(super) fn own_structure(&self, level: u32, name: u32) -> Option<Vec<u8>> {
        let len = self.own_structure_len(level, name)?;
        Some(self.own.lock().filter[..len].to_vec())
    }

    pub(super) fn get_option(&self, level: u32, name: u32) -> Result<i32, Errno> {
        let own = *self.own.lock();
        match (level, name) {
            (IP, HEADER_INCLUDED) if self.has_header_option(level) => Ok(own.header_included.into()),
            (IPV6 | RAW, CHECKSUM) if self.has_checksum_option() => {
                Ok(own.checksum_at.and_then(|at| i32::try_from(at).ok()).unwrap_or(-1))
            }
            // Only IPv4 tells a level that is not its own from an option that it does not know.
            (RAW, _) => Err(if self.is_v4() { Errno::EOPNOTSUPP } else { Errno::ENOPROTOOPT }),
            _ => self.options.lock().get(self.family, Protocol::Other, level, name),
        }
    }

    pub(super) fn change_option(&self, level: u32, name: u32, value: i32) -> Result<(), Errno> {
        match (level, name) {
            (IP, HEADER_INCLUDED) if self.has_header_option(level) => {
                self.own.lock().header_included = value != 0;
                Ok(())
            }
            // Headers of version 6 are the kernel's alone.
            (IPV6, HEADER_INCLUDED_V6) => Err(Errno::ENOPROTOOPT),
            (IPV6 | RAW, CHECKSUM) if self.has_checksum_option() => self.set_checksum(value),
            (RAW, _) => Err(if self.is_v4() { Errno::EOPNOTSUPP } else { Errno::ENOPROTOOPT }),
            _ => self.options.lock().set(self.family, Protocol::Other, level, name, value),
        }
    }

    fn has_header_option(&self, level: u32) -> bool {
        level == IP && self.is_v4() && self.form != Form::Ping
    }

    fn has_checksum_option(&self) -> bool {
        !self.is_v4() && self.form != Form::Ping
    }

    /// ICMPv6 has its own rule (RFC 3542, 3.1).
    fn set_checksum(&self, value: i32) -> Result<(), Errno> {
        if self.form == Form::Raw(ICMP_V6) || value > 0 && value % 2 != 0 {
            return Err(Errno::EINVAL);
        }
        self.own.lock().checksum_at = usize::try_from(value).ok();
        Ok(())
    }
}
