//! The machine's network, as the host says it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::io::Errno;
use stockade_sandbox::protocol::{GuestInterface, GuestNetwork, GuestRoute};
use stockade_sandbox::{Error, Result};

use crate::netlink::{Change, Message, Netlink, attributes};

/// linux/rtnetlink.h
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
/// linux/if_link.h
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFF_UP: u32 = 1;
/// linux/if_addr.h
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
/// Usable at once: nobody else has it.
const IFA_F_NODAD: u8 = 2;
/// linux/rtnetlink.h
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PREFSRC: u16 = 7;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RTN_UNICAST: u8 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// struct ifinfomsg and its kind.
const LINK_BYTES: usize = 16;
const ADDRESS_BYTES: usize = 8;

/// Brings loopback up.
pub(crate) fn loopback_up() -> Result<()> {
    let mut netlink = open()?;
    let loopback = links(&mut netlink)?.into_iter().find(|link| link.name == "lo").ok_or(Error::NotFound)?;
    netlink.change(&link(loopback.index, IFF_UP), Change::Existing).map_err(|errno| Error::os("bring lo up", errno))
}

/// Gives the machine this network.
pub(crate) fn configure(network: &GuestNetwork) -> Result<()> {
    let mut netlink = open()?;
    let found = links(&mut netlink)?;
    for interface in &network.interfaces {
        set_interface(&mut netlink, &found, interface)?;
    }
    let found = links(&mut netlink)?;
    network.routes.iter().try_for_each(|route| add_route(&mut netlink, &found, route))
}

fn open() -> Result<Netlink> {
    Netlink::open().map_err(|errno| Error::os("open a netlink socket", errno))
}

/// A network interface, as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    index: u32,
    name: String,
    mac: Vec<u8>,
}

fn links(netlink: &mut Netlink) -> Result<Vec<Link>> {
    let mut all = Vec::new();
    let asked = netlink.dump(&Message::new(RTM_GETLINK, &[0; LINK_BYTES]), |kind, body| {
        all.extend((kind == RTM_NEWLINK).then(|| parse_link(body)).flatten());
    });
    asked.map_err(|errno| Error::os("list network interfaces", errno))?;
    Ok(all)
}

fn parse_link(body: &[u8]) -> Option<Link> {
    let index = u32::from_ne_bytes(*body.get(4..)?.first_chunk()?);
    let mut link = Link { index, name: String::new(), mac: Vec::new() };
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
fn link(index: u32, flags: u32) -> Message {
    let mut fixed = [0; LINK_BYTES];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..16].copy_from_slice(&IFF_UP.to_ne_bytes());
    Message::new(RTM_NEWLINK, &fixed)
}

fn set_interface(netlink: &mut Netlink, found: &[Link], interface: &GuestInterface) -> Result<()> {
    let name = &interface.name;
    let failed = |errno: Errno| Error::os(format!("set up the interface {name}"), errno);
    let absent = || Error::Other(format!("the machine has no network card for {name}"));
    let Link { index, name: before, .. } =
        found.iter().find(|link| link.mac == interface.mac).ok_or_else(absent)?.clone();
    if before != *name {
        // Only one that is down can be renamed on older kernels.
        let renamed = link(index, 0).with(IFLA_IFNAME, format!("{name}\0").as_bytes());
        netlink.change(&renamed, Change::Existing).map_err(failed)?;
    }
    let up = link(index, IFF_UP);
    let up = if interface.mtu == 0 { up } else { up.with(IFLA_MTU, &interface.mtu.to_ne_bytes()) };
    netlink.change(&up, Change::Existing).map_err(failed)?;
    let wanted = interface.addresses.iter().map(|text| Prefix::parse(text)).collect::<Result<Vec<_>>>()?;
    remove_others(netlink, index, &wanted).map_err(failed)?;
    for address in &wanted {
        netlink.change(&address.message(RTM_NEWADDR, index), Change::Put).map_err(failed)?;
    }
    Ok(())
}

/// Takes addresses away that are not wanted any more. Those of the link itself stay.
fn remove_others(netlink: &mut Netlink, index: u32, wanted: &[Prefix]) -> rustix::io::Result<()> {
    let mut there = Vec::new();
    netlink.dump(&Message::new(RTM_GETADDR, &[0; ADDRESS_BYTES]), |kind, body| {
        there.extend((kind == RTM_NEWADDR).then(|| parse_address(body, index)).flatten());
    })?;
    for address in there.iter().filter(|address| !wanted.contains(address) && !address.is_link_local()) {
        netlink.change(&address.message(RTM_DELADDR, index), Change::Existing)?;
    }
    Ok(())
}

fn parse_address(body: &[u8], index: u32) -> Option<Prefix> {
    let [_, len, _, _, i0, i1, i2, i3] = *body.first_chunk()?;
    let own = u32::from_ne_bytes([i0, i1, i2, i3]) == index;
    let value = |wanted| attributes(&body[ADDRESS_BYTES..]).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let address = parse_ip(value(IFA_LOCAL).or(value(IFA_ADDRESS))?)?;
    own.then_some(Prefix { address, len })
}

fn parse_ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(Ipv4Addr::from(*bytes.first_chunk()?).into()),
        16 => Some(Ipv6Addr::from(*bytes.first_chunk()?).into()),
        _ => None,
    }
}

fn add_route(netlink: &mut Netlink, found: &[Link], route: &GuestRoute) -> Result<()> {
    let name = &route.interface;
    let link = found.iter().find(|link| link.name == *name);
    let link = link.ok_or_else(|| Error::InvalidConfig(format!("a route goes by an interface {name} that is not")))?;
    let message = route_message(route, link.index)?;
    let what = || format!("add the route to {:?}", route.destination);
    netlink.change(&message, Change::Put).map_err(|errno| Error::os(what(), errno))
}

fn route_message(route: &GuestRoute, index: u32) -> Result<Message> {
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
    let mut message =
        Message::new(RTM_NEWROUTE, &[family, len, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST, 0, 0, 0, 0]);
    for (kind, address) in [(RTA_DST, destination.map(|to| to.address)), (RTA_GATEWAY, gateway), (RTA_PREFSRC, source)]
    {
        message = match address {
            Some(address) if self::family(address) == family => message.with_address(kind, address),
            Some(_) => return Err(Error::InvalidConfig("a route mixes families of addresses".to_owned())),
            None => message,
        };
    }
    Ok(message.with(RTA_OIF, &index.to_ne_bytes()))
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

    fn message(&self, kind: u16, index: u32) -> Message {
        let flags = if self.address.is_ipv6() { IFA_F_NODAD } else { 0 };
        let [i0, i1, i2, i3] = index.to_ne_bytes();
        let fixed = [family(self.address), self.len, flags, 0, i0, i1, i2, i3];
        let message =
            Message::new(kind, &fixed).with_address(IFA_LOCAL, self.address).with_address(IFA_ADDRESS, self.address);
        match self.broadcast() {
            Some(address) => message.with_address(IFA_BROADCAST, address),
            None => message,
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
        assert!(route_message(&route("", "10.0.0.1"), 2).is_ok());
        assert!(route_message(&route("fd00::/8", "fe80::1"), 2).is_ok());
        assert!(route_message(&route("10.0.0.0/8", "fe80::1"), 2).is_err());
        assert!(route_message(&GuestRoute { scope: 256, ..route("", "10.0.0.1") }, 2).is_err());
    }
}
