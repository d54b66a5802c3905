//! Which isolation class serves a container.

use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;
use stockade_sandbox::{ANNOTATION, Error, IsolationClass, Result, Runtime};
use stockade_vm_kernel::Name;

use crate::config::{self, Config};

/// The class of a new container: `--isolation`, then the bundle's annotation, then the config file.
pub fn choose(option: Option<IsolationClass>, spec: &Spec) -> Result<IsolationClass> {
    let annotation = spec.annotations().as_ref().and_then(|annotations| annotations.get(ANNOTATION));
    match (option, annotation) {
        (Some(class), _) => Ok(class),
        (None, Some(name)) => name.parse().map_err(|e| Error::Other(format!("annotation {ANNOTATION}: {e}"))),
        (None, None) => configured(),
    }
}

/// The service of a class, with its state below `state_root`.
pub fn open(class: IsolationClass, state_root: &Path) -> Result<Box<dyn Runtime>> {
    let (root, kernel) = match class {
        IsolationClass::Vm => data()?,
        // These keep no data.
        IsolationClass::Native | IsolationClass::Kernel => Default::default(),
    };
    Ok(crate::runtime::runtime(class, state_root, &root, kernel))
}

/// The data directory, where guest kernels are, and the kernel of containers that name none: people's, since callers of
/// this command line know of none.
fn data() -> Result<(PathBuf, Name)> {
    let config = Config::load(None).map_err(|e| Error::Other(format!("{e:#}")))?;
    Ok((std::env::var_os("STOCKADE_ROOT").map_or(config.root, PathBuf::from), config.guest_kernel))
}

/// Parsing the config file costs more than the rest of start-up, so only an existing one is read.
fn configured() -> Result<IsolationClass> {
    if !Path::new(config::PATH).exists() {
        return Ok(IsolationClass::Native);
    }
    Config::load(None).map(|config| config.isolation).map_err(|e| Error::Other(format!("{e:#}")))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn annotated(class: &str) -> Spec {
        let mut spec = Spec::default();
        spec.set_annotations(Some(HashMap::from([(ANNOTATION.to_owned(), class.to_owned())])));
        spec
    }

    #[test]
    fn the_option_outranks_the_annotation() {
        assert_eq!(choose(None, &annotated("vm")).unwrap(), IsolationClass::Vm);
        assert_eq!(choose(Some(IsolationClass::Native), &annotated("vm")).unwrap(), IsolationClass::Native);
        assert!(choose(None, &annotated("moon")).is_err());
    }
}
