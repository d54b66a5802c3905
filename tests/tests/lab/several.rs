//! Class `vm`: several containers in one machine, which share its kernel and its network and nothing else.

use stockade_tests::Lab;

use super::Case;
use super::class::script;

pub(crate) const CASES: &[Case] = &[("several containers in one machine of class vm", several)];

/// There is room for two that join. From a file: busybox's nc ends when its peer has no more to say, even before it has
/// read what it is to send.
const SCRIPT: &str = r#"monitors() { grep -lz '^stockade-vm-monitor$' /proc/[0-9]*/cmdline 2>/dev/null | wc -l; }
join() { $stockade run --isolation vm --network container:first "$@"; }
say() { "$@"; echo "status $?"; }
disks() { $stockade exec first sh -c 'ls -d /sys/block/vd* | wc -l'; }
until_is() {
    for i in $(seq 200); do
        [ "$(eval "$2" | tr -d '\n')" = "$1" ] && return
        sleep 0.1
    done
    echo "never $1: $(eval "$2")"
}
ask='until nc 127.0.0.1 7000; do sleep 0.1; done'
first=$($stockade run -d --isolation vm --name first --annotation dev.stockade.vm.slots=4 $image sh -c \
    'echo hello >/hello; while :; do nc -l -p 7000 </hello; done')
second=$(join -d --name second --memory 64m --pids-limit 20 $image sh -c \
    "$ask; trap 'echo bye; exit 3' TERM; while :; do sleep 0.1; done")
join -d --name third $image sh -c "$ask; sleep 1000; :" >/dev/null
until_is hellohello '$stockade logs second; $stockade logs third'
echo "$(monitors) machine, $(disks) disks"
say join --rm $image true 2>&1
say join --rm -v /var/tmp:/x $image true 2>&1
$stockade exec second sh -c 'echo mine >/mine; cd /sys/fs/cgroup; cat memory.max pids.max'
say $stockade exec first test -e /mine
say $stockade exec third test -e /mine
echo words | $stockade exec -i third cat
$stockade top second | grep -c trap
$stockade stats --no-stream --format '{{.Name}} {{.PIDs}}' third
$stockade pause second
say $stockade exec second true 2>&1
$stockade exec third echo third goes on
$stockade unpause second
echo "--- one ends"
$stockade stop second
$stockade logs second
$stockade ps -a --format '{{.Names}} {{.Status}}' | grep ^second
until_is 4 disks
say join --rm $image sh -c "$ask; exit 7"
until_is 4 disks
$stockade start second
say $stockade exec second cat /mine
$stockade kill third
$stockade wait third
until_is 4 disks
say $stockade exec second sh -c "$ask; exit 7"
echo "--- all end"
$stockade rm -f first
$stockade wait second
$stockade rm second third
echo "$(monitors) machines"
ls /run/vm-state/vm
find /sys/fs/cgroup /var/tmp/vm-root -name "*$first*" -o -name "*$second*"
"#;

/// Each has its own root, processes, limits and end; the first takes the machine with it.
fn several(lab: &mut Lab) {
    let output = script(lab, SCRIPT, &[]);
    let parts: Vec<&str> = output.stdout.split("--- ").collect();
    assert_eq!(parts.len(), 3, "{output}");
    assert!(parts[0].starts_with("1 machine, 6 disks\n"), "{output}");
    for said in ["no empty slot", "of the 4 for disks", "dev.stockade.vm.slots", "got all its shares", "status 125\n"] {
        assert!(parts[0].contains(said), "{said}: {output}");
    }
    let lives = "\n67108864\n20\nstatus 1\nstatus 1\nwords\n1\nthird 2\nsecond\n";
    assert!(parts[0].contains(lives), "{output}");
    assert!(parts[0].ends_with("status 1\nthird goes on\nsecond\n"), "{output}");
    assert!(parts[1].starts_with("one ends\nsecond\nhello\nbye\nsecond Exited (3)"), "{output}");
    let again = "\nhello\nstatus 7\nsecond\nmine\nstatus 0\nthird\n137\nhello\nstatus 7\n";
    assert!(parts[1].ends_with(again), "{output}");
    assert_eq!(parts[2], "all end\nfirst\n137\nsecond\nthird\n0 machines\n", "{output}");
}
