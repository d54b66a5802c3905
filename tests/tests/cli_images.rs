//! `stockade`'s verbs on images, against a real registry.

mod people;

use people::{IMAGE, People};
use serde_json::Value;
use stockade_tests::{Cmd, Pty, Registry, oci_layout};

#[test]
fn pull_list_inspect_and_remove() {
    let (people, registry) = (People::empty(), Registry::start());
    let name = registry.reference("busybox");
    let pulled = people.stockade(&["pull", &name]).ok();
    assert_eq!(pulled.out(), format!("{name}:latest"));
    assert!(pulled.stderr.contains("Pull complete") && pulled.stderr.contains("Downloaded newer image"), "{pulled}");
    assert!(people.stockade(&["pull", &name]).ok().stderr.contains("Image is up to date"), "{pulled}");
    let quiet = people.stockade(&["pull", "-q", &name]).ok();
    assert!(quiet.stderr.is_empty(), "{quiet}");

    let table = people.stockade(&["images"]).ok().stdout;
    assert!(table.starts_with("REPOSITORY"), "{table}");
    assert!(table.contains("IMAGE ID") && table.contains("latest") && table.contains(" ago"), "{table}");
    let id = people.stockade(&["images", "-q"]).ok().out().to_owned();
    assert_eq!(id.len(), 12);
    let full = people.stockade(&["images", "-q", "--no-trunc"]).ok().out().to_owned();
    assert!(full.starts_with(&format!("sha256:{id}")));
    assert!(people.stockade(&["image", "ls", "--digests"]).ok().stdout.contains("sha256:"));
    let row = people.stockade(&["images", "--format", "json"]).ok().json();
    assert_eq!((&row["Tag"], &row["ID"]), (&"latest".into(), &Value::from(id.as_str())));

    let document = people.stockade(&["image", "inspect", &id]).ok().json();
    assert_eq!(document[0]["Id"], full);
    assert_eq!(document[0]["RepoTags"][0], format!("{name}:latest"));
    let command = people.stockade(&["inspect", "-f", "{{join .Config.Cmd \",\"}}", &name]).ok();
    assert_eq!(command.out(), "sh");
    let history = people.stockade(&["history", &name]).ok().stdout;
    assert!(history.starts_with("IMAGE") && history.contains(&id) && history.contains("<missing>"), "{history}");
    people.stockade(&["image", "verify", &name]).ok();

    let removed = people.stockade(&["rmi", &name]).ok().stdout;
    assert!(removed.contains(&format!("Untagged: {name}:latest")) && removed.contains("Deleted: sha256:"), "{removed}");
    assert_eq!(people.stockade(&["images", "-q"]).ok().out(), "");
}

#[test]
fn filters_and_tags() {
    let people = People::new();
    people.stockade(&["tag", IMAGE, "localhost/other:1"]).ok();
    let tags = |filter: &str| {
        let output = people.stockade(&["images", "--filter", filter, "--format", "{{.Repository}}:{{.Tag}}"]).ok();
        let mut lines: Vec<String> = output.stdout.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(tags("reference=localhost/other"), ["localhost/other:1"]);
    assert_eq!(tags("reference=localhost/*:latest"), ["localhost/busybox:latest"]);
    assert_eq!(tags("dangling=true"), Vec::<String>::new());
    assert_eq!(tags("dangling=false").len(), 3);
    assert_eq!(tags("label=none"), Vec::<String>::new());
    let error = people.stockade(&["images", "--filter", "colour=red"]).exits(1).stderr;
    assert!(error.contains("choose dangling, reference, label, before or since"), "{error}");
    assert_eq!(people.stockade(&["images", "localhost/other", "-q"]).ok().stdout.lines().count(), 1);
}

#[test]
fn errors_name_the_thing_and_the_remedy() {
    let (people, registry) = (People::empty(), Registry::start());
    let check = |args: &[&str], code: i32, expected: &str| {
        let output = people.stockade(args).exits(code);
        assert!(output.stderr.starts_with("stockade: error: ") || code == 125, "{output}");
        assert!(output.stderr.contains(expected), "{output}");
        assert_eq!(output.stderr.matches("error:").count(), 1, "{output}");
    };
    check(&["pull", &registry.reference("absent")], 1, "absent");
    check(&["pull", "a//b"], 125, "invalid image reference");
    let digest = format!("localhost/x@sha256:{}", "a".repeat(64));
    check(&["tag", "absent", &digest], 125, "a name to give has no digest");
    check(&["rmi", "absent"], 1, "no such image: absent");
    check(&["inspect", "absent"], 1, "No such object: absent");
    check(&["image", "inspect", "absent"], 1, "No such image: absent");
    check(&["run", "--pull", "never", "absent"], 125, "no such image: absent");
    check(&["run", &registry.reference("absent")], 125, "absent");
}

#[test]
fn a_terminal_sees_bars() {
    let (people, registry) = (People::empty(), Registry::start());
    let mut pty = Pty::spawn(people.stockade(&["pull", &registry.reference("debian")]));
    pty.expect("Downloading [");
    let (code, output) = pty.wait();
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("Pull complete") && output.contains("debian:latest"), "{output}");
}

#[test]
fn layouts_archives_and_root_directories() {
    let people = People::empty();
    let layout = format!("oci:{}:busybox", oci_layout().display());
    let loaded = people.stockade(&["load", &layout]).ok();
    assert!(loaded.stdout.starts_with("Loaded image"), "{loaded}");
    let id = people.stockade(&["images", "-q", "--no-trunc"]).ok().out().to_owned();
    people.stockade(&["rmi", "-f", &id]).ok();
    people.stockade(&["pull", &layout]).ok();
    assert_eq!(people.stockade(&["images", "-q", "--no-trunc"]).ok().out(), id);

    people.stockade(&["tag", &id, IMAGE]).ok();
    let archive = people.scratch.path("busybox.tar");
    let archive = archive.to_str().unwrap();
    people.stockade(&["save", "-o", archive, IMAGE]).ok();
    people.stockade(&["rmi", "-f", &id]).ok();
    assert_eq!(people.stockade(&["images", "-q"]).ok().out(), "");
    people.stockade(&["load", "-i", archive]).ok();
    assert_eq!(people.stockade(&["images", "-q", "--no-trunc"]).ok().out(), id);
    people.stockade(&["rmi", "-f", &id]).ok();
    let bytes = std::fs::read(archive).unwrap();
    let files = || std::fs::read_dir(people.scratch.root().join("images")).unwrap().count();
    let before = files();
    people.stockade(&["load"]).input(bytes).ok();
    assert_eq!(files(), before, "standard input's copy has no name");
    assert_eq!(people.stockade(&["images", "-q", "--no-trunc"]).ok().out(), id);

    let rootfs = stockade_tests::rootfs("busybox");
    let change = "CMD [\"echo\", \"hello\"]";
    people.stockade(&["import", "--change", change, "-m", "mine", rootfs.to_str().unwrap(), "localhost/imported"]).ok();
    let command = people.stockade(&["inspect", "-f", "{{json .Config.Cmd}}", "localhost/imported"]).ok();
    assert_eq!(command.out(), "[\"echo\",\"hello\"]");
    assert!(people.stockade(&["history", "localhost/imported"]).ok().stdout.contains("mine"));
    let tar = Cmd::new("tar").arg("-C").arg(&rootfs).args(["-cf", "-", "."]).into_inner().output().unwrap().stdout;
    people.stockade(&["import", "-", "localhost/piped"]).input(tar).ok();
    assert!(people.stockade(&["history", "localhost/piped"]).ok().stdout.contains("Imported from -"));
    people.stockade(&["run", "--rm", "localhost/piped", "true"]).ok();
    assert!(people.stockade(&["image", "prune", "-af"]).ok().stdout.contains("Total reclaimed space:"));
    assert_eq!(people.stockade(&["images", "-q"]).ok().out(), "");
}

#[test]
fn transports_name_what_they_load() {
    let people = People::empty();
    let layout = format!("oci:{}:busybox", oci_layout().display());
    assert_eq!(people.stockade(&["load", &layout]).ok().out(), "Loaded image: localhost/oci:busybox");
    let archive = people.scratch.path("saved.tar");
    let archive = archive.to_str().unwrap();
    people.stockade(&["save", "-o", archive, "localhost/oci:busybox"]).ok();
    for (verb, source) in [
        ("load", format!("docker-archive:{archive}")),
        ("load", format!("oci-archive:{archive}")),
        ("pull", format!("oci-archive:{archive}:busybox")),
        ("pull", format!("docker-archive:{archive}")),
    ] {
        people.stockade(&["rmi", "localhost/oci:busybox"]).ok();
        let loaded = people.stockade(&[verb, &source]).ok();
        assert_eq!(loaded.out(), "Loaded image: localhost/oci:busybox", "{source}");
        people.stockade(&["run", "--rm", "localhost/oci:busybox", "true"]).ok();
    }
    let error = people.stockade(&["load", &format!("oci-archive:{archive}:absent")]).exits(1).stderr;
    assert!(error.contains("absent") && error.contains("busybox"), "{error}");
    let error = people.stockade(&["load", "docker-archive:/no/such/file"]).exits(1).stderr;
    assert!(error.contains("/no/such/file"), "{error}");
}

/// A small file system of its own for `stockade --root`, until the drop.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn under(people: &People, size: &str) -> Self {
        let root = people.scratch.root();
        std::fs::create_dir_all(&root).unwrap();
        Cmd::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&root).ok();
        Self(root)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Cmd::new("umount").arg(&self.0).run();
    }
}

#[test]
fn a_full_disk_is_told_and_does_not_stay_full() {
    let (people, registry) = (People::empty(), Registry::start());
    let _disk = SmallDisk::under(&people, "60m");
    let (large, small) = (registry.reference("debian"), registry.reference("busybox"));
    let error = people.stockade(&["pull", &large]).exits(1).stderr;
    assert!(error.contains("No space left on device"), "{error}");
    people.stockade(&["pull", &small]).ok();
    let archive = people.scratch.path("saved.tar");
    people.stockade(&["save", "-o"]).arg(&archive).arg(&small).ok();
    people.stockade(&["rmi", &small]).ok();
    let error = people.stockade(&["load"]).input(vec![b'x'; 70 << 20]).exits(1).stderr;
    assert!(error.contains("No space left on device"), "{error}");
    people.stockade(&["load", "-i"]).arg(&archive).ok();
    people.stockade(&["save", "-o"]).arg(people.scratch.path("root/copy.tar")).arg(&small).ok();
}

#[test]
fn what_is_no_file_is_written_to_and_read_but_not_replaced() {
    let people = People::new();
    let (device, link, file) = (people.scratch.path("null"), people.scratch.path("link"), people.scratch.path("file"));
    Cmd::new("mknod").arg(&device).args(["c", "1", "3"]).ok();
    std::fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for output in [&device, &link] {
        people.stockade(&["save", IMAGE, "-o"]).arg(output).ok();
    }
    assert!(!std::fs::metadata(&device).unwrap().is_file());
    assert!(link.is_symlink() && std::fs::metadata(&file).unwrap().len() > 10_000);
    let error = people.stockade(&["save", IMAGE, "-o"]).arg(people.scratch.dir()).exits(1).stderr;
    assert!(error.contains("is a directory: name a file"), "{error}");
    let pipe = people.scratch.path("pipe");
    Cmd::new("mkfifo").arg(&pipe).ok();
    let writer = people.stockade(&["save", IMAGE, "-o"]).arg(&pipe).spawn();
    let loaded = people.stockade(&["load", "-i"]).arg(&pipe).ok();
    assert_eq!(loaded.out(), format!("Loaded image: {IMAGE}:latest"));
    assert_eq!(writer.wait().code, 0);
}

#[test]
fn an_unreachable_registry_is_told_at_once() {
    let people = People::empty();
    let check = |name: &str, expected: &str| {
        let error = people.stockade(&["pull", name]).timeout(std::time::Duration::from_secs(20)).exits(1).stderr;
        assert!(error.contains(expected) && !error.contains("Query"), "{error}");
    };
    check("127.0.0.1:1/x", "cannot reach 127.0.0.1:1: Connection refused");
    check("stockade.invalid/x", "cannot reach stockade.invalid: its name does not resolve");
}

#[test]
fn run_warns_of_an_image_for_another_machine() {
    let (people, registry) = (People::empty(), Registry::start());
    let name = registry.reference("multi");
    people.stockade(&["pull", "-q", "--platform", "linux/arm64", &name]).ok();
    let warned = people.stockade(&["run", "--rm", &name, "true"]).exits(127).stderr;
    assert!(warned.contains("Warning: the image is for linux/arm64, and this machine is linux/amd64"), "{warned}");
    let asked = people.stockade(&["run", "--rm", "--platform", "linux/arm64", &name, "true"]).exits(127).stderr;
    assert!(!asked.contains("Warning"), "{asked}");
}

#[test]
fn run_fetches_a_damaged_image_again() {
    let (people, registry) = (People::empty(), Registry::start());
    let name = registry.reference("busybox");
    people.stockade(&["pull", "-q", &name]).ok();
    let id = people.stockade(&["images", "-q"]).ok().out().to_owned();
    let layers = people.scratch.root().join("images/layers");
    for file in std::fs::read_dir(layers).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    for (options, image) in [(&["--pull", "never"][..], name.as_str()), (&[], &id)] {
        let error = people.stockade(&["run", "--rm"]).args(options).args([image, "true"]).exits(125).stderr;
        assert!(error.contains("is damaged: layer sha256:"), "{error}");
    }
    let healed = people.stockade(&["run", "--rm", &name, "echo", "well"]).ok();
    assert!(healed.out() == "well" && healed.stderr.contains("fetching it again"), "{healed}");
}

#[test]
fn prune_and_history_go_on_beside_containers() {
    let people = People::new();
    people.stockade(&["create", "--name", "user", IMAGE]).ok();
    let id = people.stockade(&["images", "-q", "--no-trunc", IMAGE]).ok().out().to_owned();
    assert_eq!(people.field("user", "{{.Image}}"), id);
    // What a container uses stays, without its names if those are removed.
    let kept = people.stockade(&["image", "prune", "-af"]).ok().stdout;
    assert!(!kept.contains("Deleted"), "{kept}");
    let steps = people.stockade(&["image", "history", "-q", "--no-trunc", &id]).ok().stdout;
    assert_eq!(steps.lines().next(), Some(id.as_str()));
    people.stockade(&["start", "-a", "user"]).ok();
    people.stockade(&["rm", "user"]).ok();
    let pruned = people.stockade(&["image", "prune", "-af"]).ok().stdout;
    assert!(pruned.contains(&format!("Deleted: {id}")), "{pruned}");
    people.stockade(&["history", &id]).exits(1);
}
