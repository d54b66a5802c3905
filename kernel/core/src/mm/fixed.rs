//! Memory that shows a file which never changes, and that was never writable: the constants of programs. The kernel has
//! such a file mapped itself, so it reads there what applications point to (the paths in their code, the empty one that
//! their C library passes to fstat(2)) without asking the host.

use alloc::sync::Arc;

use crate::platform::Blob;

/// Where a file's bytes lie in a blob.
#[derive(Clone, Debug)]
pub struct Fixed {
    blob: Arc<dyn Blob>,
    /// What an offset in the file is less than one in the blob; it wraps.
    ahead: u64,
}

impl Fixed {
    /// What lies at `position` in the file is at `offset` in the blob, and so on.
    pub fn new(blob: &Arc<dyn Blob>, position: u64, offset: u64) -> Self {
        Self { blob: blob.clone(), ahead: offset.wrapping_sub(position) }
    }

    /// Fills the buffer from an offset in the file on; false where the blob ends before.
    pub(super) fn read(&self, position: u64, buffer: &mut [u8]) -> bool {
        let start = usize::try_from(position.wrapping_add(self.ahead)).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(buffer.len())?));
        let bytes = range.and_then(|range| self.blob.bytes().get(range));
        bytes.inspect(|bytes| buffer.copy_from_slice(bytes)).is_some()
    }
}

impl PartialEq for Fixed {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.blob, &other.blob) && self.ahead == other.ahead
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::Errno;
    use crate::mm::{MapPiece, MapRequest, MappedName, MemoryLimits, PAGE, Source};
    use crate::platform::{Backing, BlobId, HostCall, Protection, Sharing};
    use crate::testing::World;

    const MPROTECT: u32 = 10;
    const STRING: &[u8] = b"/etc/passwd\0";

    /// Three pages, of which a file shows the last two.
    #[derive(Debug)]
    struct Constants(Vec<u8>);

    impl Constants {
        fn blob() -> Arc<dyn Blob> {
            let mut bytes = alloc::vec![b'-'; 3 * 4096];
            bytes[5000..5000 + STRING.len()].copy_from_slice(STRING);
            Arc::new(Self(bytes))
        }
    }

    impl Blob for Constants {
        fn id(&self) -> BlobId {
            BlobId(0)
        }

        fn bytes(&self) -> &[u8] {
            &self.0
        }
    }

    #[derive(Debug)]
    struct Program(Arc<dyn Blob>);

    impl Source for Program {
        fn map(&self, offset: u64, len: u64, sharing: Sharing) -> Result<Vec<MapPiece>, Errno> {
            let backing = Backing::Blob { blob: self.0.id(), offset: offset + PAGE, sharing };
            let fixed = Some(Fixed::new(&self.0, offset, offset + PAGE));
            Ok(alloc::vec![MapPiece { len, backing, keep: None, fixed }])
        }

        fn name(&self) -> MappedName {
            MappedName::default()
        }

        fn sync(&self, _: u64, _: u64) -> Result<(), Errno> {
            Ok(())
        }
    }

    /// Maps the program's two pages. The fake host has no layers: what is asked of it about them fails.
    fn map(world: &World, protection: Protection) -> u64 {
        let mut request = MapRequest::anonymous(2 * PAGE, protection);
        request.source = Some((Arc::new(Program(Constants::blob())), 0));
        let change = world.task.memory().map(world.task.tid(), &request, &MemoryLimits::NONE).unwrap();
        change.calls.iter().for_each(|call| world.thread.space().apply(call).unwrap());
        change.value
    }

    fn path(world: &World, at: u64) -> Result<Vec<u8>, Errno> {
        world.task.memory().read_path(at + 5000 - PAGE)
    }

    #[test]
    fn constants_are_read_from_their_file() {
        let world = World::new();
        let at = map(&world, Protection::READ);
        assert_eq!(path(&world, at), Ok(b"/etc/passwd".to_vec()));
        assert_eq!(world.task.memory().read_vec(at + 2 * PAGE - 4, 4).unwrap(), b"----");
        assert_eq!(world.task.memory().read_vec(at + 2 * PAGE - 4, 8), Err(Errno::EFAULT), "the mapping ends before");
    }

    /// mprotect(2), which the host does itself.
    fn protect(world: &World, at: u64, len: u64, protection: Protection) {
        let call = HostCall::Protect { address: at, len, protection };
        world.thread.native(MPROTECT, &[at, len, protection.bits().into()], &call);
    }

    #[test]
    fn what_was_ever_writable_is_not() {
        let world = World::new();
        let (memory, both) = (world.task.memory(), Protection::READ | Protection::WRITE);
        let at = map(&world, both);
        assert_eq!(path(&world, at), Err(Errno::EFAULT), "the host was asked");
        let at = map(&world, Protection::READ);
        protect(&world, at, PAGE, both);
        assert_eq!(path(&world, at), Err(Errno::EFAULT));
        assert_eq!(memory.read_vec(at + PAGE, 4).unwrap(), b"----", "the other page never was");
        protect(&world, at, PAGE, Protection::READ);
        assert_eq!(path(&world, at), Err(Errno::EFAULT));
        assert_eq!(memory.read_vec(at + PAGE, 4).unwrap(), b"----", "and does not become one with the first");
    }

    #[test]
    fn what_cannot_be_read_is_not() {
        let world = World::new();
        let at = map(&world, Protection::READ);
        protect(&world, at, 2 * PAGE, Protection::empty());
        assert_eq!(path(&world, at), Err(Errno::EFAULT));
        protect(&world, at, 2 * PAGE, Protection::READ);
        assert_eq!(path(&world, at), Ok(b"/etc/passwd".to_vec()));
    }
}
