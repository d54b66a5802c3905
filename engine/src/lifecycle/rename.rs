//! `rename`.

use super::RenameError;
use crate::Engine;
use crate::state::NameTable;

impl Engine {
    /// Gives a container another name.
    pub fn rename(&self, name: &str, new_name: &str) -> Result<(), RenameError> {
        let container = self.find(name)?;
        let lock = container.lock()?;
        let mut record = container.record()?;
        let new_name = new_name.strip_prefix('/').unwrap_or(new_name);
        if record.name == new_name {
            return Err(RenameError::SameName);
        }
        let names = NameTable::lock(&self.directories)?;
        names.claim(new_name, &record.id)?;
        let old_name = std::mem::replace(&mut record.name, new_name.to_owned());
        container.write_record(&record)?;
        names.free(&old_name, &record.id);
        drop(names);
        lock.release();
        self.log_event(&record, "rename", &[("oldName", &format!("/{old_name}"))]);
        Ok(())
    }
}
