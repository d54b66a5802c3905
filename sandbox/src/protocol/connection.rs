//! One end of a connection, for either side.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use prost::Message;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

use super::frame::{HEADER_BYTES, Header, Kind, MESSAGE_BYTES_MAX};
use super::message::{Request, Response, Status};
use super::{Method, SERVICE, WireError};
use crate::Error;

/// Descriptors that one request can hand over; SCM_MAX_FD of Linux is 253.
const DESCRIPTORS_MAX: usize = 200;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// The other side is gone.
    #[error("the other side closed the connection")]
    Closed,
    /// The other side does not speak the protocol.
    #[error("malformed message: {0}")]
    Malformed(&'static str),
    /// The socket failed.
    #[error("socket: {0}")]
    Socket(#[from] Errno),
}

/// A request, decoded as far as its method.
#[derive(Debug)]
pub struct Incoming {
    /// What the answer must bear.
    pub stream: u32,
    /// What is asked.
    pub method: Method,
    /// The method's message.
    pub payload: Vec<u8>,
    /// Descriptors that came along.
    pub descriptors: Vec<OwnedFd>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The question's.
    pub stream: u32,
    /// The method's message, or why it failed.
    pub result: Result<Vec<u8>, Error>,
}

/// One end: a stream socket, and what of a message has arrived.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    buffer: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
    patience: Option<Timespec>,
}

impl Connection {
    /// Speaks over a connected stream socket.
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket, buffer: Vec::new(), descriptors: VecDeque::new(), patience: None }
    }

    /// Waits for a peer who is slow to take a message, for so long each time, although the socket does not block.
    pub fn with_patience(self, patience: Timespec) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// The next request. `None` when it has not arrived in full and the socket would block.
    pub fn request(&mut self) -> Result<Option<Incoming>, ProtocolError> {
        let Some((header, body)) = self.frame()? else { return Ok(None) };
        if header.kind != Kind::Request {
            return Err(ProtocolError::Malformed("an answer to no question"));
        }
        let request = Request::decode(&*body).map_err(|_| ProtocolError::Malformed("not a request"))?;
        if request.service != SERVICE {
            return Err(ProtocolError::Malformed("another service"));
        }
        let method = Method::parse(&request.method).ok_or(ProtocolError::Malformed("unknown method"))?;
        let descriptors = std::mem::take(&mut self.descriptors).into();
        Ok(Some(Incoming { stream: header.stream, method, payload: request.payload, descriptors }))
    }

    /// Answers a request.
    pub fn respond(&self, stream: u32, answer: Result<Vec<u8>, Error>) -> Result<(), ProtocolError> {
        let mut body = match answer {
            Ok(payload) => Response { status: None, payload }.encode_to_vec(),
            Err(error) => failure(error),
        };
        if body.len() > MESSAGE_BYTES_MAX {
            body = failure(Error::Other("the answer is too large for one message".to_owned()));
        }
        self.send(Kind::Response, stream, &body, &[])
    }

    /// Asks without waiting; the answer will bear `stream`, an odd number that no open question has.
    pub fn ask(
        &self,
        stream: u32,
        method: Method,
        payload: Vec<u8>,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), ProtocolError> {
        let request = Request { service: SERVICE.into(), method: method.name().into(), payload, timeout_nano: 0 };
        self.send(Kind::Request, stream, &request.encode_to_vec(), descriptors)
    }

    /// The next answer: its stream and what it says. `None` when it has not arrived in full and the socket would block.
    pub fn answer(&mut self) -> Result<Option<Answer>, ProtocolError> {
        let Some((header, body)) = self.frame()? else { return Ok(None) };
        if header.kind != Kind::Response {
            return Err(ProtocolError::Malformed("a question instead of an answer"));
        }
        let response = Response::decode(&*body).map_err(|_| ProtocolError::Malformed("not an answer"))?;
        let failed = response.status.as_ref().is_some_and(|status| status.code != 0);
        let result = match failed {
            true => Err(WireError::decode(&*response.payload).unwrap_or_default().into()),
            false => Ok(response.payload),
        };
        Ok(Some(Answer { stream: header.stream, result }))
    }

    /// Whether the next message came along with the last one: poll(2) does not tell of it any more.
    pub fn has_more(&self) -> bool {
        let Some(bytes) = self.buffer.first_chunk::<HEADER_BYTES>() else { return false };
        Header::parse(*bytes).is_none_or(|header| self.buffer.len() >= HEADER_BYTES + header.len_bytes)
    }

    fn frame(&mut self) -> Result<Option<(Header, Vec<u8>)>, ProtocolError> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(Some(frame));
            }
            match self.receive() {
                Ok(0) => return Err(ProtocolError::Closed),
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::CONNRESET | Errno::PIPE) => return Err(ProtocolError::Closed),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn buffered(&mut self) -> Result<Option<(Header, Vec<u8>)>, ProtocolError> {
        let Some(bytes) = self.buffer.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let header = Header::parse(*bytes).ok_or(ProtocolError::Malformed("bad frame header"))?;
        let end = HEADER_BYTES + header.len_bytes;
        if self.buffer.len() < end {
            return Ok(None);
        }
        let rest = self.buffer.split_off(end);
        let frame = std::mem::replace(&mut self.buffer, rest);
        Ok(Some((header, frame[HEADER_BYTES..].to_vec())))
    }

    fn receive(&mut self) -> Result<usize, Errno> {
        let mut bytes = vec![0; 16 * 1024];
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        if self.descriptors.len() > DESCRIPTORS_MAX {
            return Err(Errno::TOOMANYREFS);
        }
        self.buffer.extend_from_slice(&bytes[..received.bytes]);
        Ok(received.bytes)
    }

    fn send(&self, kind: Kind, stream: u32, body: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), ProtocolError> {
        if body.len() > MESSAGE_BYTES_MAX || descriptors.len() > DESCRIPTORS_MAX {
            return Err(ProtocolError::Malformed("too much for one message"));
        }
        let header = Header { len_bytes: body.len(), stream, kind }.encode();
        let bytes = [&header, body].concat();
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let mut sent = 0;
        while sent < bytes.len() {
            match sendmsg(&self.socket, &[IoSlice::new(&bytes[sent..])], &mut control, SendFlags::NOSIGNAL) {
                Ok(count) => {
                    sent += count;
                    control.clear();
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.await_room()?,
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(ProtocolError::Closed),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn await_room(&self) -> Result<(), ProtocolError> {
        let Some(patience) = &self.patience else { return Err(Errno::AGAIN.into()) };
        match poll(&mut [PollFd::new(&self.socket, PollFlags::OUT)], Some(patience)) {
            Ok(0) => Err(Errno::TIMEDOUT.into()),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// An answer that says why there is none.
fn failure(error: Error) -> Vec<u8> {
    let message = error.to_string();
    // 2: UNKNOWN of google.rpc.Code; the parts are in the payload, for peers that know them.
    let status = Some(Status { code: 2, message });
    Response { status, payload: WireError::from(error).encode_to_vec() }.encode_to_vec()
}

impl From<Connection> for OwnedFd {
    /// The socket alone: nothing may have arrived that was not taken.
    fn from(connection: Connection) -> Self {
        connection.socket
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;
    use crate::protocol::{Client, ContainerRequest, Empty};

    fn pair() -> (Connection, Connection) {
        let (a, b) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        (Connection::new(a), Connection::new(b))
    }

    #[test]
    fn a_question_and_its_descriptors_arrive_and_are_answered() {
        let (ours, mut theirs) = pair();
        let server = std::thread::spawn(move || {
            let request = theirs.request().unwrap().unwrap();
            assert_eq!((request.method, request.descriptors.len()), (Method::Start, 1));
            assert_eq!(ContainerRequest::decode(&*request.payload).unwrap().id, "web");
            theirs.respond(request.stream, Err(Error::NotRunning)).unwrap();
        });
        let mut client = Client::new(ours);
        let request = ContainerRequest { id: "web".into() };
        let error = client.call::<Empty>(Method::Start, &request, &[rustix::stdio::stdin()]).unwrap_err();
        assert!(matches!(error, Error::NotRunning), "{error}");
        server.join().unwrap();
    }

    #[test]
    fn messages_that_arrive_together_are_taken_one_by_one() {
        let (mut ours, theirs) = pair();
        for stream in [3, 1] {
            theirs.respond(stream, Ok(Vec::new())).unwrap();
        }
        assert!(!ours.has_more(), "nothing was taken from the socket");
        assert_eq!(ours.answer().unwrap().unwrap().stream, 3);
        assert!(ours.has_more());
        assert_eq!(ours.answer().unwrap().unwrap().stream, 1);
        assert!(!ours.has_more());
    }

    #[test]
    fn an_answer_too_large_is_a_failure_and_not_the_end() {
        let (mut ours, theirs) = pair();
        theirs.respond(1, Ok(vec![0; MESSAGE_BYTES_MAX])).unwrap();
        let error = ours.answer().unwrap().unwrap().result.unwrap_err().to_string();
        assert!(error.contains("too large"), "{error}");
    }

    #[test]
    fn noise_ends_the_connection() {
        let (ours, mut theirs) = pair();
        rustix::io::write(&ours, &[0xff; 64]).unwrap();
        assert!(matches!(theirs.request(), Err(ProtocolError::Malformed(_))));
    }

    #[test]
    fn a_slow_peer_is_waited_for_only_so_long() {
        let (ours, mut theirs) = pair();
        rustix::io::ioctl_fionbio(&ours, true).unwrap();
        let ours = ours.with_patience(Timespec { tv_sec: 30, tv_nsec: 0 });
        let reader = std::thread::spawn(move || theirs.answer().unwrap().unwrap().result.unwrap().len());
        ours.respond(1, Ok(vec![7; 3 << 20])).unwrap();
        assert_eq!(reader.join().unwrap(), 3 << 20);
        let (ours, _theirs) = pair();
        rustix::io::ioctl_fionbio(&ours, true).unwrap();
        let ours = ours.with_patience(Timespec { tv_sec: 0, tv_nsec: 1_000_000 });
        let failed = ours.respond(1, Ok(vec![7; 3 << 20])).unwrap_err();
        assert!(matches!(failed, ProtocolError::Socket(Errno::TIMEDOUT)), "{failed}");
    }

    #[test]
    fn the_end_is_told() {
        let (ours, mut theirs) = pair();
        drop(ours);
        assert!(matches!(theirs.request(), Err(ProtocolError::Closed)));
    }
}
