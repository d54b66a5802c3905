//! Class `vm` in the lab that counts instructions: time there is work done, whatever else this machine does.

mod boot;
mod guest;
mod many;
mod restore;
mod run;
mod session;
mod transfer;

pub use boot::debian as boot;
pub use boot::small as boot_small;
pub use many::run as many;
pub use restore::run as restore;
pub use run::run;
pub use transfer::run as transfer;
