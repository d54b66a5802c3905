//! Class `vm` through `stockade`: one image, in a virtual machine and beside it in class `native`.

use stockade_tests::{Lab, Output, bin, fixture, rootfs};

use super::Case;

pub(crate) const CASES: &[Case] = &[
    ("a guest kernel and an image for class vm", set_up),
    ("a container in class vm is what it is in class native", same_as_native),
    ("a container in the background in class vm", in_the_background),
    ("limits in class vm", limits),
    ("a terminal in class vm", terminal),
    ("what a container in class vm wrote stays", kept),
    ("a killed machine of class vm leaves nothing", killed),
];

/// After all that use what [`CASES`] set up.
pub(crate) const END: &[Case] = &[("the image for class vm is removed", clear_up)];

/// Variables of every script.
const BEGINNING: &str = r#"stockade="$1 --root /var/tmp/vm-root --state /run/vm-state"
image=localhost/busybox:lab
"#;

/// Runs a script with the program as `$1` and what it needs from `$2` on.
pub(crate) fn script(lab: &mut Lab, text: &str, arguments: &[String]) -> Output {
    let words = ["sh".to_owned(), "-c".to_owned(), format!("{BEGINNING}{text}"), "sh".to_owned()];
    let program = bin("stockade").display().to_string();
    lab.run(words.iter().chain([&program]).chain(arguments))
}

fn set_up(lab: &mut Lab) {
    let text = r#"set -e
$stockade run --rm --isolation vm $image true 2>&1 | tail -1
$stockade vm kernel import --modules "$2/modules" "$2/vmlinux" >/dev/null
$stockade image import "$3" $image >/dev/null
$stockade info -f '{{range .Classes}}{{.Name}}: {{.Available}} {{.Reason}} {{.Detail}}
{{end}}' | grep ^vm
"#;
    let (kernel, image) = (fixture("lab/kernel"), rootfs("busybox"));
    let output = script(lab, text, &[kernel.display().to_string(), image.display().to_string()]);
    assert!(output.stdout.contains("stockade vm kernel import"), "{output}");
    assert!(output.stdout.contains("vm: true") && output.stdout.contains("guest kernel 6."), "{output}");
}

/// Streams, exit status, user, environment, directory, name, a read-only root: the same words in both classes.
fn same_as_native(lab: &mut Lab) {
    let text = r#"inside='id -u; id -g; pwd; hostname; echo $WORD; tr a-z A-Z; echo to stderr >&2; touch /tmp/x && echo written
touch /y 2>/dev/null || echo read-only; cat /etc/hostname; ls /; ls /proc/self/fd | wc -l; ulimit -n
ls /sys/class/net; exit 7'
for class in native vm; do
    echo 'some input' | $stockade run --rm -i --isolation $class --read-only --tmpfs /tmp --hostname web -e WORD=said \
        -w /usr --user 3:4 $image sh -c "$inside" >/run/$class.out 2>/run/$class.err
    echo "status $?" >>/run/$class.out
done
cat /run/native.out /run/native.err
diff /run/native.out /run/vm.out && diff /run/native.err /run/vm.err && echo the same
rm /run/native.* /run/vm.*
"#;
    let output = script(lab, text, &[]);
    assert!(output.stdout.contains("SOME INPUT") && output.stdout.contains("status 7"), "{output}");
    assert!(output.stdout.ends_with("\nthe same\n"), "{output}");
}

/// One boot, and all that can be done to a container that runs.
fn in_the_background(lab: &mut Lab) {
    let text = r#"for class in native vm; do
$stockade run -d --isolation $class --name $class $image sh -c \
    'trap "echo bye; exit 3" TERM; echo up; sleep 1000 & wait' >/dev/null
done
say() { "$@" 2>&1; echo "status $?"; }
say $stockade exec vm sh -c 'echo in exec; exit 5'
echo words | say $stockade exec -i -e WORD=w --user 5 vm sh -c 'cat; echo $WORD; id -u'
say $stockade exec -t vm tty | tr -d '\r'
head -c 1000000 /dev/urandom >/run/much
$stockade exec -i vm cat </run/much | cmp - /run/much && echo all of it
for missing in nothing /bin /etc/passwd; do
    for class in native vm; do say $stockade exec $class $missing >/run/$class.said; done
    diff /run/native.said /run/vm.said && echo the same error
done
$stockade top vm | grep -c 'sh -c'
$stockade stats --no-stream --format '{{.Name}} {{.PIDs}}' vm
$stockade pause vm && $stockade ps --format '{{.Names}} {{.Status}}' | grep ^vm
$stockade exec vm true 2>&1
$stockade unpause vm && say $stockade exec vm echo again
say $stockade update --pids-limit 30 vm
$stockade update --memory 100g --memory-swap 100g vm 2>&1 | tail -1
say $stockade exec vm cat /sys/fs/cgroup/pids.max
$stockade stop vm
$stockade logs vm
$stockade ps -a --format '{{.Names}} {{.Status}}' | grep ^vm
$stockade rm -f vm native
rm /run/much /run/*.said
"#;
    let output = script(lab, text, &[]);
    for line in [
        "in exec\nstatus 5\nwords\nw\n5\nstatus 0\n/dev/pts/0\nstatus 0\nall of it\n",
        "the same error\nthe same error\nthe same error\n1\nvm 2",
        "(Paused)",
        "is paused, unpause",
        "again\nstatus 0\n",
        "isolation class vm cannot raise the limit of memory",
        "\n30\nstatus 0\n",
        "up\nbye\n",
        "vm Exited (3)",
    ] {
        assert!(output.stdout.contains(line), "{line}: {output}");
    }
}

/// What the guest shows and holds; a machine is as large as its container's limit and its kernel's needs. What was
/// killed for lack of memory is among the events.
fn limits(lab: &mut Lab) {
    let text = r#"$stockade run --rm --isolation vm --guest-kernel none $image true 2>&1 | grep -o 'named none'
limits='--memory 64m --memory-swap 64m --cpus 0.5 --pids-limit 20'
$stockade run --name small --isolation vm --guest-kernel default $limits $image sh -c '
cd /sys/fs/cgroup; cat memory.max cpu.max pids.max; nproc
awk "/MemTotal/{print \$2 < 170000}" /proc/meminfo
dd if=/dev/zero of=/dev/null bs=100M count=1 2>/dev/null; echo "status $?"; sleep 1' | tr '\n' ' '
$stockade events --since 10m --until 0s --filter event=oom | grep -c 'container oom .*small'
$stockade rm small >/dev/null
"#;
    let output = script(lab, text, &[]);
    assert_eq!(output.stdout, "named none\n67108864 50000 100000 20 1 1 status 137 1\n", "{output}");
}

/// A terminal from end to end: its size and its changes, what is typed, Ctrl-C, and the exit status.
fn terminal(lab: &mut Lab) {
    let text = r#"cat >/run/inside <<'END'
trap "echo interrupted; exit 4" INT
tty; stty size; until [ "$(stty size)" = "44 88" ]; do sleep 0.1; done; echo larger
read line; echo "got $line"; while :; do sleep 0.1; done
END
cat >/run/outside <<END
stty rows 33 cols 77
(until grep -q '33 77' /run/said; do sleep 0.1; done; stty rows 44 cols 88 </dev/tty) &
$stockade run --rm -it --isolation vm $image sh -c '$(cat /run/inside)'
echo "status \$?"
END
seen() { timeout 200 sh -c "until grep -q '$1' /run/said; do sleep 0.1; done"; }
touch /run/said
{ seen larger; echo words; seen 'got words'; printf '\003'; seen status; } |
    script -qf -c 'sh /run/outside' /run/said >/dev/null
tr -d '\r' </run/said
rm /run/said /run/inside /run/outside
"#;
    let output = script(lab, text, &[]);
    for line in ["/dev/pts/0\n33 77\nlarger\n", "got words\n", "interrupted\nstatus 4\n"] {
        assert!(output.stdout.contains(line), "{line}: {output}");
    }
}

/// The writable layer is a disk as large as was asked for, which stays until the container goes.
fn kept(lab: &mut Lab) {
    let text = r#"size() { du -k $(find /var/tmp/vm-root -name disk.ext4) | cut -f1; }
$stockade run --name kept --isolation vm --annotation dev.stockade.vm.writable=64m $image sh -c '
if [ -e /etc/kept ]; then cat /etc/kept; exit; fi
echo words >/etc/kept; rm /etc/passwd; 
df -k / | tail -1 | { read disk total rest; [ $total -gt 50000 ] && [ $total -lt 65536 ] && echo fits; }
dd if=/dev/zero of=/fill bs=1M count=100 2>&1 | grep -o "No space.*"; rm /fill; sync; sleep 2'
[ $(size) -lt 30000 ] || size
$stockade start kept && $stockade wait kept && $stockade logs kept | tail -1
$stockade rm kept
find /var/tmp/vm-root -name '*.ext4'
"#;
    let output = script(lab, text, &[]);
    assert_eq!(output.stdout, "fits\nNo space left on device\nkept\n0\nwords\nkept\n", "{output}");
}

/// The sandbox ends with its machine, its proxy says so, and the next commands clear up. What the container had synced
/// is there when it is started again.
fn killed(lab: &mut Lab) {
    let text = r#"id=$($stockade run -d --isolation vm --name gone $image sleep 1000)
[ "$(find /sys/fs/cgroup -type d -name "*$id*")" ] && echo has a control group
monitors() { grep -lz '^stockade-vm-monitor$' /proc/[0-9]*/cmdline 2>/dev/null; }
pid=$(monitors | cut -d/ -f3)
grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/$pid/status | tr '\n\t' '  '
ls /proc/$pid/root/
cat $(find /sys/fs/cgroup -path "*$id*" -name pids.max) | grep -c '^257$'
$stockade exec gone sh -c 'echo synced >/etc/synced; sync'
kill -9 $pid
timeout 20 $stockade wait gone
$stockade start gone
$stockade exec gone cat /etc/synced
$stockade rm -f gone
monitors
find /sys/fs/cgroup -type d -name "*$id*"
ls /run/vm-state/vm
"#;
    let output = script(lab, text, &[]);
    assert!(
        output.stdout.starts_with("has a control group\nCapEff: 0000000000000000 NoNewPrivs: 1 Seccomp: 2 "),
        "{output}"
    );
    assert!(output.stdout.ends_with(" proc\n1\n137\ngone\nsynced\ngone\n"), "{output}");
}

fn clear_up(lab: &mut Lab) {
    let output = script(lab, "rm -r /var/tmp/vm-root /run/vm-state", &[]);
    assert_eq!(output.code, 0, "{output}");
}
