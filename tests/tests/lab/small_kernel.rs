//! The kernel that `cargo xtask guest-kernel` builds, ten minutes of a processor: so it is not for CI.

use std::path::Path;

use serde_json::json;
use stockade_tests::{Lab, fixture};

use super::class::script;
use super::guest::{BOOT_ARGS, Vmm, run_part};
use super::{Case, Part};

pub(crate) const CASES: &[Case] = &[
    ("the small kernel has a console", |lab| run_part(lab, "small kernel")),
    ("a container on the small kernel", container),
];

pub(crate) const PARTS: &[Part] = &[("small kernel", console)];

const KERNEL: &str = "guest-kernel/vmlinux";

/// The first process has one, and who opens it later.
fn console(dir: &Path) {
    let mut vmm = Vmm::start(&[]);
    let source = json!({
        "kernel_image_path": fixture(KERNEL), "initrd_path": dir.join("initramfs"), "boot_args": BOOT_ARGS,
    });
    vmm.put("/boot-source", source);
    vmm.put("/machine-config", json!({"vcpu_count": 1, "mem_size_mib": 128}));
    vmm.boot();
    let said = vmm.sh("echo said to the console >/dev/console; uname -r | grep -o '[^0-9.]*$'");
    assert_eq!(said, "said to the console\n-stockade");
    let serial = vmm.serial();
    assert!(!serial.contains("unable to open an initial console"), "{serial}");
}

/// Its disks, its limits, and its loopback.
fn container(lab: &mut Lab) {
    let text = r#"$stockade vm kernel import --name small "$2" >/dev/null
$stockade run --rm --isolation vm --guest-kernel small --memory 64m --pids-limit 20 $image sh -c '
uname -r | grep -o "[^0-9.]*$"
echo words >/etc/written; sync; cat /etc/written
cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max
echo through loopback | nc -l -p 7000 & until nc 127.0.0.1 7000 </dev/null; do sleep 0.1; done'
"#;
    let output = script(lab, text, &[fixture(KERNEL).display().to_string()]);
    assert_eq!(output.stdout, "-stockade\nwords\n67108864\n20\nthrough loopback\n", "{output}");
}
