//! States that come back as they were, and those that no machine takes.

use super::super::trial;
use super::*;
use crate::config::{BalloonConfig, DriveConfig, MachineUpdate, NetworkConfig, VsockConfig};
use crate::devices::virtio::mmio::Transport;
use crate::devices::virtio::rng::Rng;
use crate::hypervisor::DirtyLog;
use crate::memory;
use kvm_bindings::kvm_msr_entry;
use serde_json::json;
use std::sync::Arc;

fn config() -> VmConfig {
    let mut config = VmConfig::of_given_files();
    let update = MachineUpdate { vcpu_count: Some(2), mem_size_mib: Some(256), ..Default::default() };
    config.update_machine(&update).expect("machine");
    let drive = DriveConfig { drive_id: "d".into(), path_on_host: Some("disk".into()), ..Default::default() };
    config.set_drive(drive).expect("drive");
    let network: NetworkConfig =
        serde_json::from_value(json!({"iface_id": "n", "host_dev_name": "tap", "guest_mac": "06:00:00:00:00:01"}))
            .expect("network");
    config.set_network_interface(network).expect("network");
    config.set_vsock(VsockConfig { guest_cid: 7, uds_path: "v".into(), vsock_id: None }).expect("vsock");
    config.set_balloon(BalloonConfig { amount_mib: 5, ..Default::default() }).expect("balloon");
    config
}

fn vcpu(number: u64) -> VcpuState {
    let mut lapic = kvm_bindings::kvm_lapic_state::default();
    lapic.regs[3] = 7;
    VcpuState {
        cpuid: vec![kvm_bindings::kvm_cpuid_entry2 { function: 1, eax: 5, ..Default::default() }],
        tsc_khz: 1_000_000,
        regs: kvm_bindings::kvm_regs { rip: number, ..Default::default() },
        sregs: Default::default(),
        xsave: Default::default(),
        xcrs: Default::default(),
        debugregs: Default::default(),
        lapic,
        msrs: vec![kvm_msr_entry { index: 0x10, data: number, ..Default::default() }],
        events: Default::default(),
        mp_state: Default::default(),
    }
}

/// What a driver does with a device up to its last step: all registers in use.
fn transport() -> Arc<Transport> {
    let memory = memory::anonymous(2, DirtyLog::Off).expect("memory");
    let transport = Transport::new(Box::<Rng>::default(), memory).expect("events");
    let negotiate = [(0x70, 1_u32), (0x70, 3), (0x24, 1), (0x20, 1), (0x70, 11)];
    let queue = [(0x30, 0_u32), (0x38, 64), (0x80, 0x1000), (0x90, 0x2000), (0xa0, 0x3000), (0x44, 1), (0x70, 15)];
    negotiate.iter().chain(&queue).for_each(|(at, value)| transport.write(*at, &value.to_le_bytes()));
    Arc::new(transport)
}

/// With so many pins that are programmed like this.
fn io_apic(low: u32, pins: u32) -> Value {
    json!({"select": 0x11, "id": 0, "entries": (0..pins).map(|_| json!({"low": low, "high": 0})).collect::<Vec<_>>()})
}

fn state() -> State {
    let transport = transport().state().expect("it can be saved");
    let memory = memory::anonymous(1, DirtyLog::Off).expect("memory");
    let parts = Parts {
        tag: Tag::put(&memory).expect("random bytes"),
        vm: VmState { clock: Default::default() },
        io_apic: serde_json::from_value(io_apic(0x31, 5)).expect("an I/O APIC"),
        vcpus: vec![vcpu(1), vcpu(2)],
        devices: vec![SavedDevice { name: "entropy".into(), transport }],
        serial: None,
        pci: [0, 0, 0, 0x80],
        keyboard: Some(7),
    };
    State::new(&config(), parts).expect("a state")
}

#[test]
fn a_state_comes_back_as_it_was() {
    let file = state().encode().expect("bytes");
    let back = State::decode(&file).expect("undamaged");
    assert_eq!(back.encode().expect("bytes"), file);
    assert_eq!((back.vcpus[1].regs.rip, back.vcpus[1].msrs[0].data, back.vcpus[0].lapic.regs[3]), (2, 2, 7));
    assert_eq!(back.devices, state().devices);
    assert_eq!(back.config(VmConfig::of_given_files()).expect("a configuration"), config());
}

#[test]
fn every_truncation_and_every_changed_bit_of_a_state_is_refused() {
    let file = state().encode().expect("bytes");
    // Each length and each bit of the front, and a sample of the long rest.
    for len in (0..64).chain((64..file.len()).step_by(997)) {
        assert!(State::decode(&file[..len]).is_err(), "{len} bytes");
    }
    for bit in (0..256).chain((256..8 * file.len()).step_by(4999)) {
        let mut changed = file.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(State::decode(&changed).is_err(), "bit {bit}");
    }
}

/// What becomes of a device after `change` of its state.
fn restored(change: impl FnOnce(&mut TransportState)) -> Result<(), String> {
    let memory = memory::anonymous(2, DirtyLog::Off).expect("memory");
    let mut state = transport().state().expect("it can be saved");
    change(&mut state);
    let new = Transport::new(Box::<Rng>::default(), memory).expect("events");
    new.restore(&state).map_err(|error| error.to_string())
}

fn changed(part: &str, value: Value) -> Result<(), String> {
    restored(|state| {
        let mut json = serde_json::to_value(&*state).expect("JSON");
        *json.pointer_mut(part).expect("the part") = value;
        *state = serde_json::from_value(json).expect("a state");
    })
}

#[test]
fn a_device_takes_what_its_driver_could_have_done_and_nothing_else() {
    assert_eq!(restored(|_| ()), Ok(()));
    let refused = |part: &str, value: Value, words: &str| {
        let error = changed(part, value).expect_err("a hostile state");
        assert!(error.contains(words), "{part}: {error}");
    };
    refused("/driver_features", json!(u64::MAX), "does not offer");
    refused("/queues", json!([]), "not those of this device");
    refused("/queues/0/max_size", json!(128), "not those of this device");
    refused("/queues/0/size", json!(3), "not those of this device");
    refused("/queues/0/size", json!(512), "not those of this device");
    refused("/queues/0/desc_table", json!(7), "not those of this device");
    refused("/queues/0/used_ring", json!(2 << 20), "outside of memory");
    refused("/device", json!({"Block": {"sectors": 1}}), "another kind");
    assert_eq!(changed("/interrupt", json!(u32::MAX)), Ok(()), "reasons that there are not are dropped");
    assert_eq!(changed("/queues/0/next_avail", json!(9999)), Ok(()), "the driver's business");
}

#[test]
fn hostile_states_do_no_harm() {
    let json = |part: &str, value: Value| {
        let mut json = serde_json::to_value(transport().state().expect("it can be saved")).expect("JSON");
        *json.pointer_mut(part).expect("the part") = value;
        serde_json::from_value::<TransportState>(json).expect("a state")
    };
    assert!(trial::try_device(&json("/queues/0/next_avail", json!(100))), "it asks for a reset");
    assert!(trial::try_device(&json("/status", json!(u32::MAX))), "it stays silent");
    assert!(!trial::try_device(&json("/device", json!({"Balloon": {"actual": 7, "stats_chain": 65535}}))));
    let port = |received: usize, backlog: usize| {
        let state = json!({"registers": [255, 255, 255, 255, 255, 255, 255, 255, 255], "received": vec![0; received],
            "backlog": vec![0; backlog]});
        trial::try_serial(&serde_json::from_value(state).expect("a state"))
    };
    assert_eq!([port(64, 65536), port(65, 0), port(0, 65537)], [true, false, false]);
    let pins = |count| trial::try_io_apic(&serde_json::from_value(io_apic(u32::MAX, count)).expect("a state"));
    assert_eq!([pins(trial::PINS), pins(0), pins(1 << 16)], [true, false, false]);
}
