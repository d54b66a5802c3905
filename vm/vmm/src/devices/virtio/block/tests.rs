//! Requests as drivers make them, and as they must not.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::super::testing::{DATA, Driver, Part};
use super::*;
use crate::config::{RateLimiterConfig, TokenBucketConfig};

const HEADER: u64 = DATA;
const STATUS: u64 = DATA + 0x100;
const BUFFER: u64 = DATA + 0x1000;
const SECTORS: u64 = 16;

struct Case {
    driver: Driver,
    block: Block,
    file: File,
}

impl Case {
    fn new(access: Access) -> Self {
        let file = tempfile::tempfile().expect("file");
        let bytes: Vec<u8> = (0..SECTORS).flat_map(|n| vec![u8::try_from(n).expect("small"); 512]).collect();
        file.write_all_at(&bytes, 0).expect("fill");
        let disk = Disk::new(file.try_clone().expect("clone"), access, CacheType::Writeback).expect("disk");
        Case { driver: Driver::new(&[256]), block: Block::new(disk, Limiter::new(None).expect("timer")), file }
    }

    /// Status, and the length given back, of a request with this header and data.
    fn request(&mut self, kind: u32, sector: u64, data: &[Part]) -> (u8, u32) {
        let header = [&kind.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes()].concat();
        self.driver.write(HEADER, &header);
        self.driver.write(STATUS, &[0xee]);
        let parts = [&[Part::Read(HEADER, 16)], data, &[Part::Write(STATUS, 1)]].concat();
        self.driver.add(0, &parts);
        self.block.notified(0, &mut self.driver.queues).expect("served");
        let used = self.driver.used(0);
        assert_eq!(used.len(), 1);
        (self.driver.read(STATUS, 1)[0], used[0].1)
    }

    fn sector(&self, sector: u64) -> u8 {
        let mut bytes = [0; 512];
        self.file.read_exact_at(&mut bytes, sector * 512).expect("read");
        assert_eq!(bytes, [bytes[0]; 512]);
        bytes[0]
    }
}

#[test]
fn sectors_are_read() {
    let mut case = Case::new(Access::ReadOnly);
    let data = [Part::Write(BUFFER, 512), Part::Write(BUFFER + 0x1000, 1024)];
    assert_eq!(case.request(0, 3, &data), (0, 1537));
    let firsts = [BUFFER, BUFFER + 0x1000, BUFFER + 0x1200].map(|at| case.driver.read(at, 1)[0]);
    assert_eq!(firsts, [3, 4, 5]);
}

#[test]
fn sectors_are_written_and_flushed() {
    let mut case = Case::new(Access::ReadWrite);
    case.driver.write(BUFFER, &[0xaa; 512]);
    assert_eq!(case.request(1, 15, &[Part::Read(BUFFER, 512)]), (0, 1));
    assert_eq!(case.request(4, 0, &[]), (0, 1));
    assert_eq!([case.sector(14), case.sector(15)], [14, 0xaa]);
}

#[test]
fn what_does_not_lie_on_the_disk_is_refused() {
    for (sector, len) in [(16, 512), (15, 1024), (0, 511), (u64::MAX, 512), (u64::MAX / 512, 512)] {
        let mut case = Case::new(Access::ReadWrite);
        assert_eq!(case.request(0, sector, &[Part::Write(BUFFER, len)]), (1, 0), "read {sector} {len}");
        assert_eq!(case.request(1, sector, &[Part::Read(BUFFER, len)]).0, 1, "write {sector} {len}");
    }
}

#[test]
fn a_read_only_disk_is_not_written() {
    let mut case = Case::new(Access::ReadOnly);
    assert_eq!(case.request(1, 0, &[Part::Read(BUFFER, 512)]).0, 1);
    assert_eq!(case.request(11, 0, &[]).0, 1);
    assert_eq!(case.sector(1), 1);
    assert_eq!(case.block.features() & FEATURE_READ_ONLY, FEATURE_READ_ONLY);
}

#[test]
fn discarded_and_zeroed_ranges_read_as_zeroes() {
    for kind in [11, 13] {
        let mut case = Case::new(Access::ReadWrite);
        let range = [&2_u64.to_le_bytes()[..], &3_u32.to_le_bytes(), &0_u32.to_le_bytes()].concat();
        case.driver.write(BUFFER, &range);
        let (status, _) = case.request(kind, 0, &[Part::Read(BUFFER, 16)]);
        // A file system without holes says so, and the guest goes on without.
        assert!([0, 2].contains(&status), "{status}");
        if status == 0 {
            assert_eq!([1, 2, 3, 4, 5].map(|sector| case.sector(sector)), [1, 0, 0, 0, 5]);
        }
    }
}

#[test]
fn malformed_ranges_are_refused() {
    let long = [&0_u64.to_le_bytes()[..], &u32::MAX.to_le_bytes(), &0_u32.to_le_bytes()].concat();
    let mut case = Case::new(Access::ReadWrite);
    case.driver.write(BUFFER, &long);
    assert_eq!(case.request(11, 0, &[Part::Read(BUFFER, 16)]).0, 1);
    assert_eq!(case.request(11, 0, &[Part::Read(BUFFER, 15)]).0, 1);
    assert_eq!(case.request(11, 0, &[Part::Read(BUFFER, 16 * 17)]).0, 1);
    case.driver.write(BUFFER, &[&0_u64.to_le_bytes()[..], &1_u32.to_le_bytes(), &4_u32.to_le_bytes()].concat());
    assert_eq!(case.request(11, 0, &[Part::Read(BUFFER, 16)]).0, 2);
}

#[test]
fn unknown_requests_are_unsupported_and_broken_ones_come_back_empty() {
    let mut case = Case::new(Access::ReadWrite);
    assert_eq!(case.request(77, 0, &[]), (2, 1));
    case.driver.add(0, &[Part::Read(HEADER, 15), Part::Write(STATUS, 1)]);
    case.driver.add(0, &[Part::Read(HEADER, 16)]);
    case.block.notified(0, &mut case.driver.queues).expect("served");
    assert!(case.driver.used(0).iter().all(|(_, len)| *len == 0));
}

#[test]
fn the_disk_tells_its_name_and_size() {
    let mut case = Case::new(Access::ReadOnly);
    assert_eq!(case.request(8, 0, &[Part::Write(BUFFER, 20)]), (0, 21));
    assert_eq!(case.driver.read(BUFFER, 8), b"stockade");
    let mut capacity = [0xff; 8];
    case.block.read_config(0, &mut capacity);
    assert_eq!(u64::from_le_bytes(capacity), SECTORS);
    let mut beyond = [0xff; 8];
    case.block.read_config(usize::MAX, &mut beyond);
    assert_eq!(beyond, [0xff; 8]);
}

#[test]
fn a_limit_keeps_requests_waiting() {
    let mut case = Case::new(Access::ReadOnly);
    let two = TokenBucketConfig { size: 2, one_time_burst: None, refill_time: 3_600_000 };
    let limits = RateLimiterConfig { bandwidth: None, ops: Some(two) };
    case.block.limiter().set(Some(limits));
    for _ in 0..2 {
        assert_eq!(case.request(4, 0, &[]).0, 0);
    }
    case.driver.add(0, &[Part::Read(HEADER, 16), Part::Write(STATUS, 1)]);
    case.block.notified(0, &mut case.driver.queues).expect("served");
    assert_eq!(case.driver.used(0), []);
    case.block.limiter().set(None);
    case.block.ready(0, &mut case.driver.queues).expect("served");
    assert_eq!(case.driver.used(0).len(), 1);
}
