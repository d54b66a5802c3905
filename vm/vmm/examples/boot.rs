//! Boots a kernel with the serial port on standard output: `boot KERNEL INITRD COMMAND_LINE [VCPUS] [DISK...]`.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use stockade_vmm::config::{BootSource, DriveConfig, EntropyConfig, MachineUpdate, VmConfig};
use stockade_vmm::machine::{Console, Machine};

fn main() {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().expect("boot KERNEL INITRD COMMAND_LINE [VCPUS] [DISK...]");
    let (kernel, initrd, line) = (next(), next(), next());
    let vcpus = args.next().map_or(1, |count| count.parse().expect("a number"));
    let mut config = VmConfig::default();
    let update = MachineUpdate { vcpu_count: Some(vcpus), mem_size_mib: Some(256), ..Default::default() };
    config.update_machine(&update).expect("machine");
    let source = BootSource { kernel_image_path: kernel, initrd_path: Some(initrd), boot_args: Some(line) };
    config.set_boot_source(source).expect("boot source");
    config.set_entropy(EntropyConfig::default());
    for disk in args {
        let drive =
            DriveConfig { drive_id: disk.replace(['/', '.'], "_"), path_on_host: Some(disk), ..Default::default() };
        config.set_drive(drive).expect("drive");
    }
    let input = std::io::stdin().as_fd().try_clone_to_owned().ok();
    let machine = Machine::start(&config, Console { output: Box::new(std::io::stdout()), input });
    let machine = machine.unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(1)
    });
    let outcome = machine.wait();
    eprintln!("{outcome:?} {:?}\n{}", machine.booted(), machine.statistics());
}
