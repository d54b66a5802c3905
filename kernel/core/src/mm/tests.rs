//! The calls on the fake machine.

use super::*;
use crate::Errno;
use crate::platform::{Begin, Event, Fault, HostCall, Protection, Sharing, UserThread};
use crate::testing::World;

use alloc::string::ToString as _;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

const MMAP: u32 = 9;
const MPROTECT: u32 = 10;
const MUNMAP: u32 = 11;
const BRK: u32 = 12;
const MREMAP: u32 = 25;
const MADVISE: u32 = 28;
const READ_WRITE: u64 = 3;
const PRIVATE: u64 = 0x22;
const SHARED: u64 = 0x21;
const FIXED: u64 = 0x10;
const NO_FD: u64 = u64::MAX;

fn map(world: &World, address: u64, len: u64, flags: u64) -> Result<u64, Errno> {
    world.thread.trap(MMAP, &[address, len, READ_WRITE, flags, NO_FD, 0])
}

fn unmap_natively(world: &World, address: u64, len: u64) {
    world.thread.native(MUNMAP, &[address, len], &HostCall::Unmap { address, len });
}

fn lines(world: &World) -> Vec<(u64, u64)> {
    world.task.memory().map_lines().into_iter().map(|line| (line.range.start, line.range.end)).collect()
}

#[test]
fn mappings_go_from_the_top_down() {
    let world = World::new();
    let first = map(&world, 0, 100, PRIVATE).unwrap();
    let second = map(&world, 0, PAGE + 1, PRIVATE).unwrap();
    assert_eq!(first - second, 2 * PAGE);
    world.task.memory().write_bytes(second, b"there").unwrap();
    assert_eq!(lines(&world), [(second, first + PAGE)]);
}

#[test]
fn what_mmap_refuses() {
    let world = World::new();
    let try_map = |arguments: [u64; 6]| world.thread.trap(MMAP, &arguments);
    assert_eq!(try_map([0, 0, 3, PRIVATE, NO_FD, 0]), Err(Errno::EINVAL));
    assert_eq!(try_map([0, PAGE, 3, PRIVATE, NO_FD, 1]), Err(Errno::EINVAL));
    assert_eq!(try_map([0, u64::MAX, 3, PRIVATE, NO_FD, 0]), Err(Errno::ENOMEM));
    assert_eq!(try_map([0, PAGE, 3, 0x20, NO_FD, 0]), Err(Errno::EINVAL));
    assert_eq!(try_map([0, PAGE, 3, 0x2, NO_FD, 0]), Err(Errno::EBADF));
    assert_eq!(try_map([0, PAGE, 3, PRIVATE | 0x40000, NO_FD, 0]), Err(Errno::ENOMEM));
    assert_eq!(try_map([0x20_0001, PAGE, 3, PRIVATE | FIXED, NO_FD, 0]), Err(Errno::EINVAL));
    assert_eq!(try_map([PAGE, PAGE, 3, PRIVATE | FIXED, NO_FD, 0]), Err(Errno::EPERM));
    assert_eq!(try_map([1 << 60, PAGE, 3, PRIVATE | FIXED, NO_FD, 0]), Err(Errno::ENOMEM));
    world.kernel.set_memory_limit(1 << 20);
    assert_eq!(try_map([0, 2 << 20, 3, PRIVATE, NO_FD, 0]), Err(Errno::ENOMEM));
    assert!(try_map([0, 2 << 20, 3, PRIVATE | 0x4000, NO_FD, 0]).is_ok());
}

#[test]
fn a_fixed_mapping_replaces_what_is_there() {
    let world = World::new();
    let at = map(&world, 0, 3 * PAGE, PRIVATE).unwrap();
    world.task.memory().write_bytes(at + PAGE, b"old").unwrap();
    let no_replace = 0x10_0000;
    assert_eq!(map(&world, at + PAGE, PAGE, PRIVATE | no_replace), Err(Errno::EEXIST));
    assert_eq!(map(&world, at + PAGE, PAGE, PRIVATE | FIXED), Ok(at + PAGE));
    assert_eq!(world.task.memory().read_vec(at + PAGE, 3).unwrap(), [0; 3]);
}

#[test]
fn freed_addresses_rest_until_the_threads_next_event() {
    let world = World::new();
    let (_, other) = world.spawn(world.task.memory());
    let at = map(&world, 0, PAGE, PRIVATE).unwrap();
    unmap_natively(&world, at, PAGE);
    let beside = other.trap(MMAP, &[0, PAGE, 3, PRIVATE, NO_FD, 0]).unwrap();
    assert_eq!(beside, at - PAGE, "the other thread must not get what the first may not have freed yet");
    world.thread.call(39, &[]).unwrap();
    assert_eq!(other.trap(MMAP, &[0, PAGE, 3, PRIVATE, NO_FD, 0]), Ok(at));
}

#[test]
fn munmap_splits_and_forgives() {
    let world = World::new();
    let at = map(&world, 0, 3 * PAGE, PRIVATE).unwrap();
    unmap_natively(&world, at + PAGE, PAGE);
    assert_eq!(lines(&world), [(at, at + PAGE), (at + 2 * PAGE, at + 3 * PAGE)]);
    assert_eq!(world.thread.call(MUNMAP, &[at + PAGE, PAGE]), Ok(0));
    assert_eq!(world.thread.call(MUNMAP, &[at, 0]), Err(Errno::EINVAL));
    assert_eq!(world.thread.call(MUNMAP, &[at + 1, PAGE]), Err(Errno::EINVAL));
    assert_eq!(world.thread.call(MUNMAP, &[0x7fff_0000_0000 - PAGE, 2 * PAGE]), Err(Errno::EINVAL));
    assert_eq!(world.thread.call(MUNMAP, &[at, u64::MAX]), Err(Errno::EINVAL));
}

#[test]
fn mprotect_stops_at_a_gap() {
    let world = World::new();
    let at = map(&world, 0, 3 * PAGE, PRIVATE).unwrap();
    unmap_natively(&world, at + PAGE, PAGE);
    assert_eq!(world.thread.call(MPROTECT, &[at, 3 * PAGE, 1]), Err(Errno::ENOMEM));
    assert_eq!(world.thread.space().protection(at), Some(Protection::READ));
    assert_eq!(world.thread.space().protection(at + 2 * PAGE), Some(Protection::READ | Protection::WRITE));
    assert_eq!(world.thread.call(MPROTECT, &[at, PAGE, 0x80]), Err(Errno::EINVAL));
    assert_eq!(world.thread.call(MPROTECT, &[at + 1, PAGE, 1]), Err(Errno::EINVAL));
    assert_eq!(world.thread.call(MPROTECT, &[at, 0, 1]), Ok(0));
}

#[test]
fn the_break_moves() {
    let world = World::new();
    world.task.memory().set_layout(0x7000_0000_0000, 0x40_0000);
    let brk = |to| world.thread.trap(BRK, &[to]).unwrap();
    assert_eq!(brk(0), 0x40_0000);
    assert_eq!(brk(0x40_3000), 0x40_3000);
    world.task.memory().write_bytes(0x40_2fff, b"x").unwrap();
    assert_eq!(brk(0x40_0001), 0x40_0001);
    assert_eq!(world.task.memory().write_bytes(0x40_1000, b"x"), Err(Errno::EFAULT));
    map(&world, 0x40_4000, PAGE, PRIVATE | FIXED).unwrap();
    assert_eq!(brk(0x40_5000), 0x40_0001);
    assert_eq!(lines(&world), [(0x40_0000, 0x40_1000), (0x40_4000, 0x40_5000)]);
}

#[test]
fn mremap_moves_content() {
    let world = World::new();
    let memory = world.task.memory();
    let at = map(&world, 0, 2 * PAGE, PRIVATE).unwrap();
    memory.write_bytes(at, b"moved").unwrap();
    // The page above is free only when nothing is mapped there.
    let top = map(&world, at - PAGE, PAGE, PRIVATE | FIXED).unwrap();
    assert_eq!(world.thread.trap(MREMAP, &[top, PAGE, 2 * PAGE, 0]), Err(Errno::ENOMEM));
    let to = world.thread.trap(MREMAP, &[at, 2 * PAGE, 4 * PAGE, 1]).unwrap();
    assert_eq!(memory.read_vec(to, 5).unwrap(), b"moved");
    memory.write_bytes(to + 3 * PAGE, b"grown").unwrap();
    assert_eq!(memory.read_vec(at, 1), Err(Errno::EFAULT));
    assert_eq!(world.thread.trap(MREMAP, &[to, 4 * PAGE, PAGE, 0]), Ok(to));
    assert_eq!(memory.read_vec(to + PAGE, 1), Err(Errno::EFAULT));
    assert_eq!(world.thread.trap(MREMAP, &[to, PAGE, 2 * PAGE, 0]), Ok(to));
    assert_eq!(memory.read_vec(to + PAGE, 5).unwrap(), [0; 5]);
    assert_eq!(world.thread.trap(MREMAP, &[to, PAGE, 0, 0]), Err(Errno::EINVAL));
    // The end of the new range would lie behind 64 bits, below the old one.
    for flags in [0, 1, 5] {
        assert!(world.thread.trap(MREMAP, &[to, PAGE, u64::MAX - to - 7 * PAGE, flags]).is_err());
    }
    assert_eq!(world.thread.trap(MREMAP, &[to, PAGE, 0_u64.wrapping_sub(PAGE), 0]), Err(Errno::ENOMEM));
    assert_eq!(world.thread.trap(MREMAP, &[0x50_0000, PAGE, PAGE, 1]), Err(Errno::EFAULT));
}

#[test]
fn mremap_can_leave_the_old_range() {
    let world = World::new();
    let memory = world.task.memory();
    let at = map(&world, 0, PAGE, PRIVATE).unwrap();
    memory.write_bytes(at, b"kept").unwrap();
    let to = world.thread.trap(MREMAP, &[at, PAGE, PAGE, 5]).unwrap();
    assert_eq!(memory.read_vec(to, 4).unwrap(), b"kept");
    assert_eq!(memory.read_vec(at, 4).unwrap(), [0; 4]);
}

#[test]
fn the_machine_hears_of_what_was_really_unmapped() {
    let world = World::new();
    let unmapped = || world.thread.space().unmapped();
    let at = map(&world, 0, 4 * PAGE, PRIVATE).unwrap();
    assert_eq!(world.thread.call(MUNMAP, &[at - (1 << 30), 1 << 30]), Ok(0));
    assert_eq!(unmapped(), 0);
    unmap_natively(&world, at + PAGE, PAGE);
    assert_eq!(unmapped(), PAGE);
    unmap_natively(&world, at, 4 * PAGE);
    assert_eq!(unmapped(), 4 * PAGE);
    let (zeros, shared) = (map(&world, 0, 2 * PAGE, PRIVATE).unwrap(), map(&world, 0, PAGE, SHARED).unwrap());
    map(&world, zeros, PAGE, PRIVATE | FIXED).unwrap();
    assert_eq!(unmapped(), 5 * PAGE);
    assert_eq!(world.thread.trap(MREMAP, &[zeros, 2 * PAGE, PAGE, 0, 0]), Ok(zeros));
    assert_eq!(unmapped(), 6 * PAGE);
    unmap_natively(&world, shared, PAGE);
    assert_eq!(unmapped(), 6 * PAGE, "shared memory is the pool's");
    let heap = world.thread.trap(BRK, &[0]).unwrap();
    for to in [heap + 3 * PAGE, heap + PAGE] {
        assert_eq!(world.thread.trap(BRK, &[to]), Ok(to));
    }
    assert_eq!(unmapped(), 8 * PAGE);
}

#[test]
fn shared_memory_is_seen_by_the_child_and_given_back() {
    let world = World::new();
    let memory = world.task.memory();
    let at = map(&world, 0, 2 * PAGE, SHARED).unwrap();
    let (child, thread) = fork(&world);
    memory.write_bytes(at, b"both").unwrap();
    assert_eq!(child.read_vec(at, 4).unwrap(), b"both");
    assert_eq!(child.map_lines()[0].name.path, "/dev/zero (deleted)");
    unmap_natively(&world, at, 2 * PAGE);
    drop((child, thread));
    assert_eq!(used(&world), 2 * PAGE, "it rests until the unmapping is known to be done");
    world.thread.call(39, &[]).unwrap();
    assert_eq!(used(&world), 0);
}

fn fork(world: &World) -> (Arc<Memory>, Arc<dyn UserThread>) {
    world.task.memory().fork(&Default::default(), Vec::new(), Begin::AtOnce, world.task.clone()).unwrap()
}

fn used(world: &World) -> u64 {
    world.kernel.machine().pool().used_bytes()
}

#[test]
fn a_shared_mapping_that_grew_has_nothing_behind_its_end() {
    let world = World::new();
    let at = map(&world, 0, PAGE, SHARED).unwrap();
    let to = world.thread.trap(MREMAP, &[at, PAGE, 3 * PAGE, 1]).unwrap();
    world.task.memory().write_bytes(to, b"there").unwrap();
    assert_eq!(world.task.memory().write_bytes(to + PAGE, b"x"), Err(Errno::EFAULT));
    assert!(matches!(resolve(&world, to + PAGE), Resolution::Signal(Fault { signal: 7, code: 2, .. })));
    assert!(matches!(resolve(&world, 0x50_0000), Resolution::Signal(Fault { signal: 11, code: 1, .. })));
    assert_eq!(lines(&world), [(to, to + 3 * PAGE)], "one mapping to its readers");
    assert_eq!(world.thread.call(MPROTECT, &[to, 3 * PAGE, 1]), Ok(0));
    assert_eq!(world.thread.space().protection(to), Some(Protection::READ));
    assert_eq!(world.thread.space().protection(to + PAGE), Some(Protection::empty()));
}

fn resolve(world: &World, address: u64) -> Resolution {
    let fault = Fault { signal: 11, code: 2, address, error_code: 6, trap_number: 14 };
    world.task.memory().resolve(world.task.tid(), &fault, &MemoryLimits::NONE)
}

/// A file that can grow and shrink within one range of the pool.
#[derive(Debug)]
struct Growing {
    range: Arc<PoolRange>,
    bytes: AtomicU64,
    mappers: Arc<Mappers>,
}

impl Growing {
    fn new(world: &World, bytes: u64) -> Arc<Self> {
        let range = PoolRange::allocate(world.kernel.shared_machine(), 8 * PAGE).unwrap();
        Arc::new(Self { range, bytes: AtomicU64::new(bytes), mappers: Arc::default() })
    }

    fn resize(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.mappers.changed();
    }
}

impl Source for Growing {
    fn map(&self, offset: u64, len: u64, sharing: Sharing) -> Result<Vec<MapPiece>, Errno> {
        let end = page_up(self.bytes.load(Ordering::Relaxed)).unwrap();
        let there = end.saturating_sub(offset).min(len);
        let backing = crate::platform::Backing::Pool { offset: self.range.offset() + offset, sharing };
        let inside = MapPiece { len: there, backing, keep: Some(self.range.clone()), fixed: None };
        let beyond = MapPiece { len: len - there, backing: crate::platform::Backing::Nothing, keep: None, fixed: None };
        Ok([inside, beyond].into_iter().filter(|piece| piece.len > 0).collect())
    }

    fn name(&self) -> MappedName {
        MappedName { path: "/growing".to_string(), ..MappedName::default() }
    }

    fn sync(&self, _: u64, _: u64) -> Result<(), Errno> {
        Ok(())
    }

    fn mappers(&self) -> Option<Arc<Mappers>> {
        Some(self.mappers.clone())
    }
}

fn map_growing(world: &World, file: &Arc<Growing>) -> u64 {
    let mut request = MapRequest::anonymous(4 * PAGE, Protection::READ | Protection::WRITE);
    request.sharing = Sharing::Shared;
    request.source = Some((file.clone(), 0));
    let change = world.task.memory().map(world.task.tid(), &request, &MemoryLimits::NONE).unwrap();
    change.calls.iter().for_each(|call| world.thread.space().apply(call).unwrap());
    change.value
}

#[test]
fn mappings_follow_a_file_that_changes_its_length() {
    let world = World::new();
    let memory = world.task.memory();
    let file = Growing::new(&world, 100);
    let at = map_growing(&world, &file);
    memory.write_bytes(at, b"a").unwrap();
    assert_eq!(memory.write_bytes(at + PAGE, b"b"), Err(Errno::EFAULT));
    file.resize(3 * PAGE);
    world.thread.call(39, &[]).unwrap();
    memory.write_bytes(at + PAGE, b"b").unwrap();
    file.resize(PAGE);
    world.thread.call(39, &[]).unwrap();
    assert_eq!(memory.write_bytes(at + PAGE, b"b"), Err(Errno::EFAULT));
    memory.write_bytes(at, b"a").unwrap();
    assert_eq!(lines(&world), [(at, at + 4 * PAGE)]);
}

#[test]
fn pages_that_came_late_are_found_by_a_fault() {
    let world = World::new();
    let file = Growing::new(&world, 100);
    let at = map_growing(&world, &file);
    file.bytes.store(2 * PAGE, Ordering::Relaxed);
    world.thread.raise(Event::Fault(Fault { signal: 11, code: 2, address: at + PAGE, error_code: 4, trap_number: 14 }));
    world.thread.resumed();
    assert_eq!(world.task.memory().read_vec(at + PAGE, 1).unwrap(), [0]);
}

#[test]
fn a_stack_grows_down_to_its_limit() {
    let world = World::new();
    let at = map(&world, 0x50_0000, PAGE, PRIVATE | FIXED | 0x100).unwrap();
    assert!(matches!(resolve(&world, at - 1), Resolution::Retry(_)));
    assert_eq!(lines(&world), [(at - PAGE, at + PAGE)]);
    let limits = MemoryLimits { stack: 3 * PAGE, ..MemoryLimits::NONE };
    let fault = Fault { signal: 11, code: 1, address: at - 4 * PAGE, error_code: 6, trap_number: 14 };
    let resolution = world.task.memory().resolve(world.task.tid(), &fault, &limits);
    assert!(matches!(resolution, Resolution::Signal(_)));
}

#[test]
fn limits_are_met() {
    let world = World::new();
    let memory = world.task.memory();
    let try_map = |len, limits: MemoryLimits| {
        let request = MapRequest::anonymous(len, Protection::READ | Protection::WRITE);
        memory.map(world.task.tid(), &request, &limits).map(drop)
    };
    let space = MemoryLimits { address_space: 4 * PAGE, ..MemoryLimits::NONE };
    assert_eq!(try_map(3 * PAGE, space), Ok(()));
    assert_eq!(try_map(2 * PAGE, space), Err(Errno::ENOMEM));
    let data = MemoryLimits { data: 4 * PAGE, ..MemoryLimits::NONE };
    assert_eq!(try_map(2 * PAGE, data), Err(Errno::ENOMEM));
    let at = memory.map_lines()[0].range.start;
    let locked = MemoryLimits { locked: 2 * PAGE, ..MemoryLimits::NONE };
    assert_eq!(memory.lock(at, 3 * PAGE, VmaFlags::LOCKED, &locked), Err(Errno::ENOMEM));
    assert_eq!(memory.lock(at + 1, PAGE, VmaFlags::LOCKED, &locked), Ok(()));
    assert_eq!(memory.totals().locked, 2 * PAGE);
    assert_eq!(memory.lock(at, PAGE, VmaFlags::LOCKED, &locked), Ok(()), "what is locked already does not count twice");
}

#[test]
fn advice_is_judged() {
    let world = World::new();
    let at = map(&world, 0, PAGE, PRIVATE).unwrap();
    let advise = |what: u64| world.thread.call(MADVISE, &[at, PAGE, what]);
    let nothing = HostCall::Advise { address: at, len: PAGE, advice: crate::platform::Advice(4) };
    world.thread.native(MADVISE, &[at, PAGE, 4], &nothing);
    assert_eq!(advise(12), Err(Errno::EINVAL));
    assert_eq!(advise(100), Err(Errno::EPERM));
    assert_eq!(advise(9), Err(Errno::EINVAL));
    world.thread.native(MADVISE, &[at, PAGE, 10], &nothing);
    assert!(fork(&world).0.map_lines().is_empty());
}

#[test]
fn what_the_host_refuses_is_taken_back() {
    let world = World::new();
    world.thread.space().fail_next(Errno::ENOMEM);
    assert_eq!(map(&world, 0, PAGE, PRIVATE), Err(Errno::ENOMEM));
    assert_eq!(lines(&world), []);
    let at = map(&world, 0, 2 * PAGE, PRIVATE).unwrap();
    world.thread.space().fail_next(Errno::EFAULT);
    assert_eq!(world.thread.trap(MREMAP, &[at, 2 * PAGE, 4 * PAGE, 1]), Err(Errno::EFAULT));
    assert_eq!(lines(&world), [(at, at + 2 * PAGE)]);
    world.task.memory().write_bytes(at, b"still there").unwrap();
}

#[test]
fn memory_can_be_given_back_for_ever() {
    let world = World::new();
    let memory = world.task.memory();
    memory.state.lock().note_freed(u64::MAX);
    let at = map(&world, 0, PAGE, PRIVATE).unwrap();
    unmap_natively(&world, at, PAGE);
    memory.succeeds(&memory.clone());
    assert_eq!(memory.last_peak(0), memory.space().resident_peak_bytes());
}
