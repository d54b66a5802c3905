//! The test images: an OCI layout made with umoci, and a registry's storage filled from it with skopeo.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use stockade_tests::Registry;

use super::layers;
use crate::sh;

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Images in the registry: the layout's tag, then repository and tag.
const PUSHED: &[(&str, &str)] = &[
    ("busybox", "busybox:latest"),
    ("debian", "debian:latest"),
    ("debian", "debian:bookworm"),
    ("debian-layers", "debian-layers:latest"),
    ("multi", "multi:latest"),
];

/// Tags `busybox`, `debian`, `debian-layers` (debian and three hand-made layers) and `multi` (amd64 busybox, arm64 in
/// name only).
pub fn oci_layout(layout: &Path, rootfs: &Path) -> Result<()> {
    // umoci makes the directory itself.
    fs::remove_dir(layout)?;
    umoci(&["init", "--layout"], layout, &[])?;
    let work = tempfile::tempdir()?;
    let tar = work.path().join("rootfs.tar");
    layers::from_rootfs(&rootfs.join("busybox"), &tar)?;
    image(layout, "busybox", &tar, &["--config.cmd", "sh"])?;
    layers::from_rootfs(&rootfs.join("debian"), &tar)?;
    image(layout, "debian", &tar, &["--config.cmd", "/bin/bash"])?;
    umoci(&["tag", "--image"], &tagged(layout, "debian"), &["debian-layers"])?;
    for layer in layers::make(work.path())? {
        add_layer(layout, "debian-layers", &layer)?;
    }
    umoci(
        &["config", "--image"],
        &tagged(layout, "debian-layers"),
        &["--config.user", "1000:1000", "--config.workingdir", "/data"],
    )?;
    multi(layout, &rootfs.join("busybox/etc"), work.path())
}

/// Fills a registry's storage with everything in [`PUSHED`], and busybox once more in Docker's own format.
pub fn registry(storage: &Path, layout: &Path) -> Result<()> {
    let registry = Registry::on(storage);
    for (tag, name) in PUSHED {
        push(&registry, layout, tag, name, "oci")?;
    }
    push(&registry, layout, "busybox", "busybox:schema2", "v2s2")
}

fn push(registry: &Registry, layout: &Path, tag: &str, name: &str, format: &str) -> Result<()> {
    let from = format!("oci:{}:{tag}", layout.display());
    let to = format!("docker://{}", registry.reference(name));
    let args = ["copy", "--quiet", "--dest-tls-verify=false", "--insecure-policy", "--all", "--format", format];
    sh::check(sh::cmd("skopeo", args).args([from, to]))
}

fn image(layout: &Path, tag: &str, tar: &Path, config: &[&str]) -> Result<()> {
    umoci(&["new", "--image"], &tagged(layout, tag), &[])?;
    add_layer(layout, tag, tar)?;
    umoci(&["config", "--image"], &tagged(layout, tag), &[&["--config.env", PATH], config].concat())
}

fn add_layer(layout: &Path, tag: &str, tar: &Path) -> Result<()> {
    sh::check(sh::cmd("umoci", ["raw", "add-layer", "--image"]).arg(tagged(layout, tag)).arg(tar))
}

fn umoci(words: &[&str], image: &Path, more: &[&str]) -> Result<()> {
    sh::check(sh::cmd("umoci", words).arg(image).args(more))
}

fn tagged(layout: &Path, tag: &str) -> std::path::PathBuf {
    format!("{}:{tag}", layout.display()).into()
}

/// An index of busybox for amd64 and of an image that only says that it is for arm64: enough to choose by platform.
fn multi(layout: &Path, content: &Path, work: &Path) -> Result<()> {
    let tar = work.join("arm64.tar");
    layers::from_rootfs(content, &tar)?;
    image(layout, "arm64", &tar, &["--architecture", "arm64"])?;
    let path = layout.join("index.json");
    let mut top: Value = serde_json::from_slice(&fs::read(&path)?)?;
    let entry = |arch: &str, tag: &str| -> Result<Value> {
        let found = find(&top, tag)?;
        Ok(json!({"mediaType": MANIFEST, "digest": found["digest"], "size": found["size"],
            "platform": {"architecture": arch, "os": "linux"}}))
    };
    let manifests = [entry("amd64", "busybox")?, entry("arm64", "arm64")?];
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
    let (digest, size) = write_blob(layout, &index)?;
    let manifests = top["manifests"].as_array_mut().context("index.json has no manifests")?;
    manifests.retain(|manifest| tag_of(manifest) != Some("arm64"));
    manifests.push(json!({"mediaType": INDEX, "digest": digest, "size": size,
        "annotations": {"org.opencontainers.image.ref.name": "multi"}}));
    Ok(fs::write(path, serde_json::to_vec(&top)?)?)
}

fn find<'a>(index: &'a Value, tag: &str) -> Result<&'a Value> {
    let manifests = index["manifests"].as_array().context("index.json has no manifests")?;
    manifests
        .iter()
        .find(|manifest| tag_of(manifest) == Some(tag))
        .with_context(|| format!("no tag {tag} in index.json"))
}

fn tag_of(manifest: &Value) -> Option<&str> {
    manifest["annotations"]["org.opencontainers.image.ref.name"].as_str()
}

fn write_blob(layout: &Path, value: &Value) -> Result<(String, usize)> {
    let bytes = serde_json::to_vec(value)?;
    let tmp = layout.join("blobs/sha256/.new");
    fs::write(&tmp, &bytes)?;
    let sum = sh::output(sh::cmd("sha256sum", [&tmp]).env_clear().env("PATH", "/usr/bin:/bin"))?;
    let hex = sum.split(' ').next().context("sha256sum prints a sum")?;
    fs::rename(&tmp, layout.join("blobs/sha256").join(hex))?;
    Ok((format!("sha256:{hex}"), bytes.len()))
}
