//! Class `vm` in the lab that counts instructions: time there is work done, whatever else this machine does.

mod boot;
mod guest;

pub use boot::run as boot;
