//! QEMU's and virtiofsd's command lines.

use std::path::Path;

use crate::machine::{Settings, Time};

/// Where Debian has virtiofsd: the package qemu-system-common of Debian 12, virtiofsd of later ones.
const VIRTIOFSD: &[&str] = &["/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd"];
const QEMU: &str = "/usr/bin/qemu-system-x86_64";

/// Run in a mount namespace of its own. Its words: an empty directory to work in, virtiofsd, QEMU and its words.
/// Standard input is the socket to the lab's agent, which QEMU inherits. virtiofsd locks a file in /run/virtiofsd that
/// it names after its socket, so that two labs need one each.
pub(crate) const START: &str = r#"set -eu
mount -t tmpfs -o size=1m,mode=700 tmpfs "$1"
cd "$1"
shift
mkdir -p /run/virtiofsd
mount -t tmpfs -o size=1m,mode=700 tmpfs /run/virtiofsd
"$1" --socket-path=files.sock -o source=/ -o cache=always -o sandbox=chroot -o xattr -o no_posix_lock \
    --thread-pool-size=2 -o log_level=err -f </dev/null &
files=$!
shift
while [ ! -S files.sock ]; do
    kill -0 "$files"
    sleep 0.02
done
exec "$@"
"#;

/// The programs, or the first that is absent.
pub(crate) fn programs() -> Result<(&'static str, &'static str), &'static str> {
    let virtiofsd = VIRTIOFSD.iter().find(|path| Path::new(path).exists()).ok_or(VIRTIOFSD[0])?;
    let needed = [QEMU, "/usr/bin/setpriv", "/usr/bin/unshare", "/bin/busybox"];
    match needed.into_iter().find(|path| !Path::new(path).exists()) {
        Some(absent) => Err(absent),
        None => Ok((QEMU, virtiofsd)),
    }
}

/// QEMU's words, the program first.
pub(crate) fn words(qemu: &str, settings: &Settings, initramfs: &Path) -> Vec<String> {
    let memory = format!("memory-backend-memfd,id=memory,size={}M,share=on", settings.memory_mib);
    let (accelerator, cpus) = match settings.time {
        Time::Real => ("tcg,thread=multi,tb-size=512", settings.cpus),
        Time::Instructions => ("tcg,tb-size=512", 1),
    };
    let words = [
        qemu,
        "-M",
        "q35,graphics=off,vmport=off,usb=off,sata=off,smbus=off,hpet=off,memory-backend=memory",
        "-accel",
        accelerator,
        "-cpu",
        "EPYC,+svm",
        "-smp",
        &cpus.to_string(),
        "-m",
        &settings.memory_mib.to_string(),
        "-object",
        &memory,
        "-nodefaults",
        "-display",
        "none",
        "-no-reboot",
        "-net",
        "none",
        "-chardev",
        "file,id=console,path=/dev/fd/1",
        "-serial",
        "chardev:console",
        "-device",
        "virtio-serial-pci",
        "-chardev",
        "socket,id=lab,fd=0",
        "-device",
        "virtserialport,chardev=lab,name=lab",
        "-chardev",
        "socket,id=files,path=files.sock",
        "-device",
        "vhost-user-fs-pci,chardev=files,tag=host,queue-size=1024",
        "-kernel",
        &settings.kernel.join("vmlinux").display().to_string(),
        "-initrd",
        &initramfs.display().to_string(),
        "-append",
        &command_line(settings),
    ];
    let exact: &[&str] = if settings.time == Time::Instructions { &["-icount", "shift=0,sleep=off"] } else { &[] };
    words.iter().chain(exact).map(|word| (*word).to_owned()).collect()
}

/// The kernel hands words with `=` and without `.` to its first process as environment variables.
fn command_line(settings: &Settings) -> String {
    let kernel = "console=ttyS0 panic=-1 quiet mitigations=off random.trust_cpu=on nokaslr no_timer_check \
                  rcupdate.rcu_expedited=1 cryptomgr.notests";
    let clock = match settings.time {
        // On a busy host the calibration of the time stamp counter is wrong by any factor, and so is time then. QEMU
        // 7.2 loses an interrupt of the timer now and then while nested guests run: one that was to come once leaves
        // all of the lab asleep, one that is periodic comes again.
        Time::Real => "clocksource=acpi_pm nohz=off highres=off",
        Time::Instructions => "tsc=reliable",
    };
    let (agent, modules) = (settings.agent.display(), settings.kernel.join("modules").display().to_string());
    format!("{kernel} {clock} LAB_AGENT={agent} LAB_MODULES={modules}")
}
