//! Class `kernel` on the trap paths of older hosts, which `STOCKADE_TRAP_PATH` forces: the same as on this host's own.

mod kernel;

use kernel::{BUSYBOX, DEBIAN, Kernel};

/// What `kernel_run.rs` compares with class `native`.
const SCRIPTS: [(&str, &str); 5] = [
    ("shells", include_str!("kernel/shells.sh")),
    ("signals", include_str!("kernel/signals_and_exit_codes.sh")),
    ("text tools", include_str!("kernel/text_tools.sh")),
    ("perl", include_str!("kernel/perl_programs.sh")),
    ("process substitution", include_str!("kernel/process_substitution.sh")),
];

#[track_caller]
fn check(path: &'static str) {
    let kernel = Kernel::new(DEBIAN).on_path(path);
    for (what, scripts) in SCRIPTS {
        eprintln!("{path}: {what}");
        kernel.same_scripts("bash", scripts);
    }
    kernel.same_with_input(&["-i"], &["md5sum"], &"0123456789abcde\n".repeat(100_000));
    Kernel::new(BUSYBOX).on_path(path).same_scripts("sh", include_str!("kernel/busybox_applets.sh"));
}

#[test]
fn interruptible() {
    check("interruptible");
}

#[test]
fn pinned() {
    check("pinned");
}

#[test]
fn a_path_that_does_not_exist_is_refused() {
    let output = Kernel::new(BUSYBOX).on_path("fastest").run(&[], &["true"]).exits(125);
    assert!(output.stderr.contains("use interruptible, pinned or sync"), "{output}");
}
