//! The time of `create`, as RFC 3339.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, UTC, with nanoseconds, as runc writes it.
pub(crate) fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format_utc(since.as_secs(), since.subsec_nanos())
}

fn format_utc(seconds: u64, nanoseconds: u32) -> String {
    let (year, month, day) = civil_from_days(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z")
}

/// Howard Hinnant's `civil_from_days` (chrono-compatible low-level date algorithms), for days since 1970.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let check = |seconds, expected: &str| assert_eq!(format_utc(seconds, 5), expected);
        check(0, "1970-01-01T00:00:00.000000005Z");
        check(951_782_399, "2000-02-28T23:59:59.000000005Z");
        check(951_782_400, "2000-02-29T00:00:00.000000005Z");
        check(4_107_542_399, "2100-02-28T23:59:59.000000005Z");
        check(4_107_542_400, "2100-03-01T00:00:00.000000005Z");
    }
}
