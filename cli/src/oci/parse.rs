//! Values as runc's flags take them.

use std::time::Duration;

use stockade_engine::options::Signal;

use crate::parse;

/// A signal: any number, or a name in any case with or without `SIG`.
pub fn signal(text: &str) -> Result<i32, String> {
    let known = || text.parse::<Signal>().ok().map(Signal::number);
    text.parse().ok().or_else(known).ok_or_else(|| format!("unknown signal {text:?}"))
}

/// A time as Go writes it, with units and more than nothing: `5s`, `250ms`, `1m30s`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let has_unit = !text.ends_with(|c: char| c.is_ascii_digit() || c == '.');
    let parsed = parse::duration(text).ok().filter(|duration| has_unit && !duration.is_zero());
    parsed.ok_or_else(|| format!("invalid duration {text:?}: write one like 5s, 250ms or 1m30s"))
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
