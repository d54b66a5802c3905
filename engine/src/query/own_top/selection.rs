//! Which processes ps(1) shows.

use stockade_sandbox::protocol::ProcessEntry;

use super::Style;

/// Whether a process is one that a list names.
pub(super) type Choice = fn(&ProcessEntry, &str) -> bool;

/// What options chose: what one of the lists names, or everything.
#[derive(Debug, Default)]
pub(super) struct Selection {
    lists: Vec<(Choice, Vec<String>)>,
    everything: bool,
    negated: bool,
    only_running: bool,
}

impl Selection {
    /// Adds a list, whose words stand between commas or blanks.
    pub fn add(&mut self, choice: Choice, list: &str) {
        let words = list.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        self.lists.push((choice, words));
    }

    /// Takes a letter that chooses without a list, and says whether it is one.
    pub fn take_letter(&mut self, style: Style, letter: char) -> bool {
        match (style, letter) {
            (Style::Unix, 'e' | 'A') => self.everything = true,
            (Style::Unix, 'a') => self.add(|process, _| !leads(process) && !process.terminal.is_empty(), "a"),
            (Style::Unix, 'd') => self.add(|process, _| !leads(process), "d"),
            (Style::Unix, 'N') => self.negate(),
            (Style::Bsd, 'r') => self.only_running = true,
            _ => return false,
        }
        true
    }

    /// All but those that were chosen.
    pub fn negate(&mut self) {
        self.negated = true;
    }

    /// Whether a process is shown.
    pub fn takes(&self, process: &ProcessEntry) -> bool {
        let named = |(choice, words): &(Choice, Vec<String>)| words.iter().any(|word| choice(process, word));
        let chosen = self.everything || self.lists.is_empty() || self.lists.iter().any(named);
        chosen != self.negated && (!self.only_running || matches!(process.state.as_str(), "R" | "D"))
    }
}

/// Whether a process leads its session.
fn leads(process: &ProcessEntry) -> bool {
    process.session == process.pid
}

/// The list that belongs to a letter.
pub(super) fn by_letter(style: Style, letter: char) -> Option<Choice> {
    match (style, letter) {
        (_, 'p') => by_name("pid"),
        (Style::Unix, 'q') => by_name("quick-pid"),
        (Style::Unix, 'C') => Some(|process, word| process.name == word),
        (Style::Unix, 'u') | (Style::Bsd, 'U') => by_name("user"),
        (Style::Unix, 'U') => by_name("User"),
        (Style::Unix, 'G') => by_name("Group"),
        (Style::Unix, 'g' | 's') => by_name("sid"),
        (_, 't') => by_name("tty"),
        _ => None,
    }
}

/// The list that belongs to a long option.
pub(super) fn by_name(name: &str) -> Option<Choice> {
    Some(match name {
        "pid" | "quick-pid" => |process, word| is(process.pid, word),
        "ppid" => |process, word| is(process.parent, word),
        "user" => |process, word| process.user == word || is(process.effective_uid, word),
        "User" => |process, word| process.real_user == word || is(process.uid, word),
        "group" | "Group" => |process, word| process.group_name == word || is(process.effective_gid, word),
        "sid" => |process, word| is(process.session, word),
        "tty" => is_terminal,
        _ => return None,
    })
}

fn is(number: u32, word: &str) -> bool {
    word.parse() == Ok(number)
}

/// `pts/0`, `/dev/pts/0`, or `?` and `-` for none.
fn is_terminal(process: &ProcessEntry, word: &str) -> bool {
    match word {
        "?" | "-" => process.terminal.is_empty(),
        word => process.terminal == word.strip_prefix("/dev/").unwrap_or(word),
    }
}
