//! The verbs of class `native` on a bundle, for the crate's tests and measurements: a library that clones its caller
//! must not be called from the test harness, which has many threads.

#![allow(clippy::print_stdout, reason = "answers go to stdout")]

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use oci_spec::runtime::{LinuxResources, Process, Spec};
use stockade_native::Native;
use stockade_sandbox::{
    CgroupManager, CgroupParent, ContainerId, CreateRequest, DeleteMode, ExecRequest, PivotRoot, Result, Rootfs,
    Runtime, SessionKeyring, SignalTarget, Stdio, Terminal, WritableLayer,
};

const USAGE: &str = "usage: contain STATE_ROOT VERB ID [ARGUMENTS]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [root, verb, id, rest @ ..] = &arguments[..] else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match dispatch(&Native::new(PathBuf::from(root)), verb, &id.parse().expect("a container id"), rest) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(native: &Native, verb: &str, id: &ContainerId, rest: &[String]) -> Result<u8> {
    match verb {
        "create" => native.create(id, request(rest)).map(drop)?,
        "start" => native.start(id)?,
        "run" => return run(native, id, rest),
        "bench" => bench(native, id, rest)?,
        "exec" => return native.exec(id, exec_request(rest)).map(wait),
        "kill" => native.signal(id, number(&rest[0]), SignalTarget::Init)?,
        "kill-all" => native.signal(id, number(&rest[0]), SignalTarget::All)?,
        "state" => println!("{}", serde_json::to_string(&native.state(id)?).expect("json")),
        "list" => println!("{}", serde_json::to_string(&native.list()?).expect("json")),
        "ps" => println!("{:?}", native.processes(id)?),
        "pause" => native.pause(id)?,
        "resume" => native.resume(id)?,
        "update" => native.update(id, &serde_json::from_str::<LinuxResources>(&rest[0]).expect("resources"))?,
        "delete" => native.delete(id, DeleteMode::Stopped)?,
        "delete-force" => native.delete(id, DeleteMode::Force)?,
        _ => panic!("{USAGE}"),
    }
    Ok(0)
}

fn number(text: &str) -> i32 {
    text.parse().expect("a signal number")
}

/// `BUNDLE [key=value]...`
fn request(arguments: &[String]) -> CreateRequest {
    let (bundle, options) = arguments.split_first().expect("a bundle");
    let bundle = PathBuf::from(bundle);
    let mut request = CreateRequest {
        spec: Spec::load(bundle.join("config.json")).expect("config.json"),
        bundle,
        rootfs: Rootfs::Bundle,
        user: None,
        terminal: Terminal::None,
        stdio: Stdio::default(),
        preserve_fds: 0,
        pid_file: None,
        pivot_root: PivotRoot::Pivot,
        keyring: SessionKeyring::New,
        cgroup_manager: CgroupManager::Cgroupfs,
        cgroup_parent: CgroupParent::Foreign,
        sandbox: None,
        trace: None,
    };
    for (key, value) in options.iter().filter_map(|option| option.split_once('=')) {
        set(&mut request, key, value);
    }
    request
}

fn set(request: &mut CreateRequest, key: &str, value: &str) {
    match key {
        "user" => request.user = Some(value.to_owned()),
        "console" => request.terminal = Terminal::Console(UnixStream::connect(value).expect("console socket")),
        "preserve-fds" => request.preserve_fds = value.parse().expect("a number"),
        "pid-file" => request.pid_file = Some(value.into()),
        "pivot" => request.pivot_root = PivotRoot::Move,
        // layers=WRITABLE:BLOB:BLOB...
        "layers" => {
            let (dir, blobs) = value.split_once(':').expect("WRITABLE:BLOBS");
            let blobs = blobs.split(':').map(PathBuf::from).collect();
            let writable = WritableLayer { dir: dir.into(), volatile: true };
            request.rootfs = Rootfs::Layers { blobs, writable };
        }
        _ => panic!("unknown option {key}"),
    }
}

/// `PROCESS_JSON [key=value]...`
fn exec_request(arguments: &[String]) -> ExecRequest {
    let mut request = ExecRequest {
        process: serde_json::from_str::<Process>(&arguments[0]).expect("process"),
        user: None,
        terminal: Terminal::None,
        stdio: Stdio::default(),
        preserve_fds: 0,
        pid_file: None,
        sub_cgroup: None,
        ignore_paused: false,
    };
    for (key, value) in arguments[1..].iter().filter_map(|option| option.split_once('=')) {
        match key {
            "user" => request.user = Some(value.to_owned()),
            "console" => request.terminal = Terminal::Console(UnixStream::connect(value).expect("console socket")),
            "pid-file" => request.pid_file = Some(value.into()),
            "cgroup" => request.sub_cgroup = Some(value.into()),
            _ => panic!("unknown option {key}"),
        }
    }
    request
}

/// Create, start, wait, delete.
fn run(native: &Native, id: &ContainerId, rest: &[String]) -> Result<u8> {
    let pid = native.create(id, request(rest))?;
    native.start(id)?;
    let status = wait(pid);
    native.delete(id, DeleteMode::Stopped)?;
    Ok(status)
}

/// `COUNT BUNDLE`: prints the mean time of each step in microseconds.
fn bench(native: &Native, id: &ContainerId, rest: &[String]) -> Result<()> {
    let (count, rest) = rest.split_first().expect("a count");
    let count: u32 = count.parse().expect("a count");
    let mut totals = [0.0; 4];
    for _ in 0..count {
        let begin = Instant::now();
        let pid = native.create(id, request(rest))?;
        let created = Instant::now();
        native.start(id)?;
        let started = Instant::now();
        wait(pid);
        let ended = Instant::now();
        native.delete(id, DeleteMode::Stopped)?;
        let steps = [created - begin, started - created, ended - started, ended.elapsed()];
        for (total, step) in totals.iter_mut().zip(steps) {
            *total += step.as_secs_f64() * 1e6 / f64::from(count);
        }
    }
    let [create, start, run, delete] = totals;
    println!(
        "create {create:.0} start {start:.0} run {run:.0} delete {delete:.0} total {:.0}",
        totals.iter().sum::<f64>()
    );
    Ok(())
}

/// The exit status of a child, 128 + signal if it was killed.
fn wait(pid: u32) -> u8 {
    use rustix::process::{Pid, WaitOptions, waitpid};
    let pid = Pid::from_raw(i32::try_from(pid).expect("pid"));
    let (_, status) = waitpid(pid, WaitOptions::empty()).expect("wait").expect("a status");
    let code = status.exit_status().or(status.terminating_signal().map(|signal| 128 + signal));
    u8::try_from(code.unwrap_or(255)).unwrap_or(255)
}
