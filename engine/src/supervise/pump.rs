//! The supervisor's loop: moves bytes between one process and its clients and log, until the process ends.
//!
//! Nothing is dropped and little is kept: while a client has not taken what it was sent, no output is read from the
//! process; while the process has not taken its input, no client is read.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketFlags};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use stockade_sandbox::OomWatch;

use super::client::Client;
use super::protocol::{DATA_BYTES_MAX, MESSAGE_BYTES_MAX, Reply, Request, Role, receive};
use super::streams::{Streams, resize};
use crate::logs::{LogStream, LogWriter};

/// What a stream can hold when the process ends: a pipe's greatest size (pipe(7), /proc/sys/fs/pipe-max-size).
const LEFT_BYTES_MAX: usize = 1 << 20;
/// How long the last output may take to reach a client that reads slowly.
const FLUSH_SECONDS_MAX: i64 = 10;
/// How long nothing happens before the supervisor rests.
const REST_AFTER: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// One supervised process.
pub(crate) struct Pump {
    /// Readable when the process has ended; it is a child of ours.
    pub(crate) process: OwnedFd,
    /// Its streams.
    pub(crate) streams: Streams,
    /// The log.
    pub(crate) log: Option<LogWriter>,
    /// Who looks.
    pub(crate) clients: Vec<Client>,
    /// Where others come from.
    pub(crate) listener: Option<OwnedFd>,
    /// News of memory running out.
    pub(crate) oom: Option<Box<dyn OomWatch>>,
    /// The input ends when the client that gives it leaves.
    pub(crate) input_once: bool,
    /// What to do when memory ran out.
    pub(crate) on_oom: Box<dyn Fn()>,
    /// Whether it did.
    pub(crate) oom_killed: bool,
    /// Input that the process has not taken yet.
    pub(crate) pending_input: Vec<u8>,
}

/// What became ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ready {
    Process,
    Output(LogStream),
    Input,
    Listener,
    Oom,
    Client(usize),
}

impl Pump {
    /// Runs until the process has ended and its output is read; returns its exit code. `rest` is called once, when
    /// there is nothing to do for a while.
    pub(crate) fn run(&mut self, rest: impl FnOnce()) -> i32 {
        let mut buffer = vec![0; MESSAGE_BYTES_MAX];
        let mut rest = Some(rest);
        loop {
            let ready = match self.wait_ready(rest.as_ref().map(|_| REST_AFTER)) {
                Ok(ready) if ready.is_empty() => {
                    rest.take().into_iter().for_each(|rest| rest());
                    continue;
                }
                Ok(ready) => ready,
                Err(error) => {
                    tracing::error!(%error, "poll failed");
                    Vec::new()
                }
            };
            let ended = ready.contains(&Ready::Process);
            for event in ready {
                self.handle(event, &mut buffer);
            }
            self.clients.retain(|client| !client.is_gone());
            if ended && let Some(code) = self.reap() {
                self.drain(&mut buffer);
                return code;
            }
        }
    }

    /// Blocks until something is ready; nothing is when the time is over.
    fn wait_ready(&self, limit: Option<Timespec>) -> Result<Vec<Ready>, Errno> {
        let watched = self.watched();
        let mut fds: Vec<PollFd<'_>> =
            watched.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        match poll(&mut fds, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        let ready = watched.iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty());
        Ok(ready.map(|((ready, _, _), _)| *ready).collect())
    }

    /// What to wait for now.
    fn watched(&self) -> Vec<(Ready, BorrowedFd<'_>, PollFlags)> {
        let mut watched = vec![(Ready::Process, self.process.as_fd(), PollFlags::IN)];
        watched.extend(self.listener.as_ref().map(|fd| (Ready::Listener, fd.as_fd(), PollFlags::IN)));
        watched.extend(self.oom.as_ref().map(|oom| (Ready::Oom, oom.fd(), PollFlags::IN)));
        if !self.clients.iter().any(Client::is_behind) {
            let outputs = self.streams.outputs.iter();
            watched.extend(outputs.map(|(stream, fd)| (Ready::Output(*stream), fd.as_fd(), PollFlags::IN)));
        }
        if !self.pending_input.is_empty() {
            watched.extend(self.streams.input.as_ref().map(|fd| (Ready::Input, fd.as_fd(), PollFlags::OUT)));
        }
        let reading = if self.pending_input.is_empty() { PollFlags::IN } else { PollFlags::empty() };
        for (index, client) in self.clients.iter().enumerate() {
            let writing = if client.is_behind() { PollFlags::OUT } else { PollFlags::empty() };
            // poll(2) reports a hang-up even when nothing is asked of it: leave out who must wait.
            if !(reading | writing).is_empty() {
                watched.push((Ready::Client(index), client.socket(), reading | writing));
            }
        }
        watched
    }

    /// Does what is due.
    fn handle(&mut self, ready: Ready, buffer: &mut [u8]) {
        match ready {
            Ready::Process => {}
            Ready::Output(stream) => drop(self.read_output(stream, buffer)),
            Ready::Input => self.push_input(),
            Ready::Listener => self.accept(),
            Ready::Oom => self.take_oom(),
            Ready::Client(index) => self.serve(index, buffer),
        }
    }

    /// Moves one piece of output to the log and the clients. An error says that there is no more, now or ever.
    fn read_output(&mut self, stream: LogStream, buffer: &mut [u8]) -> Result<(), Errno> {
        let Some((_, fd)) = self.streams.outputs.iter().find(|(known, _)| *known == stream) else {
            return Err(Errno::BADF);
        };
        match rustix::io::read(fd, &mut buffer[..DATA_BYTES_MAX]) {
            Ok(length) if length > 0 => {
                self.spread(stream, &buffer[..length]);
                Ok(())
            }
            Err(error @ (Errno::AGAIN | Errno::INTR)) => Err(error),
            // A terminal answers EIO once no process has it open. That may change while the init lives, but runc's
            // callers rely on this being the end.
            _ => {
                self.streams.outputs.retain(|(known, _)| *known != stream);
                Err(Errno::PIPE)
            }
        }
    }

    /// Gives output to the log and to every client that wants it.
    fn spread(&mut self, stream: LogStream, data: &[u8]) {
        if let Some(log) = &mut self.log
            && let Err(error) = log.write(stream, data)
        {
            tracing::error!(%error, "cannot write the log");
        }
        for client in &mut self.clients {
            client.send_output(Reply::Output(stream, data));
        }
    }

    /// Writes what the process takes of its pending input.
    fn push_input(&mut self) {
        let Some(input) = &self.streams.input else {
            self.pending_input.clear();
            return;
        };
        match rustix::io::write(input, &self.pending_input) {
            Ok(written) => drop(self.pending_input.drain(..written)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => {
                self.streams.input = None;
                self.pending_input.clear();
            }
        }
    }

    /// Ends the process's input: closes the pipe. A terminal has no end, only a character for it.
    fn end_input(&mut self) {
        if self.streams.console.is_none() {
            self.streams.input = None;
        }
    }

    /// Lets one more client in.
    fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        if let Ok(socket) = rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
            self.clients.push(Client::new(socket));
        }
    }

    /// Notes that memory ran out.
    fn take_oom(&mut self) {
        let news = self.oom.as_mut().map(|oom| oom.take());
        match news {
            Some(Ok(Some(0))) => {}
            Some(Ok(Some(_))) => {
                self.oom_killed = true;
                (self.on_oom)();
            }
            _ => self.oom = None,
        }
    }

    /// Sends what a client waits for, and does what it asks.
    fn serve(&mut self, index: usize, buffer: &mut [u8]) {
        let Some(client) = self.clients.get_mut(index) else { return };
        client.flush();
        if !self.pending_input.is_empty() {
            return;
        }
        match receive(client.socket(), buffer, RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN) => {}
            Ok(length) if length > 0 => self.obey(index, &buffer[..length]),
            _ => self.dismiss(index),
        }
    }

    /// Does what a client's message asks; nonsense ends the client.
    fn obey(&mut self, index: usize, packet: &[u8]) {
        let client = &mut self.clients[index];
        match (Request::decode(packet), client.role()) {
            (Some(Request::Hello(role)), _) => client.set_role(role),
            (Some(Request::Input(data)), Role::InputOutput) => {
                self.pending_input.extend(data);
                self.push_input();
            }
            (Some(Request::InputEnd), Role::InputOutput) => self.end_input(),
            (Some(Request::Resize(size)), _) => {
                if let Some(console) = &self.streams.console {
                    resize(console, size);
                }
            }
            _ => self.dismiss(index),
        }
    }

    /// Lets a client go.
    fn dismiss(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let gave_input = client.role() == Role::InputOutput;
        client.close();
        if gave_input && self.input_once {
            self.end_input();
        }
    }

    /// The process's exit code, 128 + n for signal n; `None` while it lives.
    fn reap(&self) -> Option<i32> {
        let status = waitid(WaitId::PidFd(self.process.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        match status {
            Ok(Some(status)) => status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)),
            Ok(None) | Err(Errno::INTR) => None,
            // Not ours to wait for: the code is unknown.
            Err(_) => Some(255),
        }
    }

    /// Reads what the dead process left in its streams, and the last news of memory. A process that it left behind may
    /// write for ever: no more is read than the dead one can have written.
    fn drain(&mut self, buffer: &mut [u8]) {
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            let mut pieces = 0..LEFT_BYTES_MAX / DATA_BYTES_MAX;
            while pieces.next().is_some() && self.read_output(stream, buffer).is_ok() {}
        }
        if self.oom.is_some() {
            self.take_oom();
        }
        if let Some(log) = &mut self.log {
            log.finish();
        }
    }

    /// Tells every client that all is over, and waits a while for slow ones.
    pub(crate) fn farewell(mut self, code: i32) {
        for client in &mut self.clients {
            client.send(Reply::Exited(code));
        }
        let timeout = Timespec { tv_sec: FLUSH_SECONDS_MAX, tv_nsec: 0 };
        while self.clients.iter().any(Client::is_behind) {
            let waiting = self.clients.iter().filter(|client| client.is_behind());
            let mut fds: Vec<PollFd<'_>> =
                waiting.map(|client| PollFd::from_borrowed_fd(client.socket(), PollFlags::OUT)).collect();
            match poll(&mut fds, Some(&timeout)) {
                Ok(0) | Err(_) => return,
                Ok(_) => self.clients.iter_mut().for_each(Client::flush),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::streams::null;
    use super::*;

    /// As a process that the dead one left behind, and that writes faster than we read.
    fn endless() -> Pump {
        let zero = rustix::fs::open("/dev/zero", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
        Pump {
            process: null().unwrap(),
            streams: Streams { outputs: vec![(LogStream::Stdout, zero)], ..Default::default() },
            log: None,
            clients: Vec::new(),
            listener: None,
            oom: None,
            input_once: false,
            on_oom: Box::new(|| {}),
            oom_killed: false,
            pending_input: Vec::new(),
        }
    }

    #[test]
    fn an_endless_stream_ends_with_its_process() {
        let (done, is_done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            endless().drain(&mut vec![0; MESSAGE_BYTES_MAX]);
            done.send(()).unwrap();
        });
        is_done.recv_timeout(std::time::Duration::from_secs(20)).expect("the rest of the stream is bounded");
    }
}
