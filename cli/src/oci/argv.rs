//! From the command lines that runc accepts to ones that clap accepts.
//!
//! runc's parser is Go's `flag`: one dash or two before any name (`-no-subreaper`), the next word is a flag's value
//! even when it begins with a dash (`update -r -`), and switches take a value (`--tty=false`). Options may follow the
//! id, except for `exec` and `ps`, where everything after the id is passed on.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::{Arg, Command};

/// Verbs whose options end at the first word that is none.
const STOP_AT_ID: [&str; 2] = ["exec", "ps"];

/// Rewrites the words after the program's name.
pub fn rewrite(command: &Command, words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words = words.into_iter();
    let mut out = Vec::new();
    let Some(verb) = rewrite_options(command, &mut words, &mut out) else { return out };
    let subcommand = command.find_subcommand(&verb);
    out.push(verb.clone());
    match subcommand {
        Some(subcommand) => rewrite_verb(subcommand, &verb, words, &mut out),
        None => out.extend(words),
    }
    out
}

/// The options before the verb, which are looked at even where the whole cannot be parsed.
pub struct Globals(Vec<OsString>);

impl Globals {
    /// Those of a rewritten command line.
    pub fn of(words: Vec<OsString>) -> Self {
        Self(words.into_iter().take_while(|word| is_option(word)).collect())
    }

    /// Whether the version is asked for, in any spelling of runc's parser.
    pub fn asks_version(&self) -> bool {
        self.0.iter().any(|word| matches!(word.to_str(), Some("--version" | "-version" | "-v" | "-V")))
    }

    /// An option's last value.
    pub fn value(&self, name: &str) -> Option<OsString> {
        let value = |word: &OsString| match split(word) {
            (found, value) if found == name => value,
            _ => None,
        };
        self.0.iter().rev().find_map(value)
    }
}

/// Rewrites options up to the first word that is none, and returns that word.
fn rewrite_options(
    command: &Command,
    words: &mut impl Iterator<Item = OsString>,
    out: &mut Vec<OsString>,
) -> Option<OsString> {
    while let Some(word) = words.next() {
        if !is_option(&word) {
            return Some(word);
        }
        out.extend(rewrite_option(command, word, words));
    }
    None
}

fn rewrite_verb(command: &Command, verb: &OsStr, mut words: impl Iterator<Item = OsString>, out: &mut Vec<OsString>) {
    let mut positional = Vec::new();
    while let Some(word) = rewrite_options(command, &mut words, out) {
        let ends_options = word == "--" || STOP_AT_ID.iter().any(|stop| verb == *stop);
        if word != "--" {
            positional.push(word);
        }
        if ends_options {
            positional.extend(words.by_ref());
        }
    }
    if !positional.is_empty() {
        out.push("--".into());
        out.append(&mut positional);
    }
}

/// True for a word that Go's `flag` would parse; `-` alone is a value and `--` ends the options.
fn is_option(word: &OsStr) -> bool {
    let bytes = word.as_bytes();
    bytes.len() > 1 && bytes[0] == b'-' && bytes != b"--"
}

/// One option as `--name`, `--name=value`, or nothing for a switch that is set to false.
fn rewrite_option(command: &Command, word: OsString, words: &mut impl Iterator<Item = OsString>) -> Option<OsString> {
    let (name, value) = split(&word);
    let Some((arg, long)) = find(command, &name) else { return Some(word) };
    if arg.get_action().takes_values() {
        return Some(match value.or_else(|| words.next()) {
            Some(value) => joined(long, &value),
            None => word,
        });
    }
    match value.as_deref().map(OsStr::as_bytes) {
        Some(b"false" | b"f" | b"F" | b"0" | b"FALSE" | b"False") => None,
        None | Some(b"true" | b"t" | b"T" | b"1" | b"TRUE" | b"True") => Some(format!("--{long}").into()),
        Some(_) => Some(word),
    }
}

/// The name without its dashes, and the value after `=`.
fn split(word: &OsStr) -> (String, Option<OsString>) {
    let bytes = word.as_bytes();
    let bytes = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-")).unwrap_or(bytes);
    let mut halves = bytes.splitn(2, |byte| *byte == b'=');
    let name = String::from_utf8_lossy(halves.next().unwrap_or_default()).into_owned();
    (name, halves.next().map(|value| OsString::from_vec(value.to_vec())))
}

fn find<'a>(command: &'a Command, name: &str) -> Option<(&'a Arg, &'a str)> {
    let named =
        |arg: &&Arg| arg.get_long() == Some(name) || arg.get_short().is_some_and(|short| name == short.to_string());
    command.get_arguments().find(named).and_then(|arg| Some((arg, arg.get_long()?)))
}

fn joined(name: &str, value: &OsStr) -> OsString {
    let mut word = OsString::from(format!("--{name}="));
    word.push(value);
    word
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::oci::grammar::Cli;

    #[track_caller]
    fn check(input: &str, expected: &str) {
        let words = rewrite(&Cli::command(), input.split_whitespace().map(OsString::from));
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        assert_eq!(words.join(" "), expected);
    }

    #[test]
    fn any_number_of_dashes_names_an_option() {
        check("-root /r --log=/l state a", "--root=/r --log=/l state -- a");
        check("restore -no-subreaper a", "restore -no-subreaper -- a");
        check("run -no-subreaper -d -b x a", "run --no-subreaper --detach --bundle=x -- a");
    }

    #[test]
    fn options_may_follow_the_id() {
        check("run a -b x --keep", "run --bundle=x --keep -- a");
        check("delete a --force", "delete --force -- a");
        check("kill --all a 9", "kill --all -- a 9");
    }

    #[test]
    fn a_value_may_begin_with_a_dash() {
        check("update -r - a", "update --resources=- -- a");
        check("update --cpu-quota -1 a", "update --cpu-quota=-1 -- a");
    }

    #[test]
    fn everything_after_the_id_belongs_to_exec() {
        check("exec -t --user 1:2 a -d sh -c x", "exec --tty --user=1:2 -- a -d sh -c x");
        check("exec a -- sh", "exec -- a -- sh");
        check("ps -f json a -o pid", "ps --format=json -- a -o pid");
    }

    #[test]
    fn switches_take_a_truth_value() {
        check("exec --tty=true --detach=false a b", "exec --tty -- a b");
        check("exec --tty=maybe a b", "exec --tty=maybe -- a b");
    }

    #[test]
    fn global_options_are_known_before_the_rest_is_parsed() {
        let globals = |input: &str| Globals::of(rewrite(&Cli::command(), input.split_whitespace().map(OsString::from)));
        assert!(globals("--root /r --version").asks_version());
        assert!(globals("-v").asks_version());
        assert!(!globals("--log -v state").asks_version());
        assert!(!globals("state --version").asks_version());
        let given = globals("-log /l --log-format=json no-such-verb --log /other");
        assert_eq!(given.value("log").unwrap(), "/l");
        assert_eq!(given.value("log-format").unwrap(), "json");
        assert!(given.value("root").is_none());
    }

    #[test]
    fn unknown_words_are_left_for_the_error() {
        check("--bogus x y", "--bogus x y");
        check("state --bogus a", "state --bogus -- a");
        check("-h", "-h");
    }
}
