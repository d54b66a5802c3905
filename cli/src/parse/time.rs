//! Points in time and durations, for `--since`, `--until` and the like.

use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A Unix time with an optional fraction, RFC 3339, a local date or date and time, or a duration before now (`10m`).
pub fn instant(text: &str) -> Result<Timestamp, String> {
    unix(text)
        .or_else(|| text.parse::<Timestamp>().ok())
        .or_else(|| local(text))
        .or_else(|| before_now(text))
        .ok_or_else(|| format!("invalid time {text:?}: write 10m, 2026-01-02T15:04:05Z or a Unix time"))
}

fn unix(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
    Timestamp::new(seconds.parse().ok()?, nanoseconds).ok()
}

fn local(text: &str) -> Option<Timestamp> {
    let time =
        text.parse::<DateTime>().ok().or_else(|| Some(text.parse::<Date>().ok()?.to_datetime(Default::default())))?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn before_now(text: &str) -> Option<Timestamp> {
    let span = SignedDuration::try_from(duration(text).ok()?).ok()?;
    Timestamp::now().checked_sub(span).ok()
}

/// `1h30m`, `1.5s`, `200ms`, and a plain number of seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("invalid duration {text:?}: write for example 90s, 10m or 1h30m");
    let mut rest = text;
    let mut seconds = 0.0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = &rest[digits..];
        let length = unit.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit.len());
        seconds += number * unit_seconds(&unit[..length]).ok_or_else(wrong)?;
        rest = &unit[length..];
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants() {
        let check = |text: &str, expected: &str| assert_eq!(instant(text).unwrap().to_string(), expected, "{text}");
        check("0", "1970-01-01T00:00:00Z");
        check("1700000000.5", "2023-11-14T22:13:20.5Z");
        check("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z");
        check("2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05Z");
        check("2026-01-02T03:04:05", "2026-01-02T03:04:05Z");
        check("2026-01-02", "2026-01-02T00:00:00Z");
        let past = Timestamp::now().duration_since(instant("10m").unwrap());
        assert!((590..610).contains(&past.as_secs()));
        for wrong in ["", "yesterday", "2026-13-01", "1.2.3", "10 parsecs"] {
            assert!(instant(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations() {
        let check = |text: &str, expected: Option<u128>| {
            assert_eq!(duration(text).ok().map(|duration| duration.as_millis()), expected, "{text}");
        };
        check("10", Some(10_000));
        check("90s", Some(90_000));
        check("1h30m", Some(5_400_000));
        check("1.5s", Some(1_500));
        check("200ms", Some(200));
        for wrong in ["", "s", "1d", "-1s", "1h-1m", "1e400s"] {
            check(wrong, None);
        }
    }
}
