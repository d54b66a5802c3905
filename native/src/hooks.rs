//! Hooks (OCI runtime spec, "POSIX-platform Hooks").

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use oci_spec::runtime::Hook;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{PidfdFlags, pidfd_open};
use serde::Serialize;
use stockade_sandbox::{Error, Result, Status};

use crate::fail::Context;
use crate::pid;
use crate::state::Record;
use crate::sys::process::with_default_signals;

/// Longest piece of a failed hook's output that an error repeats.
const OUTPUT_SHOWN_BYTES: u64 = 4096;

/// What a hook reads from its standard input (OCI runtime spec, "State").
#[derive(Serialize)]
struct HookState<'a> {
    #[serde(rename = "ociVersion")]
    oci_version: &'a str,
    id: &'a str,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    bundle: &'a Path,
    #[serde(skip_serializing_if = "std::collections::HashMap::is_empty")]
    annotations: &'a std::collections::HashMap<String, String>,
}

/// The state that hooks read, in the given status.
pub(crate) fn state_json(record: &Record, status: Status, pid: Option<u32>) -> Vec<u8> {
    serde_json::to_vec(&hook_state(record, status, pid)).unwrap_or_default()
}

fn hook_state(record: &Record, status: Status, pid: Option<u32>) -> HookState<'_> {
    HookState {
        oci_version: &record.oci_version,
        id: record.id.as_str(),
        status,
        pid,
        bundle: &record.bundle,
        annotations: &record.annotations,
    }
}

/// What a seccomp agent is told with a listener (OCI runtime spec, "The Container Process State").
#[derive(Serialize)]
struct ProcessState<'a> {
    #[serde(rename = "ociVersion")]
    oci_version: &'a str,
    fds: [&'static str; 1],
    pid: u32,
    metadata: &'a str,
    state: HookState<'a>,
}

/// The state that goes with the listener of process `pid`.
pub(crate) fn process_state_json(record: &Record, pid: u32, metadata: &str) -> Vec<u8> {
    let init = record.init.map_or(pid, |init| init.pid);
    let status = if init == pid { Status::Creating } else { Status::Running };
    let state = hook_state(record, status, Some(init));
    let state = ProcessState { oci_version: &record.oci_version, fds: ["seccompFd"], pid, metadata, state };
    serde_json::to_vec(&state).unwrap_or_default()
}

/// Runs hooks in order until one fails.
pub(crate) fn run(kind: &str, hooks: Option<&Vec<Hook>>, state: &[u8]) -> Result<()> {
    for (index, hook) in hooks.into_iter().flatten().enumerate() {
        run_one(hook, state).map_err(|why| Error::Other(format!("error running {kind} hook #{index}: {why}")))?;
    }
    Ok(())
}

/// Runs every hook, whatever the others do, and logs failures (poststart and poststop).
pub(crate) fn run_all(kind: &str, hooks: Option<&Vec<Hook>>, state: &[u8]) {
    for (index, hook) in hooks.into_iter().flatten().enumerate() {
        if let Err(why) = run_one(hook, state) {
            tracing::warn!("error running {kind} hook #{index}: {why}");
        }
    }
}

fn run_one(hook: &Hook, state: &[u8]) -> Result<()> {
    let what = hook.path().display().to_string();
    if !hook.path().is_absolute() {
        return Err(Error::Other(format!("{what}: hook path must be absolute")));
    }
    // Memory files, not pipes: a hook that never reads, or leaves a daemon behind with its output open, blocks nobody.
    let [mut input, output, errors] = memory_files().at("make the hook's streams")?;
    input.write_all(state).and_then(|()| input.rewind()).at("write the hook's state")?;
    let mut command = command(hook);
    let streams = || -> std::io::Result<[File; 2]> { Ok([output.try_clone()?, errors.try_clone()?]) };
    let [stdout, stderr] = streams().at("make the hook's streams")?;
    let child = with_default_signals(&mut command)
        .stdin(input)
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .at_with(|| format!("run {what}"))?;
    let status = wait(child, hook.timeout())?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Other(format!("{what}: {status}, stdout: {}, stderr: {}", shown(output), shown(errors))))
}

fn memory_files() -> std::io::Result<[File; 3]> {
    let make = || -> std::io::Result<File> { Ok(File::from(memfd_create("hook", MemfdFlags::CLOEXEC)?)) };
    Ok([make()?, make()?, make()?])
}

/// Without an environment of its own a hook has the runtime's, as under runc.
fn command(hook: &Hook) -> Command {
    let mut command = Command::new(hook.path());
    if let Some((name, arguments)) = hook.args().as_ref().and_then(|arguments| arguments.split_first()) {
        command.arg0(name).args(arguments);
    }
    if let Some(environment) = hook.env() {
        command.env_clear().envs(environment.iter().map(|variable| variable.split_once('=').unwrap_or((variable, ""))));
    }
    command
}

fn wait(mut child: Child, timeout_s: Option<i64>) -> Result<ExitStatus> {
    let limit = timeout_s.map(|seconds| u64::try_from(seconds).unwrap_or(0)).map(Duration::from_secs);
    let pidfd = pid::raw(child.id()).map(|pid| pidfd_open(pid, PidfdFlags::empty())).transpose().at("open the hook")?;
    if limit.is_some() && pidfd.is_some_and(|pidfd| !pid::wait_readable(&pidfd, limit)) {
        let _ = child.kill();
        let _ = child.wait();
        return Err(Error::Other(format!("hook ran past timeout of {:.1}s", limit.unwrap_or_default().as_secs_f64())));
    }
    child.wait().at("wait for the hook")
}

/// The start of what a failed hook wrote.
fn shown(mut output: File) -> String {
    let mut text = Vec::new();
    match output.rewind().and_then(|()| output.take(OUTPUT_SHOWN_BYTES).read_to_end(&mut text)) {
        Ok(_) => String::from_utf8_lossy(&text).trim_end().to_owned(),
        Err(error) => format!("(unreadable: {error})"),
    }
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::HookBuilder;

    use super::*;

    fn shell(script: &str) -> HookBuilder {
        let args = ["sh", "-c", script].map(str::to_owned).to_vec();
        HookBuilder::default().path("/bin/sh").args(args).env(vec!["GREETING=hello".to_owned()])
    }

    fn check(hook: HookBuilder, expected: std::result::Result<(), &str>) {
        let answer = run("prestart", Some(&vec![hook.build().unwrap()]), b"{\"id\":\"web\"}");
        match (answer, expected) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(text)) => {
                let message = error.to_string();
                assert!(message.contains(text), "{message:?} lacks {text:?}");
            }
            (answer, expected) => panic!("{answer:?} is not {expected:?}"),
        }
    }

    #[test]
    fn hooks_see_the_state_and_their_environment_alone() {
        check(shell("read line; test \"$line\" = '{\"id\":\"web\"}'"), Ok(()));
        check(shell("test \"$GREETING\" = hello && test -z \"$CARGO_MANIFEST_DIR\""), Ok(()));
        check(shell("test \"$0\" = sh"), Ok(()));
    }

    #[test]
    fn failures_say_which_hook_and_why() {
        let failed = "prestart hook #0: /bin/sh: exit status: 3, stdout: out, stderr: oops";
        check(shell("echo out; echo oops >&2; exit 3"), Err(failed));
        check(shell("sleep 30").timeout(1), Err("ran past timeout of 1.0s"));
        check(HookBuilder::default().path("bin/sh"), Err("must be absolute"));
        check(HookBuilder::default().path("/no/such/hook"), Err("No such file"));
    }

    #[test]
    fn a_daemon_left_behind_blocks_nobody() {
        check(shell("sleep 1 & exit 0"), Ok(()));
    }
}
