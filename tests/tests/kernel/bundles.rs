//! Bundles in class `kernel`: the same in two classes, and the comparison.

use std::fs;

use rustix::process::Pid;
use serde_json::json;
use stockade_tests::{Bundle, Cmd, Output, Scratch};

use super::{assert_same_answers, one_script};

/// As Docker gives them to root.
pub const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// What Docker lets root do.
pub fn with_capabilities(bundle: Bundle) -> Bundle {
    let all = json!(CAPABILITIES);
    bundle
        .set("/process/capabilities", json!({"bounding": all, "effective": all, "permitted": all}))
        .set("/process/noNewPrivileges", json!(false))
        .set("/process/rlimits", json!([]))
}

/// A bundle on Debian's root.
pub fn debian(args: &[&str]) -> Bundle {
    with_capabilities(Bundle::debian(args))
}

/// `stockade-oci` in a class.
pub fn oci(scratch: &Scratch, class: &str, args: &[&str]) -> Cmd {
    scratch.oci(&["--isolation", class]).args(args)
}

/// Runs a bundle in a class.
pub fn run(scratch: &Scratch, class: &str, bundle: &Bundle) -> Output {
    oci(scratch, class, &["run", "--bundle"]).arg(bundle.path()).arg(scratch.id(class)).run()
}

/// Runs scripts that an empty line separates in both classes, each on a directory of its own.
#[track_caller]
pub fn same_scripts(shell: &str, scripts: &str) {
    let scripts: Vec<&str> = scripts.split("\n\n").collect();
    let all = one_script(shell, &scripts);
    let scratch = Scratch::new();
    let said = ["native", "kernel"].map(|class| {
        let output = run(&scratch, class, &debian(&[shell, "-c", &all]));
        assert_eq!(output.code, 0, "{output}");
        output.stdout
    });
    assert_same_answers(&scripts, &said[0], &said[1]);
}

/// Runs a command in both classes; its streams and its exit code must be the same.
#[track_caller]
pub fn same(prepare: impl Fn(Bundle) -> Bundle, args: &[&str]) -> Output {
    let scratch = Scratch::new();
    let [native, kernel] = ["native", "kernel"].map(|class| run(&scratch, class, &prepare(debian(args))));
    assert_eq!(
        (&kernel.stdout, &kernel.stderr, kernel.code),
        (&native.stdout, &native.stderr, native.code),
        "{args:?}: class kernel, then class native"
    );
    kernel
}

/// Processes of a container whose command line begins with a word.
pub fn processes(id: &str, word: &str) -> Vec<Pid> {
    let read = |pid: i32, file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let all = fs::read_dir("/proc").expect("list processes").flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| read(*pid, "cmdline").starts_with(word) && read(*pid, "cgroup").contains(id))
        .filter_map(Pid::from_raw)
        .collect()
}
