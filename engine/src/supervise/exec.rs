//! One more process in a running container, with a supervisor of its own.

use serde::{Deserialize, Serialize};
use stockade_sandbox::{Error, ExecRequest};

use super::client::Client;
use super::launch::{open_process, wire_pipes, wire_terminal};
use super::protocol::Reply;
use super::pump::Pump;
use super::streams::InputMode;
use super::{exit_code_of, fail};
use crate::state::{Container, Record};
use crate::{Engine, ExecOptions, spec};

/// What an exec's supervisor is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ExecDocument {
    /// Its id, for events.
    pub(crate) id: String,
    /// What to run.
    pub(crate) options: ExecOptions,
    /// Nobody will attach.
    pub(crate) detached: bool,
}

/// Runs the process and keeps it until it ends. False when it did not start.
pub(super) fn supervise(engine: &Engine, container: &Container, document: &[u8], mut client: Client) -> bool {
    let started = serde_json::from_slice::<ExecDocument>(document)
        .map_err(|error| Error::Other(format!("invalid exec request: {error}")))
        .and_then(|document| launch(engine, container, &document).map(|started| (document.id, started)));
    match started {
        Ok((exec_id, (record, mut pump))) => {
            client.send(Reply::Started);
            pump.clients.push(client);
            let code = pump.run(|| engine.backend.rest());
            engine.log_event(&record, "exec_die", &[("execID", &exec_id), ("exitCode", &code.to_string())]);
            pump.farewell(code);
            true
        }
        Err(error) => {
            // Docker's status for whatever keeps an exec from starting, a missing working directory for example.
            fail(&mut client, exit_code_of(&error, 126), &error.to_string());
            false
        }
    }
}

/// Starts the process.
fn launch(engine: &Engine, container: &Container, document: &ExecDocument) -> Result<(Record, Pump), Error> {
    let record = container.record().map_err(|error| Error::Other(error.to_string()))?;
    let options = &document.options;
    let input = if options.interactive && !document.detached { InputMode::Open } else { InputMode::Null };
    let wired = if options.tty { wire_terminal(input) } else { wire_pipes(input) };
    let (wiring, terminal, stdio) = wired.map_err(|error| Error::os("open streams", error))?;
    let process = spec::exec_process(&record, options).map_err(|error| Error::InvalidConfig(error.to_string()))?;
    let runtime = engine.backend.runtime(record.isolation, &engine.directories)?;
    let request = ExecRequest {
        process,
        user: options.user.clone().or_else(|| spec::user(&record)),
        terminal,
        stdio,
        preserve_fds: 0,
        pid_file: None,
        sub_cgroup: None,
        ignore_paused: false,
    };
    let command = options.command.join(" ");
    engine.log_event(&record, &format!("exec_start: {command}"), &[("execID", &document.id)]);
    let pid = runtime.exec(&container.sandbox_id()?, request)?;
    let pump = Pump {
        process: open_process(pid)?,
        streams: wiring.finish().map_err(|error| Error::os("receive the terminal", error))?,
        log: None,
        clients: Vec::new(),
        listener: None,
        oom: None,
        input_once: true,
        on_oom: Box::new(|| {}),
        oom_killed: false,
        pending_input: Vec::new(),
    };
    Ok((record, pump))
}
