//! Every request survives the way, and no packet that was cut or grew is one.

use super::*;

fn all() -> Vec<Request<'static>> {
    let make = |kind| Make { kind, permissions: 0o4755, uid: 1, gid: u32::MAX };
    vec![
        Request::Forget(vec![1, 2, 3]),
        Request::Attributes { node: 1 },
        Request::Lookup { directory: 2, name: b"name" },
        Request::Open { node: 3, access: Access::ReadWrite },
        Request::Make { directory: 4, name: b"f", make: make(MakeKind::Regular) },
        Request::Make { directory: 4, name: b"l", make: make(MakeKind::Symlink(b"/to")) },
        Request::Make { directory: 4, name: b"w", make: make(MakeKind::Whiteout) },
        Request::MakeUnnamed { directory: 5, permissions: 0o600, uid: 7, gid: 8 },
        Request::Link { node: 6, directory: 7, name: b"n" },
        Request::Remove { directory: 7, name: b"n", what: Removal::Directory },
        Request::Rename { directory: 1, name: b"a", to: 2, to_name: b"b", how: RenameHow::Whiteout },
        Request::ReadLink { node: 9 },
        Request::SetMode { node: 1, permissions: 0o1777 },
        Request::SetOwner { node: 1, uid: Some(0), gid: None },
        Request::SetTimes { node: 1, times: Times { atime: None, mtime: Some((-1, 999_999_999)) } },
        Request::List { node: 1 },
        Request::ReadListing { listing: 8, at: u64::MAX },
        Request::Xattr { node: 1, name: b"user.a" },
        Request::Xattrs { node: 1 },
        Request::SetXattr { node: 1, name: b"user.a", value: b"v", how: SetXattr::Replace },
        Request::RemoveXattr { node: 1, name: b"user.a" },
        Request::FileSystem,
        Request::Sync { node: 1 },
        Request::Seal,
    ]
}

fn packet(request: &Request<'_>) -> Vec<u8> {
    let mut writer = Writer::default();
    request.encode(&mut writer);
    writer.0
}

#[test]
fn requests_survive_the_way() {
    for request in all() {
        assert_eq!(Request::decode(&packet(&request)), Some(request.clone()), "{request:?}");
    }
}

#[test]
fn what_is_cut_or_grew_is_no_request() {
    for request in all() {
        let mut packet = packet(&request);
        for len in 0..packet.len() {
            assert_eq!(Request::decode(&packet[..len]), None, "{request:?} cut to {len}");
        }
        packet.push(0);
        assert_eq!(Request::decode(&packet), None, "{request:?} with more");
    }
}

#[test]
fn answers_survive_the_way() {
    let attributes = Attributes { ino: 5, mode: 0o100_644, btime: Some((1, 2)), ..Attributes::default() };
    let mut out = Writer::default();
    out.u32(0);
    Entry { node: 9, attributes }.encode(&mut out);
    let x = Listed { name: b"x", ino: 1, kind: 0o40_000, next: 3, attributes: Some(attributes) };
    push_listed(&mut out, &x);
    push_listed(&mut out, &Listed { name: b"..", next: 4, ..x });
    let mut reader = decode_answer(&out.0).expect("an answer").expect("no errno");
    assert_eq!(Entry::decode(&mut reader), Some(Entry { node: 9, attributes }));
    assert_eq!(listed(&mut reader), Some(x));
    assert_eq!(listed(&mut reader), None, "no server lists that");
    let failure = encode_failure(rustix::io::Errno::NOENT);
    assert_eq!(decode_answer(&failure).expect("an answer").err(), Some(rustix::io::Errno::NOENT));
    assert!(decode_answer(&(-1_i32).to_le_bytes()).is_none());
}
