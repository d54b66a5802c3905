//! `exec`: one more process, and its proxy.

use std::os::fd::{AsFd, OwnedFd};

use rustix::time::{ClockId, clock_gettime};
use stockade_native::cgroup::Cgroup;
use stockade_native::hosted::spawn_exec_proxy;
use stockade_sandbox::protocol::{Client, Empty, ExecProcess, FdRole, Method};
use stockade_sandbox::{ContainerId, Error, ExecRequest, Result, Terminal};

use crate::luggage::Luggage;
use crate::{launch, rlimits, terminal};

/// Runs a process in a container and returns the pid of its proxy.
pub fn exec(id: &ContainerId, mut client: Client, cgroup: &Cgroup, mut request: ExecRequest) -> Result<u32> {
    rlimits::inherit(&mut request.process)?;
    let mut luggage = Luggage::default();
    let terminal = match &request.terminal {
        Terminal::Console(socket) => Some(terminal::open(socket)?),
        Terminal::None => None,
    };
    match &terminal {
        Some(slave) => {
            let copy = slave.try_clone().map_err(|error| Error::os("copy a descriptor", error))?;
            luggage.add_stream(FdRole::Terminal, copy);
        }
        None => luggage.add_streams(request.stdio)?,
    }
    let process = unique_name();
    let message = ExecProcess {
        id: id.to_string(),
        process: process.clone(),
        spec: serde_json::to_vec(&request.process).map_err(|error| Error::Other(error.to_string()))?,
        user: request.user,
        descriptors: luggage.roles,
        streams: Vec::new(),
    };
    let descriptors: Vec<_> = luggage.descriptors.iter().map(AsFd::as_fd).collect();
    client.call::<Empty>(Method::Exec, &message, &descriptors)?;
    let connection = OwnedFd::from(client.into_connection());
    let proxy = launch::proxy_of(id, &process, connection, None, terminal.as_ref())?;
    let pid = spawn_exec_proxy(&proxy, cgroup, terminal.as_ref())?;
    if let Some(path) = &request.pid_file {
        stockade_native::hosted::write_pid_file(path, pid)?;
    }
    Ok(pid)
}

/// Of no other process of the sandbox, ended ones included: this process's id will be another's some day.
fn unique_name() -> String {
    let now = clock_gettime(ClockId::Boottime);
    format!("exec-{}-{:x}-{:x}", std::process::id(), now.tv_sec, now.tv_nsec)
}
