//! From the kernel's first call to a machine in which containers can run: drivers, file systems, a root to leave.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_move};
use rustix::process::{Resource, Rlimit, chdir, chroot, setrlimit};
use rustix::system::{RebootCommand, finit_module, reboot};
use stockade_sandbox::{Error, Result};

use crate::world::World;

/// Drivers in the order in which they load, one file name a line.
const MODULES: &str = "/modules";
/// linux/module.h: the kernel unpacks the file.
const MODULE_INIT_COMPRESSED_FILE: i32 = 4;
/// The mount that becomes the root.
const NEW_ROOT: &str = "/root.new";
/// What a process of a container may have open unless its spec says otherwise: as much as the kernel numbers.
const OPEN_FILES: u64 = 1 << 20;
/// The most that Linux takes for fs.nr_open on 64 bits (fs/file.c).
const OPEN_FILES_LIMIT: &str = "2147483584";

const PLAIN: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// File systems, their places in the new root, flags and options.
const MOUNTS: &[(&str, &str, MountFlags, Option<&CStr>)] = &[
    ("proc", "proc", PLAIN, None),
    ("sysfs", "sys", PLAIN, None),
    ("cgroup2", "sys/fs/cgroup", PLAIN, Some(c"nsdelegate")),
    ("devtmpfs", "dev", MountFlags::NOSUID, Some(c"mode=755")),
    ("tmpfs", "run", MountFlags::NOSUID.union(MountFlags::NODEV), Some(c"mode=755")),
    ("tmpfs", "tmp", MountFlags::NOSUID.union(MountFlags::NODEV), Some(c"mode=1777")),
];

/// Prepares a guest. Whatever fails is said, and the rest is done: what is missing shows when it is needed.
pub(crate) fn prepare(world: &World) {
    load_modules(world);
    for done in [make_root(), set_limits(), take_keys()] {
        if let Err(error) = done {
            world.say(&error.to_string());
        }
    }
}

/// A kernel that has all built in comes without modules.
fn load_modules(world: &World) {
    let Ok(order) = fs::read_to_string(Path::new(MODULES).join("order")) else { return };
    for name in order.lines().filter(|name| !name.is_empty() && !name.contains('/')) {
        if let Err(error) = load_module(name) {
            world.say(&format!("load {name}: {error}"));
        }
    }
    // The archive's files are memory.
    let _ = fs::remove_dir_all(MODULES);
}

fn load_module(name: &str) -> io::Result<()> {
    let file = fs::File::open(Path::new(MODULES).join(name))?;
    let flags = if name.ends_with(".ko") { 0 } else { MODULE_INIT_COMPRESSED_FILE };
    match finit_module(&file, c"", flags) {
        // Built in, or for hardware that this machine lacks.
        Ok(()) | Err(Errno::EXIST | Errno::NODEV) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// The root that the kernel unpacked its archive to cannot be left by pivot_root(2), which containers do: a mount of
/// our own goes on top of it.
fn make_root() -> Result<()> {
    let root = Path::new(NEW_ROOT);
    fs::create_dir_all(root).map_err(|error| Error::os("make the root", error))?;
    mount("root", root, "tmpfs", PLAIN, c"mode=755,size=16m").map_err(|errno| Error::os("mount the root", errno))?;
    for (kind, place, flags, options) in MOUNTS {
        let at = root.join(place);
        make_place(&at).map_err(|error| Error::os(format!("make /{place}"), error))?;
        mount(*kind, &at, *kind, *flags, *options).map_err(|errno| Error::os(format!("mount /{place}"), errno))?;
    }
    let enter = || -> rustix::io::Result<()> {
        chdir(root)?;
        mount_move(".", "/")?;
        chroot(".")?;
        chdir("/")
    };
    enter().map_err(|errno| Error::os("enter the root", errno))
}

/// A place in sysfs is there already.
fn make_place(at: &Path) -> io::Result<()> {
    if at.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(at)?;
    fs::set_permissions(at, fs::Permissions::from_mode(0o755))
}

fn set_limits() -> Result<()> {
    // Limits that containers bring along from their host may be higher than this kernel would take.
    fs::write("/proc/sys/fs/nr_open", OPEN_FILES_LIMIT).map_err(|error| Error::os("raise fs.nr_open", error))?;
    let limit = Rlimit { current: Some(OPEN_FILES), maximum: Some(OPEN_FILES) };
    setrlimit(Resource::Nofile, limit).map_err(|errno| Error::os("limit open files", errno))
}

/// Ctrl-Alt-Del becomes a signal.
fn take_keys() -> Result<()> {
    reboot(RebootCommand::CadOff).map_err(|errno| Error::os("take Ctrl-Alt-Del", errno))
}
