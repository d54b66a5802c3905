//! Load averages (getloadavg(3)), from the CPU time that was used.
//!
//! Linux looks every five seconds at how many tasks run. Here nobody wakes for that: whoever asks gets the average that
//! the time used since the last question makes, as if it had been used evenly. So is the time that threads waited for a
//! CPU, as far as they still live.

use core::time::Duration;

use crate::Kernel;
use crate::platform::HostClock;

/// Fixed-point numbers with this many bits behind the point (FSHIFT of Linux).
const SHIFT: u32 = 11;
const ONE: u64 = 1 << SHIFT;
/// How much of each average is left after a period: e to the minus 5 / 60, 300, 900 (EXP_1, EXP_5, EXP_15).
const LEFT: [u64; 3] = [1884, 2014, 2037];
const PERIOD: Duration = Duration::from_secs(5);

/// Averages over 1, 5 and 15 minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadAverages([u64; 3]);

/// The averages, when they were made, and what time had been spent by then.
#[derive(Debug, Default)]
pub(crate) struct Load {
    averages: LoadAverages,
    at: Option<(Duration, Spent)>,
}

/// Time of all threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Spent {
    /// On a CPU.
    used: Duration,
    /// Waiting for one.
    waited: Duration,
}

impl Spent {
    fn since(self, before: Self) -> Duration {
        self.used.saturating_sub(before.used) + self.waited.saturating_sub(before.waited)
    }
}

impl LoadAverages {
    /// Whole parts, and hundredths.
    pub fn hundredths(self) -> [(u64, u64); 3] {
        self.0.map(|value| {
            let rounded = value + ONE / 200;
            (rounded >> SHIFT, ((rounded & (ONE - 1)) * 100) >> SHIFT)
        })
    }

    /// As sysinfo(2) has them, with 16 bits behind the point.
    pub fn for_sysinfo(self) -> [u64; 3] {
        self.0.map(|value| value << (16 - SHIFT))
    }
}

impl Load {
    /// Whether [`Self::update`] would change anything.
    fn is_due(&self, now: Duration) -> bool {
        self.at.is_none_or(|(at, _)| now.saturating_sub(at) >= PERIOD)
    }

    /// Takes in what was spent by now, at the earliest a period after the last time.
    fn update(&mut self, now: Duration, spent: Spent) -> LoadAverages {
        let (at, before) = *self.at.get_or_insert((now, spent));
        let passed = now.saturating_sub(at);
        let periods = u32::try_from(passed.as_nanos() / PERIOD.as_nanos()).unwrap_or(u32::MAX);
        if periods == 0 {
            return self.averages;
        }
        let running = spent.since(before).as_nanos() * u128::from(ONE) / passed.as_nanos();
        let running = u64::try_from(running).unwrap_or(u64::MAX).min(ONE << 16);
        for (average, left) in self.averages.0.iter_mut().zip(LEFT) {
            let left = power(left, periods);
            *average = (*average * left + running * (ONE - left)) >> SHIFT;
        }
        self.at = Some((now, Spent { used: spent.used.max(before.used), waited: spent.waited }));
        self.averages
    }
}

/// A fixed-point number between 0 and 1 to a power.
fn power(mut base: u64, mut exponent: u32) -> u64 {
    let mut result = ONE;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = (result * base + ONE / 2) >> SHIFT;
        }
        base = (base * base + ONE / 2) >> SHIFT;
        exponent >>= 1;
    }
    result
}

impl Kernel {
    /// How busy the sandbox was.
    pub fn load_averages(&self) -> LoadAverages {
        let now = self.machine().now(HostClock::Monotonic);
        let averages = {
            let load = self.load().lock();
            (!load.is_due(now)).then_some(load.averages)
        };
        averages.unwrap_or_else(|| {
            let spent = self.spent();
            self.load().lock().update(now, spent)
        })
    }

    fn spent(&self) -> Spent {
        let mut spent = Spent::default();
        for process in self.processes() {
            spent.used += process.cpu_total() + process.children_cpu_time().total();
            spent.waited += process.tasks().iter().map(|task| task.delay()).sum::<Duration>();
        }
        spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(steps: &[(u64, u64)]) -> [(u64, u64); 3] {
        let mut load = Load::default();
        load.update(Duration::ZERO, Spent::default());
        for (now, used) in steps {
            let spent = Spent { used: Duration::from_secs(*used), waited: Duration::ZERO };
            load.update(Duration::from_secs(*now), spent);
        }
        load.averages.hundredths()
    }

    #[test]
    fn what_waits_for_a_cpu_counts_as_what_runs() {
        let seconds = Duration::from_secs;
        let mut load = Load::default();
        load.update(Duration::ZERO, Spent { used: seconds(9), waited: seconds(100) });
        assert!(!load.is_due(seconds(4)) && load.is_due(seconds(5)));
        load.update(seconds(3600), Spent { used: seconds(3609), waited: seconds(3700) });
        assert_eq!(load.averages.hundredths()[0], (2, 0));
        // Threads that ended take what they waited with them.
        load.update(seconds(7200), Spent { used: seconds(7209), waited: seconds(50) });
        assert_eq!(load.averages.hundredths()[0], (1, 0));
    }

    #[test]
    fn averages_follow_what_is_used() {
        assert_eq!(after(&[(4, 8)]), [(0, 0); 3]);
        let [one, five, fifteen] = after(&[(60, 120)]);
        assert!(((1, 20)..=(1, 30)).contains(&one), "{one:?}");
        assert!(((0, 33)..=(0, 39)).contains(&five) && fifteen < five, "{five:?} {fifteen:?}");
        assert_eq!(after(&[(3600, 7200)])[0], (2, 0));
        assert_eq!(after(&[(3600, 7200), (7200, 7200)])[0], (0, 0));
    }

    #[test]
    fn sysinfo_has_more_bits() {
        assert_eq!(LoadAverages([ONE, 0, ONE / 2]).for_sysinfo(), [1 << 16, 0, 1 << 15]);
    }
}
