//! Terminals of `stockade-oci`: console sockets for callers, and a proxy for people.

use std::io::{IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::termios::{LocalModes, tcgetattr};
use serde_json::json;
use stockade_tests::{Cmd, Pty, Scratch, bin};

#[test]
fn the_master_side_goes_over_the_console_socket() {
    let scratch = Scratch::new();
    let bundle = scratch.bundle(&["sh", "-c", "tty; echo on the console"]).set("/process/terminal", json!(true));
    let id = scratch.id("socket");
    let no_socket = scratch.oci(&["create", "--bundle"]).arg(bundle.path()).arg(&id).exits(1);
    assert!(no_socket.stderr.contains("cannot allocate tty if runc will detach"), "{no_socket}");

    let socket = scratch.path("console.sock");
    let listener = UnixListener::bind(&socket).expect("listen");
    let create = scratch.oci(&["create", "--console-socket"]).arg(&socket).arg("--bundle").arg(bundle.path()).arg(&id);
    create.ok();
    let (stream, _) = listener.accept().expect("accept");
    let master = receive(&stream);
    scratch.oci(&["start", &id]).ok();
    let mut seen = String::new();
    // EIO ends the output: the last holder of the other side is gone.
    let _ = std::fs::File::from(master).read_to_string(&mut seen);
    assert_eq!(seen, "/dev/pts/0\r\non the console\r\n");
    std::fs::remove_file(&socket).expect("remove a socket");
}

fn receive(stream: &UnixStream) -> OwnedFd {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0; 256];
    recvmsg(stream, &mut [IoSliceMut::new(&mut name)], &mut control, RecvFlags::CMSG_CLOEXEC).expect("receive");
    let mut fds = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    fds.next().expect("a message with descriptors").next().expect("a descriptor")
}

#[test]
fn a_foreground_run_is_a_terminal_session() {
    let scratch = Scratch::new();
    let bundle = scratch.bundle(&["sh"]).set("/process/terminal", json!(true));
    let id = scratch.id("shell");
    let mut shell = Pty::spawn(scratch.oci(&["run", "--bundle"]).arg(bundle.path()).arg(&id));
    shell.expect_shell();
    let raw = tcgetattr(shell.terminal()).expect("ask for the terminal's modes");
    assert!(!raw.local_modes.contains(LocalModes::ICANON), "the caller's terminal is in raw mode");
    shell.resize(50, 120);
    shell.expect_size("50 120");
    shell.send("sh -c 'echo be$((4))gin; exec sleep 1000'\n");
    shell.expect("be4gin");
    shell.send("\x03");
    shell.send("echo still''here; exit 6\n");
    shell.expect("stillhere");
    assert_eq!(shell.wait().0, 6);
}

#[test]
fn what_is_typed_ahead_reaches_the_container() {
    let scratch = Scratch::new();
    let bundle = scratch.bundle(&["sh"]).set("/process/terminal", json!(true));
    let late = Cmd::new("sh").args(["-c", "sleep 0.5; exec \"$@\"", "sh"]).arg(bin("stockade-oci"));
    let run = late.arg("--root").arg(scratch.oci_root()).args(["run", "--bundle"]).arg(bundle.path());
    let mut shell = Pty::spawn(scratch.marked(run.arg(scratch.id("ahead"))));
    shell.send("exit 7\n");
    assert_eq!(shell.wait().0, 7);
}

#[test]
fn exec_with_a_terminal_restores_the_callers() {
    let scratch = Scratch::new();
    let bundle = scratch.bundle(&["sleep", "1000"]);
    let id = scratch.id("tty");
    scratch.oci(&["run", "-d", "--bundle"]).arg(bundle.path()).arg(&id).ok();
    let mut exec = Pty::spawn(scratch.oci(&["exec", "-t", &id, "sh", "-c", "tty; read line; echo got $line; exit 3"]));
    exec.expect("/dev/pts/0");
    exec.send("words\n");
    exec.expect("got words");
    let (code, _) = exec.wait();
    assert_eq!(code, 3);
}

/// More goes both ways at once than a terminal holds: who waits for one direction only, waits for ever.
#[test]
fn input_and_output_do_not_wait_for_each_other() {
    let scratch = Scratch::new();
    let bundle = scratch.bundle(&["sleep", "1000"]);
    let id = scratch.id("both");
    scratch.oci(&["run", "-d", "--bundle"]).arg(bundle.path()).arg(&id).ok();
    let out = scratch.path("out");
    let exec =
        scratch.oci(&["exec", "-t", &id, "sh", "-c", "stty raw -echo; echo ready; head -c 1000000"]).into_inner();
    let script = "(until grep -q ready \"$OUT\"; do sleep 0.05; done; head -c 1000000 /dev/zero) | \"$@\" >\"$OUT\"";
    let words = std::iter::once(exec.get_program()).chain(exec.get_args());
    let shell = Cmd::new("sh").args(["-c", script, "sh"]).args(words).env("OUT", &out);
    scratch.marked(shell).ok();
    assert_eq!(std::fs::metadata(&out).expect("the output").len(), 1_000_006, "and the line that says ready");
    std::fs::remove_file(&out).expect("remove the output");
}
