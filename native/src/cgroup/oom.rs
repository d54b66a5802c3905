//! Out-of-memory events.
//!
//! Both versions say that something happened and keep a counter; the counter decides. v1 speaks up *before* it kills,
//! and for limits above the container too, so after an event its counter is looked at again for a while, by timer.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::fs::{Mode, OFlags, inotify};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use stockade_sandbox::{OomWatch, Result};

use super::{CgroupError, Home, file, processes};

const FIRST_LOOK: Duration = Duration::from_millis(1);
/// Looks double their distance up to here; the kernel has long killed by then, or will not.
const LAST_LOOK: Duration = Duration::from_millis(512);

pub(super) fn watch(home: Home<'_>) -> std::result::Result<Box<dyn OomWatch>, CgroupError> {
    match home {
        Home::V1(dir) => Ok(Box::new(WatchV1::new(dir)?)),
        Home::V2(dir) => Ok(Box::new(WatchV2::new(dir)?)),
    }
}

/// Kills in this cgroup and below; v1 counts each cgroup for itself. `None` when the cgroup is gone.
pub(super) fn kills_v1(dir: &Path) -> std::result::Result<Option<u64>, CgroupError> {
    let Some(control) = file::read_if_present(dir, "memory.oom_control")? else { return Ok(None) };
    let mut kills = file::keyed_value(&control, "oom_kill").unwrap_or_default();
    for child in processes::children(dir)? {
        kills += kills_v1(&child)?.unwrap_or_default();
    }
    Ok(Some(kills))
}

/// `None` when the cgroup is gone or has lost its last process.
fn kills_v2(dir: &Path) -> std::result::Result<Option<u64>, CgroupError> {
    let Some(events) = file::read_if_present(dir, "memory.events")? else { return Ok(None) };
    Ok(Some(file::keyed_value(&events, "oom_kill").unwrap_or_default()))
}

fn is_populated(dir: &Path) -> std::result::Result<bool, CgroupError> {
    let events = file::read_if_present(dir, "cgroup.events")?;
    Ok(events.is_some_and(|text| file::keyed_value(&text, "populated") == Some(1)))
}

fn os(what: &'static str) -> impl Fn(Errno) -> CgroupError {
    move |error| CgroupError::File { verb: "watch", path: what.into(), source: error.into() }
}

/// News since the last look. The counter may fall when a nested cgroup is removed; that is no news.
fn since(seen: &mut u64, now: u64) -> u64 {
    let news = now.saturating_sub(*seen);
    *seen = now;
    news
}

struct WatchV1 {
    dir: PathBuf,
    epoll: OwnedFd,
    event: OwnedFd,
    timer: OwnedFd,
    next_look: Duration,
    seen: u64,
}

impl WatchV1 {
    fn new(dir: &Path) -> std::result::Result<Self, CgroupError> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(os("eventfd"))?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)
            .map_err(os("timerfd"))?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(os("epoll"))?;
        for source in [&event, &timer] {
            epoll::add(&epoll, source, epoll::EventData::new_u64(0), epoll::EventFlags::IN).map_err(os("epoll"))?;
        }
        let seen = kills_v1(dir)?.unwrap_or_default();
        register(dir, &event)?;
        Ok(Self { dir: dir.to_owned(), epoll, event, timer, next_look: FIRST_LOOK, seen })
    }

    fn look_again(&mut self) -> std::result::Result<(), CgroupError> {
        let delay = self.next_look;
        self.next_look *= 2;
        let once = Timespec { tv_sec: 0, tv_nsec: if delay > LAST_LOOK { 0 } else { i64::from(delay.subsec_nanos()) } };
        let setting = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: once };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &setting).map(drop).map_err(os("timerfd"))
    }
}

/// `cgroup.event_control` takes the eventfd and the file to watch; the registration ends with the eventfd.
fn register(dir: &Path, event: &OwnedFd) -> std::result::Result<(), CgroupError> {
    let path = dir.join("memory.oom_control");
    let control = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| CgroupError::file("open", &path, error))?;
    file::write(dir, "cgroup.event_control", &format!("{} {}", event.as_raw_fd(), control.as_raw_fd()))
}

fn drain(fd: &OwnedFd) -> bool {
    rustix::io::read(fd, &mut [0; 8]).is_ok()
}

impl OomWatch for WatchV1 {
    fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    fn take(&mut self) -> Result<Option<u64>> {
        let timed = drain(&self.timer);
        if drain(&self.event) {
            self.next_look = FIRST_LOOK;
            self.look_again()?;
        } else if timed {
            self.look_again()?;
        }
        Ok(kills_v1(&self.dir)?.map(|now| since(&mut self.seen, now)))
    }
}

struct WatchV2 {
    dir: PathBuf,
    inotify: OwnedFd,
    seen: u64,
}

impl WatchV2 {
    fn new(dir: &Path) -> std::result::Result<Self, CgroupError> {
        let inotify =
            inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).map_err(os("inotify"))?;
        for name in ["memory.events", "cgroup.events"] {
            let path = dir.join(name);
            inotify::add_watch(&inotify, &path, inotify::WatchFlags::MODIFY)
                .map_err(|error| CgroupError::file("watch", &path, error))?;
        }
        Ok(Self { seen: kills_v2(dir)?.unwrap_or_default(), dir: dir.to_owned(), inotify })
    }
}

impl OomWatch for WatchV2 {
    fn fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    fn take(&mut self) -> Result<Option<u64>> {
        while rustix::io::read(&self.inotify, &mut [0; 4096]).is_ok() {}
        let news = kills_v2(&self.dir)?.map(|now| since(&mut self.seen, now));
        // The last kill empties the cgroup: it is told before the end is.
        Ok(if news == Some(0) && !is_populated(&self.dir)? { None } else { news })
    }
}
