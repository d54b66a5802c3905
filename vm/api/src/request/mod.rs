//! Requests: from a method, a path and a body to an [`Action`], or to what is wrong with it.
//!
//! Nothing here has a state: whether an action is allowed now, the session knows.

mod body;
mod device;
mod fault;
mod machine;

#[cfg(test)]
mod tests;

use crate::Action;
pub use fault::RequestFault;

/// The methods that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Read.
    Get,
    /// Set.
    Put,
    /// Change.
    Patch,
    /// Remove. Nothing can be removed yet.
    Delete,
}

impl Method {
    /// The method of this name.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        match name {
            "GET" => Some(Self::Get),
            "PUT" => Some(Self::Put),
            "PATCH" => Some(Self::Patch),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A request of the right form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// What it asks for.
    pub action: Action,
    /// Why clients should ask otherwise.
    pub deprecation: Option<&'static str>,
}

impl From<Action> for Parsed {
    fn from(action: Action) -> Self {
        Self { action, deprecation: None }
    }
}

/// The path's parts; empty ones at its ends do not count.
struct Path<'a> {
    parts: std::str::SplitTerminator<'a, char>,
}

impl<'a> Path<'a> {
    fn new(path: &'a str) -> Self {
        Self { parts: path.trim_start_matches('/').split_terminator('/') }
    }

    fn next(&mut self) -> Option<&'a str> {
        self.parts.next()
    }
}

/// Reads a request. An empty body is none.
///
/// # Errors
/// See the variants of [`RequestFault`].
pub fn parse(method: Method, path: &str, body: &[u8]) -> Result<Parsed, RequestFault> {
    let mut rest = Path::new(path);
    let first = rest.next().unwrap_or("");
    match (method, body.is_empty()) {
        (Method::Get, true) => get(first, &mut rest),
        (Method::Get, false) => Err(RequestFault::BodyOfGet),
        (Method::Put, false) => put(first, &mut rest, body),
        (Method::Put, true) => Err(RequestFault::EmptyPut),
        (Method::Patch, false) => patch(first, &mut rest, body),
        (Method::Patch, true) => Err(RequestFault::EmptyPatch),
        (Method::Delete, true) => Err(RequestFault::unknown(method, first)),
        (Method::Delete, false) => Err(RequestFault::BodyOfDelete),
    }
}

fn get(first: &str, rest: &mut Path<'_>) -> Result<Parsed, RequestFault> {
    let action = match first {
        "" => Action::GetInfo,
        "version" => Action::GetVersion,
        "vm" if rest.next() == Some("config") => Action::GetConfig,
        "machine-config" => Action::GetMachine,
        "mmds" => Action::GetMmds,
        "balloon" => match rest.next() {
            None => Action::GetBalloon,
            Some("statistics") => Action::GetBalloonStats,
            Some(other) => return Err(RequestFault::UnknownPath("GET", other.to_owned())),
        },
        _ => return Err(RequestFault::unknown(Method::Get, first)),
    };
    Ok(action.into())
}

fn put(first: &str, rest: &mut Path<'_>, body: &[u8]) -> Result<Parsed, RequestFault> {
    match first {
        "actions" => machine::put_action(body),
        "boot-source" => body::action(body, Action::SetBootSource),
        "machine-config" => machine::put_machine(body),
        "drives" => device::put_drive(rest.next(), body),
        "network-interfaces" => device::put_network(rest.next(), body),
        "vsock" => device::put_vsock(body),
        "balloon" => body::action(body, Action::SetBalloon),
        "entropy" => body::action(body, Action::SetEntropy),
        "logger" => body::action(body, Action::SetLogger),
        "metrics" => body::action(body, Action::SetMetrics),
        "mmds" => machine::put_mmds(rest.next(), body),
        "snapshot" => machine::put_snapshot(rest.next(), body),
        _ => Err(RequestFault::unknown(Method::Put, first)),
    }
}

fn patch(first: &str, rest: &mut Path<'_>, body: &[u8]) -> Result<Parsed, RequestFault> {
    match first {
        "vm" => machine::patch_vm(body),
        "machine-config" => machine::patch_machine(body),
        "drives" => device::patch_drive(rest.next(), body),
        "network-interfaces" => device::patch_network(rest.next(), body),
        "balloon" => device::patch_balloon(rest.next(), body),
        "mmds" => body::action(body, Action::PatchMmds),
        _ => Err(RequestFault::unknown(Method::Patch, first)),
    }
}

/// The name by which requests to a path are counted.
pub(crate) fn counted_as(path: &str) -> Option<&'static str> {
    match Path::new(path).next().unwrap_or("") {
        "" => Some("instance_info"),
        "version" => Some("vmm_version"),
        "actions" => Some("actions"),
        "boot-source" => Some("boot_source"),
        "drives" => Some("drive"),
        "logger" => Some("logger"),
        "machine-config" => Some("machine_cfg"),
        "metrics" => Some("metrics"),
        "mmds" => Some("mmds"),
        "network-interfaces" => Some("network"),
        "vsock" => Some("vsock"),
        _ => None,
    }
}
