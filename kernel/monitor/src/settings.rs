//! What a monitor is told of its host when it starts, as words of its command line.

use std::fs;

use rustix::process::getpriority_process;
use stockade_kernel_platform::TrapPath;
use stockade_sandbox::{Error, Result};

/// Names a variant of the trap path that is older than the host's best, to test what older hosts would do.
const PATH_VARIABLE: &str = "STOCKADE_TRAP_PATH";
/// What of the host's processes and threads one sandbox can have.
const SHARE: u64 = 4;
/// PID_MAX_DEFAULT of Linux, where /proc does not say.
const PROCESSES_DEFAULT: u64 = 32_768;

/// The settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Host processes and threads of the whole sandbox, monitor and stubs.
    pub threads_max: u64,
    /// As who starts it is (nice(2)).
    pub nice: i32,
    /// The trap path, unless it is to be the host's best.
    pub path: Option<TrapPath>,
}

impl Settings {
    /// From the host that this process sees, and its environment.
    pub(crate) fn of_host() -> Result<Self> {
        let path = std::env::var(PATH_VARIABLE).ok().map(|name| parse_path(&name)).transpose()?;
        let all = ["pid_max", "threads-max"].map(kernel_number).into_iter().min().unwrap_or(PROCESSES_DEFAULT);
        let nice = getpriority_process(None).map_err(|errno| Error::os("read the own niceness", errno))?;
        Ok(Self { threads_max: all / SHARE, nice, path })
    }

    /// As words.
    pub(crate) fn words(self) -> Vec<String> {
        let path = self.path.map(|path| path.name().to_owned());
        [self.threads_max.to_string(), self.nice.to_string()].into_iter().chain(path).collect()
    }

    /// Back.
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let [threads, nice, path @ ..] = words else {
            return Err(Error::Other("the monitor was told nothing".into()));
        };
        let threads_max = threads.parse().map_err(|_| Error::Other(format!("{threads:?} is no number of threads")))?;
        let nice = nice.parse().map_err(|_| Error::Other(format!("{nice:?} is no niceness")))?;
        Ok(Self { threads_max, nice, path: path.first().map(|name| parse_path(name)).transpose()? })
    }
}

fn parse_path(name: &str) -> Result<TrapPath> {
    TrapPath::from_name(name).ok_or_else(|| {
        Error::Other(format!("{PATH_VARIABLE}: {name:?} is no trap path: use interruptible, pinned or sync"))
    })
}

fn kernel_number(name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
    text.trim().parse().unwrap_or(PROCESSES_DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        for path in [None, Some(TrapPath::Interruptible), Some(TrapPath::Pinned), Some(TrapPath::Sync)] {
            let settings = Settings { threads_max: 8192, nice: -3, path };
            assert_eq!(Settings::parse(&settings.words()).expect("words of its own"), settings);
        }
        for words in ["", "5", "many 0", "5 very", "5 0 fast"] {
            let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            assert!(Settings::parse(&words).is_err(), "{words:?}");
        }
        assert!(Settings::of_host().expect("no variable is set").threads_max >= 1000);
    }
}
