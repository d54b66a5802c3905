//! What can be written: comm, coredump_filter, oom_score_adj, loginuid, timerslack_ns.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::PidSubject;
use crate::Errno;
use crate::fs::synthetic::{Opener, Text};
use crate::task::{Capabilities, Process, Task};

/// OOM_SCORE_ADJ_MAX; the least is its negative.
const OOM_ADJ_MAX: i32 = 1000;
/// OOM_DISABLE of the old scale, and its greatest value.
const OLD_OOM_DISABLE: i32 = -17;
const OLD_OOM_MAX: i32 = 15;
/// What programs wait longer at most when nobody set it.
const TIMER_SLACK_DEFAULT: u64 = 50_000;

/// A task's name, or that of a process that ended.
pub(super) fn name(process: &Process, task: Option<&Arc<Task>>) -> Vec<u8> {
    task.map_or_else(|| process.record.last_name(), |task| task.name())
}

fn line(value: impl core::fmt::Display) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    writeln!(text, "{value}");
    text.finish()
}

/// A number in the notation of C, with blanks around (`kstrtoint` of Linux).
pub(super) fn number(bytes: &[u8]) -> Result<i64, Errno> {
    let text = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?.trim_matches(['\0', ' ', '\t', '\n']);
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let value = match (hexadecimal, digits.strip_prefix('0')) {
        (Some(digits), _) => unsigned(digits, 16)?,
        (None, Some(digits)) if !digits.is_empty() => unsigned(digits, 8)?,
        _ => unsigned(digits.strip_prefix('+').unwrap_or(digits), 10)?,
    };
    Ok(sign * value)
}

fn unsigned(digits: &str, radix: u32) -> Result<i64, Errno> {
    if digits.starts_with(['+', '-']) {
        Err(Errno::EINVAL)
    } else {
        i64::from_str_radix(digits, radix).map_err(|_| Errno::EINVAL)
    }
}

/// /proc/PID/comm
pub(super) fn comm(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let process = subject.process()?;
    let mut text = Text::new();
    text.bytes(&name(&process, subject.task().ok().as_ref())).bytes(b"\n");
    text.finish()
}

/// Only of one's own process.
pub(super) fn set_comm(subject: &PidSubject, opener: &Opener, bytes: &[u8]) -> Result<(), Errno> {
    let task = subject.task()?;
    let writer = opener.task.upgrade().ok_or(Errno::EINVAL)?;
    if !Arc::ptr_eq(writer.process(), task.process()) {
        return Err(Errno::EINVAL);
    }
    task.set_name(bytes.strip_suffix(b"\n").unwrap_or(bytes));
    Ok(())
}

/// /proc/PID/oom_score_adj
pub(super) fn oom_score_adj(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    line(subject.process()?.oom_score_adj())
}

pub(super) fn set_oom_score_adj(subject: &PidSubject, opener: &Opener, bytes: &[u8]) -> Result<(), Errno> {
    let value = i32::try_from(number(bytes)?).map_err(|_| Errno::EINVAL)?;
    if !(-OOM_ADJ_MAX..=OOM_ADJ_MAX).contains(&value) {
        return Err(Errno::EINVAL);
    }
    let process = subject.process()?;
    if value < process.record.oom_floor() && !opener.credentials.has(Capabilities::SYS_RESOURCE) {
        return Err(Errno::EACCES);
    }
    process.set_oom_score_adj(value);
    if opener.credentials.has(Capabilities::SYS_RESOURCE) {
        process.record.set_oom_floor(value);
    }
    Ok(())
}

/// /proc/PID/oom_adj: the same on the scale of old.
pub(super) fn oom_adj(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let value = subject.process()?.oom_score_adj();
    line(if value == OOM_ADJ_MAX { OLD_OOM_MAX } else { value * -OLD_OOM_DISABLE / OOM_ADJ_MAX })
}

pub(super) fn set_oom_adj(subject: &PidSubject, opener: &Opener, bytes: &[u8]) -> Result<(), Errno> {
    let old = i32::try_from(number(bytes)?).map_err(|_| Errno::EINVAL)?;
    if old != OLD_OOM_DISABLE && !(-16..=OLD_OOM_MAX).contains(&old) {
        return Err(Errno::EINVAL);
    }
    let value = if old == OLD_OOM_MAX { OOM_ADJ_MAX } else { old * OOM_ADJ_MAX / -OLD_OOM_DISABLE };
    set_oom_score_adj(subject, opener, alloc::format!("{value}").as_bytes())
}

/// /proc/PID/oom_score: thousandths of memory in use, moved by oom_score_adj (`proc_oom_score` of Linux).
pub(super) fn oom_score(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let process = subject.process()?;
    let adj = i64::from(process.oom_score_adj());
    if adj == i64::from(-OOM_ADJ_MAX) {
        return line(0);
    }
    let resident = subject.task().map_or(0, |task| task.memory().totals().resident);
    let total = subject.system.kernel.limits().memory_shown().max(1);
    let share = i64::try_from(resident.saturating_mul(1000) / total).unwrap_or(1000);
    line(((1000 + share + adj) * 2 / 3).max(0))
}

/// /proc/PID/loginuid: no newline.
pub(super) fn login_uid(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    write!(text, "{}", subject.process()?.record.login_uid());
    text.finish()
}

/// Only of one's own process.
pub(super) fn set_login_uid(subject: &PidSubject, opener: &Opener, bytes: &[u8]) -> Result<(), Errno> {
    let process = subject.process()?;
    let uid = u32::try_from(number(bytes)?).map_err(|_| Errno::EINVAL)?;
    let own = opener.task.upgrade().is_some_and(|task| Arc::ptr_eq(task.process(), &process));
    if !own || !opener.credentials.has(Capabilities::AUDIT_CONTROL) {
        return Err(Errno::EPERM);
    }
    process.record.set_login_uid(uid);
    Ok(())
}

/// /proc/PID/coredump_filter: what a dump would hold. None is ever written.
pub(super) fn dump_filter(subject: &PidSubject, _: &Opener) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    writeln!(text, "{:08x}", subject.process()?.record.dump_filter());
    text.finish()
}

pub(super) fn set_dump_filter(subject: &PidSubject, _: &Opener, bytes: &[u8]) -> Result<(), Errno> {
    /// MMF_DUMP_FILTER_BITS
    const KNOWN: u32 = 0x1ff;
    let value = u32::try_from(number(bytes)?).map_err(|_| Errno::EINVAL)?;
    subject.process()?.record.set_dump_filter(value & KNOWN);
    Ok(())
}

/// Another's needs CAP_SYS_NICE.
fn check_slack(subject: &PidSubject, opener: &Opener) -> Result<Arc<Task>, Errno> {
    let task = subject.task()?;
    let own = opener.task.upgrade().is_some_and(|opener| Arc::ptr_eq(&opener, &task));
    if own || opener.credentials.has(Capabilities::SYS_NICE) { Ok(task) } else { Err(Errno::EPERM) }
}

/// /proc/PID/timerslack_ns
pub(super) fn timer_slack(subject: &PidSubject, opener: &Opener) -> Result<Vec<u8>, Errno> {
    line(check_slack(subject, opener)?.settings.lock().scheduling.timer_slack)
}

pub(super) fn set_timer_slack(subject: &PidSubject, opener: &Opener, bytes: &[u8]) -> Result<(), Errno> {
    let task = check_slack(subject, opener)?;
    let value = u64::try_from(number(bytes)?).map_err(|_| Errno::EINVAL)?;
    task.settings.lock().scheduling.timer_slack = if value == 0 { TIMER_SLACK_DEFAULT } else { value };
    Ok(())
}
