//! Frequent verbs by themselves. To build the grammar of all verbs takes longer than much of what they do: it is for
//! mistakes and calls for help, which it has the words for.

use std::ffi::{OsStr, OsString};

use clap::{Args, Command, FromArgMatches};

use super::{Cli, ExecArgs, Global, RunArgs, VmmArgs, as_docker};

/// What a command line means, if such a verb is in it and it has no mistake. A word that looks like one and is the name
/// of something is a mistake to the grammar that knows one verb.
pub fn parse(arguments: &[OsString]) -> Option<Cli> {
    let verb = arguments.iter().skip(1).find_map(|word| frequent(word))?;
    let command = Global::augment_args(Command::new("stockade")).disable_help_subcommand(true).subcommand(verb);
    let matches = as_docker(command).try_get_matches_from(arguments).ok()?;
    Cli::from_arg_matches(&matches).ok()
}

fn frequent(word: &OsStr) -> Option<Command> {
    Some(match word.to_str()? {
        // Its -h is the host's name.
        "run" => RunArgs::augment_args(Command::new("run").disable_help_flag(true)),
        "exec" => ExecArgs::augment_args(Command::new("exec")),
        "vmm" => VmmArgs::augment_args(Command::new("vmm")),
        _ => return None,
    })
}
