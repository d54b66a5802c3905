//! A jail for a monitor, the process that owns a sandbox of another class, and for what serves it.
//!
//! The process gets a uid of its own, new user, mount, pid, ipc, net and uts namespaces (or another jail's net
//! namespace, making one takes longer than all the rest; or one that its owner has made for it), clocks of its own if
//! its owner wants them, a read-only root with nothing but its own /proc, no capabilities, no way to gain any, and the
//! descriptors that it is given. It is process 1 of its pid namespace: when it ends, whatever it started ends. Its
//! system call filter it installs itself.
//!
//! A file server keeps the few capabilities over files that are part of serving them ([`Authority::Files`]); they reach
//! as far as the directory that it was given. Another's file server ([`Authority::Shares`]) has that directory and its
//! own libraries in its root, and acts as whatever user it is asked to.

mod network;
mod root;

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use oci_spec::runtime::Spec;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, Gid, Uid, capabilities, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities,
    set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use stockade_sandbox::{Error, Result};

use crate::cgroup::Cgroup;
use crate::clocks::{self, Start};
use crate::fail::Context;
use crate::helper::Helper;
use crate::idmap::IdMaps;
use crate::pid::{kill_and_reap, reap};
use crate::sys::clone::{CloneFlags, clone3, join, setns};
use crate::sys::mount::{Change, Depth, MountAttr, set_attributes};
use crate::sys::process::{exit, reset_signals};
use crate::wire::{Channel, Message};

use network::open_network;
pub use network::{NewNetwork, new_network};
pub use root::Place;

/// The first of four million host uids that nobody else gives out: above systemd's container ranges, which end at
/// 0x6fff_ffff (systemd, "Users, Groups, UIDs and GIDs").
const FIRST_UID: u32 = 0x7000_0000;
/// The monitor's user as it sees it itself; not 0, which execve would give capabilities to.
const UID_INSIDE: u32 = 1;

/// What serving files takes: making them for their owners, whatever the modes on the way. Devices cannot be made, files
/// of owners outside the id maps not touched.
const FILE_CAPABILITIES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::SETFCAP);

/// What serving files as another user takes besides: becoming that user, and for a program that was made to run as the
/// host's root, locking itself up further.
const SHARE_CAPABILITIES: CapabilitySet = FILE_CAPABILITIES
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SYS_CHROOT);

/// How long a place that is to be sealed may have writers.
const SEAL_TRIES: u32 = 100;
const SEAL_PAUSE: Duration = Duration::from_millis(20);

/// What a jailed process may do.
#[derive(Clone, Copy, Debug)]
pub enum Authority<'a> {
    /// Nothing, under one id.
    Nothing,
    /// Read and change files of whatever owner, as the spec's id maps name them; as the host does where it has none.
    Files(&'a Spec),
    /// Read and change files in these places of its root, as any user. Its ids are the host's, root's among them:
    /// whoever becomes another user and comes back keeps capabilities only as root (capabilities(7)). Outside of its
    /// namespaces they are ids without any capability, and it sees nothing there.
    Shares(&'a [&'a [Place]]),
}

impl<'a> Authority<'a> {
    fn maps(self, host: u32) -> Result<IdMaps> {
        let spec = match self {
            Self::Nothing => return Ok(IdMaps::single(UID_INSIDE, host)),
            Self::Shares(_) => return IdMaps::identity(),
            Self::Files(spec) => spec,
        };
        let own = spec.linux().as_ref().map(|linux| IdMaps::new(linux.uid_mappings(), linux.gid_mappings()));
        match own {
            Some(maps) if !maps.uid.is_empty() && !maps.gid.is_empty() => Ok(maps),
            _ => IdMaps::identity(),
        }
    }

    fn kept(self) -> CapabilitySet {
        match self {
            Self::Nothing => CapabilitySet::empty(),
            Self::Files(_) => FILE_CAPABILITIES,
            Self::Shares(_) => SHARE_CAPABILITIES,
        }
    }

    /// The user that it is, with these maps.
    fn user(self, maps: &IdMaps, host: u32) -> (u32, u32) {
        match self {
            Self::Shares(_) => (0, 0),
            _ => (IdMaps::id_or_last(&maps.uid, host), IdMaps::id_or_last(&maps.gid, host)),
        }
    }

    fn places(self) -> &'a [&'a [Place]] {
        match self {
            Self::Shares(places) => places,
            _ => &[],
        }
    }
}

/// Which network namespace a jailed process is in. There is nothing but a loopback interface in a new one.
#[derive(Clone, Copy, Debug)]
pub enum Network<'a> {
    /// A new one.
    Own,
    /// That of another jail, or a new one where there is none.
    Of(Option<&'a Starting>),
    /// This one, as [`new_network`] makes them.
    Given(BorrowedFd<'a>),
}

/// What a jailed process is given of its own.
#[derive(Clone, Copy)]
struct Terms<'a> {
    authority: Authority<'a>,
    /// What its clocks show at first, unless they are the host's. The one that tells the date always is.
    clocks: Option<Start>,
}

/// A helper process on its way to its program, a jailed one into its jail. Dropping it ends it.
#[derive(Debug)]
pub struct Starting {
    pid: u32,
    channel: Channel,
    runs: bool,
}

impl Starting {
    /// A child that says on its end of the channel why it could not become its program.
    pub(crate) fn new(pid: u32, channel: Channel) -> Self {
        Self { pid, channel, runs: false }
    }

    /// Its host pid.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until the program runs; its host pid.
    pub fn wait(mut self) -> Result<u32> {
        match self.channel.receive()? {
            None => self.runs = true,
            Some(Message::Failed(failure)) => return Err(failure.into()),
            Some(_) => return Err(Error::Other("a helper's process answered nonsense".into())),
        }
        Ok(self.pid)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if !self.runs {
            kill_and_reap(self.pid);
        }
    }
}

/// Starts a jailed process, a child of the caller, which must have one thread.
pub fn begin(helper: &Helper, cgroup: &Cgroup, authority: Authority<'_>, network: Network<'_>) -> Result<Starting> {
    begin_on(Terms { authority, clocks: None }, helper, cgroup, network)
}

fn begin_on(terms: Terms<'_>, helper: &Helper, cgroup: &Cgroup, network: Network<'_>) -> Result<Starting> {
    match network {
        Network::Of(Some(other)) => within(
            || join(other.pid, CloneFlags::NEWNET).at("join the monitor's network namespace"),
            || clone_into(terms, helper, cgroup, JAIL),
        ),
        Network::Given(file) => within(
            || setns(file, CloneFlags::NEWNET).at("join the sandbox's network namespace"),
            || clone_into(terms, helper, cgroup, JAIL),
        ),
        Network::Own | Network::Of(None) => clone_into(terms, helper, cgroup, JAIL | CloneFlags::NEWNET),
    }
}

/// The same with no authority and clocks of its own, and before the v1 groups are made, for a helper that waits at a
/// [`crate::gate::Gate`] for them.
pub fn begin_early(helper: &Helper, cgroup: &Cgroup, clocks: Start, network: &OwnedFd) -> Result<Starting> {
    let terms = Terms { authority: Authority::Nothing, clocks: Some(clocks) };
    begin_on(terms, helper, &cgroup.without_v1(), Network::Given(network.as_fd()))
}

/// New namespaces of every jail.
const JAIL: CloneFlags = CloneFlags::NEWUSER
    .union(CloneFlags::NEWNS)
    .union(CloneFlags::NEWPID)
    .union(CloneFlags::NEWIPC)
    .union(CloneFlags::NEWUTS);

/// The caller, which may join any namespace of its children, is in another network namespace as long as this takes.
fn within<T>(enter: impl FnOnce() -> Result<()>, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let home = open_network()?;
    enter()?;
    let done = act();
    setns(home, CloneFlags::NEWNET).at("go back to the own network namespace")?;
    done
}

fn clone_into(terms: Terms<'_>, helper: &Helper, cgroup: &Cgroup, flags: CloneFlags) -> Result<Starting> {
    let (ours, theirs) = Channel::pair()?;
    let target = cgroup.clone_target()?;
    let joiner = cgroup.joiner()?;
    let pid = clone3(flags, target.as_ref().map(AsFd::as_fd), || -> Infallible {
        ours.close_copy();
        let joined = joiner.join().at("join the monitor's cgroup");
        let Err(error) = joined.and_then(|()| run(terms, helper, &theirs));
        let _ = theirs.send(&Message::Failed(error.into()));
        exit(1)
    })
    .at("clone the monitor")?;
    drop(theirs);
    let starting = Starting::new(pid, ours);
    release(pid, terms.authority, &starting.channel)?;
    Ok(starting)
}

/// The same, in a network namespace of its own, until the program runs; its host pid.
pub fn spawn(helper: &Helper, cgroup: &Cgroup, authority: Authority<'_>) -> Result<u32> {
    begin(helper, cgroup, authority, Network::Own)?.wait()
}

fn release(pid: u32, authority: Authority<'_>, channel: &Channel) -> Result<()> {
    let host = FIRST_UID.checked_add(pid).ok_or_else(|| Error::Other("the pid gives no uid".into()))?;
    let maps = authority.maps(host)?;
    maps.write(pid)?;
    let (uid, gid) = authority.user(&maps, host);
    channel.send(&Message::Become { uid, gid })
}

/// In the clone; returns only to say why it failed.
fn run(Terms { authority, clocks }: Terms<'_>, helper: &Helper, channel: &Channel) -> Result<Infallible> {
    // The host's /proc is there, and the files of this process in it are still its own.
    clocks.map_or(Ok(()), clocks::enter_new)?;
    let Some(Message::Become { uid, gid }) = channel.receive()? else {
        return Err(Error::Other("the runtime process gave up".into()));
    };
    rustix::process::setsid().at("make a session")?;
    reset_signals().at("reset signals")?;
    become_user(uid, gid)?;
    let ready = helper.prepare(channel)?;
    root::enter(authority.places())?;
    if matches!(authority, Authority::Shares(_)) {
        raise_descriptor_limit()?;
    }
    give_up_capabilities(authority.kept())?;
    ready.run()
}

/// It holds a descriptor for each file that a guest knows.
fn raise_descriptor_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).at("raise the limit of open files")
}

/// Makes what a jailed process has at a place of its root read-only: it could be written to as long as its mount points
/// were made. `pid` is the process's.
pub fn seal(pid: u32, place: &Place) -> Result<()> {
    let (ours, theirs) = Channel::pair()?;
    let child = clone3(CloneFlags::empty(), None, || -> Infallible {
        ours.close_copy();
        if let Err(error) = seal_in(pid, place) {
            let _ = theirs.send(&Message::Failed(error.into()));
        }
        exit(0)
    })
    .at("clone the caller")?;
    drop(theirs);
    let answer = ours.receive();
    reap(child);
    match answer? {
        None => Ok(()),
        Some(Message::Failed(failure)) => Err(failure.into()),
        Some(_) => Err(Error::Other("the sealing process answered nonsense".into())),
    }
}

/// Files that were written to a moment ago may still be on their way to be closed.
fn seal_in(pid: u32, place: &Place) -> Result<()> {
    join(pid, CloneFlags::NEWNS).at("join the file server's mounts")?;
    let sealed = Change { set: MountAttr::RDONLY, ..Change::default() };
    let mut tries = 0..SEAL_TRIES;
    loop {
        match set_attributes(place, Depth::All, &sealed) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && tries.next().is_some() => {
                std::thread::sleep(SEAL_PAUSE);
            }
            done => return done.at("make a shared root read-only"),
        }
    }
}

/// Keeps all capabilities, for the moment.
fn become_user(uid: u32, gid: u32) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_keep_capabilities(true).at("keep capabilities")?;
    set_thread_groups(&[]).at("leave all groups")?;
    set_thread_res_gid(gid, gid, gid).at("take on the jail's gid")?;
    set_thread_res_uid(uid, uid, uid).at("take on the jail's uid")?;
    let sets = capabilities(None).at("read capabilities")?;
    set_capabilities(None, CapabilitySets { effective: sets.permitted, ..sets }).at("use capabilities again")
}

fn give_up_capabilities(kept: CapabilitySet) -> Result<()> {
    for bit in (0..64).filter(|bit| kept.bits() & (1 << bit) == 0) {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit)) {
            // Above the last capability that the host knows.
            Err(rustix::io::Errno::INVAL) => break,
            answer => answer.at("empty the bounding set")?,
        }
    }
    clear_ambient_capability_set().at("clear ambient capabilities")?;
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: kept })
        .at("give up capabilities")?;
    for bit in kept.iter() {
        configure_capability_in_ambient_set(bit, true).at("keep a capability beyond exec")?;
    }
    set_no_new_privs(true).at("set no_new_privs")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).at("forbid core dumps")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use super::*;

    fn open(path: &str) -> OwnedFd {
        fs::File::open(path).expect("open a file").into()
    }

    fn helper(program: &str, arguments: &[&str], descriptors: Vec<OwnedFd>) -> Helper {
        Helper {
            program: open(program),
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            environment: Vec::new(),
            streams: [open("/dev/null"), open("/dev/null"), open("/dev/null")],
            descriptors,
        }
    }

    /// What a static program writes to descriptor 3 of its jail.
    fn look_around(script: &str, authority: Authority<'_>) -> String {
        look_around_on(Terms { authority, clocks: None }, script)
    }

    fn look_around_on(terms: Terms<'_>, script: &str) -> String {
        let (reader, writer) = std::io::pipe().expect("make a pipe");
        let helper = helper("/usr/bin/busybox", &["sh", "-c", script], vec![writer.into()]);
        let starting = begin_on(terms, &helper, &Cgroup::none(), Network::Own).expect("begin");
        let pid = starting.wait().expect("wait");
        drop(helper);
        let mut said = String::new();
        std::io::BufReader::new(reader).read_to_string(&mut said).expect("read what it said");
        crate::pid::reap(pid);
        said
    }

    #[test]
    fn a_jailed_program_sees_nothing_and_may_nothing() {
        let script = "exec 2>&3; echo /* >&3; echo $$ >&3; id -u >&3; echo x > /file; ip link add d type dummy";
        let said = look_around(script, Authority::Nothing);
        assert!(said.contains("/proc\n1\n1\n"), "{said}");
        assert!(said.contains("Read-only file system") && said.contains("Operation not permitted"), "{said}");
    }

    #[test]
    fn clocks_begin_where_they_are_told_to() {
        let uptime = |seconds| {
            let start = Start { monotonic: Duration::ZERO, boottime: Duration::from_secs(seconds) };
            let terms = Terms { authority: Authority::Nothing, clocks: Some(start) };
            let said = look_around_on(terms, "cat /proc/uptime >&3");
            let seconds = said.split('.').next().expect("seconds");
            seconds.parse::<u64>().expect("a number")
        };
        let check = |wanted: u64| assert!((wanted..wanted + 60).contains(&uptime(wanted)), "{wanted}");
        [0, 5, 1 << 32].into_iter().for_each(check);
    }

    #[test]
    fn a_file_server_keeps_what_files_take() {
        let script =
            "exec 2>&3; grep -E '^(Cap|Uid|Groups|NoNewPrivs)' /proc/self/status >&3; cat /proc/self/uid_map >&3";
        let said = look_around(script, Authority::Files(&Spec::default()));
        // CHOWN, DAC_OVERRIDE, FOWNER, FSETID and SETFCAP.
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert!(said.contains(&format!("{set}:\t000000008000001b\n")), "{said}");
        }
        assert!(said.contains("NoNewPrivs:\t1\n") && said.contains("Groups:\t \n"), "{said}");
        let uid = said.lines().find_map(|line| line.strip_prefix("Uid:\t")?.split('\t').next()?.parse::<u32>().ok());
        assert!(uid.is_some_and(|uid| uid > FIRST_UID), "{said}");
        let map = said.lines().last().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
        assert!(map.is_some_and(|map| map[0] == map[1]), "{said}");
    }

    fn place(at: &str, source: &Path) -> Place {
        Place::new(Path::new(at), crate::root::clone_tree(source, Depth::All).expect("a tree")).expect("a place")
    }

    /// Root of a user namespace, as which it may act as others and come back; nothing but its places is there.
    #[test]
    fn another_file_server_has_its_places_and_acts_as_others() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("file"), "shown").expect("write");
        let script = "exec 2>&3; echo /* /deep/* >&3; cat /single >&3; grep -E '^Cap(Prm|Bnd)' /proc/self/status >&3
            echo x > /share/new; /share/busybox chown 12:13 /share/new; chroot /share ./busybox id -u >&3
            ls /proc /processes | grep -c sys >&3; ulimit -n >&3";
        fs::copy("/usr/bin/busybox", dir.path().join("busybox")).expect("copy");
        let places =
            [place("/share", dir.path()), place("/deep/place", dir.path()), place("/single", &dir.path().join("file"))];
        let said = look_around(script, Authority::Shares(&[&places]));
        assert!(said.starts_with("/deep /proc /processes /share /single /deep/place\nshown"), "{said}");
        // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID, SETPCAP, SYS_CHROOT and SETFCAP.
        assert!(said.contains("CapPrm:\t00000000800401db\nCapBnd:\t00000000800401db\n0\n0\n"), "{said}");
        let hard = getrlimit(Resource::Nofile).maximum.map(|limit| limit.to_string());
        assert_eq!(said.lines().last(), Some(hard.as_deref().unwrap_or("unlimited")), "{said}");
        let made = std::os::unix::fs::MetadataExt::uid(&fs::metadata(dir.path().join("new")).expect("made"));
        assert_eq!(made, 12);
    }

    #[test]
    fn a_place_is_sealed_while_it_is_used() {
        let dir = tempfile::tempdir().expect("a directory");
        let places = [place("/share", dir.path())];
        let script = "until [ -e /share/go ]; do sleep 0.01; done; echo x > /share/late";
        let server = helper("/usr/bin/busybox", &["sh", "-c", script], Vec::new());
        let pid = spawn(&server, &Cgroup::none(), Authority::Shares(&[&places])).expect("spawn");
        seal(pid, &places[0]).expect("sealed");
        fs::write(dir.path().join("go"), "").expect("write");
        crate::pid::reap(pid);
        assert!(!dir.path().join("late").exists());
    }

    #[test]
    fn a_second_jail_can_be_in_the_network_of_the_first() {
        let own = || fs::read_link("/proc/self/ns/net").expect("read a link");
        let (before, sleeper) = (own(), || helper("/usr/bin/busybox", &["sleep", "1000"], Vec::new()));
        let begin = |network| begin(&sleeper(), &Cgroup::none(), Authority::Nothing, network).expect("begin");
        let first = begin(Network::Own);
        let (second, third) = (begin(Network::Of(Some(&first))), begin(Network::Of(None)));
        let of = |jail: &Starting| fs::read_link(format!("/proc/{}/ns/net", jail.pid())).expect("read a link");
        assert_eq!(own(), before);
        assert_eq!(of(&first), of(&second));
        assert!(of(&first) != before && of(&third) != of(&first) && of(&third) != before);
        let inode = |file: &OwnedFd| rustix::fs::fstat(file).expect("look").st_ino;
        let made = [new_network(), NewNetwork::begin().and_then(NewNetwork::wait)];
        let made = made.map(|network| network.expect("a namespace"));
        for given in &made {
            let fourth = begin(Network::Given(given.as_fd()));
            assert!(of(&fourth).to_string_lossy().contains(&inode(given).to_string()) && own() == before);
            assert!(![of(&first), of(&third), before.clone()].contains(&of(&fourth)));
        }
    }

    #[test]
    fn what_fails_in_the_clone_is_told() {
        let error = spawn(&helper("/dev/null", &["none"], Vec::new()), &Cgroup::none(), Authority::Nothing);
        let error = error.expect_err("a device cannot run").to_string();
        assert!(error.starts_with("run the helper"), "{error}");
    }
}
