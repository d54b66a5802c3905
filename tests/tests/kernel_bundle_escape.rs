//! Class `kernel` on a bundle: no race of names leads out of its directory, and the process that serves the directory
//! has nothing else of the host.

mod kernel;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use kernel::PATIENCE;
use kernel::bundles::{debian, oci, processes, with_capabilities};
use rustix::fs::inotify;
use stockade_tests::{ATTACKS, Bundle, Cmd, HostCalls, Scratch, wait_until};

const SECRET: &str = "the secret";

/// What somebody on the host sees happen to a file and its directory.
struct Observer(std::os::fd::OwnedFd);

impl Observer {
    #[track_caller]
    fn of(files: &[&Path]) -> Self {
        let observer =
            inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).expect("an observer");
        for file in files {
            inotify::add_watch(&observer, *file, inotify::WatchFlags::ALL_EVENTS).expect("watch it");
        }
        Self(observer)
    }

    fn saw_anything(&self) -> bool {
        rustix::io::read(&self.0, &mut [0_u8; 4096]).is_ok()
    }
}

/// A directory beside which lies a secret, as a link in it would reach it.
fn race_in(root: &Path) -> std::path::PathBuf {
    let race = root.join("race");
    fs::create_dir(&race).expect("make a directory");
    race
}

#[test]
fn races_of_names_do_not_lead_out() {
    let scratch = Scratch::new();
    let bundle = with_capabilities(scratch.bundle(&["/escape", "/race", "4"]));
    ATTACKS.build(&["escape"], &bundle.rootfs());
    let (secret, only) = (bundle.path().join("secret"), bundle.path().join("outside-only"));
    // `link` of the attack is ../.. of the host's directory: the bundle's.
    race_in(&bundle.rootfs());
    fs::write(&secret, SECRET).expect("write the secret");
    fs::write(only, "").expect("write a file");
    let before = names(bundle.path());
    let observer = Observer::of(&[&secret]);
    let output = oci(&scratch, "kernel", &["run", "--bundle"]).arg(bundle.path()).arg(scratch.id("race")).run();
    assert_eq!((output.stdout.as_str(), output.code), ("inside\n", 0), "{output}");
    assert!(!observer.saw_anything(), "somebody touched the secret");
    assert_eq!((names(bundle.path()), fs::read_to_string(&secret).expect("read it").as_str()), (before, SECRET));
    assert!(observer.saw_anything(), "the observer sees what is done to it");
}

/// The control: on the host, without a wall, the same attack gets out.
#[test]
fn without_walls_the_races_lead_out() {
    let scratch = Scratch::new();
    let root = scratch.path("bundle/rootfs");
    fs::create_dir_all(&root).expect("make directories");
    ATTACKS.build(&["escape"], &root);
    let race = race_in(&root);
    fs::write(scratch.path("bundle/secret"), SECRET).expect("write the secret");
    fs::write(scratch.path("bundle/outside-only"), "").expect("write a file");
    let output = Cmd::new(root.join("escape")).arg(&race).arg("10").ok();
    assert_eq!(output.stdout, "escaped\n", "{output}");
}

fn names(directory: &Path) -> BTreeSet<std::ffi::OsString> {
    fs::read_dir(directory).expect("list it").flatten().map(|entry| entry.file_name()).collect()
}

/// A bundle whose file server can be looked at.
fn served(scratch: &Scratch, bundle: &Bundle) -> (String, i32) {
    let id = scratch.id("served");
    oci(scratch, "kernel", &["run", "--detach", "--bundle"]).arg(bundle.path()).arg(&id).ok();
    wait_until("it to be up", PATIENCE, || bundle.rootfs().join("up").exists());
    let [server] = processes(&id, "stockade-files")[..] else { panic!("one file server") };
    (id, server.as_raw_nonzero().get())
}

const WAIT: [&str; 3] = ["sh", "-c", "echo >/up; while :; do sleep 1000; done"];

fn status(pid: i32, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("read its status");
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
    line.unwrap_or_else(|| panic!("{field} of the file server")).to_owned()
}

#[test]
fn the_file_server_is_jailed() {
    let scratch = Scratch::new();
    let bundle = debian(&WAIT);
    let (_, pid) = served(&scratch, &bundle);
    let of = |field: &str| status(pid, field);
    let ids =
        [of("Uid"), of("Gid")].map(|ids| ids.split_whitespace().next().expect("an id").parse().expect("a number"));
    assert!(ids.iter().all(|id: &u32| *id >= 0x7000_0000), "ids that nobody else has: {ids:?}");
    assert_eq!(of("Groups").trim(), "");
    // CAP_CHOWN 0, CAP_DAC_OVERRIDE 1, CAP_FOWNER 3, CAP_FSETID 4, CAP_SETFCAP 31: of its own user namespace.
    let kept = format!("{:016x}", 1_u64 << 31 | 0b1_1011);
    assert_eq!([of("CapEff"), of("CapPrm"), of("CapBnd")], [&*kept, &*kept, &*kept]);
    assert_eq!([of("NoNewPrivs"), of("Seccomp"), of("Seccomp_filters"), of("Threads")], ["1", "2", "1", "1"]);
    for namespace in ["user", "mnt", "pid", "net", "ipc", "uts"] {
        let link = |who: &str| fs::read_link(format!("/proc/{who}/ns/{namespace}")).expect("read a namespace");
        assert_ne!(link(&pid.to_string()), link("self"), "{namespace} is its own");
    }
    let root = Path::new("/proc").join(pid.to_string()).join("root");
    assert_eq!(names(&root), BTreeSet::from(["proc".into()]), "nothing but its own processes is there");
    assert!(fs::write(root.join("x"), "").is_err(), "its root is read-only");
    let devices = fs::read_to_string(format!("/proc/{pid}/net/dev")).expect("read its network");
    let devices: Vec<&str> = devices.lines().skip(2).filter_map(|line| line.split(':').next()).map(str::trim).collect();
    assert_eq!(devices, ["lo"]);
    let routes = fs::read_to_string(format!("/proc/{pid}/net/route")).expect("read its routes");
    assert!(routes.lines().count() <= 1, "a title at most: {routes}");
    check_descriptors(pid, &bundle);
}

/// The socket, null, the log; and places below the bundle's root alone, never open for data.
#[track_caller]
fn check_descriptors(pid: i32, bundle: &Bundle) {
    let directory = format!("/proc/{pid}/fd");
    let mut others = 0;
    for entry in fs::read_dir(&directory).expect("list its descriptors").flatten() {
        let target = fs::read_link(entry.path()).expect("read a descriptor").display().to_string();
        let number = entry.file_name().to_string_lossy().into_owned();
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).expect("read a descriptor's facts");
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:\t")).expect("flags");
        let is_place = u32::from_str_radix(flags, 8).expect("octal") & 0o10_000_000 != 0;
        let is_known = target.starts_with("socket:") || target == "/dev/null" || target.ends_with("/monitor.log");
        assert!(is_known || is_place, "{number} is {target}, open with {flags}");
        others += u32::from(is_place);
        let host = bundle.path().display().to_string();
        assert!(!is_place || !target.starts_with(&host), "{number} is {target}: a mount of the host's own");
    }
    assert!(others > 0, "it holds the root");
}

const WORK: &str = "find /etc | wc -l; ls -l /usr/bin | wc -l; cp -a /etc /srv/etc; mv /srv/etc /srv/e; rm -r /srv/e; \
                    ln -s a /srv/l; ln /etc/hostname /srv/h; mkfifo /srv/p; touch -d @1 /srv/h; chmod 600 /srv/h; \
                    chown 1 /srv/h; sync /srv/h; df / | wc -l; dd if=/dev/zero of=/srv/z bs=64k count=20; rm /srv/z";

/// Beside what it calls by itself, the C library calls these.
const OTHERS: [(&str, u32); 1] = [("restart_syscall", 219)];

#[test]
fn the_host_sees_no_other_calls_than_those_listed() {
    let scratch = Scratch::new();
    let bundle = debian(&WAIT);
    let (id, pid) = served(&scratch, &bundle);
    let calls = HostCalls::of(&format!("stockade-{}-files", std::process::id()), &[pid]);
    scratch.oci(&["exec", &id, "sh", "-c", WORK]).run();
    scratch.oci(&["kill", &id, "KILL"]).ok();
    wait_until("it to end", PATIENCE, || processes(&id, "").is_empty());
    let counts = calls.counts();
    let table = stockade_kernel::syscall::TABLE.iter().map(|entry| (entry.name, entry.number));
    let numbers: Vec<(&str, u32)> = table.chain(OTHERS).collect();
    let number = |name: &str| numbers.iter().find(|(other, _)| *other == name).map(|(_, number)| *number);
    let listed: Vec<u32> = stockade_kernel_monitor::file_server_calls().into_iter().filter_map(number).collect();
    assert!(counts.values().sum::<usize>() > 1000, "the tracer saw it at work: {counts:?}");
    let others: Vec<_> = counts.iter().filter(|(number, _)| !listed.contains(number)).collect();
    assert!(others.is_empty(), "host calls that are not on its list (number, how often): {others:?}");
}

/// What a server would follow if it followed anything, at once and for every program.
#[test]
fn links_of_the_host_lead_nowhere_else() {
    let scratch = Scratch::new();
    let script = "cat /up /climb/secret /abs /proc-link/1/environ 2>&1 | sort | uniq -c; ls /climb";
    let bundle = with_capabilities(scratch.bundle(&["sh", "-c", script]));
    let root = bundle.rootfs();
    fs::write(bundle.path().join("secret"), SECRET).expect("write the secret");
    symlink("../../../../../..", root.join("climb")).expect("a link");
    symlink(bundle.path().join("secret"), root.join("abs")).expect("a link");
    symlink("/proc", root.join("proc-link")).expect("a link");
    symlink("../secret", root.join("up")).expect("a link");
    let output = oci(&scratch, "kernel", &["run", "--bundle"]).arg(bundle.path()).arg(scratch.id("links")).run();
    assert!(!output.stdout.contains(SECRET), "{output}");
    assert!(output.stdout.contains("climb") && output.stdout.contains("bin"), "/ is the container's: {output}");
}
