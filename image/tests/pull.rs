//! Pulls from an honest registry: names, policies, indexes, compression, resumption, sharing.

mod common;

use std::sync::Mutex;

use common::registry::{Content, honest, index, name, twisted};
use common::{DOCKER_MANIFEST, Scratch, TestImage, chain, gzip, listing, noise, reference, tar};
use stockade_image::{Event, Phase, Platform, Progress, PullOptions, RegistryConfig, Store};

#[test]
fn an_image_is_pulled_found_and_removed() {
    let scratch = Scratch::new();
    let empty = listing(scratch.store.dir());
    let image = TestImage::layered(1, 3, 100_000);
    let server = honest(Content::of("1", &image));
    let pulled = scratch.pull(&name(&server)).unwrap();
    assert_eq!(pulled.id, image.config);
    assert_eq!(pulled.manifest, image.digest());
    assert_eq!(pulled.names, [reference(&name(&server))]);
    assert_eq!(pulled.repo_digests, [reference(&format!("{}/x@{}", server.address, image.digest()))]);
    assert_eq!(pulled.layers.iter().map(|layer| layer.compressed).collect::<Vec<_>>(), image.layers);
    assert_eq!(pulled.history().len(), 3);
    assert_eq!(pulled.created.unwrap().to_string(), "2024-01-02T03:04:05Z");
    scratch.store.verify(&pulled).unwrap();
    let by_digest = format!("{}/x@{}", server.address, image.digest());
    for text in
        [&name(&server), &by_digest, &pulled.id.to_string(), &pulled.short_id(), &pulled.id.hex()[..5].to_owned()]
    {
        assert_eq!(scratch.store.find(text).unwrap().id, pulled.id, "{text}");
    }
    assert_eq!(scratch.store.list().unwrap().len(), 1);
    let removed = scratch.store.remove(&name(&server), Default::default()).unwrap();
    assert_eq!(removed.deleted, Some(pulled.id));
    assert!(removed.freed_bytes > 300_000);
    assert_eq!(listing(scratch.store.dir()), empty);
}

#[test]
fn nothing_is_downloaded_twice() {
    let scratch = Scratch::new();
    let image = TestImage::layered(2, 2, 1000);
    let mut content = Content::of("1", &image);
    content.add("2", &TestImage::new(&[tar(&[("other", b"")])], gzip));
    let server = honest(content);
    scratch.pull(&name(&server)).unwrap();
    scratch.pull(&name(&server)).unwrap();
    assert_eq!(server.count("/blobs/"), 3);
    scratch.pull(&format!("{}/x:2", server.address)).unwrap();
    assert_eq!(server.count("/blobs/"), 5);
}

#[test]
fn an_index_leads_to_the_platform() {
    let (amd64, arm64) = (TestImage::small(), TestImage::layered(3, 1, 10));
    let mut content = Content::of("a", &amd64);
    content.add("b", &arm64);
    let index = index(&[("linux/arm64", &arm64), ("linux/amd64", &amd64)]);
    content.document("1", "application/vnd.oci.image.index.v1+json", &index);
    let server = honest(content);
    let scratch = Scratch::new();
    let image = scratch.pull(&name(&server)).unwrap();
    assert_eq!(image.id, amd64.config);
    let digest = stockade_image::Digest::of(&index);
    assert_eq!(image.repo_digests, [reference(&format!("{}/x@{digest}", server.address))]);
    assert_eq!(scratch.pull(&format!("{}/x@{digest}", server.address)).unwrap().id, amd64.config);
    let s390x = PullOptions { platform: "linux/s390x".parse::<Platform>().unwrap() };
    let error = scratch.store.pull(&reference(&name(&server)), &s390x, &stockade_image::NoProgress).unwrap_err();
    assert!(chain(&error).contains("it has linux/arm64, linux/amd64"), "{}", chain(&error));
}

#[test]
fn every_compression_and_schema_is_read() {
    let tars = [tar(&[("a", &noise(1, 5000))]), tar(&[("b", b"b")])];
    let members = |bytes: &[u8]| [gzip(&bytes[..700]), gzip(&bytes[700..])].concat();
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    for image in [TestImage::new(&tars, members), TestImage::new(&tars, zstd), TestImage::new(&tars, <[u8]>::to_vec)] {
        let mut docker = image.edited(|manifest| manifest["mediaType"] = DOCKER_MANIFEST.into());
        docker.media_type = DOCKER_MANIFEST.into();
        for image in [image, docker] {
            let server = honest(Content::of("1", &image));
            let pulled = Scratch::new().pull(&name(&server)).unwrap();
            assert_eq!(pulled.layers[0].diff_id, stockade_image::Digest::of(&tars[0]));
        }
    }
}

#[test]
fn a_cut_download_goes_on_where_it_stopped() {
    let image = TestImage::layered(4, 1, 300_000);
    let server = twisted(&image, |request, mut reply| {
        let offset = request.headers.get("range").map_or("0", |range| range.as_str());
        if reply.body.len() > 1000 && !offset.starts_with("bytes=2") {
            reply.cut_after = Some(100_000);
        }
        reply
    });
    let seen = Recorder::default();
    let scratch = Scratch::new();
    scratch.store.pull(&reference(&name(&server)), &PullOptions::default(), &seen).unwrap();
    assert_eq!(server.count("/blobs/"), 4);
    let phases = seen.0.lock().unwrap();
    assert!(phases.iter().any(|phase| phase.starts_with("Retrying")), "{phases:?}");
    assert_eq!(phases.last().unwrap(), "Done");
}

#[test]
fn a_server_without_ranges_still_resumes() {
    let image = TestImage::layered(5, 1, 300_000);
    let first = std::sync::atomic::AtomicBool::new(true);
    let body = image.blobs[&image.layers[0]].clone();
    let server = twisted(&image, move |request, mut reply| {
        if request.path.contains("/blobs/") && reply.body.len() > 1000 {
            (reply.status, reply.body) = (200, body.clone());
            if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
                reply.cut_after = Some(100_000);
            }
        }
        reply
    });
    Scratch::new().pull(&name(&server)).unwrap();
}

#[test]
fn a_pull_without_network_keeps_what_it_has_for_the_next() {
    let image = TestImage::layered(6, 1, 300_000);
    let down = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let broken = down.clone();
    let server = twisted(&image, move |_, mut reply| {
        if reply.body.len() > 1000 && broken.load(std::sync::atomic::Ordering::SeqCst) {
            reply.cut_after = Some(50_000);
        }
        if reply.status == 206 && broken.load(std::sync::atomic::Ordering::SeqCst) {
            reply = common::server::Reply::new(503, "");
        }
        reply
    });
    let scratch = Scratch::new();
    let error = scratch.pull(&name(&server)).unwrap_err();
    assert!(chain(&error).contains("503"), "{}", chain(&error));
    let partial = std::fs::read_dir(scratch.store.dir().join("partial")).unwrap().next().unwrap().unwrap();
    assert!(partial.metadata().unwrap().len() >= 50_000);
    down.store(false, std::sync::atomic::Ordering::SeqCst);
    scratch.pull(&name(&server)).unwrap();
    let resumed = server.requests().into_iter().rev().find_map(|request| request.headers.get("range").cloned());
    assert_eq!(resumed.unwrap(), "bytes=50000-");
}

/// What a power cut may leave: records that say another boot, and bytes that never reached the disk.
#[test]
fn what_did_not_survive_a_boot_is_fetched_again() {
    let server = honest(Content::of("1", &TestImage::small()));
    let scratch = Scratch::new();
    let image = scratch.pull(&name(&server)).unwrap();
    let record = image.layers[0].blob.with_extension("json");
    let age = || {
        let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
        json["boot"] = "another".into();
        std::fs::write(&record, json.to_string()).unwrap();
    };
    age();
    scratch.store.lease(&image, "a").unwrap();
    assert!(!std::fs::read_to_string(&record).unwrap().contains("boot"));
    age();
    std::fs::write(&image.layers[0].blob, vec![0; usize::try_from(image.layers[0].blob_bytes).unwrap()]).unwrap();
    scratch.store.lease(&image, "a").unwrap_err();
    scratch.pull(&name(&server)).unwrap();
    scratch.store.lease(&image, "a").unwrap();
    scratch.store.verify(&image).unwrap();
    std::fs::write(&record, "").unwrap();
    assert!(scratch.store.find(&name(&server)).unwrap_err().to_string().contains("is damaged"));
    scratch.pull(&name(&server)).unwrap();
    let partial = scratch.store.dir().join("partial").join(image.layers[0].compressed.hex());
    scratch.store.remove(&name(&server), stockade_image::RemoveMode::Force).unwrap();
    scratch.store.release("a").unwrap();
    std::fs::write(&partial, [0; 20]).unwrap();
    scratch.pull(&name(&server)).unwrap();
}

#[test]
fn a_mirror_is_asked_first() {
    let image = TestImage::small();
    let (mirror, origin) = (honest(Content::of("1", &image)), honest(Content::of("2", &image)));
    let mut config = common::config();
    let mirrors = vec![format!("http://{}", mirror.address)];
    config.registries.insert(origin.address.clone(), RegistryConfig { mirrors, ..Default::default() });
    let scratch = Scratch::with(config);
    let pulled = scratch.pull(&name(&origin)).unwrap();
    assert_eq!(pulled.names, [reference(&name(&origin))]);
    assert_eq!(origin.requests().len(), 0);
    scratch.pull(&format!("{}/x:2", origin.address)).unwrap();
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn without_compressed_layers_a_later_pull_fetches_them() {
    let image = TestImage::small();
    let server = honest(Content::of("1", &image));
    let mut config = common::config();
    config.keep_compressed = false;
    let scratch = Scratch::with(config);
    let pulled = scratch.pull(&name(&server)).unwrap();
    let blob = scratch.store.dir().join("blobs/sha256").join(image.layers[0].hex());
    assert!(!blob.exists());
    let store = Store::open(scratch.store.dir(), common::config()).unwrap();
    store.pull(&reference(&name(&server)), &PullOptions::default(), &stockade_image::NoProgress).unwrap();
    assert!(blob.exists());
    store.verify(&pulled).unwrap();
}

#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl Progress for Recorder {
    fn report(&self, event: &Event<'_>) {
        if let Event::Layer { phase, .. } = event {
            assert!(!matches!(phase, Phase::Downloading { done, total } if done > total));
            self.0.lock().unwrap().push(format!("{phase:?}"));
        }
    }
}
