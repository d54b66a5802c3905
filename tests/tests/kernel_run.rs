//! Class `kernel`: the same command says and returns the same as in class `native`.

mod kernel;

use kernel::{BUSYBOX, DEBIAN, Kernel};

#[test]
fn shells() {
    Kernel::new(DEBIAN).same_scripts("bash", include_str!("kernel/shells.sh"));
}

#[test]
fn signals_and_exit_codes() {
    let kernel = Kernel::new(DEBIAN);
    kernel.same_scripts("bash", include_str!("kernel/signals_and_exit_codes.sh"));
    for (script, code) in
        [("exit 3", 3), ("kill -9 $$; exit 5", 5), ("kill -TERM $$; sleep 1; exit 4", 4), ("no_such", 127)]
    {
        assert_eq!(kernel.same(&[], &["bash", "-c", script]).code, code, "{script}");
    }
    for command in ["no-such-program", "/no/such", "/etc", "/etc/passwd"] {
        kernel.same(&[], &[command]);
    }
}

#[test]
fn text_tools() {
    Kernel::new(DEBIAN).same_scripts("bash", include_str!("kernel/text_tools.sh"));
}

#[test]
fn perl_programs() {
    Kernel::new(DEBIAN).same_scripts("bash", include_str!("kernel/perl_programs.sh"));
}

#[test]
fn busybox_applets() {
    Kernel::new(BUSYBOX).same_scripts("sh", include_str!("kernel/busybox_applets.sh"));
}

#[test]
fn streams() {
    let kernel = Kernel::new(DEBIAN);
    kernel.same_with_input(&["-i"], &["cat"], "typed");
    kernel.same_with_input(&[], &["cat"], "ignored");
    kernel.same_with_input(&["-i"], &["md5sum"], &"0123456789abcde\n".repeat(100_000));
    kernel.same_with_input(&["-i"], &["bash", "-c", "read a; read b; echo $b $a; cat"], "1\n2\nrest\n");
    let output = kernel.run(&[], &["seq", "1", "200000"]).ok().stdout;
    assert!(output.lines().enumerate().all(|(n, line)| line == (n + 1).to_string()));
    assert_eq!(output.lines().count(), 200_000);
    kernel.same(&[], &["bash", "-c", "echo out; echo err >&2; echo out again; exit 9"]);
}

#[test]
fn process_substitution() {
    Kernel::new(DEBIAN).same_scripts("bash", include_str!("kernel/process_substitution.sh"));
}
