//! What clients can ask for.

use serde_json::Value;
use stockade_vmm::config::{
    BalloonConfig, BalloonStatsUpdate, BalloonUpdate, BootSource, CreateSnapshot, DriveConfig, DriveUpdate,
    EntropyConfig, LoadSnapshot, LoggerConfig, MachineUpdate, MetricsConfig, MmdsConfig, NetworkConfig, NetworkUpdate,
    VsockConfig,
};

/// A request of the right form. Whether it can be carried out is another matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `GET /`
    GetInfo,
    /// `GET /version`
    GetVersion,
    /// `GET /vm/config`
    GetConfig,
    /// `GET /machine-config`
    GetMachine,
    /// `GET /balloon`
    GetBalloon,
    /// `GET /balloon/statistics`
    GetBalloonStats,
    /// `GET /mmds`
    GetMmds,
    /// `PUT /actions`, `InstanceStart`
    Start,
    /// `PUT /actions`, `FlushMetrics`
    FlushMetrics,
    /// `PUT /actions`, `SendCtrlAltDel`
    SendCtrlAltDel,
    /// `PUT /boot-source`
    SetBootSource(BootSource),
    /// `PUT` and `PATCH /machine-config`
    UpdateMachine(MachineUpdate),
    /// `PUT /drives/{id}`
    SetDrive(DriveConfig),
    /// `PATCH /drives/{id}`
    UpdateDrive(DriveUpdate),
    /// `PUT /network-interfaces/{id}`
    SetNetwork(NetworkConfig),
    /// `PATCH /network-interfaces/{id}`
    UpdateNetwork(NetworkUpdate),
    /// `PUT /vsock`
    SetVsock(VsockConfig),
    /// `PUT /logger`
    SetLogger(LoggerConfig),
    /// `PUT /metrics`
    SetMetrics(MetricsConfig),
    /// `PUT /mmds`
    PutMmds(Value),
    /// `PATCH /mmds`
    PatchMmds(Value),
    /// `PUT /mmds/config`
    SetMmdsConfig(MmdsConfig),
    /// `PUT /balloon`
    SetBalloon(BalloonConfig),
    /// `PATCH /balloon`
    UpdateBalloon(BalloonUpdate),
    /// `PATCH /balloon/statistics`
    UpdateBalloonStats(BalloonStatsUpdate),
    /// `PUT /entropy`
    SetEntropy(EntropyConfig),
    /// `PATCH /vm`, `Paused`
    Pause,
    /// `PATCH /vm`, `Resumed`
    Resume,
    /// `PUT /snapshot/create`
    CreateSnapshot(CreateSnapshot),
    /// `PUT /snapshot/load`
    LoadSnapshot(LoadSnapshot),
}

/// When an action is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Until the microVM starts.
    Before,
    /// From then on.
    After,
    /// Always.
    Any,
}

impl Action {
    /// When it is allowed.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Self::GetInfo
            | Self::GetVersion
            | Self::GetConfig
            | Self::GetMachine
            | Self::GetBalloon
            | Self::GetMmds
            | Self::PutMmds(_)
            | Self::PatchMmds(_) => Phase::Any,
            Self::Start
            | Self::SetBootSource(_)
            | Self::UpdateMachine(_)
            | Self::SetDrive(_)
            | Self::SetNetwork(_)
            | Self::SetVsock(_)
            | Self::SetLogger(_)
            | Self::SetMetrics(_)
            | Self::SetMmdsConfig(_)
            | Self::SetBalloon(_)
            | Self::SetEntropy(_)
            | Self::LoadSnapshot(_) => Phase::Before,
            Self::GetBalloonStats
            | Self::FlushMetrics
            | Self::SendCtrlAltDel
            | Self::UpdateDrive(_)
            | Self::UpdateNetwork(_)
            | Self::UpdateBalloon(_)
            | Self::UpdateBalloonStats(_)
            | Self::Pause
            | Self::Resume
            | Self::CreateSnapshot(_) => Phase::After,
        }
    }
}
