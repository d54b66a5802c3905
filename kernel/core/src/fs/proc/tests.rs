//! proc(5) on the fake machine.

use alloc::sync::Arc;
use core::time::Duration;

use crate::Errno;
use crate::eventfd::{EventFd, Taking};
use crate::fs::proc::{Proc, ProcOptions};
use crate::fs::synthetic::testing::Mounted;
use crate::task::{Capabilities, Credentials};
use crate::testing::{self, World};
use crate::vfs::{FdFlags, Follow, OpenFlags};

fn proc_with(options: &[u8]) -> Mounted {
    let world = World::new();
    world.machine.advance(Duration::from_millis(12_345));
    let options = ProcOptions::parse(options).expect("known options");
    let proc = Proc::new(&world.kernel, world.task.process().namespaces(), options);
    Mounted::new(world, proc)
}

fn proc() -> Mounted {
    proc_with(b"")
}

#[track_caller]
fn check(path: &str, expected: &str) {
    assert_eq!(proc().read(path).as_deref(), Ok(expected), "{path}");
}

/// The line of a file that begins with a word.
#[track_caller]
fn line(mounted: &Mounted, path: &str, start: &str) -> alloc::string::String {
    let text = mounted.read(path).expect("it reads");
    text.lines().find(|line| line.starts_with(start)).expect("there is such a line").into()
}

fn user(uid: u32) -> Credentials {
    let root = Credentials::root(Capabilities::empty());
    Credentials { uid, euid: uid, suid: uid, fsuid: uid, gid: uid, egid: uid, sgid: uid, fsgid: uid, ..root }
}

#[test]
fn everything_that_is_listed_reads() {
    assert!(proc().read_all("/") > 300);
}

#[test]
fn the_system_has_the_sandboxs_size() {
    let mounted = proc();
    mounted.world.kernel.set_memory_limit(256 << 20);
    mounted.world.kernel.limits().set_cpus_max(2);
    assert_eq!(line(&mounted, "/meminfo", "MemTotal"), "MemTotal:         262144 kB");
    assert_eq!(line(&mounted, "/meminfo", "HugePages_Total"), "HugePages_Total:       0");
    let cpuinfo = mounted.read("/cpuinfo").unwrap();
    assert_eq!(cpuinfo.matches("processor\t: ").count(), 2);
    assert_eq!(cpuinfo.matches("siblings\t: 2\n").count(), 2);
    assert!(
        cpuinfo.ends_with("core id\t\t: 1\ncpu cores\t: 2\napicid\t\t: 1\ninitial apicid\t: 1\npower management:\n\n")
    );
    let stat = mounted.read("/stat").unwrap();
    assert!(stat.starts_with("cpu  0 0 0 2469 0 0 0 0 0 0\ncpu0 0 0 0 1234 0 0 0 0 0 0\ncpu1 "), "{stat}");
}

#[test]
fn system_files_have_linux_format() {
    check("/uptime", "12.34 49.38\n");
    check("/loadavg", "0.00 0.00 0.00 1/1 1\n");
    check("/version", "Linux version 6.12.0-stockade (stockade@stockade) #1 SMP PREEMPT_DYNAMIC Stockade\n");
    check("/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    check("/sys/kernel/osrelease", "6.12.0-stockade\n");
    check("/sys/kernel/pid_max", "32768\n");
    check("/sys/net/ipv4/ip_local_port_range", "32768\t60999\n");
    check("/key-users", "    0:     1 0/0 0/1000000 0/25000000\n");
    check("/self/cgroup", "0::/\n");
    check(
        "/net/tcp",
        concat!(
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
            "                                                     \n",
        ),
    );
}

#[test]
fn links_name_the_caller() {
    let mounted = proc();
    assert_eq!(mounted.read_link("/self").as_deref(), Ok("1"));
    assert_eq!(mounted.read_link("/thread-self").as_deref(), Ok("1/task/1"));
    assert_eq!(mounted.read_link("/mounts").as_deref(), Ok("self/mounts"));
    assert_eq!(mounted.read("/self/comm").as_deref(), Ok("test\n"));
    let own = mounted.find("/self/ns/uts", Follow::Yes).unwrap().stat().unwrap();
    assert_eq!(mounted.read_link("/self/ns/uts"), Ok(alloc::format!("uts:[{}]", own.ino)));
}

#[test]
fn processes_come_and_go() {
    let mounted = proc();
    let memory = mounted.world.task.memory();
    assert_eq!(mounted.read("/2/comm"), Err(Errno::ENOENT));
    let (task, _) = mounted.world.spawn(memory);
    assert!(mounted.list("/").unwrap().contains(&"2".into()));
    assert_eq!(mounted.read("/2/task/2/comm").as_deref(), Ok("test\n"));
    assert_eq!(mounted.list("/2/task").unwrap(), [".", "..", "2"]);
    assert_eq!(task.tid().raw(), 2);
    assert_eq!(mounted.read("/02/comm"), Err(Errno::ENOENT));
}

#[test]
fn status_and_stat_agree_with_linux() {
    let mounted = proc();
    let stat = mounted.read("/1/stat").unwrap();
    assert_eq!(stat.split(' ').count(), 52);
    assert!(stat.starts_with("1 (test) R 0 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 0 "), "{stat}");
    let lines = ["Name:\ttest", "Umask:\t0022", "State:\tR (running)", "Groups:\t ", "VmSize:\t       0 kB"];
    for expected in lines {
        let start = expected.split('\t').next().unwrap_or_default();
        assert_eq!(line(&mounted, "/1/status", start), expected);
    }
    assert_eq!(line(&mounted, "/1/status", "Cpus_allowed:"), "Cpus_allowed:\tf");
    assert_eq!(line(&mounted, "/1/status", "Cpus_allowed_list"), "Cpus_allowed_list:\t0-3");
    assert_eq!(line(&mounted, "/1/status", "CapEff"), "CapEff:\t000001ffffffffff");
    let limits = "Max open files            1024                 1048576              files     ";
    assert_eq!(line(&mounted, "/1/limits", "Max open"), limits);
}

#[test]
fn maps_are_aligned() {
    let mounted = proc();
    let text = mounted.read("/1/maps").unwrap();
    let vdso = "7fff80000000-7fff80002000 r-xp 00000000 00:00 0                          [vdso]";
    assert_eq!(text.lines().last(), Some(vdso));
    let rollup = mounted.read("/1/smaps_rollup").unwrap();
    assert!(rollup.contains(" 00:00 0                          [rollup]\nRss:                   0 kB\n"), "{rollup}");
}

#[test]
fn settings_can_be_written() {
    let mounted = proc();
    assert_eq!(mounted.write("/1/oom_score_adj", "500\n"), Ok(4));
    assert_eq!(mounted.read("/1/oom_score_adj").as_deref(), Ok("500\n"));
    assert_eq!(mounted.read("/1/oom_adj").as_deref(), Ok("8\n"));
    assert_eq!(mounted.write("/1/oom_score_adj", "1001"), Err(Errno::EINVAL));
    assert_eq!(mounted.write("/self/comm", "a name that is too long"), Ok(23));
    assert_eq!(mounted.read("/1/comm").as_deref(), Ok("a name that is \n"));
    assert_eq!(mounted.write("/sys/kernel/hostname", "box\n"), Ok(4));
    assert_eq!(mounted.read("/sys/kernel/hostname").as_deref(), Ok("box\n"));
    assert_eq!(mounted.write("/uptime", "1"), Err(Errno::EACCES));
}

#[test]
fn others_processes_keep_their_secrets() {
    let mut mounted = proc();
    let (task, _) = mounted.world.spawn(mounted.world.task.memory());
    mounted.look_as(&task, user(1000));
    assert_eq!(mounted.read("/1/environ"), Err(Errno::EACCES));
    assert_eq!(mounted.read("/1/maps"), Err(Errno::EACCES));
    assert_eq!(mounted.read_link("/1/cwd"), Err(Errno::EACCES));
    assert_eq!(mounted.list("/1/fd"), Err(Errno::EACCES));
    assert!(mounted.read("/1/status").is_ok());
    let stat = mounted.read("/1/stat").unwrap();
    assert!(stat.contains(" 1 1 0 0 0 "), "addresses are hidden: {stat}");
    assert_eq!(mounted.write("/1/oom_score_adj", "1"), Err(Errno::EACCES));
}

#[test]
fn hidepid_hides_others() {
    let check = |options: &[u8], status: Result<(), Errno>, listed: bool| {
        let mut mounted = proc_with(options);
        let (task, _) = mounted.world.spawn(mounted.world.task.memory());
        mounted.look_as(&task, user(1000));
        assert_eq!(mounted.read("/1/status").map(|_| ()), status, "{options:?}");
        assert_eq!(mounted.list("/").unwrap().contains(&"1".into()), listed);
        assert!(mounted.read("/2/status").is_ok(), "one's own is always there");
    };
    check(b"", Ok(()), true);
    check(b"hidepid=1", Err(Errno::EPERM), true);
    check(b"hidepid=2", Err(Errno::ENOENT), false);
    check(b"hidepid=2,gid=1000", Ok(()), true);
    check(b"hidepid=4,gid=1000", Err(Errno::ENOENT), false);
}

#[test]
fn mounts_are_seen_from_the_tasks_root() {
    let mounted = proc();
    assert_eq!(mounted.read("/1/mounts").as_deref(), Ok("none / tmpfs rw,mode=755 0 0\n"));
    let info = mounted.read("/1/mountinfo").unwrap();
    assert!(info.ends_with(" / / rw - tmpfs none rw,mode=755\n"), "{info}");
    assert_eq!(mounted.read("/1/mountstats").as_deref(), Ok("device none mounted on / with fstype tmpfs\n"));
}

#[test]
fn descriptors_are_links_to_their_files() {
    let mounted = proc();
    let task = &mounted.world.task;
    let kernel = &mounted.world.kernel;
    let counter = Arc::new(EventFd::new(3, Taking::All, &kernel.vfs().hooks().counters));
    let flags = OpenFlags::READ_WRITE | OpenFlags::NONBLOCK;
    let file = kernel.vfs().open_anonymous("[eventfd]", counter, flags, &task.credentials()).unwrap();
    let ino = file.inode().number();
    assert_eq!(task.files().insert(file.clone(), FdFlags::CLOSE_ON_EXEC, 7, 100), Ok(7));
    assert_eq!(mounted.list("/self/fd").unwrap(), [".", "..", "7"]);
    assert_eq!(mounted.read_link("/self/fd/7").as_deref(), Ok("anon_inode:[eventfd]"));
    assert_eq!(mounted.stat("/self/fd/7").map(|stat| (stat.mode & 0o777, stat.size)), Ok((0o700, 64)));
    assert_eq!(mounted.find("/self/fd/7", Follow::Yes).unwrap().inode().number(), ino);
    let info = mounted.read("/self/fdinfo/7").unwrap();
    let mount = file.path().mount.id().0;
    let expected = alloc::format!(
        "pos:\t0\nflags:\t02004002\nmnt_id:\t{mount}\nino:\t{ino}\n\
         eventfd-count:                3\neventfd-id: 0\neventfd-semaphore: 0\n"
    );
    assert_eq!(info, expected);
    task.files().remove(7).unwrap();
    assert_eq!(mounted.read_link("/self/fd/7"), Err(Errno::ENOENT));
}

#[test]
fn sockets_are_listed_as_on_linux() {
    let mounted = proc();
    let program = testing::Caller::first(&mounted.world);
    let endpoint = |port: u16| [&2_u16.to_le_bytes()[..], &port.to_be_bytes(), &[127, 0, 0, 1], &[0; 8]].concat();
    let listener = program.call("socket", &[2, 1, 0]).unwrap();
    assert_eq!(program.call("bind", &[listener, program.put(&endpoint(8080)), 16]), Ok(0));
    assert_eq!(program.call("listen", &[listener, 5]), Ok(0));
    let datagrams = program.call("socket", &[2, 2, 0]).unwrap();
    assert_eq!(program.call("bind", &[datagrams, program.put(&endpoint(53)), 16]), Ok(0));
    let unix = program.call("socket", &[1, 1, 0]).unwrap();
    assert_eq!(program.call("bind", &[unix, program.put(b"\x01\0\0name"), 7]), Ok(0));
    let tcp = line(&mounted, "/net/tcp", "   0: ");
    assert!(
        tcp.starts_with("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0 "),
        "{tcp}"
    );
    assert_eq!(tcp.len(), 149);
    let udp = line(&mounted, "/net/udp", "    0: ");
    assert!(udp.starts_with("    0: 0100007F:0035 00000000:0000 07 "), "{udp}");
    assert_eq!(udp.len(), 127);
    let shown = line(&mounted, "/net/unix", "0000000000000000: 00000002 00000000 00000000 0001 01 ");
    assert!(shown.ends_with(" @name"), "{shown}");
}
