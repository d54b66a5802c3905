//! `top` of a class with a kernel of its own: what ps(1) of procps would print inside, by the same arguments.

mod columns;

use stockade_sandbox::protocol::ProcessEntry;

use super::{ProcessTable, QueryError};
use columns::{Around, Column, Row};

/// The table for arguments of ps(1): which columns, with `-f`, `-l`, `-j`, `aux`, `-o FIELD,…` and their like. Which
/// processes is not asked: all of the container.
pub fn table(processes: &[ProcessEntry], arguments: &[String]) -> Result<ProcessTable, QueryError> {
    let columns = columns(arguments)?;
    let around = Around::here();
    let row = |process| columns.iter().map(|(_, column)| (column.cell)(Row { process, around: &around })).collect();
    Ok(ProcessTable {
        titles: columns.iter().map(|(title, _)| title.clone()).collect(),
        processes: processes.iter().map(row).collect(),
    })
}

type Titled = (String, &'static Column);

fn columns(arguments: &[String]) -> Result<Vec<Titled>, QueryError> {
    let mut wanted = Wanted::default();
    match arguments {
        [] => wanted.take_letters(Style::Unix, "ef", &mut [].iter())?,
        _ => wanted.take_all(arguments)?,
    }
    let fields = if wanted.fields.is_empty() { wanted.format().to_owned() } else { wanted.fields };
    let named: Vec<Titled> =
        fields.split([',', ' ']).filter(|field| !field.is_empty()).map(by_name).collect::<Result<_, _>>()?;
    if named.is_empty() { Err(unknown(&arguments.join(" "))) } else { Ok(named) }
}

fn unknown(what: &str) -> QueryError {
    QueryError::Ps(format!(
        "a container with a kernel of its own lists its processes by ps's options of form (-f -F -l -j u j l v, -o FIELDS): it does not know {what:?}"
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
}

impl Wanted {
    fn take_all(&mut self, arguments: &[String]) -> Result<(), QueryError> {
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            if let Some(fields) = word.strip_prefix("--format") {
                self.take_fields(fields.trim_start_matches('='), &mut rest)?;
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
        for (at, letter) in letters.char_indices() {
            let (selecting, forming, list) = match style {
                // Which processes, and how wide: all, and as they are.
                Style::Unix => ("eAadNwHy", "fFlj", "o"),
                Style::Bsd => ("axgrwef", "ujlv", "o"),
            };
            match letter {
                letter if list.contains(letter) => return self.take_fields(&letters[at + 1..], rest),
                letter if selecting.contains(letter) => {}
                letter if forming.contains(letter) && style == Style::Unix => self.unix.push(letter),
                letter if forming.contains(letter) => self.bsd.push(letter),
                _ => return Err(unknown(letters)),
            }
        }
        if style == Style::Bsd {
            // Even letters that choose processes alone make it that style.
            self.bsd.push(' ');
        }
        Ok(())
    }

    /// A list, in the same word or the next; several are one.
    fn take_fields<'a>(&mut self, fields: &str, rest: &mut impl Iterator<Item = &'a String>) -> Result<(), QueryError> {
        let fields = match fields {
            "" => rest.next().map(String::as_str).ok_or_else(|| unknown("-o"))?,
            fields => fields,
        };
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

    #[test]
    fn what_is_unknown_is_refused() {
        for arguments in ["-T", "-o nonsense", "-o", "--forest", "-Z", "aux -p"] {
            assert!(table(&[], &words(arguments)).is_err(), "{arguments:?}");
        }
    }
}
