//! Class `kernel`: terminals, their sizes and their keys.

mod kernel;

use kernel::{DEBIAN, Kernel};
use stockade_tests::Pty;

/// Says when it is ready, which is after its shell has given it the terminal, and when it goes on.
const JOB: &str = r#"perl -e '$| = 1; $SIG{CONT} = sub { print "goes on\n" }; print "ready\n"; sleep 9 while 1'"#;

fn shell(kernel: &Kernel) -> Pty {
    let mut pty = Pty::spawn(kernel.run(&["-it"], &["bash", "--norc", "--noediting"]));
    pty.expect_shell();
    pty.send("PS1='ne''xt: '\n");
    pty.expect("next: ");
    pty
}

/// Types a line and waits for what it brings.
#[track_caller]
fn ask(pty: &mut Pty, line: &str, expected: &str) {
    pty.send(format!("{line}\n"));
    pty.expect(expected);
}

/// The same where a prompt follows.
#[track_caller]
fn answer(pty: &mut Pty, line: &str, expected: &str) {
    ask(pty, line, expected);
    pty.expect("next: ");
}

/// Presses a key that brings the prompt back.
#[track_caller]
fn press(pty: &mut Pty, key: char) {
    pty.send(key.to_string());
    pty.expect("next: ");
}

#[test]
fn a_shell_has_a_terminal_of_the_right_size() {
    let kernel = Kernel::new(DEBIAN);
    let mut pty = shell(&kernel);
    pty.resize(40, 111);
    pty.expect_size("40 111");
    pty.send("echo $TERM; stty -echo; exit 5\n");
    let (code, output) = pty.wait();
    assert_eq!(code, 5, "{output}");
    assert!(output.contains("xterm"), "{output}");
}

#[test]
fn keys_become_signals_and_jobs_stop_and_go_on() {
    let kernel = Kernel::new(DEBIAN);
    let mut pty = shell(&kernel);
    ask(&mut pty, &format!("{JOB} && echo ne''ver"), "ready\r\n");
    press(&mut pty, '\x03');
    answer(&mut pty, "echo status:$?", "status:130\r\n");
    ask(&mut pty, JOB, "ready\r\n");
    pty.send("\x1a");
    pty.expect("Stopped");
    pty.expect("next: ");
    answer(&mut pty, "jobs", "Stopped");
    ask(&mut pty, "fg", "goes on\r\n");
    press(&mut pty, '\x03');
    answer(&mut pty, "echo ended:$?", "ended:130\r\n");
    ask(&mut pty, "cat", "cat\r\n");
    ask(&mut pty, "typed", "typed\r\ntyped\r\n");
    press(&mut pty, '\x04');
    pty.send("\x04");
    assert_eq!(pty.wait().0, 0);
}

#[test]
fn exec_has_a_terminal_of_its_own() {
    let kernel = Kernel::new(DEBIAN);
    kernel.background("box", &["sleep", "1000"]);
    let mut pty = Pty::spawn(kernel.stockade(&["exec", "-it", "box", "bash", "--norc"]));
    pty.expect_shell();
    pty.send("exit 6\n");
    assert_eq!(pty.wait().0, 6);
}
