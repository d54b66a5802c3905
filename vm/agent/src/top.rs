//! Processes as ps(1) tells of them (proc_pid_stat(5), proc_pid_status(5)).
//!
//! Names of users are the container's own: its /etc/passwd is opened inside its root, and no more than a part is read.

use std::fs::{self, File};
use std::io::Read;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::time::{ClockId, clock_gettime};
use stockade_sandbox::protocol::{ProcessEntry, ThreadEntry};

/// More of a file of the container's is not looked at.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// More of what a process says of itself is not passed on.
const COMMAND_BYTES_MAX: u64 = 4096;
/// Of a name; useradd(8) takes 32.
const NAME_CHARS_MAX: usize = 256;
/// Both are part of x86-64's ABI.
const USER_HZ: u64 = 100;
const PAGE_BYTES: u64 = 4096;

/// One process; `None` when it has gone.
pub(crate) fn entry(pid: u32) -> Option<ProcessEntry> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut entry = parse_stat(&stat, uptime_ms())?;
    add_status(&mut entry, &status);
    entry.command = command(pid);
    add_names(&mut entry, pid);
    entry.thread_entries = threads(pid);
    Some(entry)
}

/// Its threads, oldest first.
fn threads(pid: u32) -> Vec<ThreadEntry> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut ids: Vec<u32> = tasks.filter_map(|task| task.file_name().to_str()?.parse().ok()).collect();
    ids.sort_unstable();
    ids.into_iter().filter_map(|id| thread(&format!("/proc/{pid}/task/{id}"))).collect()
}

/// One thread; `None` when it has gone.
fn thread(directory: &str) -> Option<ThreadEntry> {
    let stat = fs::read_to_string(format!("{directory}/stat")).ok()?;
    let status = fs::read_to_string(format!("{directory}/status")).ok()?;
    let ProcessEntry { state, cpu_ms, name, .. } = parse_stat(&stat, 0)?;
    Some(ThreadEntry { id: innermost(&status, "NSpid:"), state, cpu_ms, name })
}

fn uptime_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    u64::try_from(now.tv_sec * 1000 + now.tv_nsec / 1_000_000).unwrap_or_default()
}

fn ticks_to_ms(ticks: u64) -> u64 {
    ticks.saturating_mul(1000 / USER_HZ)
}

/// The name may hold anything; it ends with the last parenthesis.
fn parse_stat(stat: &str, uptime_ms: u64) -> Option<ProcessEntry> {
    let (_, rest) = stat.split_once('(')?;
    let (name, rest) = rest.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Fields are counted from 1, and the state is the third.
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or_default();
    let number = |at: usize| field(at).parse::<u64>().unwrap_or_default();
    Some(ProcessEntry {
        name: name.to_owned(),
        state: field(3).to_owned(),
        terminal: terminal(number(7)),
        foreground: field(8).parse().unwrap_or(-1),
        cpu_ms: ticks_to_ms(number(14).saturating_add(number(15))),
        nice: field(19).parse().unwrap_or_default(),
        threads: number(20),
        age_ms: uptime_ms.saturating_sub(ticks_to_ms(number(22))),
        size_bytes: number(23),
        resident_bytes: number(24).saturating_mul(PAGE_BYTES),
        ..ProcessEntry::default()
    })
}

/// From a device number as the kernel shows it.
fn terminal(device: u64) -> String {
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
    match major {
        136..=143 => format!("pts/{}", ((major - 136) << 20) | minor),
        4 if minor < 64 => format!("tty{minor}"),
        4 => format!("ttyS{}", minor - 64),
        5 if minor == 1 => "console".to_owned(),
        _ => String::new(),
    }
}

/// Ids, as the innermost namespaces have them.
fn add_status(entry: &mut ProcessEntry, status: &str) {
    let line = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    let word = |key: &str, at: usize| line(key).split_ascii_whitespace().nth(at).and_then(|word| word.parse().ok());
    let depth = line("NSpid:").split_ascii_whitespace().count();
    entry.pid = innermost(status, "NSpid:");
    entry.group = innermost(status, "NSpgid:");
    entry.session = innermost(status, "NSsid:");
    entry.parent = parent(word("PPid:", 0).unwrap_or_default(), depth);
    entry.uid = word("Uid:", 0).unwrap_or_default();
    entry.effective_uid = word("Uid:", 1).unwrap_or_default();
    entry.effective_gid = word("Gid:", 1).unwrap_or_default();
}

/// An id as the innermost namespace has it.
fn innermost(status: &str, key: &str) -> u32 {
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.split_ascii_whitespace().last().and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// The parent's id in a namespace as deep; 0 when it lies outside.
fn parent(pid: u32, depth: usize) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    let inside = ids.split_ascii_whitespace().nth(depth.saturating_sub(1));
    inside.and_then(|word| word.parse().ok()).unwrap_or_default()
}

fn command(pid: u32) -> String {
    let mut bytes = Vec::new();
    let read = File::open(format!("/proc/{pid}/cmdline"))
        .and_then(|file| file.take(COMMAND_BYTES_MAX).read_to_end(&mut bytes));
    if read.is_err() {
        return String::new();
    }
    let words = bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    words.collect::<Vec<_>>().join(" ").trim_end().to_owned()
}

fn add_names(entry: &mut ProcessEntry, pid: u32) {
    let users = read_inside(pid, "etc/passwd").unwrap_or_default();
    let groups = read_inside(pid, "etc/group").unwrap_or_default();
    entry.user = name_of(&users, entry.effective_uid);
    entry.real_user = name_of(&users, entry.uid);
    entry.group_name = name_of(&groups, entry.effective_gid);
}

/// A file in the process's root, with its links followed there. What is no regular file is left alone.
fn read_inside(pid: u32, path: &str) -> Option<String> {
    let root = open(format!("/proc/{pid}/root"), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let inside = root.ok()?;
    // A look at what it is comes before it is opened: to open some devices does something.
    let seen = openat2(&inside, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve).ok()?;
    if FileType::from_raw_mode(fstat(&seen).ok()?.st_mode) != FileType::RegularFile {
        return None;
    }
    let file = openat2(&inside, path, flags, Mode::empty(), resolve).ok()?;
    let mut bytes = Vec::new();
    File::from(file).take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// `NAME:PASSWORD:ID:...` (passwd(5), group(5)).
fn name_of(table: &str, id: u32) -> String {
    let id = id.to_string();
    let line = table.lines().find(|line| line.split(':').nth(2) == Some(&id));
    line.and_then(|line| line.split(':').next()).unwrap_or_default().chars().take(NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_anything() {
        let stat = "7 (a) b (c)) S 1 7 7 34816 7 4194304 100 0 0 0 250 50 0 0 20 5 3 0 100 4096000 10 rest";
        let entry = parse_stat(stat, 10_000).expect("it can be parsed");
        assert_eq!((entry.name.as_str(), entry.state.as_str(), entry.terminal.as_str()), ("a) b (c)", "S", "pts/0"));
        assert_eq!((entry.cpu_ms, entry.nice, entry.threads, entry.age_ms), (3000, 5, 3, 9000));
        assert_eq!((entry.size_bytes, entry.foreground), (4_096_000, 7));
        assert!(parse_stat("no parentheses", 0).is_none() && parse_stat("", 0).is_none());
        assert!(parse_stat("1 (x)", 0).is_some_and(|entry| entry.state.is_empty()));
    }

    #[test]
    fn this_very_process() {
        let entry = entry(std::process::id()).expect("it runs");
        assert_eq!((entry.pid, entry.user.as_str(), entry.uid), (std::process::id(), "root", 0));
        assert!(entry.command.contains("stockade_agent") && entry.resident_bytes > 0 && entry.parent > 0);
        assert!(entry.thread_entries.iter().any(|thread| thread.id == entry.pid), "{:?}", entry.thread_entries);
    }

    #[test]
    fn names_of_users() {
        let table = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/:/bin/false\nbroken\n";
        assert_eq!([0, 33, 7].map(|id| name_of(table, id)), ["root", "web", ""]);
    }
}
