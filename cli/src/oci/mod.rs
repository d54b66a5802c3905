//! `stockade-oci`: the OCI runtime command line, in runc's place.
//!
//! One verb is one short-lived process: it parses, finds the isolation class, makes one call on its
//! [`Runtime`](stockade_sandbox::Runtime) and exits. Only foreground `run` and `exec` stay. Nothing here starts a
//! thread: classes fork.

mod argv;
mod bundle;
mod class;
pub(crate) mod console;
mod create;
mod events;
mod exec;
mod existing;
mod features;
mod foreground;
mod grammar;
mod kill;
mod log;
mod out;
mod parse;
mod query;
mod spec;
mod trace;
mod update;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
use oci_spec::runtime::Spec;
use stockade_native::seal;
use stockade_sandbox::{Error, IsolationClass, Result, Runtime};

use existing::Existing;
pub use features::SPEC_VERSION;
use grammar::{Cli, Global, Verb};
use log::Log;

/// The command's name and all its help, for man pages and completion.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Verbs whose processes a container can reach.
const CLONING: [&str; 3] = ["create", "run", "exec"];
/// The one of them that finds its class in the container.
const EXEC: &str = "exec";

/// Runs the command line of this process; its exit status.
pub fn main() -> i32 {
    if let Some(status) = crate::runtime::program(env::args_os) {
        return status;
    }
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    let brief = grammar::brief(&words);
    let globals = argv::Globals::of(argv::rewrite(&brief, words.clone()));
    if globals.asks_version() {
        return out::text(&features::version()).unwrap_or(1);
    }
    if needs_guard(&words, &globals)
        && let Err(error) = seal::guard()
    {
        let _ = writeln!(io::stderr(), "stockade-oci: {error}");
        return 1;
    }
    match parse(brief, words) {
        Ok(cli) => dispatch(cli),
        Err(error) => usage_error(&error, &globals),
    }
}

/// Whether a container could reach this process. Looked for before parsing, because the guard starts the program anew.
/// In classes `kernel` and `vm` only what serves a container is reachable at all, and that is started from a sealed
/// file.
fn needs_guard(words: &[OsString], globals: &argv::Globals) -> bool {
    let may_do = |verb: &str| words.iter().any(|word| word == verb);
    let class = globals.value("isolation").and_then(|class| class.to_str()?.parse().ok());
    let is_hosted = matches!(class, Some(IsolationClass::Kernel | IsolationClass::Vm));
    CLONING.into_iter().any(may_do) && (!is_hosted || may_do(EXEC))
}

fn parse(brief: clap::Command, words: Vec<OsString>) -> std::result::Result<Cli, clap::Error> {
    parse_by(brief, words.clone()).or_else(|_| parse_by(command(), words))
}

fn parse_by(mut command: clap::Command, words: Vec<OsString>) -> std::result::Result<Cli, clap::Error> {
    let words = argv::rewrite(&command, words);
    let program = std::iter::once(OsString::from("stockade-oci"));
    Cli::from_arg_matches(&command.try_get_matches_from_mut(program.chain(words))?)
}

/// Help goes to standard output with status 0; a mistake to standard error with runc's status 1, and its first
/// paragraph to the file of `--log`, where callers look for the reason.
fn usage_error(error: &clap::Error, globals: &argv::Globals) -> i32 {
    let _ = error.print();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return 0;
    }
    let text = error.to_string();
    let reason = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let log = globals.value("log").map(|file| Log::at(file.into(), globals.value("log-format")));
    if let Some(log) = log.filter(Log::is_file) {
        log.write(log::Level::Error, reason.trim_start_matches("error: "));
    }
    1
}

fn dispatch(cli: Cli) -> i32 {
    let context = Context { log: Log::new(&cli.global), global: cli.global };
    trace::install(context.log.clone());
    let failure = Failure::of(&cli.verb);
    run(&context, cli.verb).unwrap_or_else(|error| {
        context.log.error(&format!("{}{}", failure.prefix, text(&error)));
        failure.status
    })
}

fn run(context: &Context, verb: Verb) -> Result<i32> {
    match verb {
        Verb::Create(args) => create::create(context, args),
        Verb::Run(args) => create::run(context, args),
        Verb::Start(args) => create::start(&*context.existing()?, &args.id),
        Verb::Exec(args) => exec::exec(&*context.existing()?, args),
        Verb::Kill(args) => kill::kill(&*context.existing()?, &args),
        Verb::Delete(args) => kill::delete(&*context.existing()?, &args),
        Verb::State(args) => query::state(&*context.existing()?, &args.id),
        Verb::List(args) => query::list(&*context.existing()?, &args),
        Verb::Ps(args) => query::ps(&*context.existing()?, &args),
        Verb::Pause(args) => context.existing()?.pause(&args.id).map(|()| 0),
        Verb::Resume(args) => context.existing()?.resume(&args.id).map(|()| 0),
        Verb::Update(args) => update::update(&*context.existing()?, &args),
        Verb::Events(args) => events::events(&*context.existing()?, &args),
        Verb::Spec(args) => spec::spec(&args),
        Verb::Features => features::features(),
        Verb::Checkpoint(_) => Err(unbuilt("checkpoint a container")),
        Verb::Restore(_) => Err(unbuilt("restore a container")),
    }
}

/// What every verb needs.
struct Context {
    global: Global,
    log: Log,
}

impl Context {
    /// The class that serves a new container.
    fn new_container(&self, spec: &Spec) -> Result<Box<dyn Runtime>> {
        class::open(class::choose(self.global.isolation, spec)?, &self.global.root)
    }

    /// What serves the containers of the state directory.
    fn existing(&self) -> Result<Box<dyn Runtime>> {
        Ok(Box::new(Existing::new(self.global.root.clone())))
    }
}

fn unbuilt(what: &str) -> Error {
    let why = "this build lacks it".to_owned();
    Error::Unsupported { class: IsolationClass::Native, what: what.to_owned(), why }
}

/// How a verb reports that it failed.
struct Failure {
    prefix: &'static str,
    status: i32,
}

impl Failure {
    /// runc's words and statuses: an exec that failed must differ from a process that ended with 1.
    fn of(verb: &Verb) -> Self {
        match verb {
            Verb::Create(_) => Self { prefix: "stockade-oci create failed: ", status: 1 },
            Verb::Run(_) => Self { prefix: "stockade-oci run failed: ", status: 1 },
            Verb::Exec(_) => Self { prefix: "exec failed: ", status: 255 },
            _ => Self { prefix: "", status: 1 },
        }
    }
}

/// The message, with what runc puts before errors of the process itself.
fn text(error: &Error) -> String {
    match error {
        Error::ExecutableNotFound(_) | Error::NoSuchProgram(_) | Error::NotExecutable { .. } => {
            format!("unable to start container process: {error}")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, needs: bool) {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let globals = argv::Globals::of(argv::rewrite(&command(), words.clone()));
        assert_eq!(needs_guard(&words, &globals), needs, "{line}");
    }

    #[test]
    fn frequent_verbs_are_parsed_by_themselves() {
        let words = |line: &str| -> Vec<OsString> { line.split(' ').map(OsString::from).collect() };
        let brief = |line: &str| parse_by(grammar::brief(&words(line)), words(line));
        for line in [
            "create -b bundle id",
            "-root /r --isolation=kernel --systemd-cgroup run --detach=false id -b x --keep",
            "start id",
            "--log file --log-format json exec -t -e A=1 id sh -c run",
            "kill --all id 9",
            "delete id --force",
            "--root file state id",
        ] {
            let alone = brief(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(format!("{alone:?}"), format!("{:?}", parse_by(command(), words(line)).unwrap()), "{line}");
        }
        for line in
            ["run --bogus id", "--bogus run id", "run", "list run", "ps create", "help run", "--log run state a"]
        {
            assert!(brief(line).is_err(), "{line}");
        }
    }

    #[test]
    fn who_clones_for_containers_that_could_reach_it_is_guarded() {
        check("run -b bundle id", true);
        check("--root state create id", true);
        check("--isolation native run id", true);
        check("--isolation vm run id", false);
        check("--isolation vm exec id", true);
        check("--isolation kernel run id", false);
        check("-isolation=kernel create id", false);
        check("--isolation kernel --isolation native run id", true);
        check("run id --isolation kernel", true);
        check("--isolation kernel exec run", true);
        check("--isolation kernel list", false);
    }
}
