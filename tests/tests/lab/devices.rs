//! Devices of the VMM as a guest sees them: a disk, entropy, and a directory that Debian's virtiofsd serves; with the
//! VMM's threads behind their system call filters.

use std::fs;

use stockade_tests::{Lab, example, fixture};
use stockade_vm_kernel::cpio::Archive;
use stockade_vm_kernel::{Modules, drivers};

use super::Case;

pub(crate) const CASES: &[Case] = &[("a guest uses a disk and a shared directory, behind filters", guest_at_work)];

/// Works with what it has, and stays until its machine ends.
const INIT: &str = r#"#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t devtmpfs devtmpfs /dev
while read -r module; do
    busybox insmod "/modules/$module"
done </modules/order
busybox --install -s /bin
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty -F /dev/ttyS0 -onlcr
dd if=/dev/vda bs=4k count=1 2>/dev/null | head -n 1
echo "by the guest" | dd of=/dev/vda conv=fsync 2>/dev/null && echo "disk written"
blkdiscard -o 65536 -l 4096 /dev/vda && echo "disk discarded"
head -c 64 /dev/hwrng | wc -c
mount -t virtiofs bundle /mnt && cat /mnt/hello
echo "by the guest" >/mnt/file && chown 1000:1001 /mnt/file && mkdir /mnt/directory && mv /mnt/file /mnt/directory/
dd if=/dev/zero of=/mnt/directory/large bs=1M count=4 2>/dev/null
ls -ln /mnt/directory | sed -n 's/  */ /g; s/^\(-[rwx-]*\) 1 \([0-9]* [0-9]* [0-9]*\) .* \(.*\)$/\1 \2 \3/p'
echo "the guest is done"
while :; do sleep 1000; done
"#;

/// Words: the VMM, the kernel, a folder with the initramfs. What it prints is what the test looks at.
const SCRIPT: &str = r#"set -u
vmm=$1 kernel=$2 initramfs=$3/initramfs
mkdir /var/tmp/devices && cd /var/tmp/devices
mkdir shared && echo "from the host" >shared/hello
truncate -s 1M disk && echo "the disk's first line" | dd of=disk conv=notrunc 2>/dev/null
mkdir -p /run/virtiofsd
for program in /usr/lib/qemu/virtiofsd /usr/libexec/virtiofsd; do [ -x $program ] && virtiofsd=$program; done
$virtiofsd --socket-path=$PWD/fs.sock -o source=$PWD/shared -o sandbox=chroot -o xattr -f 2>virtiofsd.log &
server=$!
until [ -S fs.sock ]; do sleep 0.1; done
$vmm $kernel $initramfs "console=ttyS0 reboot=k panic=1 quiet cryptomgr.notests" 1 disk share=bundle:fs.sock </dev/null >serial 2>vmm.log &
vmm=$!
for i in $(seq 400); do grep -q "the guest is done" serial && break; kill -0 $vmm || break; sleep 0.5; done
echo "--- serial"; cat serial
echo "--- threads"
for task in /proc/$vmm/task/*; do
    echo "$(cat $task/comm): $(sed -n 's/^Seccomp:\t//p' $task/status)"
done | sort
echo "--- host"
head -n 1 disk; cat shared/directory/file; stat -c '%u %g' shared/directory/file
kill -9 $server
wait $vmm; echo "--- end"; cat vmm.log
cd /; rm -r /var/tmp/devices
"#;

fn guest_at_work(lab: &mut Lab) {
    let dir = tempfile::tempdir().expect("make a directory");
    fs::write(dir.path().join("initramfs"), initramfs()).expect("write the initramfs");
    let (vmm, kernel) = (example("boot"), fixture("lab/kernel/vmlinux"));
    let words = [vmm, kernel, dir.path().to_owned()].map(|path| path.display().to_string());
    let output = lab.run(["sh", "-c", SCRIPT, "sh"].map(str::to_owned).into_iter().chain(words));
    assert_eq!(output.code, 0, "{output}");
    let seen = "the disk's first line\ndisk written\ndisk discarded\n64\nfrom the host\n\
                -rw-r--r-- 1000 1001 13 file\n-rw-r--r-- 0 0 4194304 large\nthe guest is done\n";
    assert!(output.stdout.contains(seen), "{output}");
    for thread in ["devices", "vcpu 0"] {
        assert!(output.stdout.contains(&format!("\n{thread}: 2\n")), "{thread} has a filter: {output}");
    }
    assert!(output.stdout.contains("--- host\nby the guest\nby the guest\n1000 1001\n"), "{output}");
    let end = output.stdout.split("--- end\n").nth(1).unwrap_or_default();
    assert!(end.contains("the file server of the share bundle ended"), "{output}");
}

/// busybox, the devices' modules, and a first process.
fn initramfs() -> Vec<u8> {
    let modules = fixture("lab/kernel/modules");
    let modules = Modules::open(&modules).expect("the kernel's modules");
    let mut archive = Archive::new(Vec::new());
    let build = |archive: &mut Archive<Vec<u8>>| {
        ["bin", "dev", "proc", "mnt", "modules"].iter().try_for_each(|dir| archive.directory(dir))?;
        archive.device("dev/console", 5, 1)?;
        archive.file("init", 0o755, INIT.as_bytes())?;
        archive.file("bin/busybox", 0o755, &fs::read("/bin/busybox")?)?;
        drivers::add(archive, &modules, &["virtio_mmio", "virtio_blk", "virtio_rng", "virtiofs"])
    };
    build(&mut archive).expect("build the guest's archive");
    archive.finish().expect("end the guest's archive")
}
