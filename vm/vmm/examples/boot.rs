//! Boots a kernel with the serial port on standard output: `boot KERNEL INITRD COMMAND_LINE [VCPUS] [DISK...]`. What
//! reads `share=TAG:SOCKET` is no disk, but a directory that a file server (vhost-user-fs) serves.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use stockade_vmm::config::{BootSource, DriveConfig, EntropyConfig, MachineUpdate, VmConfig};
use stockade_vmm::machine::{Console, Files, Machine};

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
    let mut files = Files::default();
    for disk in args {
        if let Some((tag, socket)) = disk.strip_prefix("share=").and_then(|share| share.split_once(':')) {
            files.give_share(tag, UnixStream::connect(socket).expect("the file server's socket"));
            continue;
        }
        let drive =
            DriveConfig { drive_id: disk.replace(['/', '.'], "_"), path_on_host: Some(disk), ..Default::default() };
        config.set_drive(drive).expect("drive");
    }
    let input = std::io::stdin().as_fd().try_clone_to_owned().ok();
    let machine = Machine::start_with(&config, files, Console { output: Box::new(std::io::stdout()), input });
    let machine = machine.unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(1)
    });
    let outcome = machine.wait();
    eprintln!("{outcome:?} {:?}\n{}", machine.booted(), machine.statistics());
}
