//! Users and groups: who a process becomes, looked up in the container's own /etc/passwd and /etc/group.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use oci_spec::runtime::User;
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use stockade_sandbox::{Error, Result};

/// A longer /etc/passwd than this is an attack on our memory.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Who a process becomes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// `None` when passwd does not know the user.
    pub home: Option<String>,
}

impl Identity {
    /// Makes the primary group a supplementary one too, as a login does: else a program that changes its primary group
    /// sheds the one that a file's mode shuts out (CVE-2022-36109).
    fn keep_primary(&mut self) {
        if !self.groups.contains(&self.gid) {
            self.groups.insert(0, self.gid);
        }
    }
}

/// Resolves a process's user inside the current root: by name if one is given, else by the spec's numbers.
pub(crate) fn resolve(by_name: Option<&str>, spec: &User, needs_home: bool) -> Result<Identity> {
    resolve_with(by_name, spec, needs_home, read_database)
}

/// The same in a container that `read` reads files of: /etc/passwd and /etc/group, empty where absent.
pub fn resolve_with(
    by_name: Option<&str>,
    spec: &User,
    needs_home: bool,
    read: impl Fn(&str) -> Result<String>,
) -> Result<Identity> {
    let additional = spec.additional_gids().clone().unwrap_or_default();
    let Some(name) = by_name else {
        let home = if needs_home { home_of(&read("/etc/passwd")?, spec.uid()) } else { None };
        return Ok(Identity { uid: spec.uid(), gid: spec.gid(), groups: additional, home });
    };
    let (passwd, group) = (read("/etc/passwd")?, read("/etc/group")?);
    let mut identity = by_names(name, &passwd, &group)?;
    identity.groups.extend(additional);
    Ok(identity)
}

/// Docker's rule: `user[:group]`, each a name or a number; an unknown number stands for itself.
fn by_names(name: &str, passwd: &str, group: &str) -> Result<Identity> {
    let (user, wanted_group) = name.split_once(':').map_or((name, None), |(user, group)| (user, Some(group)));
    let entry = passwd.lines().filter_map(Account::parse).find(|a| a.name == user || user.parse() == Ok(a.uid));
    let number = user.parse().ok();
    let uid = entry.as_ref().map(|entry| entry.uid).or(number).or((user.is_empty()).then_some(0));
    let uid =
        uid.ok_or_else(|| Error::Other(format!("unable to find user {user}: no matching entries in passwd file")))?;
    let mut identity = Identity {
        uid,
        gid: entry.as_ref().map_or(0, |e| e.gid),
        groups: Vec::new(),
        home: entry.as_ref().map(|e| e.home.into()),
    };
    match wanted_group {
        Some(wanted) if !wanted.is_empty() => identity.gid = group_id(wanted, group)?,
        _ => identity.groups = entry.map_or_else(Vec::new, |entry| memberships(entry.name, group)),
    }
    identity.keep_primary();
    Ok(identity)
}

fn group_id(wanted: &str, group: &str) -> Result<u32> {
    let by_name = group.lines().filter_map(parse_group).find(|(name, ..)| *name == wanted).map(|(_, gid, _)| gid);
    let missing = || Error::Other(format!("unable to find group {wanted}: no matching entries in group file"));
    by_name.or_else(|| wanted.parse().ok()).ok_or_else(missing)
}

fn memberships(user: &str, group: &str) -> Vec<u32> {
    let member = |members: &str| members.split(',').any(|member| member == user);
    group.lines().filter_map(parse_group).filter(|(.., members)| member(members)).map(|(_, gid, _)| gid).collect()
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> Account<'a> {
    /// One line of passwd(5); malformed ones are none.
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let (name, _password) = (fields.next()?, fields.next()?);
        let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let home = fields.nth(1).unwrap_or("");
        Some(Self { name, uid, gid, home })
    }
}

fn parse_group(line: &str) -> Option<(&str, u32, &str)> {
    let mut fields = line.split(':');
    let (name, _password) = (fields.next()?, fields.next()?);
    Some((name, fields.next()?.parse().ok()?, fields.next().unwrap_or("")))
}

fn home_of(passwd: &str, uid: u32) -> Option<String> {
    let account = passwd.lines().filter_map(Account::parse).find(|account| account.uid == uid)?;
    (!account.home.is_empty()).then(|| account.home.to_owned())
}

/// Reads an account file of the container, which may be absent, a fifo, a device or endless.
fn read_database(path: &str) -> Result<String> {
    let read = || -> io::Result<String> {
        let file = open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
            return Ok(String::new());
        }
        let mut bytes = Vec::new();
        File::from(file).take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    match read() {
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => {
            Ok(String::new())
        }
        // An unreadable database names nobody; a numeric user still works.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(String::new()),
        answer => answer.map_err(|error| Error::os(format!("read {path}"), error)),
    }
}

/// The host's name of a user id, or the number.
pub(crate) fn name_on_host(uid: u32) -> String {
    if uid == 0 {
        return "root".into();
    }
    let passwd = std::fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    let name = passwd.lines().filter_map(Account::parse).find(|account| account.uid == uid).map(|a| a.name.to_owned());
    name.unwrap_or_else(|| uid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:33:34:w:/srv:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nweb:x:34:\nmail:x:8:web,root\nlog:x:9:web\n";

    #[test]
    fn names_and_numbers() {
        let check = |name: &str, uid, gid, groups: &[u32]| {
            let found = by_names(name, PASSWD, GROUP).unwrap();
            assert_eq!((found.uid, found.gid, &found.groups[..]), (uid, gid, groups), "{name}");
        };
        check("web", 33, 34, &[34, 8, 9]);
        check("33", 33, 34, &[34, 8, 9]);
        check("web:mail", 33, 8, &[8]);
        check("web:77", 33, 77, &[77]);
        check("1234", 1234, 0, &[0]);
        check("1234:5678", 1234, 5678, &[5678]);
        check("root", 0, 0, &[0, 8]);
        let listed = "web:x:34:web\nmail:x:8:web\n";
        assert_eq!(by_names("web", PASSWD, listed).unwrap().groups, [34, 8], "named once");
        assert!(by_names("nobody", PASSWD, GROUP).is_err());
        assert!(by_names("web:nobody", PASSWD, GROUP).is_err());
        assert_eq!(home_of(PASSWD, 33).as_deref(), Some("/srv"));
    }
}
