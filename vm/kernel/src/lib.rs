//! Guest kernels of class `vm`.
//!
//! A kernel is imported under a name, as `cargo xtask guest-kernel` or a distribution built it: a vmlinux or a bzImage,
//! and, where its drivers are modules, the directory of these. [`Kernels`] keeps them; a kernel with modules gets an
//! initramfs that has those of our machine in the order in which they load ([`drivers`]).
//!
//! The files are the administrator's, not a container's: what is checked here keeps mistakes out, not attackers.
#![forbid(unsafe_code)]

pub mod cpio;
pub mod drivers;
mod image;
mod modules;
mod name;
mod store;

pub use image::{Format, Image, ImageError};
pub use modules::Modules;
pub use name::{Name, NameError};
pub use store::{FindError, ImportError, Kernel, Kernels, ListError, RemoveError};
