//! Marks in guest memory, in pages that are the firmware's: of the snapshot that the memory belongs to, and of the
//! guest's generation.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

use crate::memory::{Memory, layout};

const LEN: usize = 16;
/// How ACPI's root pointer begins (ACPI 6.5, 5.2.5.3): every guest has one from its boot on.
const ROOT_POINTER: [u8; 8] = *b"RSD PTR ";

/// Which snapshot a memory belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag([u8; LEN]);

/// Why a memory does not belong to a state.
#[derive(Debug, thiserror::Error)]
pub enum TagError {
    /// Only what changed is there.
    #[error("the memory has not even what every guest boots with: a diff has to be merged onto its base first")]
    Unmerged,
    /// Of another moment or another guest.
    #[error("the memory belongs to another snapshot than the state")]
    Other,
    /// Guest memory cannot be read.
    #[error("the memory cannot be read")]
    Memory(#[from] GuestMemoryError),
}

impl Tag {
    /// Marks `memory` as that of a new snapshot.
    pub fn put(memory: &Memory) -> io::Result<Self> {
        let tag = Tag(random()?);
        memory.write_slice(&tag.0, GuestAddress(layout::SNAPSHOT_TAG)).map_err(io::Error::other)?;
        Ok(tag)
    }

    /// Of which snapshot a memory file is; none of a file that has nothing in its place.
    pub fn of_file(file: &File) -> io::Result<Option<Self>> {
        let mut tag = [0; LEN];
        // Memory begins at the guest's first address, and so does its file.
        file.read_exact_at(&mut tag, layout::SNAPSHOT_TAG)?;
        Ok((tag != [0; LEN]).then_some(Tag(tag)))
    }

    /// Whether `memory` is that of this snapshot, as far as its marks say.
    pub fn check(self, memory: &Memory) -> Result<(), TagError> {
        if memory.read_obj::<[u8; 8]>(GuestAddress(layout::RSDP))? != ROOT_POINTER {
            return Err(TagError::Unmerged);
        }
        match memory.read_obj::<[u8; LEN]>(GuestAddress(layout::SNAPSHOT_TAG))? == self.0 {
            true => Ok(()),
            false => Err(TagError::Other),
        }
    }
}

/// Gives the guest an identifier that no other guest has, and this one never had (VMGenID).
pub fn renew_generation(memory: &Memory) -> io::Result<()> {
    memory.write_slice(&random()?, GuestAddress(layout::GENERATION_ID)).map_err(io::Error::other)
}

/// As good as unique.
pub fn random() -> io::Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    // Up to 256 bytes come whole (random(7)).
    match getrandom(&mut bytes, GetRandomFlags::empty())? {
        LEN => Ok(bytes),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::DirtyLog;
    use crate::memory;

    fn memory() -> Memory {
        let memory = memory::anonymous(1, DirtyLog::Off).expect("memory");
        memory.write_slice(&ROOT_POINTER, GuestAddress(layout::RSDP)).expect("inside");
        memory
    }

    #[test]
    fn memory_belongs_to_its_latest_snapshot_alone() {
        let memory = memory();
        let first = Tag::put(&memory).expect("random bytes");
        assert!(first.check(&memory).is_ok());
        let second = Tag::put(&memory).expect("random bytes");
        assert!(matches!(first.check(&memory), Err(TagError::Other)));
        assert!(second.check(&memory).is_ok());
    }

    #[test]
    fn a_diff_alone_is_no_memory() {
        let memory = memory();
        let tag = Tag::put(&memory).expect("random bytes");
        memory.write_obj(0_u64, GuestAddress(layout::RSDP)).expect("inside");
        assert!(matches!(tag.check(&memory), Err(TagError::Unmerged)));
    }

    #[test]
    fn every_generation_is_another() {
        let memory = memory();
        let generation = || {
            renew_generation(&memory).expect("random bytes");
            memory.read_obj::<[u8; LEN]>(GuestAddress(layout::GENERATION_ID)).expect("inside")
        };
        assert_ne!(generation(), generation());
    }
}
