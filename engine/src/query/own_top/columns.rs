//! The columns of ps(1).

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use stockade_sandbox::protocol::ProcessEntry;

/// A process, and what all columns of one table share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    /// Of a thread: its process, with what is the thread's own.
    pub process: &'a ProcessEntry,
    pub thread: u32,
    pub around: &'a Around,
    /// What is drawn before its command.
    pub branch: &'a str,
}

/// When and where a table is made.
#[derive(Debug)]
pub(super) struct Around {
    /// Now, in the local time zone.
    pub now: Zoned,
    /// Bytes of memory that there are.
    pub memory_bytes: u64,
}

impl Around {
    pub(super) fn here() -> Self {
        let info = rustix::system::sysinfo();
        let memory_bytes = info.totalram.saturating_mul(u64::from(info.mem_unit)).max(1);
        Self { now: Timestamp::now().to_zoned(TimeZone::system()), memory_bytes }
    }
}

/// A column: its name for `-o`, its title, and what stands in it.
#[derive(Debug)]
pub(super) struct Column {
    names: &'static [&'static str],
    pub title: &'static str,
    pub cell: fn(Row<'_>) -> String,
}

/// The column of a name.
pub(super) fn by_name(name: &str) -> Option<&'static Column> {
    COLUMNS.iter().find(|column| column.names.contains(&name))
}

const fn column(names: &'static [&'static str], title: &'static str, cell: fn(Row<'_>) -> String) -> Column {
    Column { names, title, cell }
}

const COLUMNS: &[Column] = &[
    column(&["user", "euser", "uname"], "USER", |row| user(&row.process.user, row.process.effective_uid)),
    // What `-f` shows.
    column(&["full_user"], "UID", |row| user(&row.process.user, row.process.effective_uid)),
    column(&["ruser"], "RUSER", |row| user(&row.process.real_user, row.process.uid)),
    column(&["group", "egroup"], "GROUP", |row| user(&row.process.group_name, row.process.effective_gid)),
    column(&["uid", "euid"], "UID", |row| row.process.effective_uid.to_string()),
    column(&["ruid"], "RUID", |row| row.process.uid.to_string()),
    column(&["gid", "egid"], "GID", |row| row.process.effective_gid.to_string()),
    column(&["pid", "tgid"], "PID", |row| row.process.pid.to_string()),
    column(&["lwp"], "LWP", |row| row.thread.to_string()),
    column(&["tid"], "TID", |row| row.thread.to_string()),
    column(&["spid"], "SPID", |row| row.thread.to_string()),
    column(&["ppid"], "PPID", |row| row.process.parent.to_string()),
    column(&["pgid", "pgrp"], "PGID", |row| row.process.group.to_string()),
    column(&["sid", "sess", "session"], "SID", |row| row.process.session.to_string()),
    column(&["tpgid"], "TPGID", |row| row.process.foreground.to_string()),
    column(&["c"], "C", |row| (share(row.process) / 10).to_string()),
    column(&["pcpu", "%cpu"], "%CPU", |row| tenths(share(row.process))),
    column(&["pmem", "%mem"], "%MEM", |row| {
        tenths(row.process.resident_bytes.saturating_mul(1000) / row.around.memory_bytes)
    }),
    column(&["stime"], "STIME", start),
    column(&["start_time", "bsdstart"], "START", start),
    column(&["start"], "STARTED", |row| {
        let started = started(row);
        let recent = row.process.age_ms < 86_400_000;
        started.strftime(if recent { "%H:%M:%S" } else { "%b %d" }).to_string()
    }),
    column(&["lstart"], "STARTED", |row| started(row).strftime("%a %b %e %H:%M:%S %Y").to_string()),
    column(&["tty", "tt", "tname"], "TTY", |row| or_mark(&row.process.terminal, "?")),
    column(&["time", "cputime"], "TIME", |row| time(row.process.cpu_ms / 1000)),
    column(&["bsdtime"], "TIME", |row| minutes(row.process.cpu_ms / 1000)),
    column(&["cputimes", "times"], "TIME", |row| (row.process.cpu_ms / 1000).to_string()),
    column(&["etime"], "ELAPSED", |row| elapsed(row.process.age_ms / 1000)),
    column(&["etimes"], "ELAPSED", |row| (row.process.age_ms / 1000).to_string()),
    column(&["stat"], "STAT", |row| state(row.process)),
    column(&["s", "state"], "S", |row| row.process.state.clone()),
    column(&["ni", "nice"], "NI", |row| row.process.nice.to_string()),
    column(&["pri", "opri"], "PRI", |row| 80_i32.saturating_add(row.process.nice).to_string()),
    column(&["cls", "policy", "class"], "CLS", |_| "TS".to_owned()),
    column(&["rtprio"], "RTPRIO", |_| "-".to_owned()),
    column(&["f", "flag", "flags"], "F", |row| if row.process.effective_uid == 0 { "4" } else { "0" }.to_owned()),
    column(&["wchan"], "WCHAN", |_| "-".to_owned()),
    column(&["addr"], "ADDR", |_| "-".to_owned()),
    column(&["psr", "cpuid"], "PSR", |_| "0".to_owned()),
    column(&["vsz", "vsize"], "VSZ", |row| (row.process.size_bytes >> 10).to_string()),
    column(&["sz", "size"], "SZ", |row| (row.process.size_bytes >> 12).to_string()),
    column(&["rss", "rsz", "rssize"], "RSS", |row| (row.process.resident_bytes >> 10).to_string()),
    column(&["nlwp", "thcount"], "NLWP", |row| row.process.threads.to_string()),
    column(&["comm", "ucmd", "ucomm"], "COMMAND", |row| format!("{}{}", row.branch, row.process.name)),
    column(&["cmd"], "CMD", command),
    column(&["command", "args"], "COMMAND", command),
];

/// A name, or the number where there is none.
fn user(name: &str, id: u32) -> String {
    or_mark(name, &id.to_string())
}

/// CPU time over life time, in thousandths.
fn share(process: &ProcessEntry) -> u64 {
    process.cpu_ms.saturating_mul(1000) / process.age_ms.max(1)
}

fn tenths(thousandths: u64) -> String {
    format!("{}.{}", thousandths / 10, thousandths % 10)
}

fn started(row: Row<'_>) -> Zoned {
    row.around.now.checked_sub(Duration::from_millis(row.process.age_ms)).unwrap_or_else(|_| row.around.now.clone())
}

/// The time of day, the day, or the year when it was started.
fn start(row: Row<'_>) -> String {
    let (now, started) = (&row.around.now, started(row));
    let format = match (now.date() == started.date(), now.year() == started.year()) {
        (true, _) => "%H:%M",
        (false, true) => "%b%d",
        (false, false) => "%Y",
    };
    started.strftime(format).to_string()
}

/// The letter of the state, and what ps adds to it.
fn state(process: &ProcessEntry) -> String {
    let is_foreground = i64::from(process.group) == process.foreground;
    let marks = [
        ('<', process.nice < 0),
        ('N', process.nice > 0),
        ('s', process.session == process.pid),
        ('l', process.threads > 1),
        ('+', is_foreground),
    ];
    process.state.chars().chain(marks.iter().filter(|(_, applies)| *applies).map(|(mark, _)| *mark)).collect()
}

const DAY: u64 = 86_400;

fn time(seconds: u64) -> String {
    let days = if seconds < DAY { String::new() } else { format!("{}-", seconds / DAY) };
    format!("{days}{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

fn minutes(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn elapsed(seconds: u64) -> String {
    if seconds < 3600 { format!("{:02}:{:02}", seconds / 60, seconds % 60) } else { time(seconds) }
}

fn or_mark(text: &str, mark: &str) -> String {
    if text.is_empty() { mark.to_owned() } else { text.to_owned() }
}

/// The arguments; the name in brackets where there are none.
fn command(row: Row<'_>) -> String {
    let Row { process, branch, .. } = row;
    match (process.command.as_str(), process.state.as_str()) {
        ("", "Z") => format!("{branch}[{}] <defunct>", process.name),
        ("", _) => format!("{branch}[{}]", process.name),
        (command, _) => format!("{branch}{command}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process() -> ProcessEntry {
        ProcessEntry { pid: 7, group: 7, session: 7, state: "S".to_owned(), threads: 1, ..ProcessEntry::default() }
    }

    fn check(name: &str, process: &ProcessEntry, expected: &str) {
        let now: Zoned = "2026-03-02T01:00:00+05:00[+05:00]".parse().expect("a time");
        let around = Around { now, memory_bytes: 1 << 30 };
        let column = by_name(name).expect("a column");
        assert_eq!(
            (column.cell)(Row { process, thread: process.pid, around: &around, branch: "" }),
            expected,
            "{name}"
        );
    }

    #[test]
    fn starts_are_local_times() {
        let aged = |hours: u64| ProcessEntry { age_ms: hours * 3_600_000, ..process() };
        check("stime", &aged(0), "01:00");
        check("stime", &aged(2), "Mar01");
        check("start", &aged(2), "23:00:00");
        check("start", &aged(24), "Mar 01");
        check("stime", &aged(24 * 365), "2025");
        check("lstart", &aged(2), "Sun Mar  1 23:00:00 2026");
    }

    #[test]
    fn times_have_their_own_forms() {
        let busy = ProcessEntry { cpu_ms: 100_000_000, age_ms: 90_000, ..process() };
        check("time", &busy, "1-03:46:40");
        check("bsdtime", &busy, "1666:40");
        check("etime", &busy, "01:30");
        check("etimes", &busy, "90");
    }

    #[test]
    fn states_bear_marks() {
        check("stat", &process(), "Ss");
        check("stat", &ProcessEntry { foreground: 7, nice: 5, threads: 3, ..process() }, "SNsl+");
        check("stat", &ProcessEntry { session: 1, nice: -1, ..process() }, "S<");
        check("s", &process(), "S");
    }

    #[test]
    fn users_without_a_name_show_their_number() {
        let named = ProcessEntry { user: "www".to_owned(), uid: 8, effective_uid: 9, ..process() };
        check("user", &named, "www");
        check("ruser", &named, "8");
        check("uid", &named, "9");
    }

    #[test]
    fn a_zombie_has_its_name_in_brackets() {
        let zombie = ProcessEntry { state: "Z".to_owned(), name: "sleep".to_owned(), ..process() };
        check("cmd", &zombie, "[sleep] <defunct>");
    }
}
