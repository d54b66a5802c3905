//! FP and vector state that an application gives back through its signal frame: hostile bytes, made safe for the
//! processor to load (`fpu__restore_sig` of Linux).

use alloc::vec::Vec;

use crate::Errno;
use crate::abi::Abi;
use crate::mm::Memory;

/// The FXSAVE area; the bytes from [`SOFTWARE`] on are for software.
const LEGACY_BYTES: usize = 512;
const MXCSR: usize = 24;
const MXCSR_MASK: usize = 28;
const SOFTWARE: usize = 464;
/// The XSAVE header follows the legacy area.
const HEADER: usize = LEGACY_BYTES;
const HEADER_BYTES: usize = 64;
const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;
/// x87 and SSE.
const LEGACY_FEATURES: u64 = 3;

/// `struct _fpx_sw_bytes`.
#[derive(Clone, Copy)]
struct Software {
    magic: u32,
    features: u64,
    xsave_bytes: u32,
}

impl Software {
    fn of(state: &[u8]) -> Self {
        let bytes = &state[SOFTWARE..LEGACY_BYTES];
        Self {
            magic: u32::from_bytes(bytes),
            features: u64::from_bytes(&bytes[8..]),
            xsave_bytes: u32::from_bytes(&bytes[16..]),
        }
    }
}

/// The state at `address`, in the form of `current`, which is the task's own; `near` are its bytes if they were read
/// before. Empty (the initial state) for no address.
pub(super) fn restored(memory: &Memory, address: u64, near: Option<&[u8]>, current: &[u8]) -> Result<Vec<u8>, Errno> {
    if address == 0 || current.len() < LEGACY_BYTES {
        return Ok(Vec::new());
    }
    let mut state = match near {
        Some(near) => near.to_vec(),
        None => memory.read_vec(address, current.len()).or_else(|_| memory.read_vec(address, LEGACY_BYTES))?,
    };
    let known = Software::of(current);
    let given = Software::of(&state);
    let extended = state.len() == current.len()
        && current.len() >= HEADER + HEADER_BYTES + 4
        && (given.magic, given.xsave_bytes) == (MAGIC1, known.xsave_bytes)
        && u32::from_bytes(&state[state.len() - 4..]) == MAGIC2;
    let features = if extended { features(&state) & given.features } else { LEGACY_FEATURES };
    state.truncate(if extended { current.len() } else { LEGACY_BYTES });
    state.extend_from_slice(&current[state.len()..]);
    make_safe(&mut state, current, features & known.features);
    Ok(state)
}

fn features(state: &[u8]) -> u64 {
    u64::from_bytes(&state[HEADER..])
}

/// Bits that the processor would refuse are cleared.
fn make_safe(state: &mut [u8], current: &[u8], features: u64) {
    state[SOFTWARE..LEGACY_BYTES].copy_from_slice(&current[SOFTWARE..LEGACY_BYTES]);
    let known = u32::from_bytes(&current[MXCSR_MASK..]);
    let mask = if known == 0 { 0xffbf } else { known };
    let mxcsr = u32::from_bytes(&state[MXCSR..]) & mask;
    state[MXCSR..MXCSR + 4].copy_from_slice(&mxcsr.to_le_bytes());
    if state.len() < HEADER + HEADER_BYTES + 4 {
        return;
    }
    state[HEADER..HEADER + HEADER_BYTES].fill(0);
    state[HEADER..HEADER + 8].copy_from_slice(&features.to_le_bytes());
    let end = state.len() - 4;
    state[end..].copy_from_slice(&current[end..]);
}
