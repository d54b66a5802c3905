//! `stockade save` and `load` beside the programs that write and read such archives: docker, podman, skopeo, ctr.

mod people;

use std::path::{Path, PathBuf};

use people::People;
use stockade_tests::{Cmd, Containerd, Docker, Podman, Registry, oci_runtime};

/// Images whose layers are gzip, plain and zstd, under the names `localhost/KIND:1`, and their ids.
struct Images {
    people: People,
    ids: Vec<(String, String)>,
}

impl Images {
    fn new() -> Self {
        let (people, registry) = (People::empty(), Registry::start());
        let pulled = registry.reference("busybox");
        people.stockade(&["pull", "-q", &pulled]).ok();
        people.stockade(&["tag", &pulled, "localhost/gzip:1"]).ok();
        let root = small_root(&people.scratch.path("root"));
        let tar = people.scratch.path("root.tar");
        Cmd::new("tar").arg("-C").arg(&root).arg("-cf").arg(&tar).arg(".").ok();
        Cmd::new("zstd").args(["-q", "-k"]).arg(&tar).ok();
        let zst = people.scratch.path("root.tar.zst");
        for (source, name) in [(&tar, "localhost/plain:1"), (&zst, "localhost/zstd:1")] {
            people.stockade(&["import", "-c", "CMD [\"/bin/busybox\"]"]).arg(source).arg(name).ok();
        }
        let id = |name: &str| people.stockade(&["inspect", "-f", "{{.Id}}", name]).ok().out().to_owned();
        let ids = ["localhost/gzip:1", "localhost/plain:1", "localhost/zstd:1"].map(|name| (name.to_owned(), id(name)));
        Self { ids: ids.to_vec(), people }
    }

    /// All of them in one archive.
    fn saved(&self) -> PathBuf {
        let archive = self.people.scratch.path("saved.tar");
        let names = self.ids.iter().map(|(name, _)| name);
        self.people.stockade(&["save", "-o"]).arg(&archive).args(names).ok();
        archive
    }
}

/// Only busybox, and a file of the test's own.
fn small_root(root: &Path) -> PathBuf {
    std::fs::create_dir_all(root.join("bin")).unwrap();
    std::fs::copy(stockade_tests::rootfs("busybox").join("bin/busybox"), root.join("bin/busybox")).unwrap();
    std::fs::write(root.join("mark"), "imported\n").unwrap();
    root.to_owned()
}

#[test]
fn docker_loads_what_we_save_and_we_load_what_docker_saves() {
    let (images, docker) = (Images::new(), Docker::start(&oci_runtime()));
    let loaded = docker.docker(&["load", "--input"]).arg(images.saved()).ok();
    for (name, id) in &images.ids {
        assert!(loaded.stdout.contains(&format!("Loaded image: {name}")), "{loaded}");
        assert_eq!(docker.docker(&["inspect", "--format", "{{.Id}}", name]).ok().out(), id);
    }
    let mark = docker.docker(&["run", "--rm", "localhost/plain:1", "/bin/busybox", "cat", "/mark"]).ok();
    assert_eq!(mark.out(), "imported");

    let (other, back) = (People::empty(), docker.path("back.tar"));
    docker.docker(&["save", "--output"]).arg(&back).args(images.ids.iter().map(|(name, _)| name)).ok();
    other.stockade(&["load", "-i"]).arg(&back).ok();
    for (name, id) in &images.ids {
        assert_eq!(other.stockade(&["inspect", "-f", "{{.Id}}", name]).ok().out(), id, "{name}");
    }
}

#[test]
fn podman_loads_what_we_save_and_we_load_what_podman_saves() {
    let (images, podman) = (Images::new(), Podman::new(&oci_runtime()));
    let loaded = podman.podman(&["load", "--input"]).arg(images.saved()).ok();
    for (name, id) in &images.ids {
        assert!(loaded.stdout.contains(name), "{loaded}");
        let found = podman.podman(&["image", "inspect", "--format", "{{.Id}}", name]).ok();
        assert_eq!(format!("sha256:{}", found.out()), *id, "{name}");
    }
    for form in ["docker-archive", "oci-archive"] {
        let (other, (name, _)) = (People::empty(), &images.ids[0]);
        let back = other.scratch.path("back.tar");
        podman.podman(&["save", "--quiet", "--format", form, "--output"]).arg(&back).arg(name).ok();
        let loaded = other.stockade(&["load", "-i"]).arg(&back).ok();
        assert_eq!(loaded.out(), format!("Loaded image: {name}"), "{form}");
        other.stockade(&["run", "--rm", name, "true"]).ok();
    }
}

#[test]
fn skopeo_finds_each_image_by_its_name() {
    let images = Images::new();
    let saved = images.saved();
    for (name, id) in &images.ids {
        let source = format!("docker-archive:{}:{name}", saved.display());
        let config = Cmd::new("skopeo").args(["inspect", "--config", "--raw", &source]).ok().stdout;
        assert_eq!(sha256(&config), *id, "{name}");
    }
}

#[test]
fn containerd_imports_what_we_save_and_we_load_what_it_exports() {
    let (images, containerd) = (Images::new(), Containerd::start(&oci_runtime()));
    containerd.ctr(&["image", "import"]).arg(images.saved()).ok();
    let listed = containerd.ctr(&["image", "ls", "-q"]).ok().stdout;
    let (other, back) = (People::empty(), images.people.scratch.path("back.tar"));
    containerd.ctr(&["image", "export"]).arg(&back).args(images.ids.iter().map(|(name, _)| name)).ok();
    other.stockade(&["load", "-i"]).arg(&back).ok();
    for (name, id) in &images.ids {
        assert!(listed.lines().any(|line| line == name), "{listed}");
        assert_eq!(other.stockade(&["inspect", "-f", "{{.Id}}", name]).ok().out(), id, "{name}");
    }
}

fn sha256(text: &str) -> String {
    let sum = Cmd::new("sha256sum").input(text).ok();
    format!("sha256:{}", sum.out().split(' ').next().unwrap())
}
