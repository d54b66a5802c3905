//! The cases.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use stockade_engine::options::{LogDriver, Resources, Signal};
use stockade_engine::{
    AttachOptions, DetachKeys, ExecOptions, LogsOptions, Outcome, RemoveOptions, SignalProxy, StopOptions,
};
use stockade_sandbox::IsolationClass;

use crate::world::{World, alive, eventually, image, kill_9};

/// A case's name and its body.
type Case = (&'static str, fn());

/// Every case.
pub const ALL: &[Case] = &[
    ("lifecycle", lifecycle),
    ("logs", logs),
    ("log_follow_ends_with_the_container", log_follow_ends_with_the_container),
    ("no_log", no_log),
    ("failed_start", failed_start),
    ("failed_start_of_a_transient_container", failed_start_of_a_transient_container),
    ("names", names),
    ("stop_kills_after_the_timeout", stop_kills_after_the_timeout),
    ("pause_and_stop", pause_and_stop),
    ("update", update),
    ("transient", transient),
    ("ahead_of_its_container", ahead_of_its_container),
    ("ahead_of_nothing", ahead_of_nothing),
    ("restart", restart),
    ("exec", exec),
    ("attach_gives_and_takes", attach_gives_and_takes),
    ("attached_start_sees_everything", attached_start_sees_everything),
    ("terminal", terminal),
    ("death_of_the_client", death_of_the_client),
    ("death_of_the_supervisor", death_of_the_supervisor),
    ("death_of_the_supervisor_of_a_transient_container", death_of_the_supervisor_of_a_transient_container),
    ("death_of_the_supervisor_that_removes", death_of_the_supervisor_that_removes),
    ("a_removal_that_was_cut_short", a_removal_that_was_cut_short),
    ("death_of_both", death_of_both),
    ("kill_at_any_moment", kill_at_any_moment),
    ("many_at_once", many_at_once),
    ("default_spec", default_spec),
    ("host_spec", host_spec),
    ("shared_namespaces", shared_namespaces),
    ("volumes", volumes),
    ("classes", classes),
];

const FORCE: RemoveOptions = RemoveOptions { force: true, volumes: false };

fn lifecycle() {
    let world = World::new();
    let id = world.script("web", "exit 3", |_| {});
    assert_eq!(world.status("web"), "created");
    world.engine.start("web").unwrap();
    assert_eq!(world.engine.wait(&id).unwrap(), 3);
    assert_eq!(world.status("web"), "exited");
    assert_eq!(world.inspect(&id[..12], "/State/ExitCode"), 3);
    assert_eq!(world.engine.resolve(&id[..6]).unwrap(), id);
    world.engine.remove("web", RemoveOptions::default()).unwrap();
    assert!(world.engine.inspect("web").is_err());
    assert!(!world.container(&id).exists());
    assert_eq!(world.actions(), ["create", "start", "die", "destroy"]);
}

fn logs() {
    let world = World::new();
    world.started("web", "echo one; echo two >&2; printf three");
    world.engine.wait("web").unwrap();
    let mut log = world.log("web", &LogsOptions::default());
    assert_eq!(log.len(), "one\ntwo\nthree".len(), "{log:?}");
    log.truncate(4);
    assert!(["one\n", "two\n"].contains(&log.as_str()));
    assert_eq!(world.log("web", &LogsOptions { tail: Some(0), ..Default::default() }), "");
}

fn log_follow_ends_with_the_container() {
    let world = World::new();
    world.started("web", "for i in 1 2 3; do echo $i; sleep 0.1; done");
    assert_eq!(world.log("web", &LogsOptions { follow: true, ..Default::default() }), "1\n2\n3\n");
}

fn no_log() {
    let world = World::new();
    world.script("web", "echo x", |options| options.log.driver = LogDriver::None);
    world.engine.start("web").unwrap();
    world.engine.wait("web").unwrap();
    assert!(world.engine.logs("web", &LogsOptions::default(), &mut |_| Ok(())).is_err());
}

fn failed_start() {
    let world = World::new();
    world.script("web", "", |options| options.command = vec!["no-such-program".to_owned()]);
    let error = world.engine.start("web").unwrap_err();
    assert_eq!((error.exit_code(), error.to_string().contains("executable file not found")), (127, true));
    assert_eq!((world.status("web"), world.inspect("web", "/State/ExitCode")), ("created".to_owned(), 127.into()));
    world.engine.remove("web", RemoveOptions::default()).unwrap();
}

fn failed_start_of_a_transient_container() {
    let world = World::new();
    world.script("web", "", |options| {
        options.command = vec!["no-such-program".to_owned()];
        options.auto_remove = true;
    });
    assert!(world.engine.start("web").is_err());
    assert!(world.engine.inspect("web").is_err());
}

fn names() {
    let world = World::new();
    let id = world.script("web", "", |_| {});
    let options = || stockade_engine::ContainerOptions {
        name: Some("web".to_owned()),
        command: vec!["x".to_owned()],
        ..Default::default()
    };
    let error = world.engine.create(options(), image()).unwrap_err();
    assert!(error.to_string().contains(&format!("already in use by container \"{id}\"")), "{error}");
    world.engine.rename("web", "db").unwrap();
    assert_eq!(world.inspect("db", "/Name"), "/db");
    assert!(world.engine.inspect("web").is_err());
    world.engine.create(options(), image()).unwrap();
    assert!(world.engine.rename("web", "db").is_err());
    assert!(world.engine.rename("web", "no/slash").is_err());
    // As a rename leaves it that is killed before it frees the old name.
    std::fs::write(world.dir.path().join("names/old"), &id).unwrap();
    assert!(world.engine.inspect("old").is_err());
    world.engine.rename("web", "old").unwrap();
}

fn stop_kills_after_the_timeout() {
    let world = World::new();
    world.started("deaf", "trap '' TERM; echo ready; while :; do sleep 0.05; done");
    eventually("ready", || world.log("deaf", &LogsOptions::default()).contains("ready"));
    world.engine.stop("deaf", &StopOptions { signal: None, timeout_s: Some(0) }).unwrap();
    assert_eq!(world.inspect("deaf", "/State/ExitCode"), 137);
    world.started("polite", "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done");
    eventually("ready", || world.log("polite", &LogsOptions::default()).contains("ready"));
    world.engine.stop("polite", &StopOptions { signal: "USR1".parse().ok(), timeout_s: None }).unwrap();
    assert_eq!(world.inspect("polite", "/State/ExitCode"), 5);
    assert!(world.engine.kill("polite", Signal::TERM).unwrap_err().to_string().contains("is not running"));
}

fn pause_and_stop() {
    let world = World::new();
    let id = world.started("web", "exec sleep 60");
    world.engine.pause("web").unwrap();
    assert_eq!(world.status("web"), "paused");
    assert!(world.engine.pause("web").is_err());
    assert!(world.engine.remove("web", RemoveOptions::default()).unwrap_err().to_string().contains("paused"));
    world.engine.unpause("web").unwrap();
    assert_eq!(world.status("web"), "running");
    // As an unpause leaves it that is killed before it writes the status.
    let state = world.container(&id).join("state.json");
    let running = std::fs::read_to_string(&state).unwrap();
    std::fs::write(&state, running.replace("\"running\"", "\"paused\"")).unwrap();
    assert_eq!(world.status("web"), "paused");
    world.engine.unpause("web").unwrap();
    assert_eq!(world.status("web"), "running");
    world.engine.pause("web").unwrap();
    world.engine.stop("web", &StopOptions::default()).unwrap();
    assert_eq!(world.inspect("web", "/State/ExitCode"), 143);
}

fn update() {
    let world = World::new();
    let id = world.started("web", "exec sleep 60");
    world.engine.update("web", &Resources { memory_bytes: Some(64 << 20), ..Default::default() }).unwrap();
    assert_eq!(world.inspect("web", "/HostConfig/Memory"), 64 << 20);
    let told = std::fs::read_to_string(world.dir.path().join("run/fake").join(id).join("limits")).unwrap();
    assert!(told.contains("67108864"), "{told}");
    assert!(world.engine.update("web", &Resources { memory_bytes: Some(1), ..Default::default() }).is_err());
}

fn transient() {
    let world = World::new();
    let id = world.script("web", "exit 4", |options| options.auto_remove = true);
    let session = world.engine.start_attached("web", &AttachOptions::default()).unwrap();
    assert_eq!(session.run(&DetachKeys::default(), SignalProxy::Off).unwrap(), Outcome::Exited(4));
    assert!(!world.container(&id).exists());
    assert_eq!(std::fs::read_dir(world.dir.path().join("run/containers")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(world.dir.path().join("run/fake")).unwrap().count(), 0);
}

fn ahead_of_its_container() {
    let world = World::new();
    let ahead = world.engine.supervisor_ahead(IsolationClass::Native).unwrap();
    let id = world.script("web", "echo one; exit 4", |_| {});
    let session = world.engine.start_attached_by(Some(ahead), "web", &AttachOptions::default()).unwrap();
    assert_eq!(session.run(&DetachKeys::default(), SignalProxy::Off).unwrap(), Outcome::Exited(4));
    assert_eq!(world.log("web", &LogsOptions::default()), "one\n");
    assert!(world.supervisor(&id).is_none());
}

fn ahead_of_nothing() {
    let world = World::new();
    let ahead = world.engine.supervisor_ahead(IsolationClass::Native).unwrap();
    let children = || std::fs::read_to_string("/proc/thread-self/children").unwrap();
    let pid = children().trim().parse().unwrap();
    assert!(alive(pid));
    drop(ahead);
    eventually("the supervisor ends", || !alive(pid));
}

fn restart() {
    let world = World::new();
    world.script("web", "echo x", |_| {});
    for _ in 0..5 {
        world.engine.start("web").unwrap();
        assert_eq!(world.engine.wait("web").unwrap(), 0);
    }
    assert_eq!(world.log("web", &LogsOptions::default()), "x\n".repeat(5));
}

fn exec() {
    let world = World::new();
    let options = |script: &str| ExecOptions {
        command: ["/bin/sh", "-c", script].map(str::to_owned).into(),
        env: vec!["COLOUR=red".to_owned()],
        ..Default::default()
    };
    world.script("web", "exec sleep 60", |_| {});
    assert!(world.engine.exec("web", &options("")).unwrap_err().to_string().contains("is not running"));
    world.engine.start("web").unwrap();
    let session = world.engine.exec("web", &options("test $COLOUR = red && exit 9")).unwrap();
    assert_eq!(session.run(&DetachKeys::default(), SignalProxy::Off).unwrap(), Outcome::Exited(9));
    let long = options(&format!("{}exit 8", "\n".repeat(120_000)));
    let session = world.engine.exec("web", &long).unwrap();
    assert_eq!(session.run(&DetachKeys::default(), SignalProxy::Off).unwrap(), Outcome::Exited(8));
    let file = world.dir.path().join("made-by-exec");
    world.engine.exec_detached("web", &options(&format!("echo > {}", file.display()))).unwrap();
    eventually("the detached exec ran", || file.exists());
    let missing = ExecOptions { command: vec!["no-such-program".to_owned()], ..Default::default() };
    assert_eq!(world.engine.exec("web", &missing).unwrap_err().exit_code(), 127);
}

/// Another process's session with a container: its own standard streams are the session's.
pub fn attach_helper(arguments: &[OsString]) -> ExitCode {
    let [verb, root, name] = arguments else { return ExitCode::FAILURE };
    let root = std::path::Path::new(root);
    let directories = stockade_engine::Directories::new(root, &root.join("run")).expect("absolute paths");
    let engine = stockade_engine::Engine::open(directories, Box::new(crate::fake::FakeBackend)).expect("an engine");
    let (name, options) = (name.to_str().unwrap_or_default(), AttachOptions { stdin: true });
    let session = match verb.to_str() {
        Some("start") => engine.start_attached(name, &options).expect("start"),
        _ => engine.attach(name, &options).expect("attach"),
    };
    match session.run(&DetachKeys::default(), SignalProxy::Forward) {
        Ok(Outcome::Exited(code)) => ExitCode::from(u8::try_from(code).unwrap_or(255)),
        Ok(Outcome::Detached) => ExitCode::from(200),
        Err(_) => ExitCode::from(201),
    }
}

/// Starts such a process.
fn client(world: &World, verb: &str, name: &str) -> Child {
    Command::new("/proc/self/exe")
        .args(["attach", verb])
        .arg(world.dir.path())
        .arg(name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Clients that meet a dying container complain, which is no failure of a case.
        .stderr(Stdio::null())
        .spawn()
        .expect("a client")
}

fn attach_gives_and_takes() {
    let world = World::new();
    world.script("cat", "cat; exit 6", |options| options.interactive = true);
    world.engine.start("cat").unwrap();
    let mut child = client(&world, "attach", "cat");
    // More than pipes and sockets hold: both directions at once.
    let text = "x".repeat(3 << 20);
    let mut input = child.stdin.take().unwrap();
    let sent = text.clone();
    let writer = std::thread::spawn(move || input.write_all(sent.as_bytes()).unwrap());
    let mut received = String::new();
    child.stdout.take().unwrap().read_to_string(&mut received).unwrap();
    writer.join().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(6));
    assert_eq!(received.len(), text.len());
    assert_eq!(world.log("cat", &LogsOptions::default()).len(), text.len());
}

fn attached_start_sees_everything() {
    let world = World::new();
    world.script("web", "echo first; exit 2", |_| {});
    let mut child = client(&world, "start", "web");
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), child.wait().unwrap().code()), ("first\n", Some(2)));
}

fn terminal() {
    let world = World::new();
    world.script("tty", "test -t 0 && test -t 1 && read line && echo got $line", |options| {
        options.interactive = true;
        options.tty = true;
    });
    world.engine.start("tty").unwrap();
    let mut child = client(&world, "attach", "tty");
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"hello\n").unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("got hello\r\n"), "{text:?}");
    assert_eq!(child.wait().unwrap().code(), Some(0));

    world.script("shell", "cat", |options| {
        options.interactive = true;
        options.tty = true;
    });
    world.engine.start("shell").unwrap();
    let mut child = client(&world, "attach", "shell");
    child.stdin.take().unwrap().write_all(b"\x10\x11").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(200));
    assert_eq!(world.status("shell"), "running");
}

fn death_of_the_client() {
    let world = World::new();
    world.script("web", "echo one; sleep 0.3; echo two; exec sleep 60", |_| {});
    let mut child = client(&world, "start", "web");
    eventually("output", || world.log("web", &LogsOptions::default()).contains("one"));
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the log goes on", || world.log("web", &LogsOptions::default()).contains("two"));
    assert_eq!(world.status("web"), "running");
}

fn death_of_the_supervisor() {
    let world = World::new();
    let id = world.started("web", "exec sleep 60");
    let init = world.inspect("web", "/State/Pid").as_u64().unwrap();
    kill_9(world.supervisor(&id).unwrap());
    eventually("exited", || world.status("web") == "exited");
    assert_eq!(world.inspect("web", "/State/ExitCode"), 137);
    eventually("the workload is gone", || !alive(init));
    world.engine.start("web").unwrap();
    assert_eq!(world.status("web"), "running");
    world.engine.remove("web", FORCE).unwrap();
}

fn death_of_the_supervisor_of_a_transient_container() {
    let world = World::new();
    let id = world.script("web", "exec sleep 60", |options| options.auto_remove = true);
    world.engine.start("web").unwrap();
    kill_9(world.supervisor(&id).unwrap());
    eventually("removed", || world.names().is_empty());
    assert!(!world.container(&id).exists());
}

/// It says that it removes before it releases anything.
fn death_of_the_supervisor_that_removes() {
    let world = World::new();
    let id = world.script("web", "exec sleep 60", |options| options.auto_remove = true);
    world.engine.start("web").unwrap();
    let init = world.inspect("web", "/State/Pid").as_u64().unwrap();
    kill_9(world.supervisor(&id).unwrap());
    let state = world.container(&id).join("state.json");
    let text = std::fs::read_to_string(&state).unwrap();
    std::fs::write(&state, text.replace("\"running\"", "\"removing\"")).unwrap();
    eventually("removed", || world.names().is_empty());
    assert!(!world.container(&id).exists());
    eventually("the workload is gone", || !alive(init));
}

/// Whoever removes has the lock; found without it, a removal was cut short.
fn a_removal_that_was_cut_short() {
    let world = World::new();
    let id = world.script("web", "exit 0", |_| {});
    world.engine.start("web").unwrap();
    eventually("exited", || world.status("web") == "exited" && world.supervisor(&id).is_none());
    let state = world.container(&id).join("state.json");
    let text = std::fs::read_to_string(&state).unwrap();
    std::fs::write(&state, text.replace("\"exited\"", "\"removing\"")).unwrap();
    eventually("removed", || world.names().is_empty());
    assert!(!world.container(&id).exists());
}

fn death_of_both() {
    let world = World::new();
    let id = world.started("web", "exec sleep 60");
    let init = world.inspect("web", "/State/Pid").as_u64().unwrap();
    kill_9(world.supervisor(&id).unwrap());
    kill_9(u32::try_from(init).unwrap());
    eventually("exited", || world.status("web") == "exited");
    assert!([137, 255].map(Into::into).contains(&world.inspect("web", "/State/ExitCode")));
}

/// Starters and supervisors die after so many microseconds; then everything works as if nothing had been.
fn kill_at_any_moment() {
    let world = World::new();
    let id = world.script("web", "exec sleep 60", |_| {});
    for step in 0..24 {
        let mut child = client(&world, "start", "web");
        std::thread::sleep(Duration::from_micros(step * 1500));
        child.kill().unwrap();
        child.wait().unwrap();
        if let Some(pid) = world.supervisor(&id) {
            let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        let status = world.status("web");
        assert!(["created", "running", "exited"].contains(&status.as_str()), "{status}");
    }
    eventually("it starts again", || world.engine.start("web").is_ok());
    assert_eq!(world.status("web"), "running");
    world.engine.remove("web", FORCE).unwrap();
    assert_eq!(std::fs::read_dir(world.dir.path().join("run/fake")).unwrap().count(), 0);
}

fn many_at_once() {
    let world = World::new();
    let names: Vec<String> = (0..20).map(|number| format!("many-{number}")).collect();
    for name in &names {
        world.script(name, "exit 1", |_| {});
    }
    let mut children: Vec<Child> = names.iter().map(|name| client(&world, "start", name)).collect();
    for child in &mut children {
        drop(child.stdin.take());
        assert_eq!(child.wait().unwrap().code(), Some(1));
    }
    assert_eq!(world.names().len(), names.len());
}

fn volumes() {
    use stockade_engine::options::MountOption;
    let world = World::new();
    world.script("web", "", |options| {
        options.mounts = ["named:/a", "/b"].map(|text| MountOption::parse_volume(text).unwrap()).into();
    });
    let count = || std::fs::read_dir(world.dir.path().join("volumes")).unwrap().count();
    assert_eq!(count(), 2);
    world.engine.remove("web", RemoveOptions { force: false, volumes: true }).unwrap();
    assert_eq!(count(), 1);
    assert!(world.dir.path().join("volumes/named/_data").is_dir());
}

/// What the class was given for a container that is running.
fn spec(world: &World, id: &str) -> serde_json::Value {
    let path = world.dir.path().join("run/fake").join(id).join("spec.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The kinds of the spec's namespaces, and where those that are joined are.
fn namespaces(spec: &serde_json::Value) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let list = spec["linux"]["namespaces"].as_array().unwrap();
    list.iter().map(|namespace| (text(&namespace["type"]), text(&namespace["path"]))).collect()
}

fn default_spec() {
    let world = World::new();
    let id = world.started("web", "exec sleep 60");
    let spec = spec(&world, &id);
    assert_eq!(spec["hostname"], id[..12]);
    assert_eq!(spec["linux"]["cgroupsPath"], format!("/stockade/{id}"));
    assert_eq!(spec["process"]["capabilities"]["bounding"].as_array().unwrap().len(), 14);
    assert_eq!(spec["process"]["noNewPrivileges"], false);
    assert!(spec["process"]["rlimits"].as_array().is_none_or(Vec::is_empty));
    let targets: Vec<_> =
        spec["mounts"].as_array().unwrap().iter().map(|mount| mount["destination"].as_str().unwrap()).collect();
    let expected = [
        "/proc",
        "/dev",
        "/sys",
        "/dev/pts",
        "/dev/mqueue",
        "/dev/shm",
        "/etc/hosts",
        "/etc/hostname",
        "/etc/resolv.conf",
        "/sys/fs/cgroup",
    ];
    assert_eq!(targets, expected);
    let kinds: Vec<_> = namespaces(&spec).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["mount", "network", "uts", "pid", "ipc", "cgroup"]);
    assert_eq!(std::fs::read_to_string(world.container(&id).join("hostname")).unwrap(), format!("{}\n", &id[..12]));
}

fn host_spec() {
    let world = World::new();
    let id = world.script("web", "exec sleep 60", |options| {
        use stockade_engine::options::NamespaceMode;
        for mode in [&mut options.network, &mut options.pid, &mut options.ipc, &mut options.uts, &mut options.cgroupns]
        {
            *mode = NamespaceMode::Host;
        }
        options.privileged = true;
    });
    world.engine.start("web").unwrap();
    let spec = spec(&world, &id);
    assert_eq!(namespaces(&spec), [("mount".to_owned(), String::new())]);
    assert!(spec["hostname"].is_null() && spec["linux"]["seccomp"].is_null(), "{spec:#}");
    assert!(spec["linux"]["maskedPaths"].as_array().is_none_or(Vec::is_empty));
    assert!(spec["linux"]["sysctl"].as_object().is_none_or(serde_json::Map::is_empty));
}

fn shared_namespaces() {
    use stockade_engine::options::NamespaceMode;
    let world = World::new();
    let join = |mode: &str| mode.parse::<NamespaceMode>().unwrap();
    let owner = world.script("owner", "exec sleep 60", |options| options.ipc = join("shareable"));
    let other = world.script("other", "exec sleep 60", |options| {
        (options.network, options.pid, options.ipc) =
            (join("container:owner"), join("container:owner"), join("container:owner"));
    });
    assert!(world.engine.start("other").unwrap_err().to_string().contains("non running container"));
    world.engine.start("owner").unwrap();
    world.engine.start("other").unwrap();
    let pid = world.inspect("owner", "/State/Pid");
    let spec = spec(&world, &other);
    let joined: Vec<_> = namespaces(&spec).into_iter().map(|(_, path)| path).filter(|path| !path.is_empty()).collect();
    assert_eq!(joined, ["net", "pid", "ipc"].map(|kind| format!("/proc/{pid}/ns/{kind}")));
    assert_eq!(spec["hostname"], owner[..12]);
    let shm = world.container(&owner).join("shm").display().to_string();
    assert!(spec["mounts"].as_array().unwrap().iter().any(|mount| mount["source"] == shm));
    let mounted = || std::fs::read_to_string("/proc/self/mounts").unwrap().contains(&shm);
    assert!(mounted());
    world.engine.stop("owner", &StopOptions { signal: None, timeout_s: Some(0) }).unwrap();
    assert!(!mounted());
}

fn classes() {
    let world = World::new();
    let options = stockade_engine::ContainerOptions {
        command: vec!["x".to_owned()],
        isolation: "vm".parse().ok(),
        ..Default::default()
    };
    let error = world.engine.create(options, image()).unwrap_err();
    assert!(error.to_string().contains("lacks the class"), "{error}");
    assert!(world.names().is_empty());
}
