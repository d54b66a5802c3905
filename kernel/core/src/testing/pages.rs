//! What one fake space has mapped, page by page.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use crate::Errno;
use crate::platform::{Backing, HostCall, Keep, Protection, Sharing};

use super::FakeMachine;

/// The page size.
pub const PAGE: u64 = 4096;
const LEN: usize = 4096;

/// Where a page's bytes are.
#[derive(Clone, Debug)]
enum Content {
    Own(Box<[u8; LEN]>),
    Pool(u64),
    PoolUntilWritten(u64),
    Nothing,
}

#[derive(Clone, Debug)]
struct Page {
    protection: Protection,
    content: Content,
}

/// Pages by address.
#[derive(Clone, Debug, Default)]
pub struct Pages(BTreeMap<u64, Page>);

impl Content {
    fn read(&self, machine: &FakeMachine) -> Option<Box<[u8; LEN]>> {
        let mut bytes = Box::new([0; LEN]);
        match self {
            Content::Own(own) => bytes.clone_from(own),
            Content::Pool(offset) | Content::PoolUntilWritten(offset) => {
                machine.pool().read(*offset, &mut *bytes).ok()?
            }
            Content::Nothing => return None,
        }
        Some(bytes)
    }
}

use crate::platform::Machine as _;

impl Pages {
    /// Does one host call.
    pub fn apply(&mut self, call: &HostCall) -> Result<(), Errno> {
        match *call {
            HostCall::Map { address, len, protection, backing } => self.map(address, len, protection, backing),
            HostCall::Unmap { address, len } => self.take(address, len).clear(),
            HostCall::Protect { address, len, protection } => return self.protect(address, len, protection),
            HostCall::Remap { from, from_len, to, to_len, keep } => self.remap((from, from_len), (to, to_len), keep),
            HostCall::Advise { .. } | HostCall::FutexWake { .. } | HostCall::SetTidAddress { .. } => {}
            HostCall::Fill { .. } | HostCall::Zero { .. } => unreachable!("the space does it"),
        }
        Ok(())
    }

    /// Addresses of mapped pages.
    pub fn addresses(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.keys().copied()
    }

    /// The protection of a page.
    pub fn protection(&self, address: u64) -> Option<Protection> {
        self.0.get(&(address & !(PAGE - 1))).map(|page| page.protection)
    }

    fn range(address: u64, len: u64) -> impl Iterator<Item = u64> {
        assert!(address.is_multiple_of(PAGE) && len.is_multiple_of(PAGE) && len > 0, "{address:#x}+{len:#x}");
        (address..address + len).step_by(LEN)
    }

    fn map(&mut self, address: u64, len: u64, protection: Protection, backing: Backing) {
        for at in Self::range(address, len) {
            let step = at - address;
            let content = match backing {
                Backing::Anonymous => Content::Own(Box::new([0; LEN])),
                Backing::Pool { offset, sharing: Sharing::Shared } => Content::Pool(offset + step),
                Backing::Pool { offset, sharing: Sharing::Private } => Content::PoolUntilWritten(offset + step),
                // No test has layers of an image, or files of a host.
                Backing::Blob { .. } | Backing::File { .. } | Backing::Nothing => Content::Nothing,
            };
            self.0.insert(at, Page { protection, content });
        }
    }

    fn take(&mut self, address: u64, len: u64) -> BTreeMap<u64, Page> {
        let mut middle = self.0.split_off(&address);
        let mut after = middle.split_off(&(address + len));
        self.0.append(&mut after);
        middle
    }

    fn protect(&mut self, address: u64, len: u64, protection: Protection) -> Result<(), Errno> {
        for at in Self::range(address, len) {
            self.0.get_mut(&at).ok_or(Errno::ENOMEM)?.protection = protection;
        }
        Ok(())
    }

    fn remap(&mut self, (from, from_len): (u64, u64), (to, to_len): (u64, u64), keep: Keep) {
        let old = self.take(from, from_len.max(to_len.min(from_len)));
        if keep == Keep::Range {
            for (at, page) in &old {
                self.map(*at, PAGE, page.protection, Backing::Anonymous);
            }
        }
        let protection = old.values().next().expect("something to move").protection;
        if to != from {
            self.take(to, to_len);
        }
        for step in (0..to_len).step_by(LEN) {
            match old.get(&(from + step)) {
                Some(page) => {
                    self.0.insert(to + step, page.clone());
                }
                None => self.map(to + step, PAGE, protection, Backing::Anonymous),
            }
        }
    }

    /// Bytes of the page at this address, if it can be read.
    pub fn read(&self, machine: &FakeMachine, page: u64) -> Option<Box<[u8; LEN]>> {
        let page = self.0.get(&page).filter(|page| !page.protection.is_empty())?;
        page.content.read(machine)
    }

    /// Writes within one page, if it can be written.
    pub fn write(&mut self, machine: &FakeMachine, page: u64, at: usize, bytes: &[u8]) -> Option<()> {
        let page = self.0.get_mut(&page).filter(|page| page.protection.contains(Protection::WRITE))?;
        if let Content::Pool(offset) = page.content {
            return machine.pool().write(offset + at as u64, bytes).ok();
        }
        let mut own = page.content.read(machine)?;
        own[at..at + bytes.len()].copy_from_slice(bytes);
        page.content = Content::Own(own);
        Some(())
    }
}
