//! The measured guest: a kernel and a first process that says that it runs, in a folder that the lab reads.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use stockade_tests::workspace_root;
use stockade_vm_kernel::cpio::Archive;
use tempfile::TempDir;

use crate::sh;

/// Memory of all measured guests.
pub const MEMORY_MIB: u64 = 128;
/// What the first process prints.
pub const WORD: &str = "booted";
/// What `stockade vmm --boot-timer` prints when the first process stores to the boot timer, before that word.
pub const TIMER_WORD: &str = "Guest-boot-time";

/// What the talking first process prints for ever.
pub const ALIVE: &str = "alive";

/// A folder with the initial RAM disk and configurations.
pub struct Guests {
    dir: TempDir,
}

impl Guests {
    /// Builds the first process and its archive, and the talking one with its own.
    pub fn prepare() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        build(dir.path(), &[], "initrd")?;
        build(dir.path(), &["-DALIVE"], "initrd-alive")?;
        Ok(Self { dir })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A configuration for `stockade vmm` that boots `kernel` as the lab's folder has it.
    pub fn configure(&self, name: &str, kernel: &str, line: &str) -> Result<PathBuf> {
        self.configure_with(name, kernel, line, MEMORY_MIB)
    }

    /// The same with other memory.
    pub fn configure_with(&self, name: &str, kernel: &str, line: &str, memory_mib: u64) -> Result<PathBuf> {
        self.write_config(name, &config(kernel, line, memory_mib))
    }

    /// A guest that reads and writes a disk and a network card, as `transfer.cpio` and `transfer.json`.
    pub fn prepare_transfers(&self, line: &str) -> Result<()> {
        let (source, init) = (workspace_root().join("xtask/src/bench/vm/transfer.c"), self.dir.path().join("transfer"));
        sh::check(sh::cmd("gcc", ["-Wall", "-Werror", "-O2", "-static", "-o"]).arg(&init).arg(source))?;
        fs::write(
            self.dir.path().join("transfer.cpio"),
            archive(&fs::read(&init).context("read the first process")?)?,
        )?;
        let mut config = config("vmlinux", line, MEMORY_MIB);
        config["drives"] = json!([{ "drive_id": "disk", "path_on_host": "disk", "is_root_device": false }]);
        config["network-interfaces"] = json!([{ "iface_id": "eth0", "host_dev_name": "tap9" }]);
        self.write_config("transfer", &config).map(drop)
    }

    fn write_config(&self, name: &str, config: &Value) -> Result<PathBuf> {
        let path = self.dir.path().join(format!("{name}.json"));
        fs::write(&path, serde_json::to_vec(config)?)?;
        Ok(path)
    }
}

fn build(dir: &Path, more: &[&str], name: &str) -> Result<()> {
    let (source, init) = (workspace_root().join("xtask/src/bench/vm/init.c"), dir.join("init"));
    let flags = ["-Wall", "-Werror", "-Os", "-static", "-nostdlib", "-fno-stack-protector"];
    sh::check(sh::cmd("gcc", flags).args(more).arg("-o").arg(&init).arg(source))?;
    let archive = archive(&fs::read(&init).context("read the first process")?)?;
    Ok(fs::write(dir.join(name), archive)?)
}

fn archive(init: &[u8]) -> Result<Vec<u8>> {
    let mut archive = Archive::new(Vec::new());
    archive.directory("dev")?;
    archive.device("dev/console", 5, 1)?;
    archive.device("dev/mem", 1, 1)?;
    archive.file("init", 0o755, init)?;
    Ok(archive.finish()?)
}

fn config(kernel: &str, line: &str, memory_mib: u64) -> Value {
    json!({
        "boot-source": { "kernel_image_path": kernel, "initrd_path": "initrd", "boot_args": line },
        "machine-config": { "vcpu_count": 1, "mem_size_mib": memory_mib },
        "drives": [],
    })
}
