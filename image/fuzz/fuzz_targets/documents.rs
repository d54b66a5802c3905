//! Any bytes as a manifest, an index, a configuration, an image's name and a registry's challenge: what is accepted
//! keeps its invariants.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../src/registry/challenge.rs"]
mod challenge;
#[allow(dead_code)]
#[path = "../../src/config.rs"]
mod config;
#[allow(dead_code)]
#[path = "../../src/digest.rs"]
mod digest;
#[allow(dead_code, unused_imports)]
#[path = "../../src/layer/mod.rs"]
mod layer;
#[allow(dead_code)]
#[path = "../../src/manifest.rs"]
mod manifest;
#[allow(dead_code)]
#[path = "../../src/platform.rs"]
mod platform;
#[allow(dead_code)]
#[path = "../../src/reference.rs"]
mod reference;

use config::Limits;
use digest::Digest;
use manifest::Document;
use platform::Platform;
use reference::Reference;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { layers_max: 100, index_entries_max: 100, ..Limits::default() };
    match manifest::parse(bytes, "", &limits) {
        Ok(Document::Manifest(manifest)) => assert!(manifest.layers.len() <= 100),
        Ok(Document::Index(index)) => {
            assert!(index.manifests.len() <= 100);
            let _ = index.choose(&Platform::default());
        }
        Err(_) => {}
    }
    if let Ok(config) = manifest::parse_config(bytes, &limits) {
        let _ = manifest::diff_ids(&config, config.rootfs().diff_ids().len());
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = challenge::Challenge::parse(text);
    if let Ok(name) = text.parse::<Reference>() {
        assert_eq!(name.to_string().parse::<Reference>().expect("the full form parses"), name);
        assert_eq!(name.familiar().parse::<Reference>().expect("the short form parses"), name);
        assert!(!name.path().split('/').any(|part| part == ".."));
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
    }
});
