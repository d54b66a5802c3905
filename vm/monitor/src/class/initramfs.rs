//! What a guest's kernel starts from: its drivers where they are modules, and the agent as its first process.
//!
//! The archive is made anew for each machine, in memory: it costs a copy of the agent, and nothing has to be kept or
//! can be stale.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, memfd_create};
use stockade_sandbox::{Error, Result};
use stockade_vm_kernel::Kernel;
use stockade_vm_kernel::cpio::Archive;

use super::lacking;

/// The archive for a kernel, open.
pub(super) fn make(kernel: &Kernel, agents: &[PathBuf]) -> Result<File> {
    let agent = find(agents)?;
    let failed = |error| Error::os(format!("make an initramfs of {}", agent.display()), error);
    let program = std::fs::read(&agent).map_err(failed)?;
    let modules = kernel.modules.as_deref().map(open).transpose()?;
    fill(modules, &program).map_err(failed)
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| Error::os(format!("open {}", path.display()), error))
}

/// The agent's program.
pub(super) fn find(agents: &[PathBuf]) -> Result<PathBuf> {
    agents.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        let places: Vec<String> = agents.iter().map(|path| path.display().to_string()).collect();
        let why = format!("its program is at none of {}: install it beside this one", places.join(", "));
        lacking("start the guest's agent", why)
    })
}

/// Archives follow each other; a file in a later one wins (Documentation/driver-api/early-userspace/
/// buffer-format.rst).
fn fill(modules: Option<File>, agent: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("initramfs", MemfdFlags::CLOEXEC)?);
    if let Some(mut modules) = modules {
        io::copy(&mut modules, &mut file)?;
    }
    let mut archive = Archive::new(&mut file);
    archive.directory("dev")?;
    archive.device("dev/console", 5, 1)?;
    archive.device("dev/null", 1, 3)?;
    archive.file("init", 0o755, agent)?;
    archive.finish()?.flush()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    #[test]
    fn the_agent_is_the_first_process() {
        let mut modules = tempfile::tempfile().expect("file");
        modules.write_all(b"modules0").expect("write");
        modules.rewind().expect("rewind");
        let mut file = fill(Some(modules), b"agent").expect("an archive");
        file.rewind().expect("rewind");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("read");
        assert!(bytes.starts_with(b"modules0070701"));
        let has = |text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
        assert!(has(b"init\0") && has(b"agent") && has(b"TRAILER!!!"));
    }

    #[test]
    fn a_missing_agent_is_named_with_its_places() {
        let places = [PathBuf::from("/nowhere/stockade-agent"), PathBuf::from("/else/stockade-agent")];
        let error = find(&places).expect_err("it is not there").to_string();
        assert!(error.contains("/nowhere/stockade-agent, /else/stockade-agent"), "{error}");
    }
}
