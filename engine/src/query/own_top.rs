//! `top` of a class with a kernel of its own: what ps(1) would print inside, by the same arguments as far as people use
//! them.

use rustix::time::{ClockId, clock_gettime};
use stockade_sandbox::protocol::ProcessEntry;

use super::{ProcessTable, QueryError};

/// A column: its name for `-o`, its title, and what stands in it.
struct Column {
    names: &'static [&'static str],
    title: &'static str,
    cell: fn(&ProcessEntry, now_s: i64) -> String,
}

const FULL: &[&str] = &["user", "pid", "ppid", "c", "stime", "tty", "time", "cmd"];
const LONG: &[&str] = &["user", "pid", "%cpu", "%mem", "vsz", "rss", "tty", "stat", "start", "time", "command"];

/// The table for arguments of ps(1): none or `-ef`, `aux`, `-o FIELD,…`.
pub fn table(processes: &[ProcessEntry], arguments: &[String]) -> Result<ProcessTable, QueryError> {
    let columns = columns(arguments)?;
    let now_s = clock_gettime(ClockId::Realtime).tv_sec;
    let row = |process: &ProcessEntry| columns.iter().map(|(_, column)| (column.cell)(process, now_s)).collect();
    Ok(ProcessTable {
        titles: columns.iter().map(|(title, _)| title.clone()).collect(),
        processes: processes.iter().map(row).collect(),
    })
}

fn columns(arguments: &[String]) -> Result<Vec<(String, &'static Column)>, QueryError> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["-ef" | "-fe" | "-f"] | ["-e", "-f"] => by_names(FULL, ""),
        ["aux" | "-aux" | "axu" | "ux"] => by_names(LONG, ""),
        ["-o" | "-eo" | "o" | "-e" | "--format", fields @ ..] => by_names(&[], &fields.join(",").replace("-o,", "")),
        [word] if word.starts_with("-o") => by_names(&[], word.trim_start_matches("-o")),
        [word] if word.starts_with("-eo") => by_names(&[], word.trim_start_matches("-eo")),
        _ => Err(unknown(&words.join(" "))),
    }
}

fn unknown(what: &str) -> QueryError {
    QueryError::Ps(format!("class kernel lists its own processes: -ef, aux and -o FIELDS are known, {what:?} is not"))
}

/// Columns by name; a list may give titles of its own (`pid=ID`).
fn by_names(fixed: &[&str], list: &str) -> Result<Vec<(String, &'static Column)>, QueryError> {
    let listed = list.split([',', ' ']).filter(|name| !name.is_empty());
    let all: Vec<_> = fixed.iter().copied().chain(listed).map(by_name).collect::<Result<_, _>>()?;
    if all.is_empty() { Err(unknown(list)) } else { Ok(titled(all, fixed)) }
}

/// `-ef` calls the user UID, as ps does.
fn titled(mut columns: Vec<(String, &'static Column)>, fixed: &[&str]) -> Vec<(String, &'static Column)> {
    if fixed == FULL {
        columns[0].0 = "UID".to_owned();
    }
    columns
}

fn by_name(name: &str) -> Result<(String, &'static Column), QueryError> {
    let (name, title) = name.split_once('=').map_or((name, None), |(name, title)| (name, Some(title)));
    let column = COLUMNS.iter().find(|column| column.names.contains(&name)).ok_or_else(|| unknown(name))?;
    Ok((title.unwrap_or(column.title).to_owned(), column))
}

const fn column(names: &'static [&'static str], title: &'static str, cell: fn(&ProcessEntry, i64) -> String) -> Column {
    Column { names, title, cell }
}

const COLUMNS: &[Column] = &[
    column(&["user", "euser", "ruser", "uname"], "USER", |process, _| user(process.uid)),
    column(&["uid", "euid", "ruid"], "UID", |process, _| process.uid.to_string()),
    column(&["pid", "tgid"], "PID", |process, _| process.pid.to_string()),
    column(&["ppid"], "PPID", |process, _| process.parent.to_string()),
    column(&["pgid", "pgrp"], "PGID", |process, _| process.group.to_string()),
    column(&["sid", "sess", "session"], "SID", |process, _| process.session.to_string()),
    column(&["c"], "C", |process, _| (share(process) / 10).to_string()),
    column(&["pcpu", "%cpu"], "%CPU", |process, _| format!("{}.{}", share(process) / 10, share(process) % 10)),
    column(&["pmem", "%mem"], "%MEM", |process, _| memory_share(process.resident_bytes)),
    column(&["stime"], "STIME", started),
    column(&["start", "start_time"], "START", started),
    column(&["tty", "tt", "tname"], "TTY", |process, _| or_mark(&process.terminal, "?")),
    column(&["time", "cputime"], "TIME", |process, _| clock(process.cpu_ms / 1000)),
    column(&["etime"], "ELAPSED", |process, _| clock(process.age_ms / 1000)),
    column(&["etimes"], "ELAPSED", |process, _| (process.age_ms / 1000).to_string()),
    column(&["stat", "s", "state"], "STAT", |process, _| process.state.clone()),
    column(&["vsz", "vsize"], "VSZ", |process, _| (process.size_bytes >> 10).to_string()),
    column(&["rss", "rsz"], "RSS", |process, _| (process.resident_bytes >> 10).to_string()),
    column(&["nlwp", "thcount"], "NLWP", |process, _| process.threads.to_string()),
    column(&["comm", "ucmd", "ucomm"], "COMMAND", |process, _| process.name.clone()),
    column(&["cmd"], "CMD", |process, _| command(process)),
    column(&["command", "args"], "COMMAND", |process, _| command(process)),
];

fn user(uid: u32) -> String {
    if uid == 0 { "root".to_owned() } else { uid.to_string() }
}

/// CPU time over life time, in thousandths.
fn share(process: &ProcessEntry) -> u64 {
    process.cpu_ms.saturating_mul(1000) / process.age_ms.max(1)
}

fn memory_share(bytes: u64) -> String {
    let info = rustix::system::sysinfo();
    let all = info.totalram.saturating_mul(u64::from(info.mem_unit)).max(1);
    let thousandths = bytes.saturating_mul(1000) / all;
    format!("{}.{}", thousandths / 10, thousandths % 10)
}

/// The time of day in UTC, or the age in days.
fn started(process: &ProcessEntry, now_s: i64) -> String {
    const DAY_S: i64 = 86_400;
    let age_s = i64::try_from(process.age_ms / 1000).unwrap_or(i64::MAX);
    if age_s >= DAY_S {
        return format!("{}d", age_s / DAY_S);
    }
    let second = now_s.saturating_sub(age_s).rem_euclid(DAY_S);
    format!("{:02}:{:02}", second / 3600, second / 60 % 60)
}

fn clock(seconds: u64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn or_mark(text: &str, mark: &str) -> String {
    if text.is_empty() { mark.to_owned() } else { text.to_owned() }
}

/// The arguments; the name in brackets where there are none.
fn command(process: &ProcessEntry) -> String {
    match (process.command.as_str(), process.state.as_str()) {
        ("", "Z") => format!("[{}] <defunct>", process.name),
        ("", _) => format!("[{}]", process.name),
        (command, _) => command.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process() -> ProcessEntry {
        ProcessEntry {
            pid: 7,
            parent: 1,
            state: "S".to_owned(),
            age_ms: 20_000,
            cpu_ms: 5_000,
            resident_bytes: 4 << 20,
            name: "sleep".to_owned(),
            command: "sleep 10".to_owned(),
            ..ProcessEntry::default()
        }
    }

    fn check(arguments: &str, titles: &[&str], cells: &[&str]) {
        let arguments: Vec<String> = arguments.split(' ').filter(|a| !a.is_empty()).map(str::to_owned).collect();
        let table = table(&[process()], &arguments).expect("a table");
        assert_eq!((table.titles, table.processes), (owned(titles), vec![owned(cells)]), "{arguments:?}");
    }

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn columns_are_those_of_ps() {
        check("-o pid,comm", &["PID", "COMMAND"], &["7", "sleep"]);
        check("-eo pid=ID,pcpu -o rss", &["ID", "%CPU", "RSS"], &["7", "25.0", "4096"]);
        let titles = |arguments: &[String]| table(&[], arguments).expect("a table").titles.join(" ");
        assert_eq!(titles(&[]), "UID PID PPID C STIME TTY TIME CMD");
        assert_eq!(titles(&["aux".to_owned()]), "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND");
    }

    #[test]
    fn what_is_unknown_is_refused() {
        assert!(table(&[], &["-T".to_owned()]).is_err());
        assert!(table(&[], &["-o".to_owned(), "nonsense".to_owned()]).is_err());
    }

    #[test]
    fn a_zombie_has_its_name_in_brackets() {
        let zombie = ProcessEntry { state: "Z".to_owned(), command: String::new(), ..process() };
        assert_eq!(command(&zombie), "[sleep] <defunct>");
    }
}
