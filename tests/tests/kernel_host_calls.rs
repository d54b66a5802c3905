//! Class `kernel`: what the host's tracer sees of a sandbox at work is what the lists in code say, which the filters
//! are made of and docs/rfcs/0001 shows.

mod kernel;

use std::collections::BTreeMap;
use std::fs;

use kernel::{DEBIAN, Kernel};
use stockade_kernel_platform::host_calls::OF_STUBS;
use stockade_tests::HostCalls;

/// Processes, threads of a shell's kind, files, pipes, signals, terminals, sockets, mappings.
const WORK: &str = "
    for i in 1 2 3; do /bin/true | cat | wc -c; done
    echo text >/tmp/a; cp /tmp/a /tmp/b; mv /tmp/b /tmp/c; ln -s c /tmp/d; cat /tmp/d; rm /tmp/c
    find /usr/share -maxdepth 1
    trap 'echo got' USR1; kill -USR1 $$; (sleep 5 & kill $!; wait $!); kill -9 $BASHPID & wait
    perl -MSocket -MPOSIX -e 'socketpair(A, B, AF_UNIX, SOCK_STREAM, 0); syswrite A, \"x\"; sysread B, $x, 1; alarm 1;
        $SIG{ALRM} = sub { print \"alarm\\n\" }; select undef, undef, undef, 2; $s = \"y\" x 5e6; fork or POSIX::_exit(3); wait'
    sort /etc/passwd | md5sum; seq 100000 | tail -1; dd if=/dev/zero of=/dev/shm/z bs=1M count=4 2>&1; stat /dev/pts; date";

fn tasks(processes: &[i32]) -> Vec<i32> {
    let threads = |pid: &i32| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    processes.iter().flat_map(threads).filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// What the C library calls and our kernel does not serve.
const OTHERS: [(&str, u32); 2] = [("restart_syscall", 219), ("rseq", 334)];

#[track_caller]
fn number(name: &str) -> u32 {
    let served = stockade_kernel::syscall::TABLE.iter().map(|entry| (entry.name, entry.number));
    let mut found = served.chain(OTHERS).filter(|(other, _)| *other == name);
    found.next().unwrap_or_else(|| panic!("{name} has no number here: add it to OTHERS")).1
}

#[track_caller]
fn check(who: &str, counts: &BTreeMap<u32, usize>, listed: &[u32]) {
    assert!(counts.values().sum::<usize>() > 100, "the tracer saw {who} at work: {counts:?}");
    let others: Vec<_> = counts.iter().filter(|(number, _)| !listed.contains(number)).collect();
    assert!(others.is_empty(), "{who} made host calls that are not on its list (number, how often): {others:?}");
}

#[test]
fn the_host_sees_no_other_calls_than_those_listed() {
    let kernel = Kernel::new(DEBIAN);
    kernel.background("box", &["bash", "-c", "echo up; while :; do read -t 1000 <> <(:); done"]);
    kernel.wait_for_log("box", "up");
    let (monitor, stubs) = (kernel.host_processes("stockade-monitor"), kernel.host_processes("stub"));
    assert!(monitor.len() == 1 && stubs.len() >= 2, "{monitor:?} {stubs:?}");
    let of = |what: &str, processes: &[i32]| {
        HostCalls::of(&format!("stockade-{}-{what}", std::process::id()), &tasks(processes))
    };
    let (monitor, stubs) = (of("monitor", &monitor), of("stubs", &stubs));
    kernel.stockade(&["exec", "box", "bash", "-c", WORK]).ok();
    kernel.stockade(&["kill", "box"]).ok();
    kernel.stockade(&["wait", "box"]).ok();
    let listed: Vec<u32> = OF_STUBS.iter().flat_map(|row| row.calls).map(|(_, number, _)| *number).collect();
    check("a stub", &stubs.counts(), &listed);
    let listed: Vec<u32> = stockade_kernel_monitor::host_calls().into_iter().map(number).collect();
    check("the monitor", &monitor.counts(), &listed);
}
