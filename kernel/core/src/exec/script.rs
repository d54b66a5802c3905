//! Scripts: `#!` and an interpreter (execve(2), "Interpreter scripts").

use alloc::vec::Vec;

use super::HEAD_BYTES;
use crate::Errno;

/// What the first line of a script says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script<'a> {
    /// Path of the interpreter.
    pub interpreter: &'a [u8],
    /// All that follows it, as one argument.
    pub argument: Option<&'a [u8]>,
}

fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

impl<'a> Script<'a> {
    /// From the first bytes of a file; `None` when it is no script. As load_script() of Linux does.
    pub fn parse(head: &'a [u8]) -> Result<Option<Self>, Errno> {
        let Some(rest) = head.strip_prefix(b"#!") else { return Ok(None) };
        let line = match rest.iter().position(|byte| *byte == b'\n') {
            Some(end) => &rest[..end],
            // A line that goes on behind what was read must not have cut the interpreter's name.
            None if head.len() == HEAD_BYTES => &rest[..cut(rest)?],
            None => rest,
        };
        let line = trim(line);
        let line = line.iter().position(|byte| *byte == 0).map_or(line, |end| &line[..end]);
        let name_end = line.iter().position(|byte| is_space(*byte)).unwrap_or(line.len());
        let (interpreter, argument) = line.split_at(name_end);
        if interpreter.is_empty() {
            return Err(Errno::ENOEXEC);
        }
        let argument = trim(argument);
        Ok(Some(Self { interpreter, argument: (!argument.is_empty()).then_some(argument) }))
    }

    /// The arguments of the interpreter.
    pub fn put_before(&self, arguments: &mut Vec<Vec<u8>>, script: &[u8]) {
        let first = [Some(self.interpreter), self.argument, Some(script)];
        arguments.splice(..1.min(arguments.len()), first.into_iter().flatten().map(<[u8]>::to_vec));
    }
}

/// How much of a line without an end can be used: `ENOEXEC` unless the name of the interpreter ends in it.
fn cut(line: &[u8]) -> Result<usize, Errno> {
    let name = line.iter().position(|byte| !is_space(*byte)).ok_or(Errno::ENOEXEC)?;
    let ends = line[name..].iter().any(|byte| is_space(*byte) || *byte == 0);
    // The last byte of Linux's buffer is its terminator.
    if ends { Ok(line.len() - 1) } else { Err(Errno::ENOEXEC) }
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_space(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_space(*last)
    {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &[u8], expected: Result<Option<(&str, Option<&str>)>, Errno>) {
        let text = |bytes| core::str::from_utf8(bytes).unwrap();
        let found = Script::parse(line);
        let found = found.map(|script| script.map(|script| (text(script.interpreter), script.argument.map(text))));
        assert_eq!(found, expected, "{:?}", core::str::from_utf8(line));
    }

    #[test]
    fn the_first_line_is_taken_apart() {
        check(b"\x7fELF", Ok(None));
        check(b"#!/bin/sh\nrest", Ok(Some(("/bin/sh", None))));
        check(b"#! /bin/sh", Ok(Some(("/bin/sh", None))));
        check(b"#!\t/usr/bin/env  python3 -u \n", Ok(Some(("/usr/bin/env", Some("python3 -u")))));
        check(b"#!/bin/sh\0junk\n", Ok(Some(("/bin/sh", None))));
        check(b"#!\n", Err(Errno::ENOEXEC));
        check(b"#!   \n", Err(Errno::ENOEXEC));
    }

    #[test]
    fn a_name_that_is_cut_is_refused() {
        let mut long = b"#!/".to_vec();
        long.resize(HEAD_BYTES, b'x');
        check(&long, Err(Errno::ENOEXEC));
        long[10] = b' ';
        assert!(Script::parse(&long).unwrap().is_some());
        long.truncate(200);
        assert!(Script::parse(&long).unwrap().is_some());
    }

    #[test]
    fn the_scripts_name_takes_the_place_of_the_first_argument() {
        let script = Script::parse(b"#!/bin/sh -e\n").unwrap().unwrap();
        let mut arguments = alloc::vec![b"old".to_vec(), b"one".to_vec()];
        script.put_before(&mut arguments, b"./s");
        assert_eq!(arguments, [&b"/bin/sh"[..], b"-e", b"./s", b"one"]);
    }
}
