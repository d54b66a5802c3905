//! What the guest boots: a kernel, perhaps an initial RAM disk, and a command line.

use std::fs::File;
use std::io;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The command line of a boot source that names none: reboot ends the VM, a panic too, and devices that the machine
/// lacks are not looked for.
pub const DEFAULT_COMMAND_LINE: &str = "reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux \
                                        i8042.dumbkbd swiotlb=noforce";

/// What Linux on x86-64 takes (`COMMAND_LINE_SIZE`), the ending zero included.
pub const MAX_COMMAND_LINE_BYTES: usize = 2048;

/// The body of `PUT /boot-source`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BootSource {
    /// The kernel: vmlinux or bzImage.
    pub kernel_image_path: String,
    /// The initial RAM disk.
    pub initrd_path: Option<String>,
    /// The command line; [`DEFAULT_COMMAND_LINE`] where it is absent.
    pub boot_args: Option<String>,
}

impl BootSource {
    /// The command line that the guest gets, before the machine adds its own.
    #[must_use]
    pub fn command_line(&self) -> &str {
        self.boot_args.as_deref().unwrap_or(DEFAULT_COMMAND_LINE)
    }

    /// Checks that the files can be opened and that the command line fits.
    ///
    /// # Errors
    /// See the variants of [`BootSourceError`].
    pub fn check(&self) -> Result<(), BootSourceError> {
        File::open(&self.kernel_image_path).map_err(BootSourceError::KernelPath)?;
        if let Some(initrd) = &self.initrd_path {
            File::open(initrd).map_err(BootSourceError::InitrdPath)?;
        }
        self.check_words()
    }

    /// The same for files that are given open.
    pub(super) fn check_words(&self) -> Result<(), BootSourceError> {
        check_command_line(self.command_line())
    }
}

fn check_command_line(line: &str) -> Result<(), BootSourceError> {
    if !line.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(BootSourceError::CommandLine("String contains a non-printable ASCII character."));
    }
    if line.len() >= MAX_COMMAND_LINE_BYTES {
        return Err(BootSourceError::CommandLine("Inserting string would make command line too long."));
    }
    Ok(())
}

/// Why a boot source is refused.
#[derive(Debug, Error)]
pub enum BootSourceError {
    /// No kernel there.
    #[error("The kernel file cannot be opened: {0}")]
    KernelPath(io::Error),
    /// No initial RAM disk there.
    #[error("The initrd file cannot be opened due to invalid path or invalid permissions. {0}")]
    InitrdPath(io::Error),
    /// The command line has other than printable ASCII, or is too long.
    #[error("The kernel command line is invalid: {0}")]
    CommandLine(&'static str),
}
