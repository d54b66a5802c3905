//! `vm-transfer`: what a guest reads from and writes to its disk and its network card in the lab that counts
//! instructions, and how often it leaves its processor for a MiB; beside Debian's QEMU with the same guest.
//!
//! Needs the small kernel, which has the drivers built in (`cargo xtask guest-kernel`).

use anyhow::{Context, Result, bail};
use stockade_tests::{bin, fixtures_dir};

use super::super::Effort;
use super::super::report::{Report, Row};
use super::guest::{Guests, MEMORY_MIB};
use super::session::{self, SMALL_KERNEL, Session, count, row};
use crate::lab::watch::{Phase, Seen};
use crate::setup;

const OURS: &str = "stockade vmm";
const QEMU: &str = "QEMU microvm";
const LAB_MIB: u32 = 3072;
/// What the guest prints when it is done.
const WORD: &str = "all done";
const LINE: &str = "console=ttyS0 reboot=t panic=-1 quiet";
/// How much of each: as in transfer.c.
const TRANSFERS: [(&str, f64); 5] = [
    ("disk, read by 1 MiB", 64.0),
    ("disk, written by 1 MiB", 64.0),
    ("disk, read by 4 KiB", 8.0),
    ("network, sent", 64.0),
    ("network, received", 64.0),
];

/// A disk, a tap, and two who talk to the guest at its other end, until the command ends.
const SET_UP: &str = r#"set -e
cd /var/tmp
cp "$kernel" vmlinux; cp "$guests/transfer.cpio" initrd; cp "$guests/transfer.json" config.json
[ -e stockade ] || cp "$stockade" stockade
[ -e disk ] || head -c 67108864 /dev/urandom >disk
if [ ! -e /sys/class/net/tap9 ]; then
    ip tuntap add tap9 mode tap vnet_hdr
    ip addr add 172.16.9.1/30 dev tap9
    ip link set tap9 up
fi
(while busybox nc -l -p 5000; do :; done) </dev/null >/dev/null 2>&1 &
(while busybox nc -l -p 5001 <disk; do :; done) >/dev/null 2>&1 &
"#;

/// Both VMMs in one lab.
pub fn run(_: &Effort) -> Result<Report> {
    session::need_small_kernel()?;
    setup::run(setup::Scope::Demo)?;
    let guests = Guests::prepare()?;
    guests.prepare_transfers(LINE)?;
    let mut session = Session::exact(LAB_MIB)?;
    let ours = "./stockade vmm --no-api --config-file config.json";
    let mut rows = transfers(&mut session, &guests, OURS, ours)?;
    rows.extend(transfers(&mut session, &guests, QEMU, &qemu())?);
    let title = "a guest's disk and network card in the lab, 1 processor; a millisecond is a million instructions";
    let mut report = Report::of_rows(title, "", rows).side_by_side();
    for (name, _) in TRANSFERS {
        for what in ["ms per MiB", "exits per MiB"] {
            let row = |who: &str| format!("{who}: {name}, {what}");
            report = report.compare(&row(OURS), &row(QEMU), None);
        }
    }
    Ok(report)
}

fn qemu() -> String {
    let machine = "-M microvm,x-option-roms=off,pit=off,pic=off,rtc=off,isa-serial=on -accel kvm -cpu host";
    let disk = "-drive id=disk,file=disk,format=raw,if=none -device virtio-blk-device,drive=disk";
    let network = "-netdev tap,id=net,ifname=tap9,script=no,downscript=no -device virtio-net-device,netdev=net";
    format!(
        "qemu-system-x86_64 {machine} -m {MEMORY_MIB} -nodefaults -no-user-config -nographic -serial stdio \
         -no-reboot -kernel vmlinux -initrd initrd -append '{LINE}' {disk} {network}"
    )
}

fn transfers(session: &mut Session, guests: &Guests, who: &str, vmm: &str) -> Result<Vec<Row>> {
    let script = format!(
        "kernel={} guests={} stockade={}\n{SET_UP}\n{} {vmm}",
        fixtures_dir().join(SMALL_KERNEL).display(),
        guests.path().display(),
        bin("stockade").display(),
        session::watch(&format!("--word '{WORD}' --rounds 1 --guest-mib {MEMORY_MIB}"))?,
    );
    let seen = session.watch(&script).with_context(|| who.to_owned())?;
    let rows = TRANSFERS.iter().map(|(name, mib)| transfer(who, &seen, name, *mib)).collect::<Result<Vec<_>>>()?;
    Ok(rows.concat())
}

/// Its mark comes at its end; the one before has the exits up to its beginning.
fn transfer(who: &str, seen: &Seen, name: &str, mib: f64) -> Result<Vec<Row>> {
    let marks: &[Phase] = seen.rounds.first().map_or(&[], |round| &round.marks);
    let pair = marks.windows(2).find(|pair| pair[1].name == name);
    let came_to = || marks.iter().map(|mark| mark.name.as_str()).collect::<Vec<_>>().join("; ");
    let [before, end] = pair.with_context(|| format!("{who} did not come to: {name}; but to: {}", came_to()))? else {
        bail!("a pair");
    };
    let exits = count(end.exits.saturating_sub(before.exits));
    Ok(vec![
        row(who, &format!("{name}, ms per MiB"), end.ms / mib),
        row(who, &format!("{name}, exits per MiB"), exits / mib),
    ])
}
