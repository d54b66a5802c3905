//! `create`.

use std::fs;
use std::path::{Path, PathBuf};

use stockade_sandbox::IsolationClass;

use super::CreateError;
use crate::options::{InvalidOption, NamespaceMode, SeccompProfile};
use crate::state::{Container, NameTable, Record, new_id, now, random_name, remove_tree};
use crate::{ContainerImage, ContainerOptions, Engine, StateError};

/// How many random names to try.
const NAME_ATTEMPTS: usize = 3;

impl Engine {
    /// Makes a container and returns its id (64 hexadecimal digits). Nothing of it runs yet.
    pub fn create(&self, options: ContainerOptions, image: ContainerImage) -> Result<String, CreateError> {
        let mut record = self.resolve_record(options, image)?;
        let names = NameTable::lock(&self.directories)?;
        let staging = self.directories.containers().join(format!("{}.new", record.id));
        let made = self.build_container(&names, &staging, &mut record);
        if made.is_err() {
            self.abandon(&names, &staging, &record);
        }
        made?;
        self.log_event(&record, "create", &[]);
        Ok(record.id)
    }

    /// Options and image as one document: files read, names resolved, contradictions refused.
    fn resolve_record(&self, mut options: ContainerOptions, image: ContainerImage) -> Result<Record, CreateError> {
        options.resources.validate()?;
        let isolation = options.isolation.unwrap_or(IsolationClass::Native);
        // A class that this build lacks is refused now, not at start.
        self.backend.runtime(isolation, &self.directories)?;
        self.resolve_namespaces(&mut options)?;
        read_seccomp(&mut options)?;
        let command = command(&options, &image)?;
        let mounts = self.resolve_mounts(&options, &image)?;
        let record = Record {
            id: new_id()?,
            name: options.name.clone().unwrap_or_default(),
            created: now(),
            isolation,
            image,
            options,
            command,
            mounts,
        };
        crate::spec::check(&record)?;
        Ok(record)
    }

    /// Turns `container:NAME` into `container:ID`.
    fn resolve_namespaces(&self, options: &mut ContainerOptions) -> Result<(), CreateError> {
        if matches!(options.uts, NamespaceMode::Container(_)) || matches!(options.cgroupns, NamespaceMode::Container(_))
        {
            return Err(InvalidOption::new("--uts and --cgroupns take only private or host").into());
        }
        for mode in [&options.pid, &options.ipc, &options.uts, &options.cgroupns] {
            if matches!(mode, NamespaceMode::Path(_)) {
                return Err(InvalidOption::new("only --network can be that of a path").into());
            }
        }
        for mode in [&options.network, &options.pid, &options.uts, &options.cgroupns] {
            if *mode == NamespaceMode::Shareable {
                return Err(InvalidOption::new("only --ipc can be shareable").into());
            }
        }
        for mode in [&mut options.network, &mut options.pid, &mut options.ipc] {
            if let NamespaceMode::Container(name) = mode {
                *name = self.find(name)?.id;
            }
        }
        self.check_joins(options)
    }

    /// What is joined must allow it; and who shares a network shares its host's name, unless that network is the host's
    /// and another name is asked for.
    fn check_joins(&self, options: &mut ContainerOptions) -> Result<(), CreateError> {
        let record = |id: &str| Container::new(&self.directories, id).record();
        if let NamespaceMode::Container(id) = &options.ipc
            && record(id)?.options.ipc != NamespaceMode::Shareable
        {
            let text = format!("cannot join IPC of a non-shareable container {id}: create it with --ipc shareable");
            return Err(InvalidOption(text).into());
        }
        if options.network == NamespaceMode::Host && options.hostname.is_none() {
            options.hostname = Some(rustix::system::uname().nodename().to_string_lossy().into_owned());
        }
        if let NamespaceMode::Container(id) = &options.network {
            if options.hostname.is_some() {
                return Err(InvalidOption::new("conflicting options: hostname and the network mode").into());
            }
            options.hostname = Some(record(id)?.hostname().to_owned());
        }
        Ok(())
    }

    /// Everything on disk; it appears as a container with the last step.
    fn build_container(&self, names: &NameTable<'_>, staging: &Path, record: &mut Record) -> Result<(), CreateError> {
        self.claim_name(names, record)?;
        fs::create_dir_all(staging).map_err(StateError::io("create", staging))?;
        let container = Container { id: record.id.clone(), dir: staging.to_owned(), run: PathBuf::new() };
        container.write_record(record)?;
        self.lease(record)?;
        self.make_volumes(record)?;
        let place = self.directories.containers().join(&record.id);
        Ok(fs::rename(staging, &place).map_err(StateError::io("create", &place))?)
    }

    /// Takes the name asked for, or a free random one.
    fn claim_name(&self, names: &NameTable<'_>, record: &mut Record) -> Result<(), CreateError> {
        if record.options.name.is_some() {
            return names.claim(&record.name, &record.id);
        }
        let mut attempt = 0;
        loop {
            record.name = random_name(&record.id, attempt);
            attempt += 1;
            match names.claim(&record.name, &record.id) {
                Err(CreateError::NameTaken { .. }) if attempt < NAME_ATTEMPTS => {}
                other => return other,
            }
        }
    }

    /// Undoes a creation that failed.
    fn abandon(&self, names: &NameTable<'_>, staging: &Path, record: &Record) {
        names.free(&record.name, &record.id);
        if staging.exists() {
            let _ = self.release_lease(&record.id);
            let _ = self.remove_anonymous_volumes(record);
            let _ = remove_tree(staging);
        }
    }
}

/// Entrypoint and command, as Docker combines them.
fn command(options: &ContainerOptions, image: &ContainerImage) -> Result<Vec<String>, CreateError> {
    let image_command = image.config.cmd().clone().unwrap_or_default();
    let (entrypoint, fallback) = match &options.entrypoint {
        Some(entrypoint) => (entrypoint.clone(), Vec::new()),
        None => (image.config.entrypoint().clone().unwrap_or_default(), image_command),
    };
    let arguments = if options.command.is_empty() { fallback } else { options.command.clone() };
    let command: Vec<String> = entrypoint.into_iter().chain(arguments).collect();
    if command.is_empty() { Err(CreateError::NoCommand) } else { Ok(command) }
}

/// Keeps the text of a seccomp profile, so that the file may go.
fn read_seccomp(options: &mut ContainerOptions) -> Result<(), CreateError> {
    if let SeccompProfile::File(path) = &options.security.seccomp {
        let text = fs::read_to_string(path)
            .map_err(|error| InvalidOption(format!("opening seccomp profile ({}) failed: {error}", path.display())))?;
        options.security.seccomp = SeccompProfile::Json(text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use oci_spec::image::ConfigBuilder;

    use super::*;

    #[test]
    fn entrypoints_and_commands() {
        let words = |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        let check = |image: (&str, &str), entrypoint: Option<&str>, arguments: &str, expected: Option<&str>| {
            let config = ConfigBuilder::default().entrypoint(words(image.0)).cmd(words(image.1)).build().unwrap();
            let image = ContainerImage { config, ..Default::default() };
            let options =
                ContainerOptions { entrypoint: entrypoint.map(words), command: words(arguments), ..Default::default() };
            assert_eq!(command(&options, &image).ok(), expected.map(words));
        };
        check(("", "sh"), None, "", Some("sh"));
        check(("", "sh"), None, "ls -l", Some("ls -l"));
        check(("entry", "default"), None, "", Some("entry default"));
        check(("entry", "default"), None, "other", Some("entry other"));
        check(("entry", "default"), Some("mine"), "", Some("mine"));
        check(("entry", "default"), Some("mine"), "x", Some("mine x"));
        check(("entry", "default"), Some(""), "x", Some("x"));
        check(("entry", "default"), Some(""), "", None);
        check(("", ""), None, "", None);
    }
}
