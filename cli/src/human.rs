//! Quantities as people read them, with Docker's wording, and the texts of others.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

/// `5.1MB`, `0B`, `1.2kB`: powers of 1000, at most four significant digits, or fewer as asked.
pub fn decimal_size(bytes: u64) -> String {
    scaled(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], 4)
}

/// As [`decimal_size`] with three digits, as `docker images` prints.
pub fn short_size(bytes: u64) -> String {
    scaled(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], 3)
}

/// `1.5MiB`: powers of 1024.
pub fn binary_size(bytes: u64) -> String {
    scaled(bytes, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], 4)
}

fn scaled(bytes: u64, base: f64, units: &[&str], digits: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "printed with four digits")]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{}{}", significant(value, digits), units[unit])
}

/// Go's `%.4g` for numbers below 10000.
fn significant(value: f64, digits: usize) -> String {
    let before_point = match value {
        v if v < 10.0 => 1,
        v if v < 100.0 => 2,
        v if v < 1000.0 => 3,
        _ => 4,
    };
    let text = format!("{value:.*}", digits.saturating_sub(before_point));
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// `3 minutes`, `About an hour`, `Less than a second`, as Docker's `HumanDuration`.
pub fn duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (s, 0, _) => format!("{s} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, m, _) if m < 60 => format!("{m} minutes"),
        (_, _, 1) => "About an hour".to_owned(),
        (_, _, h) if h < 48 => format!("{h} hours"),
        (_, _, h) if h < 24 * 7 * 2 => format!("{} days", h / 24),
        (_, _, h) if h < 24 * 30 * 2 => format!("{} weeks", h / 24 / 7),
        (_, _, h) if h < 24 * 365 * 2 => format!("{} months", h / 24 / 30),
        (_, _, h) => format!("{} years", h / 24 / 365),
    }
}

/// `2 hours ago`.
pub fn ago(then: Timestamp) -> String {
    format!("{} ago", duration(since(then)))
}

/// The time from `then` to now.
pub fn since(then: Timestamp) -> SignedDuration {
    Timestamp::now().duration_since(then)
}

/// An image or container id without `sha256:`, in twelve digits.
pub fn short_id(id: &str) -> &str {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    id.get(..12).unwrap_or(id)
}

/// At most `max` characters, the last an ellipsis when some were cut.
pub fn ellipsis(text: &str, max: usize) -> String {
    match text.chars().count() > max {
        true => text.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// Text of others, fit for a terminal: what would move its cursor, change its title or turn its writing round is shown
/// as an escape, and white space as a blank.
pub fn plain(text: &str) -> Cow<'_, str> {
    let is_odd = |char: char| char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(is_odd) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|char| match char {
        char if char.is_whitespace() => " ".to_owned(),
        char if is_odd(char) => char.escape_unicode().to_string(),
        char => char.to_string(),
    });
    Cow::Owned(shown.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let check = |bytes, decimal: &str, short: &str, binary: &str| {
            assert_eq!((&*decimal_size(bytes), &*short_size(bytes), &*binary_size(bytes)), (decimal, short, binary));
        };
        check(0, "0B", "0B", "0B");
        check(999, "999B", "999B", "999B");
        check(1_000, "1kB", "1kB", "1000B");
        check(5_100_000, "5.1MB", "5.1MB", "4.864MiB");
        check(123_456_789, "123.5MB", "123MB", "117.7MiB");
        check(1 << 30, "1.074GB", "1.07GB", "1GiB");
        check(u64::MAX, "18.45EB", "18.4EB", "16EiB");
    }

    #[test]
    fn durations() {
        let check = |seconds, expected: &str| assert_eq!(duration(SignedDuration::from_secs(seconds)), expected);
        for (seconds, expected) in [
            (-5, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (180, "3 minutes"),
            (3_599, "59 minutes"),
            (3_600, "About an hour"),
            (7_200, "2 hours"),
            (86_400 * 3, "3 days"),
            (86_400 * 20, "2 weeks"),
            (86_400 * 90, "3 months"),
            (86_400 * 800, "2 years"),
        ] {
            check(seconds, expected);
        }
    }

    #[test]
    fn ids_and_ellipsis() {
        assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("abc"), "abc");
        assert_eq!(ellipsis("\"sleep 1000000000000\"", 20), "\"sleep 100000000000…");
        assert_eq!(ellipsis("short", 20), "short");
    }
}
