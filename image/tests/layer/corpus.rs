//! The fuzzers' seeds, and what they once found, without a fuzzer.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use stockade_image::layer::Limits;

use crate::oracle::{agreed, try_convert};

fn inputs(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_tar_is_refused_or_gives_a_sound_image() {
    let convert = |path: &PathBuf| try_convert(&fs::read(path).unwrap(), &Limits::default()).ok();
    let blobs: Vec<_> = inputs("fuzz/corpus/layer").iter().filter_map(convert).collect();
    assert!(blobs.len() > 5, "only {} seeds are accepted", blobs.len());
    blobs.iter().for_each(|blob| drop(agreed(&blob.file)));
}

#[test]
fn every_image_is_read_as_by_the_kernel() {
    for path in inputs("../erofs/fuzz/corpus/read") {
        agreed(&File::open(path).unwrap());
    }
}
