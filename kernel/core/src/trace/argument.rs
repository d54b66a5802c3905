//! One call's arguments as text.

use alloc::string::String;
use core::fmt::Write;

use super::flags;
use super::table::Shape;
use crate::abi::Timespec;
use crate::mm::Memory;

/// Bytes of a buffer that are shown, as strace(1) shows them.
const BYTES_SHOWN: usize = 32;
/// Bytes of a path that are shown.
const PATH_SHOWN: usize = 4096;
/// Arguments of a program that are shown.
const WORDS_SHOWN: usize = 32;
const AT_FDCWD: i32 = -100;

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number with a sign.
    Int,
    /// A number without.
    Size,
    /// An offset in a file.
    Offset,
    /// A bit field, or what has no better form.
    Hex,
    /// An address.
    Pointer,
    /// A file descriptor.
    Fd,
    /// The same, or the working directory.
    DirFd,
    /// A string that ends with a zero.
    Path,
    /// A buffer to be read; the next argument is its length.
    BytesIn,
    /// A buffer to be filled; the result is its length.
    BytesOut,
    /// A socket's address; the next argument is its length.
    Address,
    /// Strings: a program's arguments.
    Words,
    /// Strings that are only counted: a program's environment.
    Variables,
    /// Permission bits.
    Mode,
    /// A signal.
    Signal,
    /// `struct timespec` to be read.
    Time,
    /// `struct timespec` to be filled.
    TimeOut,
    /// A status to be filled, as wait(2) has it.
    StatusOut,
    /// Two descriptors to be filled.
    PairOut,
    /// Something to be filled, of which the address is shown.
    Out,
    /// The command of fcntl(2), ioctl(2), futex(2) and others, by name.
    Name(&'static [(u64, &'static str)]),
    /// Bits by name; a name for 0 stands for none of them.
    Flags(&'static [(u64, &'static str)]),
    /// Flags of open(2): the access mode is no bit field.
    OpenFlags,
}

/// When an argument is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// The call begins: what it reads.
    Entry,
    /// It returns: what it filled.
    Exit(i64),
    /// It was interrupted: nothing was filled.
    Abandoned,
}

impl Kind {
    /// Whether its text is known only at the end.
    fn is_filled(self) -> bool {
        matches!(self, Kind::BytesOut | Kind::TimeOut | Kind::StatusOut | Kind::PairOut | Kind::Out)
    }
}

/// The arguments as they came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arguments([u64; 6]);

impl Arguments {
    pub(super) fn new(values: [u64; 6]) -> Self {
        Self(values)
    }

    /// Writes those that are known at this moment and were not before: up to the first that is filled, or from it on.
    pub(super) fn write(&self, text: &mut String, shape: &Shape, memory: &Memory, moment: Moment) {
        let first_filled = shape.kinds.iter().position(|kind| kind.is_filled()).unwrap_or(shape.kinds.len());
        let range = if moment == Moment::Entry { 0..first_filled } else { first_filled..shape.kinds.len() };
        for index in range.clone() {
            if index > range.start {
                text.push_str(", ");
            }
            let writer = Writer { values: &self.0, index, memory, moment };
            // Writing to memory does not fail.
            let _ = writer.write(text, shape.kinds[index]);
        }
        if moment == Moment::Entry && first_filled > 0 && first_filled < shape.kinds.len() {
            text.push_str(", ");
        }
    }
}

struct Writer<'a> {
    values: &'a [u64; 6],
    index: usize,
    memory: &'a Memory,
    moment: Moment,
}

impl Writer<'_> {
    fn value(&self) -> u64 {
        self.values[self.index]
    }

    /// The lower half, as Linux reads an `int`.
    #[expect(clippy::cast_possible_truncation, reason = "Linux looks at the lower half only")]
    fn int(&self) -> i32 {
        self.value() as u32 as i32
    }

    fn write(&self, text: &mut String, kind: Kind) -> core::fmt::Result {
        let value = self.value();
        match kind {
            Kind::Int | Kind::Fd => write!(text, "{}", self.int()),
            Kind::DirFd if self.int() == AT_FDCWD => text.write_str("AT_FDCWD"),
            Kind::DirFd => write!(text, "{}", self.int()),
            Kind::Size => write!(text, "{value}"),
            Kind::Offset => write!(text, "{}", value.cast_signed()),
            Kind::Hex => write!(text, "{value:#x}"),
            Kind::Mode => write!(text, "0{:o}", value & 0xffff_ffff),
            Kind::Signal => text.write_str(&flags::signal(self.int())),
            Kind::Path => self.path(text),
            Kind::BytesIn => self.bytes(text, self.values.get(self.index + 1).copied().unwrap_or(0)),
            Kind::Address => self.address(text),
            Kind::Words => self.words(text),
            Kind::Variables => self.variables(text),
            Kind::Time => self.time(text),
            Kind::Name(names) => text.write_str(&flags::name(names, value)),
            Kind::Flags(names) => text.write_str(&flags::set(names, value)),
            Kind::OpenFlags => text.write_str(&flags::open(value)),
            Kind::Pointer | Kind::Out => pointer(text, value),
            filled => self.filled(text, filled),
        }
    }

    /// What the call filled, if it succeeded.
    fn filled(&self, text: &mut String, kind: Kind) -> core::fmt::Result {
        let Moment::Exit(result) = self.moment else { return pointer(text, self.value()) };
        let Ok(result) = u64::try_from(result) else { return pointer(text, self.value()) };
        match kind {
            Kind::BytesOut => self.bytes(text, result),
            Kind::TimeOut => self.time(text),
            Kind::StatusOut => self.status(text, result),
            _ => self.pair(text),
        }
    }

    fn path(&self, text: &mut String) -> core::fmt::Result {
        if self.value() == 0 {
            return text.write_str("NULL");
        }
        match self.memory.read_string(self.value(), PATH_SHOWN, crate::Errno::ENAMETOOLONG) {
            Ok(bytes) => quoted(text, &bytes),
            Err(_) => pointer(text, self.value()),
        }
    }

    fn bytes(&self, text: &mut String, len: u64) -> core::fmt::Result {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        match self.memory.read_vec(self.value(), len.min(BYTES_SHOWN)) {
            Ok(bytes) => {
                quoted(text, &bytes)?;
                if len > BYTES_SHOWN { text.write_str("...") } else { Ok(()) }
            }
            Err(_) => pointer(text, self.value()),
        }
    }

    fn address(&self, text: &mut String) -> core::fmt::Result {
        const LEN_MAX: usize = 128;
        let len = self.values.get(self.index + 1).map_or(0, |len| usize::try_from(*len).unwrap_or(LEN_MAX));
        match self.memory.read_vec(self.value(), len.min(LEN_MAX)) {
            Ok(bytes) if self.value() != 0 => socket_address(text, &bytes),
            _ => pointer(text, self.value()),
        }
    }

    /// The addresses of a list that ends with zero.
    fn list(&self) -> impl Iterator<Item = u64> {
        let address = move |index: u64| self.value().checked_add(index * 8);
        let word = move |index| self.memory.read_struct::<u64>(address(index)?).ok().filter(|word| *word != 0);
        (0..).map_while(word)
    }

    fn words(&self, text: &mut String) -> core::fmt::Result {
        if self.value() == 0 {
            return text.write_str("NULL");
        }
        text.push('[');
        for (index, address) in self.list().enumerate() {
            if index > 0 {
                text.push_str(", ");
            }
            if index == WORDS_SHOWN {
                text.push_str("...");
                break;
            }
            match self.memory.read_string(address, PATH_SHOWN, crate::Errno::E2BIG) {
                Ok(bytes) => quoted(text, &bytes)?,
                Err(_) => pointer(text, address)?,
            }
        }
        text.write_char(']')
    }

    fn variables(&self, text: &mut String) -> core::fmt::Result {
        const COUNTED: usize = 100_000;
        pointer(text, self.value())?;
        match self.list().take(COUNTED).count() {
            1 => text.write_str(" /* 1 var */"),
            count => write!(text, " /* {count} vars */"),
        }
    }

    fn time(&self, text: &mut String) -> core::fmt::Result {
        match self.memory.read_struct::<Timespec>(self.value()) {
            Ok(time) if self.value() != 0 => {
                write!(text, "{{tv_sec={}, tv_nsec={}}}", time.seconds, time.nanoseconds)
            }
            _ => pointer(text, self.value()),
        }
    }

    fn status(&self, text: &mut String, result: u64) -> core::fmt::Result {
        match self.memory.read_struct::<u32>(self.value()) {
            Ok(status) if self.value() != 0 && result != 0 => write!(text, "[{}]", flags::wait_status(status)),
            _ => pointer(text, self.value()),
        }
    }

    fn pair(&self, text: &mut String) -> core::fmt::Result {
        match self.memory.read_array::<u32>(self.value(), 2).as_deref() {
            Ok([first, second]) => write!(text, "[{first}, {second}]"),
            _ => pointer(text, self.value()),
        }
    }
}

fn pointer(text: &mut String, value: u64) -> core::fmt::Result {
    if value == 0 { text.write_str("NULL") } else { write!(text, "{value:#x}") }
}

/// The families that people use; others as bytes.
fn socket_address(text: &mut String, bytes: &[u8]) -> core::fmt::Result {
    match bytes {
        [1, 0, 0, name @ ..] if !name.is_empty() => {
            text.push_str("{sa_family=AF_UNIX, sun_path=@");
            quoted(text, name)?;
        }
        [1, 0, path @ ..] => {
            text.push_str("{sa_family=AF_UNIX, sun_path=");
            quoted(text, path.split(|byte| *byte == 0).next().unwrap_or_default())?;
        }
        [2, 0, p, q, a, b, c, d, ..] => {
            let port = u16::from_be_bytes([*p, *q]);
            write!(text, "{{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr(\"{a}.{b}.{c}.{d}\")")?;
        }
        other => {
            text.push('{');
            quoted(text, &other[..other.len().min(BYTES_SHOWN)])?;
        }
    }
    text.write_char('}')
}

/// A C string.
fn quoted(text: &mut String, bytes: &[u8]) -> core::fmt::Result {
    text.push('"');
    for (index, byte) in bytes.iter().enumerate() {
        let digit_follows = bytes.get(index + 1).is_some_and(u8::is_ascii_digit);
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\r' => text.push_str("\\r"),
            b' '..=b'~' => text.push(char::from(*byte)),
            other if digit_follows => write!(text, "\\{other:03o}")?,
            other => write!(text, "\\{other:o}")?,
        }
    }
    text.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_c_strings() {
        let check = |bytes: &[u8], expected: &str| {
            let mut text = String::new();
            quoted(&mut text, bytes).expect("memory takes it");
            assert_eq!(text, expected);
        };
        check(b"a \"b\"\n", r#""a \"b\"\n""#);
        check(b"\x7fELF\x02\x01\x01\0\x003", r#""\177ELF\2\1\1\0\0003""#);
    }
}
