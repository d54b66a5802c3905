//! Kernel modules of a Debian kernel package, and the order in which they load.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

/// A directory of uncompressed modules with depmod's tables, what `/lib/modules/VERSION` is.
#[derive(Debug)]
pub struct Modules<'a> {
    dir: &'a Path,
    needs: HashMap<String, Vec<String>>,
}

impl<'a> Modules<'a> {
    /// Reads `modules.dep`.
    pub fn open(dir: &'a Path) -> io::Result<Self> {
        let text = fs::read_to_string(dir.join("modules.dep"))?;
        Ok(Self { dir, needs: parse(&text) })
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
    file.trim_end_matches(".ko").replace('-', "_")
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

    #[test]
    fn what_a_module_needs_comes_first_and_once() {
        let needs =
            parse("a/kvm-amd.ko: a/kvm.ko v/irqbypass.ko\na/kvm.ko: v/irqbypass.ko\nv/irqbypass.ko:\nd/x.ko:\n");
        let modules = Modules { dir: Path::new("/"), needs };
        let expected = ["d/x.ko", "v/irqbypass.ko", "a/kvm.ko", "a/kvm-amd.ko"];
        assert_eq!(modules.load_order(&["x", "kvm-amd", "kvm_amd", "builtin", "kvm"]), expected);
    }
}
