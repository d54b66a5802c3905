//! Freezing: `freezer.state` (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst) and `cgroup.freeze`.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};

use super::{CgroupError, Home, file};

/// A v1 freeze that races with forks can hang in FREEZING; each try gives it another push.
const TRIES_MAX: u32 = 1000;
/// Now and then a thaw lets the newcomers settle.
const TRIES_BEFORE_THAW: u32 = 50;
const PAUSE: Duration = Duration::from_millis(10);
const STEP: Duration = Duration::from_micros(20);
const V2_PATIENCE: Duration = Duration::from_secs(10);

/// Freezes, and returns when every process has stopped. On failure the processes run on.
pub(super) fn freeze(home: Home<'_>) -> Result<(), CgroupError> {
    let outcome = match home {
        Home::V1(dir) => freeze_v1(dir),
        Home::V2(dir) => freeze_v2(dir),
    };
    if outcome.is_err() {
        let _ = thaw(home);
    }
    outcome
}

/// Asks for it without waiting.
pub(super) fn request(home: Home<'_>) -> Result<(), CgroupError> {
    match home {
        Home::V1(dir) => file::write(dir, "freezer.state", "FROZEN"),
        Home::V2(dir) => file::write(dir, "cgroup.freeze", "1"),
    }
}

pub(super) fn thaw(home: Home<'_>) -> Result<(), CgroupError> {
    match home {
        Home::V1(dir) => file::write(dir, "freezer.state", "THAWED"),
        Home::V2(dir) => file::write(dir, "cgroup.freeze", "0"),
    }
}

/// Only the container's own state counts, not that of a cgroup above.
pub(super) fn is_frozen(home: Home<'_>) -> Result<bool, CgroupError> {
    let (dir, name) = match home {
        Home::V1(dir) => (dir, "freezer.self_freezing"),
        Home::V2(dir) => (dir, "cgroup.freeze"),
    };
    Ok(file::number(dir, name)? == Some(1))
}

fn freeze_v1(dir: &Path) -> Result<(), CgroupError> {
    let mut state = String::new();
    for count in 1..=TRIES_MAX {
        if count % TRIES_BEFORE_THAW == 0 {
            file::write(dir, "freezer.state", "THAWED")?;
            std::thread::sleep(PAUSE);
        }
        file::write(dir, "freezer.state", "FROZEN")?;
        state = file::read(dir, "freezer.state")?.trim().to_owned();
        if state == "FROZEN" {
            return Ok(());
        }
        // A process that waits for a busy CPU stops only once it gets one: be patient, longer each time.
        std::thread::sleep(PAUSE.min(STEP * count));
    }
    Err(CgroupError::Unfrozen { path: dir.to_owned(), state, tries: TRIES_MAX })
}

fn freeze_v2(dir: &Path) -> Result<(), CgroupError> {
    file::write(dir, "cgroup.freeze", "1")?;
    let path = dir.join("cgroup.events");
    let events = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| CgroupError::file("open", &path, error))?;
    let deadline = Instant::now() + V2_PATIENCE;
    let mut tries = 0;
    while file::keyed_value(&file::read(dir, "cgroup.events")?, "frozen") != Some(1) {
        if Instant::now() > deadline {
            return Err(CgroupError::Unfrozen { path: dir.to_owned(), state: "running".to_owned(), tries });
        }
        // The kernel notifies a change of cgroup.events as an exceptional condition.
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(PAUSE.subsec_nanos()) };
        let _ = poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&timeout));
        tries += 1;
    }
    Ok(())
}
