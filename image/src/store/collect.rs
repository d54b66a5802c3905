//! Removal: names first, then what nothing needs any more.
//!
//! The roots are image records, leases, and the holds of pulls under way. Everything else in the store is garbage,
//! except a partly downloaded layer, which is kept for a day for the next attempt.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::disk::{self, LockedFile, StoreLock, read_record, read_records};
use super::error::{FindError, IoError, PruneError, RemoveError};
use super::record::{HoldRecord, ImageRecord, ReferenceRecord};
use super::{PruneScope, Pruned, RemoveMode, Removed, Store};
use crate::{Digest, Reference};

/// How long an interrupted download waits for its next attempt.
const PARTIAL_AGE_MAX: Duration = Duration::from_secs(24 * 3600);

impl Store {
    /// Removes one name; with the last name, the image. An id stands for its only name.
    pub fn remove(&self, text: &str, mode: RemoveMode) -> Result<Removed, RemoveError> {
        let lock = self.disk.lock_exclusive()?;
        let references = self.references()?;
        let (id, reference) = self.resolve(text, &references)?;
        if !self.disk.image_record(&id).exists() && reference.is_none() {
            return Err(FindError::Missing(text.into()).into());
        }
        let all: Vec<_> =
            references.into_iter().filter(|record| record.image == id).map(|record| record.name).collect();
        let going = match (reference, mode) {
            (Some(reference), _) => self.names_going_with(&reference.name, all.clone()),
            (None, mode) => self.names_of_id(id, all.clone(), mode)?,
        };
        let last = going.len() == all.len();
        if last && mode == RemoveMode::Careful {
            self.refuse_if_leased(text, &id)?;
        }
        going.iter().try_for_each(|name| disk::remove(&self.disk.reference(name)).map(drop))?;
        if last {
            disk::remove(&self.disk.image_record(&id))?;
        }
        let freed_bytes = if last { self.collect_locked(&lock, Partials::KeepRecent)? } else { 0 };
        Ok(Removed { untagged: going, deleted: last.then_some(id), freed_bytes })
    }

    /// With an image's last tag in a repository, its digests in that repository go too, as in Docker.
    fn names_going_with(&self, name: &Reference, all: Vec<Reference>) -> Vec<Reference> {
        let same_repository = |other: &Reference| other.repository() == name.repository();
        let last_tag = !all.iter().any(|other| other != name && other.tag().is_some() && same_repository(other));
        let goes = |other: &Reference| other == name || (last_tag && same_repository(other));
        all.into_iter().filter(goes).collect()
    }

    fn names_of_id(&self, id: Digest, all: Vec<Reference>, mode: RemoveMode) -> Result<Vec<Reference>, RemoveError> {
        let tags: Vec<_> = all.iter().filter(|name| name.digest().is_none()).map(Reference::familiar).collect();
        if tags.len() > 1 && mode == RemoveMode::Careful {
            return Err(RemoveError::SeveralNames { id, names: tags });
        }
        Ok(all)
    }

    fn refuse_if_leased(&self, name: &str, id: &Digest) -> Result<(), RemoveError> {
        match self.holders_of(id)? {
            holders if holders.is_empty() => Ok(()),
            holders => Err(RemoveError::InUse { name: name.into(), holders }),
        }
    }

    /// Removes images that no lease holds, what no image needs, and leftovers of dead processes.
    pub fn prune(&self, scope: PruneScope) -> Result<Pruned, PruneError> {
        let lock = self.disk.lock_exclusive()?;
        let references = self.references()?;
        let leased: HashSet<_> = self.leases()?.into_iter().map(|lease| lease.image).collect();
        let tagged: HashSet<_> = references.iter().filter(|r| r.name.digest().is_none()).map(|r| r.image).collect();
        let mut pruned = Pruned::default();
        for (path, record) in read_records::<ImageRecord>(&self.disk.part("images"))? {
            let kept = leased.contains(&record.id) || (scope == PruneScope::Dangling && tagged.contains(&record.id));
            if !kept {
                disk::remove(&path)?;
                pruned.deleted.push(record.id);
            }
        }
        let gone = |record: &&ReferenceRecord| pruned.deleted.contains(&record.image);
        pruned.untagged = references.iter().filter(gone).map(|record| record.name.clone()).collect();
        pruned.freed_bytes = self.collect_locked(&lock, Partials::Remove)?;
        Ok(pruned)
    }

    /// Removes what nothing needs; returns the bytes given back.
    pub(super) fn collect(&self) -> Result<u64, IoError> {
        let lock = self.disk.lock_exclusive()?;
        self.collect_locked(&lock, Partials::KeepRecent)
    }

    fn collect_locked(&self, _exclusive: &StoreLock, partials: Partials) -> Result<u64, IoError> {
        let mut freed_bytes = self.sweep_temporary()?;
        let live = self.live()?;
        for path in disk::entries(&self.disk.part("references"))? {
            let record = read_record::<ReferenceRecord>(&path)?;
            if record.is_none_or(|record| !live.images.contains(&record.image)) {
                disk::remove(&path)?;
            }
        }
        freed_bytes += sweep(&self.disk.part("layers"), |name| live.has_layer(name))?;
        freed_bytes += sweep(&self.disk.part("blobs/sha256"), |name| live.blobs.contains(name))?;
        freed_bytes += self.sweep_partial(partials)?;
        Ok(freed_bytes)
    }

    fn live(&self) -> Result<Live, IoError> {
        let mut live = Live::default();
        for path in disk::entries(&self.disk.part("images"))? {
            match read_record::<ImageRecord>(&path)? {
                Some(record) => live.add_image(&record),
                None => drop(disk::remove(&path)?),
            }
        }
        live.leased.extend(self.leases()?.iter().flat_map(|lease| &lease.layers).map(Digest::hex));
        for path in disk::entries(&self.disk.part("tmp"))?.iter().filter(|path| is_hold(path)) {
            let hold = read_record::<HoldRecord>(path)?.unwrap_or_default();
            live.add_layers(&hold.layers);
            live.blobs.extend(hold.blobs.iter().map(Digest::hex));
        }
        Ok(live)
    }

    /// A file that nobody locks has lost its owner.
    pub(super) fn sweep_temporary(&self) -> Result<u64, IoError> {
        let mut freed_bytes = 0;
        for path in disk::entries(&self.disk.part("tmp"))? {
            if let Some(dead) = LockedFile::try_acquire(&path)? {
                freed_bytes += disk::remove(dead.path())?;
            }
        }
        Ok(freed_bytes)
    }

    fn sweep_partial(&self, partials: Partials) -> Result<u64, IoError> {
        let mut freed_bytes = 0;
        for path in disk::entries(&self.disk.part("partial"))? {
            let Some(file) = LockedFile::try_acquire(&path)? else { continue };
            if partials == Partials::Remove || age(&path) > PARTIAL_AGE_MAX || file.len()? == 0 {
                freed_bytes += disk::remove(file.path())?;
            }
        }
        Ok(freed_bytes)
    }
}

/// What to do with downloads that nobody works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Partials {
    KeepRecent,
    Remove,
}

/// What must stay.
#[derive(Debug, Default)]
struct Live {
    images: HashSet<Digest>,
    /// By their keys.
    layers: HashSet<String>,
    /// Diff ids: a container goes on with the layers that it was made with, also after an update of the converter.
    leased: HashSet<String>,
    /// By their file names.
    blobs: HashSet<String>,
}

impl Live {
    fn add_image(&mut self, record: &ImageRecord) {
        self.images.insert(record.id);
        self.blobs.insert(record.id.hex());
        for manifest in &record.manifests {
            self.blobs.extend(manifest.blobs().map(|digest| digest.hex()));
            self.layers.extend(manifest.layers.iter().map(|layer| disk::layer_key(&layer.diff_id)));
        }
    }

    fn add_layers(&mut self, layers: &[Digest]) {
        self.layers.extend(layers.iter().map(disk::layer_key));
    }

    fn has_layer(&self, file: &str) -> bool {
        let key = file.rsplit_once('.').map_or(file, |(key, _)| key);
        let diff_id = key.split_once('.').map_or(key, |(diff_id, _)| diff_id);
        self.layers.contains(key) || self.leased.contains(diff_id)
    }
}

/// Removes the files that are not live.
fn sweep(dir: &Path, is_live: impl Fn(&str) -> bool) -> Result<u64, IoError> {
    let mut freed_bytes = 0;
    // Records sort after blobs; they go first, so that a kill in between leaves no record without its blob.
    for path in disk::entries(dir)?.iter().rev() {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        if !is_live(&name) {
            freed_bytes += disk::remove(path)?;
        }
    }
    Ok(freed_bytes)
}

fn is_hold(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == disk::HOLD)
}

fn age(path: &Path) -> Duration {
    let modified = std::fs::metadata(path).and_then(|meta| meta.modified());
    modified.ok().and_then(|time| SystemTime::now().duration_since(time).ok()).unwrap_or_default()
}
