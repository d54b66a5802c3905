//! statmount(2), listmount(2).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general as abi;

use super::Call;
use super::mount_attributes::attributes_of;
use crate::Errno;
use crate::abi::{Abi as _, Decoder, Encoder};
use crate::task::{Capabilities, Task};
use crate::vfs::{Mount, Path};
use crate::wait::Stop;

/// `struct mnt_id_req`, its first version and the whole.
const REQUEST_BYTES_MIN: usize = 24;
const REQUEST_BYTES: usize = 32;
/// `struct statmount` without the strings behind it.
const STATMOUNT_BYTES: usize = 512;
/// LSMT_ROOT
const ROOT: u64 = u64::MAX;
/// LISTMOUNT_REVERSE
const REVERSE: u32 = 1;
/// How many mounts one call lists at most.
const LISTED_MAX: usize = 1_000_000;

bitflags::bitflags! {
    /// What statmount(2) is asked for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Wanted: u64 {
        const SB_BASIC = 0x1;
        const MNT_BASIC = 0x2;
        const PROPAGATE_FROM = 0x4;
        const MNT_ROOT = 0x8;
        const MNT_POINT = 0x10;
        const FS_TYPE = 0x20;
        const MNT_OPTS = 0x80;
        const SB_SOURCE = 0x200;
        const SUPPORTED_MASK = 0x1000;
    }
}

/// `struct mnt_id_req`, checked.
struct Request {
    id: u64,
    param: u64,
}

impl Request {
    fn read(task: &Arc<Task>, address: u64) -> Result<Self, Errno> {
        let len = task.memory().read_struct::<u32>(address)? as usize;
        match len {
            0..REQUEST_BYTES_MIN => return Err(Errno::EINVAL),
            REQUEST_BYTES_MIN..=4096 => {}
            _ => return Err(Errno::E2BIG),
        }
        let mut bytes = task.memory().read_vec(address, len)?;
        if bytes.get(REQUEST_BYTES..).is_some_and(|rest| rest.iter().any(|byte| *byte != 0)) {
            return Err(Errno::E2BIG);
        }
        bytes.resize(bytes.len().max(REQUEST_BYTES), 0);
        let mut from = Decoder::new(&bytes);
        let [_, spare] = <[u32; 2]>::decode(&mut from);
        let [id, param, namespace] = <[u64; 3]>::decode(&mut from);
        if spare != 0 {
            return Err(Errno::EINVAL);
        }
        // There is one namespace, and it has no number.
        if namespace != 0 { Err(Errno::ENOENT) } else { Ok(Self { id, param }) }
    }
}

/// The mount with a number that the caller can see: `ENOENT`, or `EINVAL` for what is no such number.
fn find(task: &Arc<Task>, id: u64) -> Result<Arc<Mount>, Errno> {
    if id < 1 << 31 {
        return Err(Errno::EINVAL);
    }
    let context = task.fs();
    let mut all = context.namespace().all().into_iter();
    let mount = all.find(|mount| mount.id().unique() == id).ok_or(Errno::ENOENT)?;
    let seen = Path::root_of(&mount).is_below(&context.root());
    if seen || task.credentials().has(Capabilities::SYS_ADMIN) { Ok(mount) } else { Err(Errno::EPERM) }
}

/// statmount(2)
pub fn statmount(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    if call.uint(3) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let request = Request::read(task, call.arg(0))?;
    let mount = find(task, request.id)?;
    let answer = describe(task, &mount, Wanted::from_bits_truncate(request.param));
    let room = call.size(2);
    if answer.len() > STATMOUNT_BYTES && answer.len() > room {
        return Err(Errno::EOVERFLOW.into());
    }
    Ok(task.memory().write_bytes(call.arg(1), &answer[..answer.len().min(room)])?)
}

/// The strings behind `struct statmount`.
#[derive(Default)]
struct Strings(Vec<u8>);

impl Strings {
    /// Adds one, if it is wanted; where it lies. The first byte is an empty one, for all that are not.
    fn add(&mut self, wanted: bool, text: &[u8]) -> u32 {
        if !wanted || text.is_empty() {
            return 0;
        }
        if self.0.is_empty() {
            self.0.push(0);
        }
        let at = u32::try_from(self.0.len()).unwrap_or_default();
        self.0.extend_from_slice(text);
        self.0.push(0);
        at
    }
}

fn describe(task: &Arc<Task>, mount: &Arc<Mount>, wanted: Wanted) -> Vec<u8> {
    let superblock = mount.superblock();
    let filesystem = superblock.filesystem();
    let options: String = filesystem.options().trim_start_matches(',').into();
    let here = Path::root_of(mount);
    let root = task.fs().root();
    let inside = Path::within(mount.root());
    let mut strings = Strings::default();
    let option_text = strings.add(wanted.contains(Wanted::MNT_OPTS), options.as_bytes());
    let kind = strings.add(wanted.contains(Wanted::FS_TYPE), filesystem.name().as_bytes());
    let mount_root = strings.add(wanted.contains(Wanted::MNT_ROOT), &inside);
    let point = strings.add(wanted.contains(Wanted::MNT_POINT), &here.text(&root).unwrap_or_default());
    let source = strings.add(wanted.contains(Wanted::SB_SOURCE), mount.source());
    let magic = filesystem.statfs().map(|facts| facts.magic).unwrap_or_default();
    let basic = |bit: Wanted, number: u64| if wanted.contains(bit) { number } else { 0 };
    let small = |bit: Wanted, number: u32| if wanted.contains(bit) { number } else { 0 };
    let parent = mount.point().map_or(mount.id(), |point| point.mount.id());
    let propagation = if mount.is_bindable() { abi::MS_PRIVATE } else { abi::MS_UNBINDABLE };
    let (device, read_only) = (superblock.device(), u32::from(superblock.is_read_only()));
    let mut to = Encoder::with_capacity(STATMOUNT_BYTES + strings.0.len());
    to.put(0_u32).put(option_text).put(wanted.bits());
    to.put(small(Wanted::SB_BASIC, device.major)).put(small(Wanted::SB_BASIC, device.minor));
    to.put(basic(Wanted::SB_BASIC, magic.into())).put(small(Wanted::SB_BASIC, read_only)).put(kind);
    to.put(basic(Wanted::MNT_BASIC, mount.id().unique())).put(basic(Wanted::MNT_BASIC, parent.unique()));
    to.put(small(Wanted::MNT_BASIC, mount.id().0)).put(small(Wanted::MNT_BASIC, parent.0));
    to.put(basic(Wanted::MNT_BASIC, attributes_of(mount.flags()).into()));
    to.put(basic(Wanted::MNT_BASIC, propagation.into())).zeros(24);
    to.put(mount_root).put(point).zeros(12).put(source).zeros(16);
    to.put(basic(Wanted::SUPPORTED_MASK, Wanted::all().bits()));
    let rest = STATMOUNT_BYTES - to.len();
    to.zeros(rest).bytes(&strings.0);
    let mut bytes = to.finish();
    let len = u32::try_from(bytes.len()).unwrap_or_default();
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    bytes
}

/// listmount(2)
pub fn listmount(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let flags = call.uint(3);
    let count = call.size(2);
    if flags & !REVERSE != 0 {
        return Err(Errno::EINVAL.into());
    }
    if count > LISTED_MAX {
        return Err(Errno::EOVERFLOW.into());
    }
    let request = Request::read(task, call.arg(0))?;
    let top = match request.id {
        ROOT => task.fs().root(),
        id => Path::root_of(&find(task, id)?),
    };
    let below = |mount: &Arc<Mount>| Path::root_of(mount).is_below(&top);
    let all = task.fs().namespace().all();
    let mut ids: Vec<u64> = all.iter().filter(|mount| below(mount)).map(|mount| mount.id().unique()).collect();
    ids.sort_unstable();
    let behind = |id: &u64| if flags & REVERSE == 0 { *id > request.param } else { *id < request.param };
    ids.retain(|id| *id != request.id && (request.param == 0 || behind(id)));
    if flags & REVERSE != 0 {
        ids.reverse();
    }
    ids.truncate(count);
    task.memory().write_array(call.arg(1), &ids)?;
    Ok(ids.len())
}
