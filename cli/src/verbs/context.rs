//! What every verb starts from: the config file, the directories, and the engine and store once they are needed.

use std::path::Path;

use anyhow::{Context as _, Result};
use stockade_engine::{DetachKeys, Directories, Engine};
use stockade_image::Store;
use tracing::level_filters::LevelFilter;

use super::backend::Binary;
use crate::args::{Global, LogFormat, LogLevel};
use crate::config::Config;

/// The settings of this invocation.
pub struct Context {
    /// The config file's.
    pub config: Config,
    /// Where things are.
    pub directories: Directories,
}

impl Context {
    /// Reads the config file; flags rank above it.
    pub fn new(global: &Global) -> Result<Self> {
        let config = Config::load(global.config.as_deref())?;
        start_log(global, &config)?;
        let root = global.root.as_deref().unwrap_or(&config.root);
        let beside_root = global.root.as_ref().map(|root| root.join("run"));
        let state = global.state.as_deref().or(beside_root.as_deref()).unwrap_or(&config.state);
        let directories = Self::directories(root, state)?;
        Ok(Self { config, directories })
    }

    fn directories(root: &Path, state: &Path) -> Result<Directories> {
        Directories::new(root, state).with_context(|| format!("find {}", root.display()))
    }

    /// The engine.
    pub fn engine(&self) -> Result<Engine> {
        Ok(Engine::open(self.directories.clone(), Box::new(Binary))?)
    }

    /// The image store.
    pub fn store(&self) -> Result<Store> {
        Ok(Store::open(&self.directories.images(), self.config.image.clone())?)
    }

    /// The detach keys of a flag, or the config file's.
    pub fn detach_keys(&self, flag: Option<&str>) -> Result<DetachKeys> {
        Ok(flag.unwrap_or(&self.config.detach_keys).parse()?)
    }
}

fn start_log(global: &Global, config: &Config) -> Result<()> {
    let level = match (global.debug, global.log_level) {
        (true, _) => LevelFilter::DEBUG,
        (false, Some(level)) => level.into(),
        (false, None) => config.log_level.parse().with_context(|| format!("log_level {:?}", config.log_level))?,
    };
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    match global.log_format {
        LogFormat::Text => builder.with_ansi(false).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}
