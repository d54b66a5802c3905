//! `top` of a class with a kernel of its own: what ps(1) of procps would print inside, by the same arguments.

mod columns;
mod selection;
mod sort;
mod tree;

use std::borrow::Cow;

use stockade_sandbox::protocol::{ProcessEntry, ThreadEntry};

use super::{ProcessTable, QueryError};
use columns::{Around, Column, Row};
use selection::Selection;
use sort::Order;
use tree::Art;

/// The table for arguments of ps(1): which columns, with `-f`, `-l`, `-j`, `aux`, `-o FIELD,…` and their like; which
/// processes, with `-p`, `-C`, `-u` and their like, or all of the container; in which order, with `--sort`; each of
/// their threads, with `-L` or `-T`; below their parents, with `--forest` or `-H`.
pub fn table(processes: &[ProcessEntry], arguments: &[String]) -> Result<ProcessTable, QueryError> {
    let wanted = Wanted::of(arguments)?;
    let columns = wanted.columns()?;
    let around = Around::here();
    let chosen = processes.iter().filter(|process| wanted.selection.takes(process));
    let shown: Vec<(u32, Cow<'_, ProcessEntry>)> = match wanted.threads {
        Threads::Together => chosen.map(|process| (process.pid, Cow::Borrowed(process))).collect(),
        _ => chosen.flat_map(threads).map(|(id, thread)| (id, Cow::Owned(thread))).collect(),
    };
    let row = |(thread, process)| Row { process, thread, around: &around, branch: "" };
    let mut rows: Vec<Row<'_>> = shown.iter().map(|(id, process)| row((*id, &**process))).collect();
    wanted.order.sort(&mut rows);
    let rows = match wanted.art {
        Some(art) => tree::arrange(rows, art),
        None => rows.into_iter().map(|row| (row, String::new())).collect(),
    };
    let cells = |(row, branch): &(Row<'_>, String)| {
        columns.iter().map(|(_, column)| (column.cell)(Row { branch, ..*row })).collect()
    };
    Ok(ProcessTable {
        titles: columns.iter().map(|(title, _)| title.clone()).collect(),
        processes: rows.iter().map(cells).collect(),
    })
}

/// Each thread as a process of its own; a zombie has none, and is shown.
fn threads(process: &ProcessEntry) -> Vec<(u32, ProcessEntry)> {
    let one = |thread: &ThreadEntry| {
        let ThreadEntry { id, state, cpu_ms, name } = thread.clone();
        (id, ProcessEntry { state, cpu_ms, name, ..process.clone() })
    };
    match process.thread_entries.as_slice() {
        [] => vec![(process.pid, process.clone())],
        all => all.iter().map(one).collect(),
    }
}

type Titled = (String, &'static Column);

fn unknown(what: &str) -> QueryError {
    QueryError::Ps(format!(
        "a container with a kernel of its own lists its processes by ps's options of form (-f -F -l -j u j l v, \
         -o FIELDS), choice (-p -C -u -U -g -G -s -t -N, --ppid), order (--sort), and for threads (-L, -T) or trees \
         (--forest, -H), not both: it does not know {what:?}"
    ))
}

/// A field, which may bring a title of its own (`pid=ID`).
fn by_name(field: &str) -> Result<Titled, QueryError> {
    let (name, title) = field.split_once('=').map_or((field, None), |(name, title)| (name, Some(title)));
    let column = columns::by_name(name).ok_or_else(|| unknown(name))?;
    Ok((title.unwrap_or(column.title).to_owned(), column))
}

/// Whose letters options are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// With a dash.
    Unix,
    /// Without.
    Bsd,
}

/// Whether each thread has a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Threads {
    #[default]
    Together,
    /// `-L`
    Lwp,
    /// `-T`
    Spid,
    /// `H`: no column tells which it is.
    Apart,
}

/// What arguments ask for.
#[derive(Debug, Default)]
struct Wanted {
    /// Letters that choose a form.
    unix: String,
    bsd: String,
    /// Fields of `-o`.
    fields: String,
    selection: Selection,
    order: Order,
    threads: Threads,
    art: Option<Art>,
}

impl Wanted {
    fn of(arguments: &[String]) -> Result<Self, QueryError> {
        let mut wanted = Self::default();
        match arguments {
            [] => wanted.take_letters(Style::Unix, "ef", &mut [].iter())?,
            _ => wanted.take_all(arguments)?,
        }
        if wanted.art.is_some() && wanted.threads != Threads::Together {
            return Err(unknown("threads in a tree"));
        }
        Ok(wanted)
    }

    fn columns(&self) -> Result<Vec<Titled>, QueryError> {
        let fields = if self.fields.is_empty() { self.with_threads(self.format()) } else { self.fields.clone() };
        let named: Vec<Titled> =
            fields.split([',', ' ']).filter(|field| !field.is_empty()).map(by_name).collect::<Result<_, _>>()?;
        if named.is_empty() { Err(unknown(&fields)) } else { Ok(named) }
    }

    /// A form's fields, and those that tell threads apart.
    fn with_threads(&self, format: &str) -> String {
        let fields: Vec<&str> = format.split(',').collect();
        let is_full = self.unix.contains(['f', 'F']);
        let lwp_before = fields.iter().copied().find(|field| matches!(*field, "c" | "tty")).unwrap_or_default();
        let with = |field: &&str| match (self.threads, *field) {
            (Threads::Spid, "pid") => "pid,spid".to_owned(),
            (Threads::Lwp, "pid") if !self.bsd.is_empty() => "pid,lwp".to_owned(),
            (Threads::Lwp, "%cpu") => "%cpu,nlwp".to_owned(),
            (Threads::Lwp, "c") if is_full => "lwp,c,nlwp".to_owned(),
            (Threads::Lwp, field) if self.bsd.is_empty() && field == lwp_before => format!("lwp,{field}"),
            (_, field) => field.to_owned(),
        };
        fields.iter().map(with).collect::<Vec<_>>().join(",")
    }

    fn take_all(&mut self, arguments: &[String]) -> Result<(), QueryError> {
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            if let Some(option) = word.strip_prefix("--") {
                self.take_long(option, &mut rest)?;
            } else if word == "-aux" || word == "-axu" {
                // As ps does unless there is a user `x`.
                self.take_letters(Style::Bsd, &word[1..], &mut rest)?;
            } else if let Some(letters) = word.strip_prefix('-') {
                self.take_letters(Style::Unix, letters, &mut rest)?;
            } else {
                self.take_letters(Style::Bsd, word, &mut rest)?;
            }
        }
        Ok(())
    }

    fn take_letters<'a>(
        &mut self,
        style: Style,
        letters: &str,
        rest: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), QueryError> {
        if style == Style::Bsd {
            // Even letters that choose processes alone make it that style.
            self.bsd.push(' ');
        }
        for (at, letter) in letters.char_indices() {
            let after = &letters[at + 1..];
            let (ignored, forming) = match style {
                // How wide: as they are.
                Style::Unix => ("wy", "fFlj"),
                Style::Bsd => ("axgwe", "ujlv"),
            };
            if let Some(choice) = selection::by_letter(style, letter) {
                self.selection.add(choice, &list(after, rest, letters)?);
                return Ok(());
            }
            match letter {
                'o' => return self.take_fields(&list(after, rest, "-o")?),
                'L' if style == Style::Unix => self.threads = Threads::Lwp,
                'T' if style == Style::Unix => self.threads = Threads::Spid,
                'H' if style == Style::Unix => self.art = Some(Art::Indents),
                'H' => self.threads = Threads::Apart,
                'f' if style == Style::Bsd => self.art = Some(Art::Lines),
                'k' if style == Style::Bsd => return self.order.add(&list(after, rest, "k")?),
                letter if self.selection.take_letter(style, letter) => {}
                letter if ignored.contains(letter) => {}
                letter if forming.contains(letter) && style == Style::Unix => self.unix.push(letter),
                letter if forming.contains(letter) => self.bsd.push(letter),
                _ => return Err(unknown(letters)),
            }
        }
        Ok(())
    }

    /// An option of GNU's form.
    fn take_long<'a>(&mut self, option: &str, rest: &mut impl Iterator<Item = &'a String>) -> Result<(), QueryError> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "format" => self.take_fields(&list(value, rest, option)?),
            "sort" => self.order.add(&list(value, rest, option)?),
            "forest" => {
                self.art = Some(Art::Lines);
                Ok(())
            }
            "deselect" => {
                self.selection.negate();
                Ok(())
            }
            name => {
                let choice = selection::by_name(name).ok_or_else(|| unknown(option))?;
                self.selection.add(choice, &list(value, rest, option)?);
                Ok(())
            }
        }
    }

    /// Several lists are one.
    fn take_fields(&mut self, fields: &str) -> Result<(), QueryError> {
        self.fields.push_str(fields);
        self.fields.push(',');
        Ok(())
    }

    /// The fields of a form.
    fn format(&self) -> &'static str {
        let unix = |letter| self.unix.contains(letter);
        match self.bsd.chars().find(|letter| *letter != ' ') {
            Some('u') => "user,pid,%cpu,%mem,vsz,rss,tty,stat,start_time,bsdtime,command",
            Some('j') => "ppid,pid,pgid,sid,tty,tpgid,stat,uid,bsdtime,command",
            Some('l') => "f,uid,pid,ppid,pri,ni,vsz,rss,wchan,stat,tty,bsdtime,command",
            Some(_) => "pid,tty,stat,bsdtime,rss,%mem,command",
            None if unix('F') => "full_user,pid,ppid,c,sz,rss,psr,stime,tty,time,cmd",
            None if unix('l') && unix('f') => "f,s,full_user,pid,ppid,c,pri,ni,addr,sz,wchan,stime,tty,time,cmd",
            None if unix('l') => "f,s,uid,pid,ppid,c,pri,ni,addr,sz,wchan,tty,time,comm=CMD",
            None if unix('j') && unix('f') => "full_user,pid,ppid,pgid,sid,c,stime,tty,time,cmd",
            None if unix('j') => "pid,pgid,sid,tty,time,comm=CMD",
            None if unix('f') => "full_user,pid,ppid,c,stime,tty,time,cmd",
            None if self.bsd.is_empty() => "pid,tty,time,comm=CMD",
            None => "pid,tty,stat,bsdtime,command",
        }
    }
}

/// What belongs to an option, in the same word or the next.
fn list<'a>(here: &str, rest: &mut impl Iterator<Item = &'a String>, option: &str) -> Result<String, QueryError> {
    match here {
        "" => rest.next().cloned().ok_or_else(|| unknown(option)),
        here => Ok(here.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process() -> ProcessEntry {
        ProcessEntry {
            pid: 7,
            parent: 1,
            group: 7,
            state: "S".to_owned(),
            age_ms: 20_000,
            cpu_ms: 5_000,
            resident_bytes: 4 << 20,
            name: "sleep".to_owned(),
            command: "sleep 10".to_owned(),
            ..ProcessEntry::default()
        }
    }

    fn words(text: &str) -> Vec<String> {
        text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    fn check(arguments: &str, titles: &str, cells: &[&str]) {
        let table = table(&[process()], &words(arguments)).expect("a table");
        let cells = cells.iter().map(|&cell| cell.to_owned()).collect();
        assert_eq!((table.titles, table.processes), (words(titles), vec![cells]), "{arguments:?}");
    }

    #[test]
    fn columns_are_those_of_ps() {
        check("-o pid,comm", "PID COMMAND", &["7", "sleep"]);
        check("-eo pid=ID,pcpu -o rss", "ID %CPU RSS", &["7", "25.0", "4096"]);
        check("axo pid,s", "PID S", &["7", "S"]);
        check("--format pid", "PID", &["7"]);
        check("--format=pid,ppid", "PID PPID", &["7", "1"]);
        check("-e", "PID TTY TIME CMD", &["7", "?", "00:00:05", "sleep"]);
        check("ax", "PID TTY STAT TIME COMMAND", &["7", "?", "S", "0:05", "sleep 10"]);
    }

    #[test]
    fn forms_are_those_of_ps() {
        let titles = |arguments: &str| table(&[], &words(arguments)).expect("a table").titles.join(" ");
        for full in ["", "-ef", "-e -f", "-fA"] {
            assert_eq!(titles(full), "UID PID PPID C STIME TTY TIME CMD", "{full:?}");
        }
        for user in ["aux", "-aux", "ux", "auxw"] {
            assert_eq!(titles(user), "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND", "{user:?}");
        }
        assert_eq!(titles("-el"), "F S UID PID PPID C PRI NI ADDR SZ WCHAN TTY TIME CMD");
        assert_eq!(titles("-eF"), "UID PID PPID C SZ RSS PSR STIME TTY TIME CMD");
        assert_eq!(titles("-ejf"), "UID PID PPID PGID SID C STIME TTY TIME CMD");
        assert_eq!(titles("axj"), "PPID PID PGID SID TTY TPGID STAT UID TIME COMMAND");
        assert_eq!(titles("-eLf"), "UID PID PPID LWP C NLWP STIME TTY TIME CMD");
        assert_eq!(titles("-eTf"), "UID PID SPID PPID C STIME TTY TIME CMD");
        assert_eq!(titles("-eLlf"), "F S UID PID PPID LWP C NLWP PRI NI ADDR SZ WCHAN STIME TTY TIME CMD");
        assert_eq!(titles("-eLl"), "F S UID PID PPID LWP C PRI NI ADDR SZ WCHAN TTY TIME CMD");
        assert_eq!(titles("-eLj"), "PID PGID SID LWP TTY TIME CMD");
        assert_eq!(titles("-T"), "PID SPID TTY TIME CMD");
        assert_eq!(titles("aux -L"), "USER PID LWP %CPU NLWP %MEM VSZ RSS TTY STAT START TIME COMMAND");
        assert_eq!(titles("axl"), "F UID PID PPID PRI NI VSZ RSS WCHAN STAT TTY TIME COMMAND");
    }

    fn family() -> [ProcessEntry; 3] {
        let entry = |pid, user: &str, name: &str, cpu_ms| ProcessEntry {
            pid,
            parent: pid - 1,
            session: 1,
            user: user.to_owned(),
            real_user: user.to_owned(),
            name: name.to_owned(),
            cpu_ms,
            ..process()
        };
        [entry(1, "root", "init", 10), entry(2, "www", "nginx", 9000), entry(12, "www", "sleep", 400)]
    }

    fn check_pids(arguments: &str, expected: &str) {
        let arguments = words(&format!("-o pid {arguments}"));
        let table = table(&family(), &arguments).expect("a table");
        assert_eq!(table.processes.concat().join(" "), expected, "{arguments:?}");
    }

    #[test]
    fn processes_are_chosen_as_by_ps() {
        check_pids("-p 2,12", "2 12");
        check_pids("-p2 -C init", "1 2");
        check_pids("--pid=12", "12");
        check_pids("p 12", "12");
        check_pids("-u www", "2 12");
        check_pids("--ppid 1", "2");
        check_pids("-N -u www", "1");
        check_pids("--deselect -C init,sleep", "2");
        check_pids("-e -C init", "1 2 12");
        check_pids("-d", "2 12");
        check_pids("-a", "");
        check_pids("-t ?", "1 2 12");
        check_pids("-g 1", "1 2 12");
        check_pids("r", "");
    }

    #[test]
    fn threads_have_lines_of_their_own() {
        let thread = |id, name: &str| ThreadEntry { id, state: "R".to_owned(), cpu_ms: 2000, name: name.to_owned() };
        let busy = ProcessEntry { thread_entries: vec![thread(7, "sleep"), thread(9, "worker")], ..process() };
        let table = |arguments| table(&[busy.clone(), process()], &words(arguments)).expect("a table").processes;
        assert_eq!(table("-Lo pid,lwp,s,comm")[1], ["7", "9", "R", "worker"]);
        assert_eq!(
            table("-T"),
            [
                ["7", "7", "?", "00:00:02", "sleep"],
                ["7", "9", "?", "00:00:02", "worker"],
                ["7", "7", "?", "00:00:05", "sleep"]
            ]
        );
        assert_eq!(table("axHo pid,tid"), [["7", "7"], ["7", "9"], ["7", "7"]]);
        assert_eq!(table("-eo pid").len(), 2);
    }

    #[test]
    fn trees_are_drawn_as_by_ps() {
        let entry = |(pid, parent)| ProcessEntry { pid, parent, name: pid.to_string(), ..process() };
        let family: Vec<_> = [(1, 0), (2, 1), (3, 2), (4, 1), (5, 4), (6, 3), (8, 9), (9, 8)].map(entry).into();
        let lines = |arguments: &str| {
            let table = table(&family, &words(arguments)).expect("a table");
            table.processes.into_iter().map(|row| row.last().cloned().unwrap_or_default()).collect::<Vec<_>>()
        };
        let tree = ["1", r" \_ 2", r" |   \_ 3", r" |       \_ 6", r" \_ 4", r"     \_ 5", "9", "8"];
        assert_eq!(lines("-eo pid,comm --forest"), tree);
        assert_eq!(lines("axfo pid,comm"), tree);
        assert_eq!(lines("-eH"), ["1", "  2", "    3", "      6", "  4", "    5", "9", "8"]);
        assert_eq!(lines("-p 3,5,6 --forest -o comm"), ["3", r" \_ 6", "5"]);
    }

    #[test]
    fn processes_are_sorted_as_by_ps() {
        check_pids("--sort=-pid", "12 2 1");
        check_pids("--sort time", "1 12 2");
        check_pids("--sort=-user,+pcpu", "12 2 1");
        check_pids("k comm", "1 2 12");
        check_pids("-eo comm= --sort -comm", "12 sleep 2 nginx 1 init");
    }

    /// An order without a place for some is a panic of the standard library's.
    #[test]
    fn names_that_read_as_numbers_have_an_order() {
        let names = ["nan", "b", "7", "inf", "a", "-3", "NaN", "1e400"].iter().cycle().take(64).enumerate();
        let named = |(pid, name): (usize, &&str)| ProcessEntry {
            pid: u32::try_from(pid).expect("a few"),
            name: (*name).to_owned(),
            ..process()
        };
        let all: Vec<_> = names.map(named).collect();
        let table = table(&all, &words("-eo comm --sort comm")).expect("a table");
        let mut sorted = table.processes.concat();
        sorted.dedup();
        assert_eq!(sorted, ["-3", "7", "1e400", "NaN", "a", "b", "inf", "nan"]);
    }

    #[test]
    fn what_is_unknown_is_refused() {
        for arguments in
            ["-T --forest", "axfH", "-o nonsense", "-o", "-M", "-Z", "aux -p", "--sort=nonsense", "--sort", "--pid"]
        {
            assert!(table(&[], &words(arguments)).is_err(), "{arguments:?}");
        }
    }
}
