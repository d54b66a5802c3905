//! Finding the program to run, with runc's (Go's os/exec) rules and error texts.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, FileType, accessat, stat};
use rustix::io::Errno;
use stockade_sandbox::{Error, Result};

/// The file to execute for `program`, as the current user in the current root sees it.
pub(crate) fn find_program(program: &str, environment: &[String]) -> Result<CString> {
    if program.contains('/') {
        return by_path(program);
    }
    let search = environment.iter().rev().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or("");
    let found = candidates(search, program).find(|path| check_executable(path).is_ok());
    found.and_then(to_c).ok_or_else(|| Error::ExecutableNotFound(program.to_owned()))
}

/// An empty element is the working directory, but an empty list has no element (Go's filepath.SplitList).
fn candidates(search: &str, program: &str) -> impl Iterator<Item = PathBuf> {
    let dirs = search.split(':').filter(|_| !search.is_empty());
    dirs.map(move |dir| if dir.is_empty() { Path::new(".") } else { Path::new(dir) }.join(program))
}

fn by_path(program: &str) -> Result<CString> {
    match check_executable(Path::new(program)) {
        Ok(()) => to_c(program.into()).ok_or_else(|| Error::NoSuchProgram(program.to_owned())),
        Err(Errno::NOENT | Errno::NOTDIR) => Err(Error::NoSuchProgram(program.to_owned())),
        Err(errno) => Err(not_executable(program, errno)),
    }
}

/// The error of a program that exists and cannot run.
pub(crate) fn not_executable(program: &str, errno: Errno) -> Error {
    let reason = match errno {
        Errno::ACCESS => "permission denied".into(),
        Errno::ISDIR => "is a directory".into(),
        Errno::NOEXEC => "exec format error".into(),
        Errno::NOENT => "no such file or directory".into(),
        other => {
            let text = std::io::Error::from(other).to_string();
            text.split(" (os error").next().unwrap_or_default().to_lowercase()
        }
    };
    Error::NotExecutable { program: program.to_owned(), reason }
}

fn check_executable(path: &Path) -> rustix::io::Result<()> {
    let meta = stat(path)?;
    if FileType::from_raw_mode(meta.st_mode).is_dir() {
        return Err(Errno::ISDIR);
    }
    // EACCESS needs faccessat2 (5.8); without it fall back to the mode bits as Go does.
    match accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        Err(Errno::NOSYS | Errno::PERM) if meta.st_mode & 0o111 != 0 => Ok(()),
        answer => answer,
    }
}

fn to_c(path: PathBuf) -> Option<CString> {
    CString::new(path.as_os_str().as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_path_nothing_is_searched() {
        let check = |search: &str, expected: &[&str]| {
            assert_eq!(
                candidates(search, "x").collect::<Vec<_>>(),
                expected.iter().map(PathBuf::from).collect::<Vec<_>>()
            );
        };
        check("", &[]);
        check("/a:/b", &["/a/x", "/b/x"]);
        check(":/a", &["./x", "/a/x"]);
    }

    #[test]
    fn programs() {
        let check = |program: &str, path: &str, expected: &str| {
            let found = find_program(program, &[format!("PATH={path}")]);
            let found = found.map_or_else(|error| error.to_string(), |found| found.to_string_lossy().into_owned());
            assert_eq!(found, expected);
        };
        check("env", "/nonexistent:/usr/bin", "/usr/bin/env");
        check("/usr/bin/env", "", "/usr/bin/env");
        check("no-such", "/usr/bin", "exec: \"no-such\": executable file not found in $PATH");
        check("etc", "/", "exec: \"etc\": executable file not found in $PATH");
        check("/no/such", "/", "exec: \"/no/such\": stat /no/such: no such file or directory");
        check("/etc", "/", "exec: \"/etc\": is a directory");
        check("/etc/passwd", "/", "exec: \"/etc/passwd\": permission denied");
    }
}
