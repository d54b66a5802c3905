//! A file server: Debian's virtiofsd, which knows nothing of us, in a jail of ours.
//!
//! It has the shared directory and its own libraries in its root, no network, and sees no process but itself. It acts
//! as whatever user of the guest asks, so it is root of a user namespace in which each id is the host's: a bundle has
//! arbitrary owners. Before it serves, it makes the shared directory its root, gives up what that took, and installs
//! its own system call filter. Devices it cannot make. It ends with the connection to the guest's machine, and else
//! with the container's control group.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::OFlags;
use stockade_hosted::{files, null};
use stockade_native::Helper;
use stockade_native::cgroup::Cgroup;
use stockade_native::jail::{self, Authority, Network, Place, Starting};
use stockade_sandbox::{Error, IsolationClass, Result};

/// Where Debian has it: to release 12, and from then on.
const PROGRAMS: [&str; 2] = ["/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd"];
/// The program interpreter of the platform (System V ABI, AMD64 supplement), which knows how it finds libraries.
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// What it reads before it listens to what it is told.
const SETTING: &str = "/proc/sys/fs/file-max";

/// The socket is its first descriptor after the streams. It may have as many files open as its jail may; it acts as
/// the guest's users; it gives up MKNOD, which it never had.
const ARGUMENTS: [&str; 16] = [
    "virtiofsd",
    "--fd=3",
    "-f",
    "--rlimit-nofile=0",
    "-o",
    "sandbox=chroot",
    "-o",
    "modcaps=-mknod",
    "-o",
    "xattr",
    "-o",
    "cache=auto",
    "-o",
    "log_level=warn",
    "-o",
    "source=/share",
];

/// The program, and what it needs to run.
#[derive(Debug)]
pub(super) struct Program {
    file: OwnedFd,
    libraries: Vec<PathBuf>,
}

impl Program {
    /// The host's.
    pub(super) fn find() -> Result<Self> {
        Self::find_in(&PROGRAMS)
    }

    fn find_in(places: &[&str]) -> Result<Self> {
        let path = places.iter().map(Path::new).find(|path| path.is_file()).ok_or_else(|| absent(places))?;
        Ok(Self { file: files::open(path, OFlags::RDONLY)?, libraries: libraries(path)? })
    }

    /// Starts it for one guest, in a jail whose network is a monitor's, which has none; or has none of its own.
    pub(super) fn start(
        &self,
        shared: &[Place],
        listener: OwnedFd,
        stderr: OwnedFd,
        cgroup: &Cgroup,
        monitor: Option<&Starting>,
    ) -> Result<Starting> {
        let helper = Helper {
            program: stockade_hosted::copy(&self.file)?,
            arguments: ARGUMENTS.map(str::to_owned).to_vec(),
            environment: vec![self.library_path()],
            streams: [null()?, null()?, stderr],
            descriptors: vec![listener],
        };
        let own = self.libraries.iter().map(PathBuf::as_path).chain([Path::new(SETTING)]);
        let own = own.map(Place::read_only).collect::<Result<Vec<_>>>()?;
        jail::begin(&helper, cgroup, Authority::Shares(&[&own, shared]), Network::Of(monitor))
    }

    /// For what was found by the loader's cache, which stays outside.
    fn library_path(&self) -> String {
        let mut directories: Vec<_> = self.libraries.iter().filter_map(|path| path.parent()?.to_str()).collect();
        directories.dedup();
        format!("LD_LIBRARY_PATH={}", directories.join(":"))
    }
}

fn absent(places: &[&str]) -> Error {
    Error::Unsupported {
        class: IsolationClass::Vm,
        what: "share a directory or a file with a guest".to_owned(),
        why: format!(
            "virtiofsd is at none of {}: install Debian's package virtiofsd (to Debian 12, qemu-system-common)",
            places.join(", ")
        ),
    }
}

/// The libraries of a program, the loader among them, as the loader itself would find them.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let what = || format!("list the libraries of {}", program.display());
    let mut loader = Command::new(LOADER);
    let listed = loader.arg("--list").arg(program).env_clear().stdin(Stdio::null()).output();
    let listed = listed.map_err(|error| Error::os(what(), error))?;
    if !listed.status.success() {
        return Err(Error::Other(format!("{}: {}", what(), String::from_utf8_lossy(&listed.stderr).trim())));
    }
    parse_libraries(&listed.stdout).map_err(|missing| Error::Other(format!("{}: {missing} is missing", what())))
}

/// A line is `NAME => PATH (ADDRESS)`, or `PATH (ADDRESS)`; what the kernel brings along has no path.
fn parse_libraries(text: &[u8]) -> std::result::Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let words: Vec<&[u8]> = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
        match words.iter().find(|word| word.starts_with(b"/")) {
            Some(path) => found.push(PathBuf::from(OsStr::from_bytes(path))),
            None if words.ends_with(&[b"not", b"found"]) => return Err(String::from_utf8_lossy(words[0]).into_owned()),
            None => {}
        }
    }
    Ok(found)
}

/// A server's listening socket, and the connection that waits for it there.
#[derive(Debug)]
pub(super) struct Line {
    /// The server's.
    pub(super) listener: OwnedFd,
    /// The machine's.
    pub(super) connection: OwnedFd,
}

impl Line {
    /// The socket has a name only for as long as this takes, in a directory that is root's alone.
    pub(super) fn new(dir: &Path, tag: &str) -> Result<Self> {
        let name = format!("{tag}.sock");
        let what = || format!("connect to {}", dir.join(&name).display());
        let listener = files::listen_in(dir, &name)?;
        let opened = files::open(dir, OFlags::PATH | OFlags::DIRECTORY)?;
        let connected = UnixStream::connect(files::short_path(&opened, &name));
        std::fs::remove_file(dir.join(&name)).map_err(|error| Error::os(what(), error))?;
        Ok(Self { listener, connection: connected.map_err(|error| Error::os(what(), error))?.into() })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_missing_server_is_named_with_its_package() {
        let error = Program::find_in(&["/nowhere/virtiofsd", "/else/virtiofsd"]).expect_err("it is not there");
        let said = error.to_string();
        assert!(said.contains("at none of /nowhere/virtiofsd, /else/virtiofsd"), "{said}");
        assert!(said.contains("package virtiofsd") && said.contains("qemu-system-common"), "{said}");
    }

    #[test]
    fn libraries_are_as_the_loader_says() {
        let text = "\tlinux-vdso.so.1 (0x7f)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x7e)\n\t/lib64/ld.so (0x7d)\n";
        let found = parse_libraries(text.as_bytes()).expect("all there");
        assert_eq!(found, [Path::new("/lib/x/libc.so.6"), Path::new("/lib64/ld.so")]);
        assert_eq!(parse_libraries(b"\tliba.so => not found\n"), Err("liba.so".to_owned()));
        let own = libraries(Path::new("/bin/sh")).expect("a shell's libraries");
        assert!(own.iter().any(|path| path == Path::new(LOADER)), "{own:?}");
    }

    #[test]
    fn a_server_finds_its_connection_waiting() {
        let dir = tempfile::tempdir().expect("a directory");
        let Line { listener, connection } = Line::new(dir.path(), "root").expect("a line");
        assert_eq!(std::fs::read_dir(dir.path()).expect("list").count(), 0, "the name is gone");
        let served = rustix::net::accept(&listener).expect("accept");
        rustix::io::write(&served, b"word").expect("write");
        drop(served);
        let mut said = String::new();
        UnixStream::from(connection).read_to_string(&mut said).expect("read");
        assert_eq!(said, "word");
    }
}
