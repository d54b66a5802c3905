//! Terminals, by way of system calls.

use alloc::sync::Arc;
use alloc::vec::Vec;

use stockade_kernel_sync::Mutex;

use super::{MasterFile, Owner, SlaveFile, Terminals, Tty};
use crate::Errno;
use crate::platform::{HostStream, Readiness, Wake};
use crate::testing::{Caller, World};
use crate::vfs::{FdFlags, FileObject, OpenFlags};

const OWNER: Owner = Owner { uid: 0, gid: 0 };
const TCGETS: u64 = 0x5401;
const TCSETS: u64 = 0x5402;
const TIOCSCTTY: u64 = 0x540e;
const TIOCGPGRP: u64 = 0x540f;
const TIOCGWINSZ: u64 = 0x5413;
const TIOCSWINSZ: u64 = 0x5414;

fn install(caller: &Caller, object: Arc<dyn FileObject>) -> u64 {
    let (vfs, owner) = (caller.task.kernel().vfs(), caller.task.credentials());
    let file = vfs.open_anonymous("tty", object, OpenFlags::READ_WRITE, &owner).unwrap();
    let fd = caller.task.files().insert(file, FdFlags::empty(), 0, 64).unwrap();
    u64::from(fd.unsigned_abs())
}

fn open(caller: &Caller) -> (Arc<MasterFile>, u64, u64) {
    let master = caller.task.process().namespaces().terminals.open_master(OWNER).unwrap();
    assert_eq!(SlaveFile::open(master.tty(), &caller.task.credentials()).err(), Some(Errno::EIO));
    let fd = install(caller, master.clone());
    let unlocked = caller.put(&[0; 4]);
    assert_eq!(caller.call("ioctl", &[fd, 0x4004_5431, unlocked]), Ok(0));
    let slave = install(caller, SlaveFile::open(master.tty(), &caller.task.credentials()).unwrap());
    (master, fd, slave)
}

fn write(caller: &Caller, fd: u64, text: &[u8]) {
    let at = caller.put(text);
    assert_eq!(caller.call("write", &[fd, at, text.len() as u64]), Ok(text.len() as u64));
}

fn read(caller: &Caller, fd: u64) -> Vec<u8> {
    let at = caller.room(64);
    let count = caller.call("read", &[fd, at, 64]).unwrap();
    caller.bytes(at, usize::try_from(count).unwrap())
}

#[test]
fn lines_go_from_master_to_slave_and_echo_back() {
    let world = World::new();
    let (program, user) = (Caller::first(&world), Caller::second(&world));
    let (master, fd, slave) = open(&program);
    let far = install(&user, master.clone());
    drop(master);
    let room = program.room(64);
    assert_eq!(program.start("read", &[slave, room, 64]), None);
    write(&user, far, b"hel");
    assert_eq!(program.returned(), None);
    write(&user, far, b"lo\r");
    assert_eq!(program.returned(), Some(Ok(6)));
    assert_eq!(program.bytes(room, 6), b"hello\n");
    assert_eq!(read(&user, far), b"hello\r\n");
    write(&program, slave, b"out\n");
    assert_eq!(read(&user, far), b"out\r\n");
    program.close(slave);
    assert_eq!(user.call("read", &[far, room, 8]), Err(Errno::EIO));
    program.close(fd);
}

#[test]
fn a_master_that_goes_hangs_up() {
    let world = World::new();
    let caller = Caller::first(&world);
    let (master, fd, slave) = open(&caller);
    drop(master);
    let room = caller.room(64);
    assert_eq!(caller.start("read", &[slave, room, 64]), None);
    let closed = caller.task.files().remove(i32::try_from(fd).unwrap()).unwrap();
    drop(closed);
    assert_eq!(caller.returned(), Some(Ok(0)));
    assert_eq!(caller.call("write", &[slave, room, 1]), Err(Errno::EIO));
    assert!(caller.task.process().namespaces().terminals.get(0).is_none());
}

#[test]
fn modes_and_size_are_kept() {
    let world = World::new();
    let caller = Caller::first(&world);
    let (_master, _, slave) = open(&caller);
    let modes = caller.room(36);
    assert_eq!(caller.call("ioctl", &[slave, TCGETS, modes]), Ok(0));
    assert_eq!(caller.int(modes + 12), 0x8a3b);
    assert_eq!(caller.int(modes), 0x500);
    let size = caller.put(&[24, 0, 80, 0, 0, 0, 0, 0]);
    assert_eq!(caller.call("ioctl", &[slave, TIOCSWINSZ, size]), Ok(0));
    let found = caller.room(8);
    assert_eq!(caller.call("ioctl", &[slave, TIOCGWINSZ, found]), Ok(0));
    assert_eq!(caller.bytes(found, 4), [24, 0, 80, 0]);
    let counter = caller.call("eventfd2", &[0, 0]).unwrap();
    assert_eq!(caller.call("ioctl", &[counter, TCGETS, modes]), Err(Errno::ENOTTY));
}

#[test]
fn locked_modes_stay() {
    const TIOCSLCKTRMIOS: u64 = 0x5457;
    const ECHO: u32 = 8;
    let world = World::new();
    let caller = Caller::first(&world);
    let (_master, _, slave) = open(&caller);
    let mut locked = [0; 36];
    locked[12..16].copy_from_slice(&ECHO.to_le_bytes());
    locked[17] = 1;
    let locked = caller.put(&locked);
    assert_eq!(caller.call("ioctl", &[slave, TIOCSLCKTRMIOS, locked]), Ok(0));
    let modes = caller.put(&[0; 36]);
    assert_eq!(caller.call("ioctl", &[slave, TCSETS, modes]), Ok(0));
    assert_eq!(caller.call("ioctl", &[slave, TCGETS, modes]), Ok(0));
    assert_eq!(caller.int(modes + 12), ECHO.cast_signed());
    assert_eq!(caller.bytes(modes + 17, 2), [3, 0]);
}

#[test]
fn raw_reads_wait_for_least_and_time() {
    let world = World::new();
    let caller = Caller::first(&world);
    let (master, _, slave) = open(&caller);
    let set = |least: u8, time: u8| {
        let mut modes = [0; 36];
        (modes[17 + 6], modes[17 + 5]) = (least, time);
        let modes = caller.put(&modes);
        assert_eq!(caller.call("ioctl", &[slave, TCSETS, modes]), Ok(0));
    };
    let room = caller.room(64);
    set(0, 0);
    assert_eq!(caller.call("read", &[slave, room, 64]), Ok(0));
    set(3, 0);
    assert_eq!(caller.start("read", &[slave, room, 64]), None);
    master.tty().typed(b"ab");
    assert_eq!(caller.returned(), None);
    master.tty().typed(b"c");
    assert_eq!(caller.returned(), Some(Ok(3)));
    set(0, 5);
    assert_eq!(caller.start("read", &[slave, room, 64]), None);
    world.machine.advance(core::time::Duration::from_millis(500));
    world.kernel.timer_expired();
    assert_eq!(caller.returned(), Some(Ok(0)));
}

#[test]
fn the_foreground_gets_signals() {
    let world = World::new();
    let init = Caller::first(&world);
    let shell = Caller::second(&world);
    let (master, _, slave) = open(&shell);
    let pid = shell.call("getpid", &[]).unwrap();
    if shell.call("getsid", &[0]) != Ok(pid) {
        assert_eq!(shell.call("setsid", &[]), Ok(pid));
    }
    let group = shell.room(4);
    assert_eq!(shell.call("ioctl", &[slave, TIOCGPGRP, group]), Err(Errno::ENOTTY));
    assert_eq!(shell.call("ioctl", &[slave, TIOCSCTTY, 0]), Ok(0));
    assert_eq!(shell.call("ioctl", &[slave, TIOCGPGRP, group]), Ok(0));
    assert_eq!(shell.int(group), i32::try_from(pid).unwrap());
    let other = install(&init, SlaveFile::open(master.tty(), &init.task.credentials()).unwrap());
    assert_eq!(init.call("ioctl", &[other, TIOCGPGRP, init.room(4)]), Err(Errno::ENOTTY));
    master.tty().typed(b"\x03");
    assert!(shell.task.process().has_ended());
    assert!(!init.task.process().has_ended());
}

/// A terminal of the host, of which a test plays the other side.
#[derive(Debug, Default)]
struct Screen {
    typed: Mutex<Vec<u8>>,
    shown: Mutex<Vec<u8>>,
    waker: Mutex<Option<Arc<dyn Wake>>>,
}

impl HostStream for Screen {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let mut typed = self.typed.lock();
        let count = typed.len().min(buffer.len());
        buffer[..count].copy_from_slice(&typed[..count]);
        typed.drain(..count);
        if count == 0 { Err(Errno::EAGAIN) } else { Ok(count) }
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.shown.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn readiness(&self) -> Readiness {
        Readiness { readable: !self.typed.lock().is_empty(), writable: true, hang_up: false }
    }

    fn watch(&self, waker: Arc<dyn Wake>) {
        *self.waker.lock() = Some(waker);
    }
}

#[test]
fn a_console_shows_on_the_host() {
    let world = World::new();
    let caller = Caller::first(&world);
    let screen = Arc::new(Screen::default());
    let tty: Arc<Tty> = caller.task.process().namespaces().terminals.open_console(OWNER, screen.clone()).unwrap();
    let file = Terminals::open_slave(&caller.task, &tty).unwrap();
    let slave = caller.task.files().insert(file, FdFlags::empty(), 0, 64).unwrap();
    let slave = u64::from(slave.unsigned_abs());
    assert_eq!(caller.call("ioctl", &[slave, TIOCGPGRP, caller.room(4)]), Ok(0));
    write(&caller, slave, b"login: ");
    assert_eq!(*screen.shown.lock(), b"login: ");
    let room = caller.room(64);
    assert_eq!(caller.start("read", &[slave, room, 64]), None);
    screen.typed.lock().extend_from_slice(b"root\r");
    let waker = screen.waker.lock().clone().unwrap();
    waker.wake();
    assert_eq!(caller.returned(), Some(Ok(5)));
    assert_eq!(*screen.shown.lock(), b"login: root\r\n");
}
