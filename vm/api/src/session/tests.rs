//! A microVM's life on a machine that only writes down what it is asked.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Map, Value, json};
use stockade_vmm::config::{BalloonStats, InstanceId, VmFile};
use tempfile::TempDir;

use super::*;
use crate::request::{Method, parse};

/// A machine that remembers, and refuses what it is told to refuse.
#[derive(Clone, Default)]
struct Fake {
    calls: Rc<RefCell<Vec<String>>>,
    refuses: Rc<RefCell<Option<&'static str>>>,
    loaded: Rc<RefCell<VmConfig>>,
}

impl Fake {
    fn call(&self, name: &'static str, detail: impl std::fmt::Display) -> Result<(), ControllerError> {
        if *self.refuses.borrow() == Some(name) {
            return Err(ControllerError(format!("no {name}")));
        }
        self.calls.borrow_mut().push(format!("{name} {detail}").trim().to_owned());
        Ok(())
    }
}

impl Controller for Fake {
    fn start(&mut self, config: &VmConfig, _: &SharedMmds) -> Result<(), ControllerError> {
        self.call("start", config.machine().vcpu_count)
    }
    fn pause(&mut self) -> Result<(), ControllerError> {
        self.call("pause", "")
    }
    fn resume(&mut self) -> Result<(), ControllerError> {
        self.call("resume", "")
    }
    fn send_ctrl_alt_del(&mut self) -> Result<(), ControllerError> {
        self.call("keys", "")
    }
    fn create_snapshot(&mut self, request: &CreateSnapshot) -> Result<(), ControllerError> {
        self.call("save", request.snapshot_path.display())
    }
    fn load_snapshot(&mut self, request: &LoadSnapshot, _: &SharedMmds) -> Result<VmConfig, ControllerError> {
        self.call("load", request.snapshot_path.display())?;
        Ok(self.loaded.borrow().clone())
    }
    fn update_drive(&mut self, update: &DriveUpdate) -> Result<(), ControllerError> {
        self.call("drive", &update.drive_id)
    }
    fn update_network(&mut self, update: &NetworkUpdate) -> Result<(), ControllerError> {
        self.call("network", &update.iface_id)
    }
    fn resize_balloon(&mut self, amount_mib: u32) -> Result<(), ControllerError> {
        self.call("balloon", amount_mib)
    }
    fn set_balloon_interval(&mut self, seconds: u16) -> Result<(), ControllerError> {
        self.call("interval", seconds)
    }
    fn balloon_stats(&mut self) -> Result<BalloonStats, ControllerError> {
        self.call("stats", "")?;
        Ok(BalloonStats { target_mib: 4, free_memory: Some(7), ..BalloonStats::default() })
    }
    fn metrics(&mut self) -> Map<String, Value> {
        json!({"vcpu": {"exit_io_in": 1}}).as_object().cloned().unwrap_or_default()
    }
}

struct Vm {
    session: Session<Fake>,
    fake: Fake,
    dir: TempDir,
}

impl Vm {
    fn new() -> Self {
        let fake = Fake::default();
        let info = InstanceInfo {
            id: InstanceId::default(),
            state: VmState::NotStarted,
            vmm_version: "0.0.0".to_owned(),
            app_name: "Stockade".to_owned(),
        };
        let setup = Setup {
            info,
            config: VmConfig::default(),
            mmds: Mmds::new(100),
            logger: Logger::new(InstanceId::default()),
            metrics: Metrics::default(),
        };
        let dir = TempDir::new().expect("a directory");
        Self { session: Session::new(fake.clone(), setup), fake, dir }
    }

    /// One with all devices, which runs.
    fn running() -> Self {
        let mut vm = Self::new();
        let kernel = vm.file("vmlinux");
        let disk = vm.file("disk");
        vm.put("/boot-source", json!({"kernel_image_path": kernel}));
        vm.put("/drives/root", json!({"drive_id": "root", "is_root_device": true, "path_on_host": disk}));
        vm.put("/network-interfaces/net1", json!({"iface_id": "net1", "host_dev_name": "tap0"}));
        vm.put("/balloon", json!({"amount_mib": 1, "deflate_on_oom": false, "stats_polling_interval_s": 1}));
        vm.put("/actions", json!({"action_type": "InstanceStart"}));
        vm
    }

    fn file(&self, name: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, "").expect("write a file");
        path.display().to_string()
    }

    fn ask(&mut self, method: Method, path: &str, body: &Value) -> Result<Answer, String> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let parsed = parse(method, path, body.as_bytes()).unwrap_or_else(|fault| panic!("{path}: {fault}"));
        self.session.execute(parsed.action).map_err(|fault| fault.to_string())
    }

    fn put(&mut self, path: &str, body: Value) {
        assert_eq!(self.ask(Method::Put, path, &body), Ok(Answer::Done), "{path} {body}");
    }

    fn patch(&mut self, path: &str, body: Value) {
        assert_eq!(self.ask(Method::Patch, path, &body), Ok(Answer::Done), "{path} {body}");
    }

    fn get(&mut self, path: &str) -> Value {
        match self.ask(Method::Get, path, &Value::Null) {
            Ok(Answer::Json(value)) => value,
            other => panic!("{path} answered {other:?}"),
        }
    }

    fn refused(&mut self, method: Method, path: &str, body: Value, words: &str) {
        assert_eq!(self.ask(method, path, &body), Err(words.to_owned()), "{path} {body}");
    }

    fn calls(&self) -> Vec<String> {
        self.fake.calls.borrow().clone()
    }
}

const AFTER: &str = "The requested operation is not supported after starting the microVM.";
const BEFORE: &str = "The requested operation is not supported before starting the microVM.";

#[test]
fn a_microvm_is_configured_started_paused_and_resumed() {
    let mut vm = Vm::new();
    let kernel = vm.file("vmlinux");
    assert_eq!(vm.get("/")["state"], "Not started");
    vm.put("/machine-config", json!({"vcpu_count": 2, "mem_size_mib": 256}));
    vm.patch("/machine-config", json!({"mem_size_mib": 512}));
    vm.put("/boot-source", json!({"kernel_image_path": kernel, "boot_args": "console=ttyS0"}));
    vm.put("/vsock", json!({"guest_cid": 3, "uds_path": "v.sock"}));
    vm.put("/entropy", json!({}));
    vm.put("/actions", json!({"action_type": "InstanceStart"}));
    let info = json!({"id": "anonymous-instance", "state": "Running", "vmm_version": "0.0.0", "app_name": "Stockade"});
    assert_eq!(vm.get("/"), info);
    vm.patch("/vm", json!({"state": "Paused"}));
    assert_eq!(vm.get("/")["state"], "Paused");
    vm.patch("/vm", json!({"state": "Resumed"}));
    assert_eq!(vm.get("/")["state"], "Running");
    vm.put("/actions", json!({"action_type": "SendCtrlAltDel"}));
    assert_eq!(vm.calls(), ["start 2", "pause", "resume", "keys"]);
    let machine = json!({
        "vcpu_count": 2, "mem_size_mib": 512, "smt": false, "track_dirty_pages": false, "huge_pages": "None",
    });
    assert_eq!(vm.get("/machine-config"), machine);
    let config = vm.get("/vm/config");
    assert_eq!(config["machine-config"], machine);
    assert_eq!(config["boot-source"]["boot_args"], "console=ttyS0");
    assert_eq!(config["vsock"], json!({"guest_cid": 3, "uds_path": "v.sock"}));
    assert_eq!(vm.get("/version"), json!({"firecracker_version": API_VERSION}));
}

#[test]
fn a_microvm_without_a_kernel_does_not_start() {
    let words = "Start microvm error: Cannot start microvm without kernel configuration.";
    Vm::new().refused(Method::Put, "/actions", json!({"action_type": "InstanceStart"}), words);
}

#[test]
fn a_failed_start_can_be_tried_again() {
    let mut vm = Vm::new();
    let kernel = vm.file("vmlinux");
    vm.put("/boot-source", json!({"kernel_image_path": kernel}));
    *vm.fake.refuses.borrow_mut() = Some("start");
    let start = json!({"action_type": "InstanceStart"});
    vm.refused(Method::Put, "/actions", start.clone(), "Start microvm error: no start");
    assert_eq!(vm.get("/")["state"], "Not started");
    *vm.fake.refuses.borrow_mut() = None;
    vm.put("/actions", start);
}

#[test]
fn what_belongs_before_the_start_is_refused_after_it() {
    let mut vm = Vm::running();
    let load = json!({"snapshot_path": "s", "mem_file_path": "m"});
    let cases = [
        ("/actions", json!({"action_type": "InstanceStart"})),
        ("/boot-source", json!({"kernel_image_path": "vmlinux"})),
        ("/machine-config", json!({"vcpu_count": 1, "mem_size_mib": 128})),
        ("/drives/a", json!({"drive_id": "a", "is_root_device": false})),
        ("/network-interfaces/a", json!({"iface_id": "a", "host_dev_name": "tap0"})),
        ("/vsock", json!({"guest_cid": 3, "uds_path": "v.sock"})),
        ("/logger", json!({})),
        ("/metrics", json!({"metrics_path": "m"})),
        ("/mmds/config", json!({"network_interfaces": ["net1"]})),
        ("/balloon", json!({"amount_mib": 0, "deflate_on_oom": false})),
        ("/entropy", json!({})),
        ("/snapshot/load", load),
    ];
    cases.into_iter().for_each(|(path, body)| vm.refused(Method::Put, path, body, AFTER));
    vm.refused(Method::Patch, "/machine-config", json!({"vcpu_count": 1}), AFTER);
}

#[test]
fn what_belongs_after_the_start_is_refused_before_it() {
    let mut vm = Vm::new();
    let cases = [
        (Method::Put, "/actions", json!({"action_type": "FlushMetrics"})),
        (Method::Put, "/actions", json!({"action_type": "SendCtrlAltDel"})),
        (Method::Put, "/snapshot/create", json!({"snapshot_path": "s", "mem_file_path": "m"})),
        (Method::Patch, "/vm", json!({"state": "Paused"})),
        (Method::Patch, "/drives/a", json!({"drive_id": "a"})),
        (Method::Patch, "/network-interfaces/a", json!({"iface_id": "a"})),
        (Method::Patch, "/balloon", json!({"amount_mib": 1})),
        (Method::Patch, "/balloon/statistics", json!({"stats_polling_interval_s": 1})),
        (Method::Get, "/balloon/statistics", Value::Null),
    ];
    cases.into_iter().for_each(|(method, path, body)| vm.refused(method, path, body, BEFORE));
}

#[test]
fn refusals_say_which_part_is_meant() {
    let mut vm = Vm::new();
    let gone = "No such file or directory (os error 2)";
    let kernel = format!("Boot source error: The kernel file cannot be opened: {gone}");
    vm.refused(Method::Put, "/boot-source", json!({"kernel_image_path": "/nonexistent"}), &kernel);
    let words = "Machine config error: The number of vCPUs must be greater than 0, less than 32 and must be 1 or an \
                 even number if SMT is enabled.";
    vm.refused(Method::Put, "/machine-config", json!({"vcpu_count": 0, "mem_size_mib": 1}), words);
    let words = "Drive config error: Unable to create the virtio block device: Invalid block config.";
    vm.refused(Method::Put, "/drives/a", json!({"drive_id": "a", "is_root_device": false}), words);
    let words = "MMMDS config error: The list of network interface IDs that allow forwarding MMDS requests is empty.";
    vm.refused(Method::Put, "/mmds/config", json!({"network_interfaces": []}), words);
    let words = "Balloon config error: Amount of pages requested is too large.";
    vm.refused(Method::Put, "/balloon", json!({"amount_mib": 129, "deflate_on_oom": false}), words);
    vm.refused(Method::Get, "/balloon", Value::Null, "Balloon config error: No balloon device found.");
    let logger = format!("Logger error: Failed to open target file: {gone}");
    vm.refused(Method::Put, "/logger", json!({"log_path": "/nonexistent/log"}), &logger);
    let metrics = format!("Metrics error: Cannot initialize the metrics system due to bad user input: {gone}");
    vm.refused(Method::Put, "/metrics", json!({"metrics_path": "/nonexistent/m"}), &metrics);
}

#[test]
fn a_running_machines_devices_change_and_the_change_is_shown() {
    let mut vm = Vm::running();
    let limiter = json!({"bandwidth": {"size": 5, "one_time_burst": null, "refill_time": 6}, "ops": null});
    vm.patch("/drives/root", json!({"drive_id": "root", "path_on_host": "other", "rate_limiter": limiter}));
    vm.patch("/network-interfaces/net1", json!({"iface_id": "net1", "rx_rate_limiter": limiter}));
    vm.patch("/balloon", json!({"amount_mib": 3}));
    vm.patch("/balloon/statistics", json!({"stats_polling_interval_s": 9}));
    assert_eq!(vm.calls(), ["start 1", "drive root", "network net1", "balloon 3", "interval 9"]);
    let config = vm.get("/vm/config");
    assert_eq!(config["drives"][0]["path_on_host"], "other");
    assert_eq!(config["drives"][0]["rate_limiter"], limiter);
    assert_eq!(config["network-interfaces"][0]["rx_rate_limiter"], limiter);
    let balloon = vm.get("/balloon");
    assert_eq!((&balloon["amount_mib"], &balloon["stats_polling_interval_s"]), (&json!(3), &json!(9)));
    let stats = json!({"target_pages": 0, "actual_pages": 0, "target_mib": 4, "actual_mib": 0, "free_memory": 7});
    assert_eq!(vm.get("/balloon/statistics"), stats);
}

#[test]
fn a_refused_change_is_not_shown() {
    let mut vm = Vm::running();
    *vm.fake.refuses.borrow_mut() = Some("drive");
    let words = "Drive config error: Unable to patch the block device: no drive Please verify the request arguments.";
    vm.refused(Method::Patch, "/drives/root", json!({"drive_id": "root", "path_on_host": "other"}), words);
    assert_ne!(vm.get("/vm/config")["drives"][0]["path_on_host"], "other");
    let missing = "Failed perform action on device: Device not found";
    let words = format!("Network config error: Unable to update the net device: {missing}");
    vm.refused(Method::Patch, "/network-interfaces/a", json!({"iface_id": "a"}), &words);
    let words = "Balloon update error: Balloon: Requested memory should be less than 129MiB";
    vm.refused(Method::Patch, "/balloon", json!({"amount_mib": 129}), words);
    let words = "Balloon update error: Balloon: Statistics cannot be enabled/disabled after activation.";
    vm.refused(Method::Patch, "/balloon/statistics", json!({"stats_polling_interval_s": 0}), words);
}

#[test]
fn snapshots_are_taken_of_paused_machines() {
    let mut vm = Vm::running();
    let create = json!({"snapshot_path": "s", "mem_file_path": "m", "snapshot_type": "Diff"});
    let words = "Create snapshot error: Cannot save the microVM state: Operation not allowed: save/restore unavailable \
                 while running";
    vm.refused(Method::Put, "/snapshot/create", create.clone(), words);
    vm.patch("/vm", json!({"state": "Paused"}));
    vm.put("/snapshot/create", create);
    assert_eq!(vm.calls(), ["start 1", "pause", "save s"]);
}

#[test]
fn snapshots_are_loaded_before_anything_else() {
    let load = |resume: bool| json!({"snapshot_path": "s", "mem_file_path": "m", "resume_vm": resume});
    let mut vm = Vm::new();
    let kernel = vm.file("vmlinux");
    let file = json!({"boot-source": {"kernel_image_path": kernel}, "drives": [], "machine-config":
        {"vcpu_count": 4, "mem_size_mib": 64}});
    *vm.fake.loaded.borrow_mut() = serde_json::from_value::<VmFile>(file).expect("a file").validated().expect("valid");
    vm.put("/snapshot/load", load(false));
    assert_eq!(
        (vm.get("/")["state"].clone(), vm.get("/machine-config")["vcpu_count"].clone()),
        ("Paused".into(), 4.into())
    );

    let mut resumed = Vm::new();
    resumed.put("/snapshot/load", load(true));
    assert_eq!((resumed.session.state(), resumed.calls()), (VmState::Running, vec!["load s".into(), "resume".into()]));

    let mut configured = Vm::new();
    configured.put("/machine-config", json!({"vcpu_count": 2, "mem_size_mib": 64}));
    let words =
        "Load snapshot error: Loading a microVM snapshot not allowed after configuring boot-specific resources.";
    configured.refused(Method::Put, "/snapshot/load", load(false), words);
}

#[test]
fn metadata_is_put_patched_and_read_at_any_time() {
    let mut vm = Vm::running();
    assert_eq!(vm.get("/mmds"), json!({}));
    let words = "MMDS error: The MMDS data store is not initialized.";
    vm.refused(Method::Patch, "/mmds", json!({"a": 1}), words);
    vm.put("/mmds", json!({"a": 1}));
    vm.patch("/mmds", json!({"b": 2}));
    assert_eq!(vm.get("/mmds"), json!({"a": 1, "b": 2}));
    let words = "MMDS limit exceeded error: The MMDS patch request doesn't fit.";
    vm.refused(Method::Put, "/mmds", json!({"a": "x".repeat(100)}), words);
}

#[test]
fn metrics_are_a_json_object_per_line() {
    let mut vm = Vm::new();
    let (kernel, lines) = (vm.file("vmlinux"), vm.file("metrics"));
    vm.put("/metrics", json!({"metrics_path": lines}));
    vm.put("/boot-source", json!({"kernel_image_path": kernel}));
    vm.put("/actions", json!({"action_type": "InstanceStart"}));
    vm.session.metrics().request(Method::Put, "drive");
    vm.put("/actions", json!({"action_type": "FlushMetrics"}));
    vm.put("/actions", json!({"action_type": "FlushMetrics"}));
    let text = std::fs::read_to_string(lines).expect("read the metrics");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let drives: Vec<&Value> = lines.iter().map(|line| &line["put_api_requests"]["drive_count"]).collect();
    assert_eq!(drives, [&json!(1), &json!(0)], "counts are of the time since the last line");
    assert_eq!(lines[0]["vcpu"]["exit_io_in"], 1, "the machine's own are beside them");
}
