//! What a hostile or broken registry may send: a clear error, and a store as it was before.

mod common;

use common::registry::{Content, honest, index, name, twisted};
use common::server::{Reply, Server};
use common::{DOCKER_MANIFEST, OCI_MANIFEST, Scratch, TestImage, config, gzip, noise, tar};
use stockade_image::{Config, Digest};

/// Pulls `image` from an honest registry; the error must hold `expected`.
fn check(image: &TestImage, expected: &str) {
    check_with(config(), image, expected);
}

fn check_with(config: Config, image: &TestImage, expected: &str) {
    let server = honest(Content::of("1", image));
    let refusal = Scratch::with(config).refusal(&name(&server));
    assert!(refusal.contains(expected), "{refusal}\nlacks {expected}");
}

/// Pulls from a registry whose blob of the one layer is `blob`.
fn check_blob(blob: Vec<u8>, expected: &str) {
    let mut image = TestImage::small();
    image.blobs.insert(image.layers[0], blob);
    check(&image, expected);
}

#[test]
fn a_layer_with_another_digest() {
    let mut other = gzip(&tar(&[("hello", b"W0rld")]));
    let length = TestImage::small().blobs[&TestImage::small().layers[0]].len();
    other.resize(length, 0);
    check_blob(other, "came with digest");
}

#[test]
fn a_layer_too_short() {
    let blob = TestImage::small().blobs[&TestImage::small().layers[0]].clone();
    check_blob(blob[..blob.len() - 1].to_vec(), "bytes, not");
}

#[test]
fn a_layer_too_long() {
    let mut blob = TestImage::small().blobs[&TestImage::small().layers[0]].clone();
    blob.push(0);
    check_blob(blob, "has more than");
}

#[test]
fn a_manifest_with_another_digest() {
    let image = TestImage::small();
    let mut content = Content::default();
    content.manifests.insert(image.digest().to_string(), (OCI_MANIFEST.into(), b"{}".to_vec()));
    let server = honest(content);
    let refusal = Scratch::new().refusal(&format!("{}/x@{}", server.address, image.digest()));
    assert!(refusal.contains("the manifest has digest"), "{refusal}");
}

#[test]
fn a_configuration_that_is_not_what_its_descriptor_says() {
    let mut image = TestImage::small();
    let length = image.blobs[&image.config].len();
    image.blobs.insert(image.config, vec![b' '; length]);
    check(&image, "the configuration has digest");
    image.blobs.insert(image.config, vec![b' '; length + 1]);
    check(&image, "bytes, not");
}

#[test]
fn broken_compression() {
    let tar = tar(&[("noise", &noise(1, 50_000))]);
    let whole = gzip(&tar);
    let mut flipped = whole.clone();
    flipped[20_000] ^= 0xff;
    let cut = whole[..whole.len() - 20].to_vec();
    let trailing = [whole, b"trailing junk".to_vec()].concat();
    let zstd = zstd::encode_all(&tar[..], 1).unwrap()[..1000].to_vec();
    for layer in [flipped, cut, trailing, zstd, b"\xfd7zXZ\0 and so on".to_vec(), b"no tar at all".repeat(100)] {
        let image = TestImage::with_diff_ids(&[layer], &[Digest::of(&tar)]);
        check(&image, &format!("layer {}", image.layers[0]));
    }
}

#[test]
fn a_diff_id_that_lies() {
    let layer = gzip(&tar(&[("a", b"b")]));
    check(&TestImage::with_diff_ids(&[layer], &[Digest::of(b"other")]), "diff id");
}

#[test]
fn fewer_diff_ids_than_layers() {
    let layer = gzip(&tar(&[("a", b"b")]));
    check(&TestImage::with_diff_ids(&[layer], &[]), "1 layers and the configuration 0");
}

#[test]
fn one_layer_with_two_sizes() {
    let image = TestImage::layered(1, 1, 10).edited(|manifest| {
        let mut twin = manifest["layers"][0].clone();
        twin["size"] = 1.into();
        manifest["layers"].as_array_mut().unwrap().push(twin);
    });
    let diff_id = Digest::of(&tar(&[("noise", &noise(100, 10))]));
    let two = TestImage::with_diff_ids(&[], &[diff_id, diff_id]);
    let config = two.blobs[&two.config].clone();
    let mut image = image.edited(|manifest| {
        manifest["config"]["digest"] = two.config.to_string().into();
        manifest["config"]["size"] = config.len().into();
    });
    image.blobs.insert(two.config, config);
    check(&image, "listed twice");
}

#[test]
fn json_bombs() {
    let bomb = |manifest: String, expected: &str| {
        check(&TestImage { manifest: manifest.into_bytes(), ..TestImage::small() }, expected);
    };
    bomb(format!("{}{}", "[".repeat(200_000), "]".repeat(200_000)), "not valid");
    bomb(format!(r#"{{"a":{}1{}}}"#, r#"{"a":"#.repeat(10_000), "}".repeat(10_000)), "not valid");
    bomb(format!(r#"{{"a":"{}"}}"#, "x".repeat(5 << 20)), "manifest_bytes_max");
    bomb("\0".repeat(100), "not valid");
    let descriptor = format!(r#"{{"digest":"{}","size":1}}"#, Digest::of(b""));
    let layers = vec![descriptor.as_str(); 5000].join(",");
    bomb(format!(r#"{{"schemaVersion":2,"config":{descriptor},"layers":[{layers}]}}"#), "layers_max");
    let index = "application/vnd.oci.image.index.v1+json";
    bomb(format!(r#"{{"mediaType":"{index}","manifests":[{layers}]}}"#), "index_entries_max");
    bomb(format!(r#"{{"config":{descriptor},"layers":[],"manifests":[]}}"#), "at once");
    bomb(r#"{"schemaVersion":1,"fsLayers":[]}"#.into(), "schema 2");
}

#[test]
fn a_deep_configuration() {
    let config = format!(r#"{{"config":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    check(&TestImage::with_config(config.into_bytes(), &[]), "configuration is not valid");
}

#[test]
fn sizes_that_are_no_sizes() {
    for (size, expected) in [
        (serde_json::json!(-1), "not valid"),
        (serde_json::json!(u64::MAX), "layer_bytes_max"),
        (serde_json::json!(1e300), "not valid"),
        (serde_json::json!("7"), "not valid"),
        (serde_json::json!(null), "not valid"),
    ] {
        check(&TestImage::small().edited(|manifest| manifest["layers"][0]["size"] = size), expected);
    }
    check(&TestImage::small().edited(|manifest| manifest["config"]["size"] = u64::MAX.into()), "config_bytes_max");
}

#[test]
fn digests_that_are_paths() {
    for digest in ["sha256:../../../etc/passwd", "../x", "sha256:", "md5:00", &format!("sha256:{}/", "a".repeat(63))] {
        check(&TestImage::small().edited(|manifest| manifest["layers"][0]["digest"] = digest.into()), "not a digest");
        check(&TestImage::small().edited(|manifest| manifest["config"]["digest"] = digest.into()), "not a digest");
    }
}

#[test]
fn a_manifest_without_end() {
    let server = twisted(&TestImage::small(), |request, reply| match request.path.contains("/manifests/") {
        true => Reply { body: vec![b' '; 8 << 20], ..reply },
        false => reply,
    });
    assert!(Scratch::new().refusal(&name(&server)).contains("manifest_bytes_max"));
}

#[test]
fn an_index_within_an_index_within_itself() {
    let image = TestImage::small();
    let inner = index(&[("linux/amd64", &image)]);
    let fake = TestImage { manifest: inner.clone(), ..image.clone() };
    let mut content = Content::of("a", &image);
    content.document("b", "application/vnd.oci.image.index.v1+json", &inner);
    content.document("1", "application/vnd.oci.image.index.v1+json", &index(&[("linux/amd64", &fake)]));
    let server = honest(content);
    assert!(Scratch::new().refusal(&name(&server)).contains("an index within an index"));
}

#[test]
fn one_media_type_in_the_header_and_another_in_the_document() {
    let mut image = TestImage::small();
    image.media_type = "application/vnd.oci.image.index.v1+json".into();
    let server = honest(Content::of("1", &image));
    // The document's own word counts, so that the digest means the same to everyone.
    Scratch::new().pull(&name(&server)).unwrap();
    let image = TestImage::small().edited(|manifest| manifest["mediaType"] = "text/html".into());
    check(&TestImage { media_type: DOCKER_MANIFEST.into(), ..image }, "media type");
}

/// CVE-2021-41190: one digest that is an image to some and an index to others, as the registry's header has it.
#[test]
fn cve_2021_41190_a_document_is_an_image_or_an_index() {
    const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    let image = TestImage::small();
    let manifest: serde_json::Value = serde_json::from_slice(&image.manifest).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index(&[("linux/amd64", &image)])).unwrap();
    let pull = |document: &serde_json::Value, declared: &str| {
        let mut content = Content::of("image", &image);
        content.document("1", declared, document.to_string().as_bytes());
        let server = honest(content);
        Scratch::new().pull(&name(&server)).map(|_| ()).map_err(|error| common::chain(&error))
    };
    let without_type = |document: &serde_json::Value| {
        let mut document = document.clone();
        document.as_object_mut().unwrap().remove("mediaType");
        document
    };
    for own_type in [OCI_MANIFEST.into(), OCI_INDEX.into(), serde_json::Value::Null] {
        for fields in [&["layers"][..], &["config"], &["config", "layers"]] {
            let mut both = index.clone();
            both["mediaType"] = own_type.clone();
            fields.iter().for_each(|field| both[*field] = manifest[*field].clone());
            for declared in [OCI_MANIFEST, OCI_INDEX, "application/json"] {
                let refusal = pull(&both, declared).expect_err("the document is both");
                assert!(
                    refusal.contains("an image and an index at once"),
                    "{own_type} {fields:?} {declared}: {refusal}"
                );
            }
        }
    }
    // Each half alone is pulled, under a header that fits; under the other one it is never taken for the other thing.
    for (document, fits, other) in [(&manifest, OCI_MANIFEST, OCI_INDEX), (&index, OCI_INDEX, OCI_MANIFEST)] {
        pull(document, fits).expect("unambiguous");
        pull(&without_type(document), fits).expect("unambiguous");
        pull(&without_type(document), other).expect_err("the header lies");
    }
}

#[test]
fn another_platform() {
    let config =
        serde_json::json!({"architecture": "arm64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}});
    check(&TestImage::with_config(config.to_string().into_bytes(), &[]), "is for linux/arm64, not for linux/amd64");
}

#[test]
fn limits_of_the_configuration_file() {
    let image = TestImage::layered(9, 3, 100_000);
    let limited = |edit: fn(&mut Config)| {
        let mut config = config();
        edit(&mut config);
        config
    };
    check_with(limited(|config| config.limits.layers_max = 2), &image, "layers_max");
    check_with(limited(|config| config.limits.layer_bytes_max = 1000), &image, "layer_bytes_max");
    check_with(limited(|config| config.limits.manifest_bytes_max = 100), &image, "manifest_bytes_max");
    check_with(limited(|config| config.limits.config_bytes_max = 100), &image, "config_bytes_max");
    check_with(limited(|config| config.limits.layer.unpacked_bytes_max = 50_000), &image, "unpacked_bytes_max");
}

#[test]
fn a_zip_bomb() {
    let bomb = gzip(&tar(&[("zeros", &vec![0; 32 << 20])]));
    let mut config = config();
    config.limits.layer.unpacked_bytes_max = 1 << 20;
    check_with(config, &TestImage::with_diff_ids(&[bomb], &[Digest::of(b"")]), "unpacked_bytes_max");
}

#[test]
fn a_bad_layer_takes_its_good_neighbours_along() {
    let mut image = TestImage::layered(10, 4, 200_000);
    let bad = image.layers[3];
    let length = image.blobs[&bad].len();
    image.blobs.insert(bad, vec![1; length]);
    check(&image, "came with digest");
}

/// The second may still wait for a thread that checks it when the first fails: many times, to meet that moment.
#[test]
fn layers_that_are_all_too_large() {
    let mut config = config();
    config.limits.layer.unpacked_bytes_max = 50_000;
    let server = honest(Content::of("1", &TestImage::layered(11, 3, 100_000)));
    for _ in 0..50 {
        let refusal = Scratch::with(config.clone()).refusal(&name(&server));
        assert!(refusal.contains("unpacked_bytes_max"), "{refusal}");
    }
}

#[test]
fn an_error_message_with_control_characters() {
    let server = Server::start(|_| {
        let body = serde_json::json!({"errors": [{"code": "X", "message": "evil \u{1b}[31m\r\n text"}]});
        Reply::new(400, body.to_string())
    });
    let refusal = Scratch::new().refusal(&name(&server));
    assert!(refusal.contains("400: evil [31m text"), "{refusal:?}");
}

#[test]
fn endless_redirects() {
    let server = Server::start(|request| Reply::new(302, "").header("Location", request.path.clone()));
    let mut config = config();
    config.retries = 0;
    let refusal = Scratch::with(config).pull(&name(&server)).unwrap_err();
    assert!(common::chain(&refusal).contains("too many redirects"), "{}", common::chain(&refusal));
}
