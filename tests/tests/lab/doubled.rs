//! Interrupts that the lab's processor delivers twice. QEMU leaves the vector of an injected interrupt where it takes
//! it for an exception of its own, should it want its processor back at that moment; guests may die of it, whatever
//! their VMM (docs/vm-hosts.md). KVM's trace shows each: an exit with an exception that has a device's vector.

use stockade_tests::Lab;

/// A trace beside those of the cases.
const WATCH: &str = r#"set -e
trace=$(mktemp -d); mount -t tracefs tracefs $trace; mkdir -p $trace/instances/doubled
cd $trace/instances/doubled/events/kvm/kvm_exit
echo '(intr_info & 0x100) && (intr_info & 0xe0)' >filter; echo 1 >enable
cd /; umount $trace; rmdir $trace"#;

const COUNT: &str = r#"trace=$(mktemp -d) && mount -t tracefs tracefs $trace || exit 1
grep -c kvm_exit: $trace/instances/doubled/trace
umount $trace && rmdir $trace"#;

pub(crate) struct Doubled(u64);

impl Doubled {
    /// From now on.
    pub(crate) fn watch(lab: &mut Lab) -> Self {
        let output = lab.run(["sh", "-c", WATCH]);
        assert_eq!(output.code, 0, "{output}");
        Self(0)
    }

    /// How many more than when this was asked last.
    pub(crate) fn more(&mut self, lab: &mut Lab) -> u64 {
        let output = lab.run(["sh", "-c", COUNT]);
        let count = output.out().parse().unwrap_or_else(|_| panic!("{output}"));
        count - std::mem::replace(&mut self.0, count)
    }
}
