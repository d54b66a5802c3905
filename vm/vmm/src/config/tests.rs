//! Limits, defaults and error words of a microVM's configuration.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

fn parse<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a body of the right form")
}

fn refusal<T: DeserializeOwned>(value: Value) -> String {
    serde_json::from_value::<T>(value).err().expect("a refusal").to_string()
}

fn file(dir: &TempDir, name: &str) -> String {
    let path = dir.path().join(name);
    std::fs::write(&path, b"content").expect("write a file");
    path.display().to_string()
}

fn drive(path: &str, id: &str, root: bool) -> DriveConfig {
    parse(json!({"drive_id": id, "path_on_host": path, "is_root_device": root}))
}

fn check_machine(update: Value, expected: Result<(), MachineConfigError>) {
    let outcome = VmConfig::default().update_machine(&parse(update.clone()));
    assert_eq!(outcome, expected, "{update}");
}

#[test]
fn a_machine_has_one_to_32_cpus_and_whole_cores() {
    check_machine(json!({"vcpu_count": 32}), Ok(()));
    check_machine(json!({"vcpu_count": 0}), Err(MachineConfigError::InvalidVcpuCount));
    check_machine(json!({"vcpu_count": 33}), Err(MachineConfigError::InvalidVcpuCount));
    check_machine(json!({"vcpu_count": 3}), Ok(()));
    check_machine(json!({"vcpu_count": 3, "smt": true}), Err(MachineConfigError::InvalidVcpuCount));
    check_machine(json!({"vcpu_count": 1, "smt": true}), Ok(()));
}

#[test]
fn memory_is_a_whole_number_of_pages() {
    check_machine(json!({"mem_size_mib": 0}), Err(MachineConfigError::InvalidMemorySize));
    check_machine(json!({"mem_size_mib": 129}), Ok(()));
    check_machine(json!({"mem_size_mib": 129, "huge_pages": "2M"}), Err(MachineConfigError::InvalidMemorySize));
}

#[test]
fn only_the_empty_cpu_template_is_served() {
    check_machine(json!({"cpu_template": "None"}), Ok(()));
    check_machine(json!({"cpu_template": "T2"}), Err(MachineConfigError::CpuTemplate));
}

#[test]
fn a_refused_change_leaves_the_machine_alone() {
    let mut config = VmConfig::default();
    config.update_machine(&parse(json!({"vcpu_count": 2}))).expect("two CPUs");
    config.update_machine(&parse(json!({"vcpu_count": 4, "mem_size_mib": 0}))).expect_err("no memory");
    assert_eq!(config.machine().vcpu_count, 2);
}

#[test]
fn a_balloon_is_no_larger_than_the_guest_whichever_is_set_last() {
    let mut config = VmConfig::default();
    let balloon = |mib| parse::<BalloonConfig>(json!({"amount_mib": mib, "deflate_on_oom": true}));
    assert_eq!(config.set_balloon(balloon(129)), Err(BalloonConfigError::TooManyPagesRequested));
    config.set_balloon(balloon(128)).expect("all of the memory");
    let smaller = config.update_machine(&parse(json!({"mem_size_mib": 64})));
    assert_eq!(smaller, Err(MachineConfigError::IncompatibleBalloonSize));
}

#[test]
fn a_boot_source_needs_its_files_and_a_printable_command_line() {
    let dir = TempDir::new().expect("a directory");
    let kernel = file(&dir, "vmlinux");
    let check = |source: Value| parse::<BootSource>(source).check().map_err(|error| error.to_string());
    assert_eq!(check(json!({"kernel_image_path": kernel})), Ok(()));
    let gone = "No such file or directory (os error 2)";
    assert_eq!(
        check(json!({"kernel_image_path": "/nonexistent"})),
        Err(format!("The kernel file cannot be opened: {gone}"))
    );
    assert_eq!(
        check(json!({"kernel_image_path": kernel, "initrd_path": "/nonexistent"})),
        Err(format!("The initrd file cannot be opened due to invalid path or invalid permissions. {gone}"))
    );
    for args in ["a\n".to_owned(), "é".to_owned(), "x".repeat(MAX_COMMAND_LINE_BYTES)] {
        let refused = check(json!({"kernel_image_path": kernel, "boot_args": args})).expect_err("a bad command line");
        assert!(refused.starts_with("The kernel command line is invalid: "), "{refused}");
    }
    let longest = "x".repeat(MAX_COMMAND_LINE_BYTES - 1);
    assert_eq!(check(json!({"kernel_image_path": kernel, "boot_args": longest})), Ok(()));
}

#[test]
fn drives_are_replaced_by_name_and_the_root_is_first() {
    let dir = TempDir::new().expect("a directory");
    let path = file(&dir, "disk");
    let mut config = VmConfig::default();
    config.set_drive(drive(&path, "data", false)).expect("a drive");
    config.set_drive(drive(&path, "root", true)).expect("a root drive");
    config.set_drive(drive(&path, "data", false)).expect("the same again");
    let ids: Vec<&str> = config.drives().iter().map(|drive| drive.drive_id.as_str()).collect();
    assert_eq!(ids, ["root", "data"]);
    let second = config.set_drive(drive(&path, "data", true)).expect_err("two roots");
    assert_eq!(second.to_string(), "A root block device already exists!");
}

#[test]
fn a_drive_needs_one_back_end_that_opens() {
    let check = |drive: Value| {
        let mut config = VmConfig::default();
        config.set_drive(parse(drive)).map_err(|error| error.to_string())
    };
    let refused = check(json!({"drive_id": "a", "is_root_device": false, "path_on_host": "/nonexistent"}));
    let words = "Unable to create the virtio block device: Virtio backend error: Error manipulating the backing file: \
                 No such file or directory (os error 2) /nonexistent";
    assert_eq!(refused, Err(words.to_owned()));
    let neither = check(json!({"drive_id": "a", "is_root_device": false}));
    assert_eq!(neither, Err("Unable to create the virtio block device: Invalid block config.".to_owned()));
    check(json!({"drive_id": "a", "is_root_device": false, "socket": "/s"})).expect_err("vhost-user");
}

#[test]
fn interfaces_have_addresses_of_their_own() {
    let mut config = VmConfig::default();
    let network = |id: &str| parse(json!({"iface_id": id, "host_dev_name": "tap0", "guest_mac": "06:00:AC:10:00:02"}));
    config.set_network_interface(network("a")).expect("an interface");
    config.set_network_interface(network("a")).expect("the same again");
    let refused = config.set_network_interface(network("b")).expect_err("its address is taken");
    assert_eq!(refused.to_string(), "The MAC address is already in use: 06:00:ac:10:00:02");
}

#[test]
fn a_mac_address_has_six_pairs_of_digits() {
    let check = |text: &str| text.parse::<MacAddress>().map(|mac| mac.0);
    assert_eq!(check("06:00:AC:10:00:02"), Ok([6, 0, 0xac, 0x10, 0, 2]));
    for text in ["", "06", "06:00:AC:10:00", "06:00:AC:10:00:2", "06:00:AC:10:00:+2", "06:00:AC:10:00:02:03"] {
        assert_eq!(check(text), Err(InvalidMac), "{text}");
    }
}

#[test]
fn an_interface_name_and_mtu_are_possible_ones() {
    let check = |name: &str, mtu: Option<u16>| {
        parse::<NetworkConfig>(json!({"iface_id": "a", "host_dev_name": name, "mtu": mtu})).check()
    };
    assert_eq!(check("tap0", Some(1500)), Ok(()));
    assert_eq!(check("", None), Err(NetworkError::InvalidName));
    assert_eq!(check("tap-of-16-bytes!", None), Err(NetworkError::InvalidName));
    assert_eq!(check("tap0", Some(67)), Err(NetworkError::InvalidMtu(67)));
}

#[test]
fn the_metadata_service_is_at_a_link_local_address_of_known_interfaces() {
    let check = |mmds: Value| parse::<MmdsConfig>(mmds).check(["net1"].into_iter());
    assert_eq!(check(json!({"network_interfaces": ["net1"]})), Ok(()));
    assert_eq!(check(json!({"network_interfaces": []})), Err(MmdsConfigError::EmptyNetworkIfaceList));
    let unknown = check(json!({"network_interfaces": ["net1", "net2"]}));
    assert_eq!(unknown, Err(MmdsConfigError::InvalidNetworkInterfaceId));
    for address in ["10.0.0.1", "169.254.0.1", "169.254.255.1"] {
        let refused = check(json!({"network_interfaces": ["net1"], "ipv4_address": address}));
        assert_eq!(refused, Err(MmdsConfigError::InvalidIpv4Addr), "{address}");
    }
}

#[test]
fn reserved_context_identifiers_are_no_guests() {
    let check = |cid: u32| parse::<VsockConfig>(json!({"guest_cid": cid, "uds_path": "v.sock"})).check();
    assert_eq!(check(3), Ok(()));
    for cid in [0, 1, 2, u32::MAX] {
        assert_eq!(check(cid), Err(VsockConfigError::ReservedCid(cid)));
    }
}

#[test]
fn a_rate_limiter_changes_bucket_by_bucket() {
    let bucket = |size| TokenBucketConfig { size, one_time_burst: None, refill_time: 100 };
    let old = RateLimiterConfig { bandwidth: Some(bucket(1)), ops: Some(bucket(2)) };
    let update = RateLimiterConfig { bandwidth: Some(bucket(0)), ops: None };
    assert_eq!(old.updated(update), RateLimiterConfig { bandwidth: None, ops: Some(bucket(2)) });
    assert_eq!(update.effective(), None);
}

#[test]
fn a_snapshot_has_one_memory() {
    let check = |body: Value| parse::<LoadSnapshotBody>(body).validated();
    let backend = json!({"backend_path": "mem", "backend_type": "File"});
    let loaded = check(json!({"snapshot_path": "s", "mem_file_path": "mem"})).expect("the old form");
    assert_eq!(Ok(loaded), check(json!({"snapshot_path": "s", "mem_backend": backend})));
    assert_eq!(check(json!({"snapshot_path": "s"})), Err(LoadSnapshotError::NoBackend));
    let both = check(json!({"snapshot_path": "s", "mem_file_path": "mem", "mem_backend": backend}));
    assert_eq!(both, Err(LoadSnapshotError::TwoBackends));
}

#[test]
fn unknown_fields_are_named() {
    let refused = refusal::<DriveConfig>(json!({"drive_id": "a", "is_root_device": true, "colour": "red"}));
    assert!(refused.starts_with("unknown field `colour`, expected one of `drive_id`, "), "{refused}");
    let refused = refusal::<StateChange>(json!({"state": "Gone"}));
    assert_eq!(refused, "unknown variant `Gone`, expected `Paused` or `Resumed`");
}

#[test]
fn instance_names_have_letters_digits_and_hyphens() {
    assert!(InstanceId::new("a-1").is_ok());
    assert_eq!(InstanceId::new("a_1"), Err(InvalidInstanceId::Char('_', 1)));
    assert_eq!(InstanceId::new(""), Err(InvalidInstanceId::Length(0)));
    assert_eq!(InstanceId::new(&"a".repeat(65)), Err(InvalidInstanceId::Length(65)));
}

#[test]
fn what_is_shown_can_be_read_again() {
    let dir = TempDir::new().expect("a directory");
    let config = full(&dir.path().join("."), &file(&dir, "vmlinux"), &file(&dir, "disk"));
    let shown = serde_json::to_value(&config).expect("JSON");
    assert_eq!(shown["machine-config"]["huge_pages"], "None");
    assert_eq!(shown["drives"][0]["io_engine"], "Sync");
    assert_eq!(shown["logger"], Value::Null);
    let again = parse::<VmFile>(shown).validated().expect("the same microVM");
    assert_eq!(again, config);
}

fn full(dir: &Path, kernel: &str, disk: &str) -> VmConfig {
    let file = json!({
        "boot-source": {"kernel_image_path": kernel},
        "drives": [{"drive_id": "root", "path_on_host": disk, "is_root_device": true}],
        "machine-config": {"vcpu_count": 2, "mem_size_mib": 256},
        "network-interfaces": [{"iface_id": "net1", "host_dev_name": "tap0"}],
        "vsock": {"guest_cid": 3, "uds_path": dir.join("v.sock")},
        "balloon": {"amount_mib": 0, "deflate_on_oom": false},
        "entropy": {},
        "mmds-config": {"version": "V2", "network_interfaces": ["net1"]},
    });
    parse::<VmFile>(file).validated().expect("a valid file")
}

#[test]
fn a_file_with_parts_that_are_not_served_is_refused() {
    let dir = TempDir::new().expect("a directory");
    let source = json!({"kernel_image_path": file(&dir, "vmlinux")});
    let refused = parse::<VmFile>(json!({"boot-source": source, "drives": [], "pmem": [{"id": "a"}]})).validated();
    assert_eq!(refused.expect_err("pmem").to_string(), "pmem is not supported; leave it out");
}
