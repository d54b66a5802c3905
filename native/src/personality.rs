//! Which system a container's processes are told that they run on (personality(2)).

use oci_spec::runtime::{LinuxPersonality, LinuxPersonalityDomain};
use stockade_sandbox::Result;

use crate::fail::invalid;

/// What personality(2) takes for it.
pub fn domain(wanted: &LinuxPersonality) -> Result<u32> {
    if wanted.flags().as_ref().is_some_and(|flags| !flags.is_empty()) {
        return Err(invalid("personality flags are not supported"));
    }
    Ok(match wanted.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    })
}
