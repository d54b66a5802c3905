//! `ps`.

use std::path::Path;

use super::{ContainerSummary, ListFilter};
use crate::options::NamespaceMode;
use crate::state::{Container, MountKind, Record, RunState};
use crate::{Engine, LookupError, StateError};

impl Engine {
    /// The containers that `ps` shows, newest first.
    pub fn list(&self, filter: &ListFilter) -> Result<Vec<ContainerSummary>, StateError> {
        self.sweep()?;
        let mut summaries = Vec::new();
        for id in self.ids()? {
            match self.summary(&Container::new(&self.directories, &id)) {
                Ok(summary) => summaries.push(summary),
                // Removed while we look.
                Err(LookupError::NotFound(_)) => {}
                Err(error) => tracing::warn!(container = id, %error, "cannot read a container"),
            }
        }
        summaries.sort_by(|a, b| b.created_at.cmp(&a.created_at));
        let creation = |name: &str| self.find(name).ok()?.record().ok().map(|record| record.created);
        summaries.retain(|summary| filter.accepts(summary, &creation));
        summaries.truncate(filter.last.unwrap_or(usize::MAX));
        Ok(summaries)
    }

    /// Bytes of a container's writable layer (`ps --size`, `inspect --size`).
    pub fn writable_bytes(&self, name: &str) -> Result<u64, LookupError> {
        Ok(tree_bytes(&self.find(name)?.file("rw").join("upper")))
    }

    /// Ids of the containers, running or not, that use the image with this id (`sha256:…`).
    pub fn image_users(&self, image_id: &str) -> Result<Vec<String>, StateError> {
        let record = |id: &String| Container::new(&self.directories, id).record();
        let uses = |id: &String| record(id).is_ok_and(|record| record.image.id == image_id);
        Ok(self.ids()?.into_iter().filter(uses).collect())
    }

    /// One line.
    fn summary(&self, container: &Container) -> Result<ContainerSummary, LookupError> {
        let state = self.peek(container)?;
        Ok(summarise(container.record()?, state))
    }
}

/// Record and state as one line.
fn summarise(record: Record, state: RunState) -> ContainerSummary {
    ContainerSummary {
        labels: record.labels(),
        network: network_name(&record.options.network),
        mounts: record.mounts.iter().filter_map(mount_name).collect(),
        id: record.id,
        name: record.name,
        image: record.image.name,
        image_id: record.image.id,
        command: record.command,
        created_at: record.created,
        started_at: state.started_at,
        finished_at: state.finished_at,
        status: state.status,
        exit_code: state.exit_code,
        isolation: record.isolation.to_string(),
    }
}

/// Docker's name of a network mode.
pub(super) fn network_name(mode: &NamespaceMode) -> String {
    match mode {
        NamespaceMode::Private => "none".to_owned(),
        other => other.to_string(),
    }
}

/// A volume's name, or a path; memory has neither.
fn mount_name(mount: &crate::state::MountRecord) -> Option<String> {
    match &mount.kind {
        MountKind::Volume { name, .. } => Some(name.clone()),
        MountKind::Bind => Some(mount.source.display().to_string()),
        MountKind::Tmpfs => None,
    }
}

/// Bytes of the files in a directory; what vanishes meanwhile does not count.
fn tree_bytes(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => tree_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    bytes.sum()
}
