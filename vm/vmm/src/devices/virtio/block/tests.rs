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

/// The same with either engine.
fn check(access: Access, test: impl Fn(&mut Case)) {
    for engine in [IoEngine::Sync, IoEngine::Async] {
        test(&mut Case::new(access, engine));
    }
}

impl Case {
    fn new(access: Access, engine: IoEngine) -> Self {
        let file = tempfile::tempfile().expect("file");
        let bytes: Vec<u8> = (0..SECTORS).flat_map(|n| vec![u8::try_from(n).expect("small"); 512]).collect();
        file.write_all_at(&bytes, 0).expect("fill");
        let disk = Disk::new(file.try_clone().expect("clone"), access, CacheType::Writeback).expect("disk");
        let block = Block::new(disk, Limiter::new(None).expect("timer"), engine);
        Case { driver: Driver::new(&[256]), block, file }
    }

    /// Lets the device work until all is done.
    fn settle(&mut self) {
        loop {
            self.block.notified(0, &mut self.driver.queues).expect("served");
            self.block.quiesce(&mut self.driver.queues).expect("done");
            if self.driver.queues.take_unfinished().is_empty() || self.block.limiter().is_waiting() {
                return;
            }
        }
    }

    /// Offers a request whose header and status lie in a place of their own.
    fn offer(&mut self, number: u64, (kind, sector): (u32, u64), data: &[Part]) -> u16 {
        let at = HEADER + 32 * number;
        let header = [&kind.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes()].concat();
        self.driver.write(at, &header);
        self.driver.write(at + 16, &[0xee]);
        let parts = [&[Part::Read(at, 16)], data, &[Part::Write(at + 16, 1)]].concat();
        self.driver.add(0, &parts)
    }

    /// Status, and the length given back, of a request with this header and data.
    fn request(&mut self, kind: u32, sector: u64, data: &[Part]) -> (u8, u32) {
        let header = [&kind.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes()].concat();
        self.driver.write(HEADER, &header);
        self.driver.write(STATUS, &[0xee]);
        let parts = [&[Part::Read(HEADER, 16)], data, &[Part::Write(STATUS, 1)]].concat();
        self.driver.add(0, &parts);
        self.settle();
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
    check(Access::ReadOnly, |case| {
        let data = [Part::Write(BUFFER, 512), Part::Write(BUFFER + 0x1000, 1024)];
        assert_eq!(case.request(0, 3, &data), (0, 1537));
        let firsts = [BUFFER, BUFFER + 0x1000, BUFFER + 0x1200].map(|at| case.driver.read(at, 1)[0]);
        assert_eq!(firsts, [3, 4, 5]);
    });
}

#[test]
fn sectors_are_written_and_flushed() {
    check(Access::ReadWrite, |case| {
        case.driver.write(BUFFER, &[0xaa; 512]);
        assert_eq!(case.request(1, 15, &[Part::Read(BUFFER, 512)]), (0, 1));
        assert_eq!(case.request(4, 0, &[]), (0, 1));
        assert_eq!([case.sector(14), case.sector(15)], [14, 0xaa]);
    });
}

#[test]
fn what_does_not_lie_on_the_disk_is_refused() {
    for (sector, len) in [(16, 512), (15, 1024), (0, 511), (u64::MAX, 512), (u64::MAX / 512, 512)] {
        check(Access::ReadWrite, |case| {
            assert_eq!(case.request(0, sector, &[Part::Write(BUFFER, len)]), (1, 0), "read {sector} {len}");
            assert_eq!(case.request(1, sector, &[Part::Read(BUFFER, len)]).0, 1, "write {sector} {len}");
        });
    }
}

#[test]
fn a_read_only_disk_is_not_written() {
    check(Access::ReadOnly, |case| {
        assert_eq!(case.request(1, 0, &[Part::Read(BUFFER, 512)]).0, 1);
        assert_eq!(case.request(11, 0, &[]).0, 1);
        assert_eq!(case.sector(1), 1);
        assert_eq!(case.block.features() & FEATURE_READ_ONLY, FEATURE_READ_ONLY);
    });
}

#[test]
fn discarded_and_zeroed_ranges_read_as_zeroes() {
    for kind in [11, 13] {
        check(Access::ReadWrite, |case| {
            let range = |sector: u64, count: u32| {
                [&sector.to_le_bytes()[..], &count.to_le_bytes(), &0_u32.to_le_bytes()].concat()
            };
            case.driver.write(BUFFER, &[range(2, 3), range(9, 1)].concat());
            let (status, _) = case.request(kind, 0, &[Part::Read(BUFFER, 32)]);
            // A file system without holes says so, and the guest goes on without.
            assert!([0, 2].contains(&status), "{status}");
            if status == 0 {
                let seen = [1, 2, 3, 4, 5, 8, 9, 10].map(|sector| case.sector(sector));
                assert_eq!(seen, [1, 0, 0, 0, 5, 8, 0, 10]);
            }
        });
    }
}

#[test]
fn malformed_ranges_are_refused() {
    let long = [&0_u64.to_le_bytes()[..], &u32::MAX.to_le_bytes(), &0_u32.to_le_bytes()].concat();
    check(Access::ReadWrite, |case| {
        case.driver.write(BUFFER, &long);
        assert_eq!(case.request(11, 0, &[Part::Read(BUFFER, 16)]).0, 1);
        assert_eq!(case.request(11, 0, &[Part::Read(BUFFER, 15)]).0, 1);
        assert_eq!(case.request(11, 0, &[Part::Read(BUFFER, 16 * 17)]).0, 1);
        let flagged = [&0_u64.to_le_bytes()[..], &1_u32.to_le_bytes(), &4_u32.to_le_bytes()].concat();
        case.driver.write(BUFFER, &flagged);
        assert_eq!(case.request(11, 0, &[Part::Read(BUFFER, 16)]).0, 2);
    });
}

#[test]
fn unknown_requests_are_unsupported_and_broken_ones_come_back_empty() {
    check(Access::ReadWrite, |case| {
        assert_eq!(case.request(77, 0, &[]), (2, 1));
        case.driver.add(0, &[Part::Read(HEADER, 15), Part::Write(STATUS, 1)]);
        case.driver.add(0, &[Part::Read(HEADER, 16)]);
        case.settle();
        let used = case.driver.used(0);
        assert!(used.len() == 2 && used.iter().all(|(_, len)| *len == 0), "{used:?}");
    });
}

#[test]
fn the_disk_tells_its_name_and_size() {
    check(Access::ReadOnly, |case| {
        assert_eq!(case.request(8, 0, &[Part::Write(BUFFER, 20)]), (0, 21));
        assert_eq!(case.driver.read(BUFFER, 8), b"stockade");
        let mut capacity = [0xff; 8];
        case.block.read_config(0, &mut capacity);
        assert_eq!(u64::from_le_bytes(capacity), SECTORS);
        let mut beyond = [0xff; 8];
        case.block.read_config(usize::MAX, &mut beyond);
        assert_eq!(beyond, [0xff; 8]);
    });
}

#[test]
fn a_limit_keeps_requests_waiting() {
    check(Access::ReadOnly, |case| {
        let two = TokenBucketConfig { size: 2, one_time_burst: None, refill_time: 3_600_000 };
        let limits = RateLimiterConfig { bandwidth: None, ops: Some(two) };
        case.block.limiter().set(Some(limits));
        for _ in 0..2 {
            assert_eq!(case.request(4, 0, &[]).0, 0);
        }
        case.driver.add(0, &[Part::Read(HEADER, 16), Part::Write(STATUS, 1)]);
        case.settle();
        assert_eq!(case.driver.used(0), []);
        case.block.limiter().set(None);
        case.block.ready(TIMER, &mut case.driver.queues).expect("served");
        case.settle();
        assert_eq!(case.driver.used(0).len(), 1);
    });
}

/// More than are under way at a time, and each with its own data.
#[test]
fn many_requests_come_back_with_their_own_data() {
    check(Access::ReadOnly, |case| {
        let count = 80;
        let heads: Vec<u16> = (0..count)
            .map(|number| case.offer(number, (0, number % SECTORS), &[Part::Write(BUFFER + 512 * number, 512)]))
            .collect();
        case.settle();
        let mut used = case.driver.used(0);
        used.sort_unstable();
        assert_eq!(used, heads.iter().map(|head| (*head, 513)).collect::<Vec<_>>());
        assert!(case.driver.interrupted());
        for number in 0..count {
            let expected = u8::try_from(number % SECTORS).expect("small");
            assert_eq!(case.driver.read(BUFFER + 512 * number, 512), [expected; 512]);
        }
    });
}

/// What came before it is over when a flush begins.
#[test]
fn a_flush_comes_after_the_writes_before_it() {
    check(Access::ReadWrite, |case| {
        case.driver.write(BUFFER, &[0xaa; 4096]);
        for number in 0..8 {
            case.offer(number, (1, number), &[Part::Read(BUFFER, 4096)]);
        }
        let flush = case.offer(8, (4, 0), &[]);
        let write = case.offer(9, (1, 1), &[Part::Read(BUFFER, 512)]);
        case.settle();
        let order: Vec<u16> = case.driver.used(0).into_iter().map(|(head, _)| head).collect();
        let place = |head: u16| order.iter().position(|used| *used == head);
        assert_eq!(order.len(), 10);
        assert!(place(flush) >= Some(8) && place(write) >= Some(8), "{order:?}");
    });
}

/// A reset ends what is under way: nothing of it comes back, and the disk serves the next driver.
#[test]
fn a_reset_leaves_nothing_under_way() {
    check(Access::ReadWrite, |case| {
        case.driver.write(BUFFER, &[0xaa; 512]);
        for number in 0..8 {
            case.offer(number, (1, number), &[Part::Read(BUFFER, 512)]);
            case.offer(number, (4, 0), &[]);
        }
        case.block.notified(0, &mut case.driver.queues).expect("served");
        case.block.reset();
        let before = case.driver.used(0).len();
        case.block.quiesce(&mut case.driver.queues).expect("nothing is under way");
        assert!(before <= 16 && case.driver.used(0).is_empty());
        case.driver = Driver::new(&[256]);
        assert_eq!(case.request(0, 12, &[Part::Write(BUFFER, 512)]), (0, 513));
    });
}

#[test]
fn a_file_that_became_shorter_is_an_error() {
    check(Access::ReadWrite, |case| {
        case.file.set_len(512).expect("cut");
        assert_eq!(case.request(0, 1, &[Part::Write(BUFFER, 512)]), (1, 0));
        assert_eq!(case.request(0, 0, &[Part::Write(BUFFER, 512)]), (0, 513));
    });
}
