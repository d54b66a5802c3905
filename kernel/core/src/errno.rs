//! Error numbers (errno(3)).

use core::fmt;

use linux_raw_sys::errno;

/// Why a call failed; never 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(u16);

macro_rules! errnos {
    ($($name:ident)*) => {
        #[allow(missing_docs, clippy::cast_possible_truncation, reason = "the names of errno(3), all below 4096")]
        impl Errno {
            $(pub const $name: Errno = Errno(errno::$name as u16);)*

            fn name(self) -> Option<&'static str> {
                $(if self == Errno::$name { return Some(stringify!($name)); })*
                None
            }
        }
    };
}

errnos! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV
    ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK
    ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ENOMSG EIDRM ENODATA ETIME ENOLINK EPROTO EBADMSG EOVERFLOW EILSEQ EUSERS
    ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT
    EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN
    ENOTCONN
    ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EDQUOT ECANCELED
    EOWNERDEAD ENOTRECOVERABLE ELIBBAD
}

impl Errno {
    /// The number.
    pub fn raw(self) -> i32 {
        i32::from(self.0)
    }

    /// From a number of the host or of the ABI; `None` outside 1..4096.
    pub fn from_raw(number: i32) -> Option<Self> {
        u16::try_from(number).ok().filter(|number| (1..4096).contains(number)).map(Self)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => out.write_str(name),
            None => write!(out, "errno {}", self.0),
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}

impl core::error::Error for Errno {}
