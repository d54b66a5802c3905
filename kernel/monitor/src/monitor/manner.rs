//! What a spec says of how processes are scheduled, played to and chosen when memory runs out.

use oci_spec::runtime::{LinuxPersonality, Process as Spec};
use stockade_kernel::Kernel;
use stockade_kernel::task::{Manner, Scheduling};
use stockade_native::personality;
use stockade_native::schedule::{attributes, cpus, io_priority};
use stockade_sandbox::{Error, Result};

/// SCHED_DEADLINE
const DEADLINE: u32 = 6;
/// SCHED_FLAG_RESET_ON_FORK
const RESET_ON_FORK: u64 = 1;
/// How far `oomScoreAdj` goes either way (proc_pid_oom_score_adj(5)).
const OOM_SCORE_MAX: i32 = 1000;

/// Of a container on a sandbox that whoever started it made so nice.
pub(super) fn of_container(nice: i32, personality: Option<&LinuxPersonality>) -> Result<Manner> {
    let scheduling = Scheduling { nice, ..Scheduling::default() };
    let personality = personality.map_or(Ok(0), personality::domain)?;
    Ok(Manner { scheduling, personality, ..Manner::default() })
}

/// Of a process in it.
pub(super) fn of_process(container: Manner, spec: &Spec) -> Result<Manner> {
    let mut manner = container;
    manner.oom_score_adj = spec.oom_score_adj().unwrap_or(0);
    if !(-OOM_SCORE_MAX..=OOM_SCORE_MAX).contains(&manner.oom_score_adj) {
        return Err(invalid("oomScoreAdj must be -1000 to 1000"));
    }
    if let Some(wanted) = spec.io_priority() {
        manner.scheduling.io_priority = io_priority(wanted)?.unsigned_abs();
    }
    let Some(wanted) = spec.scheduler() else { return Ok(manner) };
    let wanted = attributes(wanted)?;
    if wanted.policy == DEADLINE || wanted.flags & !RESET_ON_FORK != 0 {
        return Err(invalid("scheduler: class kernel has no SCHED_DEADLINE, and no flags but SCHED_RESET_ON_FORK"));
    }
    manner.scheduling.policy = wanted.policy;
    manner.scheduling.reset_on_fork = wanted.flags & RESET_ON_FORK != 0;
    manner.scheduling.nice = wanted.nice.clamp(-20, 19);
    manner.scheduling.priority = wanted.priority;
    let expected = if manner.scheduling.is_realtime() { 1..=99 } else { 0..=0 };
    if !expected.contains(&wanted.priority) {
        return Err(invalid("scheduler: priority must be 1 to 99 for SCHED_FIFO and SCHED_RR, and 0 for others"));
    }
    Ok(manner)
}

/// Of one that joins a container: its `execCPUAffinity` counts the sandbox's CPUs.
pub(super) fn of_joining(container: Manner, spec: &Spec, kernel: &Kernel) -> Result<Manner> {
    let mut manner = of_process(container, spec)?;
    let Some(wanted) = spec.exec_cpu_affinity() else { return Ok(manner) };
    for list in [wanted.initial(), wanted.cpu_affinity_final()].into_iter().flatten().filter(|list| !list.is_empty()) {
        let wanted = cpus(list)?;
        let there = u64::from(kernel.cpus()).min(64);
        let mask = (0..there).filter(|cpu| usize::try_from(*cpu).is_ok_and(|cpu| wanted.is_set(cpu)));
        manner.scheduling.affinity = mask.fold(0, |mask, cpu| mask | 1 << cpu);
        if manner.scheduling.affinity == 0 {
            return Err(invalid(&format!("execCPUAffinity {list:?}: the sandbox's CPUs are 0 to {}", there - 1)));
        }
    }
    Ok(manner)
}

fn invalid(what: &str) -> Error {
    Error::InvalidConfig(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Manner> {
        let nicer = of_container(5, None).expect("nothing is asked for");
        of_process(
            nicer,
            &serde_json::from_str(&format!(r#"{{"cwd": "/", "user": {{"uid": 0, "gid": 0}}, {text}}}"#))
                .expect("a process"),
        )
    }

    #[test]
    fn what_is_asked_for_is_had_or_refused() {
        let plain = of(r#""args": []"#).expect("nothing");
        assert_eq!((plain.scheduling.nice, plain.oom_score_adj, plain.personality), (5, 0, 0));
        let all = r#""oomScoreAdj": 300, "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 7},
            "scheduler": {"policy": "SCHED_FIFO", "priority": 9, "flags": ["SCHED_RESET_ON_FORK"]}"#;
        let Manner { scheduling, oom_score_adj, .. } = of(all).expect("a manner");
        assert_eq!((scheduling.policy, scheduling.priority, scheduling.reset_on_fork), (1, 9, true));
        assert_eq!((scheduling.nice, scheduling.io_priority, oom_score_adj), (0, 3 << 13 | 7, 300));
        let check = |text: &str, expected: &str| {
            let said = of(text).expect_err("refused").to_string();
            assert!(said.contains(expected), "{said}");
        };
        check(r#""oomScoreAdj": 1001"#, "-1000 to 1000");
        check(r#""scheduler": {"policy": "SCHED_DEADLINE"}"#, "SCHED_DEADLINE");
        check(r#""scheduler": {"policy": "SCHED_RR"}"#, "1 to 99");
        check(r#""scheduler": {"policy": "SCHED_OTHER", "priority": 3}"#, "0 for others");
        check(r#""ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 8}"#, "0 to 7");
    }
}
