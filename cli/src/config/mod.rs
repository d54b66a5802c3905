//! The config file: TOML, every key optional, unknown keys refused with the nearest known name.
//!
//! [`SAMPLE`] documents every key and holds each default; the set of known keys is read from it, and a test holds it
//! against [`Config`], so that code, documentation and check cannot drift apart.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use stockade_sandbox::IsolationClass;
use stockade_vm_kernel::Name;
use toml::{Table, Value};

/// The commented sample that `stockade info --default-config` prints.
pub const SAMPLE: &str = include_str!("sample.toml");

/// Where the file is sought without `--config`.
pub const PATH: &str = "/etc/stockade/config.toml";

/// Everything the file can say; [`SAMPLE`] documents the keys.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The class of containers that name none.
    pub isolation: IsolationClass,
    /// The guest kernel of containers of class `vm` that name none.
    pub guest_kernel: Name,
    /// The data directory.
    pub root: PathBuf,
    /// The run-time state directory.
    pub state: PathBuf,
    /// What `stockade` logs on stderr.
    pub log_level: String,
    /// Keys that detach from a container's terminal.
    pub detach_keys: String,
    /// Defaults of new containers.
    pub container: Container,
    /// The image store.
    pub image: stockade_image::Config,
}

/// Defaults of new containers.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Container {
    /// `NAME=SOFT[:HARD]`.
    pub ulimits: Vec<String>,
    /// Log driver.
    pub log_driver: String,
    /// Options of the log driver.
    pub log_options: BTreeMap<String, String>,
    /// Seconds from the stop signal to SIGKILL; -1 waits for ever.
    pub stop_timeout_s: i32,
    /// Size of /dev/shm.
    pub shm_size: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            isolation: IsolationClass::Native,
            guest_kernel: Name::default(),
            root: "/var/lib/stockade".into(),
            state: "/run/stockade".into(),
            log_level: "warn".to_owned(),
            detach_keys: "ctrl-p,ctrl-q".to_owned(),
            container: Container::default(),
            image: stockade_image::Config::default(),
        }
    }
}

impl Default for Container {
    fn default() -> Self {
        Self {
            ulimits: Vec::new(),
            log_driver: "json-file".to_owned(),
            log_options: BTreeMap::new(),
            stop_timeout_s: 10,
            shm_size: "64m".to_owned(),
        }
    }
}

/// Why the config file was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("read config file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// It is no TOML, or a value has the wrong type.
    #[error("config file {path}: {what}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The parser's words, with the line.
        what: String,
    },
    /// It has a key that nobody knows.
    #[error("config file {path}: unknown key {key:?}{hint}; `stockade info --default-config` lists all")]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key with its tables.
        key: String,
        /// The nearest key, worded, or the empty string.
        hint: String,
    },
}

impl Config {
    /// Loads `path`, which must exist, or else [`PATH`], which need not.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let (path, required) = path.map_or((Path::new(PATH), false), |path| (path, true));
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !required => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let invalid = |error: toml::de::Error| ConfigError::Invalid {
            path: path.to_owned(),
            what: error.to_string().trim_end().to_owned(),
        };
        let table: Table = text.parse().map_err(invalid)?;
        if let Some((key, hint)) = unknown_key(&table, &known(), "") {
            return Err(ConfigError::UnknownKey { path: path.to_owned(), key, hint });
        }
        toml::from_str(text).map_err(invalid)
    }
}

/// Tables whose keys are the user's to choose.
const FREE_TABLES: [&str; 2] = ["container.log_options", "image.registries"];

/// The sample with its keys commented in.
fn known() -> Table {
    active_sample().parse().unwrap_or_default()
}

/// A key is commented out as `#key`, prose as `# text`.
fn active_sample() -> String {
    let active = |line: &'static str| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => key,
        _ => line,
    };
    SAMPLE.lines().map(active).collect::<Vec<_>>().join("\n")
}

fn unknown_key(given: &Table, known: &Table, prefix: &str) -> Option<(String, String)> {
    given.iter().find_map(|(key, value)| {
        let path = format!("{prefix}{key}");
        match (known.get(key), value) {
            (None, _) => Some((path, hint(key, known))),
            (Some(_), Value::Table(_)) if FREE_TABLES.contains(&path.as_str()) => None,
            (Some(Value::Table(known)), Value::Table(given)) => unknown_key(given, known, &format!("{path}.")),
            _ => None,
        }
    })
}

fn hint(key: &str, known: &Table) -> String {
    match crate::suggest::nearest(key, known.keys().map(String::as_str)) {
        Some(near) => format!(": did you mean {near:?}?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("c.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_sample_holds_the_defaults() {
        assert_eq!(parsed(SAMPLE).unwrap(), Config::default());
        assert_eq!(parsed(&active_sample()).unwrap(), Config::default());
    }

    /// serde lists the fields it knows when it meets one that it does not.
    #[test]
    fn the_sample_documents_every_key() {
        for table in ["", "container", "image", "image.limits", "image.limits.layer"] {
            let text = format!("{}probe = 1", if table.is_empty() { String::new() } else { format!("[{table}]\n") });
            let error = toml::from_str::<Config>(&text).unwrap_err().to_string();
            let expected = error.split("expected one of ").nth(1).unwrap_or_default();
            let fields: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
            assert!(fields.len() > 3, "{error}");
            let known = known();
            let documented =
                table.split('.').filter(|name| !name.is_empty()).fold(&known, |t, name| t[name].as_table().unwrap());
            for field in fields {
                assert!(documented.contains_key(field), "{table}.{field} is not in the sample");
            }
        }
    }

    #[test]
    fn unknown_keys_name_the_nearest() {
        let check = |text: &str, expected: &str| {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("isolatoin = 'native'", "unknown key \"isolatoin\": did you mean \"isolation\"?");
        check("[container]\nulimit = []", "unknown key \"container.ulimit\": did you mean \"ulimits\"?");
        check("[nothing-like-it]\n", "unknown key \"nothing-like-it\";");
        check("isolation = 'xen'", "unknown variant `xen`");
        check("guest_kernel = 'a/b'", "\"a/b\" is no name of a kernel");
        check("root = ", "TOML parse error at line 1");
    }

    #[test]
    fn free_tables_take_any_key() {
        let config = parsed("[container.log_options]\nmax-size = '10m'").unwrap();
        assert_eq!(config.container.log_options["max-size"], "10m");
    }

    #[test]
    fn only_a_named_file_must_exist() {
        assert!(Config::load(Some(Path::new("/nonexistent/config.toml"))).is_err());
    }
}
