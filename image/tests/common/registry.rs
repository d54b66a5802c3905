//! A registry made of test images, with a hook to misbehave by.

use std::collections::BTreeMap;

use stockade_image::Digest;

use super::server::{Reply, Request, Server};
use super::{OCI_MANIFEST, TestImage};

/// What a registry serves.
#[derive(Default, Clone)]
pub struct Content {
    /// By tag or digest: media type and bytes.
    pub manifests: BTreeMap<String, (String, Vec<u8>)>,
    pub blobs: BTreeMap<Digest, Vec<u8>>,
}

impl Content {
    pub fn of(tag: &str, image: &TestImage) -> Self {
        let mut content = Self::default();
        content.add(tag, image);
        content
    }

    pub fn add(&mut self, tag: &str, image: &TestImage) {
        self.document(tag, &image.media_type, &image.manifest);
        self.blobs.extend(image.blobs.clone());
    }

    /// Files a manifest or an index under a tag and its digest.
    pub fn document(&mut self, tag: &str, media_type: &str, bytes: &[u8]) {
        let document = (media_type.to_owned(), bytes.to_vec());
        self.manifests.insert(Digest::of(bytes).to_string(), document.clone());
        self.manifests.insert(tag.into(), document);
    }

    /// What an honest registry answers.
    pub fn answer(&self, request: &Request) -> Reply {
        let path = request.path.split('?').next().unwrap_or_default();
        let item = path.rsplit('/').next().unwrap_or_default();
        if path.contains("/manifests/") {
            return self.manifests.get(item).map_or_else(not_found, |(media_type, bytes)| {
                Reply::new(200, bytes.clone()).header("Content-Type", media_type)
            });
        }
        match item.parse().ok().and_then(|digest: Digest| self.blobs.get(&digest)) {
            Some(blob) => ranged(request, blob),
            None => not_found(),
        }
    }
}

pub fn not_found() -> Reply {
    Reply::new(404, r#"{"errors":[{"code":"UNKNOWN","message":"not here"}]}"#)
}

fn ranged(request: &Request, blob: &[u8]) -> Reply {
    let start =
        request.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match start {
        Some(start) => {
            let end = blob.len().saturating_sub(1);
            let range = format!("bytes {start}-{end}/{}", blob.len());
            Reply::new(206, &blob[start..]).header("Content-Range", range)
        }
        None => Reply::new(200, blob),
    }
}

/// Serves `content` honestly.
pub fn honest(content: Content) -> Server {
    Server::start(move |request| content.answer(request))
}

/// Serves one image under `x:1` with some answers replaced.
pub fn twisted(image: &TestImage, twist: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static) -> Server {
    let content = Content::of("1", image);
    Server::start(move |request| twist(request, content.answer(request)))
}

/// The name under which [`twisted`] and most tests serve their image.
pub fn name(server: &Server) -> String {
    format!("{}/x:1", server.address)
}

/// An index of one image per platform.
pub fn index(images: &[(&str, &TestImage)]) -> Vec<u8> {
    let entry = |(platform, image): &(&str, &TestImage)| {
        let (os, architecture) = platform.split_once('/').unwrap();
        serde_json::json!({
            "mediaType": OCI_MANIFEST, "digest": image.digest(), "size": image.manifest.len(),
            "platform": {"os": os, "architecture": architecture},
        })
    };
    let manifests: Vec<_> = images.iter().map(entry).collect();
    serde_json::to_vec(&serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests,
    }))
    .unwrap()
}
