//! The verbs that change containers.

use anyhow::{Result, bail};
use stockade_engine::{
    AttachOptions, ContainerSummary, LookupError, RemoveError, RemoveOptions, SignalProxy, Status, StopOptions,
};

use super::context::Context;
use super::message::{self, each_named};
use super::ps::everything;
use super::session;
use crate::args::{KillArgs, NamesArgs, PruneArgs, RemoveArgs, RenameArgs, StartArgs, StopArgs, UpdateArgs};

/// `stockade start`.
pub fn start(context: &Context, args: &StartArgs) -> Result<u8> {
    let engine = context.engine()?;
    if !args.attach && !args.interactive {
        return each_named(&args.names, |name| Ok(engine.start(name)?));
    }
    let [name] = args.names.as_slice() else { bail!("you cannot start and attach multiple containers at once") };
    let keys = context.detach_keys(args.detach_keys.as_deref())?;
    let session = engine.start_attached(name, &AttachOptions { stdin: args.interactive })?;
    Ok(session::exit_code(session.run(&keys, SignalProxy::Forward)?))
}

/// `stockade stop`.
pub fn stop(context: &Context, args: &StopArgs) -> Result<u8> {
    let engine = context.engine()?;
    let options = StopOptions { signal: args.signal, timeout_s: args.time };
    each_named(&args.names, |name| Ok(engine.stop(name, &options)?))
}

/// `stockade restart`.
pub fn restart(context: &Context, args: &StopArgs) -> Result<u8> {
    let engine = context.engine()?;
    let options = StopOptions { signal: args.signal, timeout_s: args.time };
    each_named(&args.names, |name| {
        engine.stop(name, &options)?;
        Ok(engine.start(name)?)
    })
}

/// `stockade kill`.
pub fn kill(context: &Context, args: &KillArgs) -> Result<u8> {
    let engine = context.engine()?;
    each_named(&args.names, |name| Ok(engine.kill(name, args.signal)?))
}

/// `stockade rm`.
pub fn remove(context: &Context, args: &RemoveArgs) -> Result<u8> {
    let options = RemoveOptions { force: args.force, volumes: args.volumes };
    message::each(&args.names, |name| match remove_one(context, name, options) {
        Ok(()) => message::print(name),
        // As with Docker: what is gone needs no force.
        Err(error) if args.force && is_absent(&error) => {
            message::error(&error);
            Ok(())
        }
        Err(error) => Err(error),
    })
}

fn is_absent(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(RemoveError::Lookup(LookupError::NotFound(_))))
}

fn remove_one(context: &Context, name: &str, options: RemoveOptions) -> Result<()> {
    Ok(context.engine()?.remove(name, options)?)
}

/// `stockade container prune`.
pub fn prune(context: &Context, args: &PruneArgs) -> Result<u8> {
    if !args.force && !message::confirmed("WARNING! This will remove all stopped containers.")? {
        return Ok(0);
    }
    let stopped = |container: &ContainerSummary| !matches!(container.status, Status::Running | Status::Paused);
    let containers = context.engine()?.list(&everything())?;
    let names: Vec<String> = containers.into_iter().filter(stopped).map(|container| container.id).collect();
    each_named(&names, |id| remove_one(context, id, RemoveOptions::default()))
}

/// `stockade wait`.
pub fn wait(context: &Context, args: &NamesArgs) -> Result<u8> {
    let engine = context.engine()?;
    message::each(&args.names, |name| message::print(engine.wait(name)?.to_string()))
}

/// `stockade pause`.
pub fn pause(context: &Context, args: &NamesArgs) -> Result<u8> {
    let engine = context.engine()?;
    each_named(&args.names, |name| Ok(engine.pause(name)?))
}

/// `stockade unpause`.
pub fn unpause(context: &Context, args: &NamesArgs) -> Result<u8> {
    let engine = context.engine()?;
    each_named(&args.names, |name| Ok(engine.unpause(name)?))
}

/// `stockade update`.
pub fn update(context: &Context, args: &UpdateArgs) -> Result<u8> {
    if args.restart.as_deref().is_some_and(|policy| policy != "no") {
        bail!("--restart: restart policies are not in this build");
    }
    let engine = context.engine()?;
    let resources = args.limits.resources();
    if resources == Default::default() {
        bail!("you must provide one or more flags when using this command");
    }
    each_named(&args.names, |name| Ok(engine.update(name, &resources)?))
}

/// `stockade rename`.
pub fn rename(context: &Context, args: &RenameArgs) -> Result<u8> {
    context.engine()?.rename(&args.name, &args.new_name)?;
    Ok(0)
}
