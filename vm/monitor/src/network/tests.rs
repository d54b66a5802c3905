//! Against this host's kernel, each in network namespaces of its own; the test plays the guest at the tap's end.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;

/// A header that says nothing, as virtio-net has it.
const HEADER: usize = 12;
/// The container's.
const MAC: [u8; 6] = [2, 0, 0, 0, 9, 2];
const PATIENCE: Duration = Duration::from_secs(20);

fn ip(words: &str) {
    let output = Command::new("ip").args(words.split(' ')).output().expect("run ip");
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}

fn list(program: &str, words: &[&str]) -> String {
    String::from_utf8(Command::new(program).args(words).output().expect("run").stdout).expect("text")
}

/// A new one, which lives as long as its descriptor.
fn namespace() -> File {
    let mut child = Command::new("unshare");
    child.args(["--net", "sh", "-c", "ip link set lo up; echo up; exec sleep 1000"]).stdout(Stdio::piped());
    let mut child = child.spawn().expect("run unshare");
    let said = child.stdout.as_mut().expect("a pipe").read_exact(&mut [0; 3]);
    let file = File::open(format!("/proc/{}/ns/net", child.id())).expect("the namespace");
    child.kill().and_then(|()| child.wait()).expect("end it");
    said.expect("it came up");
    file
}

/// A namespace like a host's with `veth0`, and one like a container's with `eth0`; this thread ends in the host's.
fn namespaces() -> (File, File) {
    let (host, container) = (namespace(), namespace());
    let target = format!("/proc/{}/fd/{}", std::process::id(), container.as_raw_fd());
    enter(host.as_fd()).expect("enter");
    ip(&format!("link add veth0 type veth peer name eth0 netns {target}"));
    ip("address add 10.9.0.1/24 dev veth0");
    ip("link set veth0 up");
    enter(container.as_fd()).expect("enter");
    ip("link set eth0 address 02:00:00:00:09:02 mtu 1400");
    ip("address add 10.9.0.2/24 dev eth0");
    ip("address add fd00:9::2/64 dev eth0 nodad");
    ip("link set eth0 up");
    ip("route add default via 10.9.0.1");
    ip("route add 10.20.0.0/16 via 10.9.0.1 src 10.9.0.2");
    ip("route add 10.30.0.0/16 dev eth0 scope link");
    ip("neigh add 10.9.0.77 lladdr 02:00:00:00:09:77 dev eth0 nud permanent");
    enter(host.as_fd()).expect("enter");
    (host, container)
}

/// The next frame that `wanted` takes.
fn receive(tap: &mut File, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "no such frame came");
        let timeout = Timespec::try_from(left).expect("short");
        poll(&mut [PollFd::new(&*tap, PollFlags::IN)], Some(&timeout)).expect("poll");
        let mut frame = vec![0; 2048];
        let Ok(len) = tap.read(&mut frame) else { continue };
        if wanted(&frame[HEADER..len]) {
            return frame[HEADER..len].to_vec();
        }
    }
}

fn is_arp_request_for(frame: &[u8], address: [u8; 4]) -> bool {
    frame.len() >= 42 && frame[12..14] == [8, 6] && frame[20..22] == [0, 1] && frame[38..42] == address
}

/// The answer of a guest with this MAC.
fn arp_answer(request: &[u8], mac: [u8; 6]) -> Vec<u8> {
    let (asker, asked) = (&request[22..32], &request[38..42]);
    [&[0; HEADER][..], &asker[..6], &mac, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2], &mac, asked, asker].concat()
}

#[test]
fn a_guest_takes_the_place_of_the_namespace() {
    let (_host, container) = namespaces();
    let mut attached = attach(container.as_fd()).expect("attach");
    let card = attached.cards.pop().expect("a card");
    assert!(card.name == "eth0" && card.mac == MAC && card.mtu == 1400 && attached.cards.is_empty());
    let mut tap = File::from(card.tap);
    // Somebody on the host's side looks for the container: the question reaches the tap.
    let asker = std::net::UdpSocket::bind("10.9.0.1:0").expect("bind");
    asker.send_to(b"hello guest", "10.9.0.2:7").expect("send");
    let request = receive(&mut tap, |frame| is_arp_request_for(frame, [10, 9, 0, 2]));
    tap.write_all(&arp_answer(&request, MAC)).expect("answer");
    // The answer reached the asker, which now sends what it has to send.
    let datagram = receive(&mut tap, |frame| frame.ends_with(b"hello guest"));
    assert_eq!(datagram[..6], MAC);
}

#[test]
fn the_agent_is_told_what_the_namespace_had() {
    let (_host, container) = namespaces();
    let network = attach(container.as_fd()).expect("attach").network;
    assert_eq!(network.interfaces.len(), 1, "{network:?}");
    let card = &network.interfaces[0];
    assert_eq!((card.name.as_str(), card.mtu, card.mac.as_slice()), ("eth0", 1400, &[2, 0, 0, 0, 9, 2][..]));
    assert_eq!(card.addresses, ["10.9.0.2/24", "fd00:9::2/64"]);
    let mut routes: Vec<_> = network.routes.iter().collect();
    assert_eq!(routes.remove(0).destination, "10.30.0.0/16", "what needs no gateway comes first: {network:?}");
    routes.sort_by_key(|route| &route.destination);
    let words: Vec<_> = routes.iter().map(|route| [&route.destination, &route.gateway, &route.source]).collect();
    assert_eq!(words, [["", "10.9.0.1", ""], ["10.20.0.0/16", "10.9.0.1", "10.9.0.2"]]);
    assert!(network.routes.iter().all(|route| route.interface == "eth0"));
    let known: Vec<_> = network.neighbours.iter().map(|one| (one.address.as_str(), one.mac[5])).collect();
    assert_eq!(known, [("10.9.0.77", 0x77)]);
}

#[test]
fn what_was_added_is_taken_away() {
    let (host, container) = namespaces();
    let attached = attach(container.as_fd()).expect("attach");
    assert!(attach(container.as_fd()).is_err(), "no two guests have one interface");
    detach(container.as_fd()).expect("nothing that a guest has");
    enter(container.as_fd()).expect("enter");
    assert_eq!(list("tc", &["qdisc"]).matches("ingress").count(), 2, "others leave the first alone");
    drop(attached);
    detach(container.as_fd()).expect("detach");
    let links = list("ip", &["-o", "link"]);
    assert!(links.contains("eth0") && !links.contains("vmtap"), "{links}");
    assert!(!list("tc", &["qdisc"]).contains("ingress"));
    enter(host.as_fd()).expect("enter");
    detach(container.as_fd()).expect("nothing is left to take away");
}

#[test]
fn what_a_dead_guest_left_is_replaced_and_what_is_not_ours_stays() {
    let (_host, container) = namespaces();
    drop(attach(container.as_fd()).expect("attach"));
    let again = attach(container.as_fd()).expect("attach again");
    drop(again);
    detach(container.as_fd()).expect("detach");
    enter(container.as_fd()).expect("enter");
    let added = Command::new("tc").args(["qdisc", "add", "dev", "eth0", "ingress"]).status().expect("run tc");
    assert!(added.success());
    let error = attach(container.as_fd()).expect_err("it has a redirection already").to_string();
    assert!(error.contains("cannot redirect the frames of eth0"), "{error}");
    detach(container.as_fd()).expect("nothing of ours");
    assert!(list("tc", &["qdisc"]).contains("ingress"));
}

/// As Docker does it: the namespace is empty until the container is made.
#[test]
fn what_comes_later_has_a_spare_card() {
    let (host, container) = (namespace(), namespace());
    let (spare, tap) = spare(container.as_fd(), 0).expect("a tap").expect("this host has taps");
    let mut spares = vec![spare];
    let look = |before: &GuestNetwork, spares: &mut Vec<Spare>| attach_new(container.as_fd(), before, spares);
    let nothing = look(&GuestNetwork::default(), &mut spares).expect("look");
    assert!(nothing == GuestNetwork::default() && spares.len() == 1);
    enter(host.as_fd()).expect("enter");
    let target = format!("/proc/{}/fd/{}", std::process::id(), container.as_raw_fd());
    let add = |name: &str, address: &str| {
        enter(host.as_fd()).expect("enter");
        ip(&format!("link add {name}h type veth peer name {name} netns {target}"));
        ip(&format!("link set {name}h up"));
        enter(container.as_fd()).expect("enter");
        ip(&format!("link set {name} address 02:00:00:00:00:{address} mtu 1400 up"));
        ip(&format!("address add 10.8.0.{address}/24 dev {name}"));
    };
    add("eth1", "11");
    let network = look(&nothing, &mut spares).expect("attached");
    assert!(spares.is_empty() && network.interfaces.len() == 1, "{network:?}");
    let card = &network.interfaces[0];
    assert_eq!((card.name.as_str(), card.card.as_slice()), ("eth1", b"\x02spar\0".as_slice()));
    assert_eq!(look(&network, &mut spares).expect("look"), network, "what was told is remembered");
    enter(host.as_fd()).expect("enter");
    ip("address add 10.8.0.1/24 dev eth1h");
    let asker = std::net::UdpSocket::bind("10.8.0.1:0").expect("bind");
    asker.send_to(b"hello guest", "10.8.0.11:7").expect("send");
    let mut tap = File::from(tap);
    receive(&mut tap, |frame| is_arp_request_for(frame, [10, 8, 0, 11]));
    add("eth2", "12");
    let error = look(&network, &mut spares).expect_err("no card is left").to_string();
    assert!(error.starts_with("1 interfaces came after"), "{error}");
}

#[test]
fn a_namespace_without_cards_gives_none() {
    let attached = attach(namespace().as_fd()).expect("attach");
    assert!(attached.cards.is_empty() && attached.network == GuestNetwork::default());
}
