//! The agent's requests: the first byte chooses the method, the rest is its message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade_agent::request::Request;
use stockade_sandbox::protocol::Method;

const METHODS: &[Method] = &[
    Method::Create,
    Method::Exec,
    Method::Configure,
    Method::Update,
    Method::Signal,
    Method::Wait,
    Method::Resize,
    Method::Delete,
    Method::Shutdown,
    Method::WaitOom,
];

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, payload)) = bytes.split_first() else { return };
    let method = METHODS[usize::from(*choice) % METHODS.len()];
    if let Ok(request) = Request::parse(method, payload) {
        assert!(request.streams().len() <= stockade_sandbox::protocol::STREAMS_MAX);
    }
});
