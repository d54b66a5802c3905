//! Processes, huge pages, network, RDMA, and v2 files by name.

use std::collections::HashMap;

use oci_spec::runtime::{LinuxHugepageLimit, LinuxNetwork, LinuxPids, LinuxRdma, LinuxResources};
use rustix::io::Errno;

use super::super::file::{self, Presence};
use super::super::{Cgroup, CgroupError, Home};
use super::{home, set};

pub(super) fn apply(cgroup: &Cgroup, resources: &LinuxResources) -> Result<(), CgroupError> {
    if let Some(pids) = resources.pids().as_ref().filter(|pids| pids.limit() != 0) {
        apply_pids(cgroup, pids)?;
    }
    for limit in resources.hugepage_limits().iter().flatten() {
        apply_huge_pages(home(cgroup, "hugetlb")?, limit)?;
    }
    if let Some(network) = resources.network() {
        apply_network(cgroup, network)?;
    }
    if let Some(rdma) = resources.rdma().as_ref().filter(|rdma| !rdma.is_empty()) {
        apply_rdma(home(cgroup, "rdma")?, rdma)?;
    }
    match resources.unified().as_ref().filter(|unified| !unified.is_empty()) {
        Some(unified) => apply_unified(cgroup, unified),
        None => Ok(()),
    }
}

fn apply_pids(cgroup: &Cgroup, pids: &LinuxPids) -> Result<(), CgroupError> {
    let (Home::V1(dir) | Home::V2(dir)) = home(cgroup, "pids")?;
    let limit = if pids.limit() > 0 { pids.limit().to_string() } else { "max".to_owned() };
    file::write(dir, "pids.max", &limit)
}

fn apply_huge_pages(home: Home<'_>, limit: &LinuxHugepageLimit) -> Result<(), CgroupError> {
    let (dir, suffix) = match home {
        Home::V1(dir) => (dir, "limit_in_bytes"),
        Home::V2(dir) => (dir, "max"),
    };
    let (size, value) = (limit.page_size(), limit.limit().to_string());
    if size.contains('/') {
        return Err(CgroupError::invalid("hugepageLimits.pageSize", format!("{size:?} is no page size")));
    }
    file::write(dir, &format!("hugetlb.{size}.{suffix}"), &value)?;
    // Reservations are limited alike; kernels before 5.7 count faults only.
    file::write_if_present(dir, &format!("hugetlb.{size}.rsvd.{suffix}"), &value).map(drop)
}

fn apply_network(cgroup: &Cgroup, network: &LinuxNetwork) -> Result<(), CgroupError> {
    if let Some(class) = set(network.class_id()) {
        let dir = cgroup.has_v1("net_cls").ok_or(CgroupError::NoController("net_cls"))?;
        file::write(dir, "net_cls.classid", &class.to_string())?;
    }
    for priority in network.priorities().iter().flatten() {
        let dir = cgroup.has_v1("net_prio").ok_or(CgroupError::NoController("net_prio"))?;
        file::write(dir, "net_prio.ifpriomap", &format!("{} {}", priority.name(), priority.priority()))?;
    }
    Ok(())
}

fn apply_rdma(home: Home<'_>, rdma: &HashMap<String, LinuxRdma>) -> Result<(), CgroupError> {
    let (Home::V1(dir) | Home::V2(dir)) = home;
    for (device, limits) in rdma {
        let fields = [("hca_handle", limits.hca_handles()), ("hca_object", limits.hca_objects())];
        let fields = fields.into_iter().filter_map(|(name, value)| Some(format!(" {name}={}", value?)));
        file::write(dir, "rdma.max", &format!("{device}{}", fields.collect::<String>()))?;
    }
    Ok(())
}

fn apply_unified(cgroup: &Cgroup, unified: &HashMap<String, String>) -> Result<(), CgroupError> {
    let own = cgroup.v2().filter(|_| cgroup.is_pure_v2());
    let own = own.ok_or_else(|| CgroupError::invalid("unified", "this host's controllers are cgroup v1"))?;
    for (name, value) in unified {
        let Some((controller, _)) = name.split_once('.').filter(|_| !name.contains('/')) else {
            return Err(CgroupError::invalid("unified", format!("{name:?} is not of the form CONTROLLER.FILE")));
        };
        for line in value.lines() {
            match file::write_if_present(&own.path, name, line) {
                Ok(Presence::Present) => {}
                Err(error) if !error.is(Errno::PERM) && !error.is(Errno::ACCESS) => return Err(error),
                _ => return Err(CgroupError::invalid("unified", unified_reason(name, controller, &own.controllers))),
            }
        }
    }
    Ok(())
}

fn unified_reason(name: &str, controller: &str, available: &[String]) -> String {
    if controller == "cgroup" || available.iter().any(|other| other == controller) {
        return format!("{name:?} cannot be written");
    }
    format!("{name:?} cannot be set: controller {controller:?} is not available")
}
