//! A tap of the lab's, with an address on its link.

use stockade_tests::Cmd;

/// It goes with this.
pub(super) struct Tap(&'static str);

impl Tap {
    /// A tap with the first address of 172.16.N.0/30; its guest's is the second.
    pub(super) fn new(name: &'static str, network: u8) -> Self {
        ip(&["tuntap", "add", name, "mode", "tap"]);
        let tap = Self(name);
        ip(&["addr", "add", &format!("172.16.{network}.1/30"), "dev", name]);
        ip(&["link", "set", name, "up"]);
        tap
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        ip(&["link", "del", self.0]);
    }
}

fn ip(words: &[&str]) {
    Cmd::new("ip").args(words).ok();
}
