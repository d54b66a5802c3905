//! Every endpoint, and every word of refusal.

use serde_json::{Value, json};

use super::*;

fn ask(method: Method, path: &str, body: &Value) -> Result<Parsed, RequestFault> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    parse(method, path, body.as_bytes())
}

/// The name of the action, which says more than its content does.
fn check(method: Method, path: &str, body: Value, action: &str) {
    let parsed = ask(method, path, &body).unwrap_or_else(|fault| panic!("{path} {body}: {fault}"));
    let name = format!("{:?}", parsed.action);
    assert_eq!(name.split(['(', ' ', '{']).next(), Some(action), "{path} {body}");
}

fn refused(method: Method, path: &str, body: Value, words: &str) {
    let fault = ask(method, path, &body).expect_err("a fault").to_string();
    assert_eq!(fault, words, "{path} {body}");
}

#[test]
fn what_can_be_read() {
    let cases = [
        ("/", "GetInfo"),
        ("/version", "GetVersion"),
        ("/vm/config", "GetConfig"),
        ("/machine-config", "GetMachine"),
        ("/mmds", "GetMmds"),
        ("/balloon", "GetBalloon"),
        ("/balloon/statistics", "GetBalloonStats"),
    ];
    cases.into_iter().for_each(|(path, action)| check(Method::Get, path, Value::Null, action));
}

#[test]
fn what_can_be_set() {
    let drive = json!({"drive_id": "root", "is_root_device": true, "path_on_host": "disk"});
    let network = json!({"iface_id": "net1", "host_dev_name": "tap0", "guest_mac": "06:00:AC:10:00:02"});
    let create = json!({"snapshot_path": "s", "mem_file_path": "m"});
    let load = json!({"snapshot_path": "s", "mem_backend": {"backend_path": "m", "backend_type": "Uffd"}});
    let cases = [
        ("/actions", json!({"action_type": "InstanceStart"}), "Start"),
        ("/actions", json!({"action_type": "FlushMetrics"}), "FlushMetrics"),
        ("/actions", json!({"action_type": "SendCtrlAltDel"}), "SendCtrlAltDel"),
        ("/boot-source", json!({"kernel_image_path": "vmlinux"}), "SetBootSource"),
        ("/machine-config", json!({"vcpu_count": 1, "mem_size_mib": 128}), "UpdateMachine"),
        ("/drives/root", drive, "SetDrive"),
        ("/network-interfaces/net1", network, "SetNetwork"),
        ("/vsock", json!({"guest_cid": 3, "uds_path": "v.sock"}), "SetVsock"),
        ("/logger", json!({"log_path": "log", "level": "Warning"}), "SetLogger"),
        ("/metrics", json!({"metrics_path": "metrics"}), "SetMetrics"),
        ("/mmds", json!({"latest": {}}), "PutMmds"),
        ("/mmds/config", json!({"version": "V2", "network_interfaces": ["net1"]}), "SetMmdsConfig"),
        ("/balloon", json!({"amount_mib": 1, "deflate_on_oom": true}), "SetBalloon"),
        ("/entropy", json!({}), "SetEntropy"),
        ("/snapshot/create", create, "CreateSnapshot"),
        ("/snapshot/load", load, "LoadSnapshot"),
    ];
    cases.into_iter().for_each(|(path, body, action)| check(Method::Put, path, body, action));
}

#[test]
fn what_can_be_changed() {
    let cases = [
        ("/vm", json!({"state": "Paused"}), "Pause"),
        ("/vm", json!({"state": "Resumed"}), "Resume"),
        ("/machine-config", json!({"vcpu_count": 2}), "UpdateMachine"),
        ("/drives/root", json!({"drive_id": "root", "path_on_host": "other"}), "UpdateDrive"),
        ("/network-interfaces/net1", json!({"iface_id": "net1"}), "UpdateNetwork"),
        ("/balloon", json!({"amount_mib": 1}), "UpdateBalloon"),
        ("/balloon/statistics", json!({"stats_polling_interval_s": 1}), "UpdateBalloonStats"),
        ("/mmds", json!({"latest": null}), "PatchMmds"),
    ];
    cases.into_iter().for_each(|(path, body, action)| check(Method::Patch, path, body, action));
}

#[test]
fn unknown_paths_are_named_by_their_first_part() {
    let words = |method: &str| format!("Invalid request method and/or path: {method} none.");
    refused(Method::Get, "/none/of/it", Value::Null, &words("GET"));
    refused(Method::Put, "/none", json!({}), &words("PUT"));
    refused(Method::Patch, "/none", json!({}), &words("PATCH"));
    refused(Method::Delete, "/none", Value::Null, &words("DELETE"));
    refused(Method::Get, "/vm", Value::Null, "Invalid request method and/or path: GET vm.");
    refused(Method::Get, "/actions", Value::Null, "Invalid request method and/or path: GET actions.");
    refused(Method::Put, "/snapshot/none", json!({}), "Invalid request method and/or path: PUT /snapshot/none.");
    refused(Method::Get, "/balloon/none", Value::Null, "Unrecognized GET request path `none`.");
    refused(Method::Put, "/mmds/none", json!({}), "Unrecognized PUT request path `none`.");
    refused(Method::Patch, "/balloon/none", json!({}), "Unrecognized PATCH request path `none`.");
    refused(Method::Put, "/snapshot", json!({}), "Missing snapshot operation type.");
}

#[test]
fn reading_has_no_body_and_the_rest_has_one() {
    refused(Method::Get, "/", json!({}), "GET request cannot have a body.");
    refused(Method::Put, "/none", Value::Null, "Empty PUT request.");
    refused(Method::Patch, "/none", Value::Null, "Empty PATCH request.");
    refused(Method::Patch, "/machine-config", json!({}), "Empty PATCH request.");
    refused(Method::Delete, "/none", json!({}), "Empty Delete request.");
}

#[test]
fn devices_have_one_name_of_letters_digits_and_underscores() {
    let drive = |id: &str| json!({"drive_id": id, "is_root_device": true});
    for method in [Method::Put, Method::Patch] {
        for path in ["/drives", "/drives/", "/network-interfaces"] {
            refused(method, path, json!({"drive_id": "a"}), "The ID cannot be empty.");
        }
        let words = "API Resource IDs can only contain alphanumeric characters and underscores.";
        refused(method, "/drives/a-b", json!({"drive_id": "a-b"}), words);
    }
    let words = "The id from the path does not match the id from the body!";
    refused(Method::Put, "/drives/a", drive("b"), words);
    refused(Method::Patch, "/drives/a", json!({"drive_id": "b"}), words);
    let words = "The id from the path [a] does not match the id from the body [b]!";
    refused(Method::Put, "/network-interfaces/a", json!({"iface_id": "b", "host_dev_name": "t"}), words);
    refused(Method::Patch, "/network-interfaces/a", json!({"iface_id": "b"}), words);
    check(Method::Put, "/drives/a_1", drive("a_1"), "SetDrive");
}

#[test]
fn bodies_are_json_of_the_right_form() {
    let json = |words: &str| format!("An error occurred when deserializing the json body of a request: {words}.");
    let broken = parse(Method::Put, "/boot-source", b"{").expect_err("half an object").to_string();
    assert_eq!(broken, json("EOF while parsing an object at line 1 column 1"));
    let missing = json("missing field `kernel_image_path` at line 1 column 2");
    refused(Method::Put, "/boot-source", json!({}), &missing);
    let variants = "expected one of `FlushMetrics`, `InstanceStart`, `SendCtrlAltDel`";
    let unknown = json(&format!("unknown variant `Dance`, {variants} at line 1 column 22"));
    refused(Method::Put, "/actions", json!({"action_type": "Dance"}), &unknown);
    let number = json("invalid value: integer `-1`, expected u8 at line 1 column 16");
    refused(Method::Patch, "/machine-config", json!({"vcpu_count": -1}), &number);
    let neither = json("missing field: either `mem_backend` or `mem_file_path` is required");
    refused(Method::Put, "/snapshot/load", json!({"snapshot_path": "s"}), &neither);
    let mac = json("The provided MAC address is invalid. at line 1 column 21");
    refused(Method::Put, "/network-interfaces/a", json!({"guest_mac": "zebra"}), &mac);
}

#[test]
fn old_forms_are_told_to_be_old() {
    let told = |path: &str, body: Value| ask(Method::Put, path, &body).expect("a request").deprecation;
    assert_eq!(told("/vsock", json!({"guest_cid": 3, "uds_path": "v"})), None);
    let old = told("/vsock", json!({"guest_cid": 3, "uds_path": "v", "vsock_id": "v"}));
    assert_eq!(old, Some("PUT /vsock: vsock_id field is deprecated."));
    let old = told("/mmds/config", json!({"network_interfaces": ["a"]}));
    assert_eq!(old, Some("PUT /mmds/config: V1 is deprecated. Use V2 instead."));
    let old = told("/machine-config", json!({"vcpu_count": 1, "mem_size_mib": 1, "cpu_template": "None"}));
    assert_eq!(old, Some("PUT /machine-config: cpu_template field is deprecated."));
    let old = told("/snapshot/load", json!({"snapshot_path": "s", "mem_file_path": "m"}));
    assert!(old.is_some_and(|words| words.starts_with("PUT /snapshot/load: ")));
}
