//! A lab, scripts in it, and what they print.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use stockade_lab::{Command, Lab, Settings, Stream, Time};
use stockade_tests::fixtures_dir;

use super::super::report::Row;
use crate::lab::watch::{Round, Seen, Silent};
use crate::setup;

/// Firecracker's small kernel is not at hand; this one is, once `cargo xtask guest-kernel` has built it.
pub const SMALL_KERNEL: &str = "guest-kernel/vmlinux";
/// Debian's.
pub const DEBIAN_KERNEL: &str = "lab/kernel/vmlinux";

/// The emulated machine does some 50 million instructions a second, less when this one is busy.
const TIMEOUT: Duration = Duration::from_secs(1800);

/// A booted lab.
pub struct Session(Lab);

impl Session {
    /// One that counts instructions.
    pub fn exact(memory_mib: u32) -> Result<Self> {
        setup::lab()?;
        Ok(Self(Lab::boot(&crate::lab::exact(memory_mib)?)?))
    }

    /// One with the time of the host, and two processors.
    pub fn real(memory_mib: u32) -> Result<Self> {
        setup::lab()?;
        let exact = crate::lab::exact(memory_mib)?;
        Ok(Self(Lab::boot(&Settings { cpus: 2, time: Time::Real, ..exact })?))
    }

    /// What a script prints; it must succeed, or end with the status of a [`Silent`] guest.
    pub fn output(&mut self, script: &str) -> Result<Vec<u8>> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let code = self.0.run(&Command::new(["sh", "-c", script]), TIMEOUT, |stream, bytes| match stream {
            Stream::Stdout => stdout.extend_from_slice(bytes),
            Stream::Stderr => stderr.extend_from_slice(bytes),
        })?;
        let stderr = String::from_utf8_lossy(&stderr);
        match code {
            0 => Ok(stdout),
            Silent::STATUS => bail!(Silent(stderr.trim().to_owned())),
            _ => bail!("status {code}: {stderr}"),
        }
    }

    /// A script that ends as [`watch`].
    pub fn watch(&mut self, script: &str) -> Result<Seen> {
        serde_json::from_slice(&self.output(script)?).context("what the lab printed")
    }
}

/// The first words of a watched command line; its own words follow.
pub fn watch(options: &str) -> Result<String> {
    let me = std::env::current_exe().context("find this program")?;
    Ok(format!("exec {} lab watch {options} --", me.display()))
}

/// Whether a kernel below the fixtures is there.
pub fn has(kernel: &str) -> bool {
    fixtures_dir().join(kernel).exists()
}

/// An error where the small kernel is not there.
pub fn need_small_kernel() -> Result<()> {
    if !has(SMALL_KERNEL) {
        bail!("this benchmark needs the small kernel: build it with `cargo xtask guest-kernel`");
    }
    Ok(())
}

/// The middle of what all rounds have.
pub fn middle(seen: &Seen, value: impl Fn(&Round) -> f64) -> Result<f64> {
    let mut values: Vec<f64> = seen.rounds.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().context("a round")
}

/// A count as a row has it.
pub fn count(value: u64) -> f64 {
    f64::from(u32::try_from(value).unwrap_or(u32::MAX))
}

/// A row `who: what`.
pub fn row(who: &str, what: &str, value: f64) -> Row {
    Row::single(format!("{who}: {what}"), value)
}
