//! Class `vm` below Debian's containerd and Docker, which know of runc only.

use std::fs;
use std::path::Path;

use serde_json::json;
use stockade_tests::{Cmd, Lab, Output, bin, fixture, oci_layout};

use super::Case;

pub(crate) const CASES: &[Case] = &[("class vm below containerd", containerd), ("class vm below Docker", docker)];

/// Variables and functions of every script: its first words are the programs, the guest's kernel, and a folder of the
/// case. The guest's kernel is where callers that know nothing of it have it looked for.
const BEGINNING: &str = r#"set -u
oci=$1 stockade=$2 dir=$4
mkdir /var/tmp/callers && cd /var/tmp/callers
$stockade vm kernel import --modules "$3/modules" "$3/vmlinux" >/dev/null || exit
soon() { for i in $(seq 200); do "$@" && return; sleep 0.2; done; echo "never: $*"; }
left() { grep -lzE '^(virtiofsd|stockade-vm-monitor)$' /proc/[0-9]*/cmdline; find /sys/fs/cgroup -type d -name "*$1*"; }
clean() { [ -z "$(left "$1" 2>/dev/null)" ]; }
leave() {
    soon clean "$1"; left "$1" 2>/dev/null
    kill $daemon; wait $daemon 2>/dev/null
    cd /; rm -r /var/tmp/callers /var/lib/stockade/*
}
"#;

/// What runs in each container.
const INSIDE: &str =
    r#"trap "echo bye; exit 3" TERM; echo started; cat /proc/sys/kernel/hostname; while :; do sleep 0.1; done"#;

fn script(lab: &mut Lab, text: &str, dir: &Path) -> Output {
    let words = [bin("stockade-oci"), bin("stockade"), fixture("lab/kernel"), dir.to_owned()];
    let words = words.map(|path| path.display().to_string());
    let shell = ["sh", "-c", &format!("{BEGINNING}{text}"), "sh"].map(str::to_owned);
    lab.run(shell.iter().chain(&words))
}

/// A folder with an image's archive as both load it, and what the container is to run.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("make a directory");
    let from = format!("oci:{}:busybox", oci_layout().display());
    let to = format!("docker-archive:{}:docker.io/library/busybox:latest", dir.path().join("busybox.tar").display());
    Cmd::new("skopeo").args(["copy", "--quiet", &from, &to]).ok();
    fs::write(dir.path().join("inside"), INSIDE).expect("write");
    dir
}

/// By the annotation, with the runtime in runc's place.
fn containerd(lab: &mut Lab) {
    let dir = folder();
    let config = "version = 2\nroot = \"/var/tmp/callers/root\"\nstate = \"/var/tmp/callers/state\"\n\
                  disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
                  [grpc]\naddress = \"/var/tmp/callers/sock\"\n\
                  [plugins.\"io.containerd.internal.v1.opt\"]\npath = \"/var/tmp/callers/opt\"\n";
    fs::write(dir.path().join("config.toml"), config).expect("write");
    let text = r#"containerd --config $dir/config.toml >log 2>&1 & daemon=$!
ctr="ctr --address $PWD/sock"
ready() { $ctr version >/dev/null 2>&1; }
soon ready
$ctr image import $dir/busybox.tar >/dev/null || { cat log; exit 1; }
$ctr run --rm --annotation dev.stockade.isolation=vm --runc-binary $oci --runc-root $PWD/runtime --fifo-dir $PWD/fifo \
    docker.io/library/busybox:latest callers-web sh -c "$(cat $dir/inside)" >out 2>err & run=$!
soon grep -q started out || cat err log
$ctr task ls | awk '$1 == "callers-web" {print $3}'
$ctr task exec --exec-id one --fifo-dir $PWD/fifo callers-web \
    sh -c 'echo in exec; grep " / " /proc/mounts | cut -d" " -f3; exit 5'
echo "status $?"
$ctr task metrics callers-web | grep -c memory.usage
$ctr task pause callers-web && $ctr task ls | awk '$1 == "callers-web" {print $3}'; $ctr task resume callers-web
$ctr task kill --signal SIGTERM callers-web
wait $run; echo "status $?"
cat out; $ctr task ls -q; $ctr container ls -q
leave callers-web
rmdir /sys/fs/cgroup/default
"#;
    let output = script(lab, text, dir.path());
    let seen = "RUNNING\nin exec\nvirtiofs\nstatus 5\n";
    assert!(output.stdout.starts_with(seen), "{output}");
    assert!(output.stdout.contains("\nPAUSED\nstatus 3\nstarted\n"), "{output}");
    assert!(output.stdout.ends_with("\nbye\n"), "{output}");
}

/// By the runtime's arguments; a volume and Docker's own files come along.
fn docker(lab: &mut Lab) {
    let dir = folder();
    let vm = json!({"path": bin("stockade-oci"), "runtimeArgs": ["--isolation", "vm"]});
    let config = json!({"runtimes": {"vm": vm}, "default-runtime": "vm", "bridge": "none", "iptables": false});
    fs::write(dir.path().join("daemon.json"), config.to_string()).expect("write");
    let text = r#"dockerd --config-file $dir/daemon.json --data-root $PWD/data --exec-root $PWD/exec \
    --pidfile $PWD/pid --host unix://$PWD/sock --storage-driver overlay2 >log 2>&1 & daemon=$!
export DOCKER_HOST=unix://$PWD/sock DOCKER_CONFIG=$PWD/client
ready() { docker version >/dev/null 2>&1; }
soon ready
docker load --quiet --input $dir/busybox.tar >/dev/null || { cat log; exit 1; }
mkdir shared && echo "of the host" >shared/file
id=$(docker run -d --network none --name web --hostname web -v $PWD/shared:/shared --memory 64m busybox \
    sh -c "$(cat $dir/inside)") || cat log
logged() { docker logs web 2>&1 | grep -q web; }
soon logged; docker logs web
docker exec web sh -c 'cat /shared/file /etc/hostname; echo "of the guest" >/shared/file; exit 5'; echo "status $?"
files='/etc/(hosts|hostname|resolv.conf)'
docker exec web sh -c "grep -cE ' $files virtiofs' /proc/mounts; cat /sys/fs/cgroup/memory.max"
docker exec -t web tty | tr -d '\r'
docker exec web no-such-program >/dev/null 2>&1; echo "status $?"
cat shared/file
docker top web | grep -c stockade
docker inspect --format '{{.State.Status}}' web
docker stop --time 20 web
docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' web
docker logs web
docker rm web
leave $id
rmdir /sys/fs/cgroup/docker 2>/dev/null
"#;
    let output = script(lab, text, dir.path());
    let seen = "started\nweb\nof the host\nweb\nstatus 5\n3\n67108864\n/dev/pts/0\nstatus 126\nof the guest\n";
    assert!(output.stdout.starts_with(seen), "{output}");
    assert!(output.stdout.ends_with("running\nweb\nexited 3\nstarted\nweb\nbye\nweb\n"), "{output}");
}
