//! /sys/devices/system/cpu: one package with a core for each processor that the sandbox has.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::link;
use crate::Errno;
use crate::fs::synthetic::{Directory, Entry, Listed, Names, Node, Opener, Subject, Synthetic, Text, number_below};
use crate::fs::system::{System, all_cpus, list_text, mask_text};
use crate::vfs::{FileKind, Inode, Timestamp};

/// What the directory of one processor tells about.
#[derive(Clone, Debug)]
struct Processor {
    system: System,
    number: u32,
}

impl Subject for Processor {
    fn time(&self) -> Timestamp {
        self.system.time()
    }

    fn file_bytes(&self) -> u64 {
        self.system.file_bytes()
    }

    fn directory_permissions(&self) -> u32 {
        self.system.directory_permissions()
    }
}

pub(super) static CPU: Directory<System> = Directory {
    entries: &[
        Entry::constant("isolated", "\n"),
        Entry::constant("kernel_max", "63\n"),
        Entry::constant("modalias", "\n"),
        Entry::constant("offline", "\n"),
        Entry::text("online", |system, _| list(all_cpus(system.kernel.cpus()))),
        Entry::text("possible", |system, _| list(all_cpus(system.kernel.cpus()))),
        Entry::text("present", |system, _| list(all_cpus(system.kernel.cpus()))),
        Entry::directory("smt", &SMT),
        Entry::constant("uevent", "").mode(0o644),
        Entry::directory("vulnerabilities", &Directory::of(&[])),
    ],
    names: Some(Names { lookup: find, list: list_processors }),
};

static SMT: Directory<System> =
    Directory::of(&[Entry::constant("active", "0\n"), Entry::constant("control", "notsupported\n").mode(0o644)]);

/// /sys/bus/cpu/devices: a link for each.
pub(super) static BUS_DEVICES: Directory<System> = Directory::listing(Names { lookup: find_link, list: list_links });

static LINK: Node<Processor> =
    Node::Link(|processor, _| link(&alloc::format!("../../../devices/system/cpu/cpu{}", processor.number)));

static PROCESSOR: Node<Processor> = Node::Directory(&Directory::of(&[
    Entry::directory("cache", &CACHE),
    Entry::link("node0", |_, _| link("../../node/node0")),
    Entry::constant("online", "1\n").mode(0o644),
    Entry::link("subsystem", |_, _| link("../../../../bus/cpu")),
    Entry::directory("topology", &TOPOLOGY),
    Entry::constant("uevent", "DRIVER=processor\n").mode(0o644),
]));

static CACHE: Directory<Processor> = Directory::of(&[Entry::constant("uevent", "").mode(0o644)]);

static TOPOLOGY: Directory<Processor> = Directory::of(&[
    Entry::text("cluster_cpus", |processor, _| mask(processor, own(processor))),
    Entry::text("cluster_cpus_list", |processor, _| list(own(processor))),
    Entry::constant("cluster_id", "65535\n"),
    Entry::text("core_cpus", |processor, _| mask(processor, own(processor))),
    Entry::text("core_cpus_list", |processor, _| list(own(processor))),
    Entry::text("core_id", |processor, _| line(processor.number)),
    Entry::text("core_siblings", |processor, _| mask(processor, all(processor))),
    Entry::text("core_siblings_list", |processor, _| list(all(processor))),
    Entry::text("die_cpus", |processor, _| mask(processor, all(processor))),
    Entry::text("die_cpus_list", |processor, _| list(all(processor))),
    Entry::constant("die_id", "0\n"),
    Entry::text("package_cpus", |processor, _| mask(processor, all(processor))),
    Entry::text("package_cpus_list", |processor, _| list(all(processor))),
    Entry::constant("physical_package_id", "0\n"),
    Entry::text("thread_siblings", |processor, _| mask(processor, own(processor))),
    Entry::text("thread_siblings_list", |processor, _| list(own(processor))),
]);

fn own(processor: &Processor) -> u64 {
    1_u64.checked_shl(processor.number).unwrap_or(0)
}

fn all(processor: &Processor) -> u64 {
    all_cpus(processor.system.kernel.cpus())
}

fn line(value: u32) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    writeln!(text, "{value}");
    text.finish()
}

/// A set of processors as a list.
pub(super) fn list(bits: u64) -> Result<Vec<u8>, Errno> {
    let mut text = list_text(bits);
    text.bytes(b"\n");
    text.finish()
}

fn mask(processor: &Processor, bits: u64) -> Result<Vec<u8>, Errno> {
    let mut text = mask_text(bits, processor.system.kernel.cpus());
    text.bytes(b"\n");
    text.finish()
}

fn processor(system: &System, name: &[u8]) -> Result<Processor, Errno> {
    let digits = name.strip_prefix(b"cpu").and_then(|digits| core::str::from_utf8(digits).ok()).ok_or(Errno::ENOENT)?;
    let number = digits.parse().ok().filter(|number| *number < system.kernel.cpus()).ok_or(Errno::ENOENT)?;
    let canonical = alloc::format!("{number}") == digits;
    if canonical { Ok(Processor { system: system.clone(), number }) } else { Err(Errno::ENOENT) }
}

fn find(system: &System, directory: u64, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
    Ok(Synthetic::inode(processor(system, name)?, &PROCESSOR, 0o755, number_below(directory, name)))
}

fn find_link(system: &System, directory: u64, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
    Ok(Synthetic::inode(processor(system, name)?, &LINK, 0o777, number_below(directory, name)))
}

fn list_processors(system: &System, directory: u64, _: &Opener) -> Result<Vec<Listed>, Errno> {
    Ok(names(system, directory, FileKind::Directory))
}

fn list_links(system: &System, directory: u64, _: &Opener) -> Result<Vec<Listed>, Errno> {
    Ok(names(system, directory, FileKind::Symlink))
}

fn names(system: &System, directory: u64, kind: FileKind) -> Vec<Listed> {
    let listed = |number: u32| {
        let name = alloc::format!("cpu{number}").into_bytes();
        Listed { number: number_below(directory, &name), name, kind, at: number.into() }
    };
    (0..system.kernel.cpus()).map(listed).collect()
}
