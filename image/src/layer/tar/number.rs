//! Numbers of headers and pax records.

use stockade_erofs_writer::Timestamp;

/// A numeric header field: octal text, or base 256 where the first bit is set (GNU, star).
pub(super) fn field(bytes: &[u8]) -> Option<i64> {
    match bytes.first() {
        Some(first) if first & 0x80 != 0 => base_256(bytes),
        _ => octal(bytes),
    }
}

fn octal(bytes: &[u8]) -> Option<i64> {
    let text = bytes.trim_ascii_start();
    let text = text.iter().position(|&byte| byte == 0).map_or(text, |end| &text[..end]).trim_ascii();
    if text.is_empty() {
        // Fields may be left blank; also with NULs first, as `text` is then empty.
        return Some(0);
    }
    text.iter().try_fold(0_i64, |value, &byte| match byte {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(byte - b'0')),
        _ => None,
    })
}

/// Two's complement, big endian; the top bit marks the form, the next one is the sign.
fn base_256(bytes: &[u8]) -> Option<i64> {
    let (&first, rest) = bytes.split_first()?;
    let start = if first & 0x40 == 0 { i64::from(first & 0x3f) } else { i64::from(first) - 0x100 };
    rest.iter().try_fold(start, |value, &byte| value.checked_mul(0x100)?.checked_add(byte.into()))
}

/// Decimal digits only.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

/// A pax time: seconds, possibly negative, possibly with a fraction, of which nanoseconds are kept.
pub(super) fn time(text: &[u8]) -> Option<Timestamp> {
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let point = text.iter().position(|&byte| byte == b'.');
    let (whole, fraction) = point.map_or((text, &b""[..]), |at| (&text[..at], &text[at + 1..]));
    let secs = i64::try_from(decimal(whole)?).ok()?;
    match (negative, nanos(fraction)?) {
        (false, nanos) => Timestamp::new(secs, nanos),
        (true, 0) => Timestamp::new(-secs, 0),
        (true, nanos) => Timestamp::new((-secs).checked_sub(1)?, 1_000_000_000 - nanos),
    }
}

fn nanos(fraction: &[u8]) -> Option<u32> {
    let digits = fraction.iter().all(u8::is_ascii_digit);
    let padded = fraction.iter().copied().chain(std::iter::repeat(b'0'));
    digits.then(|| padded.take(9).fold(0, |value, byte| value * 10 + u32::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_header_fields() {
        let check = |bytes: &[u8], expected| assert_eq!(field(bytes), expected, "{bytes:?}");
        check(b"0000644\0", Some(0o644));
        check(b"   644 \0", Some(0o644));
        check(b"00644 \0 ", Some(0o644));
        check(b"\0\0\0\0\0\0\0\0", Some(0));
        check(b"        ", Some(0));
        check(b"8", None);
        check(b"-1", None);
        check(&[0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], Some(1 << 32));
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe], Some(-2));
        check(&[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0], None);
        check(&[0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], None);
    }

    #[test]
    fn reads_pax_times() {
        let check = |text: &str, expected: Option<(i64, u32)>| {
            assert_eq!(time(text.as_bytes()).map(|time| (time.secs(), time.nanos())), expected, "{text}");
        };
        check("0", Some((0, 0)));
        check("1350244992.023960108", Some((1_350_244_992, 23_960_108)));
        check("1.1234567891", Some((1, 123_456_789)));
        check("-1.5", Some((-2, 500_000_000)));
        check("-1", Some((-1, 0)));
        check("1.", Some((1, 0)));
        check(".5", None);
        check("1.x", None);
        check("99999999999999999999", None);
    }
}
