//! Directories and files of the host in guests of class `vm`: bundles through `stockade-oci`, volumes through
//! `stockade`, and the file servers that show them.

use std::fs;

use serde_json::{Value, json};
use stockade_tests::{Bundle, Lab, Output, bin, fixture, rootfs};

use super::Case;

pub(crate) const CASES: &[Case] = &[
    ("a bundle in class vm, with what it binds", bundle),
    ("a bundle's verbs in class vm, and the end of its file server", verbs),
    ("volumes of class vm, and the end of a machine that has some", volumes),
];

/// Variables and functions of every script: its first words are both programs, the guest's kernel, busybox, and a
/// folder of the case.
const BEGINNING: &str = r#"set -u
export STOCKADE_ROOT=/var/tmp/share-root
oci="$1 --root /run/share-oci --isolation vm"
stockade="$2 --state /run/share-state"
servers() { grep -lz '^virtiofsd$' /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3; }
monitors() { grep -lz '^stockade-vm-monitor$' /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3; }
soon() { for i in $(seq 100); do "$@" && return; sleep 0.2; done; echo "never: $*"; }
left() { servers; monitors; find /sys/fs/cgroup -type d -name "*share*"; ls /run/share-oci; grep /share /proc/mounts; }
clean() { [ -z "$(left)" ]; }
[ -d $STOCKADE_ROOT ] || $stockade vm kernel import --modules "$3/modules" "$3/vmlinux" >/dev/null || exit
mkdir -p /var/tmp/share/bundle /var/tmp/share/data && cd /var/tmp/share
[ -d bundle/rootfs ] || cp -a "$4" bundle/rootfs
echo "of the host" >data/hello; echo single >single
"#;

fn script(lab: &mut Lab, text: &str, dir: &std::path::Path) -> Output {
    let words = [bin("stockade-oci"), bin("stockade"), fixture("lab/kernel"), rootfs("busybox"), dir.to_owned()];
    let words = words.map(|path| path.display().to_string());
    let shell = ["sh".to_owned(), "-c".to_owned(), format!("{BEGINNING}{text}"), "sh".to_owned()];
    lab.run(shell.iter().chain(&words))
}

/// A folder with a config.json.
fn config(change: impl FnOnce(&mut Value), args: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("make a directory");
    let mut config = Bundle::config_for(args);
    change(&mut config);
    fs::write(dir.path().join("config.json"), config.to_string()).expect("write config.json");
    dir
}

fn bind(source: &str, destination: &str, access: &str) -> Value {
    json!({"destination": destination, "type": "bind", "source": source, "options": ["rbind", "rprivate", access]})
}

/// What the guest sees, what it may, and what the host sees of it afterwards.
fn bundle(lab: &mut Lab) {
    let inside = r#"cat /data/hello /single; cat /data/absolute /data/relative; stat -c '%u %g' /data/owned
echo "by the guest" >/data/file; chown 1000:1001 /data/file; chmod 4750 /data/file; ln -s /x /data/link
echo changed >/single; echo x >/read-only/x; echo x >/data/hello-too; mv /data/hello-too /data/moved
echo new >/new; grep -c ' virtiofs ' /proc/mounts; awk '$2 ~ "^/(proc|sys|dev|dev/shm)$" {print $3}' /proc/mounts
mknod /data/device c 1 3; ls /sys/class/net; tr a-z A-Z; exit 7"#;
    let mounts = [
        bind("/var/tmp/share/data", "/data", "rw"),
        bind("/var/tmp/share/data", "/read-only", "ro"),
        bind("/var/tmp/share/single", "/single", "rw"),
    ];
    let change = |config: &mut Value| {
        config["mounts"].as_array_mut().expect("mounts").extend(mounts);
        let capabilities = json!(["CAP_CHOWN", "CAP_FOWNER", "CAP_FSETID", "CAP_MKNOD"]);
        for set in ["bounding", "effective", "permitted"] {
            config["process"]["capabilities"][set] = capabilities.clone();
        }
    };
    let dir = config(change, &["sh", "-c", inside]);
    let text = r#"cp "$5/config.json" bundle/
echo secret >secret; ln -s /var/tmp/share/secret data/absolute; ln -s ../secret data/relative
touch data/owned; chown 12345:100000 data/owned
echo words | timeout 200 $oci run --bundle bundle share-one; echo "status $?"
stat -c '%u %g %a' data/file; cat data/file single data/moved bundle/rootfs/new; readlink data/link
ls data; soon clean; left
"#;
    let output = script(lab, text, dir.path());
    let inside = "of the host\nsingle\n12345 100000\n";
    assert!(output.stdout.starts_with(inside), "{output}");
    assert!(output.stdout.contains("\n4\nproc\ntmpfs\ntmpfs\nsysfs\nlo\nWORDS\nstatus 7\n"), "{output}");
    for error in
        ["/data/absolute': No such", "/data/relative': No such", "Read-only file system", "mknod: /data/device"]
    {
        assert!(output.stderr.contains(error), "{error}: {output}");
    }
    let host =
        "1000 1001 4750\nby the guest\nchanged\nx\nnew\n/x\nabsolute\nfile\nhello\nlink\nmoved\nowned\nrelative\n";
    assert!(output.stdout.ends_with(&format!("status 7\n{host}")), "{output}");
}

/// A read-only root is one at the host, too; a network that comes before the start, as Docker gives it; what the server
/// is, and that without it there is no machine.
fn verbs(lab: &mut Lab) {
    let change = |config: &mut Value| {
        config["root"]["readonly"] = json!(true);
        for set in ["bounding", "effective", "permitted"] {
            config["process"]["capabilities"][set] = json!(["CAP_NET_RAW"]);
        }
    };
    let dir = config(change, &["sh", "-c", "echo up; sleep 1000"]);
    let text = r#"cp "$5/config.json" bundle/
modprobe -a tun veth sch_ingress cls_u32 act_mirred
$oci create --bundle bundle --pid-file pid share-two >out 2>&1 </dev/null || cat out
is() { [ "$($oci state share-two | grep -o '"status": *"[a-z]*"' | cut -d'"' -f4)" = "$1" ]; }
is created && echo created
ip link add share0 type veth peer name eth0 netns $(cat pid)
ip address add 10.87.0.1/24 dev share0; ip link set share0 up
in_it() { nsenter -t $(cat pid) -n "$@"; }
in_it ip link set eth0 address 02:00:00:00:87:02 mtu 1300 up
in_it ip address add 10.87.0.2/24 dev eth0; in_it ip route add default via 10.87.0.1
$oci start share-two && soon grep -q up out && is running && echo running
$oci exec share-two sh -c 'echo in exec; touch /x; exit 5'; echo "status $?"
$oci exec share-two sh -c 'cd /sys/class/net; ls; cat eth0/address eth0/mtu; ip route | grep default
    ping -c 1 -w 20 10.87.0.1 | grep -c "bytes from"'
busybox ping -c 1 -w 20 10.87.0.2 | grep -c "bytes from"
server=$(servers)
grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/$server/status | tr '\n\t' '  '; echo
awk '$5 == "/" {print substr($6, 1, 3)}' /proc/$server/mountinfo
ls /proc/$server/root | tr '\n' ' '; echo
[ "$(readlink /proc/$server/ns/net)" = "$(readlink /proc/$(monitors)/ns/net)" ] && echo beside the monitor
[ "$(cat /proc/$server/cgroup)" = "$(cat /proc/$(monitors)/cgroup)" ] && echo in its group
for kind in user mnt pid ipc net uts; do
    [ "$(readlink /proc/$server/ns/$kind)" = "$(readlink /proc/self/ns/$kind)" ] && echo "the host's $kind"
done
kill -9 $server
soon is stopped
$oci delete share-two; soon clean; left
gone() { ! ip link show share0 >/dev/null 2>&1; }; soon gone
"#;
    let output = script(lab, text, dir.path());
    let network = "eth0\nlo\n02:00:00:00:87:02\n1300\ndefault via 10.87.0.1 dev eth0 \n1\n1\n";
    let beginning = format!("created\nrunning\nin exec\nstatus 5\n{network}");
    assert!(output.stdout.starts_with(&beginning), "{output}");
    assert!(output.stderr.contains("Read-only file system"), "{output}");
    // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID and SETFCAP.
    let jailed = "CapEff: 00000000800000db NoNewPrivs: 1 Seccomp: 2 \nro,\nbin ";
    assert!(output.stdout.contains(jailed), "{output}");
    assert!(output.stdout.ends_with("\nbeside the monitor\nin its group\n"), "{output}");
}

/// `-v` of a directory and of a file, a named volume that the image fills, and an anonymous one.
fn volumes(lab: &mut Lab) {
    let dir = tempfile::tempdir().expect("make a directory");
    let text = r#"image=localhost/busybox:share
$stockade image import "$4" $image >/dev/null || exit
id=$($stockade run -d --name share-three --isolation vm -v $PWD/data:/data -v $PWD/single:/etc/single:ro \
    -v filled:/etc -v /anonymous $image \
    sh -c 'cat /data/hello /etc/single; touch /anonymous/x && echo volumes; sleep 1000')
soon sh -c "$stockade logs share-three | grep -q volumes"; $stockade logs share-three
$stockade exec share-three sh -c 'echo x >/etc/single || echo refused; echo own >/etc/own' 2>/dev/null
ls $STOCKADE_ROOT/volumes/filled/_data | grep -cE '^(own|passwd)$'
servers | wc -l
ls /run/share-state/vm/$id/*.sock | wc -l
kill -9 $(monitors); timeout 20 $stockade wait share-three
soon clean; servers
$stockade rm -v share-three
find /sys/fs/cgroup -type d -name "*$id*"; ls /run/share-state/vm
cd /; rm -r /var/tmp/share /var/tmp/share-root /run/share-state /run/share-oci
"#;
    let output = script(lab, text, dir.path());
    let seen = "of the host\nsingle\nvolumes\nrefused\n2\n4\n1\n137\nshare-three\n";
    assert_eq!(output.stdout, seen, "{output}");
}
