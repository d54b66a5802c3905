//! What a machine gets from its owner beside its configuration: files that are open, because the process that it runs
//! in cannot open any, and what a configuration does not say.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::StartError;
use crate::config::{DriveConfig, VsockConfig};
use crate::devices::Announce;
use crate::devices::virtio::block::{Access, Disk};
use crate::devices::virtio::fs::Fs;
use crate::devices::virtio::net::Tap;
use crate::devices::virtio::vsock::{Channel, Vsock};
use crate::devices::virtio::{Empty, Served};
use crate::hypervisor::kvm::Kvm;
use crate::mmds::SharedMmds;

/// What is given, by the names that the configuration has. What is not given is opened by these, as paths.
#[derive(Debug, Default)]
pub struct Files {
    kvm: Option<File>,
    files: BTreeMap<String, Vec<File>>,
    taps: BTreeMap<String, File>,
    vsock: Option<Channel>,
    metadata: Option<SharedMmds>,
    keyboard: bool,
    announce: Announce,
    shares: Vec<(String, UnixStream)>,
    empty_slots: Vec<Served>,
}

impl Files {
    /// The hypervisor's device (`crate::hypervisor::kvm::device`).
    pub fn give_kvm(&mut self, device: File) {
        self.kvm = Some(device);
    }

    /// The file of a boot source, or of a drive.
    pub fn give(&mut self, name: &str, file: File) {
        self.files.insert(name.to_owned(), vec![file]);
    }

    /// The files of a drive that may only be read, one after the other ([`Disk::concatenated`]).
    pub fn give_parts(&mut self, name: &str, files: Vec<File>) {
        self.files.insert(name.to_owned(), files);
    }

    /// The tap of a network interface, by the interface's name on the host: opened without waiting, frames with a
    /// virtio header of 12 bytes.
    pub fn give_tap(&mut self, name: &str, tap: File) {
        self.taps.insert(name.to_owned(), tap);
    }

    /// The host's side of the vsock device.
    pub fn give_vsock(&mut self, channel: Channel) {
        self.vsock = Some(channel);
    }

    /// What the metadata service tells guests, where the configuration has one.
    pub fn give_metadata(&mut self, mmds: SharedMmds) {
        self.metadata = Some(mmds);
    }

    /// A keyboard, for [`super::Machine::press_ctrl_alt_delete`]. A guest that finds one spends some hundred exits on
    /// it; without, its controller only resets the machine.
    pub fn give_keyboard(&mut self) {
        self.keyboard = true;
    }

    /// The log shall hear of the guest's boot.
    pub fn announce_boot(&mut self) {
        self.announce = Announce::Yes;
    }

    pub(super) fn metadata(&self) -> Option<SharedMmds> {
        self.metadata.clone()
    }

    pub(super) fn has_keyboard(&self) -> bool {
        self.keyboard
    }

    pub(super) fn announce(&self) -> Announce {
        self.announce
    }

    /// A connection to a file server (vhost-user), whose directory the guest has as a share with this tag. Guest memory
    /// is then shared with the server.
    pub fn give_share(&mut self, tag: &str, server: UnixStream) {
        self.shares.push((tag.to_owned(), server));
    }

    /// Leaves slots empty for so many disks that come while the machine runs ([`super::Machine::plug_disk`]), or
    /// for fewer where its other devices leave no room. A guest spends three exits on each.
    pub fn leave_slots(&mut self, disks: usize) {
        self.empty_slots = vec![Served::Apart; disks];
    }

    /// Place holders by their names.
    pub(super) fn empty_slots(&self) -> impl Iterator<Item = (String, Empty)> {
        let slots = self.empty_slots.iter().enumerate();
        slots.map(|(number, served)| (format!("slot {number}"), Empty::kept_for(*served)))
    }

    pub(super) fn has_shares(&self) -> bool {
        !self.shares.is_empty()
    }

    /// A device for each share, by its name.
    pub(super) fn shares(&mut self) -> Result<Vec<(String, Fs)>, StartError> {
        let device = |(tag, server): (String, UnixStream)| match Fs::new(&tag, server) {
            Ok(device) => Ok((format!("share {tag}"), device)),
            Err(source) => Err(StartError::Share { tag, source }),
        };
        std::mem::take(&mut self.shares).into_iter().map(device).collect()
    }

    pub(super) fn kvm(&mut self) -> Result<Kvm, StartError> {
        Ok(self.kvm.take().map_or_else(Kvm::open, Kvm::on)?)
    }

    /// A file of the boot source.
    pub(super) fn open(&mut self, path: &str) -> Result<File, StartError> {
        match self.files.remove(path).and_then(|files| files.into_iter().next()) {
            Some(file) => Ok(file),
            None => File::open(path).map_err(|source| StartError::Open { path: path.into(), source }),
        }
    }

    pub(super) fn disk(&mut self, drive: &DriveConfig) -> Result<Disk, StartError> {
        let path = drive.path_on_host.as_deref().ok_or(StartError::Unsupported("a drive has no path_on_host"))?;
        let access = if drive.read_only() { Access::ReadOnly } else { Access::ReadWrite };
        let disk = match self.files.remove(path) {
            None => Disk::open(Path::new(path), access, drive.cache_type)?,
            Some(mut files) => match (files.pop(), access) {
                (Some(file), _) if files.is_empty() => Disk::new(file, access, drive.cache_type),
                (Some(last), Access::ReadOnly) => {
                    files.push(last);
                    Disk::concatenated(files)
                }
                _ => return Err(StartError::Unsupported("a drive of several files is read-only")),
            }
            .map_err(StartError::Device)?,
        };
        Ok(disk.named(&drive.drive_id))
    }

    pub(super) fn tap(&mut self, name: &str) -> Result<Tap, StartError> {
        Ok(self.taps.remove(name).map_or_else(|| Tap::open(name), |tap| Ok(Tap::over(tap)))?)
    }

    pub(super) fn vsock(&mut self, config: &VsockConfig) -> Result<Vsock, StartError> {
        match self.vsock.take() {
            Some(channel) => Vsock::within(config.guest_cid, channel),
            None => Vsock::new(config.guest_cid, Path::new(&config.uds_path)),
        }
        .map_err(StartError::Device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(len: u64) -> File {
        let file = tempfile::tempfile().expect("file");
        file.set_len(len).expect("grow");
        file
    }

    fn drive(name: &str, read_only: bool) -> DriveConfig {
        let (path_on_host, is_read_only) = (Some(name.to_owned()), Some(read_only));
        DriveConfig { drive_id: name.into(), path_on_host, is_read_only, ..Default::default() }
    }

    #[test]
    fn what_is_given_is_not_looked_for() {
        let mut files = Files::default();
        files.give("kernel", file(1));
        files.give("data", file(1024));
        files.give_parts("layers", vec![file(4096), file(8192)]);
        files.give_parts("both", vec![file(4096), file(8192)]);
        assert!(files.open("kernel").is_ok());
        assert!(matches!(files.open("kernel"), Err(StartError::Open { .. })), "given once");
        assert_eq!(files.disk(&drive("data", false)).expect("a disk").sectors(), 2);
        assert_eq!(files.disk(&drive("layers", true)).expect("a disk").sectors(), 24);
        assert!(files.disk(&drive("both", false)).is_err());
    }
}
