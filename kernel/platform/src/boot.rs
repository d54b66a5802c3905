//! The boot socket: what spawners say. All stubs of a sandbox share its other end, so the host attests who speaks, and
//! one request at a time is under way; whoever speaks unasked is killed.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags, SocketType, recvmsg,
    send, socketpair, sockopt,
};
use rustix::process::{Pid, Signal, kill_process};
use stockade_kernel_stub::abi::{Command, Hello, Message, SAID_BORN, SAID_STILLBORN, Token, Welcome};

use crate::sys::{memory, process};

/// A spawner that takes longer is broken or hostile, and its stub dies.
const PATIENCE: Duration = Duration::from_secs(10);

/// The monitor's end.
#[derive(Debug)]
pub(crate) struct BootSocket {
    socket: OwnedFd,
    ahead: Ahead,
}

/// A copy that was ordered before anybody needs it. Its maker can be asked for nothing else until the copy speaks.
#[derive(Debug, Default)]
enum Ahead {
    #[default]
    Nothing,
    /// With this token, from this process.
    Ordered(Token, Pid),
    /// It spoke.
    Born(Said),
}

/// A message, who sent it, and the descriptor that came along.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) sender: Pid,
    pub(crate) message: Message,
    pub(crate) descriptor: Option<OwnedFd>,
}

impl BootSocket {
    /// Both ends: the monitor's, and the stubs'.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_passcred(&ours, true)?;
        Ok((Self { socket: ours, ahead: Ahead::Nothing }, theirs))
    }

    /// The zygote's first words.
    pub(crate) fn hello(&self) -> io::Result<Hello> {
        let mut bytes = [0; size_of::<Hello>()];
        self.wait(Instant::now() + PATIENCE)?;
        let (_, len, _) = self.receive(&mut bytes)?;
        memory::from_bytes(&bytes[..len]).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// The answer to them.
    pub(crate) fn welcome(&self, welcome: &Welcome, filter: &[u64]) -> io::Result<()> {
        let mut packet = memory::bytes_of(welcome).to_vec();
        packet.extend(filter.iter().flat_map(|instruction| instruction.to_le_bytes()));
        send(&self.socket, &packet, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Gives a spawner a command and collects what is said until `done` has what it needs. What `done` refuses was said
    /// by somebody who was not asked.
    pub(crate) fn request(
        &mut self,
        spawner: Spawner<'_>,
        command: Command,
        mut done: impl FnMut(Said) -> Progress,
    ) -> io::Result<()> {
        process::command(spawner.pid, command)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.wait_for(spawner, deadline)?;
            let Some(said) = self.next()? else { continue };
            let Some(said) = self.keep_ahead(said) else { continue };
            let sender = said.sender;
            match done(said) {
                Progress::Done => return Ok(()),
                Progress::Refused => refuse(sender),
            }
        }
    }

    /// Has a spawner make a copy with a thread in a slot, which nobody waits for.
    pub(crate) fn order_ahead(&mut self, spawner: Pid, slot: u32, token: Token) -> io::Result<()> {
        process::command(spawner, Command::Fork(slot, token))?;
        self.ahead = Ahead::Ordered(token, spawner);
        Ok(())
    }

    /// The copy that was ordered ahead, if one was and it could be made.
    pub(crate) fn take_ahead(&mut self, spawner: Spawner<'_>) -> io::Result<Option<Said>> {
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.ahead, Ahead::Ordered(..)) {
            self.wait_for(spawner, deadline)?;
            if let Some(said) = self.next()?
                && let Some(Said { sender, .. }) = self.keep_ahead(said)
            {
                refuse(sender);
            }
        }
        match std::mem::take(&mut self.ahead) {
            Ahead::Born(said) => Ok(Some(said)),
            Ahead::Nothing | Ahead::Ordered(..) => Ok(None),
        }
    }

    /// Gives back what is not about the copy that was ordered ahead.
    fn keep_ahead(&mut self, said: Said) -> Option<Said> {
        let Ahead::Ordered(token, maker) = self.ahead else { return Some(said) };
        let Message { kind, value, .. } = said.message;
        match kind {
            SAID_BORN if value == token.value() => self.ahead = Ahead::Born(said),
            SAID_STILLBORN if said.sender == maker => self.ahead = Ahead::Nothing,
            _ => return Some(said),
        }
        None
    }

    /// The next message, if it is one.
    fn next(&self) -> io::Result<Option<Said>> {
        let mut bytes = [0; size_of::<Message>()];
        let (sender, len, descriptor) = match self.receive(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            received => received?,
        };
        let heard = sender.zip(memory::from_bytes(&bytes[..len]));
        Ok(heard.map(|(sender, message)| Said { sender, message, descriptor }))
    }

    /// Until something is said. A spawner that is dead says nothing more.
    fn wait_for(&self, spawner: Spawner<'_>, deadline: Instant) -> io::Result<()> {
        let timeout = timeout(deadline)?;
        let mut fds = [
            PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(spawner.pidfd, PollFlags::IN),
        ];
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) if fds[0].revents().is_empty() => Err(io::ErrorKind::BrokenPipe.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn receive(&self, bytes: &mut [u8]) -> io::Result<(Option<Pid>, usize, Option<OwnedFd>)> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(bytes)];
        let received = recvmsg(&self.socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT)?;
        let (mut sender, mut descriptor) = (None, None);
        for message in control.drain() {
            match message {
                RecvAncillaryMessage::ScmCredentials(credentials) => sender = Some(credentials.pid),
                RecvAncillaryMessage::ScmRights(mut descriptors) => descriptor = descriptors.next(),
                _ => {}
            }
        }
        match received.bytes {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            len => Ok((sender, len, descriptor)),
        }
    }

    fn wait(&self, deadline: Instant) -> io::Result<()> {
        let timeout = timeout(deadline)?;
        let mut fds = [PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Ends who was not asked.
fn refuse(sender: Pid) {
    tracing::warn!(pid = sender.as_raw_nonzero(), "a stub spoke unasked and is killed");
    let _already_dead = kill_process(sender, Signal::KILL);
}

fn timeout(deadline: Instant) -> io::Result<Timespec> {
    let left = deadline.saturating_duration_since(Instant::now());
    Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Who is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spawner<'a> {
    pub(crate) pid: Pid,
    pub(crate) pidfd: BorrowedFd<'a>,
}

/// What a request makes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It is the answer.
    Done,
    /// Nobody asked for it.
    Refused,
}
