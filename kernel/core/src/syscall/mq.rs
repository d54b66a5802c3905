//! POSIX message queues: mq_open(2), mq_unlink(2), mq_timedsend(2), mq_timedreceive(2), mq_notify(2),
//! mq_getsetattr(2).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Call;
use super::new_file::install;
use super::socket::Opened;
use crate::Errno;
use crate::abi::{Abi, Decoder, Encoder, Timespec};
use crate::mqueue::{
    Attributes, COOKIE_BYTES, Directory, Maker, Message, Notice, PRIORITIES, Place, Queue, Registration, SIGEV_NONE,
    SIGEV_SIGNAL, SIGEV_THREAD, queue_of,
};
use crate::net::NETLINK;
use crate::platform::HostClock;
use crate::signal::Signal;
use crate::task::{Resource, Task};
use crate::vfs::permission::{Access, check_inode};
use crate::vfs::{File, NAME_BYTES_MAX, NewInode, NewKind, OpenFlags};
use crate::wait::Stop;

/// `struct mq_attr`
#[derive(Clone, Copy, Debug)]
struct MqAttr {
    flags: i64,
    messages_max: i64,
    message_bytes_max: i64,
    messages: i64,
}

impl Abi for MqAttr {
    const LEN: usize = 64;

    fn decode(from: &mut Decoder<'_>) -> Self {
        let [flags, messages_max, message_bytes_max, messages] = from.take::<[i64; 4]>();
        from.skip(32);
        Self { flags, messages_max, message_bytes_max, messages }
    }

    fn encode(&self, to: &mut Encoder) {
        to.put(self.flags).put(self.messages_max).put(self.message_bytes_max).put(self.messages).zeros(32);
    }
}

fn directory(task: &Arc<Task>) -> Arc<Directory> {
    task.process().namespaces().ipc.queues.directory(task.kernel())
}

/// A name as the C library hands it on: without its slash.
fn read_name(task: &Task, address: u64) -> Result<Vec<u8>, Errno> {
    let name = task.memory().read_path(address)?;
    if name.is_empty() { Err(Errno::ENOENT) } else { Ok(name) }
}

fn check_name(name: &[u8]) -> Result<(), Errno> {
    match name {
        b"." | b".." => Err(Errno::EACCES),
        name if name.contains(&b'/') => Err(Errno::EACCES),
        name if name.len() > NAME_BYTES_MAX => Err(Errno::ENAMETOOLONG),
        _ => Ok(()),
    }
}

/// mq_open(2)
pub fn mq_open(task: &Arc<Task>, call: &mut Call) -> Result<u64, Stop> {
    let attributes = task.memory().read_optional::<MqAttr>(call.arg(3))?;
    let name = read_name(task, call.arg(0))?;
    let flags = OpenFlags::from_bits_retain(call.uint(1));
    check_name(&name)?;
    let queue = match directory(task).find(&name, &task.credentials()) {
        Ok(queue) => open_existing(task, queue, flags)?,
        Err(Errno::ENOENT) if flags.contains(OpenFlags::CREATE) => make(task, &name, call.uint(2), attributes)?,
        Err(errno) => return Err(errno.into()),
    };
    let path = [b"/".as_slice(), &name].concat();
    let file = task.kernel().vfs().open_inode(queue.clone(), &path, queue, flags)?;
    Ok(install(task, file, OpenFlags::CLOSE_ON_EXEC)?)
}

fn open_existing(task: &Task, queue: Arc<Queue>, flags: OpenFlags) -> Result<Arc<Queue>, Errno> {
    if flags.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE) {
        return Err(Errno::EEXIST);
    }
    if flags.contains(OpenFlags::READ_WRITE | OpenFlags::WRITE_ONLY) {
        return Err(Errno::EINVAL);
    }
    let mut access = Access::empty();
    access.set(Access::READ, flags.reads());
    access.set(Access::WRITE, flags.writes());
    check_inode(&*queue, &task.credentials(), access)?;
    Ok(queue)
}

fn make(task: &Arc<Task>, name: &[u8], mode: u32, wanted: Option<MqAttr>) -> Result<Arc<Queue>, Errno> {
    let credentials = task.credentials();
    let permissions = mode & 0o7777 & !task.fs().umask();
    let new = NewInode { kind: NewKind::Regular, permissions, uid: credentials.fsuid, gid: credentials.fsgid };
    let attributes =
        wanted.map(|MqAttr { messages_max, message_bytes_max, .. }| Attributes { messages_max, message_bytes_max });
    let bytes_max = task.process().limit(Resource::MessageQueues).soft;
    let maker = Maker { uid: credentials.uid, capabilities: credentials.effective, bytes_max };
    directory(task).add(name, &new, attributes, (maker, &credentials))
}

/// mq_unlink(2)
pub fn mq_unlink(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let name = read_name(task, call.arg(0))?;
    check_name(&name)?;
    Ok(directory(task).remove(&name, &task.credentials())?)
}

/// The queue behind a descriptor.
fn queue(task: &Task, fd: i32) -> Result<(Arc<File>, Arc<Queue>), Errno> {
    let file = task.files().get_open(fd)?;
    let queue = queue_of(file.object())?;
    Ok((file, queue))
}

/// When a call gives up, on the clock of people.
fn timeout(task: &Task, address: u64) -> Result<Option<core::time::Duration>, Errno> {
    task.memory().read_optional::<Timespec>(address)?.map(Timespec::duration).transpose()
}

/// Waits in the queue's line: `EAGAIN` for who does not wait, `ETIMEDOUT` for who waited long enough.
fn wait(
    task: &Arc<Task>,
    call: &mut Call,
    (file, queue): (&File, &Queue),
    until: Option<core::time::Duration>,
    stand: impl FnOnce() -> Place,
) -> Stop {
    if file.is_nonblocking() {
        return Errno::EAGAIN.into();
    }
    let now = task.kernel().machine().now(HostClock::Realtime);
    if until.is_some_and(|until| call.times_out(task, until.saturating_sub(now))) {
        return Errno::ETIMEDOUT.into();
    }
    if call.kept::<Place>().is_none() {
        call.keep(stand());
    }
    call.wait(task, queue.events())
}

/// mq_timedsend(2)
pub fn mq_timedsend(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let until = timeout(task, call.arg(4))?;
    let priority = u32::try_from(call.arg(3)).ok().filter(|priority| *priority < PRIORITIES).ok_or(Errno::EINVAL)?;
    if call.kept::<Place>().is_some_and(Place::is_sent) {
        return Ok(());
    }
    let (file, queue) = queue(task, call.int(0))?;
    file.check_writable()?;
    if call.arg(2) > queue.attributes.message_bytes_max.unsigned_abs() {
        return Err(Errno::EMSGSIZE.into());
    }
    let text = task.memory().read_vec(call.arg(1), call.size(2))?;
    let message = Message { priority, text };
    let refused = match call.kept::<Place>() {
        Some(_) => message,
        None => match queue.send(message, task) {
            Ok(()) => {
                queue.touch(task.kernel().vfs().now());
                return Ok(());
            }
            Err(message) => message,
        },
    };
    Err(wait(task, call, (&file, &queue), until, || Place::to_send(&queue, refused)))
}

/// mq_timedreceive(2)
pub fn mq_timedreceive(task: &Arc<Task>, call: &mut Call) -> Result<usize, Stop> {
    let until = timeout(task, call.arg(4))?;
    let (file, queue) = queue(task, call.int(0))?;
    file.check_readable()?;
    if call.arg(2) < queue.attributes.message_bytes_max.unsigned_abs() {
        return Err(Errno::EMSGSIZE.into());
    }
    let received = match call.kept::<Place>() {
        Some(place) => place.received(),
        None => queue.receive(),
    };
    let Some(Message { priority, text }) = received else {
        return Err(wait(task, call, (&file, &queue), until, || Place::to_receive(&queue)));
    };
    queue.touch(task.kernel().vfs().now());
    task.memory().write_optional(call.arg(3), &priority)?;
    task.memory().write_bytes(call.arg(1), &text)?;
    Ok(text.len())
}

/// Bytes of `struct sigevent`.
const EVENT_BYTES: usize = 64;

/// mq_notify(2)
pub fn mq_notify(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let notice = match call.arg(1) {
        0 => None,
        address => Some(read_notice(task, address)?),
    };
    let (_, queue) = queue(task, call.int(0))?;
    match notice {
        None => queue.unregister(task.process()),
        Some(notice) => queue.register(Registration::new(task, notice))?,
    }
    Ok(())
}

fn read_notice(task: &Task, address: u64) -> Result<Notice, Errno> {
    let bytes = task.memory().read_vec(address, EVENT_BYTES)?;
    let mut from = Decoder::new(&bytes);
    let (value, number, notify): (u64, i32, i32) = (from.take(), from.take(), from.take());
    match notify {
        SIGEV_NONE => Ok(Notice::Nothing),
        SIGEV_SIGNAL if number == 0 => Ok(Notice::Signal(None, value)),
        SIGEV_SIGNAL => Ok(Notice::Signal(Some(Signal::new(number)?), value)),
        SIGEV_THREAD => {
            let mut cookie = [0; COOKIE_BYTES];
            task.memory().read_bytes(value, &mut cookie)?;
            let opened = Opened::new(task, number)?;
            let socket = opened.socket()?;
            if socket.family() == NETLINK { Ok(Notice::Socket(socket.clone(), cookie)) } else { Err(Errno::EINVAL) }
        }
        _ => Err(Errno::EINVAL),
    }
}

/// mq_getsetattr(2)
pub fn mq_getsetattr(task: &Arc<Task>, call: &mut Call) -> Result<(), Stop> {
    let new = task.memory().read_optional::<MqAttr>(call.arg(1))?;
    let nonblock = i64::from(OpenFlags::NONBLOCK.bits());
    if new.is_some_and(|new| new.flags & !nonblock != 0) {
        return Err(Errno::EINVAL.into());
    }
    let (file, queue) = queue(task, call.int(0))?;
    let old = MqAttr {
        flags: i64::from((file.flags() & OpenFlags::NONBLOCK).bits()),
        messages_max: queue.attributes.messages_max,
        message_bytes_max: queue.attributes.message_bytes_max,
        messages: i64::try_from(queue.count()).unwrap_or(i64::MAX),
    };
    if let Some(new) = new {
        let mut flags = file.flags();
        flags.set(OpenFlags::NONBLOCK, new.flags & nonblock != 0);
        file.set_status(flags);
    }
    Ok(task.memory().write_optional(call.arg(2), &old)?)
}
