//! What goes to standard error, and standard output's plain lines.

use std::io::{self, Write};

use anyhow::{Error, Result};
use stockade_engine::{ExecError, StartError};

use crate::human::plain;

/// Prints an error once, with its causes.
pub fn error(error: &Error) {
    // Nothing can be done about a closed standard error.
    let _ = writeln!(io::stderr(), "stockade: error: {}", plain_lines(&chain(error)));
}

/// The error and its causes, joined by colons; a cause that its effect already tells is left out.
fn chain(error: &Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, next| {
        match (text.is_empty(), text.contains(&next)) {
            (true, _) => next,
            (_, true) => text,
            _ => format!("{text}: {next}"),
        }
    })
}

/// A line for people.
pub fn note(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr(), "{}", plain_lines(text.as_ref()));
}

fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// A line of data.
pub fn print(text: impl AsRef<str>) -> Result<()> {
    Ok(writeln!(io::stdout(), "{}", text.as_ref())?)
}

/// 126 or 127 when the program that was to run is at fault.
pub fn program_fault(error: &Error) -> Option<u8> {
    let code = error
        .downcast_ref::<StartError>()
        .map(StartError::exit_code)
        .or_else(|| error.downcast_ref::<ExecError>().map(ExecError::exit_code))?;
    (code == 126 || code == 127).then_some(code)
}

/// Does the same for every name: prints each error and goes on. The exit status is 1 when one failed.
pub fn each(names: &[String], mut action: impl FnMut(&str) -> Result<()>) -> Result<u8> {
    let mut code = 0;
    for name in names {
        if let Err(failure) = action(name) {
            error(&failure);
            code = 1;
        }
    }
    Ok(code)
}

/// As [`each`], and prints every name that went well.
pub fn each_named(names: &[String], mut action: impl FnMut(&str) -> Result<()>) -> Result<u8> {
    each(names, |name| {
        action(name)?;
        print(name)
    })
}

/// Asks on the terminal; anything but `y` is no.
pub fn confirmed(question: &str) -> Result<bool> {
    let mut stderr = io::stderr();
    write!(stderr, "{question}\nAre you sure you want to continue? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// `stockade ps | head` ends as quietly as `ls | head` does.
pub fn is_closed_pipe(error: &Error) -> bool {
    let is_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(is_pipe)
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    #[test]
    fn causes_are_told_once() {
        let io = || std::io::Error::from_raw_os_error(2);
        let plain = anyhow::Error::new(io()).context("read file");
        assert_eq!(super::chain(&plain), "read file: No such file or directory (os error 2)");
        let told = Err::<(), _>(io()).with_context(|| format!("read file: {}", io())).unwrap_err();
        assert_eq!(super::chain(&told), "read file: No such file or directory (os error 2)");
    }
}
