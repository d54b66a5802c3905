//! System calls of x86-64 that are refused with ENOSYS, and why. What stands neither here nor in the table has no name.

use alloc::vec::Vec;

/// A call that is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unserved {
    /// Its number.
    pub number: u32,
    /// Its name in section 2 of the manual.
    pub name: &'static str,
    /// Why.
    pub reason: &'static str,
}

const NOT_YET: &str = "not built yet";
const OBSOLETE: &str = "Linux has none either";
const NUMA: &str = "as Linux without NUMA: memory lies where the host puts it";
const NO_KEYS: &str = "as Linux without keyrings";
const NO_LANDLOCK: &str = "as Linux without Landlock";
const NO_RING: &str = "as Linux without io_uring";
const SEGMENTS: &str = "for programs of 32 bits, which do not run";
const PROTECTION_KEYS: &str = "as Linux on a processor without protection keys";
const PROBES: &str = "probes are the host's";
const NO_MODULES: &str = "as Linux without security modules";
const NEWER: &str = "newer than the Linux that uname(2) names";

macro_rules! unserved {
    ($($number:literal $name:ident $reason:expr;)*) => {
        /// They, by rising number.
        pub const UNSERVED: &[Unserved] =
            &[$(Unserved { number: $number, name: stringify!($name), reason: $reason },)*];
    };
}

unserved! {
    101 ptrace NOT_YET;
    134 uselib OBSOLETE;
    136 ustat "replaced by statfs(2)";
    139 sysfs "replaced by /proc/filesystems";
    154 modify_ldt SEGMENTS;
    156 _sysctl OBSOLETE;
    174 create_module OBSOLETE;
    177 get_kernel_syms OBSOLETE;
    178 query_module OBSOLETE;
    180 nfsservctl OBSOLETE;
    181 getpmsg OBSOLETE;
    182 putpmsg OBSOLETE;
    183 afs_syscall OBSOLETE;
    184 tuxcall OBSOLETE;
    185 security OBSOLETE;
    205 set_thread_area SEGMENTS;
    211 get_thread_area SEGMENTS;
    214 epoll_ctl_old OBSOLETE;
    215 epoll_wait_old OBSOLETE;
    216 remap_file_pages "replaced by mmap(2)";
    236 vserver OBSOLETE;
    237 mbind NUMA;
    238 set_mempolicy NUMA;
    239 get_mempolicy NUMA;
    248 add_key NO_KEYS;
    249 request_key NO_KEYS;
    250 keyctl NO_KEYS;
    256 migrate_pages NUMA;
    279 move_pages NUMA;
    317 seccomp NOT_YET;
    323 userfaultfd "as Linux without it: page faults are the host's";
    330 pkey_alloc PROTECTION_KEYS;
    331 pkey_free PROTECTION_KEYS;
    334 rseq "as Linux without it; refused before the kernel is asked";
    335 uretprobe PROBES;
    336 uprobe PROBES;
    425 io_uring_setup NO_RING;
    426 io_uring_enter NO_RING;
    427 io_uring_register NO_RING;
    440 process_madvise NOT_YET;
    443 quotactl_fd "no file system has quotas";
    444 landlock_create_ruleset NO_LANDLOCK;
    445 landlock_add_rule NO_LANDLOCK;
    446 landlock_restrict_self NO_LANDLOCK;
    447 memfd_secret "as Linux without it: all memory is the host's to see";
    448 process_mrelease NOT_YET;
    450 set_mempolicy_home_node NUMA;
    451 cachestat NOT_YET;
    453 map_shadow_stack "shadow stacks are not given to programs";
    459 lsm_get_self_attr NO_MODULES;
    460 lsm_set_self_attr NO_MODULES;
    461 lsm_list_modules NO_MODULES;
    462 mseal NOT_YET;
    463 setxattrat NEWER;
    464 getxattrat NEWER;
    465 listxattrat NEWER;
    466 removexattrat NEWER;
    468 file_getattr NEWER;
    469 file_setattr NEWER;
}

/// What the C library tries for each program and thread: the platform refuses these by itself.
const TRIED_BY_ALL: &[&str] = &["rseq"];

/// The numbers of unserved calls that are not worth asking about.
pub fn absent_calls() -> Vec<u32> {
    UNSERVED.iter().filter(|call| TRIED_BY_ALL.contains(&call.name)).map(|call| call.number).collect()
}

/// The name of an unserved call.
pub(crate) fn unserved_name(number: u32) -> Option<&'static str> {
    UNSERVED.iter().find(|call| call.number == number).map(|call| call.name)
}

#[cfg(test)]
mod tests {
    use super::super::entry;
    use super::*;

    /// The last number of Linux 6.18 on x86-64, and those that it left out: of other machines, and between the old
    /// numbers and those that all machines share.
    const LAST: u32 = 469;
    const GAPS: [core::ops::RangeInclusive<u32>; 1] = [337..=423];
    /// The host serves it wherever it is called.
    const RESTART: u32 = 219;

    #[test]
    fn every_call_of_the_machine_is_told_of_once() {
        for number in (0..=LAST).filter(|number| *number != RESTART) {
            let told = usize::from(entry(number).is_some()) + usize::from(unserved_name(number).is_some());
            let expected = usize::from(!GAPS.iter().any(|gap| gap.contains(&number)));
            assert_eq!(told, expected, "{number}");
        }
    }

    #[test]
    fn they_stand_in_order_and_one_is_refused_early() {
        assert!(UNSERVED.is_sorted_by_key(|call| call.number));
        assert_eq!(absent_calls(), [334]);
    }
}
