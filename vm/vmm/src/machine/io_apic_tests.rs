//! Registers as the 82093AA's data sheet has them, routes, and guests that mean ill.

use std::sync::Arc;

use super::*;

type Routes = Arc<Mutex<Vec<Vec<(u32, Message)>>>>;

const PINS: u32 = 5;

fn io_apic() -> (IoApic, Routes) {
    let routes = Routes::default();
    let seen = routes.clone();
    let route = Box::new(move |messages: &[(u32, Message)]| {
        seen.lock().expect("routes").push(messages.to_vec());
        Ok(())
    });
    (IoApic::new(PINS, route), routes)
}

fn read(io_apic: &IoApic, register: u8) -> u32 {
    io_apic.write(SELECT, &u32::from(register).to_le_bytes()).expect("selected");
    let mut word = [0xff; 4];
    io_apic.read(WINDOW, &mut word);
    u32::from_le_bytes(word)
}

fn write(io_apic: &IoApic, register: u8, value: u32) -> Option<u32> {
    io_apic.write(SELECT, &u32::from(register).to_le_bytes()).expect("selected");
    io_apic.write(WINDOW, &value.to_le_bytes()).expect("written")
}

fn take(routes: &Routes) -> Vec<Vec<(u32, Message)>> {
    std::mem::take(&mut routes.lock().expect("routes"))
}

#[test]
fn a_driver_finds_a_controller_whose_pins_are_masked() {
    let (io_apic, routes) = io_apic();
    assert_eq!([0, 1, 2].map(|register| read(&io_apic, register)), [0, 0x0004_0011, 0]);
    assert_eq!([0x10, 0x11, 0x18, 0x19].map(|register| read(&io_apic, register)), [MASKED, 0, MASKED, 0]);
    assert_eq!((write(&io_apic, ID, u32::MAX), write(&io_apic, VERSION, 0)), (None, None));
    assert_eq!([0, 1, 2].map(|register| read(&io_apic, register)), [0x0f00_0000, 0x0004_0011, 0x0f00_0000]);
    assert!(take(&routes).is_empty());
}

#[test]
fn only_what_is_writable_is_written() {
    let (io_apic, _) = io_apic();
    write(&io_apic, 0x12, u32::MAX);
    write(&io_apic, 0x13, u32::MAX);
    assert_eq!([0x12, 0x13].map(|register| read(&io_apic, register)), [0x0001_afff, 0xff00_0000]);
    let mut selected = [0; 4];
    io_apic.read(SELECT, &mut selected);
    assert_eq!(selected, [0x13, 0, 0, 0]);
}

#[test]
fn an_unmasked_pin_has_a_route_and_a_masked_one_has_none() {
    let (io_apic, routes) = io_apic();
    write(&io_apic, 0x15, 3 << 24);
    assert!(take(&routes).is_empty(), "it is masked still");
    assert_eq!(write(&io_apic, 0x14, 0x31), Some(2));
    let message = Message { address: 0xfee0_3000, data: 0x31 };
    assert_eq!(take(&routes), [[(2, message)]]);
    assert_eq!(write(&io_apic, 0x14, 0x31), None);
    assert!(take(&routes).is_empty(), "nothing changed");
    assert_eq!(write(&io_apic, 0x18, LOGICAL | 1 << 8 | 0x41), Some(4));
    let lowest = Message { address: 0xfee0_0004, data: 0x141 };
    assert_eq!(take(&routes), [[(2, message), (4, lowest)]]);
    assert_eq!(write(&io_apic, 0x15, 0xff << 24), None, "it was not masked");
    assert_eq!(take(&routes), [[(2, Message { address: 0xfeef_f000, data: 0x31 }), (4, lowest)]]);
    assert_eq!(write(&io_apic, 0x14, MASKED | 0x31), None);
    assert_eq!(take(&routes), [[(4, lowest)]]);
}

#[test]
fn a_level_is_an_edge() {
    let (io_apic, routes) = io_apic();
    assert_eq!(write(&io_apic, 0x10, LEVEL | POLARITY | 0x20), Some(0));
    assert_eq!(take(&routes), [[(0, Message { address: 0xfee0_0000, data: 0x20 })]]);
    assert_eq!(read(&io_apic, 0x10), LEVEL | POLARITY | 0x20);
}

#[test]
fn a_hostile_guest_finds_nothing_else() {
    let (io_apic, routes) = io_apic();
    for register in (3..=0xff).filter(|register| !(0x10..0x1a).contains(register)) {
        assert_eq!((write(&io_apic, register, 0x31), read(&io_apic, register)), (None, 0), "{register:#x}");
    }
    write(&io_apic, 0x10, MASKED | 0x31);
    for offset in [1, 4, 8, 0xc, 0x11, 0x14, 0x20, 0x40, 0xfff, u64::MAX] {
        assert_eq!(io_apic.write(offset, &[0; 4]).expect("nothing"), None);
        let mut word = [0xff; 4];
        io_apic.read(offset, &mut word);
        assert_eq!(word, [0; 4], "{offset:#x}");
    }
    for len in [0, 1, 2, 3, 5, 8] {
        for offset in [SELECT, WINDOW] {
            assert_eq!(io_apic.write(offset, &vec![0; len]).expect("nothing"), None);
            let mut data = vec![0xff; len];
            io_apic.read(offset, &mut data);
            assert_eq!(data, vec![0; len]);
        }
    }
    assert_eq!(read(&io_apic, 0x10), MASKED | 0x31);
    assert!(take(&routes).is_empty());
}

#[test]
fn a_state_comes_back_with_its_routes() {
    let (old, _) = io_apic();
    write(&old, 0x17, 1 << 24);
    write(&old, 0x16, 0x51);
    write(&old, 0, 7 << 24);
    let (new, routes) = io_apic();
    new.check(&old.state()).expect("the same pins");
    new.restore(&old.state()).expect("restored");
    assert_eq!(new.state(), old.state());
    assert_eq!(take(&routes), [[(3, Message { address: 0xfee0_1000, data: 0x51 })]]);
}

#[test]
fn a_hostile_state_sets_what_a_guest_can_and_nothing_else() {
    let (io_apic, _) = io_apic();
    let all = Entry { low: u32::MAX, high: u32::MAX };
    let state = |pins| IoApicState { select: 0xff, id: u32::MAX, entries: vec![all; pins] };
    assert_eq!(io_apic.check(&state(24)), Err(WrongPins { saved: 24, here: 5 }));
    assert_eq!(io_apic.check(&state(0)), Err(WrongPins { saved: 0, here: 5 }));
    io_apic.restore(&state(5)).expect("restored");
    assert_eq!([0, 0x18, 0x19].map(|register| read(&io_apic, register)), [0x0f00_0000, 0x0001_afff, 0xff00_0000]);
}
