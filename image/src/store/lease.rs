//! Leases: what a container uses is not collected.

use super::Store;
use super::disk::{self, read_records};
use super::error::{IoError, LeaseError};
use super::record::LeaseRecord;
use crate::{Digest, Image};

const HOLDER_LEN_MAX: usize = 200;

impl Store {
    /// Keeps the layers of `image` until `holder` releases them. A holder has one lease; a second one replaces it.
    pub fn lease(&self, image: &Image, holder: &str) -> Result<(), LeaseError> {
        check_holder(holder)?;
        let _lock = self.disk.lock_shared()?;
        for layer in &image.layers {
            self.has_sound_layer(&layer.diff_id)?.then_some(()).ok_or(LeaseError::Gone(image.id))?;
        }
        let layers = image.layers.iter().map(|layer| layer.diff_id).collect();
        let record = LeaseRecord { holder: holder.into(), image: image.id, layers };
        Ok(self.disk.write_record(&self.disk.lease(holder), &record)?)
    }

    /// Ends the lease of `holder`, if it has one. What it alone held is collected if its image was removed meanwhile.
    pub fn release(&self, holder: &str) -> Result<(), LeaseError> {
        check_holder(holder)?;
        let path = self.disk.lease(holder);
        let lease = disk::read_record::<LeaseRecord>(&path)?;
        disk::remove(&path)?;
        let orphan = lease.is_some_and(|lease| !self.disk.image_record(&lease.image).exists());
        if orphan {
            self.collect()?;
        }
        Ok(())
    }

    /// The holders of leases on an image, sorted.
    pub fn holders(&self, id: &Digest) -> Result<Vec<String>, LeaseError> {
        Ok(self.holders_of(id)?)
    }

    pub(super) fn holders_of(&self, id: &Digest) -> Result<Vec<String>, IoError> {
        let leases = self.leases()?.into_iter();
        let mut holders: Vec<_> = leases.filter(|lease| lease.image == *id).map(|lease| lease.holder).collect();
        holders.sort();
        Ok(holders)
    }

    pub(super) fn leases(&self) -> Result<Vec<LeaseRecord>, IoError> {
        let records = read_records::<LeaseRecord>(&self.disk.part("leases"))?;
        Ok(records.into_iter().map(|(_, record)| record).collect())
    }
}

fn check_holder(holder: &str) -> Result<(), LeaseError> {
    let plain = holder.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if plain && (1..=HOLDER_LEN_MAX).contains(&holder.len()) && !holder.starts_with('.') {
        Ok(())
    } else {
        Err(LeaseError::Holder(holder.into()))
    }
}
