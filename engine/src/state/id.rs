//! Container ids and times as text.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use jiff::Timestamp;

use crate::StateError;

/// A new id: 64 hexadecimal digits whose first twelve are not all decimal, so that no one takes them for a number.
pub(crate) fn new_id() -> Result<String, StateError> {
    loop {
        let id = random_hex()?;
        if short(&id).bytes().any(|digit| digit.is_ascii_alphabetic()) {
            return Ok(id);
        }
    }
}

/// 32 random bytes in hexadecimal.
fn random_hex() -> Result<String, StateError> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0u8; 32];
    File::open(path).and_then(|mut file| file.read_exact(&mut bytes)).map_err(StateError::io("read", path))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The first twelve digits, as tables show them.
pub(crate) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// The time now, RFC 3339 with nanoseconds, UTC.
pub(crate) fn now() -> String {
    format!("{:.9}", Timestamp::now())
}
