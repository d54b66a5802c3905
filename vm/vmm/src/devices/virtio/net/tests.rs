//! Frames both ways over a pair of sockets that keep them apart, as a tap does.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};

use super::super::testing::{DATA, Driver, Part};
use super::*;
use crate::config::{RateLimiterConfig, TokenBucketConfig};
use crate::mmds::{MMDS_MAC, Mmds};

struct Case {
    driver: Driver,
    net: Net,
    network: UnixDatagram,
}

impl Case {
    fn new(features: u64) -> Self {
        let (network, card) = UnixDatagram::pair().expect("pair");
        network.set_nonblocking(true).expect("non-blocking");
        card.set_nonblocking(true).expect("non-blocking");
        let identity = Identity { mac: Some(MacAddress([2, 0, 0, 0, 0, 1])), mtu: Some(1400) };
        let limiter = || Limiter::new(None).expect("timer");
        let mut net = Net::new(Tap::over(File::from(OwnedFd::from(card))), identity, limiter(), limiter());
        net.activate(features);
        Case { driver: Driver::new(&QUEUES), net, network }
    }

    fn arrive(&mut self, frame: &[u8]) {
        self.network.send(frame).expect("send");
        self.net.ready(TAP, &mut self.driver.queues).expect("received");
    }

    fn heard(&self) -> Option<Vec<u8>> {
        let mut frame = vec![0; FRAME_MAX];
        self.network.recv(&mut frame).ok().map(|len| frame[..len].to_vec())
    }
}

fn frame(len: usize) -> Vec<u8> {
    let body = (0..len).map(|n| u8::try_from(n % 253).expect("small"));
    [0; HEADER].into_iter().chain(body).collect()
}

#[test]
fn frames_leave() {
    let mut case = Case::new(0);
    case.driver.write(DATA, &frame(100));
    case.driver.add(TRANSMIT, &[Part::Read(DATA, 50), Part::Read(DATA + 50, 62)]);
    case.net.notified(TRANSMIT, &mut case.driver.queues).expect("sent");
    assert_eq!(case.heard(), Some(frame(100)));
    assert_eq!(case.driver.used(TRANSMIT), [(0, 0)]);
}

#[test]
fn what_is_no_frame_is_dropped() {
    let mut case = Case::new(0);
    case.driver.add(TRANSMIT, &[Part::Read(DATA, 11)]);
    case.driver.add(TRANSMIT, &[Part::Read(DATA, 70_000)]);
    case.driver.add(TRANSMIT, &[Part::Write(DATA, 100)]);
    case.net.notified(TRANSMIT, &mut case.driver.queues).expect("sent");
    assert_eq!(case.heard(), None);
    assert_eq!(case.driver.used(TRANSMIT).len(), 3);
}

#[test]
fn frames_arrive_in_one_chain() {
    let mut case = Case::new(0);
    case.driver.add(RECEIVE, &[Part::Write(DATA, 12), Part::Write(DATA + 0x100, 2000)]);
    case.arrive(&frame(100));
    assert_eq!(case.driver.used(RECEIVE), [(0, 112)]);
    assert_eq!(case.driver.read(DATA + 10, 2), [1, 0]);
    assert_eq!(case.driver.read(DATA + 0x100, 100), frame(100)[HEADER..]);
    assert!(case.driver.interrupted());
}

#[test]
fn long_frames_arrive_in_many_chains_where_the_driver_agreed() {
    let mut case = Case::new(FEATURE_MERGEABLE);
    for n in 0..3 {
        case.driver.add(RECEIVE, &[Part::Write(DATA + n * 0x1000, 1000)]);
    }
    case.arrive(&frame(2488));
    assert_eq!(case.driver.used(RECEIVE), [(0, 1000), (1, 1000), (2, 500)]);
    assert_eq!(case.driver.read(DATA + 10, 2), [3, 0]);
    assert_eq!(case.driver.read(DATA + 0x2000, 500), frame(2488)[2000..]);
}

#[test]
fn a_frame_waits_for_buffers() {
    let mut case = Case::new(FEATURE_MERGEABLE);
    case.driver.add(RECEIVE, &[Part::Write(DATA, 100)]);
    case.arrive(&frame(150));
    assert_eq!(case.driver.used(RECEIVE), []);
    case.driver.add(RECEIVE, &[Part::Write(DATA + 0x1000, 100)]);
    case.net.notified(RECEIVE, &mut case.driver.queues).expect("received");
    assert_eq!(case.driver.used(RECEIVE), [(0, 100), (1, 62)]);
}

#[test]
fn buffers_that_hold_no_frame_are_a_breach() {
    let mut case = Case::new(0);
    case.driver.add(RECEIVE, &[Part::Write(DATA, 100)]);
    case.network.send(&frame(150)).expect("send");
    assert!(case.net.ready(TAP, &mut case.driver.queues).is_err());
    let mut case = Case::new(FEATURE_MERGEABLE);
    case.driver.add(RECEIVE, &[Part::Write(DATA, 0)]);
    case.network.send(&frame(150)).expect("send");
    assert!(case.net.ready(TAP, &mut case.driver.queues).is_err());
}

#[test]
fn limits_hold_frames_back_and_lose_none() {
    let mut case = Case::new(0);
    let one = TokenBucketConfig { size: 1, one_time_burst: None, refill_time: 3_600_000 };
    let limits = Some(RateLimiterConfig { bandwidth: None, ops: Some(one) });
    let (receive, transmit) = case.net.limiters();
    receive.set(limits);
    transmit.set(limits);
    for _ in 0..2 {
        case.driver.add(RECEIVE, &[Part::Write(DATA, 2000)]);
        case.driver.add(TRANSMIT, &[Part::Read(DATA, 100)]);
        case.arrive(&frame(100));
    }
    case.net.notified(TRANSMIT, &mut case.driver.queues).expect("sent");
    assert_eq!((case.driver.used(RECEIVE).len(), case.driver.used(TRANSMIT).len()), (1, 1));
    case.net.ready(RECEIVE_TIMER, &mut case.driver.queues).expect("received");
    case.net.limiters().1.set(None);
    case.net.ready(TRANSMIT_TIMER, &mut case.driver.queues).expect("sent");
    assert_eq!((case.driver.used(RECEIVE).len(), case.driver.used(TRANSMIT).len()), (1, 1));
}

#[test]
fn the_card_tells_its_address_and_mtu() {
    let case = Case::new(0);
    let mut config = [0; 12];
    case.net.read_config(0, &mut config);
    assert_eq!(config, [2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x78, 0x05]);
    assert_eq!(case.net.features() & (FEATURE_MAC | FEATURE_MTU), FEATURE_MAC | FEATURE_MTU);
}

#[test]
fn the_metadata_service_is_on_the_link_and_not_on_the_tap() {
    let address = [169, 254, 169, 254];
    let mmds = Arc::new(Mutex::new(Mmds::new(1000)));
    let mut case = Case::new(0);
    case.net.metadata = Some(Metadata::new(address.into(), mmds).expect("timer"));
    // RFC 826: who has the service's address? First one asks for another's, which is the network's to answer.
    let ask = |address: [u8; 4]| {
        let ethernet = [[0xff; 6].as_slice(), &[2, 0, 0, 0, 0, 1], &[8, 6]].concat();
        let arp = [&[0, 1, 8, 0, 6, 4, 0, 1], [2, 0, 0, 0, 0, 1].as_slice(), &[10, 0, 0, 2], &[0; 6], &address];
        [&[0; HEADER], ethernet.as_slice(), &arp.concat()].concat()
    };
    for (index, target) in [[10, 0, 0, 1], address].into_iter().enumerate() {
        case.driver.write(DATA, &ask(target));
        case.driver.add(TRANSMIT, &[Part::Read(DATA, 54)]);
        case.driver.add(RECEIVE, &[Part::Write(DATA + 0x1000, 2000)]);
        case.net.notified(TRANSMIT, &mut case.driver.queues).expect("sent");
        assert_eq!(case.heard(), (index == 0).then(|| ask(target)));
        assert_eq!(case.driver.used(RECEIVE).len(), index);
    }
    assert_eq!(case.driver.read(DATA + 0x1000 + 12 + 6, 6), MMDS_MAC);
}
