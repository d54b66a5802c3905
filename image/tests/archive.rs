//! Archives, layouts and imports: what other tools write is read, what we write they read, and digests survive.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::docker_registry::{busybox, run};
use common::registry::{Content, honest, name};
use common::{Scratch, TestImage, chain, gzip, listing, noise, reference, tar};
use stockade_image::{Digest, Image, ImportOptions, Input, LoadError, LoadSource, NoProgress, PruneScope, Store};

fn load(store: &Store, source: &str) -> Vec<Image> {
    try_load(store, source).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

fn try_load(store: &Store, source: &str) -> Result<Vec<Image>, LoadError> {
    let loaded = store.load(&LoadSource::parse(source).unwrap(), &NoProgress)?;
    Ok(loaded.into_iter().map(|loaded| loaded.image).collect())
}

fn input(path: impl Into<PathBuf>) -> Input {
    Input::Path(path.into())
}

/// Loads what must be refused; nothing may stay behind.
fn refusal(source: &str) -> String {
    let scratch = Scratch::new();
    let before = listing(scratch.store.dir());
    let error = try_load(&scratch.store, source).expect_err(source);
    assert_eq!(listing(scratch.store.dir()), before);
    chain(&error)
}

fn save(store: &Store, names: &[&str], to: &Path) {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    store.save(&names, &mut std::fs::File::create(to).unwrap()).unwrap_or_else(|error| panic!("{}", chain(&error)));
}

/// A store with two pulled images, `HOST/x:1` and `HOST/x:2`.
fn pulled() -> (Scratch, String) {
    let mut content = Content::of("1", &TestImage::layered(1, 2, 50_000));
    content.add("2", &TestImage::new(&[tar(&[("two", b"2")])], |bytes| zstd::encode_all(bytes, 3).unwrap()));
    let server = honest(content);
    let scratch = Scratch::new();
    scratch.pull(&name(&server)).unwrap();
    scratch.pull(&format!("{}/x:2", server.address)).unwrap();
    let name = format!("{}/x", server.address);
    (scratch, name)
}

#[test]
fn saving_and_loading_keeps_every_digest() {
    let (scratch, name) = pulled();
    let (one, two) = (format!("{name}:1"), format!("{name}:2"));
    let file = scratch.dir.path().join("saved.tar");
    save(&scratch.store, &[&one, &two], &file);
    let again = scratch.dir.path().join("again.tar");
    save(&scratch.store, &[&one, &two, &one], &again);
    assert!(std::fs::read(&file).unwrap() == std::fs::read(&again).unwrap(), "the archive differs");
    for kind in ["oci-archive", "docker-archive"] {
        let other = Scratch::new();
        let images = load(&other.store, &format!("{kind}:{}", file.display()));
        for (image, name) in images.iter().zip([&one, &two]) {
            let original = scratch.store.find(name).unwrap();
            assert_eq!((image.id, image.manifest), (original.id, original.manifest), "{kind}");
            assert_eq!(image.names, [reference(name)]);
            assert_eq!(compressed(image), compressed(&original));
            other.store.verify(image).unwrap();
        }
    }
    let other = Scratch::new();
    assert_eq!(load(&other.store, &format!("oci-archive:{}:2", file.display())).len(), 1);
    let error = try_load(&other.store, &format!("oci-archive:{}:3", file.display())).unwrap_err();
    assert!(error.to_string().contains("it has"), "{error}");
}

fn compressed(image: &Image) -> Vec<Digest> {
    image.layers.iter().map(|layer| layer.compressed).collect()
}

#[test]
fn a_damaged_blob_is_not_saved() {
    let (scratch, name) = pulled();
    let image = scratch.store.find(&format!("{name}:1")).unwrap();
    let blob = scratch.store.dir().join("blobs/sha256").join(image.layers[1].compressed.hex());
    let length = std::fs::metadata(&blob).unwrap().len();
    std::fs::write(&blob, vec![0; usize::try_from(length).unwrap()]).unwrap();
    let error = scratch.store.save(&[format!("{name}:1")], &mut std::io::sink()).unwrap_err().to_string();
    assert!(error.contains("has changed on disk"), "{error}");
    assert!(!blob.exists());
}

#[test]
fn skopeo_reads_what_we_save() {
    let (scratch, name) = pulled();
    let image = scratch.store.find(&format!("{name}:1")).unwrap();
    let file = scratch.dir.path().join("saved.tar");
    save(&scratch.store, &[&format!("{name}:1")], &file);
    let raw = run("skopeo", &["inspect", "--raw", &format!("oci-archive:{}:1", file.display())]);
    assert_eq!(Digest::of(raw.as_bytes()), image.manifest);
    for kind in ["oci-archive", "docker-archive"] {
        let layout = format!("oci:{}:x", scratch.dir.path().join(kind).display());
        run("skopeo", &["copy", "--insecure-policy", &format!("{kind}:{}", file.display()), &layout]);
        let copied = load(&Scratch::new().store, &layout);
        assert_eq!(diff_ids(&copied[0]), diff_ids(&image), "{kind}");
        assert_eq!(copied[0].names, [reference(&format!("localhost/{kind}:x"))]);
    }
}

fn diff_ids(image: &Image) -> Vec<Digest> {
    image.layers.iter().map(|layer| layer.diff_id).collect()
}

#[test]
fn we_read_what_skopeo_and_umoci_write() {
    let scratch = Scratch::new();
    let image = busybox(scratch.dir.path());
    let original = &load(&scratch.store, &format!("oci:{image}"))[0];
    assert!(original.layers[0].entries >= 2);
    let (oci, docker) = (scratch.dir.path().join("oci.tar"), scratch.dir.path().join("docker.tar"));
    let copy = |to: &str| run("skopeo", &["copy", "--insecure-policy", &format!("oci:{image}"), to]);
    copy(&format!("oci-archive:{}:tag", oci.display()));
    copy(&format!("docker-archive:{}:example.org/busybox:1", docker.display()));
    run("gzip", &["-k", &docker.display().to_string()]);
    for source in [
        format!("oci-archive:{}", oci.display()),
        format!("docker-archive:{}", docker.display()),
        format!("docker-archive:{}.gz", docker.display()),
    ] {
        let loaded = &load(&Scratch::new().store, &source)[0];
        assert_eq!(diff_ids(loaded), diff_ids(original), "{source}");
    }
    let loaded = &load(&scratch.store, &format!("docker-archive:{}", docker.display()))[0];
    assert!(loaded.names.contains(&reference("example.org/busybox:1")));
    let saved = scratch.dir.path().join("saved.tar");
    save(&scratch.store, &["example.org/busybox:1"], &saved);
    assert_eq!(load(&Scratch::new().store, &format!("oci-archive:{}", saved.display()))[0].id, loaded.id);
}

#[test]
fn a_source_needs_no_transport_and_a_bare_tag_no_good_file_name() {
    let scratch = Scratch::new();
    let image = busybox(scratch.dir.path());
    let file = |name: &str| scratch.dir.path().join(name);
    let plain = file("Odd (1)_.tar");
    run(
        "skopeo",
        &["copy", "--insecure-policy", &format!("oci:{image}"), &format!("oci-archive:{}:t", file("a").display())],
    );
    std::fs::rename(file("a"), &plain).unwrap();
    run("gzip", &["-k", &plain.display().to_string()]);
    let check = |source: LoadSource, expected: &str| {
        let store = Scratch::new();
        let loaded = store.store.load(&source, &NoProgress).unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!(loaded[0].names, [reference(expected)]);
    };
    check(LoadSource::new(input(&plain)), "localhost/odd-1:t");
    check(LoadSource::parse(&plain.display().to_string()).unwrap(), "localhost/odd-1:t");
    check(LoadSource::new(input(file("Odd (1)_.tar.gz"))), "localhost/odd-1-tar:t");
    let mut stdin = std::fs::File::open(&plain).unwrap();
    std::io::Seek::seek(&mut stdin, std::io::SeekFrom::End(0)).unwrap();
    check(LoadSource::new(Input::Stdin(stdin)), "localhost/stdin:t");
    let (layout, tag) = image.rsplit_once(':').unwrap();
    let name = Path::new(layout).file_name().unwrap().to_str().unwrap();
    check(LoadSource::parse(&format!("oci:{layout}/.:{tag}")).unwrap(), &format!("localhost/{name}:{tag}"));
}

/// Files of a docker save of old.
fn legacy(layers: &[Vec<u8>], tags: serde_json::Value) -> BTreeMap<String, Vec<u8>> {
    let image = TestImage::new(layers, <[u8]>::to_vec);
    let config = image.blobs[&image.config].clone();
    let mut files = BTreeMap::new();
    let names: Vec<_> = (0..layers.len()).map(|layer| format!("{layer}/layer.tar")).collect();
    files.extend(names.iter().cloned().zip(layers.iter().cloned()));
    let config_name = format!("{}.json", image.config.hex());
    let manifest = serde_json::json!([{"Config": config_name, "RepoTags": tags, "Layers": names}]);
    files.insert(config_name, config);
    files.insert("manifest.json".into(), manifest.to_string().into_bytes());
    files
}

fn archive(dir: &Path, files: &BTreeMap<String, Vec<u8>>) -> String {
    let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let path = dir.join("archive.tar");
    std::fs::write(&path, tar(&files)).unwrap();
    format!("docker-archive:{}", path.display())
}

#[test]
fn the_old_form_of_docker_save() {
    let scratch = Scratch::new();
    let layers = [tar(&[("a", &noise(1, 3000))]), tar(&[("b", b"b")])];
    let source = archive(scratch.dir.path(), &legacy(&layers, serde_json::json!(["old", "old:2"])));
    let image = &load(&scratch.store, &source)[0];
    assert_eq!(image.names, [reference("old:2"), reference("old")]);
    assert_eq!(diff_ids(image), layers.iter().map(|layer| Digest::of(layer)).collect::<Vec<_>>());
    assert_eq!(load(&scratch.store, &source)[0].manifest, image.manifest);
}

#[test]
fn hostile_archives() {
    let dir = tempfile::tempdir().unwrap();
    let layers = [tar(&[("a", b"a")])];
    let good = legacy(&layers, serde_json::json!(null));
    let check = |files: &BTreeMap<String, Vec<u8>>, expected: &str| {
        let refusal = refusal(&archive(dir.path(), files));
        assert!(refusal.contains(expected), "{refusal}");
    };
    for name in ["../../etc/passwd", "A B", "x:", "evil\u{1b}[31m", "-x"] {
        check(&legacy(&layers, serde_json::json!([name])), "invalid image reference");
    }
    let with = |name: &str, bytes: &[u8]| {
        let mut files = good.clone();
        files.insert(name.into(), bytes.to_vec());
        files
    };
    check(&with("0/layer.tar", &tar(&[("a", b"b")])), "diff id");
    check(&with("0/layer.tar", b"no tar"), "layer");
    check(&with("manifest.json", "[".repeat(100_000).as_bytes()), "manifest.json is not valid");
    check(&with("manifest.json", b"[]"), "no images");
    let entry = |config: &str, layer: &str| serde_json::json!([{"Config": config, "Layers": [layer]}]).to_string();
    check(&with("manifest.json", entry("/etc/passwd", "x").as_bytes()), "missing");
    let config = good.keys().find(|name| name.ends_with(".json") && *name != "manifest.json").unwrap();
    check(&with("manifest.json", entry(config, "../../etc/passwd").as_bytes()), "missing");
    check(&with("index.json", br#"{"manifests":[{"digest":"sha256:../../x","size":1}]}"#), "not valid");
    let many = serde_json::json!([{"Config": config, "Layers": vec!["0/layer.tar"; 501]}]).to_string();
    check(&with("manifest.json", many.as_bytes()), "layers_max");
    assert!(refusal("docker-archive:/dev/null").contains("no manifest.json"));
    assert!(refusal("oci:/dev/null").contains("not a directory"));
    assert!(refusal("/dev/null").contains("neither index.json nor manifest.json"));
    assert!(LoadSource::parse("/no/such/file").is_none());
}

#[test]
fn hostile_layouts() {
    let dir = tempfile::tempdir().unwrap();
    let image = TestImage::small();
    let layout = |edit: &dyn Fn(&Path)| -> String {
        let path = dir.path().join("layout");
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        let entry = serde_json::json!({"digest": image.digest(), "size": image.manifest.len()});
        std::fs::write(path.join("index.json"), serde_json::json!({"manifests": [entry]}).to_string()).unwrap();
        let blobs = image.blobs.iter().map(|(digest, bytes)| (*digest, bytes));
        for (digest, bytes) in blobs.chain([(image.digest(), &image.manifest)]) {
            std::fs::write(path.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        }
        edit(&path);
        format!("oci:{}", path.display())
    };
    let blob = |path: &Path, digest: &Digest| -> PathBuf { path.join("blobs/sha256").join(digest.hex()) };
    load(&Scratch::new().store, &layout(&|_| ()));
    let check = |expected: &str, edit: &dyn Fn(&Path)| {
        let refusal = refusal(&layout(edit));
        assert!(refusal.contains(expected), "{refusal}");
    };
    check("is missing", &|path| std::fs::remove_file(blob(path, &image.layers[0])).unwrap());
    check("came with digest", &|path| {
        let path = blob(path, &image.layers[0]);
        let length = std::fs::metadata(&path).unwrap().len();
        std::fs::write(path, vec![0; usize::try_from(length).unwrap()]).unwrap();
    });
    check("it has not the", &|path| std::fs::write(blob(path, &image.digest()), b"{}").unwrap());
    check("it has not the", &|path| std::fs::write(blob(path, &image.config), b"{}").unwrap());
    check("not a regular file", &|path| {
        let path = blob(path, &image.layers[0]);
        std::fs::remove_file(&path).unwrap();
        run("mkfifo", &[path.to_str().unwrap()]);
    });
    check("no index.json", &|path| std::fs::remove_file(path.join("index.json")).unwrap());
    check("not a digest", &|path| {
        std::fs::write(path.join("index.json"), r#"{"manifests":[{"digest":"sha256:../../../x","size":1}]}"#).unwrap();
    });
}

#[test]
fn imports_of_tarballs_and_directories() {
    let scratch = Scratch::new();
    let root = scratch.dir.path().join("root");
    std::fs::create_dir_all(root.join("etc")).unwrap();
    std::fs::write(root.join("etc/hostname"), "imported\n").unwrap();
    let plain = scratch.dir.path().join("root.tar");
    run("tar", &["-C", &root.display().to_string(), "-cf", &plain.display().to_string(), "."]);
    let path = plain.display().to_string();
    let bytes = std::fs::read(&plain).unwrap();
    std::fs::write(format!("{path}.gz"), gzip(&bytes)).unwrap();
    std::fs::write(format!("{path}.zst"), zstd::encode_all(&bytes[..], 3).unwrap()).unwrap();
    run("xz", &["-k", &path]);
    run("bzip2", &["-k", &path]);
    let changes = ["CMD [\"/bin/sh\"]", "ENV A=1"].map(|change| change.parse().unwrap()).to_vec();
    let options = ImportOptions { name: Some(reference("imported:1")), changes, ..Default::default() };
    for suffix in ["", ".gz", ".zst", ".xz", ".bz2"] {
        let image = scratch.store.import(&input(format!("{path}{suffix}")), &options);
        let image = image.unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!(image.layers[0].diff_id, Digest::of(&bytes), "{suffix}");
        assert_eq!(image.config.config().as_ref().unwrap().cmd().as_ref().unwrap(), &["/bin/sh"]);
        let saved = scratch.dir.path().join("saved.tar");
        save(&scratch.store, &["imported:1"], &saved);
        assert_eq!(load(&Scratch::new().store, &format!("oci-archive:{}", saved.display()))[0].id, image.id);
    }
    let image = scratch.store.import(&input(&root), &options).unwrap();
    assert_eq!(image.names, [reference("imported:1")]);
    assert_eq!(scratch.store.list().unwrap().len(), 6);
    assert_eq!(scratch.store.prune(PruneScope::Dangling).unwrap().deleted.len(), 5);
    assert_eq!(scratch.store.list().unwrap().len(), 1);
}

#[test]
fn a_broken_import_leaves_nothing() {
    let scratch = Scratch::new();
    let before = listing(scratch.store.dir());
    let broken = scratch.dir.path().join("broken.tar.gz");
    std::fs::write(&broken, &gzip(&tar(&[("a", &noise(1, 9000))]))[..5000]).unwrap();
    for path in [&broken, Path::new("/nonexistent")] {
        scratch.store.import(&input(path), &ImportOptions::default()).unwrap_err();
    }
    let xz = scratch.dir.path().join("broken.xz");
    std::fs::write(&xz, b"\xfd7zXZ\0 and no more").unwrap();
    scratch.store.import(&input(&xz), &ImportOptions::default()).unwrap_err();
    assert_eq!(listing(scratch.store.dir()), before);
}

#[test]
fn what_was_not_kept_cannot_be_saved() {
    let server = honest(Content::of("1", &TestImage::small()));
    let mut config = common::config();
    config.keep_compressed = false;
    let scratch = Scratch::with(config);
    scratch.pull(&name(&server)).unwrap();
    let error = scratch.store.save(&[name(&server)], &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("keep_compressed = true") && error.contains(&name(&server)), "{error}");
}
