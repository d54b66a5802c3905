//! The programs of `tests/conformance`, one per call family, say the same on Linux (class `native`, without its filter
//! of system calls) and on Stockade's own kernel.

mod kernel;

use kernel::PATIENCE;
use kernel::conformance::{DRIVER, assert_same, install};
use stockade_tests::{CONFORMANCE, Cmd, Scratch, rootfs};

/// Those that are about files and mappings.
const OF_FILES: &str = "aio directories execs files flags handles locks mapfiles memory seldom shared vectors";

const IMAGE: &str = "localhost/conformance:latest";

#[test]
fn programs_say_the_same_on_linux_and_in_class_kernel() {
    let scratch = Scratch::new();
    let root = scratch.path("image");
    // The smallest root file system with the programs.
    Cmd::new("cp").arg("-a").arg(rootfs("busybox")).arg(&root).ok();
    let names = CONFORMANCE.names();
    install(&names, &root);
    scratch.stockade(&["image", "import", "--change", "ENV PATH=/bin", &root.display().to_string(), IMAGE]).ok();
    let [native, kernel] = ["native", "kernel"].map(|class| run(&scratch, class, &[], &names));
    assert_same(&names, &native, &kernel);
    // Where files lie on the host's disk.
    let names: Vec<&str> = OF_FILES.split(' ').collect();
    let stored = ["--annotation", "dev.stockade.kernel.writable=1g"];
    let kernel = run(&scratch, "kernel", &stored, &names);
    assert_same(&names, &run(&scratch, "native", &[], &names), &kernel);
}

fn run<S: AsRef<str>>(scratch: &Scratch, class: &str, more: &[&str], names: &[S]) -> String {
    let flags = ["run", "--rm", "-h", "box", "--isolation", class, "--cap-add", "ALL"];
    let command = ["--security-opt", "seccomp=unconfined", IMAGE, "sh", "-c", DRIVER];
    let all = [&flags[..], more, &command].concat();
    scratch.stockade(&all).args(["sh", "/tmp"]).args(names.iter().map(AsRef::as_ref)).timeout(PATIENCE * 10).ok().stdout
}
