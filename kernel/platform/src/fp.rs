//! FP state as it lies in signal frames: the XSAVE area, uncompacted, with the host's software-reserved bytes
//! (`struct _xstate` of arch/x86/include/uapi/asm/sigcontext.h; Intel SDM 1, 13.4).

use rustix::process::Pid;
use stockade_kernel::Errno;
use stockade_kernel_stub::abi::{FP_BYTES, Hello};

use crate::sys::memory;

const FXSAVE_BYTES: usize = 512;
const MXCSR: usize = 24;
const SOFTWARE: usize = 464;
const HEADER: usize = 512;
const HEADER_END: usize = 576;
const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;

/// Reads the state at `address`; `None` when it is not there whole. What it says of its size is hostile.
pub(crate) fn read(pid: Pid, address: u64, hello: &Hello) -> Option<Vec<u8>> {
    let expected = usize::try_from(hello.fp_bytes).ok()?;
    let mut state = vec![0; expected];
    let got = memory::read(pid, address, &mut state);
    if got < FXSAVE_BYTES {
        return None;
    }
    let len = match word(&state, SOFTWARE) {
        MAGIC1 => usize::try_from(word(&state, SOFTWARE + 4)).ok()?.min(usize::try_from(FP_BYTES).ok()?),
        _ => FXSAVE_BYTES,
    };
    state.resize(len.max(FXSAVE_BYTES), 0);
    match state.get_mut(expected..) {
        None => (got >= len).then_some(state),
        Some(rest) => {
            let more = rest.len();
            (got == expected && memory::read(pid, address + expected as u64, rest) == more).then_some(state)
        }
    }
}

/// Whether a state says of itself that it is as long as it is.
pub(crate) fn is_whole(state: &[u8]) -> bool {
    state.len() > HEADER_END
        && word(state, SOFTWARE) == MAGIC1
        && usize::try_from(word(state, SOFTWARE + 4)) == Ok(state.len())
}

/// Refuses what the host would fail to restore, which would end the process instead of the call.
pub(crate) fn check(state: &[u8], hello: &Hello) -> Result<(), Errno> {
    if state.len() < FXSAVE_BYTES || state.len() as u64 > FP_BYTES {
        return Err(Errno::EINVAL);
    }
    let reserved_mxcsr = u64::from(word(state, MXCSR)) & !hello.mxcsr_mask;
    if reserved_mxcsr != 0 {
        return Err(Errno::EINVAL);
    }
    match word(state, SOFTWARE) {
        MAGIC1 => check_extended(state, hello),
        _ => Ok(()),
    }
}

fn check_extended(state: &[u8], hello: &Hello) -> Result<(), Errno> {
    let len = state.len();
    let size_fits = usize::try_from(word(state, SOFTWARE + 4)) == Ok(len) && len > HEADER_END;
    if !size_fits || word(state, len - 4) != MAGIC2 {
        return Err(Errno::EINVAL);
    }
    let features = u64::from(word(state, HEADER)) | u64::from(word(state, HEADER + 4)) << 32;
    let reserved = &state[HEADER + 8..HEADER_END];
    match features & !hello.fp_features == 0 && reserved.iter().all(|byte| *byte == 0) {
        true => Ok(()),
        false => Err(Errno::EINVAL),
    }
}

fn word(state: &[u8], at: usize) -> u32 {
    let bytes = state.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u32::from_le_bytes)
}
