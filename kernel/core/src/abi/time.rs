//! Times.

use core::time::Duration;

use super::{Abi, Decoder, Encoder};
use crate::Errno;

/// `struct timespec`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timespec {
    /// Seconds.
    pub seconds: i64,
    /// And nanoseconds.
    pub nanoseconds: i64,
}

impl Timespec {
    /// As a duration; `EINVAL` when it is negative or has a second or more of nanoseconds.
    pub fn duration(self) -> Result<Duration, Errno> {
        let nanoseconds = u32::try_from(self.nanoseconds).map_err(|_| Errno::EINVAL)?;
        let seconds = u64::try_from(self.seconds).map_err(|_| Errno::EINVAL)?;
        if nanoseconds < 1_000_000_000 { Ok(Duration::new(seconds, nanoseconds)) } else { Err(Errno::EINVAL) }
    }
}

impl From<Duration> for Timespec {
    fn from(time: Duration) -> Self {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        Self { seconds, nanoseconds: time.subsec_nanos().into() }
    }
}

impl Abi for Timespec {
    const LEN: usize = 16;

    fn decode(from: &mut Decoder<'_>) -> Self {
        Self { seconds: from.take(), nanoseconds: from.take() }
    }

    fn encode(&self, to: &mut Encoder) {
        to.put(self.seconds).put(self.nanoseconds);
    }
}

/// `struct timeval`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeval {
    /// Seconds.
    pub seconds: i64,
    /// And microseconds.
    pub microseconds: i64,
}

impl Timeval {
    /// As a duration; `EINVAL` when it is negative or has a second or more of microseconds.
    pub fn duration(self) -> Result<Duration, Errno> {
        let nanoseconds = self.microseconds.checked_mul(1000).ok_or(Errno::EINVAL)?;
        Timespec { seconds: self.seconds, nanoseconds }.duration()
    }
}

impl From<Duration> for Timeval {
    fn from(time: Duration) -> Self {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        Self { seconds, microseconds: time.subsec_micros().into() }
    }
}

impl Abi for Timeval {
    const LEN: usize = 16;

    fn decode(from: &mut Decoder<'_>) -> Self {
        Self { seconds: from.take(), microseconds: from.take() }
    }

    fn encode(&self, to: &mut Encoder) {
        to.put(self.seconds).put(self.microseconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_range_times_are_refused() {
        let time = |seconds, nanoseconds| Timespec { seconds, nanoseconds }.duration();
        assert_eq!(time(1, 2), Ok(Duration::new(1, 2)));
        assert_eq!(time(-1, 0), Err(Errno::EINVAL));
        assert_eq!(time(0, -1), Err(Errno::EINVAL));
        assert_eq!(time(0, 1_000_000_000), Err(Errno::EINVAL));
        assert_eq!(Timeval { seconds: 0, microseconds: i64::MAX }.duration(), Err(Errno::EINVAL));
    }
}
