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
mod kernels;
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
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use stockade_native::{rest, seal};

use crate::args::{self, Cli, ContainerVerb, ImageVerb, InspectType, KernelVerb, OnContainers, Verb, VmVerb};
use crate::vmm;
use context::Context;

/// The exit status of wrong usage, and of engine errors in `run` and `create`.
const ENGINE_ERROR: u8 = 125;

/// What a shell reports of a program that SIGPIPE ended.
const SIGPIPE_STATUS: u8 = 141;

/// The hidden verb that the engine starts supervisors with; kept out of clap, which they have no memory for.
const SUPERVISE: &str = "supervise";

/// The verb that ends with Firecracker's statuses, and the name by which Firecracker's clients call a program.
const VMM: &str = "vmm";
const FIRECRACKER: &str = "firecracker";

/// All of `stockade`.
pub fn main() -> ExitCode {
    if let Some(status) = crate::runtime::program(std::env::args_os) {
        return u8::try_from(status).map_or(ExitCode::FAILURE, ExitCode::from);
    }
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_else(|| "stockade".into());
    let mut words: Vec<OsString> = arguments.collect();
    if Path::new(&program).file_name().is_some_and(|name| name == FIRECRACKER) {
        words.insert(0, VMM.into());
    }
    match words.first() {
        Some(verb) if verb == SUPERVISE => supervise(&words[1..]),
        Some(_) => people(program, words),
        None => help(),
    }
}

/// A supervisor starts containers, so it runs from a file that no container can write to.
fn supervise(arguments: &[OsString]) -> ExitCode {
    match seal::guard() {
        Ok(()) => {
            rest::begin();
            stockade_engine::supervise_main(arguments, Box::new(backend::Binary))
        }
        Err(error) => {
            message::error(&error.into());
            ExitCode::from(ENGINE_ERROR)
        }
    }
}

fn people(program: OsString, words: Vec<OsString>) -> ExitCode {
    rest::begin();
    let bad_usage = if words.first().is_some_and(|verb| verb == VMM) { vmm::BAD_USAGE } else { ENGINE_ERROR };
    let cli = match args::parse(&[vec![program], words].concat()) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, bad_usage),
    };
    let failure_code = match &cli.verb {
        Verb::On(verb) | Verb::Container(ContainerVerb::On(verb)) => failure_code(verb),
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
fn usage(error: &clap::Error, status: u8) -> ExitCode {
    let _ = error.print();
    match error.use_stderr() {
        true => ExitCode::from(status),
        false => ExitCode::SUCCESS,
    }
}

/// Of a failure that is ours: a container's own status could be 1 too.
fn failure_code(verb: &OnContainers) -> u8 {
    if matches!(verb, OnContainers::Run(_) | OnContainers::Create(_)) { ENGINE_ERROR } else { 1 }
}

fn execute(cli: Cli) -> Result<u8> {
    let context = || Context::new(&cli.global);
    match cli.verb {
        Verb::Version(args) => info::version(&args),
        Verb::Completion(args) => docs::completion(&args),
        Verb::Man(args) => docs::man(&args),
        Verb::Vmm(args) => Ok(vmm::run(&args)),
        Verb::Info(args) if args.default_config => info::default_config(),
        Verb::Info(args) => info::info(&context()?, &args),
        Verb::On(verb) => on_containers(&context()?, verb),
        Verb::Container(verb) => container(&context()?, verb),
        Verb::Ps(args) => ps::list(&context()?, &args),
        Verb::Inspect(args) => inspect::inspect(&context()?, &args, args.r#type),
        Verb::Events(args) => events::events(&context()?, &args),
        Verb::Image(verb) => image(&context()?, verb),
        Verb::Pull(args) => pull::pull(&context()?, &args),
        Verb::Images(args) => images::list(&context()?, &args),
        Verb::Rmi(args) => images::remove(&context()?, &args),
        Verb::History(args) => images::history(&context()?, &args),
        Verb::Save(args) => store::save(&context()?, &args),
        Verb::Load(args) => store::load(&context()?, &args),
        Verb::Import(args) => store::import(&context()?, &args),
        Verb::Tag(args) => store::tag(&context()?, &args),
        Verb::Vm(VmVerb::Kernel(verb)) => kernel(&context()?, &verb),
    }
}

fn kernel(context: &Context, verb: &KernelVerb) -> Result<u8> {
    match verb {
        KernelVerb::Ls(args) => kernels::list(context, args),
        KernelVerb::Import(args) => kernels::import(context, args),
        KernelVerb::Rm(args) => kernels::remove(context, args),
    }
}

fn on_containers(context: &Context, verb: OnContainers) -> Result<u8> {
    match verb {
        OnContainers::Run(args) => create::run(context, &args),
        OnContainers::Create(args) => create::create(context, &args),
        OnContainers::Start(args) => lifecycle::start(context, &args),
        OnContainers::Stop(args) => lifecycle::stop(context, &args),
        OnContainers::Restart(args) => lifecycle::restart(context, &args),
        OnContainers::Kill(args) => lifecycle::kill(context, &args),
        OnContainers::Rm(args) => lifecycle::remove(context, &args),
        OnContainers::Exec(args) => session::exec(context, &args),
        OnContainers::Attach(args) => session::attach(context, &args),
        OnContainers::Logs(args) => logs::logs(context, &args),
        OnContainers::Wait(args) => lifecycle::wait(context, &args),
        OnContainers::Top(args) => ps::top(context, &args),
        OnContainers::Stats(args) => stats::stats(context, &args),
        OnContainers::Pause(args) => lifecycle::pause(context, &args),
        OnContainers::Unpause(args) => lifecycle::unpause(context, &args),
        OnContainers::Update(args) => lifecycle::update(context, &args),
        OnContainers::Rename(args) => lifecycle::rename(context, &args),
    }
}

fn container(context: &Context, verb: ContainerVerb) -> Result<u8> {
    match verb {
        ContainerVerb::On(verb) => on_containers(context, verb),
        ContainerVerb::Ls(args) => ps::list(context, &args),
        ContainerVerb::Inspect(args) => inspect::inspect(context, &args, Some(InspectType::Container)),
        ContainerVerb::Prune(args) => lifecycle::prune(context, &args),
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
