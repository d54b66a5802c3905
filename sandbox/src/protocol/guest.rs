//! What only a virtual machine's agent is asked: the machine's surroundings, roots on its disks, streams over vsock.
//!
//! Numbers of fields are for ever. [`Configure::check`] and the like hold the limits; either side may call them.

use prost::Message;

use super::FdRole;
use crate::{Error, Result};

/// The host listens here for the agent's control connection, on which the agent then serves.
pub const CONTROL_PORT: u32 = 1024;
/// The agent listens here for streams. Each begins with its id, eight bytes, big endian, chosen by the host.
pub const STREAM_PORT: u32 = 1025;
/// Streams of one process.
pub const STREAMS_MAX: usize = 16;
/// Partitions of one disk: what Linux can number.
pub const PARTS_MAX: usize = 255;
/// Shared directories of one machine.
pub const SHARES_MAX: usize = 64;
/// Network interfaces of one machine.
pub const INTERFACES_MAX: usize = 16;
/// Addresses of one interface.
pub const ADDRESSES_MAX: usize = 64;
/// Routes of one machine.
pub const ROUTES_MAX: usize = 512;
/// Neighbours that a machine is told of.
pub const NEIGHBOURS_MAX: usize = 512;
/// Bytes of entropy in one message.
pub const ENTROPY_BYTES_MAX: usize = 4096;

/// VIRTIO_BLK_ID_BYTES.
const SERIAL_BYTES_MAX: usize = 20;
/// A virtio-fs device's field.
const TAG_BYTES_MAX: usize = 36;
/// IFNAMSIZ, without the end.
const INTERFACE_BYTES_MAX: usize = 15;
/// HOST_NAME_MAX.
const HOSTNAME_BYTES_MAX: usize = 64;
/// PATH_MAX.
const PATH_BYTES_MAX: usize = 4095;
const MAC_BYTES: usize = 6;
const SECTOR_BYTES: u64 = 512;

/// [`super::Method::Configure`]: once after the machine's start, and once after it was restored from a snapshot.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Configure {
    /// Nanoseconds since 1970; 0 leaves the clock as it is.
    #[prost(uint64, tag = "1")]
    pub time_ns: u64,
    /// For the guest's random numbers.
    #[prost(bytes = "vec", tag = "2")]
    pub entropy: Vec<u8>,
    /// The machine's name; none when empty.
    #[prost(string, tag = "3")]
    pub hostname: String,
    /// All of the machine's network; it stays as it is when absent. Cards that are not in it leave the machine.
    #[prost(message, optional, tag = "4")]
    pub network: Option<GuestNetwork>,
    /// Directories of the host to mount.
    #[prost(message, repeated, tag = "5")]
    pub shares: Vec<Share>,
}

/// A directory of the host that the machine has as a virtio-fs device.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Share {
    /// The device's tag.
    #[prost(string, tag = "1")]
    pub tag: String,
}

/// Interfaces with their addresses, and routes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GuestNetwork {
    /// Interfaces; loopback is not among them and is always up.
    #[prost(message, repeated, tag = "1")]
    pub interfaces: Vec<GuestInterface>,
    /// Routes, in the order in which they can be added.
    #[prost(message, repeated, tag = "2")]
    pub routes: Vec<GuestRoute>,
    /// Neighbours that it need not ask for.
    #[prost(message, repeated, tag = "3")]
    pub neighbours: Vec<GuestNeighbour>,
}

/// One network interface.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GuestInterface {
    /// Its address, which finds the device: six bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub mac: Vec<u8>,
    /// What it is to be called.
    #[prost(string, tag = "2")]
    pub name: String,
    /// The largest packet; 0 leaves it as it is.
    #[prost(uint32, tag = "3")]
    pub mtu: u32,
    /// Addresses with their prefix lengths: `10.0.0.2/24`, `fd00::2/64`.
    #[prost(string, repeated, tag = "4")]
    pub addresses: Vec<String>,
    /// The address that the device came with, where `mac` is to take its place: six bytes.
    #[prost(bytes = "vec", tag = "5")]
    pub card: Vec<u8>,
}

/// One route.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GuestRoute {
    /// Where to, with its prefix length; everywhere when empty, and the family is the gateway's.
    #[prost(string, tag = "1")]
    pub destination: String,
    /// Through whom; directly when empty.
    #[prost(string, tag = "2")]
    pub gateway: String,
    /// The name of an interface in [`GuestNetwork::interfaces`].
    #[prost(string, tag = "3")]
    pub interface: String,
    /// The preferred source address; any when empty.
    #[prost(string, tag = "4")]
    pub source: String,
    /// RT_SCOPE_*, as rtnetlink(7) has it.
    #[prost(uint32, tag = "5")]
    pub scope: u32,
}

/// A neighbour's link-layer address, for ever.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GuestNeighbour {
    /// Its address.
    #[prost(string, tag = "1")]
    pub address: String,
    /// Six bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub mac: Vec<u8>,
    /// The name of an interface in [`GuestNetwork::interfaces`].
    #[prost(string, tag = "3")]
    pub interface: String,
}

/// A stream that the host has opened, or is about to: the agent waits for it for a while.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct StreamId {
    /// What it is to the process; a [`FdRole::Terminal`] is one stream for both directions.
    #[prost(enumeration = "FdRole", tag = "1")]
    pub role: i32,
    /// What it began with.
    #[prost(uint64, tag = "2")]
    pub id: u64,
}

/// Where a container's root comes from in a guest: image layers, or a shared directory.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GuestRoot {
    /// The serial of the disk that holds the layers, one after the other.
    #[prost(string, tag = "1")]
    pub disk: String,
    /// The layers on it, lowest first.
    #[prost(message, repeated, tag = "2")]
    pub parts: Vec<DiskPart>,
    /// What catches writes above layers.
    #[prost(message, optional, tag = "3")]
    pub upper: Option<GuestUpper>,
    /// The root itself, instead of layers.
    #[prost(message, optional, tag = "4")]
    pub directory: Option<SharePath>,
    /// Layers as files of a share, lowest first, instead of on a disk.
    #[prost(message, repeated, tag = "5")]
    pub blobs: Vec<SharePath>,
    /// Its disks came with the container, and leave the machine with it.
    #[prost(bool, tag = "6")]
    pub leave: bool,
}

/// A range of a disk, in whole sectors.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct DiskPart {
    /// Where it begins.
    #[prost(uint64, tag = "1")]
    pub offset_bytes: u64,
    /// How long it is.
    #[prost(uint64, tag = "2")]
    pub len_bytes: u64,
}

/// What catches writes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GuestUpper {
    /// The serial of a disk with an ext4 file system; memory of the guest when empty.
    #[prost(string, tag = "1")]
    pub disk: String,
    /// The limit of what is kept in memory; half the guest's memory when 0.
    #[prost(uint64, tag = "2")]
    pub size_bytes: u64,
    /// Whether what is written may be lost with the machine.
    #[prost(bool, tag = "3")]
    pub volatile: bool,
}

/// A path in a share.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SharePath {
    /// Which share.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// The path in it, relative; the share itself when empty.
    #[prost(string, tag = "2")]
    pub path: String,
}

/// What of a share a bind mount of the spec shows.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SharedMount {
    /// The mount's place in the spec's `mounts`, from 0.
    #[prost(uint32, tag = "1")]
    pub mount: u32,
    /// Its source.
    #[prost(message, optional, tag = "2")]
    pub source: Option<SharePath>,
}

/// [`super::Method::Shutdown`]: ends all processes, then the machine. It is answered before the machine is off.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Shutdown {
    /// How long processes have to end by themselves.
    #[prost(uint32, tag = "1")]
    pub grace_ms: u32,
}

/// [`super::Method::WaitOom`]: answered by an [`super::Event`] once more processes than `seen` were killed for lack of
/// memory, and by [`Error::NotFound`] once the container is gone.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct OomRequest {
    /// The container.
    #[prost(string, tag = "1")]
    pub id: String,
    /// How many the asker knows of.
    #[prost(uint64, tag = "2")]
    pub seen: u64,
}

impl Configure {
    /// Whether all of it is within the limits.
    pub fn check(&self) -> Result<()> {
        within("entropy", self.entropy.len(), ENTROPY_BYTES_MAX)?;
        within("hostname", self.hostname.len(), HOSTNAME_BYTES_MAX)?;
        within("shares", self.shares.len(), SHARES_MAX)?;
        self.shares.iter().try_for_each(|share| check_tag(&share.tag))?;
        self.network.as_ref().map_or(Ok(()), GuestNetwork::check)
    }
}

impl GuestNetwork {
    /// Whether all of it is within the limits.
    pub fn check(&self) -> Result<()> {
        within("interfaces", self.interfaces.len(), INTERFACES_MAX)?;
        within("routes", self.routes.len(), ROUTES_MAX)?;
        within("neighbours", self.neighbours.len(), NEIGHBOURS_MAX)?;
        self.interfaces.iter().try_for_each(|interface| {
            within("addresses", interface.addresses.len(), ADDRESSES_MAX)?;
            check_interface(&interface.name)?;
            refuse_unless(interface.mac.len() == MAC_BYTES, "mac of an interface has not six bytes")?;
            refuse_unless([0, MAC_BYTES].contains(&interface.card.len()), "card of an interface has not six bytes")
        })?;
        self.neighbours.iter().try_for_each(|neighbour| {
            check_interface(&neighbour.interface)?;
            refuse_unless(neighbour.mac.len() == MAC_BYTES, "mac of a neighbour has not six bytes")
        })?;
        self.routes.iter().try_for_each(|route| check_interface(&route.interface))
    }
}

impl StreamId {
    /// Whether the streams are one of each kind, and few; a terminal stands alone.
    pub fn check_all(streams: &[Self]) -> Result<()> {
        within("streams", streams.len(), STREAMS_MAX)?;
        let known = [FdRole::Stdin, FdRole::Stdout, FdRole::Stderr, FdRole::Terminal];
        for (index, stream) in streams.iter().enumerate() {
            let twice = streams[..index].iter().any(|other| other.role == stream.role || other.id == stream.id);
            refuse_unless(!twice && known.contains(&stream.role()), "streams: one each of a process's own")?;
        }
        let terminal = streams.iter().any(|stream| stream.role() == FdRole::Terminal);
        refuse_unless(!terminal || streams.len() == 1, "streams: a terminal is all of them")
    }
}

impl GuestRoot {
    /// Whether it says one thing, within the limits.
    pub fn check(&self) -> Result<()> {
        within("parts", self.parts.len(), PARTS_MAX)?;
        within("blobs", self.blobs.len(), PARTS_MAX)?;
        let sources =
            [!self.parts.is_empty(), !self.blobs.is_empty(), self.directory.is_some()].into_iter().filter(|is| *is);
        refuse_unless(sources.count() == 1, "root: parts of a disk, blobs, or a directory")?;
        refuse_unless(self.directory.is_some() || self.upper.is_some(), "root: layers need an upper")?;
        if !self.parts.is_empty() {
            check_serial(&self.disk)?;
        }
        if let Some(upper) = self.upper.as_ref().filter(|upper| !upper.disk.is_empty()) {
            check_serial(&upper.disk)?;
        }
        self.directory.iter().chain(&self.blobs).try_for_each(SharePath::check)?;
        self.parts.iter().try_for_each(DiskPart::check)
    }
}

impl DiskPart {
    fn check(&self) -> Result<()> {
        let aligned = self.offset_bytes.is_multiple_of(SECTOR_BYTES) && self.len_bytes.is_multiple_of(SECTOR_BYTES);
        let end = self.offset_bytes.checked_add(self.len_bytes).filter(|end| i64::try_from(*end).is_ok());
        refuse_unless(aligned && self.len_bytes > 0 && end.is_some(), "root: a part is no range of sectors")
    }
}

impl SharePath {
    /// Whether it stays in its share.
    pub fn check(&self) -> Result<()> {
        check_tag(&self.tag)?;
        within("path in a share", self.path.len(), PATH_BYTES_MAX)?;
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        let stays = self.path.is_empty() || self.path.split('/').all(plain);
        refuse_unless(stays, "a path in a share is relative and has no empty, . or .. part")
    }
}

fn check_tag(tag: &str) -> Result<()> {
    within("tag of a share", tag.len(), TAG_BYTES_MAX)?;
    refuse_unless(is_name(tag), "a share's tag is a name")
}

fn check_serial(serial: &str) -> Result<()> {
    within("serial of a disk", serial.len(), SERIAL_BYTES_MAX)?;
    refuse_unless(is_name(serial), "a disk's serial is a name")
}

fn check_interface(name: &str) -> Result<()> {
    within("name of an interface", name.len(), INTERFACE_BYTES_MAX)?;
    refuse_unless(is_name(name) && !name.contains(':'), "an interface's name is a name")
}

/// One component of a path that is neither special nor surprising.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
    !matches!(text, "" | "." | "..") && text.bytes().all(plain)
}

fn within(what: &str, len: usize, most: usize) -> Result<()> {
    refuse_unless(len <= most, &format!("{what}: {len} are more than {most}"))
}

fn refuse_unless(is_fine: bool, why: &str) -> Result<()> {
    if is_fine { Ok(()) } else { Err(Error::InvalidConfig(why.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(offset_bytes: u64, len_bytes: u64) -> DiskPart {
        DiskPart { offset_bytes, len_bytes }
    }

    fn share(path: &str) -> SharePath {
        SharePath { tag: "bundle".into(), path: path.into() }
    }

    #[test]
    fn a_root_is_one_thing() {
        let check = |root: GuestRoot, fine: bool| assert_eq!(root.check().is_ok(), fine, "{root:?}");
        let upper = Some(GuestUpper::default());
        let layers = GuestRoot { disk: "layers0".into(), parts: vec![part(0, 4096)], upper, ..GuestRoot::default() };
        check(layers.clone(), true);
        check(GuestRoot::default(), false);
        check(GuestRoot { upper: None, ..layers.clone() }, false);
        check(GuestRoot { disk: "a/b".into(), ..layers.clone() }, false);
        check(GuestRoot { disk: "x".repeat(21), ..layers.clone() }, false);
        check(GuestRoot { directory: Some(share("rootfs")), ..layers.clone() }, false);
        check(GuestRoot { directory: Some(share("rootfs")), ..GuestRoot::default() }, true);
        check(GuestRoot { parts: vec![part(0, 512); 256], ..layers.clone() }, false);
        for bad in [part(1, 512), part(0, 0), part(0, 100), part(u64::MAX - 511, 512), part(1 << 63, 512)] {
            check(GuestRoot { parts: vec![bad], ..layers.clone() }, false);
        }
    }

    #[test]
    fn a_path_stays_in_its_share() {
        let check = |path: &str, fine: bool| assert_eq!(share(path).check().is_ok(), fine, "{path}");
        ["", "a", "a/b", "..a"].iter().for_each(|path| check(path, true));
        ["/", "/a", "a/", "a//b", "..", "a/../b", ".", "a\0"].iter().for_each(|path| check(path, false));
    }

    #[test]
    fn streams_are_a_processs_own() {
        let check = |streams: &[(FdRole, u64)], fine: bool| {
            let streams: Vec<_> = streams.iter().map(|&(role, id)| StreamId { role: role.into(), id }).collect();
            assert_eq!(StreamId::check_all(&streams).is_ok(), fine, "{streams:?}");
        };
        check(&[], true);
        check(&[(FdRole::Stdin, 1), (FdRole::Stdout, 2), (FdRole::Stderr, 3)], true);
        check(&[(FdRole::Terminal, 7)], true);
        check(&[(FdRole::Terminal, 7), (FdRole::Stdout, 8)], false);
        check(&[(FdRole::Stdout, 1), (FdRole::Stdout, 2)], false);
        check(&[(FdRole::Stdout, 1), (FdRole::Stderr, 1)], false);
        check(&[(FdRole::Layer, 1)], false);
    }

    #[test]
    fn surroundings_have_limits() {
        let check = |configure: Configure, fine: bool| assert_eq!(configure.check().is_ok(), fine, "{configure:?}");
        let card = GuestInterface { mac: vec![2; 6], name: "eth0".into(), mtu: 1500, ..GuestInterface::default() };
        let with = |interfaces: Vec<GuestInterface>| Configure {
            network: Some(GuestNetwork { interfaces, ..GuestNetwork::default() }),
            ..Configure::default()
        };
        check(Configure::default(), true);
        check(with(vec![card.clone()]), true);
        check(with(vec![card.clone(); 17]), false);
        check(with(vec![GuestInterface { mac: vec![2; 5], ..card.clone() }]), false);
        check(with(vec![GuestInterface { card: vec![2; 5], ..card.clone() }]), false);
        check(with(vec![GuestInterface { card: vec![2; 6], ..card.clone() }]), true);
        check(with(vec![GuestInterface { name: "a/b".into(), ..card.clone() }]), false);
        check(with(vec![GuestInterface { name: "x".repeat(16), ..card }]), false);
        check(Configure { entropy: vec![0; 4097], ..Configure::default() }, false);
        check(Configure { shares: vec![Share { tag: "../etc".into() }], ..Configure::default() }, false);
    }
}
