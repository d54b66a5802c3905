//! The driver's report: pairs of a tag and a value (virtio 1.2, 5.5.6.3; later tags from linux/virtio_balloon.h).

use super::super::queue::Chain;
use crate::config::BalloonStats;
use crate::memory::Memory;

const PAIR: usize = 10;
/// Twice as many as there are tags; a driver that repeats itself is cut off.
const PAIRS_MAX: usize = 32;

/// Takes over what a chain reports.
pub fn read(memory: &Memory, chain: &Chain, stats: &mut BalloonStats) {
    let mut bytes = [0; PAIR * PAIRS_MAX];
    let len = chain.read(memory, 0, &mut bytes);
    for pair in bytes[..len].chunks_exact(PAIR) {
        let tag = u16::from_le_bytes([pair[0], pair[1]]);
        let value = pair[2..].try_into().map_or(0, u64::from_le_bytes);
        if let Some(field) = field(stats, tag) {
            *field = Some(value);
        }
    }
}

fn field(stats: &mut BalloonStats, tag: u16) -> Option<&mut Option<u64>> {
    Some(match tag {
        0 => &mut stats.swap_in,
        1 => &mut stats.swap_out,
        2 => &mut stats.major_faults,
        3 => &mut stats.minor_faults,
        4 => &mut stats.free_memory,
        5 => &mut stats.total_memory,
        6 => &mut stats.available_memory,
        7 => &mut stats.disk_caches,
        8 => &mut stats.hugetlb_allocations,
        9 => &mut stats.hugetlb_failures,
        10 => &mut stats.oom_kill,
        11 => &mut stats.alloc_stall,
        12 => &mut stats.async_scan,
        13 => &mut stats.direct_scan,
        14 => &mut stats.async_reclaim,
        15 => &mut stats.direct_reclaim,
        _ => return None,
    })
}
