//! The pages of docs/reference that the binaries write themselves: `cargo xtask docs` stores them, a test compares.

use stockade_kernel::syscall::{Support, TABLE, UNSERVED};

use crate::{Cmd, bin};

/// A page: its path from the root of the tree, and its text.
#[derive(Debug)]
pub struct Page {
    /// For example `docs/reference/cli.md`.
    pub path: &'static str,
    /// Markdown.
    pub text: String,
}

const CLI: &str = "# `stockade`: the command line for people

Written by `cargo xtask docs` from `stockade --help`. Names, shorthands and meanings are Docker's wherever Docker has
the flag. Exit status: the container's own; 125 when Stockade could not do what was asked, 126 when the program in the
container cannot be executed, 127 when it is not there.
";

const CONFIG: &str = "# The config file

Written by `cargo xtask docs` from `stockade info --default-config`. The file is TOML, `/etc/stockade/config.toml`
unless `--config` names another; every key is optional, and an unknown key is refused with the nearest known name. A
commented line shows a key's default.
";

const OCI: &str = "# `stockade-oci`: the OCI runtime command line

Written by `cargo xtask docs` from `stockade-oci --help`. Verbs, flags, files and error texts are runc's; global options
come before the verb, and a container's own options may also follow its id. How to put it under containerd, Docker and
Podman: [drop-in.md](../drop-in.md).
";

const SYSCALLS: &str = "# System calls of class `kernel`

Written by `cargo xtask docs` from the table in `kernel/core/src/syscall/table.rs`, which the kernel itself dispatches
by, and from that of what is not served in `unserved.rs` beside it. A call's handler is the function of its name in
`kernel/core/src/syscall/FAMILY.rs`. Unknown flags are refused, never ignored. Futexes on plain words, the clocks of the
vDSO, `sched_yield`, `restart_syscall` and page faults are the host's and reach the kernel only in special cases.
";

/// Asks the binaries.
#[track_caller]
pub fn pages() -> Vec<Page> {
    vec![
        Page { path: "docs/reference/syscalls.md", text: syscalls() },
        Page { path: "docs/reference/cli.md", text: help_of("stockade", CLI) },
        Page { path: "docs/reference/oci.md", text: help_of("stockade-oci", OCI) },
        Page { path: "docs/reference/config.md", text: format!("{CONFIG}\n```toml\n{}\n```\n", config().trim_end()) },
    ]
}

fn syscalls() -> String {
    let served = TABLE.iter().filter(|entry| !matches!(entry.support, Support::None(_))).count();
    let full = TABLE.iter().filter(|entry| entry.support == Support::Full).count();
    let mut text = format!("{SYSCALLS}\n{served} calls are served, {full} of them in full.\n\n");
    text.push_str("| number | call | family | support |\n|---|---|---|---|\n");
    for entry in TABLE {
        let support = match entry.support {
            Support::Full => "full",
            Support::Partial(lacks) | Support::None(lacks) => lacks,
        };
        text.push_str(&format!("| {} | `{}` | `{}` | {support} |\n", entry.number, entry.name, entry.family));
    }
    text.push_str("\n## Not served\n\nThese, and all numbers without a name, answer ENOSYS.\n\n");
    text.push_str("| number | call | why |\n|---|---|---|\n");
    for call in UNSERVED {
        text.push_str(&format!("| {} | `{}` | {} |\n", call.number, call.name, call.reason));
    }
    text
}

fn config() -> String {
    Cmd::new(bin("stockade")).args(["info", "--default-config"]).ok().stdout
}

fn help_of(program: &str, introduction: &str) -> String {
    let mut text = introduction.to_owned();
    section(&mut text, program, &[]);
    text
}

/// A verb's help, then that of the verbs below it.
fn section(text: &mut String, program: &str, verb: &[&str]) {
    // COLUMNS would change the wrapping, STOCKADE_* the defaults.
    let help = Cmd::new(bin(program)).args(verb).arg("--help").env_remove("COLUMNS").ok().stdout;
    let title = [&[program], verb].concat().join(" ");
    let trimmed: Vec<&str> = help.lines().map(str::trim_end).collect();
    text.push_str(&format!("\n## `{title}`\n\n```text\n{}\n```\n", trimmed.join("\n").trim_end()));
    for below in verbs_in(&help) {
        section(text, program, &[verb, &[below]].concat());
    }
}

/// The first word of each line under `Commands:`.
fn verbs_in(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let is_verb = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    lines.filter(is_verb).filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_the_first_words_of_their_lines() {
        let help =
            "Usage: x\n\nCommands:\n  run     Make\n          more\n  help  Print\n  rm  Remove\n\nOptions:\n  -h\n";
        assert_eq!(verbs_in(help), ["run", "rm"]);
        assert_eq!(verbs_in("Usage: x\n"), Vec::<&str>::new());
    }
}
