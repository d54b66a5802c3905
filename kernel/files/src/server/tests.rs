//! The server against a client that wants out, and a host that swaps files below it.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, mkfifoat, openat, renameat_with};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};

use super::{ServeError, hand_over, receive};
use crate::protocol::*;

/// What nobody below the directory may read.
const SECRET: &str = "secret";

/// A server, and a client of it.
struct Subject {
    dir: tempfile::TempDir,
    socket: OwnedFd,
    server: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Subject {
    /// Serves `root` beside a file that it must not give away.
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("make a directory");
        fs::create_dir(dir.path().join("root")).expect("make the root");
        fs::create_dir(dir.path().join("outside")).expect("make a directory");
        fs::write(dir.path().join("outside/file"), SECRET).expect("write the secret");
        let (socket, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("a socket");
        let root = openat(CWD, dir.path().join("root"), OFlags::PATH | OFlags::DIRECTORY, Mode::empty());
        hand_over(root.expect("open the root").as_fd(), socket.as_fd()).expect("hand it over");
        let server = Some(thread::spawn(move || receive(&theirs)?.serve(&theirs)));
        Self { dir, socket, server }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn raw(&self, packet: &[u8]) -> Vec<u8> {
        send(&self.socket, packet, SendFlags::NOSIGNAL).expect("send");
        let mut answer = vec![0; PACKET_BYTES_MAX];
        let (_, len) = recv(&self.socket, &mut answer[..], RecvFlags::empty()).expect("receive");
        answer.truncate(len);
        answer
    }

    fn ask<T>(&self, request: &Request<'_>, read: impl FnOnce(&mut Reader<'_>) -> Option<T>) -> Result<T, Errno> {
        let mut packet = Writer::default();
        request.encode(&mut packet);
        let answer = self.raw(&packet.0);
        decode_answer(&answer).expect("an answer").map(|mut reader| read(&mut reader).expect("a whole answer"))
    }

    fn tell(&self, request: &Request<'_>) -> Result<(), Errno> {
        self.ask(request, |_| Some(()))
    }

    fn lookup(&self, directory: u32, name: &str) -> Result<Entry, Errno> {
        self.ask(&Request::Lookup { directory, name: name.as_bytes() }, Entry::decode)
    }

    fn open(&self, node: u32) -> Result<(), Errno> {
        self.tell(&Request::Open { node, access: Access::Read })
    }

    fn make(&self, name: &str, kind: MakeKind<'_>, permissions: u32) -> Result<Entry, Errno> {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let make = Make { kind, permissions, uid, gid };
        self.ask(&Request::Make { directory: ROOT, name: name.as_bytes(), make }, Entry::decode)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        let _ = self.server.take().map(JoinHandle::join);
    }
}

/// What a part of a listing names, and the position behind each.
type Part = Vec<(Vec<u8>, u64)>;

fn part(reader: &mut Reader<'_>) -> Part {
    std::iter::from_fn(|| listed(reader).map(|entry| (entry.name.to_vec(), entry.next))).collect()
}

/// The number of a new listing, if that has more to say, and its first part.
fn begin(subject: &Subject, node: u32) -> Result<(Option<u32>, Part), Errno> {
    subject.ask(&Request::List { node }, |reader| Some((reader.optional(Reader::u32)?, part(reader))))
}

fn go_on(subject: &Subject, listing: u32, at: u64) -> Part {
    subject.ask(&Request::ReadListing { listing, at }, |reader| Some(part(reader))).expect("a part")
}

fn names_of(subject: &Subject, node: u32) -> Vec<String> {
    let (listing, mut all) = begin(subject, node).expect("a listing");
    while let (Some(listing), Some((_, at))) = (listing, all.last()) {
        let more = go_on(subject, listing, *at);
        if more.is_empty() {
            break;
        }
        all.extend(more);
    }
    all.into_iter().map(|(name, _)| String::from_utf8_lossy(&name).into_owned()).collect()
}

/// More files than one part of a listing names.
fn fill(subject: &Subject) {
    for number in 0..3000 {
        fs::write(subject.root().join(format!("file-with-a-longer-name-{number}")), "").expect("write a file");
    }
}

#[test]
fn a_name_is_one_name() {
    let subject = Subject::new();
    fs::create_dir(subject.root().join("d")).expect("make a directory");
    for name in ["", ".", "..", "/", "/etc", "d/..", "../outside", "d/../../outside/file", "a\0b"] {
        assert_eq!(subject.lookup(ROOT, name).err(), Some(Errno::INVAL), "look up {name:?}");
        assert!(subject.make(name, MakeKind::Regular, 0o600).is_err(), "make {name:?}");
        let remove = Request::Remove { directory: ROOT, name: name.as_bytes(), what: Removal::Name };
        assert_eq!(subject.tell(&remove), Err(Errno::INVAL), "remove {name:?}");
        let how = RenameHow::Replace;
        let away = Request::Rename { directory: ROOT, name: b"d", to: ROOT, to_name: name.as_bytes(), how };
        assert_eq!(subject.tell(&away), Err(Errno::INVAL), "rename to {name:?}");
    }
    let inside = subject.lookup(ROOT, "d").expect("it is there").node;
    assert_eq!(subject.lookup(inside, "..").err(), Some(Errno::INVAL));
}

#[test]
fn links_are_not_followed() {
    let subject = Subject::new();
    let root = subject.root();
    symlink("../outside/file", root.join("up")).expect("a link");
    symlink("/", root.join("top")).expect("a link");
    symlink("/proc/self/root", root.join("magic")).expect("a link");
    // The control: whoever follows them gets out.
    assert_eq!(fs::read_to_string(root.join("up")).expect("follow it"), SECRET);
    for name in ["up", "top", "magic"] {
        let link = subject.lookup(ROOT, name).expect("the link itself");
        assert_eq!(link.attributes.mode & 0o170_000, 0o120_000, "{name}");
        assert_eq!(subject.open(link.node), Err(Errno::INVAL), "open {name}");
        assert!(subject.lookup(link.node, "etc").is_err(), "look through {name}");
        assert_eq!(begin(&subject, link.node).err(), Some(Errno::NOTDIR), "list {name}");
    }
    let mode = || fs::metadata(subject.dir.path().join("outside/file")).expect("the secret").mode();
    let (before, node) = (mode(), subject.lookup(ROOT, "up").expect("the link").node);
    assert!(subject.tell(&Request::SetMode { node, permissions: 0 }).is_err());
    assert_eq!(mode(), before);
}

#[test]
fn devices_pipes_and_sockets_are_not_opened() {
    let subject = Subject::new();
    let root = subject.root();
    mkfifoat(CWD, root.join("pipe"), Mode::RWXU).expect("a pipe");
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).expect("a socket");
    let mut names = vec!["pipe", "socket"];
    let device = rustix::fs::makedev(1, 5);
    let kind = rustix::fs::FileType::CharacterDevice;
    if rustix::fs::mknodat(CWD, root.join("zero"), kind, Mode::RWXU, device).is_ok() {
        fs::hard_link(root.join("zero"), root.join("link")).expect("a hard link");
        // The control: the host opens it, unless its mount forbids devices.
        let opened = File::open(root.join("zero")).map_err(|error| error.kind());
        assert!(matches!(opened, Ok(_) | Err(std::io::ErrorKind::PermissionDenied)), "{opened:?}");
        names.extend(["zero", "link"]);
    }
    for name in names {
        let node = subject.lookup(ROOT, name).expect("it is there").node;
        for access in [Access::Read, Access::ReadWrite] {
            assert_eq!(subject.tell(&Request::Open { node, access }), Err(Errno::INVAL), "{name}");
        }
        assert_eq!(subject.tell(&Request::Sync { node }), Ok(()), "{name}");
    }
}

/// Swaps `a` and `b` until told to stop.
fn swap(a: PathBuf, b: PathBuf, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).expect("swap");
    }
}

/// What a walk by whole paths gets in a while: how often the secret.
fn naive_walk(path: &Path, until: Instant) -> u32 {
    let mut found = 0;
    while Instant::now() < until && found == 0 {
        found += u32::from(fs::read_to_string(path).is_ok_and(|text| text == SECRET));
    }
    found
}

#[test]
fn a_directory_swapped_for_a_link_is_no_way_out() {
    let subject = Subject::new();
    let (root, stop) = (subject.root(), AtomicBool::new(false));
    fs::create_dir(root.join("dir")).expect("make a directory");
    fs::write(root.join("dir/file"), "inside").expect("write a file");
    symlink("../outside", root.join("link")).expect("a link");
    let secret = fs::metadata(subject.dir.path().join("outside/file")).expect("the secret").ino();
    thread::scope(|scope| {
        scope.spawn(|| swap(root.join("dir"), root.join("link"), &stop));
        // The control: a walk by paths does get there.
        let reached = naive_walk(&root.join("dir/file"), Instant::now() + Duration::from_secs(10));
        let mut inside = 0;
        for _ in 0..4_000 {
            let Ok(directory) = subject.lookup(ROOT, "dir") else { continue };
            if let Ok(file) = subject.lookup(directory.node, "file") {
                assert_ne!(file.attributes.ino, secret, "the walk left the directory");
                inside += 1;
                let _ = subject.ask(&Request::Attributes { node: file.node }, Attributes::decode);
                forget(&subject, file.node);
            }
            forget(&subject, directory.node);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(reached > 0, "the race was never lost without protection: the test shows nothing");
        assert!(inside > 0, "the walk never got to the file inside");
    });
}

fn forget(subject: &Subject, node: u32) {
    let mut packet = Writer::default();
    Request::Forget(vec![node]).encode(&mut packet);
    send(&subject.socket, &packet.0, SendFlags::NOSIGNAL).expect("send");
}

#[test]
fn a_directory_that_is_moved_out_takes_nobody_along() {
    let subject = Subject::new();
    let root = subject.root();
    fs::create_dir_all(root.join("a/b")).expect("make directories");
    let a = subject.lookup(ROOT, "a").expect("it is there").node;
    let b = subject.lookup(a, "b").expect("it is there").node;
    fs::rename(root.join("a/b"), subject.dir.path().join("outside/b")).expect("move it out");
    assert_eq!(subject.lookup(b, "..").err(), Some(Errno::INVAL));
    assert_eq!(subject.lookup(a, "b").err(), Some(Errno::NOENT));
}

#[test]
fn what_is_made_is_made_exactly() {
    let subject = Subject::new();
    let look = |name: &str| fs::symlink_metadata(subject.root().join(name)).expect("it was made");
    subject.make("file", MakeKind::Regular, 0o4711).expect("make a file");
    subject.make("dir", MakeKind::Directory, 0o1777).expect("make a directory");
    subject.make("pipe", MakeKind::Fifo, 0o600).expect("make a pipe");
    subject.make("link", MakeKind::Symlink(b"/etc/passwd"), 0o777).expect("make a link");
    assert_eq!(look("file").permissions().mode(), 0o104_711);
    assert_eq!(look("dir").permissions().mode(), 0o041_777);
    assert!(look("pipe").file_type().is_fifo() && look("link").is_symlink());
    assert_eq!(subject.make("file", MakeKind::Regular, 0o600).err(), Some(Errno::EXIST));
    let file = subject.lookup(ROOT, "file").expect("it is there");
    subject.tell(&Request::Link { node: file.node, directory: ROOT, name: b"more" }).expect("link it");
    assert_eq!(look("more").ino(), look("file").ino());
    let link = subject.lookup(ROOT, "link").expect("it is there").node;
    subject.tell(&Request::Link { node: link, directory: ROOT, name: b"link2" }).expect("link the link");
    assert!(look("link2").is_symlink());
    let target = subject.ask(&Request::ReadLink { node: link }, |reader| reader.bytes().map(<[u8]>::to_vec));
    assert_eq!(target.expect("a target"), b"/etc/passwd");
}

#[test]
fn sealed_it_changes_nothing() {
    let subject = Subject::new();
    let file = subject.make("file", MakeKind::Regular, 0o644).expect("make a file").node;
    subject.tell(&Request::Seal).expect("seal it");
    let refused = [
        Request::Open { node: file, access: Access::ReadWrite },
        Request::MakeUnnamed { directory: ROOT, permissions: 0o600, uid: 0, gid: 0 },
        Request::Link { node: file, directory: ROOT, name: b"l" },
        Request::Remove { directory: ROOT, name: b"file", what: Removal::Name },
        Request::Rename { directory: ROOT, name: b"file", to: ROOT, to_name: b"x", how: RenameHow::Replace },
        Request::SetMode { node: file, permissions: 0 },
        Request::SetOwner { node: file, uid: Some(1), gid: None },
        Request::SetTimes { node: file, times: Times { atime: Some((0, 0)), mtime: None } },
        Request::SetXattr { node: file, name: b"user.a", value: b"v", how: SetXattr::Any },
        Request::RemoveXattr { node: file, name: b"user.a" },
    ];
    for request in refused {
        assert_eq!(subject.tell(&request), Err(Errno::ROFS), "{request:?}");
    }
    assert_eq!(subject.make("g", MakeKind::Regular, 0o600).err(), Some(Errno::ROFS));
    assert_eq!(subject.open(file), Ok(()));
    assert_eq!(names_of(&subject, ROOT), ["file"]);
}

#[test]
fn a_large_directory_is_listed_whole_while_it_shrinks() {
    let subject = Subject::new();
    fill(&subject);
    assert_eq!(names_of(&subject, ROOT).len(), 3000);
    let (listing, mut part) = begin(&subject, ROOT).expect("a listing");
    let listing = listing.expect("it has more to say");
    while let Some((_, at)) = part.last() {
        for (name, _) in &part {
            let remove = Request::Remove { directory: ROOT, name, what: Removal::Name };
            subject.tell(&remove).expect("remove it");
        }
        part = go_on(&subject, listing, *at);
    }
    assert_eq!(names_of(&subject, ROOT), [""; 0]);
}

#[test]
fn a_listing_tells_the_same_as_a_look_at_each_name() {
    let subject = Subject::new();
    let root = subject.root();
    fs::write(root.join("file"), "12345").expect("write a file");
    fs::create_dir(root.join("dir")).expect("make a directory");
    symlink("../outside/file", root.join("link")).expect("a link");
    mkfifoat(CWD, root.join("pipe"), Mode::RWXU).expect("a pipe");
    let told = subject.ask(&Request::List { node: ROOT }, |reader| {
        assert_eq!(reader.optional(Reader::u32), Some(None), "four names are all at once");
        let own = |entry: Listed<'_>| (entry.name.to_vec(), entry.attributes);
        Some(std::iter::from_fn(|| listed(reader).map(own)).collect::<Vec<_>>())
    });
    let told = told.expect("a listing");
    assert_eq!(told.len(), 4);
    for (name, attributes) in told {
        let name = String::from_utf8(name).expect("names of ours");
        assert_eq!(attributes, Some(subject.lookup(ROOT, &name).expect("it is there").attributes), "{name}");
    }
}

#[test]
fn numbers_that_were_not_given_out_are_nothing() {
    let subject = Subject::new();
    fill(&subject);
    let listing = begin(&subject, ROOT).expect("a listing").0.expect("it has more to say");
    for node in [listing, 77, u32::MAX] {
        assert_eq!(subject.lookup(node, "x").err(), Some(Errno::STALE));
        assert_eq!(subject.open(node), Err(Errno::STALE));
    }
    assert_eq!(subject.tell(&Request::ReadListing { listing: ROOT, at: 0 }), Err(Errno::STALE));
    forget(&subject, ROOT);
    forget(&subject, u32::MAX);
    assert!(subject.ask(&Request::Attributes { node: ROOT }, Attributes::decode).is_ok(), "the root stays");
}

/// Numbers that repeat (Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[3]
    }
}

#[test]
fn hostile_bytes_get_an_answer_or_end_the_server_and_nothing_else() {
    let mut numbers = Numbers(0x5eed);
    for _ in 0..200 {
        let subject = Subject::new();
        let before = fs::read(subject.dir.path().join("outside/file")).expect("the secret");
        for _ in 0..50 {
            let len = usize::from(numbers.byte() % 40);
            let mut packet: Vec<u8> = (0..len.max(1)).map(|_| numbers.byte()).collect();
            // Mostly a tag that exists, and node 0.
            packet[0] %= 23;
            packet.iter_mut().skip(1).take(4).for_each(|byte| *byte = 0);
            if Request::decode(&packet).is_some_and(|request| matches!(request, Request::Forget(_))) {
                continue;
            }
            if send(&subject.socket, &packet, SendFlags::NOSIGNAL).is_err() {
                break;
            }
            let mut answer = vec![0; PACKET_BYTES_MAX];
            match recv(&subject.socket, &mut answer[..], RecvFlags::empty()) {
                Ok((_, 0)) | Err(_) => break,
                Ok((_, len)) => assert!(decode_answer(&answer[..len]).is_some()),
            }
        }
        let after = fs::read(subject.dir.path().join("outside/file")).expect("the secret");
        assert_eq!(before, after);
        let outside = fs::read_dir(subject.dir.path()).expect("list it").count();
        assert_eq!(outside, 2, "something was made outside");
    }
}

#[test]
fn nonsense_ends_the_server() {
    let mut subject = Subject::new();
    send(&subject.socket, &[99, 0, 0, 0, 0], SendFlags::NOSIGNAL).expect("send");
    let ended = subject.server.take().expect("it runs").join().expect("it does not panic");
    assert!(matches!(ended, Err(ServeError::Nonsense(5))), "{ended:?}");
    let mut subject = Subject::new();
    send(&subject.socket, &vec![1; PACKET_BYTES_MAX + 1], SendFlags::NOSIGNAL).expect("send");
    let ended = subject.server.take().expect("it runs").join().expect("it does not panic");
    assert!(matches!(ended, Err(ServeError::Nonsense(_))), "{ended:?}");
}
