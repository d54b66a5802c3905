//! What a guest has of the host's directories and files: a bundle's root, and what a spec binds.
//!
//! Each directory has a file server of its own (`server`); single files have one together, below a directory that is
//! in no file system of the host. A mount's options hold at the host already: what is to be read only, no guest can
//! write to, whatever its kernel has become. Files that lie beside a container's writable layer are the engine's own
//! words to it and nobody changes them: they are copied, so that a container without volumes needs no server.
//!
//! A symbolic link in a shared directory is text: the guest follows it in the container's root, the server never.

mod server;

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::{Mount, Spec};
use rustix::fs::{FileType, fstat};
use stockade_hosted::{binds, files};
use stockade_native::hosted::{Stage, bind_tree, claim_volume, root_tree};
use stockade_native::jail::{self, Place, Starting};
use stockade_sandbox::protocol::{BoundFile, CreateContainer, GuestRoot, SharePath, SharedMount};
use stockade_sandbox::{Error, IsolationClass, Result, Rootfs};

use self::server::{Line, Program};

/// The directory that a server shares, in its own root.
const SHARED: &str = "/share";
/// The share of a bundle's root, and that of all single files.
const ROOT: &str = "root";
const FILES: &str = "files";

/// All that a container has of the host.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    all: Vec<Share>,
    /// Bind mounts that are served.
    pub(crate) mounts: Vec<SharedMount>,
    /// Files that are copied.
    pub(crate) copies: Vec<BoundFile>,
}

#[derive(Debug)]
struct Share {
    tag: String,
    places: Vec<Place>,
    /// Whether it is filled from the image if it is empty.
    is_volume: bool,
}

/// Both ends of the lines to all servers, in one order.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The machine's, by the shares' tags.
    pub(crate) connections: Vec<(String, OwnedFd)>,
    /// The servers'.
    pub(crate) listeners: Vec<OwnedFd>,
}

/// The servers on their way.
#[derive(Debug)]
pub(crate) struct Serving(Vec<Starting>);

/// How many servers a container can need, before anything is opened.
pub(crate) fn servers_max(spec: &Spec, rootfs: &Rootfs) -> u64 {
    let served = |mount: &&Mount| binds::is_bind(mount) && !is_engines(mount, rootfs);
    let binds = spec.mounts().iter().flatten().filter(served).count();
    let all = binds + usize::from(matches!(rootfs, Rootfs::Bundle));
    u64::try_from(all).unwrap_or(u64::MAX)
}

impl Shares {
    /// Opens all that a spec names.
    pub(crate) fn open(spec: &Spec, rootfs: &Rootfs, bundle: &Path) -> Result<Self> {
        let mut shares = Self::default();
        if matches!(rootfs, Rootfs::Bundle) {
            shares.all.push(Share::directory(ROOT.to_owned(), root_tree(spec, bundle)?)?);
        }
        let mut single = Vec::new();
        let mut own = Vec::new();
        for (number, mount) in spec.mounts().iter().flatten().enumerate().filter(|(_, mount)| binds::is_bind(mount)) {
            if is_engines(mount, rootfs) {
                own.push(mount);
                continue;
            }
            let tree = bind_tree(spec, bundle, mount)?;
            let source = match kind(&tree)? {
                FileType::Directory => shares.add_directory(number, mount, tree)?,
                FileType::RegularFile => add_file(&mut single, tree)?,
                _ => return Err(refused(mount)),
            };
            let mount = u32::try_from(number).unwrap_or(u32::MAX);
            shares.mounts.push(SharedMount { mount, source: Some(source) });
        }
        shares.copies = binds::read(IsolationClass::Vm, own, bundle)?;
        if !single.is_empty() {
            shares.all.push(Share { tag: FILES.to_owned(), places: single, is_volume: false });
        }
        Ok(shares)
    }

    fn add_directory(&mut self, number: usize, mount: &Mount, tree: OwnedFd) -> Result<SharePath> {
        let tag = format!("mount{number}");
        let is_volume = mount.options().iter().flatten().any(|option| option == "tmpcopyup");
        self.all.push(Share { is_volume, ..Share::directory(tag.clone(), tree)? });
        Ok(SharePath { tag, path: String::new() })
    }

    /// Where the container's root is, if it is a bundle's.
    pub(crate) fn root(&self) -> Option<SharePath> {
        let found = self.all.iter().find(|share| share.tag == ROOT);
        found.map(|share| SharePath { tag: share.tag.clone(), path: String::new() })
    }

    /// The beginning of what an agent is told of a container with this root.
    pub(crate) fn message(&self, root: GuestRoot) -> CreateContainer {
        CreateContainer {
            root: Some(root),
            files: self.copies.clone(),
            mounts: self.mounts.clone(),
            ..CreateContainer::default()
        }
    }

    /// A line to each server, which will find the machine waiting.
    pub(crate) fn lines(&self, dir: &Path) -> Result<Lines> {
        let mut lines = Lines::default();
        for share in &self.all {
            let Line { listener, connection } = Line::new(dir, &share.tag)?;
            lines.connections.push((share.tag.clone(), connection));
            lines.listeners.push(listener);
        }
        Ok(lines)
    }

    /// Starts the servers, beside a monitor. `log` takes what they have to say.
    pub(crate) fn serve(
        &self,
        stage: &Stage<'_>,
        listeners: Vec<OwnedFd>,
        log: &Path,
        monitor: &Starting,
    ) -> Result<Serving> {
        if self.all.is_empty() {
            return Ok(Serving(Vec::new()));
        }
        let program = Program::find()?;
        let start = |(share, listener): (&Share, OwnedFd)| {
            let stderr = files::append(&stage.dir.join(log))?;
            program.start(&share.places, listener, stderr, &stage.cgroup.monitor(), Some(monitor))
        };
        self.all.iter().zip(listeners).map(start).collect::<Result<_>>().map(Serving)
    }

    /// Keeps others from filling new volumes meanwhile: locks of the guest's are not the host's.
    pub(crate) fn claim_volumes(&self) -> Result<Vec<OwnedFd>> {
        let volumes = self.all.iter().filter(|share| share.is_volume).flat_map(|share| &share.places);
        volumes.filter_map(|place| claim_volume(place).transpose()).collect()
    }

    /// Makes the root read-only, once the container's mount points were made in it. `servers` are those that
    /// [`Shares::serve`] started.
    pub(crate) fn seal_root(&self, servers: &[u32]) -> Result<()> {
        let mut roots = self.all.iter().zip(servers).filter(|(share, _)| share.tag == ROOT);
        roots.try_for_each(|(share, server)| share.places.iter().try_for_each(|place| jail::seal(*server, place)))
    }
}

impl Share {
    fn directory(tag: String, tree: OwnedFd) -> Result<Self> {
        Ok(Self { tag, places: vec![Place::new(Path::new(SHARED), tree)?], is_volume: false })
    }
}

impl Serving {
    /// Waits until all run; their pids.
    pub(crate) fn wait(self) -> Result<Vec<u32>> {
        self.0.into_iter().map(Starting::wait).collect()
    }
}

/// Whether a mount shows a file that the engine wrote: for this container, or for the one whose network it shares.
/// Their directories lie side by side.
fn is_engines(mount: &Mount, rootfs: &Rootfs) -> bool {
    let (Rootfs::Layers { writable, .. }, Some(source)) = (rootfs, mount.source()) else { return false };
    let containers = source.parent().and_then(Path::parent);
    containers.is_some() && containers == writable.dir.parent().and_then(Path::parent) && source.is_file()
}

fn add_file(single: &mut Vec<Place>, tree: OwnedFd) -> Result<SharePath> {
    let path = single.len().to_string();
    single.push(Place::new(&Path::new(SHARED).join(&path), tree)?);
    Ok(SharePath { tag: FILES.to_owned(), path })
}

fn kind(tree: impl AsFd) -> Result<FileType> {
    let stat = fstat(tree).map_err(|errno| Error::os("look at a bind mount's source", errno))?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

fn refused(mount: &Mount) -> Error {
    Error::Unsupported {
        class: IsolationClass::Vm,
        what: format!("bind a host path at {}", mount.destination().display()),
        why:
            "it is neither a directory nor a regular file, and the host's sockets, pipes and devices have nobody in a \
              guest; use --isolation native"
                .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};

    use serde_json::json;
    use stockade_native::cgroup::Cgroup;
    use stockade_sandbox::WritableLayer;

    use super::*;

    fn spec(mounts: &[(&str, &Path, &[&str])]) -> Spec {
        let mounts: Vec<_> = mounts
            .iter()
            .map(|(destination, source, options)| {
                json!({"destination": destination, "type": "bind", "source": source, "options": options})
            })
            .collect();
        let proc = json!({"destination": "/proc", "type": "proc", "source": "proc"});
        let mounts = [vec![proc], mounts].concat();
        let spec = json!({"ociVersion": "1.2.0", "root": {"path": "rootfs"}, "mounts": mounts});
        serde_json::from_value(spec).expect("a spec")
    }

    fn sources(shares: &Shares) -> Vec<(u32, String)> {
        let path = |source: &SharePath| format!("{}/{}", source.tag, source.path);
        shares.mounts.iter().map(|mount| (mount.mount, mount.source.as_ref().map_or_else(String::new, path))).collect()
    }

    #[test]
    fn directories_have_servers_and_files_share_one() {
        let bundle = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(bundle.path().join("rootfs/etc")).expect("make it");
        let (one, two) = (bundle.path().join("one"), bundle.path().join("two"));
        fs::write(&one, "1").expect("write");
        fs::write(&two, "2").expect("write");
        let rbind: &[&str] = &["rbind", "ro"];
        let spec = spec(&[("/1", &one, rbind), ("/data", bundle.path(), rbind), ("/2", &two, &["bind"])]);
        let shares = Shares::open(&spec, &Rootfs::Bundle, bundle.path()).expect("open");
        let expected = [(1, "files/0"), (2, "mount2/"), (3, "files/1")].map(|(at, text)| (at, text.to_owned()));
        assert_eq!(sources(&shares), expected);
        assert_eq!(shares.root(), Some(SharePath { tag: "root".into(), path: String::new() }));
        let tags: Vec<_> = shares.all.iter().map(|share| share.tag.as_str()).collect();
        assert_eq!(tags, ["root", "mount2", "files"]);
        assert_eq!(servers_max(&spec, &Rootfs::Bundle), 4);
        assert!(fs::write(bundle.path().join("still"), "writable").is_ok(), "its own mount is as it was");
    }

    /// Without a machine: vhost-user's first question is answered (GET_FEATURES is 1, of version 1, without a body).
    #[test]
    fn a_server_serves_from_its_jail_and_ends_with_its_line() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("data")).expect("make it");
        fs::write(dir.path().join("data/file"), "").expect("write");
        let spec = spec(&[("/data", &dir.path().join("data"), &["rbind", "ro"])]);
        let layers =
            Rootfs::Layers { blobs: Vec::new(), writable: WritableLayer { dir: "/x/rw".into(), volatile: true } };
        let shares = Shares::open(&spec, &layers, dir.path()).expect("open");
        let Lines { connections, listeners } = shares.lines(dir.path()).expect("a line");
        let log = dir.path().join("log");
        let said = || fs::read_to_string(&log).unwrap_or_default();
        let start = |listener| {
            let stderr = files::append(&log).expect("a log");
            let program = Program::find().expect("Debian's virtiofsd");
            program.start(&shares.all[0].places, listener, stderr, &Cgroup::none(), None).expect("a jail")
        };
        let servers: Vec<_> = listeners.into_iter().map(start).collect();
        let server = Serving(servers).wait().expect("it runs")[0];
        for (_, connection) in connections {
            let mut connection = UnixStream::from(connection);
            connection.write_all(&[1_u32.to_le_bytes(), 1_u32.to_le_bytes(), [0; 4]].concat()).expect("ask");
            let mut answer = [0; 20];
            connection.read_exact(&mut answer).unwrap_or_else(|error| panic!("{error}: {}", said()));
            assert_eq!(answer[..12], [1, 0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0]);
            let names: Vec<_> = fs::read_dir(format!("/proc/{server}/root")).expect("its root").flatten().collect();
            assert!(names.len() == 1 && names[0].file_name() == "file", "{names:?}");
            let status = fs::read_to_string(format!("/proc/{server}/status")).expect("its status");
            // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID and SETFCAP.
            for line in ["CapEff:\t00000000800000db", "CapPrm:\t00000000800000db", "Seccomp:\t2", "NoNewPrivs:\t1"] {
                assert!(status.contains(line), "{line}: {status}");
            }
        }
        let pid = rustix::process::Pid::from_raw(i32::try_from(server).expect("a pid"));
        rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).expect("it ends with its line");
    }

    /// The engine's own files come along; a user's are the host's.
    #[test]
    fn what_the_engine_wrote_is_copied() {
        let dir = tempfile::tempdir().expect("a directory");
        let (own, users) = (dir.path().join("container/hosts"), dir.path().join("hosts"));
        fs::create_dir_all(dir.path().join("container/rw")).expect("make it");
        fs::write(&own, "own").expect("write");
        fs::write(&users, "users").expect("write");
        let writable = WritableLayer { dir: dir.path().join("container/rw"), volatile: true };
        let layers = Rootfs::Layers { blobs: Vec::new(), writable };
        let others = dir.path().join("other/resolv.conf");
        fs::create_dir(dir.path().join("other")).expect("make it");
        fs::write(&others, "others").expect("write");
        let spec = spec(&[
            ("/etc/hosts", &own, &["rbind"]),
            ("/hosts", &users, &["rbind"]),
            ("/etc/resolv.conf", &others, &["rbind"]),
        ]);
        let shares = Shares::open(&spec, &layers, dir.path()).expect("open");
        assert_eq!(sources(&shares), [(2, "files/0".to_owned())]);
        assert_eq!(shares.copies.len(), 2);
        assert_eq!((shares.copies[0].destination.as_str(), &shares.copies[0].content[..]), ("/etc/hosts", &b"own"[..]));
        assert!(shares.root().is_none());
    }

    #[test]
    fn sockets_and_what_is_absent_are_refused_by_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("socket");
        let _listener = UnixListener::bind(&socket).expect("listen");
        let layers =
            Rootfs::Layers { blobs: Vec::new(), writable: WritableLayer { dir: "/x/rw".into(), volatile: true } };
        let said = |source: &Path| {
            let opened = Shares::open(&spec(&[("/run/engine", source, &["rbind"])]), &layers, dir.path());
            opened.expect_err("refused").to_string()
        };
        assert!(said(&socket).contains("bind a host path at /run/engine: it is neither"), "{}", said(&socket));
        assert!(said(&dir.path().join("no")).contains("No such file"), "{}", said(&dir.path().join("no")));
    }
}
