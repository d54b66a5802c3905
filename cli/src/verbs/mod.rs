//! The verbs of `stockade`: each turns its arguments into calls on the engine and the store, and their answers into
//! text.
//!
//! Standard output is data; messages and progress go to standard error. A verb returns the exit status on success; an
//! error's status is 125 for `run`, `create` and wrong usage, 126 and 127 where the program is at fault, else 1.

mod backend;
mod context;
mod create;
mod docs;
mod events;
mod images;
mod info;
mod inspect;
mod lifecycle;
mod logs;
mod message;
mod progress;
mod ps;
mod pull;
mod session;
mod stats;
mod store;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use crate::args::{self, Cli, ContainerVerb, ImageVerb, InspectType, Verb};
use context::Context;

/// The exit status of wrong usage, and of engine errors in `run` and `create`.
const ENGINE_ERROR: u8 = 125;

/// What a shell reports of a program that SIGPIPE ended.
const SIGPIPE_STATUS: u8 = 141;

/// The hidden verb that the engine starts supervisors with; kept out of clap, which they have no memory for.
const SUPERVISE: &str = "supervise";

/// All of `stockade`.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_else(|| "stockade".into());
    let rest: Vec<OsString> = arguments.collect();
    match rest.first() {
        Some(verb) if verb == SUPERVISE => supervise(&rest[1..]),
        Some(_) => people(program, rest),
        None => help(),
    }
}

/// A supervisor starts containers, so it runs from a file that no container can write to.
fn supervise(arguments: &[OsString]) -> ExitCode {
    match stockade_native::seal::guard() {
        Ok(()) => stockade_engine::supervise_main(arguments, Box::new(backend::Binary)),
        Err(error) => {
            message::error(&error.into());
            ExitCode::from(ENGINE_ERROR)
        }
    }
}

fn people(program: OsString, rest: Vec<OsString>) -> ExitCode {
    let cli = match args::parse(std::iter::once(program).chain(rest)) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let failure_code = match &cli.verb {
        Verb::Run(_) | Verb::Create(_) | Verb::Container(ContainerVerb::Run(_) | ContainerVerb::Create(_)) => {
            ENGINE_ERROR
        }
        _ => 1,
    };
    match execute(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) if message::is_closed_pipe(&error) => ExitCode::from(SIGPIPE_STATUS),
        Err(error) => {
            message::error(&error);
            ExitCode::from(message::program_fault(&error).unwrap_or(failure_code))
        }
    }
}

fn help() -> ExitCode {
    // A closed standard output is all that can go wrong.
    let _ = args::command().print_help();
    ExitCode::SUCCESS
}

/// Help and version are no errors; the rest is wrong usage.
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    match error.use_stderr() {
        true => ExitCode::from(ENGINE_ERROR),
        false => ExitCode::SUCCESS,
    }
}

fn execute(cli: Cli) -> Result<u8> {
    match cli.verb {
        Verb::Version(args) => return info::version(&args),
        Verb::Completion(args) => return docs::completion(&args),
        Verb::Man(args) => return docs::man(&args),
        Verb::Info(args) if args.default_config => return info::default_config(),
        _ => {}
    }
    let context = Context::new(&cli.global)?;
    match cli.verb {
        Verb::Image(verb) => image(&context, verb),
        Verb::Container(verb) => container(&context, verb),
        Verb::Pull(args) => pull::pull(&context, &args),
        Verb::Images(args) => images::list(&context, &args),
        Verb::Rmi(args) => images::remove(&context, &args),
        Verb::History(args) => images::history(&context, &args),
        Verb::Save(args) => store::save(&context, &args),
        Verb::Load(args) => store::load(&context, &args),
        Verb::Import(args) => store::import(&context, &args),
        Verb::Tag(args) => store::tag(&context, &args),
        Verb::Inspect(args) => inspect::inspect(&context, &args, args.r#type),
        Verb::Events(args) => events::events(&context, &args),
        Verb::Info(args) => info::info(&context, &args),
        verb => container(&context, container_verb(verb)?),
    }
}

/// The verbs that work with and without the prefix `container`.
fn container_verb(verb: Verb) -> Result<ContainerVerb> {
    Ok(match verb {
        Verb::Run(args) => ContainerVerb::Run(args),
        Verb::Create(args) => ContainerVerb::Create(args),
        Verb::Start(args) => ContainerVerb::Start(args),
        Verb::Stop(args) => ContainerVerb::Stop(args),
        Verb::Restart(args) => ContainerVerb::Restart(args),
        Verb::Kill(args) => ContainerVerb::Kill(args),
        Verb::Rm(args) => ContainerVerb::Rm(args),
        Verb::Exec(args) => ContainerVerb::Exec(args),
        Verb::Attach(args) => ContainerVerb::Attach(args),
        Verb::Logs(args) => ContainerVerb::Logs(args),
        Verb::Ps(args) => ContainerVerb::Ls(args),
        Verb::Wait(args) => ContainerVerb::Wait(args),
        Verb::Top(args) => ContainerVerb::Top(args),
        Verb::Stats(args) => ContainerVerb::Stats(args),
        Verb::Pause(args) => ContainerVerb::Pause(args),
        Verb::Unpause(args) => ContainerVerb::Unpause(args),
        Verb::Update(args) => ContainerVerb::Update(args),
        Verb::Rename(args) => ContainerVerb::Rename(args),
        other => anyhow::bail!("{other:?} is no verb of containers"),
    })
}

fn container(context: &Context, verb: ContainerVerb) -> Result<u8> {
    match verb {
        ContainerVerb::Run(args) => create::run(context, &args),
        ContainerVerb::Create(args) => create::create(context, &args),
        ContainerVerb::Start(args) => lifecycle::start(context, &args),
        ContainerVerb::Stop(args) => lifecycle::stop(context, &args),
        ContainerVerb::Restart(args) => lifecycle::restart(context, &args),
        ContainerVerb::Kill(args) => lifecycle::kill(context, &args),
        ContainerVerb::Rm(args) => lifecycle::remove(context, &args),
        ContainerVerb::Prune(args) => lifecycle::prune(context, &args),
        ContainerVerb::Exec(args) => session::exec(context, &args),
        ContainerVerb::Attach(args) => session::attach(context, &args),
        ContainerVerb::Logs(args) => logs::logs(context, &args),
        ContainerVerb::Ls(args) => ps::list(context, &args),
        ContainerVerb::Inspect(args) => inspect::inspect(context, &args, Some(InspectType::Container)),
        ContainerVerb::Wait(args) => lifecycle::wait(context, &args),
        ContainerVerb::Top(args) => ps::top(context, &args),
        ContainerVerb::Stats(args) => stats::stats(context, &args),
        ContainerVerb::Pause(args) => lifecycle::pause(context, &args),
        ContainerVerb::Unpause(args) => lifecycle::unpause(context, &args),
        ContainerVerb::Update(args) => lifecycle::update(context, &args),
        ContainerVerb::Rename(args) => lifecycle::rename(context, &args),
    }
}

fn image(context: &Context, verb: ImageVerb) -> Result<u8> {
    match verb {
        ImageVerb::Ls(args) => images::list(context, &args),
        ImageVerb::Inspect(args) => inspect::inspect(context, &args, Some(InspectType::Image)),
        ImageVerb::History(args) => images::history(context, &args),
        ImageVerb::Rm(args) => images::remove(context, &args),
        ImageVerb::Prune(args) => images::prune(context, &args),
        ImageVerb::Pull(args) => pull::pull(context, &args),
        ImageVerb::Import(args) => store::import(context, &args),
        ImageVerb::Save(args) => store::save(context, &args),
        ImageVerb::Load(args) => store::load(context, &args),
        ImageVerb::Tag(args) => store::tag(context, &args),
        ImageVerb::Verify(args) => store::verify(context, &args),
    }
}
