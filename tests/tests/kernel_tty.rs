//! Class `kernel`: terminals, their sizes and their keys.

mod kernel;

use kernel::{DEBIAN, Kernel};
use stockade_tests::Pty;

fn shell(kernel: &Kernel) -> Pty {
    let mut pty = Pty::spawn(kernel.run(&["-it"], &["bash", "--norc", "--noediting"]));
    pty.expect_shell();
    pty
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

/// Until the shell has put the job on the terminal.
fn wait_a_moment() {
    std::thread::sleep(std::time::Duration::from_millis(500));
}

#[test]
fn keys_become_signals_and_jobs_stop_and_go_on() {
    let kernel = Kernel::new(DEBIAN);
    let mut pty = shell(&kernel);
    pty.send("sleep 100 && echo ne''ver\n");
    pty.expect("ver\r\n");
    wait_a_moment();
    pty.send("\x03");
    pty.expect("# ");
    pty.send("echo status:$?\n");
    pty.expect("status:130");
    pty.send("sleep 200\n");
    pty.expect("sleep 200\r\n");
    wait_a_moment();
    pty.send("\x1a");
    pty.expect("Stopped");
    pty.send("fg\n");
    pty.expect("sleep 200\r\n");
    wait_a_moment();
    pty.send("\x03");
    pty.expect("# ");
    pty.send("echo ended:$?\n");
    pty.expect("ended:130");
    pty.send("cat\n");
    pty.expect("cat\r\n");
    pty.send("typed\n\x04");
    pty.expect("typed\r\ntyped\r\n");
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
