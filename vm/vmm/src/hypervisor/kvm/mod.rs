//! KVM on x86-64: the device, and what it must be able to do.

mod ahead;
mod cpuid;
mod foreign;
mod kick;
mod msrs;
mod registers;
mod vcpu;
mod vm;

use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, IntoRawFd};

use kvm_ioctls::{Cap, Kvm as Device};

use self::vm::KvmVm;
use super::{Error, Vm};

/// `KVM_API_VERSION`, unchanged since Linux 2.6.22.
const API_VERSION: i32 = 12;

/// What a machine is built on, and how to call it when it is missing.
const NEEDED: &[(Cap, &str)] = &[
    (Cap::SplitIrqchip, "local APICs without an I/O APIC (a split irqchip)"),
    (Cap::IrqRouting, "routes of interrupts"),
    (Cap::Ioeventfd, "ioeventfd"),
    (Cap::Irqfd, "irqfd"),
    (Cap::UserMemory, "user memory slots"),
    (Cap::SetTssAddr, "KVM_SET_TSS_ADDR"),
    (Cap::ImmediateExit, "immediate exits"),
    (Cap::MpState, "processors' run states"),
    (Cap::VcpuEvents, "pending events"),
    (Cap::Xsave, "extended processor state"),
    (Cap::Xcrs, "extended control registers"),
    (Cap::Debugregs, "debug registers"),
    (Cap::AdjustClock, "a settable clock"),
];

/// An opened and checked `/dev/kvm`.
pub struct Kvm {
    device: Device,
}

impl Kvm {
    /// Opens `/dev/kvm` and names what is wrong with it. Whether it can run guest code shows in a trial
    /// ([`crate::machine`] makes one in each new machine).
    pub fn open() -> Result<Self, Error> {
        Self::on(device()?)
    }

    /// The same for what [`device`] opened, perhaps in another process.
    pub fn on(device: File) -> Result<Self, Error> {
        // SAFETY: the descriptor is open and given away. If it is none of KVM's, its ioctls fail: the version is asked
        // for before anything else. There is no safe way to make a `Device` of an open file.
        let device = unsafe { Device::from_raw_fd(device.into_raw_fd()) };
        let version = device.get_api_version();
        if version != API_VERSION {
            return Err(Error::Version(version));
        }
        match NEEDED.iter().find(|(cap, _)| !device.check_extension(*cap)) {
            Some((_, name)) => Err(Error::Capability(name)),
            None => Ok(Kvm { device }),
        }
    }

    /// A machine without memory and processors.
    pub fn create_vm(&self) -> Result<Box<dyn Vm>, Error> {
        Ok(Box::new(KvmVm::new(&self.device)?))
    }
}

/// Opens `/dev/kvm`, or says what is in the way.
pub fn device() -> Result<File, Error> {
    File::options().read(true).write(true).open("/dev/kvm").map_err(open_error)
}

fn open_error(error: io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENXIO | libc::ENODEV) => Error::Absent,
        Some(libc::EACCES | libc::EPERM) => Error::Permission,
        _ => Error::Open(error),
    }
}

/// An `Error::Refused` from an errno of kvm-ioctls.
fn refused(what: &'static str) -> impl Fn(kvm_ioctls::Error) -> Error {
    move |errno| Error::Refused { what, source: errno.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bars_the_device_is_named() {
        let error = |errno| open_error(io::Error::from_raw_os_error(errno)).to_string();
        assert!(error(libc::ENOENT).contains("there is no /dev/kvm"));
        assert!(error(libc::EACCES).contains("no permission"));
        assert!(error(libc::EMFILE).contains("cannot open /dev/kvm"));
    }
}
