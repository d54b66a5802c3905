//! The C programs that tests run in containers.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::workspace_root;

/// A folder of programs, and how they are compiled.
#[derive(Clone, Copy, Debug)]
pub struct Programs {
    folder: &'static str,
    flags: &'static [&'static str],
}

/// `tests/attacks`: hostile ones, whose code is wrong on purpose.
pub const ATTACKS: Programs = Programs { folder: "tests/attacks", flags: &["-std=gnu17", "-w"] };

/// `tests/conformance`: they say the same on every Linux.
pub const CONFORMANCE: Programs = Programs { folder: "tests/conformance", flags: &["-Wall", "-Werror"] };

/// `tests/lab`: what the lab's machine can do.
pub const LAB: Programs = Programs { folder: "tests/lab", flags: &["-Wall", "-Werror"] };

impl Programs {
    /// The names of all, in order.
    #[track_caller]
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(workspace_root().join(self.folder)).expect("list the programs").flatten();
        let sources = entries.map(|entry| entry.path()).filter(|path| path.extension() == Some(OsStr::new("c")));
        let mut names: Vec<String> =
            sources.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
        names.sort();
        assert!(!names.is_empty(), "programs in {}", self.folder);
        names
    }

    /// Compiles some of them at once, static, into a directory.
    #[track_caller]
    pub fn build<S: AsRef<str>>(&self, names: &[S], directory: &Path) {
        let start = |name| self.compiler(name, directory).spawn().expect("start gcc");
        let compilers: Vec<_> = names.iter().map(|name| (name.as_ref(), start(name.as_ref()))).collect();
        for (name, mut compiler) in compilers {
            assert!(compiler.wait().expect("wait for gcc").success(), "gcc builds {name}");
        }
    }

    fn compiler(&self, name: &str, directory: &Path) -> Command {
        let source = workspace_root().join(self.folder).join(name).with_extension("c");
        let mut command = Command::new("gcc");
        command.args(["-O1", "-static", "-pthread"]).args(self.flags);
        command.arg("-o").arg(directory.join(name)).arg(source);
        command
    }
}
