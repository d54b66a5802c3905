//! Sizes that may be without limit.

use stockade_engine::options::parse_size;

/// A size in bytes with an optional unit of 1024s (`64m`, `1GiB`), or -1 for no limit.
pub fn size_or_unlimited(text: &str) -> Result<i64, String> {
    if text == "-1" {
        return Ok(-1);
    }
    let bytes = parse_size(text).map_err(|error| error.to_string())?;
    i64::try_from(bytes).map_err(|_| format!("size {text:?} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let check = |text: &str, expected: Option<i64>| assert_eq!(size_or_unlimited(text).ok(), expected, "{text}");
        check("4096", Some(4096));
        check("64m", Some(64 << 20));
        check("1GiB", Some(1 << 30));
        check("2kb", Some(2048));
        check("-1", Some(-1));
        check("-2", None);
        check("m", None);
        check("99999999p", None);
    }
}
