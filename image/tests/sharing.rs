//! Many processes on one store: downloads are shared, removals and pulls mix, and a kill at any point does no harm.

mod common;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::docker_registry::{Access, DockerRegistry, busybox, run};
use common::registry::{Content, honest, name, twisted};
use common::server::Reply;
use common::{Scratch, TestImage, config, listing, noise, reference};
use stockade_image::{Digest, LeaseError, NoProgress, PruneScope, PullOptions, RemoveMode, SaveError, Store};

/// This test binary again, as a process to kill: runs `test` on `store`.
fn spawn(test: &str, store: &Store, name: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--test-threads=1"]).env("STOCKADE_TEST_STORE", store.dir());
    command.env("STOCKADE_TEST_NAME", name).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// In such a process: its store and the name to pull.
fn inherited() -> Option<(Store, String)> {
    let dir = std::env::var_os("STOCKADE_TEST_STORE")?;
    Some((Store::open(dir.as_ref(), config()).unwrap(), std::env::var("STOCKADE_TEST_NAME").unwrap()))
}

fn pull(store: &Store, name: &str) -> stockade_image::Image {
    let pulled = store.pull(&reference(name), &PullOptions::default(), &NoProgress);
    pulled.unwrap_or_else(|error| panic!("{}", common::chain(&error)))
}

#[test]
fn two_pulls_of_one_image_download_it_once() {
    if let Some((store, name)) = inherited() {
        return drop(pull(&store, &name));
    }
    let image = TestImage::layered(1, 3, 400_000);
    let server = twisted(&image, |request, reply| {
        if request.path.contains("/blobs/") {
            thread::sleep(Duration::from_millis(300));
        }
        reply
    });
    let scratch = Scratch::new();
    let children = (0..5).map(|_| spawn("two_pulls_of_one_image_download_it_once", &scratch.store, &name(&server)));
    for mut child in children.collect::<Vec<_>>() {
        assert!(child.wait().unwrap().success());
    }
    for layer in &image.layers {
        assert_eq!(server.count(&layer.to_string()), 1);
    }
    scratch.store.verify(&scratch.store.find(&name(&server)).unwrap()).unwrap();
}

#[test]
fn a_layer_of_two_images_is_downloaded_once() {
    let (one, two) = (TestImage::layered(1, 2, 1000), TestImage::layered(1, 3, 1000));
    let mut content = Content::of("1", &one);
    content.add("2", &two);
    let server = honest(content);
    let scratch = Scratch::new();
    scratch.pull(&name(&server)).unwrap();
    let image = scratch.pull(&format!("{}/x:2", server.address)).unwrap();
    assert!(one.layers.iter().all(|layer| server.count(&layer.to_string()) == 1));
    scratch.store.remove(&name(&server), RemoveMode::Careful).unwrap();
    scratch.store.verify(&image).unwrap();
}

#[test]
fn a_kill_at_any_point_leaves_a_store_that_works() {
    if let Some((store, name)) = inherited() {
        loop {
            let image = pull(&store, &name);
            let _ = store.lease(&image, "child");
            let _ = store.save(std::slice::from_ref(&name), &mut std::io::sink());
            let _ = store.release("child");
            let _ = store.remove(&name, RemoveMode::Force);
            let _ = store.prune(PruneScope::Unused);
        }
    }
    let scratch = Scratch::new();
    let empty = listing(scratch.store.dir());
    let (registry, name) = filled(scratch.dir.path());
    let mut random = noise(7, 200).into_iter();
    for _ in 0..60 {
        let mut child = spawn("a_kill_at_any_point_leaves_a_store_that_works", &scratch.store, &name);
        let delay = u64::from(random.next().unwrap()) * 2;
        thread::sleep(Duration::from_millis(20 + delay));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Store::open(scratch.store.dir(), config()).unwrap();
        for image in store.list().unwrap() {
            store.verify(&image).unwrap();
        }
        if delay % 3 == 0 {
            let image = pull(&store, &name);
            store.verify(&image).unwrap();
            assert_eq!(listing(&store.dir().join("tmp")).len(), 0, "the dead left files");
        }
    }
    scratch.store.release("child").unwrap();
    let image = pull(&scratch.store, &name);
    scratch.store.verify(&image).unwrap();
    drop(registry);
    scratch.store.prune(PruneScope::Unused).unwrap();
    assert_eq!(listing(scratch.store.dir()), empty);
}

/// docker-registry with an image of busybox and a layer of noise.
fn filled(dir: &std::path::Path) -> (DockerRegistry, String) {
    let image = busybox(dir);
    let more = dir.join("noise");
    std::fs::write(&more, noise(1, 3_000_000)).unwrap();
    run("umoci", &["insert", "--image", &image, &more.display().to_string(), "/noise"]);
    let registry = DockerRegistry::start(dir, Access::Open);
    registry.fill(&format!("oci:{image}"), "busybox:1");
    let name = format!("{}/busybox:1", registry.address);
    (registry, name)
}

#[test]
fn a_killed_download_goes_on_where_it_stopped() {
    if let Some((store, name)) = inherited() {
        return drop(pull(&store, &name));
    }
    let image = TestImage::layered(3, 1, 500_000);
    let up = Arc::new(AtomicBool::new(false));
    let healthy = up.clone();
    let server = twisted(&image, move |request, reply| {
        match (healthy.load(Ordering::SeqCst), request.headers.contains_key("range"), reply.body.len()) {
            (false, true, _) => Reply::new(503, ""),
            (false, false, 100_000..) => Reply { cut_after: Some(100_000), ..reply },
            _ => reply,
        }
    });
    let scratch = Scratch::new();
    let mut child = spawn("a_killed_download_goes_on_where_it_stopped", &scratch.store, &name(&server));
    for _ in 0..1000 {
        if server.requests().iter().any(|request| request.headers.contains_key("range")) {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    up.store(true, Ordering::SeqCst);
    let before = server.requests().len();
    scratch.store.verify(&scratch.pull(&name(&server)).unwrap()).unwrap();
    let requests = server.requests().split_off(before);
    let ranges = requests.into_iter().filter_map(|mut request| request.headers.remove("range"));
    assert_eq!(ranges.collect::<Vec<_>>(), ["bytes=100000-"]);
}

#[test]
fn a_real_registry_and_its_digests() {
    let scratch = Scratch::new();
    let (registry, name) = filled(scratch.dir.path());
    let image = scratch.pull(&name).unwrap();
    let raw = run("skopeo", &["inspect", "--raw", "--tls-verify=false", &format!("docker://{name}")]);
    assert_eq!(image.manifest, Digest::of(raw.as_bytes()));
    let by_digest = format!("{}/busybox@{}", registry.address, image.manifest);
    assert_eq!(scratch.pull(&by_digest).unwrap().id, image.id);
    // Saved, loaded and pushed elsewhere it is still the same.
    let file = scratch.dir.path().join("saved.tar");
    scratch.store.save(&[name], &mut std::fs::File::create(&file).unwrap()).unwrap();
    registry.fill(&format!("oci-archive:{}", file.display()), "again:1");
    assert_eq!(scratch.pull(&format!("{}/again:1", registry.address)).unwrap().manifest, image.manifest);
    drop(registry);
    assert_eq!(scratch.store.find(&by_digest).unwrap().id, image.id);
}

#[test]
fn pulls_leases_and_removals_mix() {
    let mut content = Content::default();
    for tag in 1..4 {
        content.add(&tag.to_string(), &TestImage::layered(1, tag, 20_000));
    }
    let server = honest(content);
    let scratch = Scratch::new();
    let empty = listing(scratch.store.dir());
    thread::scope(|scope| {
        for worker in 0..6 {
            let name = format!("{}/x:{}", server.address, worker % 3 + 1);
            let dir = scratch.store.dir();
            scope.spawn(move || {
                let store = Store::open(dir, config()).unwrap();
                (0..15).for_each(|_| one_life(&store, &name, &format!("worker-{worker}")));
            });
        }
    });
    scratch.store.prune(PruneScope::Unused).unwrap();
    assert_eq!(listing(scratch.store.dir()), empty);
}

/// Pulls, uses, removes; someone else may remove the image at any time, but never from under a lease.
fn one_life(store: &Store, name: &str, holder: &str) {
    let image = pull(store, name);
    match store.lease(&image, holder) {
        Ok(()) => store.verify_layers(&image),
        Err(LeaseError::Gone(_)) => {}
        Err(error) => panic!("{error}"),
    }
    match store.save(&[name.to_owned()], &mut std::io::sink()) {
        Ok(()) | Err(SaveError::Find(_) | SaveError::NotKept { .. } | SaveError::Io(_)) => {}
        Err(error) => panic!("{error}"),
    }
    let _ = store.remove(name, RemoveMode::Force);
    if let Ok(()) = store.lease(&image, holder) {
        store.verify_layers(&image);
    }
    store.release(holder).unwrap();
}

trait VerifyLayers {
    fn verify_layers(&self, image: &stockade_image::Image);
}

impl VerifyLayers for Store {
    /// What a container relies on.
    fn verify_layers(&self, image: &stockade_image::Image) {
        for layer in &image.layers {
            let blob = std::fs::read(&layer.blob).unwrap();
            assert_eq!(Digest::of(&blob), layer.blob_digest);
        }
    }
}

#[test]
fn leases_protect() {
    let scratch = Scratch::new();
    let server = honest(Content::of("1", &TestImage::small()));
    let image = scratch.pull(&name(&server)).unwrap();
    scratch.store.lease(&image, "container-1").unwrap();
    assert_eq!(scratch.store.holders(&image.id).unwrap(), ["container-1"]);
    let error = scratch.store.remove(&name(&server), RemoveMode::Careful).unwrap_err().to_string();
    assert!(error.contains("in use by container-1"), "{error}");
    // Of another version of the converter.
    let (old, stray) =
        (image.layers[0].blob.with_extension("").with_extension("v0.erofs"), "0".repeat(64) + ".v0.erofs");
    let stray = old.with_file_name(stray);
    [&old, &stray].iter().for_each(|path| std::fs::write(path, "old").unwrap());
    assert!(scratch.store.prune(PruneScope::Unused).unwrap().deleted.is_empty());
    assert!(old.exists() && !stray.exists());
    let removed = scratch.store.remove(&image.short_id(), RemoveMode::Force).unwrap();
    assert_eq!(removed.deleted, Some(image.id));
    assert!(image.layers[0].blob.exists());
    scratch.store.release("container-1").unwrap();
    assert!(!image.layers[0].blob.exists() && !old.exists());
    scratch.store.release("container-1").unwrap();
    for holder in ["", "../x", "a/b", ".", "a b"] {
        assert!(matches!(scratch.store.release(holder), Err(LeaseError::Holder(_))), "{holder}");
    }
}

#[test]
fn names_go_one_by_one() {
    let scratch = Scratch::new();
    let server = honest(Content::of("1", &TestImage::small()));
    let image = scratch.pull(&name(&server)).unwrap();
    scratch.store.tag(&image, &reference("other:1")).unwrap();
    let error = scratch.store.remove(&image.short_id(), RemoveMode::Careful).unwrap_err().to_string();
    assert!(error.contains("several names"), "{error}");
    let removed = scratch.store.remove("other:1", RemoveMode::Careful).unwrap();
    assert_eq!((removed.deleted, removed.untagged), (None, vec![reference("other:1")]));
    let removed = scratch.store.remove(&image.short_id(), RemoveMode::Careful).unwrap();
    assert_eq!(removed.deleted, Some(image.id));
    assert_eq!(removed.untagged.len(), 2);
}
