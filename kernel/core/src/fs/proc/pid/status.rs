//! /proc/PID/status (proc_pid_status(5)).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::stat::{Kinship, code_range};
use super::{PidSubject, settings};
use crate::Errno;
use crate::fs::synthetic::{Opener, Text};
use crate::fs::system::{all_cpus, list_text, mask_text};
use crate::mm::PAGE;
use crate::task::{Credentials, HugePages, Process, Resource, Task};

/// `MAX_NUMNODES` of Debian's kernels.
const NODES: u32 = 1024;

/// /proc/PID/status
pub(super) fn status(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let process = subject.process()?;
    let task = subject.task().ok();
    let kinship = Kinship::of(&process)?;
    let mut text = Text::new();
    text.bytes(b"Name:\t").escaped(&settings::name(&process, task.as_ref()), b"\n\\").bytes(b"\n");
    if let Some(task) = &task {
        writeln!(text, "Umask:\t{:04o}", task.fs().umask());
    }
    writeln!(text, "State:\t{}", state(kinship.letter(task.as_ref())));
    ids(&mut text, subject, &process, &kinship)?;
    owner(&mut text, &process, task.as_ref());
    namespace_ids(&mut text, subject, &process, &kinship)?;
    if let Some(task) = &task {
        memory(&mut text, task);
    }
    let huge = task.as_ref().is_none_or(|task| task.settings.lock().huge_pages == HugePages::Allowed);
    writeln!(text, "CoreDumping:\t0\nTHP_enabled:\t{}\nuntag_mask:\t0xffffffffffffffff", u8::from(huge));
    writeln!(text, "Threads:\t{}", process.task_count());
    signals(&mut text, &process, task.as_ref());
    capabilities(&mut text, &credentials(&process, task.as_ref()));
    placement(&mut text, subject, task.as_ref());
    let counts = task.as_ref().map(|task| task.counts()).unwrap_or_default();
    writeln!(text, "voluntary_ctxt_switches:\t{}", counts.voluntary_switches);
    writeln!(text, "nonvoluntary_ctxt_switches:\t{}", counts.involuntary_switches);
    text.finish()
}

fn state(letter: char) -> &'static str {
    match letter {
        'R' => "R (running)",
        'S' => "S (sleeping)",
        'T' => "T (stopped)",
        'Z' => "Z (zombie)",
        _ => "X (dead)",
    }
}

fn ids(text: &mut Text, subject: &PidSubject, process: &Process, kinship: &Kinship) -> Result<(), Errno> {
    writeln!(text, "Tgid:\t{}\nNgid:\t0\nPid:\t{}", process.pid(), subject.id()?);
    writeln!(text, "PPid:\t{}\nTracerPid:\t0", kinship.parent);
    Ok(())
}

/// A zombie's are its user's, without power.
fn credentials(process: &Process, task: Option<&Arc<Task>>) -> Credentials {
    match task {
        Some(task) => (*task.credentials()).clone(),
        None => {
            let uid = process.uid();
            let none = crate::task::Capabilities::empty();
            Credentials { uid, euid: uid, suid: uid, fsuid: uid, ..Credentials::root(none) }
        }
    }
}

fn owner(text: &mut Text, process: &Process, task: Option<&Arc<Task>>) {
    let credentials = credentials(process, task);
    let Credentials { uid, euid, suid, fsuid, gid, egid, sgid, fsgid, .. } = credentials;
    writeln!(text, "Uid:\t{uid}\t{euid}\t{suid}\t{fsuid}");
    writeln!(text, "Gid:\t{gid}\t{egid}\t{sgid}\t{fsgid}");
    writeln!(text, "FDSize:\t{}", task.map_or(0, |task| table_size(task)));
    write!(text, "Groups:\t");
    for (index, group) in credentials.groups.iter().enumerate() {
        write!(text, "{}{group}", if index == 0 { "" } else { " " });
    }
    writeln!(text, " ");
}

/// Room in the table of descriptors: a power of two from 64 on.
fn table_size(task: &Task) -> usize {
    let used = task.files().all().last().map_or(0, |(fd, _)| usize::try_from(*fd).unwrap_or(0) + 1);
    used.next_power_of_two().max(64)
}

fn namespace_ids(text: &mut Text, subject: &PidSubject, process: &Process, kinship: &Kinship) -> Result<(), Errno> {
    writeln!(text, "NStgid:\t{}\nNSpid:\t{}", process.pid(), subject.id()?);
    writeln!(text, "NSpgid:\t{}\nNSsid:\t{}\nKthread:\t0", kinship.group, kinship.session);
    Ok(())
}

fn memory(text: &mut Text, task: &Task) {
    let memory = task.memory();
    let totals = memory.totals();
    let code = code_range(&memory);
    let own = (code.end - code.start).min(totals.text);
    let tables = (totals.resident / PAGE).div_ceil(512) * PAGE + 6 * PAGE;
    for (name, bytes) in [
        ("VmPeak", totals.peak),
        ("VmSize", totals.size),
        ("VmLck", totals.locked),
        ("VmPin", 0),
        ("VmHWM", memory.space().resident_peak_bytes().max(totals.resident)),
        ("VmRSS", totals.resident),
        ("RssAnon", totals.resident.saturating_sub(totals.shared)),
        ("RssFile", totals.shared),
        ("RssShmem", 0),
        ("VmData", totals.data),
        ("VmStk", totals.stack),
        ("VmExe", own),
        ("VmLib", totals.text - own),
        ("VmPTE", tables),
        ("VmSwap", 0),
        ("HugetlbPages", 0),
    ] {
        writeln!(text, "{name}:\t{:>8} kB", bytes >> 10);
    }
}

fn signals(text: &mut Text, process: &Process, task: Option<&Arc<Task>>) {
    let shared = process.signals.pending.lock().set().bits();
    let (queued, pending, blocked) = task.map_or((0, 0, 0), |task| {
        let pending = task.signals.pending.lock();
        (pending.count(), pending.set().bits(), task.signals.blocked().bits())
    });
    let queued = queued + process.signals.pending.lock().count();
    let (caught, ignored) = process.signals.actions().lock().sets();
    writeln!(text, "SigQ:\t{queued}/{}", process.limit(Resource::PendingSignals).soft);
    let sets = [pending, shared, blocked, ignored.bits(), caught.bits()];
    for (name, set) in ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"].iter().zip(sets) {
        writeln!(text, "{name}:\t{set:016x}");
    }
}

fn capabilities(text: &mut Text, credentials: &Credentials) {
    let Credentials { inheritable, permitted, effective, bounding, ambient, .. } = credentials;
    let sets = [inheritable, permitted, effective, bounding, ambient];
    for (name, set) in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].iter().zip(sets) {
        writeln!(text, "{name}:\t{:016x}", set.bits());
    }
    writeln!(text, "NoNewPrivs:\t{}\nSeccomp:\t0\nSeccomp_filters:\t0", u8::from(credentials.no_new_privs));
    writeln!(text, "Speculation_Store_Bypass:\tunknown\nSpeculationIndirectBranch:\tunknown");
}

/// Where it may run and have memory.
fn placement(text: &mut Text, subject: &PidSubject, task: Option<&Arc<Task>>) {
    let cpus = subject.system.kernel.cpus();
    let allowed = task.map_or(u64::MAX, |task| task.settings.lock().scheduling.affinity) & all_cpus(cpus);
    text.bytes(b"Cpus_allowed:\t").bytes(&Vec::from(mask_text(allowed, cpus))).bytes(b"\n");
    text.bytes(b"Cpus_allowed_list:\t").bytes(&Vec::from(list_text(allowed))).bytes(b"\n");
    text.bytes(b"Mems_allowed:\t").bytes(&Vec::from(mask_text(1, NODES))).bytes(b"\n");
    writeln!(text, "Mems_allowed_list:\t0");
}
