//! tc(8): all frames that come in at one interface go out of another. The filter is u32, which more kernels have than
//! matchall; ours are known by their priority.

use rustix::io::Errno;
use stockade_netlink::numbers::{DELETE_QDISC, GET_FILTER, NEW_FILTER, NEW_QDISC};
use stockade_netlink::{Act, Request, Socket, word};

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const INGRESS_PARENT: u32 = 0xffff_fff1;
const INGRESS_HANDLE: u32 = 0xffff_0000;

/// Sends what comes in at one interface out of the other. What a guest that is gone has left there is replaced.
pub(super) fn add(socket: &Socket, from: u32, to: u32) -> rustix::io::Result<()> {
    let begin = || socket.carry_out(ingress(NEW_QDISC, Act::Create, from));
    match begin() {
        Err(Errno::EXIST) if is_ours(socket, from) => remove(socket, from).and_then(|()| begin())?,
        begun => begun?,
    }
    socket.carry_out(redirection(from, to)).inspect_err(|_| {
        // It was made a moment ago.
        let _ = socket.carry_out(ingress(DELETE_QDISC, Act::Change, from));
    })
}

/// Takes ours away. What is not ours stays.
pub(super) fn remove(socket: &Socket, from: u32) -> rustix::io::Result<()> {
    if is_ours(socket, from) { socket.carry_out(ingress(DELETE_QDISC, Act::Change, from)) } else { Ok(()) }
}

fn is_ours(socket: &Socket, from: u32) -> bool {
    let filters = socket.list(GET_FILTER, &traffic(from, 0, INGRESS_HANDLE, 0)).unwrap_or_default();
    let has = |body: &[u8]| word(body, INFO).is_some_and(|info| info & !0xffff == PRIORITY);
    filters.iter().any(|message| message.kind == NEW_FILTER && has(&message.body))
}

/// Where `struct tcmsg` has priority and protocol.
const INFO: usize = 16;

/// `struct tcmsg`.
fn traffic(index: u32, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    let words = [index, handle, parent, info].map(u32::to_ne_bytes);
    [&[0; 4][..], words.as_flattened()].concat()
}

fn ingress(kind: u16, act: Act, index: u32) -> Request {
    Request::new(kind, act, &traffic(index, INGRESS_HANDLE, INGRESS_PARENT, 0)).with(TCA_KIND, b"ingress\0")
}

const TCA_U32_SEL: u16 = 5;
const TCA_U32_ACT: u16 = 7;
const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const TCA_MIRRED_PARMS: u16 = 2;
const ETH_P_ALL: u16 = 3;
/// Nobody else's.
const PRIORITY: u32 = 0x766d << 16;
const TC_ACT_STOLEN: u32 = 4;
const TCA_EGRESS_REDIR: u32 = 1;

/// All that comes in at one interface goes out of the other.
fn redirection(from: u32, to: u32) -> Request {
    let fixed = traffic(from, 0, INGRESS_HANDLE, PRIORITY | u32::from(ETH_P_ALL.to_be()));
    // `struct tc_u32_sel`: terminal, one key of no bits, which all frames have.
    let mut selector = [0; 32];
    (selector[0], selector[2]) = (1, 1);
    // `struct tc_mirred`.
    let mirred = [0, 0, TC_ACT_STOLEN, 0, 0, TCA_EGRESS_REDIR, to].map(u32::to_ne_bytes);
    let action = |first: Request| {
        let options = |options: Request| options.with(TCA_MIRRED_PARMS, mirred.as_flattened());
        first.with(TCA_ACT_KIND, b"mirred\0").nested(TCA_ACT_OPTIONS, options)
    };
    Request::new(NEW_FILTER, Act::Create, &fixed).with(TCA_KIND, b"u32\0").nested(TCA_OPTIONS, |options| {
        options.with(TCA_U32_SEL, &selector).nested(TCA_U32_ACT, |actions| actions.nested(1, action))
    })
}
