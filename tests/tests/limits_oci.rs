//! Limits through `stockade-oci`, as its callers see them: what a container gets, and what is told of it.

use std::time::Duration;

use serde_json::{Value, json};
use stockade_tests::{Bundle, Running, Scratch, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

/// A detached container.
struct Detached<'a> {
    scratch: &'a Scratch,
    id: String,
    bundle: Bundle,
}

impl<'a> Detached<'a> {
    fn start(scratch: &'a Scratch, script: &str, resources: Value) -> Self {
        let bundle = scratch.bundle(&["sh", "-c", script]).edit(|config| {
            let all = config["linux"]["resources"].as_object_mut().expect("resources");
            all.extend(resources.as_object().expect("an object").clone());
        });
        let id = scratch.id("limited");
        scratch.oci(&["run", "--detach", "--bundle", bundle.path().to_str().unwrap(), &id]).ok();
        Self { scratch, id, bundle }
    }

    fn stats(&self) -> Value {
        self.scratch.oci(&["events", "--stats", &self.id]).ok().json()["data"].take()
    }

    fn update(&self, resources: Value) {
        self.scratch.oci(&["update", "-r", "-", &self.id]).input(resources.to_string()).ok();
    }

    fn events(&self) -> Running {
        self.scratch.oci(&["events", "--interval", "1s", &self.id]).spawn()
    }
}

const HUNGRY: &str = "exec dd if=/dev/zero of=/dev/null bs=200M count=1";

#[test]
fn too_much_memory_ends_with_137() {
    let scratch = Scratch::new();
    let bundle = scratch.bundle(&["sh", "-c", HUNGRY]);
    let bundle = bundle.set("/linux/resources/memory", json!({"limit": 16 << 20, "swap": 16 << 20}));
    scratch.oci(&["run", "--bundle", bundle.path().to_str().unwrap(), &scratch.id("hungry")]).exits(137);
}

#[test]
fn an_oom_kill_is_an_event() {
    let scratch = Scratch::new();
    let script = format!("while [ ! -e /go ]; do sleep 0.05; done; ({HUNGRY}); sleep 1000");
    let container = Detached::start(&scratch, &script, json!({"memory": {"limit": 16 << 20, "swap": 16 << 20}}));
    let events = container.events();
    wait_until("the first figures", PATIENCE, || events.stdout().contains("\"stats\""));
    assert!(!events.stdout().contains("\"oom\""));
    scratch.oci(&["exec", &container.id, "touch", "/go"]).ok();
    wait_until("the event", PATIENCE, || events.stdout().contains("\"oom\""));
}

#[test]
fn processes_are_counted_and_limited() {
    let scratch = Scratch::new();
    let script = "sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done' 2> /refused; exec sleep 1000";
    let container = Detached::start(&scratch, script, json!({"pids": {"limit": 5}}));
    let refused = container.bundle.rootfs().join("refused");
    wait_until("a fork to be refused", PATIENCE, || {
        std::fs::read_to_string(&refused).is_ok_and(|text| text.contains("can't fork"))
    });
    let stats = container.stats();
    assert_eq!(stats["pids"]["limit"], 5);
    assert!((3..=5).contains(&stats["pids"]["current"].as_u64().unwrap()), "{stats}");
}

#[test]
fn a_quota_throttles() {
    let scratch = Scratch::new();
    let resources = json!({"cpu": {"quota": 5000, "period": 50000}});
    let container = Detached::start(&scratch, "while :; do :; done", resources);
    let throttled = || container.stats()["cpu"]["throttling"]["throttledPeriods"].as_u64().unwrap_or(0);
    wait_until("throttled periods", PATIENCE, || throttled() > 2);
    assert!(container.stats()["cpu"]["usage"]["total"].as_u64().unwrap() > 0);
}

#[test]
fn limits_change_while_it_runs() {
    let scratch = Scratch::new();
    let container = Detached::start(&scratch, "sleep 1000", json!({"memory": {"limit": 64 << 20, "swap": 64 << 20}}));
    let limit = || container.stats()["memory"]["usage"]["limit"].as_u64().unwrap();
    assert_eq!(limit(), 64 << 20);
    // Up and down, each past the other value of the old pair.
    container.update(json!({"memory": {"limit": 256 << 20, "swap": 300 << 20}, "pids": {"limit": 77}}));
    assert_eq!((limit(), container.stats()["pids"]["limit"].as_u64()), (256 << 20, Some(77)));
    container.update(json!({"memory": {"limit": 32 << 20, "swap": 32 << 20}}));
    assert_eq!((limit(), container.stats()["pids"]["limit"].as_u64()), (32 << 20, Some(77)));
    scratch.oci(&["exec", &container.id, "sh", "-c", HUNGRY]).exits(137);
}

#[test]
fn a_limit_without_its_controller_is_refused_by_name() {
    let scratch = Scratch::new();
    let bundle = scratch.bundle(&["true"]).set("/linux/resources/network", json!({"classID": 7}));
    let output = scratch.oci(&["run", "--bundle", bundle.path().to_str().unwrap(), &scratch.id("net")]).run();
    assert!(output.code != 0 && output.stderr.contains("net_cls"), "{output}");
}

/// With a profile of the bundle's own: a refused call, and the call that no profile of today can know.
#[test]
fn a_seccomp_profile_is_enforced() {
    let scratch = Scratch::new();
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]
    });
    let bundle = scratch.bundle(&["sh", "-c", "mkdir /x 2>&1; grep ^Seccomp: /proc/self/status"]);
    let bundle = bundle.set("/linux/seccomp", profile);
    let output = scratch.oci(&["run", "--bundle", bundle.path().to_str().unwrap(), &scratch.id("filtered")]).ok();
    assert!(output.stdout.contains("Operation not supported"), "{output}");
    assert!(output.stdout.contains("Seccomp:\t2"), "{output}");
}
