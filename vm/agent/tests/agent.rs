//! The agent as a whole: the real program as process 1 of namespaces on this host, asked as a monitor asks it.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown as Half;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Host, fill_root, read, read_until, text};
use serde_json::json;
use stockade_sandbox::protocol::{
    BoundFile, Configure, ContainerRequest, CreateContainer, Empty, Event, FdRole, GuestInterface, GuestNeighbour,
    GuestNetwork, GuestRoot, GuestRoute, GuestUpper, Method, OomRequest, Processes, Resize, SharePath, SharedMount,
    Shutdown, SignalRequest, StatsReply, StreamId, Update,
};
use stockade_sandbox::{Error, Stats};

const OUTPUTS: [FdRole; 2] = [FdRole::Stdout, FdRole::Stderr];

#[test]
fn a_container_speaks_and_ends() {
    let mut host = Host::boot();
    let (id, mut streams) = host.run("echo out; echo err >&2; exit 7", &OUTPUTS);
    assert_eq!((read(&mut streams[0]).as_str(), read(&mut streams[1]).as_str()), ("out\n", "err\n"));
    assert_eq!(host.wait(&id, ""), 7 << 8);
    assert_eq!(host.wait(&id, ""), 7 << 8, "it is told again");
    let again = host.create("true", &[], |message, _| message.id.clone_from(&id)).1;
    assert_eq!(text(again.err()), "container with given ID already exists");
    host.order(Method::Delete, &id).expect("delete");
    let gone = host.call::<Empty>(Method::Wait, &ContainerRequest { id }).err();
    assert!(matches!(gone, Some(Error::NotFound)), "{gone:?}");
}

#[test]
fn an_input_has_an_end() {
    let mut host = Host::boot();
    let (id, mut streams) = host.run("cat; echo end", &[FdRole::Stdin, FdRole::Stdout]);
    let wait = host.ask_end(&id, "");
    let much: Vec<u8> = (0..1_000_000_u32).map(|n| b'a' + (n % 25).to_le_bytes()[0]).collect();
    let mut output = streams.pop().expect("its output");
    let mut input = streams.pop().expect("its input");
    let writer = {
        let much = much.clone();
        std::thread::spawn(move || {
            input.write_all(&much).expect("write");
            input.shutdown(Half::Write).expect("half-close");
        })
    };
    let all = read(&mut output);
    writer.join().expect("all is written");
    assert!(all.as_bytes() == [&much[..], b"end\n"].concat(), "{} bytes", all.len());
    assert_eq!(host.answer::<stockade_sandbox::protocol::ExitStatus>(wait).expect("wait").wait_status, 0);
}

/// The end of a process is told before its output ends, where others hold that open; but after what it said itself.
#[test]
fn what_outlives_a_process_does_not_hide_its_end() {
    let mut host = Host::boot();
    let (id, _streams) = host.run("sleep 1000", &[]);
    let mut streams = host.exec(&id, "short", &["sh", "-c", "echo said; sleep 1000 & exit 3"], &OUTPUTS).expect("exec");
    assert_eq!(host.wait(&id, "short"), 3 << 8);
    assert_eq!(read_until(&mut streams[0], "said\n"), "said\n");
}

#[test]
fn a_reader_who_leaves_ends_the_writer() {
    let mut host = Host::boot();
    let (id, streams) = host.run("yes; exit $?", &[FdRole::Stdout]);
    drop(streams);
    assert_eq!(host.wait(&id, ""), (128 + 13) << 8);
}

#[test]
fn more_processes_have_streams_and_signals_of_their_own() {
    let mut host = Host::boot();
    let (id, _streams) = host.run("sleep 1000", &[]);
    let mut streams = host.exec(&id, "one", &["sh", "-c", "hostname; id -u >&2; exit 5"], &OUTPUTS).expect("exec");
    assert_eq!((read(&mut streams[0]).as_str(), read(&mut streams[1]).as_str()), ("box\n", "0\n"));
    assert_eq!(host.wait(&id, "one"), 5 << 8);
    let missing = host.exec(&id, "two", &["no-such"], &[]);
    assert_eq!(text(missing.err()), "exec: \"no-such\": executable file not found in $PATH");
    host.exec(&id, "three", &["sleep", "1000"], &[]).expect("exec");
    assert!(host.exec(&id, "three", &["true"], &[]).is_err(), "the name is taken");
    let signal = |process: &str, signal| SignalRequest { id: id.clone(), process: process.into(), signal, all: false };
    host.call::<Empty>(Method::Signal, &signal("three", 15)).expect("signal");
    assert_eq!(host.wait(&id, "three"), 15);
    assert!(matches!(host.call::<Empty>(Method::Signal, &signal("three", 15)), Err(Error::NotRunning)));
    host.call::<Empty>(Method::Signal, &signal("", 9)).expect("signal");
    assert_eq!(host.wait(&id, ""), 9);
}

#[test]
fn a_terminal_has_a_size_and_hangs_up() {
    let mut host = Host::boot();
    let script = "trap 'exit 9' HUP; tty; read line; stty size; while true; do sleep 0.01; done";
    let (id, mut streams) = host.run(script, &[FdRole::Terminal]);
    let mut terminal = streams.pop().expect("its terminal");
    read_until(&mut terminal, "/dev/pts/0");
    let size = Resize { id: id.clone(), process: String::new(), rows: 33, columns: 77 };
    host.call::<Empty>(Method::Resize, &size).expect("resize");
    terminal.write_all(b"go\n").expect("type");
    let seen = read_until(&mut terminal, "33 77");
    assert!(seen.contains("go"), "what is typed is echoed: {seen:?}");
    drop(terminal);
    assert_eq!(host.wait(&id, ""), 9 << 8);
    let (id, _streams) = host.run("sleep 1000", &[]);
    let mut terminal = host.exec(&id, "tty", &["sh", "-c", "stty -echo; tty"], &[FdRole::Terminal]).expect("exec");
    assert!(read(&mut terminal[0]).starts_with("/dev/pts/0"));
    assert_eq!(host.wait(&id, "tty"), 0);
}

/// A root of image layers: lowest first, a writable layer above them with a limit.
#[test]
fn a_root_of_layers() {
    let mut host = Host::boot();
    let images = host.dir.path().join("shares/images");
    fs::create_dir(&images).expect("a directory");
    let top = host.dir.path().join("top");
    fs::create_dir_all(top.join("etc")).expect("a directory");
    fs::write(top.join("etc/motd"), "from the top\n").expect("a file");
    for (tree, name) in [(fill_root(&host.dir.path().join("base")), "base"), (top, "top")] {
        let made = Command::new("mkfs.erofs").arg(images.join(name)).arg(tree).output().expect("mkfs.erofs runs");
        assert!(made.status.success(), "{made:?}");
    }
    let shares = vec![stockade_sandbox::protocol::Share { tag: "images".into() }];
    host.call::<Empty>(Method::Configure, &Configure { shares, ..Configure::default() }).expect("configure");
    let blob = |name: &str| SharePath { tag: "images".into(), path: name.into() };
    let layers = |message: &mut CreateContainer| {
        let upper = Some(GuestUpper { size_bytes: 4 << 20, ..GuestUpper::default() });
        let blobs = vec![blob("base"), blob("top")];
        message.root = Some(GuestRoot { blobs, upper, ..GuestRoot::default() });
    };
    let script = "cat /etc/motd; echo mine > /etc/motd; cat /etc/motd; dd if=/dev/zero of=/big bs=1M count=8 2>&1 | \
        grep -c 'No space'";
    for _ in 0..2 {
        let (output, status) = host.output(script, |message, _| layers(message));
        assert_eq!((output.as_str(), status), ("from the top\nmine\n1\n", 0));
    }
}

#[test]
fn files_and_directories_of_the_host() {
    let mut host = Host::boot();
    let data = host.dir.path().join("shares/bundle/data");
    fs::create_dir(&data).expect("a directory");
    fs::write(data.join("in"), "given\n").expect("a file");
    let bind = |at: &str| json!({"destination": at, "type": "bind", "source": "/of/the/host", "options": ["rbind"]});
    let (output, status) = host.output("cat /etc/hosts /data/in; echo taken > /data/out", |message, spec| {
        let mounts = spec["mounts"].as_array_mut().expect("mounts");
        mounts.extend([bind("/etc/hosts"), bind("/data")]);
        let destination = "/etc/hosts".to_owned();
        message.files = vec![BoundFile { destination, content: b"127.0.0.1 box\n".to_vec(), permissions: 0o644 }];
        let source = Some(SharePath { tag: "bundle".into(), path: "data".into() });
        message.mounts = vec![SharedMount { mount: 4, source }];
    });
    assert_eq!((output.as_str(), status), ("127.0.0.1 box\ngiven\n", 0));
    assert_eq!(fs::read_to_string(data.join("out")).expect("it wrote"), "taken\n");
    let (_, made) = host.create("true", &[], |_, spec| {
        spec["mounts"].as_array_mut().expect("mounts").push(bind("/secret"));
    });
    assert!(text(made.err()).contains("/secret"), "nothing of the guest's own is shown instead");
}

#[test]
fn limits_figures_and_pauses() {
    let mut host = Host::boot();
    let (id, mut streams) =
        host.run_changed("while read line; do echo $line; done", &[FdRole::Stdin, FdRole::Stdout], |_, spec| {
            spec["linux"]["resources"] = json!({"pids": {"limit": 50}, "cpu": {"cpus": "77"}});
        });
    let mut output = streams.pop().expect("its output");
    let mut input = streams.pop().expect("its input");
    input.write_all(b"one\n").expect("write");
    read_until(&mut output, "one\n");
    let container = ContainerRequest { id: id.clone() };
    let reply: StatsReply = host.call(Method::Stats, &container).expect("stats");
    let stats: Stats = serde_json::from_slice(&reply.stats).expect("figures");
    assert_eq!((stats.pids.current, stats.pids.limit), (1, 50));
    let resources = br#"{"pids": {"limit": 60}}"#.to_vec();
    host.call::<Empty>(Method::Update, &Update { id: id.clone(), resources }).expect("update");
    let reply: StatsReply = host.call(Method::Stats, &container).expect("stats");
    assert_eq!(serde_json::from_slice::<Stats>(&reply.stats).expect("figures").pids.limit, 60);
    let list: Processes = host.call(Method::Processes, &container).expect("processes");
    let seen: Vec<_> = list.entries.iter().map(|one| (one.pid, one.parent, one.user.as_str())).collect();
    assert_eq!(seen, [(1, 0, "root")]);
    assert!(list.entries[0].command.starts_with("/bin/sh -c while"), "{:?}", list.entries);
    host.order(Method::Pause, &id).expect("pause");
    input.write_all(b"two\n").expect("write");
    output.set_read_timeout(Some(Duration::from_millis(100))).expect("set a limit");
    assert!(output.read(&mut [0; 16]).is_err(), "it stands still");
    output.set_read_timeout(Some(Duration::from_secs(60))).expect("set a limit");
    host.order(Method::Resume, &id).expect("resume");
    read_until(&mut output, "two\n");
}

#[test]
fn a_process_killed_for_lack_of_memory_is_told() {
    let mut host = Host::boot();
    let (id, mut streams) = host.run_changed(
        "read line; dd if=/dev/zero of=/dev/null bs=64M count=1; read line",
        &[FdRole::Stdin],
        |_, spec| spec["linux"]["resources"] = json!({"memory": {"limit": 16 << 20}}),
    );
    let question = host.ask(Method::WaitOom, &OomRequest { id: id.clone(), seen: 0 });
    streams[0].write_all(b"go\n").expect("write");
    let event: Event = host.answer(question).expect("an event");
    assert_eq!((event.id.as_str(), event.oom_kills), (id.as_str(), 1));
    let question = host.ask(Method::WaitOom, &OomRequest { id: id.clone(), seen: 1 });
    host.order(Method::Delete, &id).expect("delete");
    assert!(matches!(host.answer::<Event>(question), Err(Error::NotFound)));
}

#[test]
fn orphans_are_reaped() {
    let mut host = Host::boot();
    let (output, status) = host.output("(sleep 0.2 & echo $!); exit 0", |_, spec| {
        spec["linux"]["namespaces"] = json!([{"type": "mount"}]);
        spec.as_object_mut().expect("a spec").remove("hostname");
    });
    assert_eq!((output.lines().count(), status), (1, 0));
    let deadline = Instant::now() + Duration::from_secs(60);
    let pid = host.agent_pid();
    let children = || fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("the agent's children");
    while !children().is_empty() {
        assert!(Instant::now() < deadline, "left: {}", children());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whatever comes in by its sockets, the machine goes on: and so do its containers.
#[test]
fn noise_does_not_end_the_machine() {
    let mut host = Host::boot();
    let (id, mut streams) = host.run("read line; exit 4", &[FdRole::Stdin]);
    let before = host.ask_end(&id, "");
    let silent: Vec<_> = (0..300).map(|_| host.stream(b"")).collect();
    let random: Vec<u8> = (0..5000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0]).collect();
    for noise in
        [&random[..], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 100], &[0; 10], &[0, 0, 0, 4, 0, 0, 0, 1, 1, 0, 9, 9, 9, 9]]
    {
        drop(host.stream(noise));
        host.say(noise);
        host.reconnect();
    }
    drop(silent);
    let unknown = host.call::<Empty>(Method::Pause, &ContainerRequest { id: "no-such".into() });
    assert!(matches!(unknown, Err(Error::NotFound)), "{unknown:?}");
    let nonsense = SignalRequest { id: id.clone(), signal: 1000, ..SignalRequest::default() };
    assert!(host.call::<Empty>(Method::Signal, &nonsense).is_err());
    assert_ne!(host.ask_end(&id, ""), before);
    streams[0].write_all(b"go\n").expect("write");
    assert_eq!(host.wait(&id, ""), 4 << 8);
}

/// The host may announce a stream before it arrives.
#[test]
fn a_stream_may_come_late() {
    let mut host = Host::boot();
    let (id, _streams) = host.run("sleep 1000", &[]);
    let late = StreamId { role: FdRole::Stdout.into(), id: 1 << 40 };
    let message = stockade_sandbox::protocol::ExecProcess {
        id: id.clone(),
        process: "late".into(),
        spec: br#"{"user": {"uid": 0, "gid": 0}, "cwd": "/", "args": ["/bin/echo", "late"]}"#.to_vec(),
        streams: vec![late],
        ..Default::default()
    };
    let question = host.ask(Method::Exec, &message);
    let list: Processes = host.call(Method::Processes, &ContainerRequest { id: id.clone() }).expect("others go on");
    assert_eq!(list.entries.len(), 1);
    let mut stream = host.stream(&late.id.to_be_bytes());
    host.answer::<Empty>(question).expect("exec");
    assert_eq!(read(&mut stream), "late\n");
}

#[test]
fn the_network_is_as_the_host_says() {
    let mut host = Host::boot_after(
        "ip link add eth0 address 02:00:00:00:00:09 type veth peer name other && ip addr add 192.0.2.9/24 dev other && \
         ip link set other address 02:00:00:00:00:07",
    );
    let interface = GuestInterface {
        mac: vec![2, 0, 0, 0, 0, 7],
        name: "eth0".into(),
        mtu: 1400,
        addresses: vec!["10.9.0.2/24".into(), "fd00:9::2/64".into()],
        ..GuestInterface::default()
    };
    // It came with another address, and is told its own.
    let second = GuestInterface {
        mac: vec![2, 0, 0, 0, 0, 8],
        name: "eth1".into(),
        card: vec![2, 0, 0, 0, 0, 9],
        ..GuestInterface::default()
    };
    let route = |destination: &str, gateway: &str| GuestRoute {
        destination: destination.into(),
        gateway: gateway.into(),
        interface: "eth0".into(),
        ..GuestRoute::default()
    };
    let routes = vec![route("", "10.9.0.1"), route("198.51.100.0/24", "10.9.0.7")];
    let neighbours =
        vec![GuestNeighbour { address: "10.9.0.1".into(), mac: vec![2, 0, 0, 0, 0, 1], interface: "eth0".into() }];
    let network = Some(GuestNetwork { interfaces: vec![interface.clone(), second], routes, neighbours });
    let configure = Configure { network, hostname: "machine".into(), entropy: vec![7; 600], ..Configure::default() };
    for _ in 0..2 {
        host.call::<Empty>(Method::Configure, &configure).expect("configure");
        let (seen, _) = host
            .output("ip addr show dev eth0; ip route; ip addr show dev lo; ip neigh; ip link show dev eth1", |_, _| {});
        for wanted in [
            "mtu 1400",
            "inet 10.9.0.2/24 brd 10.9.0.255",
            "fd00:9::2/64",
            "default via 10.9.0.1",
            "via 10.9.0.7",
            "127.0.0.1",
            "10.9.0.1 dev eth0 lladdr 02:00:00:00:00:01",
            "PERMANENT",
            "link/ether 02:00:00:00:00:08",
        ] {
            assert!(seen.contains(wanted), "{wanted}: {seen}");
        }
        assert!(!seen.contains("192.0.2.9"), "{seen}");
    }
    let strange = GuestInterface { mac: vec![2; 6], ..interface };
    let network = Some(GuestNetwork { interfaces: vec![strange], ..GuestNetwork::default() });
    let failed = host.call::<Empty>(Method::Configure, &Configure { network, ..Configure::default() });
    assert!(text(failed.err()).contains("no network card"));
}

#[test]
fn several_containers_share_the_machine() {
    let mut host = Host::boot();
    let (first, _first) = host.run("hostname first; sleep 1000", &[]);
    let (output, _) = host.output("readlink /proc/1/ns/ipc; ls -d /proc/1", |message, spec| {
        message.beside = Some(first.clone());
        spec["linux"]["namespaces"][3] = json!({"type": "ipc", "path": "/proc/4242/ns/ipc"});
    });
    let streams = host.exec(&first, "look", &["readlink", "/proc/self/ns/ipc"], &[FdRole::Stdout]);
    let own = read(&mut streams.expect("exec")[0]);
    assert_eq!(output.lines().next(), own.lines().next());
    let (_, made) = host.create("true", &[], |message, _| message.beside = Some("no-such".into()));
    assert!(matches!(made, Err(Error::NotFound)), "{made:?}");
}

#[test]
fn the_machine_ends_in_good_order() {
    let mut host = Host::boot();
    let script = "trap 'echo bye; exit 0' TERM; echo ready; while true; do sleep 0.01; done";
    let (id, mut streams) = host.run(script, &[FdRole::Stdout]);
    let (_stubborn, _none) = host.run("trap '' TERM; while true; do sleep 0.01; done", &[]);
    read_until(&mut streams[0], "ready");
    let wait = host.ask_end(&id, "");
    let question = host.ask(Method::Shutdown, &Shutdown { grace_ms: 500 });
    assert_eq!(read(&mut streams[0]).trim(), "bye");
    assert_eq!(host.answer::<stockade_sandbox::protocol::ExitStatus>(wait).expect("wait").wait_status, 0);
    host.answer::<Empty>(question).expect("shutdown");
    assert!(host.end().success());
}
