//! The network as a guest sees it: a tap, and the metadata service on its link.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::json;
use stockade_tests::Cmd;

use super::super::guest::Vmm;
use super::devices::configured;

const SERVICE: &str = "169.254.169.254";

pub(super) fn configure(vmm: &Vmm) {
    let card = json!({"iface_id": "eth0", "host_dev_name": "tap1", "guest_mac": "06:00:AC:10:01:02", "mtu": 1400});
    vmm.put("/network-interfaces/eth0", card);
    vmm.put("/mmds/config", json!({"version": "V2", "network_interfaces": ["eth0"]}));
    vmm.put("/mmds", json!({"latest": {"name": "box", "tags": {"a": "1"}}}));
}

pub(super) fn look(vmm: &mut Vmm) {
    let seen =
        vmm.sh("cd /sys/class/net/eth0; cat address mtu; ip addr add 172.16.1.2/30 dev eth0; ip link set eth0 up");
    assert_eq!(seen, "06:00:ac:10:01:02\n1400");
    vmm.sh("ping -c 1 172.16.1.1");
    Cmd::new("busybox").args(["ping", "-c", "1", "172.16.1.2"]).ok();
    sends(vmm);
    receives(vmm);
    let limits = json!({"bandwidth": {"size": 1_000_000, "refill_time": 100, "one_time_burst": null}, "ops": null});
    vmm.patch("/network-interfaces/eth0", json!({"iface_id": "eth0", "rx_rate_limiter": limits}));
    assert_eq!(configured(vmm, "network-interfaces", "iface_id", "eth0")["rx_rate_limiter"], limits);
    vmm.sh("ping -c 1 172.16.1.1");
}

fn sends(vmm: &mut Vmm) {
    let listener = TcpListener::bind("172.16.1.1:7000").expect("listen");
    let reader = thread::spawn(move || {
        let (mut peer, _) = listener.accept().expect("the guest's connection");
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).expect("receive");
        bytes
    });
    vmm.sh("yes sent | head -c 400000 | nc 172.16.1.1 7000");
    let bytes = reader.join().expect("no panic");
    assert!(bytes.len() == 400_000 && bytes.chunks(5).all(|line| line == b"sent\n"), "{} bytes", bytes.len());
}

fn receives(vmm: &mut Vmm) {
    let bytes = b"received\n".repeat(40_000);
    vmm.send("nc -l -p 7001 | md5sum | cut -c 1-32");
    let mut stream = vmm.wait_for("listener in the guest", || TcpStream::connect("172.16.1.2:7001").ok());
    stream.write_all(&bytes).expect("send");
    drop(stream);
    let sum = Cmd::new("md5sum").input(bytes).ok().out()[..32].to_owned();
    assert_eq!(vmm.receive(), (0, sum));
}

/// Sessions by tokens, answers by wget, and changes while the guest runs.
pub(super) fn metadata(vmm: &mut Vmm) {
    vmm.sh(&format!("ip route add {SERVICE} dev eth0"));
    let (status, said) = vmm.run(&format!("wget -q -O - http://{SERVICE}/latest/name"));
    assert!(status != 0 && said.contains("401"), "{status} {said}");
    let ask = format!(
        r"printf 'PUT /latest/api/token HTTP/1.1\r\nHost: x\r\nX-metadata-token-ttl-seconds: 600\r\n\r\n' |
        nc {SERVICE} 80 | tail -n 1 >/tmp/token
        get() {{ wget -q -O - --header 'X-metadata-token: '$(cat /tmp/token) http://{SERVICE}$1; }}"
    );
    let seen = vmm.sh(&format!("{ask}\nget /latest/name; echo; get /latest/"));
    assert_eq!(seen, "box\nname\ntags/");
    vmm.patch("/mmds", json!({"latest": {"name": "crate"}}));
    assert_eq!(vmm.sh(&format!("{ask}\nget /latest/name")), "crate");
}
