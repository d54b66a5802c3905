//! Any bytes as a question to the file server, or as its answer: they are refused, or say the same when they are said
//! again, and nothing is larger than what the protocol allows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade_kernel_files::protocol::{
    Attributes, Entry, FORGOTTEN_MAX, FileSystem, Make, MakeKind, NAME_BYTES_MAX, Reader, Request, TARGET_BYTES_MAX,
    VALUE_BYTES_MAX, Writer, decode_answer, listed,
};

fuzz_target!(|bytes: &[u8]| {
    if let Some(request) = Request::decode(bytes) {
        check(&request);
        let mut again = Writer::default();
        request.encode(&mut again);
        assert_eq!(Request::decode(&again.0).as_ref(), Some(&request), "said again it is the same");
    }
    if let Some(Ok(answer)) = decode_answer(bytes) {
        read_all(answer.0);
    }
});

/// Nothing is too long for the server's own buffers.
fn check(request: &Request<'_>) {
    match request {
        Request::Forget(nodes) => assert!(nodes.len() <= FORGOTTEN_MAX),
        Request::Make { make: Make { kind: MakeKind::Symlink(target), .. }, .. } => {
            assert!(target.len() <= TARGET_BYTES_MAX);
        }
        Request::Lookup { name, .. } | Request::Xattr { name, .. } => assert!(name.len() <= NAME_BYTES_MAX),
        Request::Rename { name, to_name, .. } => assert!(name.len().max(to_name.len()) <= NAME_BYTES_MAX),
        Request::SetXattr { value, .. } => assert!(value.len() <= VALUE_BYTES_MAX),
        _ => {}
    }
}

/// Everything that an answer may be read as.
fn read_all(bytes: &[u8]) {
    let _ = (Attributes::decode(&mut Reader(bytes)), Entry::decode(&mut Reader(bytes)));
    let _ = (FileSystem::decode(&mut Reader(bytes)), Reader(bytes).bytes());
    let mut listing = Reader(bytes);
    if listing.optional(Reader::u32).is_some() {
        while let Some(entry) = listed(&mut listing) {
            assert!(!entry.name.is_empty() && !entry.name.contains(&b'/') && entry.name != b"..");
        }
    }
}
