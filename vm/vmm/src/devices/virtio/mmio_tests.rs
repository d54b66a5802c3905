//! Drivers that follow the protocol, and those that do not.

use super::super::rng::Rng;
use super::*;
use crate::hypervisor::DirtyLog;
use crate::memory;

fn transport() -> Transport {
    let memory = memory::anonymous(2, DirtyLog::Off).expect("memory");
    Transport::new(Box::<Rng>::default(), memory).expect("events")
}

fn get(transport: &Transport, offset: u64) -> u32 {
    let mut word = [0; 4];
    transport.read(offset, &mut word);
    u32::from_le_bytes(word)
}

fn set(transport: &Transport, registers: &[(u64, u32)]) {
    for (offset, value) in registers {
        transport.write(*offset, &value.to_le_bytes());
    }
}

const NEGOTIATE: &[(u64, u32)] = &[(0x70, 1), (0x70, 3), (0x24, 1), (0x20, 1), (0x70, 11)];
const QUEUE: &[(u64, u32)] = &[(0x30, 0), (0x38, 64), (0x80, 0x1000), (0x90, 0x2000), (0xa0, 0x3000), (0x44, 1)];

#[test]
fn a_driver_finds_the_device() {
    let transport = transport();
    assert_eq!([0, 4, 8].map(|offset| get(&transport, offset)), [0x7472_6976, 2, 4]);
    set(&transport, NEGOTIATE);
    assert_eq!(get(&transport, 0x34), 256);
    set(&transport, QUEUE);
    set(&transport, &[(0x70, 15)]);
    assert_eq!((get(&transport, 0x70), get(&transport, 0x44)), (15, 1));
}

#[test]
fn features_that_were_not_offered_are_not_agreed_on() {
    let transport = transport();
    set(&transport, &[(0x70, 3), (0x24, 0), (0x20, 1), (0x24, 1), (0x20, 1), (0x70, 11)]);
    assert_eq!(get(&transport, 0x70), 3);
    set(&transport, &[(0x70, 0), (0x70, 3), (0x70, 11)]);
    assert_eq!(get(&transport, 0x70), 3, "a driver without version 1");
}

#[test]
fn rings_outside_of_memory_ask_for_a_reset() {
    let transport = transport();
    set(&transport, NEGOTIATE);
    set(&transport, QUEUE);
    set(&transport, &[(0xa4, 1), (0x70, 15)]);
    assert_eq!(get(&transport, 0x70), 15 | 64);
    assert_eq!(get(&transport, 0x60), 2);
    set(&transport, &[(0x70, 0)]);
    assert_eq!((get(&transport, 0x70), get(&transport, 0x60), get(&transport, 0x44)), (0, 0, 0));
}

#[test]
fn a_device_that_gave_up_stays_silent() {
    let transport = transport();
    set(&transport, NEGOTIATE);
    set(&transport, QUEUE);
    set(&transport, &[(0x70, 15)]);
    let memory = transport.with_device(|_, queues| queues.memory().clone());
    // A chain outside of the table.
    vm_memory::Bytes::write_obj(&memory, 0x0001_0000_u32, vm_memory::GuestAddress(0x2000)).expect("inside");
    vm_memory::Bytes::write_obj(&memory, 0xffff_u16, vm_memory::GuestAddress(0x2004)).expect("inside");
    transport.notified(0);
    assert_eq!(get(&transport, 0x70), 15 | 64);
    set(&transport, &[(0x64, 3)]);
    transport.notified(0);
    assert_eq!(get(&transport, 0x60), 0);
}

#[test]
fn registers_are_locked_while_the_device_runs() {
    let transport = transport();
    set(&transport, QUEUE);
    assert_eq!(get(&transport, 0x44), 0, "before negotiation");
    set(&transport, NEGOTIATE);
    set(&transport, QUEUE);
    set(&transport, &[(0x70, 15), (0x44, 0)]);
    assert_eq!(get(&transport, 0x44), 1);
}

#[test]
fn odd_accesses_do_no_harm() {
    let transport = transport();
    let mut byte = [7];
    transport.read(0, &mut byte);
    assert_eq!(byte, [0]);
    let mut long = [7; 8];
    transport.read(0x100, &mut long);
    transport.write(0xfff, &[1, 2, 3, 4, 5, 6, 7, 8]);
    set(&transport, &[(0x30, u32::MAX), (0x38, u32::MAX), (0x44, 1), (0x50, u32::MAX), (0x70, u32::MAX)]);
    assert_eq!(get(&transport, 0x44), 0);
}

#[test]
fn what_a_round_leaves_rings_the_doorbell_again() {
    let transport = transport();
    set(&transport, NEGOTIATE);
    set(&transport, QUEUE);
    set(&transport, &[(0x70, 15)]);
    transport.notified(0);
    assert!(transport.doorbells()[0].read().is_err(), "nothing was left");
    transport.with_device(|_, queues| queues.come_again(0));
    transport.notified(0);
    assert_eq!(transport.doorbells()[0].read().expect("rung"), 1);
}

#[test]
fn a_doorbell_that_rang_early_rings_again_when_the_driver_is_ready() {
    let transport = transport();
    set(&transport, NEGOTIATE);
    set(&transport, QUEUE);
    transport.notified(0);
    assert!(transport.doorbells()[0].read().is_err(), "not before");
    set(&transport, &[(0x70, 15)]);
    assert_eq!(transport.doorbells()[0].read().expect("rung"), 1);
    set(&transport, &[(0x70, 0)]);
    transport.notified(0);
    set(&transport, &[(0x70, 0)]);
    set(&transport, NEGOTIATE);
    set(&transport, QUEUE);
    set(&transport, &[(0x70, 15)]);
    assert!(transport.doorbells()[0].read().is_err(), "a reset forgets it");
}

#[test]
fn a_slot_gets_a_device_and_loses_it() {
    let memory = memory::anonymous(2, DirtyLog::Off).expect("memory");
    let slot = Transport::new(Box::new(Empty::kept_for(Served::Here)), memory).expect("events");
    assert!(slot.is_empty() && get(&slot, 8) == 0 && !slot.ready(0));
    slot.put(Box::<Rng>::default()).expect("it fits");
    assert_eq!((slot.is_empty(), get(&slot, 8), slot.tenancy()), (false, 4, 1));
    slot.doorbells()[0].read().expect("who waits is told");
    set(&slot, NEGOTIATE);
    set(&slot, QUEUE);
    set(&slot, &[(0x70, 15)]);
    assert_eq!((get(&slot, 0x70), get(&slot, 0x44)), (15, 1));
    assert!(slot.state().is_none(), "no configuration names it");
    slot.put(Box::new(Empty::kept_for(Served::Here))).expect("it leaves");
    assert_eq!((slot.is_empty(), get(&slot, 8), get(&slot, 0x70), get(&slot, 0x44)), (true, 0, 0, 0));
    assert!(slot.state().is_some());
    slot.bury();
    let single = transport();
    assert!(single.put(Box::new(Empty::kept_for(Served::Here))).is_err(), "it has bells for one queue");
    assert!(slot.put(Box::new(Empty::kept_for(Served::Apart))).is_err(), "another thread serves it");
}
