//! Rules of the tree that no compiler checks: layering, unsafe code, file sizes, leftovers, and documents that must
//! be complete.
//!
//! Each rule collects every breach before it fails, so that one run shows all there is to mend.

use std::fs;
use std::path::{Path, PathBuf};

use stockade_tests::workspace_root;

/// Each crate's folder, and the crates of this tree that it may depend on. Dependencies point down only; tests of a
/// crate are free.
const LAYERS: &[(&str, &[&str])] = &[
    ("erofs", &[]),
    ("erofs/writer", &["stockade-erofs"]),
    ("sandbox", &[]),
    ("kernel/sync", &[]),
    ("kernel/core", &["stockade-erofs", "stockade-kernel-sync"]),
    ("kernel/stub", &[]),
    ("kernel/files", &[]),
    ("kernel/platform", &["stockade-kernel", "stockade-kernel-stub", "stockade-kernel-sync"]),
    ("image", &["stockade-erofs", "stockade-erofs-writer"]),
    ("native", &["stockade-sandbox"]),
    ("sandbox/hosted", &["stockade-native", "stockade-sandbox"]),
    (
        "kernel/monitor",
        &[
            "stockade-erofs",
            "stockade-hosted",
            "stockade-kernel",
            "stockade-kernel-files",
            "stockade-kernel-platform",
            "stockade-native",
            "stockade-sandbox",
        ],
    ),
    ("vm/vmm", &[]),
    ("vm/api", &["stockade-vmm"]),
    (
        "vm/monitor",
        &[
            "stockade-hosted",
            "stockade-native",
            "stockade-netlink",
            "stockade-sandbox",
            "stockade-vm-kernel",
            "stockade-vmm",
        ],
    ),
    ("vm/agent", &["stockade-native", "stockade-netlink", "stockade-sandbox"]),
    ("vm/netlink", &[]),
    ("engine", &["stockade-sandbox", "stockade-image"]),
    (
        "cli",
        &[
            "stockade-engine",
            "stockade-hosted",
            "stockade-image",
            "stockade-kernel-monitor",
            "stockade-native",
            "stockade-sandbox",
            "stockade-vm-api",
            "stockade-vm-kernel",
            "stockade-vm-monitor",
            "stockade-vmm",
        ],
    ),
    (
        "tests",
        &[
            "stockade-kernel",
            "stockade-kernel-monitor",
            "stockade-kernel-platform",
            "stockade-lab",
            "stockade-vm-kernel",
        ],
    ),
    ("vm/kernel", &[]),
    ("lab", &["stockade-vm-kernel"]),
    ("xtask", &["stockade-lab", "stockade-tests", "stockade-vm-kernel"]),
];

/// Crates that a folder must never pull in, and the reason.
const BANNED: &[(&str, &[&str], &str)] = &[
    (
        "native",
        &["tokio", "oci-client", "rustls", "clap"],
        "the guest agent links it: no network, no runtime, no command line",
    ),
    ("sandbox", &["tokio", "libc"], "it is words, and frames over a socket"),
    ("engine", &["tokio", "oci-client", "rustls", "clap"], "its supervisor must stay small"),
    ("vm/agent", &["tokio", "clap", "regex", "tracing-subscriber"], "it lies in every guest's memory"),
    ("erofs", &["libc", "rustix"], "it is no_std"),
    ("kernel/core", &["libc", "rustix", "tracing"], "it is no_std and has no authority of its own"),
];

/// Where unsafe code may be; every other file is in a crate that forbids it or goes without.
const UNSAFE: &[(&str, &str)] = &[
    ("native/src/sys/", "clone3, mounts, namespaces and loop devices beyond what safe wrappers cover"),
    ("native/src/seccomp/sys.rs", "seccomp(2) takes pointers"),
    ("native/src/cgroup/sys.rs", "signal numbers of real-time signals"),
    ("native/src/device/bpf.rs", "bpf(2) takes pointers"),
    ("native/src/seccomp/tests.rs", "pre_exec"),
    ("native/src/cgroup/tests.rs", "pre_exec, fork"),
    ("native/src/root/fill/tests.rs", "fork"),
    ("native/src/device/mod.rs", "pre_exec, in its tests"),
    ("kernel/sync/src/", "the lock that the kernel is built on"),
    ("kernel/stub/src/", "freestanding: signal frames, raw system calls, a thread's first instructions"),
    ("kernel/stub/program/", "the first instruction of a program without a library"),
    ("kernel/platform/src/sys/", "other processes' memory, seccomp's listeners, and memory shared with stubs"),
    ("native/src/signals.rs", "signalfd(2) has no safe wrapper"),
    ("vm/agent/src/sys.rs", "addresses of virtual sockets, and the ioctls of partitions and entropy"),
    ("vm/vmm/src/hypervisor/kvm/", "memory slots, extended processor state, and a byte for a signal handler"),
    ("vm/vmm/src/devices/virtio/iovec.rs", "preadv and pwritev straight from and to guest memory"),
    ("vm/vmm/src/devices/virtio/block/ring.rs", "the same by io_uring, whose entries have pointers"),
    ("vm/vmm/src/devices/virtio/net/tap.rs", "the tap's ioctls"),
    ("vm/vmm/src/devices/virtio/balloon/discard.rs", "madvise of guest memory"),
    ("vm/vmm/src/memory/faults.rs", "userfaultfd and its ioctls"),
    ("vm/vmm/src/memory/populate.rs", "madvise of guest memory"),
];

/// More than this is more than one idea; tests/tidy/long-files.txt lists the exceptions.
const MAX_LINES: usize = 600;
const MAX_COLUMNS: usize = 120;

#[test]
fn dependencies_point_down_only() {
    let mut breaches = Vec::new();
    for (folder, allowed) in LAYERS {
        let used = dependencies(folder);
        let wrong = used.iter().filter(|name| is_ours(name) && !allowed.contains(&name.as_str()));
        breaches.extend(wrong.map(|name| format!("{folder} must not depend on {name}")));
    }
    for (folder, banned, why) in BANNED {
        let wrong = dependencies(folder).into_iter().filter(|name| banned.contains(&name.as_str()));
        breaches.extend(wrong.map(|name| format!("{folder} must not depend on {name}: {why}")));
    }
    assert_none(breaches);
}

#[test]
fn every_crate_has_a_layer() {
    let members = manifest("")["workspace"]["members"].as_array().expect("members is an array").clone();
    let folders: Vec<&str> = LAYERS.iter().map(|(folder, _)| *folder).collect();
    let unknown = members.iter().filter_map(toml::Value::as_str).filter(|member| !folders.contains(member));
    assert_none(unknown.map(|member| format!("{member} has no line in LAYERS of tests/tests/tidy.rs")).collect());
}

#[test]
fn unsafe_code_is_where_the_list_says() {
    let listed = |path: &str| UNSAFE.iter().any(|(prefix, _)| path.starts_with(prefix));
    let files = sources();
    let mut breaches: Vec<String> = Vec::new();
    for (path, text) in &files {
        if has_unsafe_code(text) && !listed(path) {
            breaches.push(format!(
                "{path} uses unsafe code: move it to a listed module, or list it in UNSAFE with its reason"
            ));
        }
        if is_crate_root(path) && !text.contains("#![forbid(unsafe_code)]") && !crate_is_listed(path) {
            breaches.push(format!("{path} lacks #![forbid(unsafe_code)]"));
        }
    }
    let stale = UNSAFE
        .iter()
        .filter(|(prefix, _)| !files.iter().any(|(path, text)| path.starts_with(prefix) && has_unsafe_code(text)));
    breaches.extend(stale.map(|(prefix, _)| format!("{prefix} has no unsafe code any more: take it off UNSAFE")));
    assert_none(breaches);
}

#[test]
fn files_are_short_or_shrinking() {
    let list =
        fs::read_to_string(workspace_root().join("tests/tidy/long-files.txt")).expect("read the list of long files");
    let listed: Vec<(&str, usize)> = list.lines().filter(|line| !line.starts_with('#')).map(path_and_lines).collect();
    let mut breaches = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        match listed.iter().find(|(known, _)| *known == path) {
            None if lines > MAX_LINES => {
                breaches.push(format!("{path} has {lines} lines: split it (at most {MAX_LINES})"))
            }
            Some((_, most)) if lines > *most => {
                breaches.push(format!("{path} grew from {most} to {lines} lines: split it"))
            }
            Some((_, most)) if lines < *most => {
                breaches.push(format!("{path} shrank to {lines} lines: lower its entry, or drop it"))
            }
            _ => {}
        }
    }
    let gone = listed.iter().filter(|(path, _)| !workspace_root().join(path).exists());
    breaches.extend(gone.map(|(path, _)| format!("{path} is listed and absent")));
    assert_none(breaches);
}

#[test]
fn lines_fit_the_width() {
    let mut breaches = Vec::new();
    for (path, text) in sources() {
        // rustfmt breaks code but no strings, and a script or a message reads best as it is.
        let wide =
            text.lines().enumerate().filter(|(_, line)| line.chars().count() > MAX_COLUMNS && !line.contains('"'));
        breaches.extend(wide.map(|(number, _)| format!("{path}:{} is wider than {MAX_COLUMNS} columns", number + 1)));
    }
    assert_none(breaches);
}

#[test]
fn nothing_is_left_half_done() {
    // Split, so that this file does not find itself.
    let words = [concat!("todo", "!("), concat!("dbg", "!("), concat!("unimplemented", "!("), concat!("#[ign", "ore")];
    let mut breaches = Vec::new();
    for (path, text) in sources() {
        let found = words.iter().filter(|word| text.contains(**word));
        breaches.extend(found.map(|word| format!("{path} contains {word}")));
    }
    assert_none(breaches);
}

#[test]
fn every_module_says_what_it_is_for() {
    let bare = sources().into_iter().filter(|(path, text)| !path.contains("/fuzz/") && !text.starts_with("//!"));
    assert_none(bare.map(|(path, _)| format!("{path} lacks module documentation (//!) in its first line")).collect());
}

#[test]
fn the_readme_names_every_folder() {
    let readme = fs::read_to_string(workspace_root().join("README.md")).expect("read README.md");
    let missing = folders(&workspace_root()).into_iter().filter(|name| !readme.contains(&format!("`{name}/`")));
    assert_none(missing.map(|name| format!("README.md has no line for `{name}/`")).collect());
}

fn assert_none(breaches: Vec<String>) {
    assert!(breaches.is_empty(), "{} breaches:\n{}", breaches.len(), breaches.join("\n"));
}

fn manifest(folder: &str) -> toml::Table {
    let path = workspace_root().join(folder).join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("parse {}: {error}", path.display()))
}

/// What a crate is built from; its development dependencies are left out.
fn dependencies(folder: &str) -> Vec<String> {
    let manifest = manifest(folder);
    let tables =
        ["dependencies", "build-dependencies"].map(|key| manifest.get(key).and_then(toml::Value::as_table).cloned());
    tables.into_iter().flatten().flat_map(|table| table.keys().cloned().collect::<Vec<_>>()).collect()
}

fn is_ours(name: &str) -> bool {
    name == "stockade" || name == "xtask" || name.starts_with("stockade-")
}

/// Every Rust file of the tree, by its path from the root.
fn sources() -> Vec<(String, String)> {
    let root = workspace_root();
    let mut paths = Vec::new();
    folders(&root).iter().for_each(|folder| collect(&root.join(folder), &mut paths));
    paths.sort();
    let relative = |path: &PathBuf| path.strip_prefix(&root).expect("a path below the root").display().to_string();
    paths.iter().map(|path| (relative(path), fs::read_to_string(path).expect("read a source file"))).collect()
}

fn collect(dir: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("list a folder").map(|entry| entry.expect("list a folder")) {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// The folders at the top that belong to the tree.
fn folders(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root).expect("list the root").map(|entry| entry.expect("list the root"));
    let names =
        entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.starts_with('.') && name != "target").collect()
}

/// True when code, not a comment or a string of one line, says `unsafe`.
fn has_unsafe_code(text: &str) -> bool {
    let words = ["{", "fn", "impl", "extern"].map(|next| ["unsafe", next].join(" "));
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    code.into_iter().any(|line| words.iter().any(|word| line.contains(word)) || line.contains(concat!("unsafe", "(")))
}

fn is_crate_root(path: &str) -> bool {
    path.ends_with("src/lib.rs") || path.ends_with("src/main.rs") || path.contains("src/bin/")
}

fn crate_is_listed(root: &str) -> bool {
    let source = &root[..root.find("src/").map_or(0, |at| at + "src/".len())];
    UNSAFE.iter().any(|(prefix, _)| prefix.starts_with(source)) && !root.contains("src/bin/")
}

fn path_and_lines(line: &str) -> (&str, usize) {
    let (path, lines) = line.split_once(' ').expect("a path and its number of lines");
    (path, lines.parse().expect("a number of lines"))
}
