//! The machine's network, as the host says it is.

use std::net::{IpAddr, Ipv4Addr};

use rustix::io::Errno;
use stockade_netlink::numbers::{
    ADDRESS_BYTES, AF_INET, AF_INET6, DELETE_ADDRESS, GET_ADDRESS, GET_LINK, IFA_ADDRESS, IFA_BROADCAST, IFA_LOCAL,
    IFF_UP, IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, LINK_BYTES, NDA_DST, NDA_LLADDR, NEIGHBOUR_BYTES, NEW_ADDRESS,
    NEW_LINK, NEW_NEIGHBOUR, NEW_ROUTE, NUD_PERMANENT, RT_TABLE_MAIN, RTA_DST, RTA_GATEWAY, RTA_OIF, RTA_PREFSRC,
    RTN_UNICAST,
};
use stockade_netlink::{Act, Message, Request, Socket, address, attribute, attributes, word};
use stockade_sandbox::protocol::{GuestInterface, GuestNeighbour, GuestNetwork, GuestRoute};
use stockade_sandbox::{Error, Result};

use crate::world::World;

/// Usable at once: nobody else has it (linux/if_addr.h, IFA_F_NODAD).
const NO_DETECTION: u8 = 2;
/// Somebody's word, not the kernel's (linux/rtnetlink.h, RTPROT_STATIC).
const STATIC: u8 = 4;

/// Brings loopback up.
pub(crate) fn loopback_up() -> Result<()> {
    let socket = open()?;
    let loopback = links(&socket)?.into_iter().find(|link| link.name == "lo").ok_or(Error::NotFound)?;
    socket.carry_out(link(loopback.index, IFF_UP)).map_err(|errno| Error::os("bring lo up", errno))
}

/// Gives the machine this network. A card that is not in it was there for what has not come.
pub(crate) fn configure(world: &World, network: &GuestNetwork) -> Result<()> {
    let socket = open()?;
    let is_named = |link: &Link| network.interfaces.iter().any(|interface| link.is_for(interface));
    for unnamed in links(&socket)?.iter().filter(|link| !is_named(link)) {
        world.release_card(&unnamed.name)?;
    }
    free_names(&socket, network)?;
    let found = links(&socket)?;
    for interface in &network.interfaces {
        set_interface(&socket, &found, interface)?;
    }
    let found = links(&socket)?;
    network.routes.iter().try_for_each(|route| add_route(&socket, &found, route))?;
    network.neighbours.iter().try_for_each(|neighbour| add_neighbour(&socket, &found, neighbour))
}

fn open() -> Result<Socket> {
    Socket::open().map_err(|errno| Error::os("open a netlink socket", errno))
}

/// A network interface, as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    index: u32,
    name: String,
    mac: Vec<u8>,
}

impl Link {
    /// It is found by the address that it is to have, or by the one that it came with.
    fn is_for(&self, interface: &GuestInterface) -> bool {
        self.mac == interface.mac || (!interface.card.is_empty() && self.mac == interface.card)
    }
}

fn links(socket: &Socket) -> Result<Vec<Link>> {
    let listed = socket.list(GET_LINK, &[0; LINK_BYTES]);
    let listed = listed.map_err(|errno| Error::os("list network interfaces", errno))?;
    Ok(listed.iter().filter_map(parse_link).collect())
}

fn parse_link(message: &Message) -> Option<Link> {
    let body = Some(&message.body).filter(|_| message.kind == NEW_LINK)?;
    let mut link = Link { index: word(body, 4)?, name: String::new(), mac: Vec::new() };
    for (kind, value) in attributes(body.get(LINK_BYTES..)?) {
        match kind {
            IFLA_IFNAME => link.name = String::from_utf8_lossy(value).trim_end_matches('\0').to_owned(),
            IFLA_ADDRESS => link.mac = value.to_vec(),
            _ => {}
        }
    }
    Some(link)
}

/// A change of an interface's flags.
fn link(index: u32, flags: u32) -> Request {
    let mut fixed = [0; LINK_BYTES];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..16].copy_from_slice(&IFF_UP.to_ne_bytes());
    Request::new(NEW_LINK, Act::Change, &fixed)
}

/// Only one that is down can be renamed on older kernels.
fn rename(socket: &Socket, index: u32, name: &str) -> Result<()> {
    let renamed = socket.carry_out(link(index, 0).with(IFLA_IFNAME, format!("{name}\0").as_bytes()));
    renamed.map_err(|errno| Error::os(format!("call an interface {name}"), errno))
}

/// The kernel has named cards as it found them, perhaps one with the name that another is to have.
fn free_names(socket: &Socket, network: &GuestNetwork) -> Result<()> {
    for link in links(socket)? {
        let taken = network.interfaces.iter().any(|wanted| wanted.name == link.name && !link.is_for(wanted));
        if taken {
            rename(socket, link.index, &format!("card{}", link.index))?;
        }
    }
    Ok(())
}

fn set_interface(socket: &Socket, found: &[Link], interface: &GuestInterface) -> Result<()> {
    let name = &interface.name;
    let failed = |errno: Errno| Error::os(format!("set up the interface {name}"), errno);
    let absent = || Error::Other(format!("the machine has no network card for {name}"));
    let Link { index, name: before, mac } =
        found.iter().find(|link| link.is_for(interface)).ok_or_else(absent)?.clone();
    if before != *name {
        rename(socket, index, name)?;
    }
    if mac != interface.mac {
        socket.carry_out(link(index, 0).with(IFLA_ADDRESS, &interface.mac)).map_err(failed)?;
    }
    let up = link(index, IFF_UP);
    let up = if interface.mtu == 0 { up } else { up.with(IFLA_MTU, &interface.mtu.to_ne_bytes()) };
    socket.carry_out(up).map_err(failed)?;
    let wanted = interface.addresses.iter().map(|text| Prefix::parse(text)).collect::<Result<Vec<_>>>()?;
    remove_others(socket, index, &wanted).map_err(failed)?;
    for address in &wanted {
        socket.carry_out(address.request(NEW_ADDRESS, Act::Put, index)).map_err(failed)?;
    }
    Ok(())
}

/// Takes addresses away that are not wanted any more. Those of the link itself stay.
fn remove_others(socket: &Socket, index: u32, wanted: &[Prefix]) -> rustix::io::Result<()> {
    let listed = socket.list(GET_ADDRESS, &[0; ADDRESS_BYTES])?;
    let there = listed.iter().filter_map(|message| parse_address(message, index));
    for address in there.filter(|address| !wanted.contains(address) && !address.is_link_local()) {
        socket.carry_out(address.request(DELETE_ADDRESS, Act::Change, index))?;
    }
    Ok(())
}

fn parse_address(message: &Message, index: u32) -> Option<Prefix> {
    let body = Some(&message.body).filter(|_| message.kind == NEW_ADDRESS)?;
    let rest = body.get(ADDRESS_BYTES..)?;
    let address = address(attribute(rest, IFA_LOCAL).or_else(|| attribute(rest, IFA_ADDRESS))?)?;
    (word(body, 4)? == index).then_some(Prefix { address, len: body[1] })
}

/// An interface that the host speaks of.
fn index_of(found: &[Link], name: &str) -> Result<u32> {
    let link = found.iter().find(|link| link.name == name).map(|link| link.index);
    link.ok_or_else(|| Error::InvalidConfig(format!("there is no interface {name}")))
}

fn add_route(socket: &Socket, found: &[Link], route: &GuestRoute) -> Result<()> {
    let request = route_request(route, index_of(found, &route.interface)?)?;
    let what = || format!("add the route to {:?}", route.destination);
    socket.carry_out(request).map_err(|errno| Error::os(what(), errno))
}

fn route_request(route: &GuestRoute, index: u32) -> Result<Request> {
    let optional = |text: &str| if text.is_empty() { Ok(None) } else { parse_text(text).map(Some) };
    let (gateway, source) = (optional(&route.gateway)?, optional(&route.source)?);
    let destination = match route.destination.as_str() {
        "" => None,
        text => Some(Prefix::parse(text)?),
    };
    let known = destination.map(|to| to.address).or(gateway).or(source);
    let family = known.map_or(AF_INET, family);
    let scope = u8::try_from(route.scope).map_err(|_| Error::InvalidConfig("a route's scope is a byte".to_owned()))?;
    let len = destination.map_or(0, |to| to.len);
    let fixed = [family, len, 0, 0, RT_TABLE_MAIN, STATIC, scope, RTN_UNICAST, 0, 0, 0, 0];
    let mut request = Request::new(NEW_ROUTE, Act::Put, &fixed);
    for (kind, address) in [(RTA_DST, destination.map(|to| to.address)), (RTA_GATEWAY, gateway), (RTA_PREFSRC, source)]
    {
        request = match address {
            Some(address) if self::family(address) == family => request.with_address(kind, address),
            Some(_) => return Err(Error::InvalidConfig("a route mixes families of addresses".to_owned())),
            None => request,
        };
    }
    Ok(request.with(RTA_OIF, &index.to_ne_bytes()))
}

/// `struct ndmsg`, and whose link-layer address is known without a question.
fn add_neighbour(socket: &Socket, found: &[Link], neighbour: &GuestNeighbour) -> Result<()> {
    let index = index_of(found, &neighbour.interface)?;
    let address = parse_text(&neighbour.address)?;
    let [i0, i1, i2, i3] = index.to_ne_bytes();
    let [s0, s1] = NUD_PERMANENT.to_ne_bytes();
    let fixed: [u8; NEIGHBOUR_BYTES] = [family(address), 0, 0, 0, i0, i1, i2, i3, s0, s1, 0, 0];
    let request = Request::new(NEW_NEIGHBOUR, Act::Put, &fixed).with_address(NDA_DST, address);
    let added = socket.carry_out(request.with(NDA_LLADDR, &neighbour.mac));
    added.map_err(|errno| Error::os(format!("add the neighbour {address}"), errno))
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

fn parse_text(text: &str) -> Result<IpAddr> {
    text.parse().map_err(|_| Error::InvalidConfig(format!("{text:?} is no address")))
}

/// An address with the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Prefix {
    address: IpAddr,
    len: u8,
}

impl Prefix {
    fn parse(text: &str) -> Result<Self> {
        let invalid = || Error::InvalidConfig(format!("{text:?} is no address with a prefix length"));
        let (address, len) = text.split_once('/').ok_or_else(invalid)?;
        let (address, len) = (parse_text(address)?, len.parse().map_err(|_| invalid())?);
        let most = if address.is_ipv4() { 32 } else { 128 };
        if len > most { Err(invalid()) } else { Ok(Self { address, len }) }
    }

    fn is_link_local(&self) -> bool {
        matches!(self.address, IpAddr::V6(address) if address.is_unicast_link_local())
    }

    fn request(&self, kind: u16, act: Act, index: u32) -> Request {
        let flags = if self.address.is_ipv6() { NO_DETECTION } else { 0 };
        let [i0, i1, i2, i3] = index.to_ne_bytes();
        let fixed = [family(self.address), self.len, flags, 0, i0, i1, i2, i3];
        let request = Request::new(kind, act, &fixed);
        let request = request.with_address(IFA_LOCAL, self.address).with_address(IFA_ADDRESS, self.address);
        match self.broadcast() {
            Some(address) => request.with_address(IFA_BROADCAST, address),
            None => request,
        }
    }

    fn broadcast(&self) -> Option<IpAddr> {
        let IpAddr::V4(address) = self.address else { return None };
        let host = u32::MAX.checked_shr(self.len.into()).filter(|_| self.len < 31)?;
        Some(Ipv4Addr::from_bits(address.to_bits() | host).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let check = |text: &str, broadcast: Option<&str>| {
            let prefix = Prefix::parse(text).expect("a prefix");
            assert_eq!(prefix.broadcast(), broadcast.map(|text| text.parse().expect("an address")), "{text}");
        };
        check("10.1.2.3/8", Some("10.255.255.255"));
        check("192.0.2.1/31", None);
        check("192.0.2.1/32", None);
        check("fd00::2/64", None);
        for text in ["10.0.0.1", "10.0.0.1/33", "fd00::1/129", "x/8", "/8", "10.0.0.1/-1"] {
            assert!(Prefix::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn routes_have_one_family() {
        let route = |destination: &str, gateway: &str| GuestRoute {
            destination: destination.into(),
            gateway: gateway.into(),
            ..GuestRoute::default()
        };
        assert!(route_request(&route("", "10.0.0.1"), 2).is_ok());
        assert!(route_request(&route("fd00::/8", "fe80::1"), 2).is_ok());
        assert!(route_request(&route("10.0.0.0/8", "fe80::1"), 2).is_err());
        assert!(route_request(&GuestRoute { scope: 256, ..route("", "10.0.0.1") }, 2).is_err());
    }
}
