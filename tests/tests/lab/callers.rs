//! Class `vm` below Debian's containerd and Docker, which know of runc only: one container under each, in a network of
//! CNI's and of Docker's, and all that they do with it.

use std::time::Duration;

use stockade_tests::{Cmd, Lab, bin, fixture, oci_layout};

use super::Case;

pub(crate) const CASES: &[Case] = &[("class vm below containerd and Docker", callers)];

/// Three daemons and as many command lines in Go are emulated: a machine with much else to do takes ten minutes.
const TIMEOUT: Duration = Duration::from_secs(900);

/// Starts both daemons, which share one containerd. The script's words are the programs, the guest's kernel, and a
/// folder of the case. The kernel is where callers that know nothing of it have it looked for.
const START: &str = r#"set -u
oci=$1 stockade=$2 dir=$4
traces() {
    {
        find /proc -maxdepth 2 -name exe -printf '%l\n'
        find /sys/fs/cgroup -type d; find /sys/class/net; find /run/stockade ! -type d; cat /proc/mounts
    } >/run/callers/all 2>/dev/null
    # A kernel thread has no program.
    grep . /run/callers/all | sort >/run/callers/$1
}
mkdir /run/callers /var/tmp/callers && cd /var/tmp/callers
modprobe -a tun veth bridge sch_ingress cls_u32 act_mirred
traces before
cat >containerd.toml <<END
version = 2
root = "$PWD/root"
state = "$PWD/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.tracing",
    "io.containerd.tracing.processor.v1.otlp", "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.native", "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = "$PWD/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "$PWD/opt"
END
cat >docker.json <<END
{"runtimes": {"vm": {"path": "$oci", "runtimeArgs": ["--isolation", "vm"]}}, "default-runtime": "vm",
 "storage-driver": "overlay2", "bip": "10.87.1.1/24", "iptables": false, "ip6tables": false, "ip-forward": false,
 "userland-proxy": false}
END
mkdir -p /etc/cni/net.d /opt/cni && ln -s /usr/lib/cni /opt/cni/bin
cat >/etc/cni/net.d/10-callers.conf <<END
{"cniVersion": "0.4.0", "name": "callers", "type": "bridge", "bridge": "cni-callers", "isGateway": true,
 "ipam": {"type": "host-local", "dataDir": "$PWD/ipam", "subnet": "10.87.2.0/24", "routes": [{"dst": "0.0.0.0/0"}]}}
END
cat >inside <<'END'
trap "echo bye; exit 3" TERM; echo started; hostname; sleep 1000 & wait
END
soon() {
    end=$(($(date +%s) + 400))
    until "$@"; do [ $(date +%s) -lt $end ] || { echo "never: $*"; break; }; sleep 0.2; done
}
# Nothing here runs for so long that collecting garbage pays.
export GOGC=off
containerd --config containerd.toml >containerd.log 2>&1 & containerd=$!
dockerd --config-file docker.json --containerd $PWD/containerd.sock --data-root $PWD/data --exec-root $PWD/exec \
    --pidfile $PWD/docker.pid --host unix://$PWD/docker.sock >docker.log 2>&1 & dockerd=$!
$stockade vm kernel import --modules "$3/modules" "$3/vmlinux" >/dev/null
left() {
    grep -lzE '^(virtiofsd|stockade-[a-z-]+)$' /proc/[0-9]*/cmdline
    find /sys/fs/cgroup /run . -name "*$1*"; grep "$1" /proc/mounts
}
gone() { [ -z "$(left "$1" 2>/dev/null)" ]; }
network='ip -o -4 address show dev eth0 | grep -o "10[.0-9/]*/24"; ip route | grep default
ping -c 1 -w 60 $gateway | grep -c "bytes from"'
nothing_left() { soon gone "$1"; left "$1" 2>/dev/null; echo "nothing left of it"; }
"#;

/// By the annotation, with the runtime in runc's place.
const CONTAINERD: &str = r#"echo "== containerd"
ctr="ctr --address $PWD/containerd.sock"
status() { $ctr task ls | awk '$1 == "callers-web" {print $3}'; }
soon test -S containerd.sock
$ctr image import $dir/busybox.tar >/dev/null || cat containerd.log
$ctr run --rm --cni --annotation dev.stockade.isolation=vm --runc-binary $oci --runc-root $PWD/runtime \
    --fifo-dir $PWD/fifo docker.io/library/busybox:latest callers-web sh -c "$(cat inside)" >out 2>err & run=$!
soon grep -q started out; status
$ctr task exec --exec-id one --fifo-dir $PWD/fifo callers-web sh -c 'echo in exec; grep -c " / virtiofs " /proc/mounts
exit 5'
echo "status $?"
$ctr task exec --exec-id two --fifo-dir $PWD/fifo callers-web sh -c "gateway=10.87.2.1; $network"
busybox ping -c 1 -w 60 10.87.2.2 | grep -c "bytes from"
$ctr task metrics callers-web | grep -c memory.usage_limit
$ctr task pause callers-web; status; $ctr task resume callers-web; status
$ctr task kill --signal SIGTERM callers-web
wait $run; echo "status $?"
cat out; cat err >&2
nothing_left callers-web
"#;

const CONTAINERD_SAYS: &str = "== containerd\nRUNNING\nin exec\n1\nstatus 5\n10.87.2.2/24\n\
                               default via 10.87.2.1 dev eth0 \n1\n1\n1\nPAUSED\nRUNNING\nstatus 3\n\
                               started\n(none)\nbye\nnothing left of it\n";

/// By the runtime's arguments; a volume and Docker's own files come along.
const DOCKER: &str = r#"echo "== Docker"
export DOCKER_HOST=unix://$PWD/docker.sock DOCKER_CONFIG=$PWD/client
soon test -S docker.sock
docker load --quiet --input $dir/busybox.tar >/dev/null || cat docker.log
mkdir shared; echo "of the host" >shared/file
id=$(docker run -d --name web --hostname web -v $PWD/shared:/shared --memory 64m busybox \
    sh -c "$(cat inside)") || cat docker.log
soon grep -q started data/containers/$id/$id-json.log
docker exec web sh -c 'cat /shared/file /etc/hostname; echo "of the guest" >/shared/file
grep -cE " /etc/(hosts|hostname|resolv.conf) virtiofs" /proc/mounts; cat /sys/fs/cgroup/memory.max; exit 5'
echo "status $?"; cat shared/file
docker exec web sh -c "gateway=10.87.1.1; $network"
busybox ping -c 1 -w 60 10.87.1.2 | grep -c "bytes from"
docker exec -t web tty | tr -d '\r'
docker exec web no-such-program >/dev/null; echo "status $?"
docker top web | grep -c stockade-vm-monitor
docker pause web; docker inspect --format '{{.State.Status}}' web; docker unpause web
docker stop -t 60 web
docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' web
docker logs web
docker rm web
nothing_left $id
"#;

const DOCKER_SAYS: &str = "== Docker\nof the host\nweb\n3\n67108864\nstatus 5\nof the guest\n10.87.1.2/24\n\
                           default via 10.87.1.1 dev eth0 \n1\n1\n/dev/pts/0\nstatus 126\n1\n\
                           web\npaused\nweb\nweb\nexited 3\nstarted\nweb\nbye\nweb\nnothing left of it\n";

/// Both leave their containers' parents among the control groups, which go only if they are empty.
const END: &str = r#"echo "== the end"
kill $dockerd; wait $dockerd; kill $containerd; wait $containerd
rmdir /sys/fs/cgroup/default /sys/fs/cgroup/docker
ip link del docker0; ip link del cni-callers; rm -r /etc/cni /opt/cni
cd /; rm -r /var/tmp/callers /var/lib/stockade/*
same() { traces after; cmp -s /run/callers/before /run/callers/after; }
soon same; diff /run/callers/before /run/callers/after && echo "as it was before"
rm -r /run/callers
"#;

const END_SAYS: &str = "== the end\nas it was before\n";

fn callers(lab: &mut Lab) {
    let dir = tempfile::tempdir().expect("make a directory");
    let image = dir.path().join("busybox.tar");
    let from = format!("oci:{}:busybox", oci_layout().display());
    let to = format!("docker-archive:{}:docker.io/library/busybox:latest", image.display());
    Cmd::new("skopeo").args(["copy", "--quiet", &from, &to]).ok();

    let words = [bin("stockade-oci"), bin("stockade"), fixture("lab/kernel"), dir.path().to_owned()];
    let words = words.map(|path| path.display().to_string());
    let shell = ["sh", "-c", &[START, CONTAINERD, DOCKER, END].concat(), "sh"].map(str::to_owned);
    let output = lab.run_for(shell.iter().chain(&words), TIMEOUT);
    assert_eq!(output.stdout, [CONTAINERD_SAYS, DOCKER_SAYS, END_SAYS].concat(), "{output}");
}
