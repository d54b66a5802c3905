//! `run` and `create`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use stockade_engine::{Ahead, AttachOptions, ContainerImage, Engine};
use stockade_sandbox::{ANNOTATION, GUEST_KERNEL_ANNOTATION, IsolationClass};
use stockade_vm_kernel::Name;

use super::context::Context;
use super::{message, pull, session};
use crate::args::{CreateArgs, CreateFlags, RunArgs};
use crate::{options, runtime};

/// `stockade create`.
pub fn create(context: &Context, args: &CreateArgs) -> Result<u8> {
    let made = Made::new(context, args, Presence::Background)?;
    message::print(&made.id)?;
    Ok(0)
}

/// `stockade run`.
pub fn run(context: &Context, args: &RunArgs) -> Result<u8> {
    let flags = &args.create.flags;
    if args.detach {
        if !flags.init.attach.is_empty() {
            bail!("Conflicting options: -a and -d");
        }
        let made = Made::new(context, &args.create, Presence::Background)?;
        made.engine.start(&made.id)?;
        message::print(&made.id)?;
        return Ok(0);
    }
    let (keys, proxy) = session::manner(context, &args.session)?;
    session::check_input(&flags.init.process)?;
    let made = Made::new(context, &args.create, Presence::Foreground)?;
    let stdin = session::join_streams(&flags.init.attach, flags.init.process.interactive)?;
    let session = made.engine.start_attached_by(made.supervisor, &made.id, &AttachOptions { stdin })?;
    let outcome = session.run(&keys, proxy)?;
    Ok(session::exit_code(outcome))
}

/// Whether the command stays with its container.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Foreground,
    Background,
}

/// A container that was just made.
struct Made {
    engine: Engine,
    id: String,
    /// What waits to keep it, if the command stays with it.
    supervisor: Option<Ahead>,
}

impl Made {
    fn new(context: &Context, args: &CreateArgs, presence: Presence) -> Result<Self> {
        let flags = &args.flags;
        flags.later.check().map_err(|text| anyhow!(text))?;
        let class = class(context, flags)?;
        let kernel = guest_kernel(context, flags, class)?;
        runtime::check(class, &context.directories.root, &kernel)?;
        let (name, command) = args.image_and_command.split_first().context("an image is needed")?;
        let mut options = options::container(&context.config, flags, command)?;
        options.isolation = Some(class);
        if class == IsolationClass::Vm {
            options.annotations.insert(GUEST_KERNEL_ANNOTATION.to_owned(), kernel.into());
        }
        options.stdin_once = presence == Presence::Foreground && options.interactive;
        let cidfile = flags.keep.cidfile.as_deref().map(CidFile::new).transpose()?;
        let (engine, store) = (context.engine()?, context.store()?);
        let supervisor = (presence == Presence::Foreground).then(|| engine.supervisor_ahead(class)).transpose()?;
        let image = pull::image_for(context, &store, name, flags)?;
        let id = engine.create(options, ContainerImage::from_store(&image, name))?;
        cidfile.map_or(Ok(()), |file| file.write(&id))?;
        Ok(Self { engine, id, supervisor })
    }
}

/// Flag, annotation, config file: in this order.
fn guest_kernel(context: &Context, flags: &CreateFlags, class: IsolationClass) -> Result<Name> {
    match (&flags.security.guest_kernel, annotation(flags, GUEST_KERNEL_ANNOTATION)) {
        (Some(_), _) if class != IsolationClass::Vm => {
            bail!("--guest-kernel: only class vm has one, and this is {class}")
        }
        (Some(name), _) => Ok(name.clone()),
        (None, Some(name)) => Ok(name.parse()?),
        (None, None) => Ok(context.config.guest_kernel.clone()),
    }
}

/// The last of a key.
fn annotation<'a>(flags: &'a CreateFlags, key: &str) -> Option<&'a str> {
    flags.keep.annotation.iter().rev().find(|(found, _)| found == key).map(|(_, value)| value.as_str())
}

/// In the same order.
fn class(context: &Context, flags: &CreateFlags) -> Result<IsolationClass> {
    match (flags.security.isolation, annotation(flags, ANNOTATION)) {
        (Some(class), _) => Ok(class),
        (None, Some(class)) => Ok(class.parse()?),
        (None, None) => Ok(context.config.isolation),
    }
}

/// `--cidfile`: made before the container, so that no container goes unrecorded; without one it goes again.
struct CidFile<'a> {
    path: &'a Path,
    file: std::fs::File,
    written: bool,
}

impl<'a> CidFile<'a> {
    fn new(path: &'a Path) -> Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        let file = file.with_context(|| format!("make the container id file {}", path.display()))?;
        Ok(Self { path, file, written: false })
    }

    fn write(mut self, id: &str) -> Result<()> {
        self.file.write_all(id.as_bytes()).with_context(|| format!("write {}", self.path.display()))?;
        self.written = true;
        Ok(())
    }
}

impl Drop for CidFile<'_> {
    fn drop(&mut self) {
        if !self.written {
            // It is gone already at worst.
            let _ = std::fs::remove_file(self.path);
        }
    }
}
