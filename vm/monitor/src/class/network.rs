//! The network of a container's namespace on its way into the machine, and what is written down so that `start` can add
//! what came since, and whoever removes the container can let the namespace be as it was.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use prost::Message;
use serde::{Deserialize, Serialize};
use stockade_native::hosted::replace_file;
use stockade_native::jail;
use stockade_sandbox::protocol::{Client, Configure, Empty, GuestNetwork, Method};
use stockade_sandbox::{Error, Result, Rootfs};

use crate::network::{self, Attached, Spare};
use crate::settings::{Card, Given};

/// In the container's directory of state.
const KEPT: &str = "network.json";
/// Cards of a container whose caller may give its namespace interfaces before it starts.
const SPARES: u8 = 1;

/// What a machine has of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The namespace that was given.
    given: Option<Place>,
    /// Cards that wait for interfaces.
    spares: Vec<Spare>,
    /// [`GuestNetwork`], as the guest was told.
    network: Vec<u8>,
}

/// Somebody's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    path: PathBuf,
    /// Device and number of its file: a path under /proc may have become another's.
    identity: (u64, u64),
}

/// A machine's cards.
#[derive(Default)]
pub(super) struct Cards {
    /// With their taps.
    pub given: Vec<(Given, OwnedFd)>,
    /// The namespace with taps whose interfaces come later, which the monitor is to be in.
    pub namespace: Option<OwnedFd>,
    /// What the guest is to be told before its container is made.
    pub network: GuestNetwork,
}

impl Kept {
    /// Of the container with this directory.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>> {
        let text = match fs::read(dir.join(KEPT)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| Error::os(format!("read {KEPT}"), error))?,
        };
        serde_json::from_slice(&text).map(Some).map_err(|error| Error::Other(format!("{KEPT}: {error}")))
    }

    fn write(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_vec(self).map_err(|error| Error::Other(error.to_string()))?;
        replace_file(&dir.join(KEPT), &text)
    }

    /// Lets the namespace be as it was. The machine has ended: what has a tap is another's by now.
    pub(super) fn clear(&self) {
        let Some(Place { path, identity }) = &self.given else { return };
        // Who gave the namespace may have taken it away, and all in it.
        let Ok(namespace) = File::open(path) else { return };
        if self::identity(&namespace).ok() != Some(*identity) {
            return;
        }
        if let Err(error) = network::detach(namespace.as_fd()) {
            tracing::warn!("{}: {error}", path.display());
        }
    }
}

/// The cards of a container that is to be made. Should that fail, `kept` is to be cleared.
pub(super) fn prepare(dir: &Path, spec: &Spec, rootfs: &Rootfs, kept: &mut Option<Kept>) -> Result<Cards> {
    match (given_path(spec), rootfs) {
        (Some(path), _) => of_given(dir, path, kept),
        (None, Rootfs::Bundle) => of_later(dir),
        // Nobody knows of its namespace before it runs.
        (None, Rootfs::Layers { .. }) => Ok(Cards::default()),
    }
}

fn given_path(spec: &Spec) -> Option<PathBuf> {
    let all = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default();
    let network = all.iter().find(|namespace| namespace.typ() == LinuxNamespaceType::Network)?;
    network.path().clone().filter(|path| !path.as_os_str().is_empty())
}

/// One for each interface of a namespace that somebody has made.
fn of_given(dir: &Path, path: PathBuf, kept: &mut Option<Kept>) -> Result<Cards> {
    let failed = |error| Error::os(format!("open the network namespace {}", path.display()), error);
    let namespace = File::open(&path).map_err(failed)?;
    let identity = identity(&namespace).map_err(failed)?;
    let kept = kept.insert(Kept { given: Some(Place { path, identity }), ..Kept::default() });
    // First: whoever is killed here leaves what whoever removes the container clears away.
    kept.write(dir)?;
    let Attached { cards, network } = network::attach(namespace.as_fd()).map_err(lost)?;
    kept.network = network.encode_to_vec();
    kept.write(dir)?;
    let given = cards.into_iter().map(|card| {
        let told = Card { mac: card.mac, mtu: u16::try_from(card.mtu).ok() };
        (Given::Card(told), card.tap)
    });
    Ok(Cards { given: given.collect(), network, namespace: None })
}

/// Spare ones, in a namespace that will be the container's.
fn of_later(dir: &Path) -> Result<Cards> {
    let namespace = jail::new_network()?;
    let made = (0..SPARES).filter_map(|number| network::spare(namespace.as_fd(), number).transpose());
    let made = made.collect::<std::result::Result<Vec<_>, _>>().map_err(lost)?;
    let (spares, taps): (Vec<_>, Vec<_>) = made.into_iter().unzip();
    let cards = spares.iter().map(|spare| Given::Card(Card { mac: spare.mac, mtu: None }));
    let given = cards.zip(taps).collect();
    Kept { spares, ..Kept::default() }.write(dir)?;
    Ok(Cards { given, namespace: Some(namespace), network: GuestNetwork::default() })
}

/// What the guest is to be told before its container starts: `None` when it knows all. `proxy` is the container's.
pub(super) fn renew(dir: &Path, proxy: u32) -> Result<Option<GuestNetwork>> {
    let Some(mut kept) = Kept::read(dir)? else { return Ok(None) };
    let failed = |error| Error::os("open the container's network namespace", error);
    let namespace = File::open(format!("/proc/{proxy}/ns/net")).map_err(failed)?;
    let before = GuestNetwork::decode(&*kept.network).unwrap_or_default();
    let network = network::attach_new(namespace.as_fd(), &before, &mut kept.spares).map_err(lost)?;
    // What was spare until now has come to nothing, which the guest has to know, too.
    if network == before && kept.spares.is_empty() {
        return Ok(None);
    }
    kept.network = network.encode_to_vec();
    kept.write(dir)?;
    Ok(Some(network))
}

/// Tells a guest of its network.
pub(super) fn tell(client: &mut Client, network: GuestNetwork) -> Result<()> {
    let configure = Configure { network: Some(network), ..Configure::default() };
    client.call::<Empty>(Method::Configure, &configure, &[]).map(drop)
}

fn lost(error: network::Error) -> Error {
    Error::Other(error.to_string())
}

fn identity(namespace: &File) -> std::io::Result<(u64, u64)> {
    namespace.metadata().map(|meta| (meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(Kept::read(dir.path()).expect("nothing"), None);
        let spares = vec![Spare { tap: "vmtaps0".into(), mac: [2; 6] }];
        let given = Some(Place { path: "/run/netns/web".into(), identity: (4, 5) });
        let kept = Kept { given, spares, network: vec![1, 2] };
        kept.write(dir.path()).expect("write");
        assert_eq!(Kept::read(dir.path()).expect("read"), Some(kept));
    }

    #[test]
    fn a_namespace_that_is_gone_needs_nothing() {
        let path = PathBuf::from("/proc/self/ns/net");
        let identity = identity(&File::open(&path).expect("open")).expect("look");
        for (path, identity) in [(path, (identity.0, identity.1 + 1)), ("/nowhere".into(), identity)] {
            Kept { given: Some(Place { path, identity }), ..Kept::default() }.clear();
        }
    }

    #[test]
    fn a_namespace_is_given_by_its_path() {
        let check = |network: &str, expected: Option<&str>| {
            let text = format!(r#"{{"ociVersion": "1.0.2", "linux": {{"namespaces": [{network}]}}}}"#);
            let spec: Spec = serde_json::from_str(&text).expect("a spec");
            assert_eq!(given_path(&spec), expected.map(PathBuf::from), "{network}");
        };
        check(r#"{"type": "network", "path": "/n"}"#, Some("/n"));
        check(r#"{"type": "network", "path": ""}"#, None);
        check(r#"{"type": "network"}"#, None);
        check(r#"{"type": "pid", "path": "/p"}"#, None);
    }
}
