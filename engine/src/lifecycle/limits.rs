//! `update`.

use super::UpdateError;
use crate::options::Resources;
use crate::{Engine, spec};

impl Engine {
    /// Changes limits, now if it runs, and for its next start.
    pub fn update(&self, name: &str, change: &Resources) -> Result<(), UpdateError> {
        let container = self.find(name)?;
        let lock = container.lock()?;
        let state = self.refresh(&container, &lock)?;
        let mut record = container.record()?;
        record.options.resources.merge(change);
        record.options.resources.validate()?;
        if state.is_live() {
            let runtime = self.backend.runtime(record.isolation, &self.directories)?;
            runtime.update(&container.sandbox_id()?, &spec::limits_change(change, &record.options.resources))?;
        }
        container.write_record(&record)?;
        lock.release();
        self.log_event(&record, "update", &[]);
        Ok(())
    }
}
