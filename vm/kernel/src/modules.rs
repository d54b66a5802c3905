//! A kernel's modules, and the order in which they load.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;

/// A directory of modules with depmod's tables, as `/lib/modules/RELEASE` is.
#[derive(Debug)]
pub struct Modules<'a> {
    dir: &'a Path,
    needs: HashMap<String, Vec<String>>,
    built_in: HashSet<String>,
}

impl<'a> Modules<'a> {
    /// Reads `modules.dep` and `modules.builtin`.
    pub fn open(dir: &'a Path) -> io::Result<Self> {
        let needs = parse(&fs::read_to_string(dir.join("modules.dep"))?);
        let built_in = fs::read_to_string(dir.join("modules.builtin"))?;
        Ok(Self { dir, needs, built_in: built_in.lines().map(name_of).collect() })
    }

    /// Whether the kernel has it, as a module or built in.
    pub fn has(&self, name: &str) -> bool {
        self.path_of(name).is_some() || self.built_in.contains(&name.replace('-', "_"))
    }

    /// The paths of modules and of all that they need, each after what it needs. Names that are not modules are built
    /// into this kernel, or it lacks them: they are left out.
    pub fn load_order(&self, names: &[&str]) -> Vec<String> {
        let mut order = Vec::new();
        for path in names.iter().filter_map(|name| self.path_of(name)) {
            // depmod lists what a module needs deepest last.
            for path in self.needs[path].iter().rev().chain([path]) {
                if !order.contains(path) {
                    order.push(path.clone());
                }
            }
        }
        order
    }

    /// One module's bytes.
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        fs::read(self.dir.join(path))
    }

    fn path_of(&self, name: &str) -> Option<&String> {
        self.needs.keys().find(|path| name_of(path) == name.replace('-', "_"))
    }
}

/// A module's name as the kernel spells it.
fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split_once(".ko").map_or(file, |(name, _)| name).replace('-', "_")
}

/// Lines of `PATH: NEEDED...` (modules.dep(5)).
fn parse(text: &str) -> HashMap<String, Vec<String>> {
    let line = |line: &str| {
        let (path, needs) = line.split_once(':')?;
        Some((path.to_owned(), needs.split_whitespace().map(str::to_owned).collect()))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(dep: &str) -> Modules<'static> {
        Modules { dir: Path::new("/"), needs: parse(dep), built_in: ["fuse".to_owned()].into() }
    }

    #[test]
    fn what_a_module_needs_comes_first_and_once() {
        let modules =
            modules("a/kvm-amd.ko: a/kvm.ko v/irqbypass.ko\na/kvm.ko: v/irqbypass.ko\nv/irqbypass.ko:\nd/x.ko:\n");
        let expected = ["d/x.ko", "v/irqbypass.ko", "a/kvm.ko", "a/kvm-amd.ko"];
        assert_eq!(modules.load_order(&["x", "kvm-amd", "kvm_amd", "fuse", "kvm"]), expected);
    }

    #[test]
    fn what_is_built_in_or_compressed_is_there() {
        let modules = modules("kernel/virtio-rng.ko.xz:\n");
        assert!(modules.has("virtio_rng") && modules.has("fuse") && !modules.has("ext4"));
        assert_eq!(modules.load_order(&["virtio_rng"]), ["kernel/virtio-rng.ko.xz"]);
    }
}
