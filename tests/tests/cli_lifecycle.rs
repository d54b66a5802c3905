//! The verbs on containers, from create to rm.

mod people;

use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use people::{IMAGE, PATIENCE, People};
use rustix::process::Signal;
use stockade_tests::wait_until;

#[test]
fn create_start_wait_and_remove() {
    let people = People::new();
    let id = people.stockade(&["create", "--name", "job", IMAGE, "sh", "-c", "echo ran; exit 4"]).ok().out().to_owned();
    assert_eq!(people.field("job", "{{.State.Status}}"), "created");
    assert!(people.stockade(&["ps", "-a"]).ok().stdout.contains("Created"));
    assert_eq!(people.stockade(&["start", "job"]).ok().out(), "job");
    assert_eq!(people.stockade(&["wait", "job"]).ok().out(), "4");
    assert_eq!(people.stockade(&["logs", &id]).ok().out(), "ran");
    assert_eq!(people.field("job", "{{.State.Status}} {{.State.ExitCode}}"), "exited 4");
    assert!(people.stockade(&["ps", "-a"]).ok().stdout.contains("Exited (4) "));
    let again = people.stockade(&["start", "-a", "job"]).exits(4);
    assert_eq!(again.out(), "ran");
    assert_eq!(people.stockade(&["rm", "job"]).ok().out(), "job");
    let error = people.stockade(&["start", "job"]).exits(1).stderr;
    assert!(error.contains("No such container: job"), "{error}");
}

#[test]
fn stop_asks_first_and_kill_does_not() {
    let people = People::new();
    let trap = "trap 'echo asked; exit 5' TERM USR1; echo ready; while :; do sleep 0.1; done";
    people.background(&["--name", "polite"], &["sh", "-c", trap]);
    people.wait_for_log("polite", "ready");
    assert_eq!(people.stockade(&["stop", "polite"]).ok().out(), "polite");
    assert_eq!(people.field("polite", "{{.State.ExitCode}}"), "5");

    people.background(&["--name", "stubborn"], &["sleep", "1000"]);
    people.stockade(&["stop", "-t", "0", "stubborn"]).ok();
    assert_eq!(people.field("stubborn", "{{.State.ExitCode}}"), "137");

    people.background(&["--name", "custom", "--stop-signal", "USR1"], &["sh", "-c", trap]);
    people.wait_for_log("custom", "ready");
    people.stockade(&["stop", "custom"]).ok();
    assert_eq!(people.field("custom", "{{.State.ExitCode}}"), "5");

    people.background(&["--name", "victim"], &["sh", "-c", trap]);
    people.wait_for_log("victim", "ready");
    people.stockade(&["kill", "-s", "USR1", "victim"]).ok();
    assert_eq!(people.stockade(&["wait", "victim"]).ok().out(), "5");
    people.stockade(&["restart", "-t", "0", "victim"]).ok();
    people.stockade(&["kill", "victim"]).ok();
    assert_eq!(people.stockade(&["wait", "victim"]).ok().out(), "137");
    let error = people.stockade(&["kill", "victim"]).exits(1).stderr;
    assert!(error.contains("is not running"), "{error}");
}

#[test]
fn remove_refuses_what_runs_unless_forced() {
    let people = People::new();
    people.background(&["--name", "busy"], &["sleep", "1000"]);
    let error = people.stockade(&["rm", "busy", "absent"]).exits(1).stderr;
    assert!(
        error.contains("cannot remove a running container") && error.contains("No such container: absent"),
        "{error}"
    );
    assert_eq!(people.stockade(&["rm", "-f", "busy"]).ok().out(), "busy");
    let gone = people.stockade(&["rm", "-f", "busy"]).ok();
    assert!(gone.out().is_empty() && gone.stderr.contains("No such container: busy"), "{gone}");
    people.run(&["--name", "done"], &["true"]).ok();
    people.stockade(&["create", "--name", "never", IMAGE]).ok();
    people.stockade(&["container", "prune", "-f"]).ok();
    assert_eq!(people.stockade(&["ps", "-aq"]).ok().out(), "");
}

#[test]
fn an_image_in_use_is_kept() {
    let people = People::new();
    people.stockade(&["create", "--name", "user", IMAGE]).ok();
    let id = people.stockade(&["inspect", "-f", "{{.Id}}", "--type", "image", IMAGE]).ok().out().to_owned();
    let error = people.stockade(&["rmi", &id]).exits(1).stderr;
    assert!(error.contains("in use by") || error.contains("several names"), "{error}");
    assert_eq!(people.stockade(&["images", "--format", "{{.Containers}}", IMAGE]).ok().out(), "1");
    people.run(&["--rm"], &["true"]).ok();
    assert_eq!(people.stockade(&["images", "--format", "{{.Containers}}", IMAGE]).ok().out(), "1");
    people.stockade(&["image", "prune", "-af"]).ok();
    assert_ne!(people.stockade(&["images", "-q"]).ok().out(), "");
    people.stockade(&["start", "-a", "user"]).ok();
    people.stockade(&["rm", "user"]).ok();
    // As a creation leaves it that is killed before its last step.
    let left = people.stockade(&["create", IMAGE]).ok();
    let containers = people.scratch.root().join("containers");
    std::fs::rename(containers.join(left.out()), containers.join(format!("{}.new", left.out()))).unwrap();
    people.stockade(&["image", "prune", "-af"]).ok();
    assert_eq!(people.stockade(&["images", "-q"]).ok().out(), "");
}

#[test]
fn listings() {
    let people = People::new();
    people.background(&["--name", "one", "-l", "kind=a"], &["sleep", "1000"]);
    people.background(&["--name", "two", "-l", "kind=b"], &["sleep", "2000"]);
    people.run(&["--name", "three"], &["sh", "-c", "exit 3"]).exits(3);
    let names = |args: &[&str]| {
        let output = people.stockade(&[&["ps", "--format", "{{.Names}}"], args].concat()).ok();
        output.out().replace('\n', " ")
    };
    assert_eq!(names(&[]), "two one");
    assert_eq!(names(&["-a"]), "three two one");
    assert_eq!(names(&["-l"]), "three");
    assert_eq!(names(&["-n", "2"]), "three two");
    for (filter, expected) in [
        ("name=one", "one"),
        ("label=kind", "two one"),
        ("label=kind=b", "two"),
        ("status=exited", "three"),
        ("exited=3", "three"),
        ("ancestor=localhost/busybox", "two one"),
        ("isolation=native", "two one"),
    ] {
        let all: &[&str] = if expected == "three" { &["-a", "--filter", filter] } else { &["--filter", filter] };
        assert_eq!(names(all), expected, "{filter}");
    }
    people.run(&["--name", "script"], &["sh", "-c", "true\n'a b'\ntrue"]).ok();
    let commands = people.stockade(&["ps", "-a", "--no-trunc", "--format", "{{.Command}}"]).ok().stdout;
    assert_eq!(commands.lines().next(), Some(r#""sh -c 'true\n'a b'\ntrue'""#), "{commands}");
    people.stockade(&["rm", "script"]).ok();
    let table = people.stockade(&["ps"]).ok().stdout;
    for word in
        ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "CLASS", "NAMES", "native", "\"sleep 1000\"", "Up "]
    {
        assert!(table.contains(word), "{word}: {table}");
    }
    let ids = people.stockade(&["ps", "-q"]).ok().stdout;
    assert!(ids.lines().count() == 2 && ids.lines().all(|id| id.len() == 12), "{ids}");
    let error = people.stockade(&["ps", "--filter", "colour=red"]).exits(1).stderr;
    assert!(error.contains("invalid filter 'colour'"), "{error}");
    let error = people.stockade(&["ps", "--filter", "status=gone"]).exits(1).stderr;
    assert!(error.contains("invalid filter 'status=gone': choose created, running"), "{error}");
    let error = people.stockade(&["ps", "--filter", "exited=x"]).exits(1).stderr;
    assert!(error.contains("invalid filter 'exited=x'"), "{error}");
    let headings = people.stockade(&["ps", "--format", "table {{.Names}}\\t{{.State}}"]).ok().stdout;
    assert!(headings.starts_with("NAMES     STATE\n") && headings.contains("one       running"), "{headings}");
}

#[test]
fn sizes_count_what_a_container_wrote() {
    let people = People::new();
    people.run(&["--name", "web"], &["dd", "if=/dev/zero", "of=/file", "bs=1000", "count=3000"]).ok();
    let table = people.stockade(&["ps", "-a", "--size"]).ok().stdout;
    let image = people.stockade(&["inspect", "-f", "{{.Size}}", IMAGE]).ok().out().parse::<u64>().unwrap();
    assert!(table.contains("SIZE") && table.contains("3MB (virtual "), "{table}");
    let sizes = people.stockade(&["ps", "-a", "--format", "{{.Size}}"]).ok();
    assert!(sizes.out().starts_with("3MB (virtual "), "{sizes}");
    let sizes = people.stockade(&["inspect", "--size", "-f", "{{.SizeRw}} {{.SizeRootFs}}", "web"]).ok();
    assert_eq!(sizes.out(), format!("3000000 {}", 3_000_000 + image));
    assert!(people.stockade(&["inspect", "web"]).ok().json()[0].get("SizeRw").is_none());
}

#[test]
fn prune_leaves_what_was_started_again() {
    let people = People::new();
    people.background(&["--name", "again"], &["sleep", "1000"]);
    people.stockade(&["restart", "-t", "0", "again"]).ok();
    people.run(&["--name", "done"], &["true"]).ok();
    let pruned = people.stockade(&["container", "prune", "-f"]).ok();
    assert_eq!((pruned.stdout.lines().count(), pruned.err()), (1, ""), "{pruned}");
    assert_eq!(people.stockade(&["ps", "-a", "--format", "{{.Names}}"]).ok().out(), "again");
}

#[test]
fn what_scripts_for_docker_ask_for_is_there() {
    let people = People::new();
    let shared = people.scratch.path("shared");
    std::fs::create_dir(&shared).unwrap();
    let shared = shared.to_str().unwrap();
    let mount = format!("type=bind,src={shared},dst=/mounted,readonly");
    let volume = format!("{shared}:/bound");
    let flags = ["--name", "web", "-v", "data:/data", "-v", &volume, "--mount", &mount, "--tmpfs", "/t"];
    people.background(&flags, &["sleep", "1000"]);
    let row = |template: &str| people.stockade(&["ps", "--format", template]).ok().out().to_owned();
    assert_eq!(row("<{{.Ports}}> {{.LocalVolumes}}"), "<> 1");
    assert_eq!(row("{{.Mounts}}"), format!("{shared},data,{shared}"));
    assert_eq!(row("table {{.Ports}}\\t{{.LocalVolumes}}").lines().next(), Some("PORTS     LOCAL VOLUMES"));
    for field in ["IPAddress", "Gateway", "MacAddress"] {
        assert_eq!(people.field("web", &format!("<{{{{.NetworkSettings.{field}}}}}>")), "<>");
    }
    assert_eq!(people.field("web", "{{range .NetworkSettings.Networks}}<{{.IPAddress}}>{{end}}"), "<>");
    assert_eq!(people.field("web", "{{json .NetworkSettings.Ports}}"), "{}");
    assert_eq!(people.field("web", "{{.HostConfig.IpcMode}} {{.HostConfig.CgroupnsMode}}"), "private private");
    assert_eq!(people.field("web", "{{json .HostConfig.Binds}}"), format!("[\"{shared}:/bound:rw\"]"));
    let mount =
        people.field("web", "{{range .HostConfig.Mounts}}{{.Type}} {{.Source}} {{.Target}} {{.ReadOnly}}{{end}}");
    assert_eq!(mount, format!("bind {shared} /mounted true"));
}

#[test]
fn followed_logs_end_quietly_with_their_reader() {
    let people = People::new();
    people.background(&["--name", "web"], &["sh", "-c", "while echo line; do sleep 0.1; done"]);
    let mut command = people.stockade(&["logs", "-f", "web"]).into_inner();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = [0; 5];
    child.stdout.take().unwrap().read_exact(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((&line, output.status.code()), (b"line\n", Some(141)));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn processes_and_statistics() {
    let people = People::new();
    people.background(&["--name", "web"], &["sh", "-c", "sleep 1234 & wait"]);
    wait_until("sleep to run", PATIENCE, || people.stockade(&["top", "web"]).ok().stdout.contains("sleep 1234"));
    let table = people.stockade(&["top", "web"]).ok().stdout;
    assert!(table.starts_with("UID") && table.lines().count() == 3, "{table}");
    let table = people.stockade(&["top", "web", "-o", "pid,comm"]).ok().stdout;
    assert!(table.contains("COMMAND") && table.contains("sleep"), "{table}");
    let stats = people.stockade(&["stats", "--no-stream"]).ok().stdout;
    for word in ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "PIDS", "web"] {
        assert!(stats.contains(word), "{word}: {stats}");
    }
    assert_eq!(people.stockade(&["stats", "--no-stream", "--format", "{{.PIDs}}", "web"]).ok().out(), "2");
    let mut live = people.stockade(&["stats", "--format", "{{.Name}}"]).spawn();
    wait_until("two refreshes", PATIENCE, || live.stdout().lines().count() >= 2);
    assert!(!live.has_ended());
}

#[test]
fn pause_and_rename() {
    let people = People::new();
    let id = people.background(&["--name", "web"], &["sleep", "1000"]);
    people.stockade(&["pause", "web"]).ok();
    assert_eq!(people.field("web", "{{.State.Status}}"), "paused");
    assert!(people.stockade(&["ps"]).ok().stdout.contains("(Paused)"));
    assert!(people.stockade(&["exec", "web", "true"]).exits(1).stderr.contains("is paused"));
    assert!(people.stockade(&["pause", "web"]).exits(1).stderr.contains("already paused"));
    people.stockade(&["unpause", "web"]).ok();
    assert!(people.stockade(&["unpause", "web"]).exits(1).stderr.contains("is not paused"));
    people.stockade(&["rename", "web", "db"]).ok();
    assert_eq!(people.field("db", "{{.Id}}"), id);
    people.stockade(&["inspect", "--type", "container", "web"]).exits(1);
}

#[test]
fn execs() {
    let people = People::new();
    people.background(&["--name", "web", "-e", "A=1", "-w", "/tmp"], &["sleep", "1000"]);
    let check = |args: &[&str], expected: &str| {
        let output = people.stockade(&[&["exec"], args].concat()).ok();
        assert_eq!(output.out(), expected, "{args:?}: {output}");
    };
    check(&["web", "sh", "-c", "echo $A; pwd"], "1\n/tmp");
    check(
        &["-e", "B=2", "-w", "/etc", "-u", "5:6", "web", "sh", "-c", "echo $A$B; pwd; id -u; id -g"],
        "12\n/etc\n5\n6",
    );
    assert_eq!(people.stockade(&["exec", "-i", "web", "cat"]).input("typed").ok().stdout, "typed");
    let output = people.stockade(&["exec", "web", "sh", "-c", "echo e >&2; exit 9"]).exits(9);
    assert_eq!((output.out(), output.err()), ("", "e"));
    people.stockade(&["exec", "web", "no-such-program"]).exits(127);
    people.stockade(&["exec", "web", "/etc"]).exits(126);
    let lost = people.stockade(&["exec", "-w", "/nonexistent", "web", "pwd"]).exits(126);
    assert!(lost.stderr.contains("chdir") && lost.stderr.contains("/nonexistent"), "{lost}");
    people.stockade(&["exec", "-d", "web", "sh", "-c", "echo x >/tmp/made"]).ok();
    wait_until("the exec in the background", PATIENCE, || {
        people.stockade(&["exec", "web", "test", "-e", "/tmp/made"]).run().code == 0
    });
    assert!(people.stockade(&["exec", "absent", "true"]).exits(1).stderr.contains("No such container: absent"));
    people.stockade(&["stop", "-t", "0", "web"]).ok();
    assert!(people.stockade(&["exec", "web", "true"]).exits(1).stderr.contains("is not running"));
}

#[test]
fn logs_are_kept_followed_and_rotated() {
    let people = People::new();
    people.run(&["--name", "app"], &["sh", "-c", "echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three"]).ok();
    let all = people.stockade(&["logs", "app"]).ok();
    assert_eq!((all.stdout.as_str(), all.stderr.as_str()), ("one\nthree\n", "two\n"));
    assert_eq!(people.stockade(&["logs", "--tail", "1", "app"]).ok().stdout, "three\n");
    assert_eq!(people.stockade(&["logs", "-n", "0", "app"]).ok().stdout, "");
    assert_eq!(people.stockade(&["logs", "--until", "2020-01-01", "app"]).ok().stdout, "");
    assert_eq!(people.stockade(&["logs", "--since", "10m", "app"]).ok().stdout, "one\nthree\n");
    let stamped = people.stockade(&["logs", "-t", "app"]).ok().stdout;
    assert!(stamped.starts_with("20") && stamped.contains("Z one\n"), "{stamped}");

    people.background(&["--name", "slow"], &["sh", "-c", "echo begin; sleep 1; echo end"]);
    assert_eq!(people.stockade(&["logs", "-f", "slow"]).ok().stdout, "begin\nend\n");

    let flags = ["--name", "chatty", "--log-opt", "max-size=10k", "--log-opt", "max-file=2"];
    people.run(&flags, &["seq", "1", "5000"]).ok();
    let kept = people.stockade(&["logs", "chatty"]).ok().stdout;
    assert!(kept.ends_with("5000\n") && kept.lines().count() < 1000, "{} lines", kept.lines().count());
    people.run(&["--name", "silent", "--log-driver", "none"], &["echo", "x"]).ok();
    assert!(people.stockade(&["logs", "silent"]).exits(1).stderr.contains("does not support reading"));
}

#[test]
fn events_tell_the_story() {
    let people = People::new();
    let mut live = people.stockade(&["events", "--format", "{{.Action}}"]).spawn();
    std::thread::sleep(Duration::from_millis(300));
    people.run(&["--name", "web", "-l", "a=1"], &["sh", "-c", "exit 7"]).exits(7);
    people.stockade(&["rm", "web"]).ok();
    wait_until("the live events", PATIENCE, || live.stdout().contains("destroy"));
    assert!(!live.has_ended());
    let past = |filter: &[&str]| {
        people.stockade(&[&["events", "--since", "1h", "--until", "0s"], filter].concat()).ok().stdout
    };
    let all = past(&[]);
    for word in
        [" container create ", " container start ", " container die ", "exitCode=7", "name=web", " container destroy "]
    {
        assert!(all.contains(word), "{word}: {all}");
    }
    assert_eq!(past(&["--filter", "event=die", "--filter", "container=web"]).lines().count(), 1);
    assert!(past(&["--filter", "type=image"]).contains(" image pull "));
    let json: serde_json::Value =
        serde_json::from_str(past(&["--filter", "event=die", "--format", "json"]).trim()).unwrap();
    assert_eq!(json["Actor"]["Attributes"]["exitCode"], "7");
    assert!(json["time"].is_number() && json.get("Time").is_none(), "{json}");
}

#[test]
fn a_container_outlives_its_command_line() {
    let people = People::new();
    let run = people.run(&["--name", "web"], &["sh", "-c", "echo ready; sleep 2; echo later; sleep 1000"]).spawn();
    wait_until("output", PATIENCE, || run.stdout().contains("ready"));
    run.signal(Signal::KILL);
    run.wait();
    people.wait_for_log("web", "later");
    assert_eq!(people.field("web", "{{.State.Running}}"), "true");
    people.stockade(&["stop", "-t", "0", "web"]).ok();
}

#[test]
fn signals_reach_the_container_through_run() {
    let people = People::new();
    let trap = "trap 'echo asked; exit 6' TERM; echo ready; while :; do sleep 0.1; done";
    let run = people.run(&["--rm"], &["sh", "-c", trap]).spawn();
    wait_until("output", PATIENCE, || run.stdout().contains("ready"));
    run.signal(Signal::TERM);
    let output = run.wait();
    assert_eq!((output.code, output.out()), (6, "ready\nasked"), "{output}");

    let run = people.run(&["--name", "deaf", "--sig-proxy=false"], &["sh", "-c", trap]).spawn();
    wait_until("output", PATIENCE, || run.stdout().contains("ready"));
    run.signal(Signal::TERM);
    assert_eq!(run.wait().code, 143);
    assert_eq!(people.field("deaf", "{{.State.Running}}"), "true");
}

#[test]
fn a_container_whose_supervisor_was_killed_can_be_removed() {
    let people = People::new();
    people.background(&["--name", "web"], &["sleep", "1000"]);
    let pid: u32 = people.field("web", "{{.State.Pid}}").parse().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:\t")).unwrap().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(parent).unwrap(), Signal::KILL).unwrap();
    wait_until("the container to be gone", PATIENCE, || people.stockade(&["rm", "-f", "web"]).run().code == 0);
    assert_eq!(people.stockade(&["ps", "-aq"]).ok().out(), "");
}

/// Containers of other tests share the parent, so it may be there, but not without anyone in it.
#[test]
fn the_parent_of_all_control_groups_goes_with_the_last() {
    let people = People::new();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| (0..2).for_each(|_| drop(people.run(&["--rm"], &["true"]).ok())));
        }
    });
    let is_dir = |entry: std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let holds_any = |dir: &Path| std::fs::read_dir(dir).is_ok_and(|mut all| all.any(|entry| entry.is_ok_and(is_dir)));
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup").unwrap() {
        let parent = hierarchy.unwrap().path().join("stockade");
        wait_until("the empty parent to be gone", PATIENCE, || !parent.exists() || holds_any(&parent));
    }
}
