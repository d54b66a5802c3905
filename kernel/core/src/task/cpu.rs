//! How a task wants to be scheduled (sched(7)). The host schedules; this is what is asked for and given back.

/// Scheduling policy, priority and niceness of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduling {
    /// SCHED_OTHER, ...
    pub policy: u32,
    /// 1..=99 for SCHED_FIFO and SCHED_RR, 0 otherwise.
    pub priority: u32,
    /// -20..=19
    pub nice: i32,
    /// SCHED_RESET_ON_FORK
    pub reset_on_fork: bool,
    /// CPUs that it may run on, a bit each.
    pub affinity: u64,
    /// ioprio_set(2)
    pub io_priority: u32,
    /// prctl(PR_SET_TIMERSLACK) in nanoseconds.
    pub timer_slack: u64,
}

impl Default for Scheduling {
    fn default() -> Self {
        Self {
            policy: 0,
            priority: 0,
            nice: 0,
            reset_on_fork: false,
            affinity: u64::MAX,
            io_priority: 0,
            timer_slack: 50_000,
        }
    }
}

impl Scheduling {
    /// SCHED_FIFO
    pub const FIFO: u32 = 1;
    /// SCHED_RR
    pub const ROUND_ROBIN: u32 = 2;

    /// What a child gets.
    pub fn inherited(self) -> Self {
        if !self.reset_on_fork {
            return self;
        }
        let realtime = self.is_realtime();
        Self {
            policy: if realtime { 0 } else { self.policy },
            priority: 0,
            nice: if realtime { 0 } else { self.nice.max(0) },
            reset_on_fork: false,
            ..self
        }
    }

    /// Whether it runs before all ordinary tasks.
    pub fn is_realtime(&self) -> bool {
        matches!(self.policy, Self::FIFO | Self::ROUND_ROBIN)
    }
}
