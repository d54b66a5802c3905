//! A microVM's life as its client sees it: what is configured, whether it runs, and what is allowed now.

mod fault;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};
use stockade_vmm::config::{
    CreateSnapshot, DriveUpdate, InstanceInfo, LoadSnapshot, MmdsConfig, NetworkUpdate, SnapshotType, VmConfig, VmState,
};
use stockade_vmm::mmds::{Mmds, SharedMmds};
use tracing::{info, warn};

pub use fault::Fault;
use fault::no_device;

use crate::metrics::Latency;
use crate::{API_VERSION, Action, Controller, ControllerError, Logger, Metrics, Phase};

/// What an action answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It was done.
    Done,
    /// This.
    Json(Value),
}

impl Answer {
    fn of(value: &impl Serialize) -> Self {
        // Keys are strings and nothing in it fails to serialise, so that it cannot.
        Self::Json(serde_json::to_value(value).unwrap_or_default())
    }
}

/// What a session begins with.
#[derive(Debug)]
pub struct Setup {
    /// The microVM.
    pub info: InstanceInfo,
    /// What it is made of so far.
    pub config: VmConfig,
    /// Its metadata.
    pub mmds: Mmds,
    /// The program's log.
    pub logger: Logger,
    /// The program's metrics.
    pub metrics: Metrics,
}

/// One microVM, from its configuration to its end.
#[derive(Debug)]
pub struct Session<C> {
    controller: C,
    info: InstanceInfo,
    config: VmConfig,
    mmds: SharedMmds,
    logger: Logger,
    metrics: Metrics,
}

impl<C: Controller> Session<C> {
    /// A microVM that does not run yet.
    pub fn new(controller: C, setup: Setup) -> Self {
        let Setup { info, config, mut mmds, logger, metrics } = setup;
        if let Some(config) = config.mmds() {
            mmds.configure(config);
        }
        Self { controller, info, config, mmds: Arc::new(Mutex::new(mmds)), logger, metrics }
    }

    /// What it does.
    #[must_use]
    pub fn state(&self) -> VmState {
        self.info.state
    }

    pub(crate) fn metrics(&mut self) -> &mut Metrics {
        &mut self.metrics
    }

    /// Writes a line of metrics, if there is somewhere to write it to.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn flush_metrics(&mut self) -> std::io::Result<()> {
        self.metrics.flush(self.logger.take_missed(), || self.controller.metrics())
    }

    /// Carries out an action.
    ///
    /// # Errors
    /// See the variants of [`Fault`].
    pub fn execute(&mut self, action: Action) -> Result<Answer, Fault> {
        match (action.phase(), self.info.state) {
            (Phase::Before, VmState::Running | VmState::Paused) => Err(Fault::AfterStart),
            (Phase::After, VmState::NotStarted) => Err(Fault::BeforeStart),
            (Phase::Before, VmState::NotStarted) => self.configure(action),
            (Phase::After, _) => self.operate(action),
            (Phase::Any, _) => self.look(action),
        }
    }

    /// What is always allowed.
    fn look(&mut self, action: Action) -> Result<Answer, Fault> {
        match action {
            Action::GetInfo => Ok(Answer::of(&self.info)),
            Action::GetVersion => Ok(Answer::Json(json!({"firecracker_version": API_VERSION}))),
            Action::GetMachine => Ok(Answer::of(self.config.machine())),
            Action::GetBalloon => self.balloon(),
            Action::GetMmds => Ok(Answer::Json(self.document())),
            Action::PutMmds(document) => done(self.mmds().put(document)),
            Action::PatchMmds(patch) => done(self.mmds().patch(patch)),
            _ => Ok(Answer::of(&self.config)),
        }
    }

    /// What is allowed before the start.
    fn configure(&mut self, action: Action) -> Result<Answer, Fault> {
        match action {
            Action::SetBootSource(source) => done(self.config.set_boot_source(source)),
            Action::UpdateMachine(update) => done(self.config.update_machine(&update)),
            Action::SetDrive(drive) => done(self.config.set_drive(drive)),
            Action::SetNetwork(network) => done(self.config.set_network_interface(network)),
            Action::SetVsock(vsock) => done(self.config.set_vsock(vsock)),
            Action::SetBalloon(balloon) => done(self.config.set_balloon(balloon)),
            Action::SetMmdsConfig(mmds) => self.set_mmds(mmds),
            Action::SetLogger(logger) => done(self.logger.configure(&logger).map_err(Fault::Logger)),
            Action::SetMetrics(metrics) => done(self.metrics.open(&metrics).map_err(Fault::Metrics)),
            Action::LoadSnapshot(load) => self.load_snapshot(&load),
            Action::SetEntropy(entropy) => {
                self.config.set_entropy(entropy);
                Ok(Answer::Done)
            }
            _ => self.start(),
        }
    }

    /// What is allowed after the start.
    fn operate(&mut self, action: Action) -> Result<Answer, Fault> {
        match action {
            Action::FlushMetrics => self.flush_metrics_now(),
            Action::SendCtrlAltDel => done(self.controller.send_ctrl_alt_del().map_err(Fault::Internal)),
            Action::Pause => self.pause(),
            Action::Resume => self.resume(),
            Action::UpdateDrive(update) => self.update_drive(&update),
            Action::UpdateNetwork(update) => self.update_network(&update),
            Action::UpdateBalloon(update) => self.resize_balloon(update.amount_mib),
            Action::UpdateBalloonStats(update) => self.set_balloon_interval(update.stats_polling_interval_s),
            Action::CreateSnapshot(create) => self.create_snapshot(&create),
            _ => self.balloon_stats(),
        }
    }

    fn mmds(&self) -> MutexGuard<'_, Mmds> {
        // The document is replaced, never edited: there is no half-changed one to see.
        self.mmds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn document(&self) -> Value {
        match self.mmds().document() {
            Value::Null => json!({}),
            document => document.clone(),
        }
    }

    fn set_mmds(&mut self, config: MmdsConfig) -> Result<Answer, Fault> {
        self.config.set_mmds(config.clone())?;
        self.mmds().configure(&config);
        Ok(Answer::Done)
    }

    /// Builds the microVM and lets it run.
    ///
    /// # Errors
    /// [`Fault::Start`].
    pub fn start(&mut self) -> Result<Answer, Fault> {
        if self.config.boot_source().is_none() {
            let missing = "Cannot start microvm without kernel configuration.";
            return Err(Fault::Start(ControllerError(missing.to_owned())));
        }
        self.controller.start(&self.config, &self.mmds).map_err(Fault::Start)?;
        self.info.state = VmState::Running;
        Ok(Answer::Done)
    }

    fn load_snapshot(&mut self, load: &LoadSnapshot) -> Result<Answer, Fault> {
        if self.config != VmConfig::default() {
            let words = "Loading a microVM snapshot not allowed after configuring boot-specific resources.";
            return Err(Fault::LoadSnapshot(ControllerError(words.to_owned())));
        }
        let begun = Instant::now();
        self.config = self.controller.load_snapshot(load, &self.mmds).map_err(Fault::LoadSnapshot)?;
        self.info.state = VmState::Paused;
        if let Some(config) = self.config.mmds() {
            self.mmds().configure(config);
        }
        if load.resume_vm {
            let failed = |error| ControllerError(format!("Failed to resume microVM: {error}"));
            self.controller.resume().map_err(|error| Fault::LoadSnapshot(failed(error)))?;
            self.info.state = VmState::Running;
        }
        self.took(Latency::LoadSnapshot, "load snapshot", begun);
        Ok(Answer::Done)
    }

    fn create_snapshot(&mut self, create: &CreateSnapshot) -> Result<Answer, Fault> {
        if self.info.state != VmState::Paused {
            let words = "Cannot save the microVM state: Operation not allowed: save/restore unavailable while running";
            return Err(Fault::CreateSnapshot(ControllerError(words.to_owned())));
        }
        let begun = Instant::now();
        self.controller.create_snapshot(create).map_err(Fault::CreateSnapshot)?;
        match create.snapshot_type {
            SnapshotType::Full => self.took(Latency::FullSnapshot, "create full snapshot", begun),
            SnapshotType::Diff => self.took(Latency::DiffSnapshot, "create diff snapshot", begun),
        }
        Ok(Answer::Done)
    }

    fn pause(&mut self) -> Result<Answer, Fault> {
        let begun = Instant::now();
        self.controller.pause().map_err(Fault::Internal)?;
        self.info.state = VmState::Paused;
        self.took(Latency::Pause, "pause vm", begun);
        Ok(Answer::Done)
    }

    fn resume(&mut self) -> Result<Answer, Fault> {
        let begun = Instant::now();
        self.controller.resume().map_err(Fault::Internal)?;
        self.info.state = VmState::Running;
        self.took(Latency::Resume, "resume vm", begun);
        Ok(Answer::Done)
    }

    fn took(&mut self, latency: Latency, what: &str, begun: Instant) {
        let duration = begun.elapsed();
        self.metrics.took(latency, duration);
        info!("'{what}' API request took {} us.", duration.as_micros());
    }

    fn update_drive(&mut self, update: &DriveUpdate) -> Result<Answer, Fault> {
        let updated = self.config.with_drive(update).ok_or_else(|| Fault::DriveUpdate(no_device()))?;
        if update.path_on_host.is_none() && update.rate_limiter.is_none() {
            let words = "Block: Running method expected different backend.";
            return Err(Fault::DriveUpdate(ControllerError(words.to_owned())));
        }
        self.controller.update_drive(update).map_err(Fault::DriveUpdate)?;
        self.config = updated;
        Ok(Answer::Done)
    }

    fn update_network(&mut self, update: &NetworkUpdate) -> Result<Answer, Fault> {
        let updated = self.config.with_network(update).ok_or_else(|| Fault::NetworkUpdate(no_device()))?;
        self.controller.update_network(update).map_err(Fault::NetworkUpdate)?;
        self.config = updated;
        Ok(Answer::Done)
    }

    fn balloon(&self) -> Result<Answer, Fault> {
        match (self.config.balloon(), self.info.state) {
            (Some(balloon), _) => Ok(Answer::of(balloon)),
            (None, VmState::NotStarted) => Err(stockade_vmm::config::BalloonConfigError::DeviceNotFound.into()),
            (None, _) => Err(Fault::Internal(no_device())),
        }
    }

    fn balloon_stats(&mut self) -> Result<Answer, Fault> {
        let balloon = self.config.balloon().ok_or_else(|| Fault::Internal(no_device()))?;
        if balloon.stats_polling_interval_s == 0 {
            let words = "Balloon: Received stats query when stats are disabled.";
            return Err(Fault::Internal(ControllerError(words.to_owned())));
        }
        let stats = self.controller.balloon_stats().map_err(Fault::Internal)?;
        Ok(Answer::of(&stats))
    }

    fn resize_balloon(&mut self, amount_mib: u32) -> Result<Answer, Fault> {
        let mut balloon = self.config.balloon().cloned().ok_or_else(|| Fault::BalloonUpdate(no_device()))?;
        balloon.amount_mib = amount_mib;
        let mut config = self.config.clone();
        config.set_balloon(balloon).map_err(|_| {
            let words = format!("Balloon: Requested memory should be less than {amount_mib}MiB");
            Fault::BalloonUpdate(ControllerError(words))
        })?;
        self.controller.resize_balloon(amount_mib).map_err(Fault::BalloonUpdate)?;
        self.config = config;
        Ok(Answer::Done)
    }

    fn set_balloon_interval(&mut self, seconds: u16) -> Result<Answer, Fault> {
        let mut balloon = self.config.balloon().cloned().ok_or_else(|| Fault::BalloonUpdate(no_device()))?;
        if balloon.stats_polling_interval_s == seconds {
            return Ok(Answer::Done);
        }
        if balloon.stats_polling_interval_s == 0 || seconds == 0 {
            let words = "Balloon: Statistics cannot be enabled/disabled after activation.";
            return Err(Fault::BalloonUpdate(ControllerError(words.to_owned())));
        }
        self.controller.set_balloon_interval(seconds).map_err(Fault::BalloonUpdate)?;
        balloon.stats_polling_interval_s = seconds;
        self.config.set_balloon(balloon)?;
        Ok(Answer::Done)
    }

    fn flush_metrics_now(&mut self) -> Result<Answer, Fault> {
        self.flush_metrics().map_err(|error| {
            warn!("cannot write metrics: {error}");
            Fault::Internal(ControllerError(format!("Metrics error: {error}")))
        })?;
        Ok(Answer::Done)
    }
}

fn done<E: Into<Fault>>(outcome: Result<(), E>) -> Result<Answer, Fault> {
    outcome.map(|()| Answer::Done).map_err(Into::into)
}
