//! What the tests of class `kernel` share: the same command in two classes, and the comparison.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod bundles;
pub mod conformance;
pub mod exceptions;
pub mod program;
pub mod python;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use stockade_tests::{Cmd, Output, Scratch, oci_layout, rootfs, wait_until};

/// An image of Debian packages.
pub const DEBIAN: &str = "localhost/oci:debian";
/// One static busybox and its links.
pub const BUSYBOX: &str = "localhost/oci:busybox";

/// What people run, as far as CI runs it.
pub const WORKLOADS: &str = "localhost/workloads:latest";
/// The same and more, for tests behind the feature `all`.
pub const ALL_WORKLOADS: &str = "localhost/workloads-all:latest";

/// Long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// `stockade` with directories of its own and one image.
pub struct Kernel {
    pub scratch: Scratch,
    image: &'static str,
    /// A trap path that is older than the host's best.
    path: Option<&'static str>,
}

impl Kernel {
    /// With [`DEBIAN`] or [`BUSYBOX`].
    #[track_caller]
    pub fn new(image: &'static str) -> Self {
        let scratch = Scratch::new();
        let tag = image.rsplit(':').next().expect("a tag");
        scratch.stockade(&["load", &format!("oci:{}:{tag}", oci_layout().display())]).ok();
        Self::with(scratch, image)
    }

    /// With an image that is there.
    pub fn with(scratch: Scratch, image: &'static str) -> Self {
        Self { scratch, image, path: None }
    }

    /// With an image of busybox and what `fill` puts beside it.
    #[track_caller]
    pub fn of_directory(image: &'static str, fill: impl FnOnce(&Path)) -> Self {
        let scratch = Scratch::new();
        let root = scratch.path("rootfs");
        for directory in ["bin", "dev", "proc", "sys", "tmp"] {
            fs::create_dir_all(root.join(directory)).expect("make a directory");
        }
        fs::copy("/usr/bin/busybox", root.join("bin/busybox")).expect("copy busybox");
        for applet in ["sh", "sleep", "pidof", "kill", "cat", "ls", "true", "seq", "wc", "mkdir", "rm", "dd"] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).expect("name an applet");
        }
        fill(&root);
        scratch.stockade(&["image", "import", &root.display().to_string(), image]).ok();
        Self { scratch, image, path: None }
    }

    /// With [`WORKLOADS`] or [`ALL_WORKLOADS`]: they are large, so the tests of one process that run at the same time
    /// share them.
    #[track_caller]
    pub fn shared(image: &'static str) -> Arc<Self> {
        static SHARED: Mutex<Vec<(&str, Weak<Kernel>)>> = Mutex::new(Vec::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let mut living = shared.iter().filter(|(name, _)| *name == image);
        if let Some(found) = living.find_map(|(_, kernel)| kernel.upgrade()) {
            return found;
        }
        let made = Arc::new(Self::imported(image));
        shared.push((image, Arc::downgrade(&made)));
        made
    }

    #[track_caller]
    fn imported(image: &'static str) -> Self {
        let scratch = Scratch::new();
        let name = image.trim_start_matches("localhost/");
        let directory = rootfs(name.trim_end_matches(":latest")).display().to_string();
        let path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        // Gigabytes, beside other work.
        scratch.stockade(&["image", "import", "--change", path, &directory, image]).timeout(PATIENCE * 20).ok();
        Self { scratch, image, path: None }
    }

    pub fn stockade(&self, args: &[&str]) -> Cmd {
        let command = self.scratch.stockade(args);
        match self.path {
            Some(path) => command.env("STOCKADE_TRAP_PATH", path),
            None => command,
        }
    }

    /// The same where hosts have only this trap path.
    pub fn on_path(self, path: &'static str) -> Self {
        Self { path: Some(path), ..self }
    }

    /// `run` in a class.
    pub fn run_in(&self, class: &str, flags: &[&str], command: &[&str]) -> Cmd {
        self.stockade(&["run", "--isolation", class]).args(flags).arg(self.image).args(command)
    }

    /// `run --rm` in class `kernel`.
    pub fn run(&self, flags: &[&str], command: &[&str]) -> Cmd {
        self.run_in("kernel", &[&["--rm"], flags].concat(), command)
    }

    /// Starts a container of class `kernel` in the background.
    #[track_caller]
    pub fn background(&self, name: &str, command: &[&str]) {
        self.run_in("kernel", &["-d", "--name", name], command).ok();
    }

    /// Runs a command in both classes; its streams and its exit code must be the same.
    #[track_caller]
    pub fn same(&self, flags: &[&str], command: &[&str]) -> Output {
        self.same_with_input(flags, command, "")
    }

    /// The same with something on standard input.
    #[track_caller]
    pub fn same_with_input(&self, flags: &[&str], command: &[&str], input: &str) -> Output {
        let run = |class| self.run_in(class, &[&["--rm"], flags].concat(), command).input(input).run();
        let (native, kernel) = (run("native"), run("kernel"));
        assert_eq!(
            (&kernel.stdout, &kernel.stderr, kernel.code),
            (&native.stdout, &native.stderr, native.code),
            "{flags:?} {command:?}: class kernel, then class native"
        );
        kernel
    }

    /// Runs scripts that an empty line separates, one after another, each by a shell of its own in an empty directory;
    /// each must say and return the same in both classes.
    #[track_caller]
    pub fn same_scripts(&self, shell: &str, scripts: &str) {
        self.same_scripts_within(PATIENCE * 2, shell, scripts);
    }

    /// The same for scripts that take longer in all.
    #[track_caller]
    pub fn same_scripts_within(&self, limit: Duration, shell: &str, scripts: &str) {
        let scripts: Vec<&str> = scripts.split("\n\n").collect();
        let all = one_script(shell, &scripts);
        let run = |class| {
            let begin = Instant::now();
            let command = self.run_in(class, &["--rm", "-h", "box"], &[shell, "-c", &all]);
            let output = command.timeout(limit).ok().stdout;
            eprintln!("class {class}: {:.1} s", begin.elapsed().as_secs_f64());
            output
        };
        let (native, kernel) = (run("native"), run("kernel"));
        assert_same_answers(&scripts, &native, &kernel);
    }

    /// One field of `inspect`.
    pub fn field(&self, name: &str, template: &str) -> String {
        self.stockade(&["inspect", "--format", template, name]).run().out().to_owned()
    }

    /// Waits until `inspect` says so.
    #[track_caller]
    pub fn wait_for(&self, name: &str, template: &str, expected: &str) {
        let what = format!("{template} of {name} to be {expected}");
        wait_until(&what, PATIENCE, || self.field(name, template) == expected);
    }

    /// Waits until the container has written `text`.
    #[track_caller]
    pub fn wait_for_log(&self, name: &str, text: &str) {
        let what = format!("{text:?} in the log of {name}");
        wait_until(&what, PATIENCE, || self.stockade(&["logs", name]).run().stdout.contains(text));
    }

    /// Every host process of this scratch whose command line begins with a word.
    pub fn host_processes(&self, word: &str) -> Vec<i32> {
        let containers = self.stockade(&["ps", "-aq", "--no-trunc"]).run().stdout;
        let ids: Vec<&str> = containers.lines().collect();
        host_processes().into_iter().filter(|pid| belongs(*pid, word, &ids)).collect()
    }
}

/// Separates answers; no script says it.
const MARK: &str = "\u{1}";

/// Fails with all scripts that were not answered alike by the two classes.
#[track_caller]
pub fn assert_same_answers(scripts: &[&str], native: &str, kernel: &str) {
    let (native, kernel) = (answers(native), answers(kernel));
    assert_eq!(native.len(), scripts.len() + 1, "class native answers every script");
    let differ = |index: &usize| native.get(index + 1) != kernel.get(index + 1);
    let mut report = String::new();
    for index in (0..scripts.len()).filter(differ) {
        let answer = |all: &[&str]| all.get(index + 1).map_or("nothing", |text| text.trim_end()).to_owned();
        let (script, native, kernel) = (scripts[index], answer(&native), answer(&kernel));
        writeln!(report, "--- {script}\nnative: {native}\nkernel: {kernel}").expect("write to memory");
    }
    assert!(report.is_empty(), "classes native and kernel differ:\n{report}");
}

/// All scripts as one, which marks where the answer of each begins.
pub fn one_script(shell: &str, scripts: &[&str]) -> String {
    let mut all =
        String::from("n=0\ncase_() { n=$((n+1)); mkdir -p /tmp/case$n; cd /tmp/case$n || exit; printf '\\001'; ");
    writeln!(all, "{shell} -c \"$1\" case </dev/null 2>&1; echo \"[$?]\"; }}").expect("write to memory");
    for script in scripts {
        writeln!(all, "case_ '{}'", script.replace('\'', r"'\''")).expect("write to memory");
    }
    all
}

fn answers(output: &str) -> Vec<&str> {
    output.split(MARK).collect()
}

fn host_processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("list processes").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// A process is a container's if its control group says so.
fn belongs(pid: i32, word: &str, ids: &[&str]) -> bool {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let groups = read("cgroup");
    read("cmdline").starts_with(word) && ids.iter().any(|id| groups.contains(id))
}
