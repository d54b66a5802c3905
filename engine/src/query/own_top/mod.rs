//! `top` of a class with a kernel of its own: what ps(1) of procps would print inside, by the same arguments.

mod columns;
mod selection;
mod sort;

use stockade_sandbox::protocol::ProcessEntry;

use super::{ProcessTable, QueryError};
use columns::{Around, Column, Row};
use selection::Selection;
use sort::Order;

/// The table for arguments of ps(1): which columns, with `-f`, `-l`, `-j`, `aux`, `-o FIELD,…` and their like; which
/// processes, with `-p`, `-C`, `-u` and their like, or all of the container; in which order, with `--sort`.
pub fn table(processes: &[ProcessEntry], arguments: &[String]) -> Result<ProcessTable, QueryError> {
    let wanted = Wanted::of(arguments)?;
    let columns = wanted.columns()?;
    let around = Around::here();
    let mut rows: Vec<Row<'_>> = processes
        .iter()
        .filter(|process| wanted.selection.takes(process))
        .map(|process| Row { process, around: &around })
        .collect();
    wanted.order.sort(&mut rows);
    let cells = |row: &Row<'_>| columns.iter().map(|(_, column)| (column.cell)(*row)).collect();
    Ok(ProcessTable {
        titles: columns.iter().map(|(title, _)| title.clone()).collect(),
        processes: rows.iter().map(cells).collect(),
    })
}

type Titled = (String, &'static Column);

fn unknown(what: &str) -> QueryError {
    QueryError::Ps(format!(
        "a container with a kernel of its own lists its processes by ps's options of form (-f -F -l -j u j l v, \
         -o FIELDS), choice (-p -C -u -U -g -G -s -t -N, --ppid) and order (--sort): it does not know {what:?}"
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
}

impl Wanted {
    fn of(arguments: &[String]) -> Result<Self, QueryError> {
        let mut wanted = Self::default();
        match arguments {
            [] => wanted.take_letters(Style::Unix, "ef", &mut [].iter())?,
            _ => wanted.take_all(arguments)?,
        }
        Ok(wanted)
    }

    fn columns(&self) -> Result<Vec<Titled>, QueryError> {
        let fields = if self.fields.is_empty() { self.format() } else { &self.fields };
        let named: Vec<Titled> =
            fields.split([',', ' ']).filter(|field| !field.is_empty()).map(by_name).collect::<Result<_, _>>()?;
        if named.is_empty() { Err(unknown(fields)) } else { Ok(named) }
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
                Style::Unix => ("wHy", "fFlj"),
                Style::Bsd => ("axgwef", "ujlv"),
            };
            if let Some(choice) = selection::by_letter(style, letter) {
                self.selection.add(choice, &list(after, rest, letters)?);
                return Ok(());
            }
            match letter {
                'o' => return self.take_fields(&list(after, rest, "-o")?),
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
        for arguments in ["-T", "-o nonsense", "-o", "--forest", "-Z", "aux -p", "--sort=nonsense", "--sort", "--pid"] {
            assert!(table(&[], &words(arguments)).is_err(), "{arguments:?}");
        }
    }
}
