//! Mount options of tmpfs.

use crate::Errno;

/// How a tmpfs is made (tmpfs(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TmpfsOptions {
    /// `size=` or `nr_blocks=`, in bytes; `None` for no limit but the pool's.
    pub bytes: Option<u64>,
    /// `nr_inodes=`
    pub inodes: Option<u64>,
    /// `mode=` of the root.
    pub permissions: u32,
    /// `uid=` of the root.
    pub uid: u32,
    /// `gid=` of the root.
    pub gid: u32,
}

impl Default for TmpfsOptions {
    fn default() -> Self {
        Self { bytes: None, inodes: None, permissions: 0o1777, uid: 0, gid: 0 }
    }
}

impl TmpfsOptions {
    /// From the data of mount(2): `EINVAL` for what is not known.
    pub fn parse(data: &[u8]) -> Result<Self, Errno> {
        Self::default().with(data)
    }

    /// Changed by such data.
    pub fn with(mut self, data: &[u8]) -> Result<Self, Errno> {
        let text = core::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
        for option in text.split(',').filter(|option| !option.is_empty()) {
            self.set(option).ok_or(Errno::EINVAL)?;
        }
        Ok(self)
    }

    fn set(&mut self, option: &str) -> Option<()> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "size" => self.bytes = limit(bytes(value)?),
            "nr_blocks" => self.bytes = limit(bytes(value)?.checked_mul(4096)?),
            "nr_inodes" => self.inodes = limit(bytes(value)?),
            "mode" => self.permissions = u32::from_str_radix(value, 8).ok().filter(|mode| *mode <= 0o7777)?,
            "uid" => self.uid = value.parse().ok()?,
            "gid" => self.gid = value.parse().ok()?,
            // How pages are made and where they lie is the machine's to say.
            "huge" | "mpol" | "inode64" | "inode32" | "noswap" => {}
            _ => return None,
        }
        Some(())
    }
}

/// 0 means no limit.
fn limit(number: u64) -> Option<u64> {
    (number > 0).then_some(number)
}

/// A number with `k`, `m` or `g`. A share of memory (`%`) sets no limit here: the sandbox has one of its own.
fn bytes(text: &str) -> Option<u64> {
    if let Some(share) = text.strip_suffix('%') {
        return share.parse::<u64>().ok().map(|_| 0);
    }
    let shift = match text.bytes().last()?.to_ascii_lowercase() {
        b'k' => 10,
        b'm' => 20,
        b'g' => 30,
        _ => 0,
    };
    let digits = if shift == 0 { text } else { &text[..text.len() - 1] };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}
