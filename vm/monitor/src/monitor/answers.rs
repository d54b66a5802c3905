//! What an agent answers, taken apart and put together anew: nothing of it goes to the host's processes unread.

use prost::Message;
use stockade_hosted::log::shown;
use stockade_sandbox::protocol::{Empty, Event, ExitStatus, Method, Processes, StatsReply};
use stockade_sandbox::{Error, IsolationClass, Result, Stats};

/// Processes that one answer can name.
const PROCESSES_MAX: usize = 1 << 16;

/// The answer to a question of this kind, as the host's processes get it.
pub(super) fn checked(method: Method, answer: Result<Vec<u8>>) -> Result<Vec<u8>> {
    let payload = answer.map_err(tame)?;
    match method {
        Method::Wait => {
            let ExitStatus { wait_status } = decode(&payload)?;
            // wait(2): sixteen bits.
            Ok(ExitStatus { wait_status: wait_status & 0xffff }.encode_to_vec())
        }
        Method::Stats => stats(&payload),
        Method::Processes => {
            let Processes { entries, .. } = decode(&payload)?;
            if entries.len() > PROCESSES_MAX {
                return Err(nonsense());
            }
            // Their pids are the guest's: no pid of the host may be among what it says.
            Ok(Processes { pids: Vec::new(), entries }.encode_to_vec())
        }
        Method::WaitOom => Ok(decode::<Event>(&payload)?.encode_to_vec()),
        _ => Ok(Empty {}.encode_to_vec()),
    }
}

fn stats(payload: &[u8]) -> Result<Vec<u8>> {
    let StatsReply { stats } = decode(payload)?;
    let stats: Stats = serde_json::from_slice(&stats).map_err(|_| nonsense())?;
    let stats = serde_json::to_vec(&stats).map_err(|_| nonsense())?;
    Ok(StatsReply { stats }.encode_to_vec())
}

fn decode<M: Message + Default>(payload: &[u8]) -> Result<M> {
    M::decode(payload).map_err(|_| nonsense())
}

fn nonsense() -> Error {
    Error::Other("the guest's agent answered nonsense".to_owned())
}

/// An error whose texts are one line of plain text each, of bounded length.
fn tame(error: Error) -> Error {
    match error {
        Error::ExecutableNotFound(program) => Error::ExecutableNotFound(shown(&program)),
        Error::NoSuchProgram(program) => Error::NoSuchProgram(shown(&program)),
        Error::NotExecutable { program, reason } => {
            Error::NotExecutable { program: shown(&program), reason: shown(&reason) }
        }
        Error::InvalidConfig(text) => Error::InvalidConfig(shown(&text)),
        Error::Unsupported { what, why, .. } => {
            Error::Unsupported { class: IsolationClass::Vm, what: shown(&what), why: shown(&why) }
        }
        Error::Os { what, source } => Error::Os { what: shown(&format!("in the guest: {what}")), source },
        Error::Other(text) => Error::Other(shown(&text)),
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method, payload: &[u8], expected: Option<&[u8]>) {
        let answer = checked(method, Ok(payload.to_vec())).ok();
        assert_eq!(answer.as_deref(), expected, "{method:?}");
    }

    #[test]
    fn nothing_but_what_was_asked_for_comes_through() {
        check(Method::Start, b"whatever", Some(b""));
        check(Method::Wait, b"\xff\xff", None);
        let status = |wait_status| ExitStatus { wait_status }.encode_to_vec();
        check(Method::Wait, &status(0x700), Some(&status(0x700)));
        check(Method::Wait, &status(-1), Some(&status(0xffff)));
        let claim = Processes { pids: vec![1], entries: Vec::new() };
        check(Method::Processes, &claim.encode_to_vec(), Some(&Processes::default().encode_to_vec()));
        check(Method::Stats, &StatsReply { stats: b"{".to_vec() }.encode_to_vec(), None);
    }

    #[test]
    fn errors_are_plain_text() {
        let said = |error: Error| checked(Method::Create, Err(error)).expect_err("an error").to_string();
        assert_eq!(said(Error::Other("\x1b[2Jgone\nforged".into())), "\\u{1b}[2Jgone\\nforged");
        assert!(said(Error::InvalidConfig("x".repeat(1 << 20))).len() < 2000);
        let theirs = Error::Unsupported { class: IsolationClass::Native, what: "fly".into(), why: "no wings".into() };
        assert_eq!(said(theirs), "isolation class vm cannot fly: no wings");
    }
}
