//! The lab itself, and what of classes `native` and `kernel` needs pure cgroup v2.

use std::path::Path;

use stockade_tests::{LAB, Lab, bin, rootfs};

use super::Case;

pub(crate) const CASES: &[Case] = &[
    ("status and streams", status_and_streams),
    ("what a command leaves running ends with it", leftovers_end),
    ("cgroup v2 has its controllers", controllers),
    ("KVM runs a guest", kvm_runs_a_guest),
    ("class native's control groups", native_cgroups),
    ("limits through stockade-oci", oci_limits),
    ("limits of both classes through stockade", limits_inside),
];

fn status_and_streams(lab: &mut Lab) {
    let output = lab.run(["sh", "-c", "echo out; echo err >&2; pwd; exit 7"]);
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tree").display();
    assert_eq!((output.code, output.stdout.as_str()), (7, format!("out\n{here}\n").as_str()), "{output}");
    assert_eq!(output.err(), "err");
    assert_eq!(lab.run(["sh", "-c", "kill -9 $$"]).code, 137);
    let much = lab.run(["head", "-c", "300000", "/dev/zero"]);
    assert_eq!(much.stdout.len(), 300_000);
}

fn leftovers_end(lab: &mut Lab) {
    assert_eq!(lab.run(["sh", "-c", "setsid sleep 1000 & echo started"]).out(), "started");
    let output = lab.run(["sh", "-c", "grep -l ^sleep /proc/[0-9]*/comm"]);
    assert_eq!(output.out(), "", "{output}");
}

fn controllers(lab: &mut Lab) {
    let output = lab.run(["cat", "/sys/fs/cgroup/cgroup.subtree_control"]);
    for name in ["cpuset", "cpu", "io", "memory", "pids"] {
        assert!(output.out().split(' ').any(|word| word == name), "{name}: {output}");
    }
}

fn kvm_runs_a_guest(lab: &mut Lab) {
    let dir = tempfile::tempdir().expect("make a directory");
    LAB.build(&["kvm"], dir.path());
    // The lab's view of the host's files is as old as its first look at them, and it has not looked at this one.
    let output = lab.run([dir.path().join("kvm").display().to_string()]);
    assert_eq!((output.code, output.out()), (0, "version 12\nport 0x3f8: 42"), "{output}");
}

fn native_cgroups(lab: &mut Lab) {
    let output = lab.run_tests("stockade_native", ["cgroup::", "--test-threads=1"]);
    assert_eq!(output.code, 0, "{output}");
}

fn oci_limits(lab: &mut Lab) {
    let output = lab.run_tests("limits_oci", ["--test-threads=1"]);
    assert_eq!(output.code, 0, "{output}");
}

/// Both classes show the limits in their own /sys/fs/cgroup, and hold the one of memory.
fn limits_inside(lab: &mut Lab) {
    let script = r#"stockade="$1 --root /var/tmp/root --state /run/lab-state"
$stockade image import "$2" localhost/busybox:lab >/dev/null
for class in native kernel; do
    run="$stockade run --rm --isolation $class --memory 64m --memory-swap 64m --cpus 0.5 --pids-limit 20"
    $run localhost/busybox:lab sh -c 'cd /sys/fs/cgroup; cat memory.max cpu.max pids.max' | tr '\n' ' '
    $run localhost/busybox:lab dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null
    [ $? = 0 ] && echo "no limit holds in class $class"
done
rm -r /var/tmp/root /run/lab-state
"#;
    let (program, image) = (bin("stockade"), rootfs("busybox"));
    let output = lab.run(["sh", "-c", script, "sh", &program.display().to_string(), &image.display().to_string()]);
    let seen = "67108864 50000 100000 20 ";
    assert_eq!(output.stdout, seen.repeat(2), "{output}");
}
