//! Mount options to mount records, and the volumes behind them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::CreateError;
use crate::options::{
    Access, BindOption, InvalidOption, MissingSource, MountOption, TmpfsOption, VolumeOption, clean_target,
};
use crate::state::{MountKind, MountRecord, Record, new_id, remove_tree};
use crate::{ContainerImage, ContainerOptions, Engine, StateError};

impl Engine {
    /// One mount per target, sorted; the image's volumes where nothing else is asked for.
    pub(super) fn resolve_mounts(
        &self,
        options: &ContainerOptions,
        image: &ContainerImage,
    ) -> Result<Vec<MountRecord>, CreateError> {
        let mut mounts = BTreeMap::new();
        for target in image.config.volumes().iter().flatten() {
            let target = clean_target(Path::new(target));
            let volume = VolumeOption { name: None, target: target.clone(), access: Access::ReadWrite, nocopy: false };
            mounts.insert(target, self.volume(&volume)?);
        }
        for option in &options.mounts {
            let record = match option {
                MountOption::Bind(bind) => bind_record(bind)?,
                MountOption::Volume(volume) => self.volume(volume)?,
                MountOption::Tmpfs(tmpfs) => tmpfs_record(tmpfs),
            };
            mounts.insert(clean_target(option.target()), record);
        }
        Ok(mounts.into_values().collect())
    }

    /// A volume; it is made later, with the container.
    fn volume(&self, volume: &VolumeOption) -> Result<MountRecord, CreateError> {
        let anonymous = volume.name.is_none();
        let name = volume.name.clone().map_or_else(new_id, Ok)?;
        Ok(MountRecord {
            source: self.volume_data(&name),
            kind: MountKind::Volume { name, anonymous },
            target: clean_target(&volume.target),
            options: bind_options(volume.access, "rprivate", "rbind"),
            read_only: volume.access == Access::ReadOnly,
            copy_up: !volume.nocopy,
        })
    }

    /// Where a volume's content is.
    fn volume_data(&self, name: &str) -> PathBuf {
        self.directories.volumes().join(name).join("_data")
    }

    /// Makes the volumes that do not exist.
    pub(super) fn make_volumes(&self, record: &Record) -> Result<(), StateError> {
        for mount in record.mounts.iter().filter(|mount| matches!(mount.kind, MountKind::Volume { .. })) {
            make_shared(&mount.source).map_err(StateError::io("create volume", &mount.source))?;
        }
        Ok(())
    }

    /// Removes the volumes that go with the container.
    pub(crate) fn remove_anonymous_volumes(&self, record: &Record) -> Result<(), StateError> {
        for mount in &record.mounts {
            if let MountKind::Volume { name, anonymous: true } = &mount.kind {
                remove_tree(&self.directories.volumes().join(name))?;
            }
        }
        Ok(())
    }
}

/// Makes a directory that every user of a container may enter, whatever the caller's umask. An existing one stays as it
/// is.
fn make_shared(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// A host path; `-v` makes it if it is absent.
fn bind_record(bind: &BindOption) -> Result<MountRecord, CreateError> {
    if !bind.source.exists() {
        match bind.missing_source {
            MissingSource::Create => {
                make_shared(&bind.source).map_err(StateError::io("create", &bind.source))?;
            }
            MissingSource::Refuse => {
                let source = bind.source.display();
                return Err(InvalidOption(format!("bind source path does not exist: {source}")).into());
            }
        }
    }
    let propagation = bind.propagation.map_or("rprivate", |propagation| propagation.as_str());
    let kind = if bind.nonrecursive { "bind" } else { "rbind" };
    Ok(MountRecord {
        kind: MountKind::Bind,
        source: bind.source.clone(),
        target: clean_target(&bind.target),
        options: bind_options(bind.access, propagation, kind),
        read_only: bind.access == Access::ReadOnly,
        copy_up: false,
    })
}

/// Options of a bind mount.
fn bind_options(access: Access, propagation: &str, kind: &str) -> Vec<String> {
    let access = if access == Access::ReadOnly { "ro" } else { "rw" };
    [kind, access, propagation].map(str::to_owned).into()
}

/// Memory, with Docker's defaults before what was asked for.
fn tmpfs_record(tmpfs: &TmpfsOption) -> MountRecord {
    let mut options: Vec<String> = ["noexec", "nosuid", "nodev"].map(str::to_owned).into();
    options.extend(tmpfs.options.iter().cloned());
    MountRecord {
        kind: MountKind::Tmpfs,
        source: PathBuf::new(),
        target: clean_target(&tmpfs.target),
        read_only: options.iter().any(|option| option == "ro"),
        options,
        copy_up: false,
    }
}
