//! Chains as no driver should make them.

use super::super::testing::{DATA, Driver, Part};
use super::*;

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
const MEMORY_END: u64 = 2 << 20;

/// What becomes of a chain made of these descriptors: `(address, len), flags, next`.
fn pop(descriptors: &[((u64, u32), u16, u16)]) -> Result<Chain, Error> {
    let mut driver = Driver::new(&[256]);
    for (index, (place, flags, next)) in (0..).zip(descriptors) {
        driver.descriptor(0, index, *place, *flags, *next);
    }
    driver.offer(0, 0);
    let mut chain = Chain::default();
    driver.queues.pop(0, &mut chain).map(|popped| {
        assert!(popped);
        chain
    })
}

fn check_refused(descriptors: &[((u64, u32), u16, u16)], expected: &str) {
    let error = pop(descriptors).expect_err("a hostile chain").to_string();
    assert!(error.contains(expected), "{error} has no {expected}");
}

#[test]
fn a_loop_ends() {
    check_refused(&[((DATA, 1), NEXT, 0)], "no end");
    check_refused(&[((DATA, 1), NEXT, 1), ((DATA, 1), NEXT, 0)], "no end");
}

#[test]
fn a_next_outside_of_the_table_ends() {
    check_refused(&[((DATA, 1), NEXT, 256)], "no end");
    check_refused(&[((DATA, 1), NEXT, u16::MAX)], "no end");
}

#[test]
fn addresses_outside_of_memory_are_refused() {
    for place in [(MEMORY_END, 1), (MEMORY_END - 1, 2), (u64::MAX, 1), (u64::MAX - 10, 100), (0, u32::MAX)] {
        check_refused(&[(place, 0, 0)], "outside of memory");
        check_refused(&[(place, WRITE, 0)], "outside of memory");
    }
}

#[test]
fn an_empty_buffer_may_lie_anywhere() {
    let chain = pop(&[((u64::MAX, 0), NEXT, 1), ((DATA, 4), WRITE, 0)]).expect("legal");
    assert_eq!((chain.readable_len(), chain.writable_len()), (0, 4));
}

#[test]
fn chains_longer_than_four_gib_are_refused() {
    check_refused(&[((0, 1 << 20), NEXT, 1), ((0, u32::MAX), 0, 0)], "no end");
}

#[test]
fn the_order_of_directions_is_kept() {
    check_refused(&[((DATA, 1), WRITE | NEXT, 1), ((DATA, 1), 0, 0)], "follows a writable one");
}

#[test]
fn overlapping_buffers_do_no_harm() {
    let chain = pop(&[((DATA, 100), NEXT, 1), ((DATA + 50, 100), WRITE, 0)]).expect("legal");
    assert_eq!((chain.readable_len(), chain.writable_len()), (100, 100));
}

/// A driver whose first descriptor points to an indirect table with these descriptors.
fn pop_indirect(len: u32, table: &[((u64, u32), u16, u16)]) -> Result<Chain, Error> {
    let mut driver = Driver::new(&[256]);
    for (index, ((address, len), flags, next)) in (0..).zip(table) {
        let bytes =
            [&address.to_le_bytes()[..], &len.to_le_bytes(), &flags.to_le_bytes(), &next.to_le_bytes()].concat();
        driver.write(DATA + 16 * index, &bytes);
    }
    driver.descriptor(0, 0, (DATA, len), INDIRECT, 0);
    driver.offer(0, 0);
    let mut chain = Chain::default();
    driver.queues.pop(0, &mut chain).map(|_| chain)
}

#[test]
fn indirect_tables_are_followed() {
    let table = [((DATA + 0x1000, 8), NEXT, 1), ((DATA + 0x2000, 8), WRITE, 0)];
    let chain = pop_indirect(32, &table).expect("legal");
    assert_eq!((chain.head, chain.readable_len(), chain.writable_len()), (0, 8, 8));
}

#[test]
fn broken_indirect_tables_are_refused() {
    assert!(pop_indirect(31, &[((DATA, 1), 0, 0)]).is_err(), "no whole number of descriptors");
    assert!(pop_indirect(0, &[]).is_err(), "an empty table");
    assert!(pop_indirect(32, &[((DATA, 1), NEXT, 2)]).is_err(), "a next outside");
    assert!(pop_indirect(32, &[((DATA, 1), NEXT, 0)]).is_err(), "a loop");
    assert!(pop_indirect(16, &[((DATA, 16), INDIRECT, 0)]).is_err(), "a table in a table");
    assert!(pop_indirect(!15, &[((DATA, 1), 0, 0)]).is_err(), "too long a table");
}

#[test]
fn an_available_index_that_runs_ahead_is_refused() {
    let mut driver = Driver::new(&[256]);
    driver.write(0x2002, &300_u16.to_le_bytes());
    let error = driver.queues.pop(0, &mut Chain::default()).expect_err("300 chains in 256 entries");
    assert!(error.to_string().contains("available ring"));
}

#[test]
fn a_head_outside_of_the_table_is_refused() {
    let mut driver = Driver::new(&[256]);
    driver.offer(0, 999);
    assert!(driver.queues.pop(0, &mut Chain::default()).is_err());
}

#[test]
fn rings_outside_of_memory_do_not_become_active() {
    let mut driver = Driver::new(&[256]);
    let ring = driver.queues.registers(0).expect("queue");
    ring.set_used_ring_address(Some(0xffff_fff0), Some(0xffff_ffff));
    assert!(!driver.queues.are_valid());
}

#[test]
fn pieces_of_chains_are_copied() {
    let mut driver = Driver::new(&[256]);
    driver.write(DATA, b"abcdef");
    driver.add(0, &[Part::Read(DATA, 2), Part::Read(DATA + 2, 4), Part::Write(DATA + 0x100, 3)]);
    let mut chain = Chain::default();
    assert!(driver.queues.pop(0, &mut chain).expect("legal"));
    let mut piece = [0; 4];
    assert_eq!(chain.read(driver.queues.memory(), 1, &mut piece), 4);
    assert_eq!(&piece, b"bcde");
    assert_eq!(chain.read(driver.queues.memory(), 4, &mut piece), 2);
    assert_eq!(chain.write(driver.queues.memory(), 1, b"xyz"), 2);
    assert_eq!(driver.read(DATA + 0x100, 4), b"\0xy\0");
}

#[test]
fn a_driver_that_never_stops_gets_no_more_than_its_round() {
    let mut driver = Driver::new(&[256]);
    driver.descriptor(0, 0, (DATA, 16), 0, 0);
    let mut offered = 0_u16;
    (0..10).for_each(|_| driver.offer(0, 0));
    let memory = driver.queues.memory().clone();
    let mut chain = Chain::default();
    let served = driver.queues.serve(0, &mut chain, |_, _| {
        offered += 1;
        // One more for each that is taken.
        memory.write_obj(10 + offered, GuestAddress(0x2002)).expect("inside of memory");
        Some(0)
    });
    assert_eq!((served, usize::from(offered)), (Ok(()), ROUND));
    assert_eq!(driver.queues.take_unfinished(), [0]);
    assert_eq!(driver.queues.take_unfinished(), [] as [usize; 0]);
}
