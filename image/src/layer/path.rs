//! Paths of tar entries.

use super::{Limits, Refusal, to_u64};

const NAME_BYTES_MAX: usize = 255;

/// A path below the layer's root: names without `.`, `..`, `/` and NUL. Empty for the root itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EntryPath<'a> {
    names: Vec<&'a [u8]>,
}

impl<'a> EntryPath<'a> {
    /// Absolute paths count from the layer's root, as everywhere; `..` is refused even where it would not climb out.
    pub(super) fn parse(raw: &'a [u8], limits: &Limits) -> Result<Self, Refusal> {
        if raw.len() > limits.path_bytes_max {
            return Err(Refusal::Limit { limit: "path_bytes_max", max: to_u64(limits.path_bytes_max) });
        }
        let names: Vec<_> = raw.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".").collect();
        names.iter().try_for_each(|name| check_name(name))?;
        if names.len() > limits.path_depth_max {
            return Err(Refusal::Limit { limit: "path_depth_max", max: to_u64(limits.path_depth_max) });
        }
        Ok(Self { names })
    }

    /// The names from the root down.
    pub(super) fn names(&self) -> &[&'a [u8]] {
        &self.names
    }

    /// Directory and last name; `None` for the root.
    pub(super) fn split(&self) -> Option<(&[&'a [u8]], &'a [u8])> {
        self.names.split_last().map(|(&name, parents)| (parents, name))
    }
}

fn check_name(name: &[u8]) -> Result<(), Refusal> {
    match name {
        b".." => Err(Refusal::ParentComponent),
        _ if name.len() > NAME_BYTES_MAX => Err(Refusal::NameTooLong),
        _ if name.contains(&0) => Err(Refusal::NulInPath),
        _ => Ok(()),
    }
}
