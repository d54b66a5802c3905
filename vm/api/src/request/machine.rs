//! Requests about the machine as a whole, its metadata and its snapshots.

use serde::Deserialize;
use stockade_vmm::config::{
    LoadSnapshotBody, MachineConfig, MachineUpdate, MmdsConfig, MmdsVersion, StateChange, TargetState,
};

use super::{Method, Parsed, RequestFault, body};
use crate::Action;

#[derive(Deserialize)]
enum ActionType {
    FlushMetrics,
    InstanceStart,
    SendCtrlAltDel,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionBody {
    action_type: ActionType,
}

pub(super) fn put_action(content: &[u8]) -> Result<Parsed, RequestFault> {
    let ActionBody { action_type } = body::read(content)?;
    let action = match action_type {
        ActionType::FlushMetrics => Action::FlushMetrics,
        ActionType::InstanceStart => Action::Start,
        ActionType::SendCtrlAltDel => Action::SendCtrlAltDel,
    };
    Ok(action.into())
}

pub(super) fn put_machine(content: &[u8]) -> Result<Parsed, RequestFault> {
    let machine: MachineConfig = body::read(content)?;
    let template = machine.cpu_template;
    let deprecation = template.map(|_| "PUT /machine-config: cpu_template field is deprecated.");
    Ok(Parsed { action: Action::UpdateMachine(machine.into()), deprecation })
}

pub(super) fn patch_machine(content: &[u8]) -> Result<Parsed, RequestFault> {
    let update: MachineUpdate = body::read(content)?;
    if update.is_empty() {
        return Err(RequestFault::EmptyPatch);
    }
    let template = update.cpu_template;
    let deprecation = template.map(|_| "PATCH /machine-config: cpu_template field is deprecated.");
    Ok(Parsed { action: Action::UpdateMachine(update), deprecation })
}

pub(super) fn put_mmds(part: Option<&str>, content: &[u8]) -> Result<Parsed, RequestFault> {
    match part {
        None => body::action(content, Action::PutMmds),
        Some("config") => put_mmds_config(content),
        Some(other) => Err(RequestFault::UnknownPath("PUT", other.to_owned())),
    }
}

fn put_mmds_config(content: &[u8]) -> Result<Parsed, RequestFault> {
    let config: MmdsConfig = body::read(content)?;
    let is_old = config.version == MmdsVersion::V1;
    let deprecation = is_old.then_some("PUT /mmds/config: V1 is deprecated. Use V2 instead.");
    Ok(Parsed { action: Action::SetMmdsConfig(config), deprecation })
}

pub(super) fn put_snapshot(part: Option<&str>, content: &[u8]) -> Result<Parsed, RequestFault> {
    match part {
        Some("create") => body::action(content, Action::CreateSnapshot),
        Some("load") => load_snapshot(content),
        Some(other) => Err(RequestFault::unknown(Method::Put, &format!("/snapshot/{other}"))),
        None => Err(RequestFault::NoSnapshotVerb),
    }
}

fn load_snapshot(content: &[u8]) -> Result<Parsed, RequestFault> {
    let load: LoadSnapshotBody = body::read(content)?;
    let is_old = load.is_deprecated();
    let deprecation = "PUT /snapshot/load: mem_file_path and enable_diff_snapshots fields are deprecated.";
    Ok(Parsed { action: Action::LoadSnapshot(load.validated()?), deprecation: is_old.then_some(deprecation) })
}

pub(super) fn patch_vm(content: &[u8]) -> Result<Parsed, RequestFault> {
    let change: StateChange = body::read(content)?;
    let action = match change.state {
        TargetState::Paused => Action::Pause,
        TargetState::Resumed => Action::Resume,
    };
    Ok(action.into())
}
