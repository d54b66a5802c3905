//! Joined streams: `exec` and `attach`.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal};

use anyhow::{Context as _, Result, bail};
use stockade_engine::{AttachOptions, DetachKeys, ExecOptions, Outcome, SignalProxy};

use super::context::Context;
use crate::args::{AttachArgs, ExecArgs, ProcessFlags, SessionFlags, Stream};
use crate::options;

/// `stockade exec`.
pub fn exec(context: &Context, args: &ExecArgs) -> Result<u8> {
    let (name, command) = args.container_and_command.split_first().context("a container is needed")?;
    let process = &args.process;
    let options = ExecOptions {
        command: command.to_vec(),
        tty: process.tty,
        interactive: process.interactive,
        env: options::environment(&process.env, &process.env_file)?,
        workdir: process.workdir.clone(),
        user: process.user.clone(),
        privileged: args.privileged,
    };
    let engine = context.engine()?;
    if args.detach {
        engine.exec_detached(name, &options)?;
        return Ok(0);
    }
    check_input(process)?;
    let keys = context.detach_keys(args.detach_keys.as_deref())?;
    // As with Docker, signals end the command and not the process in the container.
    let outcome = engine.exec(name, &options)?.run(&keys, SignalProxy::Off)?;
    Ok(exit_code(outcome))
}

/// `stockade attach`.
pub fn attach(context: &Context, args: &AttachArgs) -> Result<u8> {
    let (keys, proxy) = manner(context, &args.session)?;
    let engine = context.engine()?;
    let session = engine.attach(&args.name, &AttachOptions { stdin: !args.no_stdin })?;
    Ok(exit_code(session.run(&keys, proxy)?))
}

/// How a session ends, and what becomes of signals.
pub fn manner(context: &Context, flags: &SessionFlags) -> Result<(DetachKeys, SignalProxy)> {
    let proxy = if flags.sig_proxy { SignalProxy::Forward } else { SignalProxy::Off };
    Ok((context.detach_keys(flags.detach_keys.as_deref())?, proxy))
}

/// Refuses to give a process a terminal whose input would be none.
pub fn check_input(process: &ProcessFlags) -> Result<()> {
    if process.tty && process.interactive && !io::stdin().is_terminal() {
        bail!("the input device is not a TTY: leave out -t, or -i");
    }
    Ok(())
}

/// What a session's command exits with.
pub fn exit_code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Exited(code) => u8::try_from(code).unwrap_or(u8::MAX),
        Outcome::Detached => 0,
    }
}

/// Applies `-a`: silences the streams that it leaves out, and says whether standard input is joined.
pub fn join_streams(attach: &[Stream], interactive: bool) -> Result<bool> {
    if attach.is_empty() {
        return Ok(interactive);
    }
    let sink = || OpenOptions::new().write(true).open("/dev/null").context("open /dev/null");
    if !attach.contains(&Stream::Stdout) {
        rustix::stdio::dup2_stdout(sink()?)?;
    }
    if !attach.contains(&Stream::Stderr) {
        rustix::stdio::dup2_stderr(sink()?)?;
    }
    Ok(attach.contains(&Stream::Stdin) && interactive)
}
