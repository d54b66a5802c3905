//! Frequent verbs by themselves. To build the grammar of all verbs takes longer than much of what they do: it is for
//! mistakes and calls for help, which it has the words for.

use std::ffi::OsString;

use clap::{Args, Command};

use super::{Cli, OnContainers, Verb, as_docker};

/// What a command line means, if it begins with such a verb and has no mistake.
pub fn parse(arguments: &[OsString]) -> Option<Cli> {
    let (program, verb) = arguments.split_first()?;
    let verb = match verb.first()?.to_str()? {
        // Its -h is the host's name.
        "run" => Verb::On(OnContainers::Run(arguments_of(Command::new("run").disable_help_flag(true), verb)?)),
        "exec" => Verb::On(OnContainers::Exec(arguments_of(Command::new("exec"), verb)?)),
        "vmm" => Verb::Vmm(arguments_of(Command::new("vmm"), verb)?),
        _ => return None,
    };
    let global = arguments_of(Command::new("stockade"), std::slice::from_ref(program))?;
    Some(Cli { global, verb })
}

fn arguments_of<T: Args>(command: Command, arguments: &[OsString]) -> Option<T> {
    let matches = as_docker(T::augment_args(command)).try_get_matches_from(arguments).ok()?;
    T::from_arg_matches(&matches).ok()
}
