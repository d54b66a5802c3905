//! States that a kill leaves, made by hand and by kills.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use rustix::fs::{CWD, OFlags, XattrFlags, getxattr, open, setxattr};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tempfile::TempDir;

use super::*;

/// VFS_CAP_REVISION_2, effective, permitted CAP_NET_RAW (linux/capability.h).
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// How many of the image's directories there are, and how often a filling process is killed.
const DIRECTORIES: u32 = 20;
const POINTS: u32 = 30;

fn directory(path: &Path) -> OwnedFd {
    open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

/// What an image may have at a volume's place.
fn image() -> TempDir {
    let image = tempfile::tempdir().unwrap();
    for number in 0..DIRECTORIES {
        let dir = image.path().join(format!("dir-{number}"));
        fs::create_dir_all(dir.join("sub")).unwrap();
        for name in ["one", "sub/two"] {
            fs::write(dir.join(name), format!("content of {number}")).unwrap();
            chown(dir.join(name), Some(number), Some(number + 1)).unwrap();
        }
        fs::set_permissions(dir.join("one"), fs::Permissions::from_mode(0o4750)).unwrap();
        setxattr(dir.join("one"), "security.capability", &CAPABILITY, XattrFlags::empty()).unwrap();
        fs::hard_link(dir.join("one"), image.path().join(format!("name-{number}"))).unwrap();
        symlink("one", dir.join("link")).unwrap();
        lchown(dir.join("link"), Some(33), None).unwrap();
        chown(&dir, Some(number), None).unwrap();
    }
    chown(image.path(), Some(33), Some(34)).unwrap();
    fs::set_permissions(image.path(), fs::Permissions::from_mode(0o3775)).unwrap();
    image
}

/// Owner, group, mode, links, content and capability of everything, by path.
fn listing(root: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    list(root, ".", &mut all);
    all
}

fn list(root: &Path, name: &str, all: &mut BTreeMap<String, String>) {
    let path = root.join(name);
    let stat = fs::symlink_metadata(&path).unwrap();
    let mut capability = [0; 64];
    let capability =
        getxattr(&path, "security.capability", &mut capability[..]).map(|length| capability[..length].to_vec());
    let content = if stat.is_file() { fs::read_to_string(&path).unwrap() } else { String::new() };
    let target = fs::read_link(&path);
    let (uid, gid, mode, links) = (stat.uid(), stat.gid(), stat.mode(), stat.nlink());
    all.insert(name.to_owned(), format!("{uid} {gid} {mode:o} {links} {content} {target:?} {capability:?}"));
    for entry in fs::read_dir(&path).into_iter().flatten().filter(|_| stat.is_dir()) {
        list(root, &format!("{name}/{}", entry.unwrap().file_name().to_str().unwrap()), all);
    }
}

fn check_filled(image: &TempDir, volume: &TempDir) {
    fill(directory(image.path()), directory(volume.path())).unwrap();
    check_equal(image, volume);
}

fn check_equal(image: &TempDir, volume: &TempDir) {
    let (expected, found) = (listing(image.path()), listing(volume.path()));
    let different = expected.iter().filter(|(name, line)| found.get(*name) != Some(line)).collect::<Vec<_>>();
    assert!(different.is_empty() && expected.len() == found.len(), "{different:?}\n{:?}", found.keys());
}

#[test]
fn an_empty_volume_gets_all() {
    let (image, volume) = (image(), tempfile::tempdir().unwrap());
    check_filled(&image, &volume);
    let time = |dir: &TempDir| fs::metadata(dir.path()).unwrap().modified().unwrap();
    assert_eq!(time(&image), time(&volume));
}

#[test]
fn a_volume_with_anything_is_left_alone() {
    let (image, volume) = (image(), tempfile::tempdir().unwrap());
    fs::write(volume.path().join("own"), "").unwrap();
    let before = listing(volume.path());
    fill(directory(image.path()), directory(volume.path())).unwrap();
    assert_eq!(listing(volume.path()), before);
    // Only an abandoned copy is cleared away.
    mkdirat(CWD, volume.path().join(FILLING), Mode::RWXU).unwrap();
    fill(directory(image.path()), directory(volume.path())).unwrap();
    assert_eq!(listing(volume.path()), before);
}

#[test]
fn an_abandoned_copy_is_made_anew() {
    let (image, volume) = (image(), tempfile::tempdir().unwrap());
    fs::create_dir_all(volume.path().join(".stockade-filling/tree/dir-1/old")).unwrap();
    fs::set_permissions(volume.path().join(FILLING), fs::Permissions::from_mode(0o700)).unwrap();
    check_filled(&image, &volume);
}

#[test]
fn a_complete_copy_is_finished_wherever_it_stood() {
    let image = image();
    for moved in [0, 1, 7, DIRECTORIES] {
        let volume = tempfile::tempdir().unwrap();
        stage(directory(image.path()), &directory(volume.path())).unwrap();
        for name in (0..moved).map(|number| format!("dir-{number}")) {
            fs::rename(volume.path().join(".stockade-filled/tree").join(&name), volume.path().join(name)).unwrap();
        }
        // What the image has meanwhile does not matter.
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("other"), "").unwrap();
        fill(directory(other.path()), directory(volume.path())).unwrap();
        check_equal(&image, &volume);
    }
    let volume = tempfile::tempdir().unwrap();
    mkdirat(CWD, volume.path().join(FILLED), Mode::RWXU).unwrap();
    fill(directory(image.path()), directory(volume.path())).unwrap();
    assert_eq!(fs::read_dir(volume.path()).unwrap().count(), 0);
}

#[test]
fn what_the_volume_got_meanwhile_stays() {
    let (image, volume) = (image(), tempfile::tempdir().unwrap());
    stage(directory(image.path()), &directory(volume.path())).unwrap();
    fs::write(volume.path().join("name-1"), "newer").unwrap();
    fill(directory(image.path()), directory(volume.path())).unwrap();
    assert_eq!(fs::read_to_string(volume.path().join("name-1")).unwrap(), "newer");
    assert!(volume.path().join("dir-1/one").exists() && !volume.path().join(FILLED).exists());
}

/// A user who may write to the volume, but not change its owner, must not have root do it.
#[test]
fn others_directories_of_our_names_are_theirs() {
    let (image, volume) = (image(), tempfile::tempdir().unwrap());
    fs::set_permissions(volume.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::create_dir_all(volume.path().join(".stockade-filled/tree")).unwrap();
    for (owner, mode) in [(1000, 0o700), (0, 0o755)] {
        let theirs = volume.path().join(FILLED);
        fs::set_permissions(&theirs, fs::Permissions::from_mode(mode)).unwrap();
        chown(theirs.join(TREE), Some(1000), None).unwrap();
        chown(&theirs, Some(owner), None).unwrap();
        fill(directory(image.path()), directory(volume.path())).unwrap();
        assert!(theirs.join(TREE).exists());
        assert_eq!(fs::metadata(volume.path()).unwrap().uid(), 0);
    }
    let error = finish(&directory(volume.path())).unwrap_err();
    assert!(error.to_string().contains("exchanged"), "{error}");
    // Nor is a link of that name followed.
    let (elsewhere, volume) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    symlink(elsewhere.path(), volume.path().join(FILLING)).unwrap();
    fill(directory(image.path()), directory(volume.path())).unwrap();
    assert!(volume.path().join(FILLING).is_symlink() && elsewhere.path().exists());
}

#[test]
fn an_images_files_of_our_names_are_left_out() {
    let (image, volume) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in [FILLING, FILLED, "kept"] {
        fs::create_dir(image.path().join(name)).unwrap();
    }
    fill(directory(image.path()), directory(volume.path())).unwrap();
    let names: Vec<_> = fs::read_dir(volume.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["kept"]);
}

#[test]
fn a_copy_that_fails_leaves_an_empty_volume() {
    let (image, volume) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let deep = "d/".repeat(usize::try_from(DEPTH_MAX).unwrap() + 1);
    fs::create_dir_all(image.path().join(deep)).unwrap();
    let error = fill(directory(image.path()), directory(volume.path())).unwrap_err();
    assert!(error.to_string().contains("too deep"), "{error}");
    assert_eq!(fs::read_dir(volume.path()).unwrap().count(), 0);
}

#[test]
fn containers_that_start_at_once_share_one_copy() {
    let (image, volume) = (image(), tempfile::tempdir().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| check_filled(&image, &volume));
        }
    });
}

/// Fills in a process of its own, which is killed after a while unless it has ended.
fn killed_after(image: &TempDir, volume: &TempDir, limit: Duration) {
    let (from, to) = (directory(image.path()), directory(volume.path()));
    // SAFETY: the C library makes its allocator usable in the child; the child takes no other lock of this process.
    let child = match unsafe { libc::fork() } {
        0 => crate::sys::process::exit(i32::from(fill(from, to).is_err())),
        pid => Pid::from_raw(pid).expect("fork"),
    };
    std::thread::sleep(limit);
    kill_process(child, Signal::KILL).unwrap();
    let (_, status) = waitpid(Some(child), WaitOptions::empty()).unwrap().unwrap();
    assert!(status.exit_status().is_none_or(|status| status == 0), "{status:?}");
}

#[test]
fn a_kill_at_any_point_is_made_good() {
    let image = image();
    let start = Instant::now();
    check_filled(&image, &tempfile::tempdir().unwrap());
    let whole = start.elapsed();
    let mut begun = 0;
    for point in 0..POINTS {
        let volume = tempfile::tempdir().unwrap();
        killed_after(&image, &volume, whole * point / POINTS);
        begun += u32::from(volume.path().join(FILLING).exists());
        check_filled(&image, &volume);
    }
    assert!(begun > 0, "no copy was cut short");
}
