//! Terminals: raw mode, sizes, detach keys, and their restoration.

mod people;

use people::{IMAGE, People};
use rustix::process::Signal;
use rustix::termios::{LocalModes, tcgetattr};
use stockade_tests::Pty;

/// Whether the terminal echoes, which raw mode switches off.
fn echoes(pty: &Pty) -> bool {
    tcgetattr(pty.terminal()).unwrap().local_modes.contains(LocalModes::ECHO)
}

/// A shell on a terminal that runs `stockade ARGS` and tells how it ended, so that the terminal outlives it.
fn shell(people: &People, args: &[&str]) -> Pty {
    let command = people.stockade(args).into_inner();
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap().replace('\'', "'\\''")))
        .collect();
    let script = format!("{}; echo \"ended:$?\"; stty -a | grep -o ' -*echo '; read line", words.join(" "));
    Pty::spawn(people.scratch.marked(stockade_tests::Cmd::new("sh").args(["-c", &script])))
}

#[test]
fn a_shell_in_a_container() {
    let people = People::new();
    let mut pty = Pty::spawn(people.stockade(&["run", "-it", "--rm", IMAGE, "sh"]));
    pty.expect("# ");
    pty.send("tty; stty size\r");
    pty.expect("/dev/pts/0");
    pty.expect("24 80");
    pty.resize(40, 111);
    pty.expect_size("40 111");
    pty.send("echo $TERM; exit 5\r");
    let (code, output) = pty.wait();
    assert_eq!(code, 5, "{output}");
    assert!(output.contains("xterm"), "{output}");
}

#[test]
fn control_c_goes_to_the_container() {
    let people = People::new();
    let mut pty = shell(
        &people,
        &[
            "run",
            "-it",
            "--rm",
            IMAGE,
            "sh",
            "-c",
            "trap 'echo caught; exit 8' INT; echo ready; while :; do sleep 0.1; done",
        ],
    );
    pty.expect("ready");
    pty.send("\x03");
    pty.expect("caught");
    pty.expect("ended:8");
    pty.expect(" echo");
    assert!(echoes(&pty));
}

#[test]
fn detach_and_attach_again() {
    let people = People::new();
    let mut pty = shell(&people, &["run", "-it", "--name", "web", IMAGE, "sh"]);
    pty.expect("# ");
    assert!(!echoes(&pty));
    pty.send("a=first\r");
    pty.expect("# ");
    pty.send("\x10\x11");
    pty.expect("ended:0");
    assert!(echoes(&pty));
    assert_eq!(people.field("web", "{{.State.Running}}"), "true");

    let mut pty = shell(&people, &["attach", "--detach-keys", "ctrl-x,d", "web"]);
    // The shell draws its prompt again for who has just come.
    pty.expect("# ");
    pty.send("echo $a\r");
    pty.expect("first");
    pty.send("\x18d");
    pty.expect("ended:0");
    assert!(echoes(&pty));

    let mut pty = shell(&people, &["attach", "web"]);
    pty.send("exit 3\r");
    pty.expect("ended:3");
    assert_eq!(people.field("web", "{{.State.ExitCode}}"), "3");
}

#[test]
fn exec_has_a_terminal_of_its_own() {
    let people = People::new();
    people.background(&["--name", "web"], &["sleep", "1000"]);
    let mut pty = shell(&people, &["exec", "-it", "web", "sh"]);
    pty.expect("# ");
    pty.send("stty size; tty\r");
    pty.expect("24 80");
    pty.expect("/dev/pts/");
    pty.resize(30, 90);
    pty.expect_size("30 90");
    pty.send("exit 6\r");
    pty.expect("ended:6");
    assert!(echoes(&pty));
}

#[test]
fn a_killed_container_restores_the_terminal() {
    let people = People::new();
    let mut pty = shell(&people, &["run", "-it", "--name", "web", IMAGE, "sh"]);
    pty.expect("# ");
    people.stockade(&["kill", "web"]).ok();
    pty.expect("ended:137");
    assert!(echoes(&pty));

    let mut pty = shell(&people, &["run", "-it", "--rm", IMAGE, "no-such-program"]);
    pty.expect("ended:127");
    assert!(echoes(&pty));
}

#[test]
fn a_terminated_command_restores_the_terminal() {
    let people = People::new();
    let mut pty = Pty::spawn(people.stockade(&["run", "-it", "--name", "web", "--sig-proxy=false", IMAGE, "sh"]));
    pty.expect("# ");
    assert!(!echoes(&pty));
    pty.signal(Signal::HUP);
    let terminal = rustix::io::dup(pty.terminal()).unwrap();
    pty.wait();
    assert!(tcgetattr(&terminal).unwrap().local_modes.contains(LocalModes::ECHO));
}

#[test]
fn a_terminal_without_one_is_refused() {
    let people = People::new();
    let error = people.run(&["-it", "--rm"], &["sh"]).exits(125).stderr;
    assert!(error.contains("the input device is not a TTY"), "{error}");
    assert!(people.run(&["-t", "--rm"], &["tty"]).ok().stdout.contains("/dev/pts/0"));
}

#[test]
fn live_statistics_clear_the_screen() {
    let people = People::new();
    people.background(&["--name", "web"], &["sleep", "1000"]);
    let mut pty = Pty::spawn(people.stockade(&["stats", "web"]));
    pty.expect("\x1b[2J\x1b[HCONTAINER ID");
    pty.expect("\x1b[2J\x1b[HCONTAINER ID");
    pty.send("\x03");
    let (code, output) = pty.wait();
    assert_eq!(code, 130, "{output}");
}
