//! /etc/hosts, /etc/hostname and /etc/resolv.conf: files of the container's directory, mounted over the image's.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use oci_spec::runtime::Mount;

use super::{Context, SpecError, mounts};
use crate::StateError;
use crate::options::NamespaceMode;
use crate::state::Container;

/// Names in the container's directory and in /etc.
const FILES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

/// The addresses that every host has.
const HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n\
                     ff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// Writes the container's own files. Shared ones belong to the container whose network is shared.
pub(super) fn write(context: &Context<'_>) -> Result<(), SpecError> {
    if matches!(context.record.options.network, NamespaceMode::Container(_)) {
        return Ok(());
    }
    let hostname = format!("{}\n", context.record.hostname());
    for (name, text) in FILES.into_iter().zip([hosts(context), hostname, resolv_conf(context)]) {
        write_file(&context.container.file(name), &text)?;
    }
    Ok(())
}

/// Mounts the files.
pub(super) fn mounts(context: &Context<'_>) -> Result<Vec<Mount>, SpecError> {
    let access = if context.record.options.read_only { "ro" } else { "rw" };
    let owner = owner(context);
    FILES
        .iter()
        .map(|name| mounts::bind(&owner.join(name), &format!("/etc/{name}"), &["rbind", "rprivate", access]))
        .collect()
}

/// The directory with the files.
fn owner(context: &Context<'_>) -> PathBuf {
    match &context.record.options.network {
        NamespaceMode::Container(id) => Container::new(&context.engine.directories, id).dir,
        _ => context.container.dir.clone(),
    }
}

/// Readable by every user of the container, writable by its root.
fn write_file(path: &Path, text: &str) -> Result<(), StateError> {
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path)?;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
        std::io::Write::write_all(&mut file, text.as_bytes())
    };
    write().map_err(StateError::io("write", path))
}

/// /etc/hosts: the host's own with its network, else the loopback's names; then what was asked for.
fn hosts(context: &Context<'_>) -> String {
    let options = &context.record.options;
    let mut text = match options.network {
        NamespaceMode::Host => fs::read_to_string("/etc/hosts").unwrap_or_else(|_| HOSTS.to_owned()),
        _ => HOSTS.to_owned(),
    };
    for (name, address) in options.add_hosts.iter().filter_map(|host| host.split_once([':', '='])) {
        let _ = writeln!(text, "{address}\t{name}");
    }
    text
}

/// /etc/resolv.conf: what was asked for, and the host's for the rest.
fn resolv_conf(context: &Context<'_>) -> String {
    let options = &context.record.options;
    let host = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    if options.dns.is_empty() && options.dns_search.is_empty() && options.dns_options.is_empty() {
        return host;
    }
    let sections = [("nameserver", &options.dns), ("search", &options.dns_search), ("options", &options.dns_options)];
    sections.map(|(key, values)| resolver_lines(&host, key, values)).concat()
}

/// The lines of one key: what was asked for, or the host's. A `.` asks for none.
fn resolver_lines(host: &str, key: &str, values: &[String]) -> String {
    let lines: Vec<String> = if values.is_empty() {
        host.lines().filter(|line| line.split_whitespace().next() == Some(key)).map(str::to_owned).collect()
    } else if key == "nameserver" {
        values.iter().map(|value| format!("nameserver {value}")).collect()
    } else {
        let words: Vec<&str> = values.iter().map(String::as_str).filter(|value| *value != ".").collect();
        if words.is_empty() { Vec::new() } else { vec![format!("{key} {}", words.join(" "))] }
    };
    lines.into_iter().map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolver_settings() {
        let host = "nameserver 9.9.9.9\nsearch a b\noptions ndots:1\n";
        let check = |key: &str, values: &[&str], expected: &str| {
            let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
            assert_eq!(resolver_lines(host, key, &values), expected, "{key} {values:?}");
        };
        check("nameserver", &[], "nameserver 9.9.9.9\n");
        check("nameserver", &["1.1.1.1", "8.8.8.8"], "nameserver 1.1.1.1\nnameserver 8.8.8.8\n");
        check("search", &["c", "d"], "search c d\n");
        check("search", &["."], "");
        check("options", &[], "options ndots:1\n");
    }
}
