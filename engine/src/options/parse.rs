//! The small grammars that several flags share.

/// A flag's value that does not parse; the text says what would.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidOption(pub String);

impl InvalidOption {
    /// Wraps a text.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Bytes from `64m`, `1.5g`, `512kb`, `4096`, `1GiB` (Docker's units: powers of 1024).
pub fn parse_size(text: &str) -> Result<u64, InvalidOption> {
    let invalid = || InvalidOption(format!("invalid size: {text:?}: use a number with b, k, m, g or t"));
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let shift = unit_shift(unit.trim()).ok_or_else(invalid)?;
    scale(number, shift).ok_or_else(invalid)
}

/// The power of two of a unit.
fn unit_shift(unit: &str) -> Option<u32> {
    let prefix = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(unit);
    match prefix {
        "" => Some(0),
        "k" => Some(10),
        "m" => Some(20),
        "g" => Some(30),
        "t" => Some(40),
        "p" => Some(50),
        _ => None,
    }
}

/// `number` (decimals allowed) times two to the power `shift`, exactly, rounded down.
fn scale(number: &str, shift: u32) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 15 {
        return None;
    }
    let unit = 1u128 << shift;
    let tenths = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let total = whole.parse::<u128>().ok()?.checked_mul(unit)?.checked_add(fraction * unit / tenths)?;
    u64::try_from(total).ok()
}

/// Thousand-millionths of a CPU from `--cpus 1.5`.
pub fn parse_cpus(text: &str) -> Result<u64, InvalidOption> {
    let invalid = || InvalidOption(format!("invalid number of CPUs: {text:?}: use a decimal number such as 1.5"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 {
        return Err(InvalidOption(format!("invalid number of CPUs: {text:?}: at most nine decimals")));
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
    let nanos: u64 = format!("{fraction:0<9}").parse().map_err(|_| invalid())?;
    whole.checked_mul(1_000_000_000).and_then(|w| w.checked_add(nanos)).ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let check = |text: &str, bytes: Option<u64>| assert_eq!(parse_size(text).ok(), bytes, "{text:?}");
        check("0", Some(0));
        check("4096", Some(4096));
        check("64m", Some(64 << 20));
        check("64MB", Some(64 << 20));
        check("1GiB", Some(1 << 30));
        check("1.5g", Some(3 << 29));
        check("10 k", Some(10240));
        for bad in ["", "m", "-1", "1x", "1.2.3", "99999999999999999999", "1e3"] {
            check(bad, None);
        }
    }

    #[test]
    fn cpus() {
        let check = |text: &str, nanos: Option<u64>| assert_eq!(parse_cpus(text).ok(), nanos, "{text:?}");
        check("1", Some(1_000_000_000));
        check("0.5", Some(500_000_000));
        check(".25", Some(250_000_000));
        check("1.000000001", Some(1_000_000_001));
        for bad in ["x", "-1", "1.0000000001", "1.x"] {
            check(bad, None);
        }
    }
}
