//! How many tasks the sandbox can have, so that its own limit is met before one of the host's: the monitor's
//! descriptors, and what it and its stubs may have of the host's threads.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A process has a pidfd, watched by a copy; each thread has a listener.
const DESCRIPTORS_EACH: u64 = 3;
/// For streams, layers, connections.
const DESCRIPTORS_SPARE: u64 = 256;
/// A process has a spawner; each thread has a host thread and a receiver.
const THREADS_EACH: u64 = 3;
/// The monitor's own, and those that wait to be used again.
const THREADS_SPARE: u64 = 256;

/// Takes all descriptors that the monitor can have, limits its user's threads to `threads_max` (every sandbox has a
/// user of its own), and says how many tasks that is good for.
pub(super) fn claim(threads_max: u64) -> Result<usize, String> {
    let descriptors = raise_descriptors()?;
    let limit = Rlimit { current: Some(threads_max), maximum: Some(threads_max) };
    setrlimit(Resource::Nproc, limit).map_err(|errno| format!("limit threads to {threads_max}: {errno}"))?;
    Ok(tasks(descriptors, threads_max))
}

fn raise_descriptors() -> Result<u64, String> {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })
        .map_err(|errno| format!("raise the limit of descriptors to {most:?}: {errno}"))?;
    Ok(most.unwrap_or(u64::MAX))
}

fn tasks(descriptors: u64, threads: u64) -> usize {
    let by_descriptors = descriptors.saturating_sub(DESCRIPTORS_SPARE) / DESCRIPTORS_EACH;
    let by_threads = threads.saturating_sub(THREADS_SPARE) / THREADS_EACH;
    usize::try_from(by_descriptors.min(by_threads)).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scarcer_of_both_counts() {
        assert_eq!([tasks(1024, 100_000), tasks(1 << 20, 8192), tasks(10, 10)], [256, 2645, 1]);
    }
}
