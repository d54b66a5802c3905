//! What is mapped: mmap(2), munmap(2), mprotect(2), mremap(2), brk(2).

use alloc::sync::Arc;

use linux_raw_sys::general as abi;

use super::{Call, Outcome};
use crate::Errno;
use crate::mm::{
    MapRequest, Memory, PAGE, Placement, RemapRequest, RemapTo, SharedMemory, Source, VmaFlags, page_down, page_up,
};
use crate::platform::{Form, Keep, Protection, Sharing};
use crate::task::Task;
use crate::vfs::{File, MountFlags, OpenFlags};
use crate::wait::Stop;

bitflags::bitflags! {
    /// The flags of mmap(2) above its type.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct MapFlags: u32 {
        const FIXED = abi::MAP_FIXED;
        const ANONYMOUS = abi::MAP_ANONYMOUS;
        const LOW = 0x40;
        const GROWS_DOWN = abi::MAP_GROWSDOWN;
        const DENY_WRITE = abi::MAP_DENYWRITE;
        const EXECUTABLE = abi::MAP_EXECUTABLE;
        const LOCKED = abi::MAP_LOCKED;
        const NO_RESERVE = abi::MAP_NORESERVE;
        const POPULATE = abi::MAP_POPULATE;
        const NONBLOCK = abi::MAP_NONBLOCK;
        const STACK = abi::MAP_STACK;
        const HUGE = abi::MAP_HUGETLB;
        const SYNC = abi::MAP_SYNC;
        const FIXED_NO_REPLACE = abi::MAP_FIXED_NOREPLACE;
        const UNINITIALIZED = abi::MAP_UNINITIALIZED;
    }
}

const TYPE: u32 = 0xf;
/// Bits of MAP_HUGE_SHIFT.
const HUGE_SIZES: u32 = 0x3f << 26;

/// Access as an application gives it; unknown bits mean nothing to mmap(2).
fn protection(bits: u64) -> Protection {
    Protection::from_bits_truncate(u32::try_from(bits & 7).unwrap_or_default())
}

/// mmap(2)
pub fn mmap(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    let (flags, kind) = (MapFlags::from_bits_truncate(call.uint(3)), call.uint(3) & TYPE);
    let offset = call.arg(5);
    if !offset.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL.into());
    }
    let file = mapped_file(task, call.int(4), flags)?;
    let len = map_len(call.arg(1), offset)?;
    if flags.contains(MapFlags::LOCKED) {
        check_may_lock(task)?;
    }
    let mut request = MapRequest::anonymous(len, protection(call.arg(2)));
    request.placement = placement(flags);
    request.address = if request.placement == Placement::Fixed { call.arg(0) } else { hint(call.arg(0), flags)? };
    request.flags = vma_flags(flags);
    match &file {
        Some(file) => map_file(&mut request, file, kind, call.uint(3), offset)?,
        None => map_anonymous(task, &mut request, kind, flags)?,
    }
    let mut change = task.memory().map(task.tid(), &request, &task.memory_limits())?;
    if wants_pages(flags, request.protection) && request.source.is_none() {
        change.calls.push(Memory::populate(change.value..change.value + len, request.protection));
    }
    Ok(task.answer(call, change))
}

fn mapped_file(task: &Task, fd: i32, flags: MapFlags) -> Result<Option<Arc<File>>, Errno> {
    if flags.contains(MapFlags::ANONYMOUS) {
        // There are no huge pages set aside.
        return if flags.contains(MapFlags::HUGE) { Err(Errno::ENOMEM) } else { Ok(None) };
    }
    let file = task.files().get_open(fd)?;
    if flags.contains(MapFlags::HUGE) { Err(Errno::EINVAL) } else { Ok(Some(file)) }
}

fn map_len(bytes: u64, offset: u64) -> Result<u64, Errno> {
    if bytes == 0 {
        return Err(Errno::EINVAL);
    }
    let len = page_up(bytes).ok_or(Errno::ENOMEM)?;
    offset.checked_add(len).ok_or(Errno::EOVERFLOW)?;
    Ok(len)
}

fn placement(flags: MapFlags) -> Placement {
    match flags {
        flags if flags.contains(MapFlags::FIXED_NO_REPLACE) => Placement::FixedNoReplace,
        flags if flags.contains(MapFlags::FIXED) => Placement::Fixed,
        flags if flags.contains(MapFlags::LOW) => Placement::Low,
        _ => Placement::Anywhere,
    }
}

/// MAP_FIXED_NOREPLACE takes an address as it is; a hint is rounded.
fn hint(address: u64, flags: MapFlags) -> Result<u64, Errno> {
    if !flags.contains(MapFlags::FIXED_NO_REPLACE) {
        return Ok(page_down(address));
    }
    if address.is_multiple_of(PAGE) { Ok(address) } else { Err(Errno::EINVAL) }
}

fn vma_flags(flags: MapFlags) -> VmaFlags {
    let pairs = [
        (MapFlags::GROWS_DOWN, VmaFlags::GROWS_DOWN),
        (MapFlags::NO_RESERVE, VmaFlags::NO_RESERVE),
        (MapFlags::LOCKED, VmaFlags::LOCKED),
    ];
    pairs.into_iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, vma)| vma).collect()
}

fn wants_pages(flags: MapFlags, protection: Protection) -> bool {
    let populate = flags.contains(MapFlags::POPULATE) && !flags.contains(MapFlags::NONBLOCK);
    (populate || flags.contains(MapFlags::LOCKED)) && !protection.is_empty()
}

fn map_file(request: &mut MapRequest, file: &Arc<File>, kind: u32, raw: u32, offset: u64) -> Result<(), Errno> {
    let open = file.flags();
    match kind {
        abi::MAP_SHARED => request.sharing = Sharing::Shared,
        abi::MAP_SHARED_VALIDATE => {
            let known = MapFlags::all() - MapFlags::SYNC;
            if raw & !(known.bits() | TYPE | HUGE_SIZES) != 0 {
                return Err(Errno::EOPNOTSUPP);
            }
            request.sharing = Sharing::Shared;
        }
        abi::MAP_PRIVATE => {}
        _ => return Err(Errno::EINVAL),
    }
    if request.sharing == Sharing::Shared {
        let write = request.protection.contains(Protection::WRITE);
        let append = open.contains(OpenFlags::APPEND) && open.writes();
        if write && (!open.writes() || append) {
            return Err(Errno::EACCES);
        }
        let sealed = Source::is_sealed(&**file);
        if write && sealed {
            return Err(Errno::EPERM);
        }
        request.flags.set(VmaFlags::NEVER_WRITE, !open.writes() || sealed);
    }
    if !open.reads() {
        return Err(Errno::EACCES);
    }
    if file.path().mount.flags().contains(MountFlags::NO_EXEC) {
        if request.protection.contains(Protection::EXEC) {
            return Err(Errno::EPERM);
        }
        request.flags.insert(VmaFlags::NEVER_EXECUTE);
    }
    if request.flags.contains(VmaFlags::GROWS_DOWN) {
        return Err(Errno::EINVAL);
    }
    let source: Arc<dyn Source> = file.clone();
    request.source = Some((source, offset));
    Ok(())
}

fn map_anonymous(task: &Task, request: &mut MapRequest, kind: u32, flags: MapFlags) -> Result<(), Errno> {
    match kind {
        abi::MAP_PRIVATE => Ok(()),
        abi::MAP_SHARED if flags.contains(MapFlags::GROWS_DOWN) => Err(Errno::EINVAL),
        abi::MAP_SHARED => {
            let kernel = task.kernel();
            let inode = kernel.vfs().inode_number();
            let memory = SharedMemory::new(kernel.shared_machine(), request.len, "/dev/zero (deleted)", inode)?;
            request.sharing = Sharing::Shared;
            request.source = Some((memory, 0));
            Ok(())
        }
        _ => Err(Errno::EINVAL),
    }
}

/// `EPERM` for those who may lock nothing.
pub(super) fn check_may_lock(task: &Task) -> Result<(), Errno> {
    if task.memory_limits().locked > 0 { Ok(()) } else { Err(Errno::EPERM) }
}

/// munmap(2)
pub fn munmap(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    let change = task.memory().unmap(task.tid(), call.arg(0), call.arg(1))?;
    if call.form == Form::Direct && !change.calls.is_empty() {
        return Ok(task.answer_native());
    }
    Ok(task.answer(call, change))
}

/// mprotect(2)
pub fn mprotect(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    change_protection(task, call)
}

/// pkey_mprotect(2): there are no keys but the default one.
pub fn pkey_mprotect(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    if call.int(3) != -1 {
        return Err(Errno::EINVAL.into());
    }
    let change = protected(task, call)?;
    Ok(deferred(task, change)?)
}

fn change_protection(task: &Arc<Task>, call: &Call) -> Result<Outcome, Stop> {
    let change = protected(task, call)?;
    if call.form == Form::Direct && change.native {
        return Ok(if change.calls.is_empty() { Outcome::Value(0) } else { task.answer_native() });
    }
    Ok(deferred(task, change)?)
}

fn protected(task: &Task, call: &Call) -> Result<crate::mm::Protected, Errno> {
    let grows = u64::from(abi::PROT_GROWSDOWN | abi::PROT_GROWSUP);
    let bits = call.arg(2);
    if bits & !(7 | u64::from(abi::PROT_SEM)) != 0 {
        // Nothing but stacks grows, and those lie there in full.
        let known = bits & !(7 | u64::from(abi::PROT_SEM) | grows) == 0 && bits & grows != grows;
        if !known || bits & u64::from(abi::PROT_GROWSUP) != 0 {
            return Err(Errno::EINVAL);
        }
    }
    task.memory().protect(call.arg(0), call.arg(1), protection(bits), &task.memory_limits())
}

/// The host calls are other than the application's own.
fn deferred(task: &Task, change: crate::mm::Protected) -> Result<Outcome, Errno> {
    if !change.calls.is_empty() {
        task.defer(change.calls);
    }
    change.result.map(|()| Outcome::Value(0))
}

bitflags::bitflags! {
    /// The flags of mremap(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct RemapFlags: u32 {
        const MAY_MOVE = abi::MREMAP_MAYMOVE;
        const FIXED = abi::MREMAP_FIXED;
        const DONT_UNMAP = abi::MREMAP_DONTUNMAP;
    }
}

/// mremap(2)
pub fn mremap(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    let request = remap_request(task, call)?;
    let change = task.memory().remap(task.tid(), &request, &task.memory_limits())?;
    Ok(task.answer(call, change))
}

fn remap_request(task: &Task, call: &Call) -> Result<RemapRequest, Errno> {
    let flags = u32::try_from(call.arg(3)).ok().and_then(RemapFlags::from_bits).ok_or(Errno::EINVAL)?;
    let from = call.arg(0);
    let old_len = page_up(call.arg(1)).ok_or(Errno::EINVAL)?;
    let new_len = page_up(call.arg(2)).filter(|len| *len > 0).ok_or(Errno::EINVAL)?;
    let moves = flags.contains(RemapFlags::MAY_MOVE);
    let keeps = flags.contains(RemapFlags::DONT_UNMAP);
    if (flags.contains(RemapFlags::FIXED) || keeps) && !moves || keeps && old_len != new_len {
        return Err(Errno::EINVAL);
    }
    let memory = task.memory();
    memory.check_range(from, old_len).map_err(|errno| if errno == Errno::ENOMEM { Errno::EFAULT } else { errno })?;
    let to = match (flags.contains(RemapFlags::FIXED), moves) {
        (true, _) => RemapTo::Fixed(call.arg(4)),
        _ if keeps => RemapTo::Near(call.arg(4)),
        (false, true) => RemapTo::Anywhere,
        (false, false) => RemapTo::Here,
    };
    if let RemapTo::Fixed(to) | RemapTo::Near(to) = to {
        memory.check_range(to, new_len).map_err(|_| Errno::EINVAL)?;
        if to < from + old_len && from < to + new_len {
            return Err(Errno::EINVAL);
        }
    }
    Ok(RemapRequest { from, old_len, new_len, to, keep: if keeps { Keep::Range } else { Keep::Nothing } })
}

/// brk(2)
pub fn brk(task: &Arc<Task>, call: &mut Call) -> Result<Outcome, Stop> {
    let change = task.memory().set_break(task.tid(), call.arg(0), &task.memory_limits());
    Ok(task.answer(call, change))
}
