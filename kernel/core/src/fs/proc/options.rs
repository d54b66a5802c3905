//! Mount options of proc(5).

use alloc::string::String;

use crate::Errno;
use crate::task::Credentials;

/// Whose processes are shown to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HidePid {
    /// All of them.
    #[default]
    Off,
    /// All of them, but nothing about them.
    NoAccess,
    /// Only one's own.
    Invisible,
    /// Only those that ptrace(2) may touch.
    PtraceOnly,
}

impl HidePid {
    fn parse(text: &str) -> Result<Self, Errno> {
        Ok(match text {
            "0" | "off" => Self::Off,
            "1" | "noaccess" => Self::NoAccess,
            "2" | "invisible" => Self::Invisible,
            "4" | "ptraceable" => Self::PtraceOnly,
            _ => return Err(Errno::EINVAL),
        })
    }

    fn text(self) -> &'static str {
        match self {
            Self::Off => "",
            Self::NoAccess => ",hidepid=noaccess",
            Self::Invisible => ",hidepid=invisible",
            Self::PtraceOnly => ",hidepid=ptraceable",
        }
    }
}

/// What the top directory has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subset {
    /// All of it.
    #[default]
    Everything,
    /// Processes alone.
    Processes,
}

impl Subset {
    /// The names are parted by `+`; there is but one.
    fn parse(text: &str) -> Result<Self, Errno> {
        match text.split('+').all(|name| name == "pid") {
            true => Ok(Self::Processes),
            false => Err(Errno::EINVAL),
        }
    }

    fn text(self) -> &'static str {
        if self == Self::Processes { ",subset=pid" } else { "" }
    }
}

/// The options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcOptions {
    /// `hidepid=`
    pub hide: HidePid,
    /// `gid=`: whose members see everything.
    pub group: u32,
    /// `subset=`
    pub subset: Subset,
}

impl ProcOptions {
    /// From the text that mount(2) gets: `EINVAL` for what proc does not know.
    pub fn parse(text: &[u8]) -> Result<Self, Errno> {
        Self::default().with(text)
    }

    /// Changed by such a text.
    pub fn with(mut self, text: &[u8]) -> Result<Self, Errno> {
        let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        for option in text.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=').ok_or(Errno::EINVAL)? {
                ("hidepid", value) => self.hide = HidePid::parse(value)?,
                ("subset", value) => self.subset = Subset::parse(value)?,
                ("gid", value) => self.group = value.parse().map_err(|_| Errno::EINVAL)?,
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(self)
    }

    /// As /proc/mounts shows them.
    pub fn text(&self) -> String {
        let group = if self.group == 0 { String::new() } else { alloc::format!(",gid={}", self.group) };
        group + self.hide.text() + self.subset.text()
    }

    /// Whether somebody sees all processes anyway.
    pub(super) fn lets_see(&self, credentials: &Credentials) -> bool {
        self.hide == HidePid::Off || (self.hide != HidePid::PtraceOnly && credentials.in_group(self.group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, shown: Result<&str, Errno>) {
        let options = ProcOptions::parse(text.as_bytes()).map(|options| options.text());
        assert_eq!(options.as_deref().map_err(|error| *error), shown, "{text}");
    }

    #[test]
    fn options_come_back_as_linux_shows_them() {
        check("", Ok(""));
        check("hidepid=2", Ok(",hidepid=invisible"));
        check("hidepid=ptraceable,gid=27", Ok(",gid=27,hidepid=ptraceable"));
        check("hidepid=3", Err(Errno::EINVAL));
        check("subset=pid,hidepid=1", Ok(",hidepid=noaccess,subset=pid"));
        check("subset=net", Err(Errno::EINVAL));
        check("ro", Err(Errno::EINVAL));
    }
}
