//! What a network namespace was given: cards, their addresses, routes, and neighbours that are known for ever.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use stockade_netlink::numbers::{
    ADDRESS_BYTES, AF_INET6, GET_ADDRESS, GET_LINK, GET_NEIGHBOUR, GET_ROUTE, IFA_ADDRESS, IFA_LOCAL, IFF_UP,
    IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, LINK_BYTES, NDA_DST, NDA_LLADDR, NEIGHBOUR_BYTES, NEW_ADDRESS, NEW_LINK,
    NEW_NEIGHBOUR, NEW_ROUTE, NUD_PERMANENT, ROUTE_BYTES, RT_TABLE_MAIN, RTA_DST, RTA_GATEWAY, RTA_OIF, RTA_PREFSRC,
    RTN_UNICAST,
};
use stockade_netlink::{Message, Socket, address as ip, attribute, half, word};
use stockade_sandbox::OWN_INTERFACES;
use stockade_sandbox::protocol::{GuestInterface, GuestNeighbour, GuestNetwork, GuestRoute};

use super::{Error, tap};

const ARPHRD_ETHER: u16 = 1;
const IFF_LOOPBACK: u32 = 8;
/// Made by the kernel for an address, or from what a router said: the guest's kernel makes its own.
const RTPROT_KERNEL: u8 = 2;
const RTPROT_RA: u8 = 9;

/// A card of the container's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    pub index: u32,
    pub name: String,
    pub mac: [u8; 6],
    pub mtu: u32,
    /// With prefix lengths.
    pub addresses: Vec<String>,
    /// Whether a guest has it.
    pub has_tap: bool,
}

impl From<&Interface> for GuestInterface {
    fn from(interface: &Interface) -> Self {
        let Interface { name, mac, mtu, addresses, .. } = interface.clone();
        Self { mac: mac.to_vec(), name, mtu, addresses, card: Vec::new() }
    }
}

/// All of it, for a guest.
pub(super) fn network(socket: &Socket, interfaces: &[Interface]) -> Result<GuestNetwork, Error> {
    Ok(GuestNetwork {
        routes: routes(socket, interfaces)?,
        interfaces: interfaces.iter().map(GuestInterface::from).collect(),
        neighbours: list(socket, "neighbours", GET_NEIGHBOUR, NEIGHBOUR_BYTES, |message| {
            neighbour(message, interfaces)
        })?,
    })
}

/// Which cards interfaces have that a guest knows already.
pub(super) fn recall_cards(network: &mut GuestNetwork, before: &GuestNetwork) {
    for interface in &mut network.interfaces {
        if let Some(known) = before.interfaces.iter().find(|known| known.mac == interface.mac) {
            interface.card.clone_from(&known.card);
        }
    }
}

/// All Ethernet interfaces that are up, with their addresses; taps of ours are none.
pub(super) fn interfaces(socket: &Socket) -> Result<Vec<Interface>, Error> {
    let (taps, mut interfaces): (Vec<_>, Vec<_>) = list(socket, "interfaces", GET_LINK, LINK_BYTES, interface)?
        .into_iter()
        .partition(|interface| interface.name.starts_with(OWN_INTERFACES));
    for interface in &mut interfaces {
        interface.has_tap = taps.iter().any(|other| other.name == tap::of(interface.index));
    }
    for (index, address) in list(socket, "addresses", GET_ADDRESS, ADDRESS_BYTES, address)? {
        if let Some(interface) = interfaces.iter_mut().find(|interface| interface.index == index) {
            interface.addresses.push(address);
        }
    }
    Ok(interfaces)
}

fn list<T>(
    socket: &Socket,
    what: &'static str,
    kind: u16,
    fixed_bytes: usize,
    parse: impl Fn(&Message) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let listed = socket.list(kind, &vec![0; fixed_bytes]);
    let listed = listed.map_err(|errno| Error::List { what, source: errno.into() })?;
    Ok(listed.iter().filter_map(parse).collect())
}

fn interface(message: &Message) -> Option<Interface> {
    let fixed = message.body.get(..LINK_BYTES).filter(|_| message.kind == NEW_LINK)?;
    let (index, flags) = (word(fixed, 4)?, word(fixed, 8)?);
    if half(fixed, 2)? != ARPHRD_ETHER || flags & IFF_UP == 0 || flags & IFF_LOOPBACK != 0 {
        return None;
    }
    let find = |kind| attribute(&message.body[LINK_BYTES..], kind);
    let name = find(IFLA_IFNAME)?.strip_suffix(b"\0")?;
    Some(Interface {
        index,
        name: String::from_utf8(name.to_vec()).ok()?,
        mac: find(IFLA_ADDRESS)?.try_into().ok()?,
        mtu: word(find(IFLA_MTU)?, 0)?,
        addresses: Vec::new(),
        has_tap: false,
    })
}

/// An address with the index of its interface; link-local ones the guest has by itself.
fn address(message: &Message) -> Option<(u32, String)> {
    let fixed = message.body.get(..ADDRESS_BYTES).filter(|_| message.kind == NEW_ADDRESS)?;
    let find = |kind| attribute(&message.body[ADDRESS_BYTES..], kind);
    // Of a pair of peers, this is our end.
    let address = ip(find(IFA_LOCAL).or_else(|| find(IFA_ADDRESS))?)?;
    let link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    (!link_local).then_some((word(fixed, 4)?, format!("{address}/{}", fixed[1])))
}

/// Routes over these interfaces that no kernel makes by itself, in the order in which they can be added: a gateway must
/// be reachable before.
fn routes(socket: &Socket, interfaces: &[Interface]) -> Result<Vec<GuestRoute>, Error> {
    let mut routes = list(socket, "routes", GET_ROUTE, ROUTE_BYTES, |message| route(message, interfaces))?;
    routes.sort_by_key(|route| !route.gateway.is_empty());
    Ok(routes)
}

fn route(message: &Message, interfaces: &[Interface]) -> Option<GuestRoute> {
    let fixed = message.body.get(..ROUTE_BYTES).filter(|_| message.kind == NEW_ROUTE)?;
    let [family, prefix, _, _, table, protocol, scope, kind] = *fixed.first_chunk()?;
    if table != RT_TABLE_MAIN || kind != RTN_UNICAST || [RTPROT_KERNEL, RTPROT_RA].contains(&protocol) {
        return None;
    }
    let find = |kind| attribute(&message.body[ROUTE_BYTES..], kind);
    let index = word(find(RTA_OIF)?, 0)?;
    let interface = interfaces.iter().find(|interface| interface.index == index)?.name.clone();
    let text = |kind| find(kind).and_then(ip).map(|address| address.to_string());
    let gateway = text(RTA_GATEWAY).unwrap_or_default();
    let destination = match text(RTA_DST) {
        Some(address) => format!("{address}/{prefix}"),
        None if gateway.is_empty() => format!("{}/0", unspecified(family)),
        None => String::new(),
    };
    Some(GuestRoute {
        destination,
        gateway,
        interface,
        source: text(RTA_PREFSRC).unwrap_or_default(),
        scope: scope.into(),
    })
}

fn unspecified(family: u8) -> IpAddr {
    match family {
        AF_INET6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => Ipv4Addr::UNSPECIFIED.into(),
    }
}

/// One that somebody entered. Others the guest finds by itself.
fn neighbour(message: &Message, interfaces: &[Interface]) -> Option<GuestNeighbour> {
    let fixed = message.body.get(..NEIGHBOUR_BYTES).filter(|_| message.kind == NEW_NEIGHBOUR)?;
    let index = word(fixed, 4).filter(|_| half(fixed, 8) == Some(NUD_PERMANENT))?;
    let find = |kind| attribute(&message.body[NEIGHBOUR_BYTES..], kind);
    let mac = find(NDA_LLADDR).filter(|mac| mac.len() == 6)?.to_vec();
    let interface = interfaces.iter().find(|interface| interface.index == index)?.name.clone();
    Some(GuestNeighbour { address: ip(find(NDA_DST)?)?.to_string(), mac, interface })
}
