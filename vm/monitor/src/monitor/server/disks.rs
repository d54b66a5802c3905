//! Disks of containers that join: they come with `Create`, and leave once the guest has let go of them.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::OwnedFd;

use prost::Message;
use stockade_sandbox::protocol::{ContainerRequest, CreateContainer, FdRole, GuestRoot, GuestUpper, Method};
use stockade_sandbox::{Error, Result};

use super::super::agent::Asker;
use super::super::machine::{Guest, Later};
use super::{Server, lacking};

/// The slots of one container. One that was started again has its new disks before the old ones have left.
#[derive(Debug)]
pub(super) struct Slots<S> {
    /// Oldest first.
    turns: VecDeque<Vec<S>>,
    /// The oldest so many have been asked for.
    leaving: usize,
}

impl<S> Default for Slots<S> {
    fn default() -> Self {
        Self { turns: VecDeque::new(), leaving: 0 }
    }
}

/// What a request has beside the streams of a process.
#[derive(Debug, Default)]
pub(super) struct Brought {
    layers: Vec<File>,
    upper: Option<File>,
}

impl Brought {
    /// Takes it out of what came along.
    pub(super) fn of(roles: &mut Vec<i32>, descriptors: &mut Vec<OwnedFd>) -> Self {
        let mut brought = Self::default();
        let all: Vec<_> = std::mem::take(roles).into_iter().zip(std::mem::take(descriptors)).collect();
        for (role, descriptor) in all {
            match FdRole::try_from(role) {
                Ok(FdRole::Layer) => brought.layers.push(descriptor.into()),
                Ok(FdRole::Upper) => brought.upper = Some(descriptor.into()),
                _ => {
                    roles.push(role);
                    descriptors.push(descriptor);
                }
            }
        }
        brought
    }
}

impl<G: Guest> Server<G> {
    /// Gives the guest the disks of a container that joins, and tells the container their names.
    pub(super) fn plug(&mut self, request: &mut CreateContainer, brought: Brought) -> Result<()> {
        let owner = self.owner.get_or_insert_with(|| request.id.clone());
        let (Some(root), false) = (&mut request.root, *owner == request.id) else { return Ok(()) };
        root.leave = true;
        let disks = self.name_disks(root, brought);
        let mut slots = Vec::new();
        for (serial, disk) in disks {
            match self.guest.plug(&serial, disk) {
                Ok(slot) => slots.push(slot),
                Err(why) => {
                    slots.into_iter().for_each(|slot| self.guest.unplug(slot));
                    return Err(self.no_room(&why));
                }
            }
        }
        self.disks.entry(request.id.clone()).or_default().turns.push_back(slots);
        Ok(())
    }

    /// No two disks have had the same name.
    fn name_disks(&mut self, root: &mut GuestRoot, brought: Brought) -> Vec<(String, Later)> {
        self.last_disk += 1;
        let mut disks = Vec::new();
        if !brought.layers.is_empty() {
            root.disk = format!("layers{}", self.last_disk);
            disks.push((root.disk.clone(), Later::Layers(brought.layers)));
        }
        if let Some(file) = brought.upper {
            let upper = root.upper.get_or_insert_with(GuestUpper::default);
            upper.disk = format!("upper{}", self.last_disk);
            let disk = if upper.volatile { Later::Scratch(file) } else { Later::Upper(file) };
            disks.push((upper.disk.clone(), disk));
        }
        disks
    }

    fn no_room(&self, why: &str) -> Error {
        let remedy = format!(
            "{why}: of the {} for disks of containers that join, each takes two, or one where its writes go to memory; \
             end another one, or give the first container more by the annotation {}",
            self.slots,
            crate::class::SLOTS
        );
        lacking("put one more container into the machine", &remedy)
    }

    /// One container of several has ended, or was never made: the guest is to let go of it and of its disks.
    pub(super) fn remove(&mut self, container: &str) {
        if let Some(slots) = self.disks.get_mut(container) {
            if slots.leaving == slots.turns.len() {
                return;
            }
            slots.leaving += 1;
        }
        let request = ContainerRequest { id: container.to_owned() }.encode_to_vec();
        let name = (container.to_owned(), String::new());
        if let Err(error) = self.agent.ask(Asker::Monitor, Method::Delete, name, request) {
            tracing::warn!("cannot remove {container}: {error}");
        }
    }

    /// The guest has removed a container. If it could not, its disks stay: a driver waits for ever for what is gone.
    pub(super) fn removed(&mut self, container: &str, said: &Result<Vec<u8>>) {
        let Some(slots) = self.disks.get_mut(container) else { return };
        let turn = slots.turns.pop_front().unwrap_or_default();
        slots.leaving = slots.leaving.saturating_sub(1);
        if slots.turns.is_empty() {
            self.disks.remove(container);
        }
        match said {
            Ok(_) => turn.into_iter().for_each(|slot| self.guest.unplug(slot)),
            Err(error) => tracing::warn!("the disks of {container} stay in the machine: {error}"),
        }
    }
}
