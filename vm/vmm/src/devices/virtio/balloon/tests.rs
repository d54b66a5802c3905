//! Pages that go, reports that come.

use super::super::testing::{DATA, Driver, Part};
use super::*;

fn balloon(config: BalloonConfig) -> (Driver, Balloon) {
    let balloon = Balloon::new(config).expect("timer");
    (Driver::new(balloon.queue_sizes()), balloon)
}

fn reporting() -> BalloonConfig {
    BalloonConfig { stats_polling_interval_s: 1, free_page_reporting: true, ..Default::default() }
}

#[test]
fn pages_are_given_and_others_are_left_alone() {
    let (mut driver, mut balloon) = balloon(BalloonConfig::default());
    for page in 0x80..0x90 {
        driver.write(page << 12, &[7]);
    }
    // A run, a single page, nonsense, and half a number.
    let numbers = [0x80_u32, 0x81, 0x82, 0x85, u32::MAX, 0x200, 0x199].map(u32::to_le_bytes).concat();
    driver.write(DATA, &[&numbers[..], &[0x88, 0]].concat());
    driver.add(INFLATE, &[Part::Read(DATA, 30)]);
    balloon.notified(INFLATE, &mut driver.queues).expect("served");
    let left: Vec<u64> = (0x80..0x90).filter(|page| driver.read(page << 12, 1) == [7]).collect();
    assert_eq!(left, [0x83, 0x84, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f]);
    assert_eq!(driver.used(INFLATE), [(0, 0)]);
}

#[test]
fn reported_pages_go_as_far_as_they_are_whole() {
    let (mut driver, mut balloon) = balloon(reporting());
    for page in 0x80..0x84 {
        driver.write(page << 12, &[7]);
    }
    driver.add(3, &[Part::Write(0x80_800, 0x2800)]);
    balloon.notified(3, &mut driver.queues).expect("served");
    let left: Vec<u64> = (0x80..0x84).filter(|page| driver.read(page << 12, 1) == [7]).collect();
    assert_eq!(left, [0x80, 0x83]);
}

#[test]
fn the_driver_reports_when_asked() {
    let (mut driver, mut balloon) = balloon(reporting());
    let report = |tag: u16, value: u64| [&tag.to_le_bytes()[..], &value.to_le_bytes()].concat();
    driver.write(DATA, &[report(4, 1000), report(5, 2000), report(99, 1), report(0, 3)].concat());
    driver.add(2, &[Part::Read(DATA, 40)]);
    balloon.notified(2, &mut driver.queues).expect("served");
    let stats = balloon.stats().expect("statistics");
    assert_eq!((stats.free_memory, stats.total_memory, stats.swap_in), (Some(1000), Some(2000), Some(3)));
    assert_eq!(driver.used(2), [], "kept until fresh ones are wanted");
    balloon.ready(0, &mut driver.queues).expect("asked");
    assert_eq!(driver.used(2), [(0, 0)]);
}

#[test]
fn sizes_are_told_both_ways() {
    let (_, mut balloon) = balloon(BalloonConfig { amount_mib: 3, ..Default::default() });
    balloon.set_target_mib(5);
    balloon.write_config(4, &512_u32.to_le_bytes());
    balloon.write_config(0, &1_u32.to_le_bytes());
    let mut config = [0; 8];
    balloon.read_config(0, &mut config);
    assert_eq!(config, [0, 5, 0, 0, 0, 2, 0, 0]);
    assert_eq!(balloon.stats(), None, "none were configured");
}

#[test]
fn queues_are_there_for_what_is_offered() {
    let check = |config: BalloonConfig, queues: usize, features: u64| {
        let (_, balloon) = balloon(config);
        assert_eq!((balloon.queue_sizes().len(), balloon.features()), (queues, features));
    };
    check(BalloonConfig::default(), 2, 0);
    check(BalloonConfig { deflate_on_oom: true, ..Default::default() }, 2, FEATURE_DEFLATE_ON_OOM);
    check(reporting(), 4, FEATURE_STATS | FEATURE_REPORTING);
}
