//! What a network namespace was given: cards, their addresses, and routes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use stockade_sandbox::protocol::{GuestInterface, GuestRoute};

use super::Error;
use super::netlink::{Message, Socket, attributes, word};

const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;

/// Length of `struct ifinfomsg`, `ifaddrmsg` and `rtmsg`.
const LINK: usize = 16;
const ADDRESS: usize = 8;
const ROUTE: usize = 12;

const ARPHRD_ETHER: u16 = 1;
const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 8;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PREFSRC: u16 = 7;
const RT_TABLE_MAIN: u8 = 254;
const RTN_UNICAST: u8 = 1;
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
}

impl From<&Interface> for GuestInterface {
    fn from(interface: &Interface) -> Self {
        let Interface { name, mac, mtu, addresses, .. } = interface.clone();
        Self { mac: mac.to_vec(), name, mtu, addresses }
    }
}

/// All Ethernet interfaces that are up, with their addresses.
pub(super) fn interfaces(socket: &Socket) -> Result<Vec<Interface>, Error> {
    let failed = |what| move |source| Error::List { what, source };
    let links = socket.list(GET_LINK, &[0; LINK]).map_err(failed("interfaces"))?;
    let addresses = socket.list(GET_ADDRESS, &[0; ADDRESS]).map_err(failed("addresses"))?;
    let mut interfaces: Vec<_> = links.iter().filter_map(interface).collect();
    for (index, address) in addresses.iter().filter_map(address) {
        if let Some(interface) = interfaces.iter_mut().find(|interface| interface.index == index) {
            interface.addresses.push(address);
        }
    }
    Ok(interfaces)
}

fn interface(message: &Message) -> Option<Interface> {
    let fixed = message.body.get(..LINK).filter(|_| message.kind == NEW_LINK)?;
    let kind = u16::from_ne_bytes([fixed[2], fixed[3]]);
    let (index, flags) = (word(fixed, 4)?, word(fixed, 8)?);
    if kind != ARPHRD_ETHER || flags & IFF_UP == 0 || flags & IFF_LOOPBACK != 0 {
        return None;
    }
    let find = |kind| attribute(&message.body[LINK..], kind);
    let name = find(IFLA_IFNAME)?.strip_suffix(b"\0")?;
    Some(Interface {
        index,
        name: String::from_utf8(name.to_vec()).ok()?,
        mac: find(IFLA_ADDRESS)?.try_into().ok()?,
        mtu: word(find(IFLA_MTU)?, 0)?,
        addresses: Vec::new(),
    })
}

/// An address with the index of its interface; link-local ones the guest has by itself.
fn address(message: &Message) -> Option<(u32, String)> {
    let fixed = message.body.get(..ADDRESS).filter(|_| message.kind == NEW_ADDRESS)?;
    let find = |kind| attribute(&message.body[ADDRESS..], kind);
    // Of a pair of peers, this is our end.
    let address = ip(find(IFA_LOCAL).or_else(|| find(IFA_ADDRESS))?)?;
    let link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    (!link_local).then_some((word(fixed, 4)?, format!("{address}/{}", fixed[1])))
}

/// Routes over these interfaces that no kernel makes by itself, in the order in which they can be added: a gateway must
/// be reachable before.
pub(super) fn routes(socket: &Socket, interfaces: &[Interface]) -> Result<Vec<GuestRoute>, Error> {
    let listed = socket.list(GET_ROUTE, &[0; ROUTE]).map_err(|source| Error::List { what: "routes", source })?;
    let mut routes: Vec<_> = listed.iter().filter_map(|message| route(message, interfaces)).collect();
    routes.sort_by_key(|route| !route.gateway.is_empty());
    Ok(routes)
}

fn route(message: &Message, interfaces: &[Interface]) -> Option<GuestRoute> {
    let fixed = message.body.get(..ROUTE).filter(|_| message.kind == NEW_ROUTE)?;
    let [family, prefix, _, _, table, protocol, scope, kind] = *fixed.first_chunk()?;
    if table != RT_TABLE_MAIN || kind != RTN_UNICAST || [RTPROT_KERNEL, RTPROT_RA].contains(&protocol) {
        return None;
    }
    let find = |kind| attribute(&message.body[ROUTE..], kind);
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
        10 => Ipv6Addr::UNSPECIFIED.into(),
        _ => Ipv4Addr::UNSPECIFIED.into(),
    }
}

fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, data)| data)
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(<[u8; 4]>::try_from(bytes).ok()?.into()),
        16 => Some(<[u8; 16]>::try_from(bytes).ok()?.into()),
        _ => None,
    }
}
