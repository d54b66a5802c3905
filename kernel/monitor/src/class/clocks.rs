//! What a sandbox's clocks show when it begins: nothing, or what the spec's `timeOffsets` add to that.

use std::time::Duration;

use oci_spec::runtime::Spec;
use stockade_native::clocks::{Clock, Start, offsets_of};
use stockade_sandbox::{Error, Result};

/// For a sandbox whose first container has this spec.
pub(super) fn start(spec: &Spec) -> Result<Start> {
    let mut start = Start::default();
    for (clock, (seconds, nanoseconds)) in spec.linux().as_ref().map_or(Ok(Vec::new()), offsets_of)? {
        let time = u64::try_from(seconds).ok().zip(u32::try_from(nanoseconds).ok());
        let (seconds, nanoseconds) = time.ok_or_else(|| {
            Error::InvalidConfig("timeOffsets: a sandbox's clocks begin at 0 and cannot show less".to_owned())
        })?;
        let shown = match clock {
            Clock::Monotonic => &mut start.monotonic,
            Clock::Boottime => &mut start.boottime,
        };
        *shown = Duration::new(seconds, nanoseconds);
    }
    Ok(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start_of(offsets: &str) -> Result<Start> {
        let linux = format!(r#"{{"namespaces": [{{"type": "time"}}], "timeOffsets": {offsets}}}"#);
        start(&serde_json::from_str(&format!(r#"{{"ociVersion": "1.2.0", "linux": {linux}}}"#)).expect("a spec"))
    }

    #[test]
    fn offsets_are_added_to_nothing() {
        assert_eq!(start_of("{}").expect("none"), Start::default());
        let moved = start_of(r#"{"monotonic": {"secs": 5}, "boottime": {"secs": 7, "nanosecs": 9}}"#);
        let expected = Start { monotonic: Duration::from_secs(5), boottime: Duration::new(7, 9) };
        assert_eq!(moved.expect("two"), expected);
        let before = start_of(r#"{"monotonic": {"secs": -1}}"#).expect_err("before the beginning").to_string();
        assert!(before.contains("cannot show less"), "{before}");
    }
}
