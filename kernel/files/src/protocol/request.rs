//! What the client asks for.

use super::codec::{Reader, Writer};
use super::{FORGOTTEN_MAX, NAME_BYTES_MAX, TARGET_BYTES_MAX, VALUE_BYTES_MAX};

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MakeKind<'a> {
    /// An empty file; a descriptor of it comes with the answer.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link to this.
    Symlink(&'a [u8]),
    /// A named pipe.
    Fifo,
    /// The name of a socket.
    Socket,
    /// What overlays call a whiteout.
    Whiteout,
}

/// A file to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Make<'a> {
    /// What.
    pub kind: MakeKind<'a>,
    /// Permission bits, exactly.
    pub permissions: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// A name of anything but a directory.
    Name,
    /// An empty directory.
    Directory,
}

/// What a rename does about a file that has the new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameHow {
    /// Replaces it.
    Replace,
    /// Swaps the two.
    Exchange,
    /// Replaces it and leaves a whiteout.
    Whiteout,
}

/// What setting an attribute does about a value that is there, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetXattr {
    /// Creates or replaces.
    Any,
    /// There must be none.
    Create,
    /// There must be one.
    Replace,
}

/// Seconds and nanoseconds since 1970.
pub type Time = (i64, u32);

/// Times to be set; those that are `None` stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Last read.
    pub atime: Option<Time>,
    /// Last write.
    pub mtime: Option<Time>,
}

/// A request. Names are one part of a path; nodes are numbers from answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each request says what its fields are for")]
pub enum Request<'a> {
    /// Lets nodes and listings go. There is no answer.
    Forget(Vec<u32>),
    /// [`super::Attributes`].
    Attributes {
        node: u32,
    },
    /// [`super::Entry`].
    Lookup {
        directory: u32,
        name: &'a [u8],
    },
    /// A descriptor of a regular file.
    Open {
        node: u32,
        access: Access,
    },
    /// [`super::Entry`], and a descriptor of a regular file.
    Make {
        directory: u32,
        name: &'a [u8],
        make: Make<'a>,
    },
    /// The same for a regular file without a name.
    MakeUnnamed {
        directory: u32,
        permissions: u32,
        uid: u32,
        gid: u32,
    },
    Link {
        node: u32,
        directory: u32,
        name: &'a [u8],
    },
    Remove {
        directory: u32,
        name: &'a [u8],
        what: Removal,
    },
    Rename {
        directory: u32,
        name: &'a [u8],
        to: u32,
        to_name: &'a [u8],
        how: RenameHow,
    },
    /// The target of a symbolic link.
    ReadLink {
        node: u32,
    },
    SetMode {
        node: u32,
        permissions: u32,
    },
    SetOwner {
        node: u32,
        uid: Option<u32>,
        gid: Option<u32>,
    },
    SetTimes {
        node: u32,
        times: Times,
    },
    /// The number of a new listing of a directory, none if what follows is all; then [`super::Listed`] entries.
    List {
        node: u32,
    },
    /// More of them from a position on; none at the end.
    ReadListing {
        listing: u32,
        at: u64,
    },
    /// A value.
    Xattr {
        node: u32,
        name: &'a [u8],
    },
    /// Names, each with a NUL.
    Xattrs {
        node: u32,
    },
    SetXattr {
        node: u32,
        name: &'a [u8],
        value: &'a [u8],
        how: SetXattr,
    },
    RemoveXattr {
        node: u32,
        name: &'a [u8],
    },
    /// [`super::FileSystem`].
    FileSystem,
    /// Makes a directory or file last.
    Sync {
        node: u32,
    },
    /// Nothing is changed from now on, whoever asks.
    Seal,
}

impl<'a> Request<'a> {
    /// The packet.
    pub fn encode(&self, out: &mut Writer) {
        match *self {
            Self::Forget(ref nodes) => {
                head(out, 0, u32::try_from(nodes.len()).expect("few nodes"));
                nodes.iter().for_each(|node| out.u32(*node));
            }
            Self::Attributes { node } => head(out, 1, node),
            Self::Lookup { directory, name } => named(out, 2, directory, name),
            Self::Open { node, access } => {
                head(out, 3, node);
                out.u8(u8::from(access == Access::ReadWrite));
            }
            Self::Make { directory, name, ref make } => {
                named(out, 4, directory, name);
                encode_make(out, make);
            }
            Self::MakeUnnamed { directory, permissions, uid, gid } => {
                head(out, 5, directory);
                [permissions, uid, gid].into_iter().for_each(|word| out.u32(word));
            }
            Self::Link { node, directory, name } => {
                named(out, 6, directory, name);
                out.u32(node);
            }
            Self::Remove { directory, name, what } => {
                named(out, 7, directory, name);
                out.u8(u8::from(what == Removal::Directory));
            }
            Self::Rename { directory, name, to, to_name, how } => {
                named(out, 8, directory, name);
                out.u32(to);
                out.bytes(to_name);
                out.u8(how as u8);
            }
            Self::ReadLink { node } => head(out, 9, node),
            Self::SetMode { node, permissions } => {
                head(out, 10, node);
                out.u32(permissions);
            }
            Self::SetOwner { node, uid, gid } => {
                head(out, 11, node);
                out.optional(uid, Writer::u32);
                out.optional(gid, Writer::u32);
            }
            Self::SetTimes { node, times } => {
                head(out, 12, node);
                out.optional(times.atime, encode_time);
                out.optional(times.mtime, encode_time);
            }
            Self::List { node } => head(out, 13, node),
            Self::ReadListing { listing, at } => {
                head(out, 14, listing);
                out.u64(at);
            }
            Self::Xattr { node, name } => named(out, 15, node, name),
            Self::Xattrs { node } => head(out, 16, node),
            Self::SetXattr { node, name, value, how } => {
                named(out, 17, node, name);
                out.bytes(value);
                out.u8(how as u8);
            }
            Self::RemoveXattr { node, name } => named(out, 18, node, name),
            Self::FileSystem => head(out, 19, 0),
            Self::Sync { node } => head(out, 20, node),
            Self::Seal => head(out, 21, 0),
        }
    }

    /// From a packet; `None` when it is no request.
    pub fn decode(packet: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(packet);
        let (tag, first) = (reader.u8()?, reader.u32()?);
        let request = Self::decode_rest(tag, first, &mut reader)?;
        reader.end()?;
        Some(request)
    }

    fn decode_rest(tag: u8, first: u32, reader: &mut Reader<'a>) -> Option<Self> {
        let (node, directory) = (first, first);
        Some(match tag {
            0 => Self::Forget(decode_nodes(first, reader)?),
            1 => Self::Attributes { node },
            2 => Self::Lookup { directory, name: name(reader)? },
            3 => Self::Open { node, access: choice(reader, &[Access::Read, Access::ReadWrite])? },
            4 => Self::Make { directory, name: name(reader)?, make: decode_make(reader)? },
            5 => Self::MakeUnnamed { directory, permissions: reader.u32()?, uid: reader.u32()?, gid: reader.u32()? },
            6 => Self::Link { directory, name: name(reader)?, node: reader.u32()? },
            7 => {
                let name = name(reader)?;
                Self::Remove { directory, name, what: choice(reader, &[Removal::Name, Removal::Directory])? }
            }
            8 => decode_rename(directory, reader)?,
            9 => Self::ReadLink { node },
            10 => Self::SetMode { node, permissions: reader.u32()? },
            11 => Self::SetOwner { node, uid: reader.optional(Reader::u32)?, gid: reader.optional(Reader::u32)? },
            12 => {
                let (atime, mtime) = (reader.optional(decode_time)?, reader.optional(decode_time)?);
                Self::SetTimes { node, times: Times { atime, mtime } }
            }
            13 => Self::List { node },
            14 => Self::ReadListing { listing: first, at: reader.u64()? },
            15 => Self::Xattr { node, name: name(reader)? },
            16 => Self::Xattrs { node },
            17 => decode_set_xattr(node, reader)?,
            18 => Self::RemoveXattr { node, name: name(reader)? },
            19 => Self::FileSystem,
            20 => Self::Sync { node },
            21 => Self::Seal,
            _ => return None,
        })
    }
}

fn head(out: &mut Writer, tag: u8, first: u32) {
    out.u8(tag);
    out.u32(first);
}

fn named(out: &mut Writer, tag: u8, first: u32, name: &[u8]) {
    head(out, tag, first);
    out.bytes(name);
}

fn name<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    reader.bytes().filter(|name| name.len() <= NAME_BYTES_MAX)
}

fn choice<T: Copy>(reader: &mut Reader<'_>, all: &[T]) -> Option<T> {
    all.get(usize::from(reader.u8()?)).copied()
}

fn decode_nodes(count: u32, reader: &mut Reader<'_>) -> Option<Vec<u32>> {
    let count = usize::try_from(count).ok().filter(|count| *count <= FORGOTTEN_MAX)?;
    (0..count).map(|_| reader.u32()).collect()
}

fn decode_rename<'a>(directory: u32, reader: &mut Reader<'a>) -> Option<Request<'a>> {
    const HOW: [RenameHow; 3] = [RenameHow::Replace, RenameHow::Exchange, RenameHow::Whiteout];
    let (from, to) = (name(reader)?, reader.u32()?);
    Some(Request::Rename { directory, name: from, to, to_name: name(reader)?, how: choice(reader, &HOW)? })
}

fn decode_set_xattr<'a>(node: u32, reader: &mut Reader<'a>) -> Option<Request<'a>> {
    const HOW: [SetXattr; 3] = [SetXattr::Any, SetXattr::Create, SetXattr::Replace];
    let name = name(reader)?;
    let value = reader.bytes().filter(|value| value.len() <= VALUE_BYTES_MAX)?;
    Some(Request::SetXattr { node, name, value, how: choice(reader, &HOW)? })
}

fn encode_make(out: &mut Writer, make: &Make<'_>) {
    out.u8(match make.kind {
        MakeKind::Regular => 0,
        MakeKind::Directory => 1,
        MakeKind::Symlink(_) => 2,
        MakeKind::Fifo => 3,
        MakeKind::Socket => 4,
        MakeKind::Whiteout => 5,
    });
    if let MakeKind::Symlink(target) = make.kind {
        out.bytes(target);
    }
    [make.permissions, make.uid, make.gid].into_iter().for_each(|word| out.u32(word));
}

fn decode_make<'a>(reader: &mut Reader<'a>) -> Option<Make<'a>> {
    let kind = match reader.u8()? {
        0 => MakeKind::Regular,
        1 => MakeKind::Directory,
        2 => MakeKind::Symlink(reader.bytes().filter(|target| target.len() <= TARGET_BYTES_MAX)?),
        3 => MakeKind::Fifo,
        4 => MakeKind::Socket,
        5 => MakeKind::Whiteout,
        _ => return None,
    };
    Some(Make { kind, permissions: reader.u32()?, uid: reader.u32()?, gid: reader.u32()? })
}

pub(super) fn encode_time(out: &mut Writer, (secs, nanos): Time) {
    out.i64(secs);
    out.u32(nanos);
}

pub(super) fn decode_time(reader: &mut Reader<'_>) -> Option<Time> {
    let time = (reader.i64()?, reader.u32()?);
    (time.1 < 1_000_000_000).then_some(time)
}
