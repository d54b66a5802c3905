//! A place in the line of those who wait for a queue.

use alloc::sync::Arc;

use super::queue::Shared;
use super::{Message, Queue};

/// The number of somebody who waits.
pub(super) type Ticket = u64;

/// For what somebody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// For room.
    Sender,
    /// For a message.
    Receiver,
}

/// The place of a call that waits; given up when it is dropped.
#[derive(Debug)]
pub struct Place {
    shared: Arc<Shared>,
    ticket: Ticket,
    side: Side,
}

impl Place {
    /// The last of those who wait for room; the queue takes the message as soon as there is.
    pub fn to_send(queue: &Queue, message: Message) -> Self {
        let shared = queue.shared.clone();
        let mut state = shared.state.lock();
        let ticket = state.new_ticket();
        state.senders.push_back((ticket, message));
        drop(state);
        Self { shared, ticket, side: Side::Sender }
    }

    /// The last of those who wait for a message.
    pub fn to_receive(queue: &Queue) -> Self {
        let shared = queue.shared.clone();
        let mut state = shared.state.lock();
        let ticket = state.new_ticket();
        state.receivers.push_back((ticket, None));
        drop(state);
        Self { shared, ticket, side: Side::Receiver }
    }

    /// Whether the message was taken.
    pub fn is_sent(&self) -> bool {
        !self.shared.state.lock().waits(self.ticket, self.side)
    }

    /// The message that came, once.
    pub fn received(&self) -> Option<Message> {
        let mut state = self.shared.state.lock();
        state.receivers.iter_mut().find(|(ticket, _)| *ticket == self.ticket)?.1.take()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.senders.retain(|(ticket, _)| *ticket != self.ticket);
        let Some(at) = state.receivers.iter().position(|(ticket, _)| *ticket == self.ticket) else { return };
        // A message that came in the last moment is for the next.
        if let Some((_, Some(message))) = state.receivers.remove(at) {
            state.put_back(message);
            drop(state);
            self.shared.queue.wake();
        }
    }
}
