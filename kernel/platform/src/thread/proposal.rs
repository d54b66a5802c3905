//! Host calls that a handler makes before it is told to, because it knows what it will be told: memory that reads as
//! zero, where the application says or behind its heap. The kernel hears of the application's call, and the host's is
//! let through if it is just what the kernel orders: one notification instead of two, and no orders to copy.

use stockade_kernel::platform::{HostCall, Reply};
use stockade_kernel_stub::abi::{self, NO_FILE, READ_WRITE};

use super::batch::Batch;
use super::layout;
use super::notice::Kind;
use super::reply::plain;
use super::{Inner, State};
use crate::sys::seccomp::Answer;

pub(super) const MMAP: u32 = 9;
const BRK: u32 = 12;

/// The application's call behind a mapping that a handler proposes: number and arguments. The host ignores the file of
/// a mapping without one, so brk(2) has the new break there.
pub(super) fn call([address, len, protection, flags, file, offset]: [u64; 6]) -> Option<(u32, [u64; 6])> {
    match (flags, offset) {
        (abi::ZEROS, 0) if file == NO_FILE => Some((MMAP, [address, len, protection, abi::FIXED_ZEROS, NO_FILE, 0])),
        (abi::ZEROS, 0) if protection == READ_WRITE => Some((BRK, [file, 0, 0, 0, 0, 0])),
        _ => None,
    }
}

impl Inner {
    /// The answer to a proposal; `None` when the kernel orders something else.
    pub(super) fn agreed(&self, state: &mut State, kind: Kind, reply: &Reply) -> Option<Answer> {
        let Kind::Proposed { arguments } = kind else { return None };
        match reply {
            Reply::Layout { calls, value } if is_order(calls, *value, arguments) => {
                self.count_mapped(calls);
                state.batch = Some(Batch::begun(calls, plain(*value)));
                Some(Answer::Continue)
            }
            // It might be what the host's call would return.
            Reply::Value(value) => {
                self.put_value(plain(*value));
                Some(Answer::Value(state.leave()))
            }
            _ => None,
        }
    }
}

/// Whether the kernel orders what was proposed, and nothing else.
fn is_order(calls: &[HostCall], value: i64, [address, len, protection, flags, file, offset]: [u64; 6]) -> bool {
    let [call] = calls else { return false };
    // The slot matters only for files.
    let ordered = layout::encode(call, 0);
    let is_same = ordered.number == u64::from(MMAP)
        && ordered.arguments == [address, len, protection, flags, NO_FILE, offset]
        && layout::is_permitted(call);
    let wanted = if file == NO_FILE { address } else { file };
    is_same && value == wanted.cast_signed()
}
