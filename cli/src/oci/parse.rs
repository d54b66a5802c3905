//! Values as runc's flags take them.

use std::time::Duration;

/// Signals by name (signal(7)); the real-time ones go by number.
const SIGNALS: [(&str, i32); 34] = [
    ("ABRT", libc::SIGABRT),
    ("ALRM", libc::SIGALRM),
    ("BUS", libc::SIGBUS),
    ("CHLD", libc::SIGCHLD),
    ("CLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("FPE", libc::SIGFPE),
    ("HUP", libc::SIGHUP),
    ("ILL", libc::SIGILL),
    ("INT", libc::SIGINT),
    ("IO", libc::SIGIO),
    ("IOT", libc::SIGABRT),
    ("KILL", libc::SIGKILL),
    ("PIPE", libc::SIGPIPE),
    ("POLL", libc::SIGPOLL),
    ("PROF", libc::SIGPROF),
    ("PWR", libc::SIGPWR),
    ("QUIT", libc::SIGQUIT),
    ("SEGV", libc::SIGSEGV),
    ("STKFLT", libc::SIGSTKFLT),
    ("STOP", libc::SIGSTOP),
    ("SYS", libc::SIGSYS),
    ("TERM", libc::SIGTERM),
    ("TRAP", libc::SIGTRAP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("USR1", libc::SIGUSR1),
    ("USR2", libc::SIGUSR2),
    ("VTALRM", libc::SIGVTALRM),
    ("WINCH", libc::SIGWINCH),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
];

/// A signal: a number, or a name in any case with or without `SIG`.
pub fn signal(text: &str) -> Result<i32, String> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let known = SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    text.parse().ok().or(known).ok_or_else(|| format!("unknown signal {text:?}"))
}

/// A size in bytes with an optional unit of 1024s (`64m`, `1GiB`), or -1 for no limit.
pub fn bytes(text: &str) -> Result<i64, String> {
    if text == "-1" {
        return Ok(-1);
    }
    let invalid = || format!("invalid size {text:?}: write a number of bytes, one like 64m, or -1");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return Err(invalid()),
    };
    let number: i64 = number.parse().map_err(|_| invalid())?;
    number.checked_mul(1 << shift).ok_or_else(invalid)
}

/// A time as Go writes it: `5s`, `250ms`, `1m30s`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("invalid duration {text:?}: write one like 5s, 250ms or 1m30s");
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |len| digits + len);
        let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
        let seconds = number * unit_seconds(&rest[digits..unit]).ok_or_else(invalid)?;
        total += Duration::try_from_secs_f64(seconds).map_err(|_| invalid())?;
        rest = &rest[unit..];
    }
    if total.is_zero() { Err(invalid()) } else { Ok(total) }
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        let check = |text: &str, expected: Option<i32>| assert_eq!(signal(text).ok(), expected, "{text}");
        check("TERM", Some(15));
        check("SIGKILL", Some(9));
        check("sigint", Some(2));
        check("34", Some(34));
        check("XFSZ", Some(25));
        check("BOGUS", None);
        check("", None);
    }

    #[test]
    fn sizes_have_units() {
        let check = |text: &str, expected: Option<i64>| assert_eq!(bytes(text).ok(), expected, "{text}");
        check("4096", Some(4096));
        check("64m", Some(64 << 20));
        check("1GiB", Some(1 << 30));
        check("2kb", Some(2048));
        check("-1", Some(-1));
        check("-2", None);
        check("m", None);
        check("99999999p", None);
    }

    #[test]
    fn durations_are_written_as_in_go() {
        let check =
            |text: &str, ms: Option<u64>| assert_eq!(duration(text).ok(), ms.map(Duration::from_millis), "{text}");
        check("5s", Some(5000));
        check("250ms", Some(250));
        check("1m1.5s", Some(61_500));
        check("5", None);
        check("0s", None);
        check("s", None);
    }
}
