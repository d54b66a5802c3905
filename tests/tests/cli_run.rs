//! `stockade run` and what its flags do inside the container.

mod people;

use std::fs;

use people::{IMAGE, People};

#[test]
fn output_streams_and_exit_codes() {
    let people = People::new();
    let output = people.run(&["--rm"], &["sh", "-c", "echo out; echo err >&2; exit 3"]).exits(3);
    assert_eq!((output.out(), output.err()), ("out", "err"));
    assert_eq!(people.run(&["--rm", "-i"], &["cat"]).input("typed").ok().stdout, "typed");
    assert_eq!(people.run(&["--rm"], &["cat"]).input("ignored").ok().stdout, "");
    people.run(&["--rm"], &["sh", "-c", "sh -c 'kill -9 $$'; exit $?"]).exits(137);
    let missing = people.run(&["--rm"], &["no-such-program"]).exits(127);
    assert!(missing.stderr.contains("executable file not found in $PATH"), "{missing}");
    let missing = people.run(&["--rm"], &["/no/such"]).exits(127);
    assert!(missing.stderr.contains("no such file or directory"), "{missing}");
    let denied = people.run(&["--rm"], &["/etc"]).exits(126);
    assert!(denied.stderr.contains("permission denied") || denied.stderr.contains("is a directory"), "{denied}");
    assert_eq!(people.stockade(&["ps", "-aq"]).ok().out(), "");
}

#[test]
fn a_large_output_arrives_whole_and_in_order() {
    let people = People::new();
    let output = people.run(&["--rm"], &["seq", "1", "200000"]).ok().stdout;
    assert_eq!(output.lines().count(), 200_000);
    assert!(output.lines().enumerate().all(|(n, line)| line == (n + 1).to_string()));
    let input = "0123456789abcde\n".repeat(100_000);
    assert_eq!(people.run(&["--rm", "-i"], &["cat"]).input(input.clone()).ok().stdout, input);
}

#[test]
fn process_flags() {
    let people = People::new();
    let env_file = people.scratch.path("env");
    fs::write(&env_file, "# note\nFROM_FILE=1\nBOTH=file\n").unwrap();
    let env_file = env_file.to_str().unwrap();
    let env =
        people.run(&["--rm", "-e", "A=1 2", "--env-file", env_file, "-e", "BOTH=flag", "-e", "PATH"], &["env"]).ok();
    for line in ["A=1 2", "FROM_FILE=1", "BOTH=flag"] {
        assert!(env.stdout.lines().any(|found| found == line), "{line}: {env}");
    }
    let check = |flags: &[&str], command: &[&str], expected: &str| {
        let output = people.run(&[&["--rm"], flags].concat(), command).ok();
        assert_eq!(output.out(), expected, "{flags:?} {command:?}: {output}");
    };
    check(&["-e", "HOSTNAME"], &["sh", "-c", "env | grep -c HOSTNAME; true"], "0");
    check(&["-w", "/made/here"], &["pwd"], "/made/here");
    check(&["-u", "1000:1001"], &["sh", "-c", "id -u; id -g"], "1000\n1001");
    check(&["-u", "1000", "--group-add", "7", "--group-add", "9"], &["id", "-G"], "1000 7 9 2000");
    check(&["--entrypoint", "echo"], &["-c", "x"], "-c x");
    check(&["--entrypoint", ""], &["echo", "plain"], "plain");
    check(&["--ulimit", "nofile=123:456"], &["sh", "-c", "ulimit -Sn; ulimit -Hn"], "123\n456");
    check(&["--oom-score-adj", "321"], &["cat", "/proc/self/oom_score_adj"], "321");
    check(
        &["-h", "web", "--domainname", "example"],
        &["sh", "-c", "hostname; cat /proc/sys/kernel/domainname"],
        "web\nexample",
    );
}

#[test]
fn file_flags() {
    let people = People::new();
    let dir = people.scratch.path("shared");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("file"), "from the host").unwrap();
    let host = dir.to_str().unwrap();
    let check = |flags: &[&str], script: &str, expected: &str| {
        let output = people.run(&[&["--rm"], flags].concat(), &["sh", "-c", script]).ok();
        assert_eq!(output.out(), expected, "{flags:?} {script}: {output}");
    };
    check(&["-v", &format!("{host}:/data")], "cat /data/file; echo back >/data/new", "from the host");
    assert_eq!(fs::read_to_string(dir.join("new")).unwrap(), "back\n");
    check(&["-v", &format!("{host}:/data:ro")], "touch /data/x 2>/dev/null || echo refused", "refused");
    check(
        &["--mount", &format!("type=bind,src={host},dst=/data,readonly")],
        "touch /data/x 2>/dev/null; cat /data/new",
        "back",
    );
    let made = dir.join("made/by/run");
    check(&["-v", &format!("{}:/data", made.display())], "ls -A /data", "");
    assert!(made.is_dir());
    check(&["--tmpfs", "/t:size=1m"], "grep ' /t ' /proc/mounts | grep -o 'size=[0-9a-z]*'", "size=1024k");
    check(&["--mount", "type=tmpfs,dst=/t,tmpfs-mode=0700"], "stat -c %a /t", "700");
    check(&["--shm-size", "3m"], "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2", "3072");
    check(&["--read-only"], "touch /x 2>/dev/null || echo refused", "refused");
    check(&["--read-only", "--tmpfs", "/run"], "touch /run/x && echo made", "made");
    check(&["--device", "/dev/zero:/dev/nil:r"], "head -c 3 /dev/nil | od -An -tx1", "00 00 00");
    check(&["-v", "vol:/v"], "echo kept >/v/x", "");
    check(&["-v", "vol:/v"], "cat /v/x", "kept");
    let error = people.run(&["--mount", "type=bind,src=/no/such,dst=/x"], &["true"]).exits(125).stderr;
    assert!(error.contains("/no/such"), "{error}");
}

#[test]
fn no_mount_hides_a_deeper_one() {
    let people = People::new();
    let check = |flags: &[&str], script: &str, expected: &str| {
        let output = people.run(&[&["--rm", "-h", "web"], flags].concat(), &["sh", "-c", script]).ok();
        assert_eq!(output.out(), expected, "{flags:?} {script}: {output}");
    };
    let files = "cat /etc/hostname; grep -c localhost /etc/hosts; test -s /etc/resolv.conf && id -un";
    let plain = people.run(&["--rm", "-h", "web"], &["sh", "-c", files]).ok().out().to_owned();
    for target in ["/etc", "/x/../etc", "/etc//."] {
        check(&["-v", &format!("etc:{target}")], files, &plain);
    }
    // A volume that cannot be written to begins with the image's files all the same.
    check(&["-v", "fresh:/bin:ro"], "touch /bin/x 2>/dev/null || echo refused", "refused");
    let device = people.scratch.path("dev");
    let volume = format!("{}:/dev", device.display());
    check(&["-v", &volume], "grep -c -E ' /dev/(pts|shm|mqueue) ' /proc/mounts; echo x >/dev/shm/x", "3");
    assert!(!device.join("shm/x").exists());
    let error = people.run(&["-v", ":/x"], &["true"]).exits(125).stderr;
    assert!(error.contains("empty section between colons"), "{error}");
}

#[test]
fn security_flags() {
    let people = People::new();
    let check = |flags: &[&str], script: &str, expected: &str| {
        let output = people.run(&[&["--rm"], flags].concat(), &["sh", "-c", script]).ok();
        assert_eq!(output.out(), expected, "{flags:?} {script}: {output}");
    };
    let effective = "grep CapEff /proc/self/status | cut -f2";
    check(&[], effective, "00000000a80425fb");
    check(&["--cap-drop", "ALL"], effective, "0000000000000000");
    check(&["--cap-drop", "ALL", "--cap-add", "NET_RAW"], effective, "0000000000002000");
    check(&["--cap-add", "SYS_ADMIN"], effective, "00000000a82425fb");
    check(&["--security-opt", "no-new-privileges"], "grep NoNewPrivs /proc/self/status | cut -f2", "1");
    let seccomp = "grep Seccomp: /proc/self/status | cut -f2";
    check(&[], seccomp, "2");
    check(&["--security-opt", "seccomp=unconfined"], seccomp, "0");
    check(&["--privileged"], seccomp, "0");
    check(&["--sysctl", "net.ipv4.ip_forward=1"], "cat /proc/sys/net/ipv4/ip_forward", "1");
    check(&[], "cat /proc/1/comm", "cat");
    check(&["--pid", "host"], "test $(cat /proc/1/comm) = sh || echo host", "host");
    check(&[], "ls /sys/class/net", "lo");
    let host = |name: &str| fs::read_link(format!("/proc/self/ns/{name}")).unwrap().display().to_string();
    check(&["--network", "host"], "readlink /proc/self/ns/net", &host("net"));
    let name = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    check(&["--network", "host"], "hostname", &name);
    check(&["--network", "host", "--hostname", "other"], "hostname", "other");
    check(&["--ipc", "host"], "readlink /proc/self/ns/ipc", &host("ipc"));
    check(&["--uts", "host"], "readlink /proc/self/ns/uts", &host("uts"));
}

#[test]
fn containers_share_a_network() {
    let people = People::new();
    people.background(&["--name", "server", "--rm"], &["sleep", "1000"]);
    let inode = people.stockade(&["exec", "server", "readlink", "/proc/self/ns/net"]).ok();
    let joined = people.run(&["--rm", "--network", "container:server"], &["readlink", "/proc/self/ns/net"]).ok();
    assert_eq!(inode.out(), joined.out());
    let error = people.run(&["--rm", "--network", "container:absent"], &["true"]).exits(125).stderr;
    assert!(error.contains("No such container: absent"), "{error}");
}

#[test]
fn network_files() {
    let people = People::new();
    let flags = ["--rm", "--add-host", "db:10.1.2.3", "--dns", "9.9.9.9", "--dns-search", "example.org"];
    let output = people.run(&flags, &["cat", "/etc/hosts", "/etc/resolv.conf"]).ok().stdout;
    assert!(output.contains("10.1.2.3\tdb"), "{output}");
    assert!(output.contains("nameserver 9.9.9.9") && output.contains("search example.org"), "{output}");
}

#[test]
fn limits_reach_the_kernel() {
    let people = People::new();
    let flags = ["--rm", "-m", "64m", "--cpus", "0.5", "--pids-limit", "77", "--cpuset-cpus", "0", "--name", "limited"];
    people.background(&flags, &["sleep", "1000"]);
    let host = people.stockade(&["inspect", "limited"]).ok().json();
    assert_eq!(host[0]["HostConfig"]["Memory"], 64 << 20);
    assert_eq!(host[0]["HostConfig"]["NanoCpus"], 500_000_000);
    assert_eq!(host[0]["HostConfig"]["PidsLimit"], 77);
    let row = people.stockade(&["stats", "--no-stream", "--format", "json", "limited"]).ok().json();
    assert!(row["MemUsage"].as_str().unwrap().ends_with("/ 64MiB"), "{row}");
    people.stockade(&["update", "-m", "96m", "limited"]).ok();
    let row = people.stockade(&["stats", "--no-stream", "--format", "json", "limited"]).ok().json();
    assert!(row["MemUsage"].as_str().unwrap().ends_with("/ 96MiB"), "{row}");
    let forks = people.run(&["--rm", "--pids-limit", "3"], &["sh", "-c", "sleep 1 & sleep 1 & sleep 1 & wait"]).run();
    assert!(forks.stderr.contains("can't fork"), "{forks}");
    let error = people.run(&["-m", "1m"], &["true"]).exits(125).stderr;
    assert!(error.contains("Minimum memory limit"), "{error}");
}

#[test]
fn shares_weights_and_device_rules() {
    let people = People::new();
    let cgroup = |file: &str| format!("cat /sys/fs/cgroup/{file}");
    let check = |flags: &[&str], script: &str, expected: &str| {
        let output = people.run(&[&["--rm"], flags].concat(), &["sh", "-c", script]).ok();
        assert_eq!(output.out(), expected, "{flags:?} {script}: {output}");
    };
    // The second version of control groups has weights of 1 to 10000 for shares of 2 to 262144.
    let unified = fs::exists("/sys/fs/cgroup/cgroup.controllers").unwrap();
    let (file, expected) = if unified { ("cpu.weight", "10") } else { ("cpu/cpu.shares", "256") };
    check(&["--cpu-shares", "256"], &cgroup(file), expected);

    let read = "mknod /tmp/loop b 7 0; head -c 0 /tmp/loop 2>&1 | grep -o 'not permitted'";
    check(&[], &format!("{read}; true"), "not permitted");
    check(&["--device-cgroup-rule", "b 7:* r"], &format!("{read} || echo allowed"), "allowed");
    let error = people.run(&["--device-cgroup-rule", "x 7:* r"], &["true"]).exits(125).stderr;
    assert!(error.contains("invalid device cgroup rule"), "{error}");

    // Hosts differ in whether they have a scheduler with weights; one without must say what is missing.
    let weighed =
        people.run(&["--rm", "--blkio-weight", "300"], &["sh", "-c", "cat /sys/fs/cgroup/*/blkio*weight"]).run();
    let works = weighed.code == 0 && weighed.out().contains("300");
    assert!(works || (weighed.code == 125 && weighed.stderr.contains("weight")), "{weighed}");
    let error = people.run(&["--blkio-weight", "9"], &["true"]).exits(125).stderr;
    assert!(error.contains("Range of blkio weight is from 10 to 1000"), "{error}");
    let error = people.run(&["--cpus", "100000"], &["true"]).exits(125).stderr;
    assert!(error.contains("Range of CPUs is from 0.01 to "), "{error}");
}

#[test]
fn updates_reach_a_running_container() {
    let people = People::new();
    people.background(&["--name", "web"], &["sleep", "1000"]);
    let pid = people.field("web", "{{.State.Pid}}");
    people.stockade(&["update", "--cpu-shares", "512", "--cpuset-cpus", "0", "--pids-limit", "33", "web"]).ok();
    let cpus = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(cpus.contains("Cpus_allowed_list:\t0\n"), "{cpus}");
    let read = "cat /sys/fs/cgroup/cpu/cpu.shares /sys/fs/cgroup/pids/pids.max 2>/dev/null \
                || cat /sys/fs/cgroup/cpu.weight /sys/fs/cgroup/pids.max";
    let values = people.stockade(&["exec", "web", "sh", "-c", read]).ok();
    assert!(["512\n33", "20\n33"].contains(&values.out()), "{values}");
    let limits = "{{.HostConfig.CpuShares}} {{.HostConfig.CpusetCpus}} {{.HostConfig.PidsLimit}}";
    assert_eq!(people.field("web", limits), "512 0 33");
}

#[test]
fn another_platform_than_the_stored_one_is_named() {
    let people = People::new();
    let error = people.run(&["--platform", "linux/arm64"], &["true"]).exits(125).stderr;
    assert!(error.contains("for linux/arm64 locally: it is here for linux/amd64"), "{error}");
    let error = people.run(&["--platform", "linux/arm64", "--pull", "never"], &["true"]).exits(125).stderr;
    assert!(error.contains("is here for linux/amd64 only, not for linux/arm64"), "{error}");
}

#[test]
fn the_platform_chooses_from_an_index() {
    let (people, registry) = (People::empty(), stockade_tests::Registry::start());
    let name = registry.reference("multi");
    let architecture =
        || people.stockade(&["image", "inspect", "-f", "{{.Architecture}}", &name]).ok().out().to_owned();
    people.stockade(&["run", "--rm", "-q", "--platform", "linux/amd64", &name, "true"]).ok();
    assert_eq!(architecture(), "amd64");
    people.stockade(&["create", "-q", "--name", "foreign", "--platform", "linux/arm64", &name, "x"]).ok();
    assert_eq!(architecture(), "arm64");
    let image = people.stockade(&["image", "inspect", "-f", "{{.Id}}", &name]).ok();
    assert_eq!(people.field("foreign", "{{.Image}}"), image.out());
    let error = people.stockade(&["run", "--platform", "linux/s390x", &name, "true"]).exits(125).stderr;
    assert!(error.contains("linux/s390x") && error.contains("linux/arm64"), "{error}");
    let error = people.stockade(&["run", "--platform", "amd64/linux/a/b", &name, "true"]).exits(125).stderr;
    assert!(error.contains("platform"), "{error}");
}

#[test]
fn running_out_of_memory_is_137_and_told() {
    let people = People::new();
    people
        .run(
            &["--name", "hog", "-m", "16m", "--memory-swap", "16m"],
            &["sh", "-c", "x=$(head -c 64m /dev/zero | tr '\\0' x)"],
        )
        .exits(137);
    assert_eq!(people.field("hog", "{{.State.OOMKilled}}"), "true");
    let events = people.stockade(&["events", "--since", "10m", "--until", "0s", "--filter", "event=oom"]).ok();
    assert!(events.stdout.contains(" container oom "), "{events}");
}

#[test]
fn names_labels_and_id_files() {
    let people = People::new();
    let file = people.scratch.path("cid");
    let flags = ["-d", "--name", "web", "-l", "a=1", "--label", "b", "--cidfile", file.to_str().unwrap()];
    let id = people.run(&flags, &["sleep", "1000"]).ok().out().to_owned();
    assert_eq!(id.len(), 64);
    assert_eq!(fs::read_to_string(&file).unwrap(), id);
    assert_eq!(people.field("web", "{{.Id}}"), id);
    assert_eq!(people.field(&id[..12], "{{index .Config.Labels \"a\"}}{{index .Config.Labels \"b\"}}"), "1");
    let error = people.run(&["--name", "web"], &["true"]).exits(125).stderr;
    assert!(error.contains("already in use by container"), "{error}");
    let error = people.run(&["--cidfile", file.to_str().unwrap()], &["true"]).exits(125).stderr;
    assert!(error.contains("File exists"), "{error}");
    let other = people.scratch.path("other-cid");
    let error = people.run(&["--cidfile", other.to_str().unwrap(), "--name", "no spaces"], &["true"]).exits(125).stderr;
    assert!(error.contains("Invalid container name"), "{error}");
    assert!(!other.exists(), "no container, no file");
}

#[test]
fn labels_come_from_files() {
    let people = People::new();
    let file = people.scratch.path("labels");
    fs::write(&file, "# note\n\nfile=1\nboth=file\nwith spaces=a = b\nempty=\nbare\n").unwrap();
    let other = people.scratch.path("more");
    fs::write(&other, "file=2\n").unwrap();
    let [file, other] = [&file, &other].map(|path| path.to_str().unwrap());
    people.background(&["--name", "web", "--label-file", file, "-l", "both=flag"], &["sleep", "1000"]);
    let label = |name: &str, key: &str| people.field(name, &format!("{{{{index .Config.Labels \"{key}\"}}}}"));
    for (key, expected) in [("file", "1"), ("both", "flag"), ("with spaces", "a = b"), ("empty", ""), ("bare", "")] {
        assert_eq!(label("web", key), expected, "{key}");
    }
    assert_eq!(people.field("web", "{{len .Config.Labels}}"), "5");
    assert_eq!(people.stockade(&["ps", "--filter", "label=file=1", "--format", "{{.Names}}"]).ok().out(), "web");
    people.stockade(&["create", "--name", "two", "--label-file", file, "--label-file", other, IMAGE]).ok();
    assert_eq!(label("two", "file"), "2");
    let error = people.run(&["--label-file", "/no/such"], &["true"]).exits(125).stderr;
    assert!(error.contains("/no/such"), "{error}");
}

#[test]
fn an_absent_image_is_pulled_as_asked() {
    let (people, registry) = (People::empty(), stockade_tests::Registry::start());
    let name = registry.reference("busybox");
    people.stockade(&["run", "--rm", "--pull", "never", &name, "true"]).exits(125);
    let first = people.stockade(&["run", "--rm", &name, "echo", "hello"]).ok();
    assert!(first.stderr.contains(&format!("Unable to find image '{name}:latest' locally")), "{first}");
    assert_eq!(first.out(), "hello");
    let second = people.stockade(&["run", "--rm", &name, "true"]).ok();
    assert!(second.stderr.is_empty(), "{second}");
    let third = people.stockade(&["run", "--rm", "--pull=always", &name, "true"]).ok();
    assert!(third.stderr.contains("Already exists"), "{third}");
    let quiet = people.stockade(&["run", "--rm", "-q", "--pull=always", &name, "true"]).ok();
    assert!(quiet.stderr.is_empty(), "{quiet}");
}

#[test]
fn the_config_file_gives_defaults() {
    let people = People::new();
    let config = people.scratch.path("config.toml");
    let text = [
        "[container]",
        "ulimits = ['nofile=99:99', 'core=0']",
        "shm_size = '2m'",
        "[container.log_options]",
        "max-size = '1m'",
    ];
    fs::write(&config, text.join("\n")).unwrap();
    let run = |flags: &[&str], script: &str| {
        let args =
            [&["--config", config.to_str().unwrap(), "run", "--rm"], flags, &[IMAGE, "sh", "-c", script]].concat();
        people.stockade(&args).ok().out().to_owned()
    };
    assert_eq!(run(&[], "ulimit -n; df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2"), "99\n2048");
    assert_eq!(run(&["--ulimit", "nofile=98"], "ulimit -n"), "98");
}

#[test]
fn many_runs_at_once() {
    let people = People::new();
    let runs: Vec<_> = (0..20).map(|n| people.run(&["--rm"], &["echo", &n.to_string()]).spawn()).collect();
    for (n, run) in runs.into_iter().enumerate() {
        let output = run.wait();
        assert_eq!((output.code, output.out()), (0, n.to_string().as_str()), "{output}");
    }
    assert_eq!(people.stockade(&["ps", "-aq"]).ok().out(), "");
}
