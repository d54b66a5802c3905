//! Fewer host calls for the same mappings. The parts of a program follow each other in its file as in memory, with one
//! access after the other: they are mapped as one, and then what differs gets its own access.

use alloc::vec::Vec;

use crate::platform::{Backing, HostCall, Protection, Sharing};

/// A private mapping of a file that does not change.
#[derive(Clone, Copy)]
struct Part {
    address: u64,
    len: u64,
    protection: Protection,
    backing: Backing,
}

impl Part {
    fn of(call: &HostCall) -> Option<Self> {
        match *call {
            HostCall::Map {
                address,
                len,
                protection,
                backing: backing @ Backing::Blob { sharing: Sharing::Private, .. },
            } => Some(Self { address, len, protection, backing }),
            _ => None,
        }
    }

    fn end(&self) -> u64 {
        self.address + self.len
    }

    /// Whether another one goes on where this one ends, in memory and in the file.
    fn goes_on(&self, next: &Self) -> bool {
        match (self.backing, next.backing) {
            (Backing::Blob { blob, offset, .. }, Backing::Blob { blob: other, offset: then, .. }) => {
                blob == other && offset + self.len == then && self.end() == next.address
            }
            _ => false,
        }
    }
}

/// The same with fewer calls, if there is a way.
pub(super) fn joined(calls: &[HostCall]) -> Vec<HostCall> {
    let mut joined = Vec::with_capacity(calls.len());
    let mut rest = calls;
    while let Some(first) = rest.first() {
        let parts = row(rest);
        match parts.len() {
            0 | 1 => joined.push(first.clone()),
            _ => joined.extend(join(&parts)),
        }
        rest = &rest[parts.len().max(1)..];
    }
    joined
}

/// The parts at the beginning that follow each other.
fn row(calls: &[HostCall]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for part in calls.iter().map_while(Part::of) {
        if parts.last().is_some_and(|last| !last.goes_on(&part)) {
            break;
        }
        parts.push(part);
    }
    parts
}

fn join(parts: &[Part]) -> Vec<HostCall> {
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    let protection = first.protection;
    let whole =
        HostCall::Map { address: first.address, len: last.end() - first.address, protection, backing: first.backing };
    let others = parts.iter().filter(|part| part.protection != protection);
    let protect = |part: &Part| HostCall::Protect { address: part.address, len: part.len, protection: part.protection };
    let few: Vec<HostCall> = core::iter::once(whole).chain(others.map(protect)).collect();
    let each = |part: &Part| HostCall::Map {
        address: part.address,
        len: part.len,
        protection: part.protection,
        backing: part.backing,
    };
    if few.len() < parts.len() { few } else { parts.iter().map(each).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::BlobId;

    const READ: Protection = Protection::READ;
    const CODE: Protection = Protection::READ.union(Protection::EXEC);
    const DATA: Protection = Protection::READ.union(Protection::WRITE);

    fn map(address: u64, len: u64, protection: Protection, offset: u64) -> HostCall {
        let backing = Backing::Blob { blob: BlobId(1), offset, sharing: Sharing::Private };
        HostCall::Map { address, len, protection, backing }
    }

    fn protect(address: u64, len: u64, protection: Protection) -> HostCall {
        HostCall::Protect { address, len, protection }
    }

    #[track_caller]
    fn check(calls: &[HostCall], expected: &[HostCall]) {
        assert_eq!(joined(calls), expected);
    }

    #[test]
    fn parts_in_a_row_are_mapped_as_one() {
        let zeros = HostCall::Zero { address: 0x8f00, len: 0x100 };
        check(
            &[
                map(0x1000, 0x1000, READ, 0x5000),
                map(0x2000, 0x3000, CODE, 0x6000),
                map(0x5000, 0x1000, READ, 0x9000),
                map(0x6000, 0x3000, DATA, 0xa000),
                zeros.clone(),
                map(0x1_0000, 0x1000, READ, 0x5000),
            ],
            &[
                map(0x1000, 0x8000, READ, 0x5000),
                protect(0x2000, 0x3000, CODE),
                protect(0x6000, 0x3000, DATA),
                zeros,
                map(0x1_0000, 0x1000, READ, 0x5000),
            ],
        );
    }

    #[test]
    fn what_saves_nothing_or_lies_apart_stays() {
        let two = [map(0x1000, 0x1000, CODE, 0), map(0x2000, 0x1000, DATA, 0x1000)];
        check(&two, &two);
        let gap = [map(0x1000, 0x1000, READ, 0), map(0x3000, 0x1000, CODE, 0x1000), map(0x4000, 0x1000, READ, 0x2000)];
        check(&gap, &gap);
        let overlap = [map(0x1000, 0x1000, READ, 0), map(0x2000, 0x1000, CODE, 0), map(0x3000, 0x1000, READ, 0x1000)];
        check(&overlap, &overlap);
        check(&[], &[]);
    }
}
