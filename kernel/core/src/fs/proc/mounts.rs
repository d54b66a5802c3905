//! /proc/PID/{mounts,mountinfo,mountstats} (proc_pid_mountinfo(5)).

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::Errno;
use crate::fs::synthetic::Text;
use crate::vfs::{FsContext, Mount, MountFlags, Path};

/// What Linux escapes in these files.
const SPECIAL: &[u8] = b" \t\n\\";
/// The same for a source.
const SPECIAL_SOURCE: &[u8] = b" \t\n\\#";
/// The parent of the first mount, which nobody sees.
const NO_PARENT: u32 = 1;

/// Options in Linux' order, without ro and rw.
const OPTIONS: [(MountFlags, &str); 7] = [
    (MountFlags::NO_SUID, ",nosuid"),
    (MountFlags::NO_DEV, ",nodev"),
    (MountFlags::NO_EXEC, ",noexec"),
    (MountFlags::NO_ATIME, ",noatime"),
    (MountFlags::NO_DIR_ATIME, ",nodiratime"),
    (MountFlags::RELATIVE_ATIME, ",relatime"),
    (MountFlags::NO_SYMLINK_FOLLOW, ",nosymfollow"),
];

/// A mount's own options as /proc/mounts shows them: `rw,nosuid`.
fn mount_options(flags: MountFlags) -> Text {
    let mut text = Text::new();
    text.bytes(if flags.contains(MountFlags::READ_ONLY) { b"ro" } else { b"rw" });
    for (_, name) in OPTIONS.iter().filter(|(flag, _)| flags.contains(*flag)) {
        text.bytes(name.as_bytes());
    }
    text
}

/// A mount that a task sees, and where.
struct Seen {
    mount: Arc<Mount>,
    point: Vec<u8>,
}

/// Those that lie below the task's root.
fn seen(context: &FsContext) -> Vec<Seen> {
    let root = context.root();
    let point = |mount: &Arc<Mount>| match mount.point() {
        Some(point) => point.text(&root),
        None => Path::root_of(mount).text(&root),
    };
    let visible = |mount: Arc<Mount>| {
        let at_root = Arc::ptr_eq(&mount, &root.mount);
        let point = if at_root { Some(b"/".to_vec()) } else { point(&mount) };
        point.map(|point| Seen { mount, point })
    };
    let mut all = context.namespace().all();
    all.sort_unstable_by_key(|mount| mount.id());
    all.into_iter().filter_map(visible).collect()
}

/// /proc/PID/mounts
pub(super) fn mounts(context: &FsContext) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    for Seen { mount, point } in seen(context) {
        let filesystem = mount.superblock().filesystem();
        source(&mut text, &mount);
        text.bytes(b" ").escaped(&point, SPECIAL);
        write!(text, " {} ", filesystem.name());
        text.bytes(&Vec::from(mount_options(mount.shown_flags()))).bytes(filesystem.options().as_bytes());
        text.bytes(b" 0 0\n");
    }
    text.finish()
}

fn source<'a>(text: &'a mut Text, mount: &Mount) -> &'a mut Text {
    let source = if mount.source().is_empty() { b"none" } else { mount.source() };
    text.escaped(source, SPECIAL_SOURCE)
}

/// /proc/PID/mountinfo
pub(super) fn mountinfo(context: &FsContext) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    for Seen { mount, point } in seen(context) {
        let filesystem = mount.superblock().filesystem();
        let device = mount.superblock().device();
        let parent = mount.point().map_or(NO_PARENT, |point| point.mount.id().0);
        write!(text, "{} {parent} {}:{} ", mount.id().0, device.major, device.minor);
        text.escaped(&Path::within(mount.root()), SPECIAL).bytes(b" ").escaped(&point, SPECIAL).bytes(b" ");
        text.bytes(&Vec::from(mount_options(mount.flags())));
        write!(text, " - {} ", filesystem.name());
        source(&mut text, &mount);
        let access = if mount.superblock().is_read_only() { "ro" } else { "rw" };
        writeln!(text, " {access}{}", filesystem.options());
    }
    text.finish()
}

/// /proc/PID/mountstats
pub(super) fn mountstats(context: &FsContext) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    for Seen { mount, point } in seen(context) {
        let device: &[u8] = if mount.source().is_empty() { b"no device" } else { b"device " };
        text.bytes(device).escaped(mount.source(), SPECIAL_SOURCE).bytes(b" mounted on ").escaped(&point, SPECIAL);
        writeln!(text, " with fstype {}", mount.superblock().filesystem().name());
    }
    text.finish()
}
