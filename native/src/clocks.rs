//! Time namespaces (time_namespaces(7)): clocks that begin elsewhere.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use oci_spec::runtime::{Linux, LinuxNamespace, LinuxNamespaceType, LinuxTimeOffset};
use rustix::time::{ClockId, Timespec, clock_gettime};
use stockade_sandbox::Result;

use crate::fail::{Context, invalid};
use crate::sys::clone::{CloneFlags, setns, unshare};

const NANOSECONDS: i64 = 1_000_000_000;
/// Offsets of the namespace that the caller's children will be in.
const OFFSETS: &str = "/proc/self/timens_offsets";

/// A clock that can be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Stops while the machine is suspended.
    Monotonic,
    /// Does not.
    Boottime,
}

impl Clock {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Monotonic, Self::Boottime];

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|clock| clock.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Monotonic => "monotonic",
            Self::Boottime => "boottime",
        }
    }

    fn now(self) -> Timespec {
        clock_gettime(match self {
            Self::Monotonic => ClockId::Monotonic,
            Self::Boottime => ClockId::Boottime,
        })
    }
}

/// What is added to a clock: seconds, and less than a second of nanoseconds.
pub type Offset = (i64, i64);

/// What clocks show when a sandbox of their own begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// [`Clock::Monotonic`]
    pub monotonic: Duration,
    /// [`Clock::Boottime`]
    pub boottime: Duration,
}

impl Start {
    fn of(&self, clock: Clock) -> Duration {
        match clock {
            Clock::Monotonic => self.monotonic,
            Clock::Boottime => self.boottime,
        }
    }
}

/// The offsets that a spec names.
pub fn offsets_of(linux: &Linux) -> Result<Vec<(Clock, Offset)>> {
    let all: Vec<_> = linux.time_offsets().iter().flatten().collect();
    let is_new = |namespace: &LinuxNamespace| {
        let path = namespace.path().as_deref().unwrap_or(Path::new(""));
        namespace.typ() == LinuxNamespaceType::Time && path.as_os_str().is_empty()
    };
    if !all.is_empty() && !linux.namespaces().iter().flatten().any(is_new) {
        return Err(invalid("timeOffsets need a new time namespace"));
    }
    all.into_iter().map(|(name, offset)| offset_of(name, offset)).collect()
}

fn offset_of(name: &str, offset: &LinuxTimeOffset) -> Result<(Clock, Offset)> {
    let clock = Clock::from_name(name)
        .ok_or_else(|| invalid(format!("timeOffsets: clock {name:?} has no offset: use monotonic or boottime")))?;
    let nanoseconds = i64::from(offset.nanosecs().unwrap_or(0));
    if nanoseconds >= NANOSECONDS {
        return Err(invalid(format!("timeOffsets: {name}: nanosecs {nanoseconds} are a second or more: use secs")));
    }
    Ok((clock, (offset.secs().unwrap_or(0), nanoseconds)))
}

/// Moves the caller, which must have one thread, into a new time namespace that was unshared, once its clocks are set:
/// that must be done while it has no process.
pub(crate) fn enter(offsets: &[(Clock, Offset)]) -> Result<()> {
    if !offsets.is_empty() {
        fs::write(OFFSETS, lines(offsets)).at("set the clocks' offsets")?;
    }
    let namespace = File::open("/proc/thread-self/ns/time_for_children").at("open the time namespace")?;
    setns(namespace, CloneFlags::NEWTIME).at("enter the time namespace")
}

/// The same with clocks that show other times from now on. On a host that was built without time namespaces they are
/// the host's.
pub(crate) fn enter_new(start: Start) -> Result<()> {
    match unshare(CloneFlags::NEWTIME) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Ok(()),
        made => made.at("make a time namespace")?,
    }
    // Offsets are against the host, in whichever namespace the caller is.
    let own = fs::read_to_string(OFFSETS).at("read the own clocks' offsets")?;
    enter(&Clock::ALL.map(|clock| (clock, offset_to(start.of(clock), clock, own_offset(&own, clock)))))
}

/// Whether the host has time namespaces.
pub fn can_be_own() -> bool {
    fs::exists("/proc/self/ns/time_for_children").unwrap_or(false)
}

fn lines(offsets: &[(Clock, Offset)]) -> String {
    let line =
        |(clock, (seconds, nanoseconds)): &(Clock, Offset)| format!("{} {seconds} {nanoseconds}\n", clock.name());
    offsets.iter().map(line).collect()
}

fn own_offset(text: &str, clock: Clock) -> Offset {
    let line = text.lines().find_map(|line| line.strip_prefix(clock.name()));
    let mut numbers = line.unwrap_or_default().split_ascii_whitespace().map(|word| word.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// What makes a clock show a time where it shows now with an offset already.
fn offset_to(time: Duration, clock: Clock, own: Offset) -> Offset {
    let now = clock.now();
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX).saturating_sub(now.tv_sec).saturating_add(own.0);
    let nanoseconds = i64::from(time.subsec_nanos()) - now.tv_nsec + own.1;
    (seconds.saturating_add(nanoseconds.div_euclid(NANOSECONDS)), nanoseconds.rem_euclid(NANOSECONDS))
}

#[cfg(test)]
mod tests {
    use rustix::process::{Pid, WaitOptions, waitpid};

    use super::*;
    use crate::sys::clone::clone3;
    use crate::sys::process::exit;

    #[test]
    fn offsets_are_read_as_the_host_tells_them() {
        let text = "monotonic         -74394   64600694\nboottime            5         0\n";
        assert_eq!(Clock::ALL.map(|clock| own_offset(text, clock)), [(-74_394, 64_600_694), (5, 0)]);
        assert_eq!(own_offset("", Clock::Boottime), (0, 0));
        let both = [(Clock::Monotonic, (-74_394, 64_600_694)), (Clock::Boottime, (5, 0))];
        assert_eq!(Clock::ALL.map(|clock| own_offset(&lines(&both), clock)), both.map(|(_, offset)| offset));
    }

    /// By who is in a time namespace already.
    #[test]
    fn clocks_can_be_moved_again() {
        let start = |seconds| Start { boottime: Duration::from_secs(seconds), ..Start::default() };
        let child = clone3(CloneFlags::empty(), None, || {
            let moved = enter_new(start(7)).and_then(|()| enter_new(start(5_000)));
            let shown = Clock::ALL.map(|clock| clock.now().tv_sec);
            exit(i32::from(moved.is_err() || shown[0] > 60 || !(5_000..5_060).contains(&shown[1])))
        });
        let child = i32::try_from(child.expect("a child")).ok().and_then(Pid::from_raw);
        let ended = waitpid(child, WaitOptions::empty()).expect("wait").expect("it ended");
        assert_eq!(ended.1.exit_status(), Some(0));
    }

    #[test]
    fn what_no_clock_can_have_is_refused_by_name() {
        let check = |offsets: &str, expected: &str| {
            let spec = format!(r#"{{"namespaces": [{{"type": "time"}}], "timeOffsets": {offsets}}}"#);
            let said = offsets_of(&serde_json::from_str(&spec).expect("a spec")).expect_err("refused").to_string();
            assert!(said.contains(expected), "{said}");
        };
        check(r#"{"realtime": {"secs": 1}}"#, "use monotonic or boottime");
        check(r#"{"boottime": {"nanosecs": 1000000000}}"#, "boottime: nanosecs 1000000000");
        let alone = r#"{"timeOffsets": {"boottime": {"secs": 1}}}"#;
        let said = offsets_of(&serde_json::from_str(alone).expect("a spec")).expect_err("refused").to_string();
        assert!(said.contains("need a new time namespace"), "{said}");
    }
}
