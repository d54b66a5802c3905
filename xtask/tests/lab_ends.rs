//! However `cargo xtask lab run` ends, nothing of its lab is left: no process, mount or file.

use std::fs;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use stockade_tests::leaks::descendants;
use stockade_tests::{Cmd, Running, fixtures_dir, wait_until};

/// Until both programs of a lab run, and until they ended, on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

#[test]
fn nothing_is_left_after_kill_and_after_ctrl_c() {
    check(137, |lab| lab.signal(Signal::KILL));
    check(130, |lab| kill_process_group(lab.pid(), Signal::INT).expect("signal the lab's group"));
}

fn check(status: i32, end: impl FnOnce(&Running)) {
    // Whoever runs the tests in the background may ignore Ctrl-C.
    let xtask = ["--default-signal", env!("CARGO_BIN_EXE_xtask")];
    let lab = Cmd::new("env").args(xtask).args(["lab", "run", "--", "sleep", "1000"]).timeout(TIMEOUT).spawn();
    wait_until("QEMU and virtiofsd run", TIMEOUT, || ["qemu-system-x86", "virtiofsd"].iter().all(|name| runs(name)));
    let processes: Vec<OwnedFd> = descendants().into_iter().filter_map(watch).collect();
    end(&lab);
    assert_eq!(lab.wait().code, status);
    processes.iter().for_each(wait_for);
    let place = fixtures_dir().join("lab/run");
    assert_eq!(fs::read_dir(&place).expect("the mount point").count(), 0);
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    assert!(!mounts.contains(&place.display().to_string()), "{mounts}");
}

/// Whether a process below this one runs a program, by the first 15 letters of its name.
fn runs(name: &str) -> bool {
    let named = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim_end() == name);
    descendants().iter().any(named)
}

/// A process that has ended already needs no watching.
fn watch(pid: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}

fn wait_for(process: &OwnedFd) {
    let timeout = Timespec::try_from(TIMEOUT).expect("a timeout of ordinary size");
    let ended = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&timeout)).expect("poll a pidfd");
    assert_eq!(ended, 1, "a process of the lab is left");
}
