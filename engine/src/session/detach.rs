//! The keys that leave a container running.

use std::str::FromStr;

use crate::options::InvalidOption;

/// The key sequence that leaves a container running (`--detach-keys`); `ctrl-p,ctrl-q` by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachKeys(Vec<u8>);

impl Default for DetachKeys {
    fn default() -> Self {
        Self(vec![0x10, 0x11])
    }
}

impl DetachKeys {
    /// The bytes to recognise.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for DetachKeys {
    type Err = InvalidOption;

    fn from_str(text: &str) -> Result<Self, InvalidOption> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        text.split(',').map(key_byte).collect::<Option<_>>().map(Self).ok_or_else(|| {
            InvalidOption(format!("invalid detach keys {text:?}: use letters and ctrl-LETTER with commas between"))
        })
    }
}

/// `a`, or `ctrl-` with one of `a-z @ [ \ ] ^ _`.
fn key_byte(key: &str) -> Option<u8> {
    match (key.strip_prefix("ctrl-").map(str::as_bytes), key.as_bytes()) {
        (Some(&[letter @ b'a'..=b'z']), _) => Some(letter - b'a' + 1),
        (Some(b"@"), _) => Some(0),
        (Some(&[symbol @ b'['..=b'_']), _) => Some(symbol - b'@'),
        (None, &[byte]) => Some(byte),
        _ => None,
    }
}

/// Looks for the keys in what is typed.
pub(super) struct Scanner<'k> {
    keys: &'k [u8],
    matched: usize,
}

impl<'k> Scanner<'k> {
    /// No keys never match.
    pub(super) fn new(keys: &'k [u8]) -> Self {
        Self { keys, matched: 0 }
    }

    /// Returns what to pass on, without the keys, and whether they are complete. A beginning of the keys is held back.
    pub(super) fn feed(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::with_capacity(typed.len());
        for &byte in typed {
            if self.keys.get(self.matched) != Some(&byte) {
                passed.extend(&self.keys[..self.matched]);
                self.matched = 0;
            }
            if self.keys.get(self.matched) != Some(&byte) {
                passed.push(byte);
                continue;
            }
            self.matched += 1;
            if self.matched == self.keys.len() {
                return (passed, true);
            }
        }
        (passed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let check = |text: &str, expected: Option<&[u8]>| {
            assert_eq!(text.parse::<DetachKeys>().ok().map(|keys| keys.0), expected.map(<[u8]>::to_vec), "{text:?}");
        };
        check("", Some(b""));
        check("ctrl-p,ctrl-q", Some(&[0x10, 0x11]));
        check("a,ctrl-@,ctrl-]", Some(&[b'a', 0, 0x1d]));
        for bad in ["ctrl-", "ctrl-1", "ab", ",", "ctrl-p,"] {
            check(bad, None);
        }
    }

    #[test]
    fn scanning() {
        let check = |typed: &[&str], passed: &str, detached: bool| {
            let mut scanner = Scanner::new(b"pq");
            let mut all = Vec::new();
            let mut found = false;
            for piece in typed {
                let (more, complete) = scanner.feed(piece.as_bytes());
                all.extend(more);
                found |= complete;
            }
            assert_eq!((String::from_utf8(all).unwrap().as_str(), found), (passed, detached), "{typed:?}");
        };
        check(&["abc"], "abc", false);
        check(&["apq"], "a", true);
        check(&["p", "q"], "", true);
        check(&["p", "x"], "px", false);
        check(&["ppq"], "p", true);
        check(&["p"], "", false);
        assert_eq!(Scanner::new(b"").feed(b"pq"), (b"pq".to_vec(), false));
    }
}
