//! A folder of built things, each made beside its place, renamed into it and only then stamped: killed at any point,
//! the next run cleans up and goes on.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

/// What the stamp of a thing says; raised when its recipe changes.
fn recipe_version(name: &str) -> &'static str {
    match name {
        "rootfs/workloads" | "rootfs/workloads-all" => "2",
        _ => "1",
    }
}

/// The fixtures, held under a lock.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    _lock: File,
}

impl Folder {
    /// Waits for other runs and removes what a killed one left.
    pub fn open(dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(dir.join(".stamps")).with_context(|| format!("make {}", dir.display()))?;
        let lock = File::create(dir.join(".lock"))
            .with_context(|| format!("lock {}: fixtures hold root's files, run as root", dir.display()))?;
        lock.lock()?;
        remove(&dir.join(".tmp"))?;
        Ok(Self { dir, _lock: lock })
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Whether `name` is there in this version.
    pub fn has(&self, name: &str, version: &str) -> bool {
        self.dir.join(name).exists() && fs::read_to_string(self.stamp(name)).is_ok_and(|text| text == version)
    }

    fn stamp(&self, name: &str) -> PathBuf {
        self.dir.join(".stamps").join(name.replace('/', "-"))
    }

    /// Builds `name` by `recipe`, which fills the directory it is given, unless that was done before.
    pub fn build(&self, name: &str, recipe: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        self.build_version(name, recipe_version(name), recipe)
    }

    /// The same where the recipe does not depend on this tree alone: `version` says what else it depends on.
    pub fn build_version(&self, name: &str, version: &str, recipe: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        if self.has(name, version) {
            return Ok(());
        }
        let (place, stamp) = (self.dir.join(name), self.stamp(name));
        println!("fixture {name}: building");
        let (begin, tmp) = (Instant::now(), self.dir.join(".tmp"));
        remove(&stamp)?;
        fs::create_dir_all(&tmp)?;
        recipe(&tmp).with_context(|| format!("build fixture {name}"))?;
        fs::create_dir_all(place.parent().context("a fixture lies in the folder")?)?;
        remove(&place)?;
        fs::rename(&tmp, &place)?;
        fs::write(&stamp, version)?;
        println!("fixture {name}: built in {:.1} s", begin.elapsed().as_secs_f64());
        Ok(())
    }
}

fn remove(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    }
    .with_context(|| format!("remove {}", path.display()))
}
