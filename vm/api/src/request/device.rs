//! Requests about devices.

use stockade_vmm::config::{DriveConfig, DriveUpdate, NetworkConfig, NetworkUpdate, VsockConfig};

use super::{Parsed, RequestFault, body};
use crate::Action;

pub(super) fn put_drive(part: Option<&str>, content: &[u8]) -> Result<Parsed, RequestFault> {
    let id = body::id(part)?;
    let drive: DriveConfig = body::read(content)?;
    same_drive(id, &drive.drive_id)?;
    Ok(Action::SetDrive(drive).into())
}

pub(super) fn patch_drive(part: Option<&str>, content: &[u8]) -> Result<Parsed, RequestFault> {
    let id = body::id(part)?;
    let update: DriveUpdate = body::read(content)?;
    same_drive(id, &update.drive_id)?;
    Ok(Action::UpdateDrive(update).into())
}

fn same_drive(path: &str, body: &str) -> Result<(), RequestFault> {
    if path == body { Ok(()) } else { Err(RequestFault::OtherDrive) }
}

pub(super) fn put_network(part: Option<&str>, content: &[u8]) -> Result<Parsed, RequestFault> {
    let id = body::id(part)?;
    let network: NetworkConfig = body::read(content)?;
    same_interface(id, &network.iface_id)?;
    Ok(Action::SetNetwork(network).into())
}

pub(super) fn patch_network(part: Option<&str>, content: &[u8]) -> Result<Parsed, RequestFault> {
    let id = body::id(part)?;
    let update: NetworkUpdate = body::read(content)?;
    same_interface(id, &update.iface_id)?;
    Ok(Action::UpdateNetwork(update).into())
}

fn same_interface(path: &str, body: &str) -> Result<(), RequestFault> {
    match path == body {
        true => Ok(()),
        false => Err(RequestFault::OtherInterface { path: path.to_owned(), body: body.to_owned() }),
    }
}

pub(super) fn put_vsock(content: &[u8]) -> Result<Parsed, RequestFault> {
    let vsock: VsockConfig = body::read(content)?;
    let deprecation = vsock.vsock_id.as_ref().map(|_| "PUT /vsock: vsock_id field is deprecated.");
    Ok(Parsed { action: Action::SetVsock(vsock), deprecation })
}

pub(super) fn patch_balloon(part: Option<&str>, content: &[u8]) -> Result<Parsed, RequestFault> {
    match part {
        None => body::action(content, Action::UpdateBalloon),
        Some("statistics") => body::action(content, Action::UpdateBalloonStats),
        Some(other) => Err(RequestFault::UnknownPath("PATCH", other.to_owned())),
    }
}
