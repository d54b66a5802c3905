//! Class `kernel`: what the flags of `stockade run` do inside the container.

mod kernel;

use kernel::{BUSYBOX, DEBIAN, Kernel};

#[test]
fn process_flags() {
    let kernel = Kernel::new(DEBIAN);
    let same = |flags: &[&str], script: &str| kernel.same(flags, &["bash", "-c", script]).code;
    same(&["-e", "A=1 2", "-e", "PATH=/bin", "-h", "web"], "env | sort; type ls");
    same(&["-w", "/made/here"], "pwd; ls -ld . | cut -c1-10");
    same(&["-u", "1000:1001"], "id; umask; echo $HOME");
    same(&["-u", "1000", "--group-add", "7", "--group-add", "9"], "id -G");
    same(
        &["--ulimit", "nofile=123:456", "--ulimit", "core=0", "--ulimit", "stack=1048576"],
        "ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -s",
    );
    same(&[], "ulimit -Sn; ulimit -Hn; ulimit -s; ulimit -l; ulimit -c");
    same(&["-h", "web", "--domainname", "example"], "hostname; cat /etc/hostname; cat /proc/sys/kernel/domainname");
    same(&["--security-opt", "no-new-privileges"], "grep NoNewPrivs /proc/self/status");
    same(&["--cap-drop", "ALL", "--cap-add", "NET_RAW"], "grep Cap /proc/self/status");
    let bind = "socket(S, PF_INET, SOCK_STREAM, 0); print bind(S, sockaddr_in(80, INADDR_LOOPBACK)) ? 'bound' : $!";
    assert_eq!(kernel.same(&["-u", "1000"], &["perl", "-MSocket", "-e", bind]).out(), "bound");
    same(&[], "du -s /usr/bin; stat -c '%s %b %B' /usr/bin/bash /etc/passwd");
    kernel.same(&["--entrypoint", "echo"], &["-c", "x"]);
    kernel.same(&["--entrypoint", ""], &["echo", "plain"]);
}

#[test]
fn file_flags() {
    let kernel = Kernel::new(DEBIAN);
    let same = |flags: &[&str], script: &str| kernel.same(flags, &["bash", "-c", script]);
    same(&["--read-only"], "touch /x; mkdir /etc/y; echo z >>/etc/passwd; echo ok >/dev/shm/z; cat /dev/shm/z");
    same(&["--read-only", "--tmpfs", "/run"], "touch /run/x && ls /run; touch /y");
    same(&["--tmpfs", "/t:size=1m"], "head -c 2M /dev/zero >/t/x; stat -c %s /t/x; stat -c %a /t");
    same(&["--mount", "type=tmpfs,dst=/t,tmpfs-mode=0700"], "stat -c '%a %u' /t; stat -f -c %T /t");
    same(&["--shm-size", "3m"], "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2");
    same(
        &["--add-host", "db:10.1.2.3", "--dns", "9.9.9.9", "-h", "web"],
        "grep db /etc/hosts; cat /etc/resolv.conf; ls -l /etc/hosts | cut -c1-10",
    );
}

#[test]
fn paths_of_the_system_are_masked() {
    let kernel = Kernel::new(DEBIAN);
    let same = |flags: &[&str], script: &str| kernel.same(flags, &["bash", "-c", script]);
    same(
        &[],
        "head -c 9 /proc/keys | wc -c; ls -ld /proc/keys | cut -c1-10; ls -A /sys/firmware; touch /sys/firmware/x",
    );
    same(&[], "echo x >/proc/sys/kernel/hostname; grep '^proc /proc/sys ' /proc/mounts");
    same(&[], "grep -E ' /(dev/mqueue|proc) ' /proc/mounts; grep -c ' /sys/firmware tmpfs ro' /proc/mounts");
    same(&["--security-opt", "systempaths=unconfined"], "ls -ld /proc/keys | cut -c1; grep -c ' /proc/' /proc/mounts");
}

#[test]
fn limits_hold() {
    let kernel = Kernel::new(DEBIAN);
    let hog = "my @all; push @all, 'x' x (1 << 20) for 1..400; print scalar @all, \"\\n\"";
    kernel.run(&["-m", "64m"], &["perl", "-e", hog]).exits(137);
    assert_eq!(kernel.run(&["-m", "1g"], &["perl", "-e", hog]).ok().out(), "400");
    let show = "grep -c . /proc/meminfo; awk '/MemTotal/ {print $2}' /proc/meminfo; nproc; \
         cat /sys/fs/cgroup/{memory.max,cpu.weight}";
    let shown = kernel.run(&["-m", "64m", "--cpus", "1", "--cpu-shares", "2048"], &["bash", "-c", show]).ok().stdout;
    assert!(shown.ends_with("\n65536\n1\n67108864\n174\n"), "{shown}");
    let forks = "for n in 1 2 3 4 5 6 7 8; do sleep 3 & done; wait; echo end";
    let refused = kernel.run(&["--pids-limit", "5"], &["bash", "-c", forks]).run();
    assert!(refused.stderr.contains("fork"), "{refused}");
    assert_eq!(kernel.run(&["--pids-limit", "20"], &["bash", "-c", forks]).ok().out(), "end");
    let small = Kernel::new(BUSYBOX).run(&["-m", "1m"], &["true"]).exits(125).stderr;
    assert!(small.contains("Minimum memory limit"), "{small}");
}

#[test]
fn limits_change_while_a_container_runs() {
    let kernel = Kernel::new(DEBIAN);
    kernel.background("box", &["sleep", "1000"]);
    kernel.stockade(&["update", "-m", "96m", "--pids-limit", "40", "--cpus", "1", "box"]).ok();
    let show = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; nproc";
    assert_eq!(kernel.stockade(&["exec", "box", "bash", "-c", show]).ok().out(), "100663296\n40\n1");
    kernel.stockade(&["update", "--pids-limit", "4", "box"]).ok();
    let forks = kernel.stockade(&["exec", "box", "bash", "-c", "for n in 1 2 3 4 5; do sleep 3 & done; wait"]).run();
    assert!(forks.stderr.contains("fork"), "{forks}");
}

#[test]
fn what_the_class_lacks_is_refused_by_name() {
    let kernel = Kernel::new(BUSYBOX);
    let host = kernel.scratch.dir().to_str().expect("text").to_owned();
    for (flags, named) in [
        (["--privileged", "-t"], "device"),
        (["--device", "/dev/zero:/dev/nil"], "device /dev/nil"),
        (["--network", "host"], "the host's network"),
        (["--pid", "host"], "the host's processes"),
        (["--sysctl", "net.ipv4.ip_forward=1"], "sysctl net.ipv4.ip_forward"),
        (["-v", &format!("{host}:/data")], "bind a host path at /data"),
    ] {
        let refused = kernel.run(&flags, &["true"]).exits(125).stderr;
        let instead = "isolation class kernel cannot";
        assert!(
            refused.contains(instead) && refused.contains(named) && refused.contains("--isolation native"),
            "{refused}"
        );
    }
}
