//! Class `kernel`: writes that go to an unlinked file of the host.

mod kernel;

use std::fs;
use std::path::PathBuf;

use kernel::{BUSYBOX, Kernel, PATIENCE};
use rustix::fs::statvfs;
use rustix::process::{Pid, Signal, kill_process};
use stockade_tests::{Cmd, Output, Scratch, oci_layout, wait_until};

const MIB: u64 = 1 << 20;

fn annotation(value: &str) -> String {
    format!("dev.stockade.kernel.writable={value}")
}

/// A container that waits, with a writable layer of a size.
fn start(kernel: &Kernel, size: &str, flags: &[&str]) {
    let annotation = annotation(size);
    let flags = [&["-d", "--name", "box", "--annotation", &annotation], flags].concat();
    kernel.run_in("kernel", &flags, &["sh", "-c", "echo up; while :; do sleep 1000; done"]).ok();
    kernel.wait_for_log("box", "up");
}

fn exec(kernel: &Kernel, script: &str) -> Output {
    kernel.stockade(&["exec", "box", "sh", "-c", script]).timeout(PATIENCE * 4).run()
}

/// Writes so many MiB to a new file; what dd says if they do not fit.
fn write(kernel: &Kernel, file: &str, mib: u64) -> String {
    exec(kernel, &format!("dd if=/dev/zero of={file} bs=1M count={mib} 2>&1")).stdout
}

/// Free bytes of the root, by df.
fn free_bytes(kernel: &Kernel) -> u64 {
    let said = exec(kernel, "df -P -k / | tail -n 1").stdout;
    let free = said.split_whitespace().nth(3).and_then(|kib| kib.parse::<u64>().ok());
    free.unwrap_or_else(|| panic!("df said {said}")) * 1024
}

#[test]
fn more_is_written_than_there_is_memory() {
    let kernel = Kernel::new(BUSYBOX);
    start(&kernel, "1g", &["-m", "48m"]);
    let monitors = kernel.host_processes("stockade-monitor");
    let said = exec(&kernel, "dd if=/dev/urandom of=/a bs=1M count=128 2>&1 && cat /a >/b && md5sum </a && md5sum </b");
    let sums: Vec<&str> = said.stdout.lines().filter(|line| line.ends_with('-')).collect();
    assert!(said.code == 0 && sums.len() == 2 && sums[0] == sums[1], "{said}");
    assert_eq!(kernel.host_processes("stockade-monitor"), monitors);
}

#[test]
fn a_layer_has_a_size() {
    let kernel = Kernel::new(BUSYBOX);
    start(&kernel, "16m", &[]);
    let free = free_bytes(&kernel);
    assert!((14 * MIB..=16 * MIB).contains(&free), "{free}");
    let said = write(&kernel, "/full", 20);
    assert!(said.contains("No space left on device") && free_bytes(&kernel) < MIB, "{said}");
    assert_eq!(exec(&kernel, "rm /full").code, 0);
    let said = write(&kernel, "/again", 12);
    assert!(!said.contains("No space"), "{said}");
    assert!(free_bytes(&kernel) <= 4 * MIB);
    let said = exec(&kernel, "cp /bin/busybox /sh && /sh -c 'echo from the layer'");
    assert_eq!(said.out(), "from the layer", "{said}");
}

/// A small file system of its own for `stockade --root`, until the drop.
struct SmallDisk {
    root: PathBuf,
    kernel: Kernel,
}

impl SmallDisk {
    fn new(size: &str) -> Self {
        let scratch = Scratch::new();
        let root = scratch.root();
        fs::create_dir_all(&root).expect("make a directory");
        Cmd::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&root).ok();
        scratch.stockade(&["load", &format!("oci:{}:busybox", oci_layout().display())]).ok();
        Self { root, kernel: Kernel::with(scratch, BUSYBOX) }
    }

    fn free_bytes(&self) -> u64 {
        let facts = statvfs(&self.root).expect("look at the disk");
        facts.f_bfree * facts.f_frsize
    }

    /// As much is free as was, but for records and logs.
    #[track_caller]
    fn wait_for_free(&self, bytes: u64) {
        wait_until("room on the disk", PATIENCE, || self.free_bytes() + MIB > bytes);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.kernel.stockade(&["rm", "-f", "box"]).run();
        Cmd::new("umount").arg("-l").arg(&self.root).run();
    }
}

#[test]
fn a_full_disk_of_the_host_is_told_and_nothing_ends() {
    let disk = SmallDisk::new("40m");
    start(&disk.kernel, "1g", &[]);
    let free = disk.free_bytes();
    assert!(free_bytes(&disk.kernel) <= free);
    let said = write(&disk.kernel, "/full", 60);
    assert!(said.contains("No space left on device") && disk.free_bytes() < MIB, "{said}");
    assert_eq!(exec(&disk.kernel, "rm /full && echo alive").out(), "alive");
    disk.wait_for_free(free);
    assert!(!write(&disk.kernel, "/again", 10).contains("No space"));
}

#[test]
fn a_layer_ends_with_its_container_however_that_ends() {
    let disk = SmallDisk::new("40m");
    start(&disk.kernel, "20m", &[]);
    let free = disk.free_bytes();
    let fill = || {
        write(&disk.kernel, "/file", 16);
        assert!(disk.free_bytes() + 15 * MIB < free, "it lies on the disk");
        assert!(files(&disk.root.join("containers")).iter().all(|len| *len < MIB), "in a file without a name");
    };
    fill();
    disk.kernel.stockade(&["kill", "box"]).ok();
    disk.wait_for_free(free);
    disk.kernel.stockade(&["start", "box"]).ok();
    disk.kernel.wait_for("box", "{{.State.Running}}", "true");
    assert_eq!(exec(&disk.kernel, "ls /file").code, 1, "it was gone with the sandbox");
    fill();
    for pid in disk.kernel.host_processes("stockade-monitor").into_iter().filter_map(Pid::from_raw) {
        kill_process(pid, Signal::KILL).expect("kill the monitor");
    }
    disk.wait_for_free(free);
}

/// Lengths of all files below a directory.
fn files(directory: &PathBuf) -> Vec<u64> {
    let entries = fs::read_dir(directory).expect("list a directory").flatten();
    let lengths = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files(&entry.path()),
        _ => entry.metadata().map(|facts| facts.len()).into_iter().collect(),
    });
    lengths.flatten().collect()
}

#[test]
fn containers_of_a_sandbox_have_layers_of_their_own() {
    let kernel = Kernel::new(BUSYBOX);
    start(&kernel, "16m", &[]);
    let annotation = annotation("8m");
    let flags = ["--rm", "--network", "container:box", "--annotation", &annotation];
    let script = "echo mine >/mine; dd if=/dev/zero of=/file bs=1M count=10 2>&1";
    let said = kernel.run_in("kernel", &flags, &["sh", "-c", script]).run();
    assert!(said.stdout.contains("No space left on device"), "{said}");
    assert_eq!(exec(&kernel, "ls /mine").code, 1);
    assert!(free_bytes(&kernel) > 14 * MIB);
}

#[test]
fn what_is_no_size_is_refused() {
    let kernel = Kernel::new(BUSYBOX);
    for (value, why) in [("much", "use `memory`, or a size such as"), ("100t", "at most 16t")] {
        let said = kernel.run(&["--annotation", &annotation(value)], &["true"]).exits(125);
        assert!(said.stderr.contains(why) && said.stderr.contains("dev.stockade.kernel.writable"), "{said}");
    }
    kernel.run(&["--annotation", &annotation("memory")], &["sh", "-c", "echo x >/x"]).ok();
}
