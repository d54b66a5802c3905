//! Limits: what `--memory` and its kin set, and `update` changes.

use serde::{Deserialize, Serialize};

use super::InvalidOption;

/// Limits of one container; `None` is no limit at create, and "as it is" for `update`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// `--memory` in bytes.
    pub memory_bytes: Option<u64>,
    /// `--memory-swap` in bytes: memory and swap together, -1 for no limit; twice the memory when absent.
    pub memory_swap_bytes: Option<i64>,
    /// `--memory-reservation` in bytes.
    pub memory_reservation_bytes: Option<u64>,
    /// `--memory-swappiness`, 0 to 100.
    pub memory_swappiness: Option<u64>,
    /// `--oom-kill-disable`.
    pub oom_kill_disable: Option<bool>,
    /// `--cpus` in thousand-millionths of a CPU.
    pub nano_cpus: Option<u64>,
    /// `--cpu-shares`.
    pub cpu_shares: Option<u64>,
    /// `--cpu-period` in microseconds.
    pub cpu_period_us: Option<u64>,
    /// `--cpu-quota` in microseconds.
    pub cpu_quota_us: Option<i64>,
    /// `--cpuset-cpus`.
    pub cpuset_cpus: Option<String>,
    /// `--cpuset-mems`.
    pub cpuset_mems: Option<String>,
    /// `--pids-limit`; -1 and 0 for no limit.
    pub pids_limit: Option<i64>,
    /// `--blkio-weight`, 10 to 1000.
    pub blkio_weight: Option<u16>,
}

/// Docker's least memory limit: below it an init can hardly start.
const MEMORY_BYTES_MIN: u64 = 6 << 20;

impl Resources {
    /// Lets the fields that `change` sets replace this one's.
    pub fn merge(&mut self, change: &Self) {
        let change = change.clone();
        self.memory_bytes = change.memory_bytes.or(self.memory_bytes);
        self.memory_swap_bytes = change.memory_swap_bytes.or(self.memory_swap_bytes);
        self.memory_reservation_bytes = change.memory_reservation_bytes.or(self.memory_reservation_bytes);
        self.memory_swappiness = change.memory_swappiness.or(self.memory_swappiness);
        self.oom_kill_disable = change.oom_kill_disable.or(self.oom_kill_disable);
        self.nano_cpus = change.nano_cpus.or(self.nano_cpus);
        self.cpu_shares = change.cpu_shares.or(self.cpu_shares);
        self.cpu_period_us = change.cpu_period_us.or(self.cpu_period_us);
        self.cpu_quota_us = change.cpu_quota_us.or(self.cpu_quota_us);
        self.cpuset_cpus = change.cpuset_cpus.or(self.cpuset_cpus.take());
        self.cpuset_mems = change.cpuset_mems.or(self.cpuset_mems.take());
        self.pids_limit = change.pids_limit.or(self.pids_limit);
        self.blkio_weight = change.blkio_weight.or(self.blkio_weight);
    }

    /// Refuses contradictions, as Docker words them.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        let fail = |text: &str| Err(InvalidOption::new(text));
        let memory = self.memory_bytes.unwrap_or(0);
        if memory > 0 && memory < MEMORY_BYTES_MIN {
            return fail("Minimum memory limit allowed is 6MB");
        }
        match self.memory_swap_bytes {
            Some(swap) if swap > 0 && memory == 0 => {
                return fail("You should always set the Memory limit when using Memoryswap limit, see usage");
            }
            Some(swap) if swap > 0 && u64::try_from(swap).is_ok_and(|swap| swap < memory) => {
                return fail("Minimum memoryswap limit should be larger than memory limit, see usage");
            }
            _ => {}
        }
        let reservation = self.memory_reservation_bytes.unwrap_or(0);
        if reservation > 0 && reservation < MEMORY_BYTES_MIN {
            return fail("Minimum memory reservation allowed is 6MB");
        }
        if memory > 0 && memory < reservation {
            return fail("Minimum memory limit can not be less than memory reservation limit, see usage");
        }
        if self.memory_swappiness.is_some_and(|value| value > 100) {
            return fail("Invalid memory swappiness: the valid range is 0-100");
        }
        self.validate_cpu()?;
        check_list("cpus", self.cpuset_cpus.as_deref().unwrap_or_default())?;
        check_list("mems", self.cpuset_mems.as_deref().unwrap_or_default())?;
        if self.blkio_weight.is_some_and(|weight| weight != 0 && !(10..=1000).contains(&weight)) {
            return fail("Range of blkio weight is from 10 to 1000");
        }
        Ok(())
    }

    fn validate_cpu(&self) -> Result<(), InvalidOption> {
        let fail = |text: &str| Err(InvalidOption::new(text));
        let (period, quota) = (self.cpu_period_us.unwrap_or(0), self.cpu_quota_us.unwrap_or(0));
        check_cpus(self.nano_cpus.unwrap_or(0), cpus_available())?;
        if self.nano_cpus.is_some_and(|cpus| cpus > 0) {
            if period > 0 {
                return fail("Conflicting options: Nano CPUs (--cpus) and CPU Period cannot both be set");
            }
            if quota != 0 {
                return fail("Conflicting options: Nano CPUs (--cpus) and CPU Quota cannot both be set");
            }
        }
        if period > 0 && !(1_000..=1_000_000).contains(&period) {
            return fail("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
        }
        if quota > 0 && quota < 1_000 {
            return fail("CPU cfs quota can not be less than 1ms (i.e. 1000)");
        }
        Ok(())
    }
}

/// Refuses what is no list of numbers and ranges (cpuset(7), "List format").
fn check_list(name: &str, list: &str) -> Result<(), InvalidOption> {
    let number = |text: &str| text.parse::<u32>().ok();
    let valid = |range: &str| match range.split_once('-') {
        Some((first, last)) => number(first).zip(number(last)).is_some_and(|(first, last)| first <= last),
        None => number(range).is_some(),
    };
    match list.is_empty() || list.split(',').all(valid) {
        true => Ok(()),
        false => Err(InvalidOption(format!("Invalid value {list} for cpuset {name}: use numbers and ranges as 0-3,7"))),
    }
}

/// The least that `--cpus` may ask for, a hundredth of a CPU.
const NANO_CPUS_MIN: u64 = 10_000_000;

/// Refuses more CPUs than there are, as Docker does; 0 is no limit.
fn check_cpus(nano_cpus: u64, available: u32) -> Result<(), InvalidOption> {
    match nano_cpus == 0 || (NANO_CPUS_MIN..=u64::from(available) * 1_000_000_000).contains(&nano_cpus) {
        true => Ok(()),
        false => Err(InvalidOption(format!(
            "Range of CPUs is from 0.01 to {available}.00, as there are only {available} CPUs available"
        ))),
    }
}

/// The CPUs that this process may run on. Unlike `available_parallelism`, no quota counts: a quota changes, and what a
/// container is refused should not depend on where its command line ran.
fn cpus_available() -> u32 {
    rustix::thread::sched_getaffinity(None).map_or(u32::MAX, |cpus| cpus.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_within_what_there_is() {
        let check = |nano_cpus, valid: bool| assert_eq!(check_cpus(nano_cpus, 2).is_ok(), valid, "{nano_cpus}");
        check(0, true);
        check(NANO_CPUS_MIN - 1, false);
        check(NANO_CPUS_MIN, true);
        check(2_000_000_000, true);
        check(2_000_000_001, false);
        let error = check_cpus(100_000_000_000, 2).unwrap_err().to_string();
        assert_eq!(error, "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available");
    }

    #[test]
    fn sets_are_lists_of_ranges() {
        let check = |list: &str, valid: bool| assert_eq!(check_list("cpus", list).is_ok(), valid, "{list:?}");
        for list in ["", "0", "0-1,3"] {
            check(list, true);
        }
        for list in ["a", "3-1", "1,,2", "-1", " 1"] {
            check(list, false);
        }
    }

    #[test]
    fn contradictions() {
        let check = |resources: Resources, valid: bool| {
            assert_eq!(resources.validate().is_ok(), valid, "{resources:?}");
        };
        check(Resources::default(), true);
        check(Resources { memory_bytes: Some(64 << 20), ..Default::default() }, true);
        check(Resources { memory_bytes: Some(1 << 20), ..Default::default() }, false);
        check(Resources { memory_swap_bytes: Some(64 << 20), ..Default::default() }, false);
        check(Resources { memory_bytes: Some(64 << 20), memory_swap_bytes: Some(-1), ..Default::default() }, true);
        check(Resources { memory_bytes: Some(64 << 20), memory_swap_bytes: Some(1), ..Default::default() }, false);
        check(Resources { blkio_weight: Some(9), ..Default::default() }, false);
        let reserved = |bytes| Resources {
            memory_bytes: Some(64 << 20),
            memory_reservation_bytes: Some(bytes),
            ..Default::default()
        };
        check(reserved(64 << 20), true);
        check(reserved(65 << 20), false);
        check(reserved(1 << 20), false);
        check(Resources { memory_swappiness: Some(100), ..Default::default() }, true);
        check(Resources { memory_swappiness: Some(101), ..Default::default() }, false);
    }

    #[test]
    fn processor_time() {
        let check = |nano_cpus: u64, cpu_period_us: u64, cpu_quota_us: i64, valid: bool| {
            let resources = Resources {
                nano_cpus: Some(nano_cpus),
                cpu_period_us: Some(cpu_period_us),
                cpu_quota_us: Some(cpu_quota_us),
                ..Default::default()
            };
            assert_eq!(resources.validate().is_ok(), valid, "{resources:?}");
        };
        check(500_000_000, 0, 0, true);
        check(500_000_000, 0, 5_000, false);
        check(500_000_000, 5_000, 0, false);
        check(0, 1_000, 1_000, true);
        check(0, 999, 0, false);
        check(0, 1_000_001, 0, false);
        check(0, 0, 999, false);
        check(0, 0, -1, true);
    }

    #[test]
    fn a_change_replaces_only_what_it_names() {
        let mut limits = Resources { memory_bytes: Some(1), pids_limit: Some(2), ..Default::default() };
        limits.merge(&Resources { pids_limit: Some(3), ..Default::default() });
        assert_eq!(limits, Resources { memory_bytes: Some(1), pids_limit: Some(3), ..Default::default() });
    }
}
