//! Networks of class `vm`: a namespace with an interface on a bridge, given to one container after the other.

use stockade_tests::Lab;

use super::Case;
use super::class::script;

pub(crate) const CASES: &[Case] = &[("a given network for class vm", given)];

/// Links of the lab are as before in the end. `tell` says how many redirections and taps of ours a namespace has.
const SCRIPT: &str = r#"set -u
modprobe -a tun veth bridge sch_ingress cls_u32 act_mirred
links() { ip -o link | cut -d: -f2 | cut -d@ -f1; }
links >/run/links
tell() { echo "$1 has $(tc -n $1 qdisc show dev eth0 | grep -c ingress) $(ip -n $1 -o link | grep -c vmtap)"; }
ip link add lab0 type bridge
ip address add 10.88.0.1/24 dev lab0; ip address add fd00:88::1/64 dev lab0 nodad; ip link set lab0 up
for n in 1 2; do
    ip netns add net$n
    ip link add lab$n type veth peer name eth0 netns net$n
    ip link set lab$n master lab0 mtu 1400 up
    ip -n net$n link set eth0 address 02:00:00:00:88:0$n mtu 1400
    ip -n net$n address add 10.88.0.1$n/24 dev eth0; ip -n net$n address add fd00:88::1$n/64 dev eth0 nodad
    ip -n net$n link set eth0 up
    ip -n net$n route add default via 10.88.0.1
done
ip -n net1 route add 10.99.0.0/16 via 10.88.0.9
ip -n net1 neigh add 10.88.0.200 lladdr 02:00:00:00:00:c8 dev eth0 nud permanent
$stockade run -d --isolation vm --name one --network ns:/run/netns/net1 --dns 10.88.0.1 $image sh -c \
    'mkdir /www; echo from one >/www/hello; httpd -h /www; while :; do sleep 1; done' >/dev/null
$stockade exec one sh -c 'cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu; grep nameserver /etc/resolv.conf
    ls /sys/class/net; ip address show dev eth0; ip route; ip neigh'
tell net1
echo "--- both ways"
busybox ping -c 1 -w 20 10.88.0.11 | grep -c 'bytes from 10.88.0.11'
busybox ping -6 -c 1 -w 20 fd00:88::11 | grep -c 'bytes from fd00:88::11'
ask() { printf 'GET /hello HTTP/1.0\r\n\r\n' | "$@" | tail -n 1; }
ask busybox nc -w 20 10.88.0.11 80
ask $stockade run --rm -i --isolation native --network ns:/run/netns/net2 $image nc -w 20 10.88.0.11 80
mkdir /run/www; head -c 1000000 /dev/urandom >/run/www/much
busybox httpd -f -h /run/www -p 10.88.0.1:80 & server=$!
$stockade exec one sh -c 'for peer in 1 12; do ping -c 1 -w 20 10.88.0.$peer | grep -c "bytes from"; done
    printf "GET /much HTTP/1.0\r\n\r\n" | nc -w 60 10.88.0.1 80 | tail -c 1000000 | md5sum' >/run/said
kill $server
head -2 /run/said; tail -1 /run/said | [ "$(cat)" = "$(md5sum </run/www/much)" ] && echo all of it
$stockade stats --no-stream --format '{{.NetIO}}' one | grep -c MB
$stockade run --rm --isolation vm --network ns:/run/netns/net1 $image true 2>&1 | grep -o 'cannot use the tap vmtap'
tell net1
echo "--- killed"
kill -9 $(grep -lz '^stockade-vm-monitor$' /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3)
timeout 20 $stockade wait one
$stockade rm one
tell net1
echo "--- again"
$stockade run --rm --isolation vm --network ns:/run/netns/net1 $image sh -c \
    'until ping -c 1 10.88.0.1 >/dev/null; do sleep 0.1; done; echo there'
tell net1
for n in 1 2; do ip netns del net$n; done
ip link del lab0; umount /run/netns; rmdir /run/netns
links | diff /run/links - && echo all gone
ls /run/vm-state/vm
rm -r /run/links /run/said /run/www
"#;

/// What the namespace has, the guest has; frames cross both ways; nothing stays, however a machine ends.
fn given(lab: &mut Lab) {
    let output = script(lab, SCRIPT, &[]);
    let parts: Vec<&str> = output.stdout.split("--- ").collect();
    assert_eq!(parts.len(), 4, "{output}");
    let seen = "02:00:00:00:88:01\n1400\nnameserver 10.88.0.1\neth0\nlo\n";
    assert!(parts[0].starts_with(seen), "{output}");
    for line in [
        "inet 10.88.0.11/24 ",
        "inet6 fd00:88::11/64 ",
        "default via 10.88.0.1 dev eth0",
        "10.99.0.0/16 via 10.88.0.9 dev eth0",
        "10.88.0.0/24 dev eth0",
        "10.88.0.200 dev eth0 lladdr 02:00:00:00:00:c8",
        "net1 has 1 1\n",
    ] {
        assert!(parts[0].contains(line), "{line}: {output}");
    }
    let heard = "both ways\n1\n1\nfrom one\nfrom one\n1\n1\nall of it\n1\ncannot use the tap vmtap\nnet1 has 1 1\n";
    assert_eq!(parts[1], heard, "{output}");
    assert_eq!(parts[2], "killed\n137\none\nnet1 has 0 0\n", "{output}");
    assert_eq!(parts[3], "again\nthere\nnet1 has 0 0\nall gone\n", "{output}");
}
