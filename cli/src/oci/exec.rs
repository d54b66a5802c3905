//! `exec`.

use std::str::FromStr;

use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities, Process};
use stockade_sandbox::{ContainerId, Error, ExecRequest, Result, Runtime, Stdio, Terminal};

use super::bundle;
use super::create::{attend, detached_terminal, io_path, prepare, refuse_console_socket};
use super::grammar::{Exec, ProcessChange, Wiring};

/// Runs one more process in a container.
pub fn exec(runtime: &dyn Runtime, args: Exec) -> Result<i32> {
    let (id, command) = args.words.split_first().ok_or_else(|| Error::Other("a container ID is needed".to_owned()))?;
    let id: ContainerId = id.parse().map_err(|_| Error::Other("invalid container ID format".to_owned()))?;
    let process = process(runtime, &id, command, &args)?;
    let options = Options {
        user: args.change.user.filter(|user| args.process.is_none() && numeric_user(user).is_none()),
        wiring: args.wiring,
        sub_cgroup: args.cgroup,
        ignore_paused: args.ignore_paused,
    };
    let run = if args.detach { exec_detached } else { exec_attended };
    run(runtime, &id, process, options).map_err(reword)
}

/// runc's words where they differ from those of other verbs.
fn reword(error: Error) -> Error {
    match error {
        Error::NotRunning => Error::Other("cannot exec in a stopped container".to_owned()),
        Error::Paused { .. } => Error::Other(format!("{error} (use --ignore-paused to override)")),
        other => other,
    }
}

/// What is asked beside the process.
struct Options {
    user: Option<String>,
    wiring: Wiring,
    sub_cgroup: Option<std::path::PathBuf>,
    ignore_paused: bool,
}

fn exec_detached(runtime: &dyn Runtime, id: &ContainerId, process: Process, options: Options) -> Result<i32> {
    let wanted = process.terminal().unwrap_or(false);
    let terminal = detached_terminal(wanted, options.wiring.console_socket.as_deref())?;
    runtime.exec(id, request(process, terminal, options))?;
    Ok(0)
}

fn exec_attended(runtime: &dyn Runtime, id: &ContainerId, process: Process, options: Options) -> Result<i32> {
    let wanted = process.terminal().unwrap_or(false);
    if wanted && options.wiring.console_socket.is_some() {
        return attended_on_socket(runtime, id, process, options);
    }
    refuse_console_socket(options.wiring.console_socket.as_deref())?;
    let (foreground, socket) = prepare(wanted)?;
    let terminal = socket.map_or(Terminal::None, Terminal::Console);
    let pid = runtime.exec(id, request(process, terminal, options))?;
    attend(foreground, pid)
}

/// The caller keeps the terminal and this command waits (runc allows it).
fn attended_on_socket(runtime: &dyn Runtime, id: &ContainerId, process: Process, options: Options) -> Result<i32> {
    let terminal = detached_terminal(true, options.wiring.console_socket.as_deref())?;
    let (foreground, _) = prepare(false)?;
    let pid = runtime.exec(id, request(process, terminal, options))?;
    attend(foreground, pid)
}

fn request(mut process: Process, terminal: Terminal, options: Options) -> ExecRequest {
    let listen_fds = bundle::listen_fds();
    bundle::announce_listen_fds(&mut process, listen_fds);
    ExecRequest {
        process,
        user: options.user,
        terminal,
        stdio: Stdio::default(),
        preserve_fds: options.wiring.preserve_fds.saturating_add(listen_fds),
        pid_file: options.wiring.pid_file.map(|path| io_path(&path)),
        sub_cgroup: options.sub_cgroup,
        ignore_paused: options.ignore_paused,
    }
}

/// The process of `--process`, or the container's own with changes.
fn process(runtime: &dyn Runtime, id: &ContainerId, command: &[String], args: &Exec) -> Result<Process> {
    let state = runtime.state(id)?;
    let process = match &args.process {
        Some(path) => bundle::read_json(path)?,
        None => {
            let spec = bundle::load_spec(&state.bundle)?;
            let mut process = spec.process().clone().unwrap_or_default();
            process.set_args(Some(command.to_vec()));
            change(&mut process, &args.change)?;
            process
        }
    };
    bundle::check_process(&process)?;
    Ok(process)
}

fn change(process: &mut Process, change: &ProcessChange) -> Result<()> {
    process.set_terminal(Some(change.tty));
    if let Some(cwd) = &change.cwd {
        process.set_cwd(cwd.clone());
    }
    process.env_mut().get_or_insert_default().extend(change.env.iter().cloned());
    if change.apparmor.is_some() {
        process.set_apparmor_profile(change.apparmor.clone());
    }
    if change.process_label.is_some() {
        process.set_selinux_label(change.process_label.clone());
    }
    if change.no_new_privs {
        process.set_no_new_privileges(Some(true));
    }
    change_user(process, change);
    add_capabilities(process, &change.cap)
}

fn change_user(process: &mut Process, change: &ProcessChange) {
    let user = process.user_mut();
    if let Some((uid, gid)) = change.user.as_deref().and_then(numeric_user) {
        let gid = gid.unwrap_or(user.gid());
        user.set_uid(uid).set_gid(gid);
    }
    if !change.additional_gids.is_empty() {
        let mut gids = user.additional_gids().clone().unwrap_or_default();
        gids.extend(&change.additional_gids);
        user.set_additional_gids(Some(gids));
    }
}

/// `UID[:GID]`; names are looked up inside the container.
fn numeric_user(text: &str) -> Option<(u32, Option<u32>)> {
    match text.split_once(':') {
        Some((uid, gid)) => Some((uid.parse().ok()?, Some(gid.parse().ok()?))),
        None => Some((text.parse().ok()?, None)),
    }
}

fn add_capabilities(process: &mut Process, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let added = names.iter().map(|name| capability(name)).collect::<Result<Vec<_>>>()?;
    let widened = |set: &Option<Capabilities>| {
        let mut set = set.clone().unwrap_or_default();
        set.extend(&added);
        Some(set)
    };
    let old = process.capabilities().clone().unwrap_or_else(no_capabilities);
    let mut new = old.clone();
    new.set_bounding(widened(old.bounding()));
    new.set_effective(widened(old.effective()));
    new.set_permitted(widened(old.permitted()));
    new.set_ambient(widened(old.ambient()));
    new.set_inheritable(widened(old.inheritable()));
    process.set_capabilities(Some(new));
    Ok(())
}

fn no_capabilities() -> LinuxCapabilities {
    let mut none = LinuxCapabilities::default();
    none.set_bounding(None).set_effective(None).set_permitted(None).set_ambient(None).set_inheritable(None);
    none
}

fn capability(name: &str) -> Result<Capability> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    Capability::from_str(bare).map_err(|_| Error::InvalidConfig(format!("unknown capability {name:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_numbers_or_names() {
        assert_eq!(numeric_user("5"), Some((5, None)));
        assert_eq!(numeric_user("5:6"), Some((5, Some(6))));
        assert_eq!(numeric_user("root"), None);
        assert_eq!(numeric_user("0:wheel"), None);
    }

    #[test]
    fn capabilities_are_added_to_what_there_is() {
        let mut process = Process::default();
        add_capabilities(&mut process, &["CAP_NET_RAW".to_owned(), "sys_time".to_owned()]).unwrap();
        let capabilities = process.capabilities().clone().unwrap();
        let effective = capabilities.effective().clone().unwrap();
        assert!(effective.contains(&Capability::NetRaw) && effective.contains(&Capability::SysTime));
        assert!(add_capabilities(&mut process, &["CAP_FLY".to_owned()]).is_err());
    }
}
