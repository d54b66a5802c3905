//! Changes to an image's configuration in a Dockerfile's words, as `docker import -c` takes them.

use std::collections::HashMap;
use std::str::FromStr;

use oci_spec::image::Config;

/// One instruction: `CMD`, `ENTRYPOINT`, `ENV`, `EXPOSE`, `LABEL`, `STOPSIGNAL`, `USER`, `VOLUME` or `WORKDIR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange(Change);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Cmd(Vec<String>),
    Entrypoint(Vec<String>),
    Env(Vec<(String, String)>),
    Expose(Vec<String>),
    Label(Vec<(String, String)>),
    StopSignal(String),
    User(String),
    Volume(Vec<String>),
    WorkingDir(String),
}

/// Why a text is no change.
#[derive(Debug, thiserror::Error)]
pub enum ConfigChangeError {
    /// The instruction is not one of the known ones.
    #[error("cannot apply {0:?}: expected CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR")]
    Instruction(String),
    /// The instruction has no value, or an ill-formed one.
    #[error("{instruction} cannot take {value:?}: expected {expected}")]
    Value {
        /// The instruction.
        instruction: String,
        /// What follows it.
        value: String,
        /// What may follow it.
        expected: &'static str,
    },
}

impl FromStr for ConfigChange {
    type Err = ConfigChangeError;

    fn from_str(text: &str) -> Result<Self, ConfigChangeError> {
        let text = text.trim();
        let (word, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let (instruction, value) = (word.to_ascii_uppercase(), value.trim());
        let wrong =
            |expected| ConfigChangeError::Value { instruction: instruction.clone(), value: value.into(), expected };
        if value.is_empty() {
            return Err(wrong("a value"));
        }
        let pairs = || pairs(value).ok_or_else(|| wrong("NAME=VALUE"));
        let change = match instruction.as_str() {
            "CMD" => Change::Cmd(command(value)),
            "ENTRYPOINT" => Change::Entrypoint(command(value)),
            "ENV" => Change::Env(pairs()?),
            "EXPOSE" => Change::Expose(value.split_whitespace().map(port).collect()),
            "LABEL" => Change::Label(pairs()?),
            "STOPSIGNAL" => Change::StopSignal(value.into()),
            "USER" => Change::User(value.into()),
            "VOLUME" => Change::Volume(list(value)),
            "WORKDIR" => Change::WorkingDir(value.into()),
            _ => return Err(ConfigChangeError::Instruction(word.into())),
        };
        Ok(Self(change))
    }
}

impl ConfigChange {
    /// Applies the change.
    pub(crate) fn apply(&self, config: &mut Config) {
        match self.0.clone() {
            Change::Cmd(command) => drop(config.set_cmd(Some(command))),
            Change::Entrypoint(command) => drop(config.set_entrypoint(Some(command))),
            Change::Env(pairs) => set_env(config, pairs),
            Change::Expose(ports) => drop(config.set_exposed_ports(extended(config.exposed_ports(), ports))),
            Change::Label(pairs) => {
                let mut labels: HashMap<_, _> = config.labels().clone().unwrap_or_default();
                labels.extend(pairs);
                config.set_labels(Some(labels));
            }
            Change::StopSignal(signal) => drop(config.set_stop_signal(Some(signal))),
            Change::User(user) => drop(config.set_user(Some(user))),
            Change::Volume(volumes) => drop(config.set_volumes(extended(config.volumes(), volumes))),
            Change::WorkingDir(path) => drop(config.set_working_dir(Some(path))),
        }
    }
}

fn set_env(config: &mut Config, pairs: Vec<(String, String)>) {
    let mut env = config.env().clone().unwrap_or_default();
    for (name, value) in pairs {
        env.retain(|entry| entry.split_once('=').is_none_or(|(old, _)| old != name));
        env.push(format!("{name}={value}"));
    }
    config.set_env(Some(env));
}

fn extended(old: &Option<Vec<String>>, new: Vec<String>) -> Option<Vec<String>> {
    let mut all = old.clone().unwrap_or_default();
    all.extend(new);
    Some(all)
}

/// A JSON array is taken as it is; anything else is a command line for the shell.
fn command(value: &str) -> Vec<String> {
    serde_json::from_str(value).unwrap_or_else(|_| vec!["/bin/sh".into(), "-c".into(), value.into()])
}

fn list(value: &str) -> Vec<String> {
    serde_json::from_str(value).unwrap_or_else(|_| value.split_whitespace().map(str::to_owned).collect())
}

fn port(text: &str) -> String {
    if text.contains('/') { text.into() } else { format!("{text}/tcp") }
}

/// `A=1 B="two words"`, or the old form `A the rest`.
fn pairs(value: &str) -> Option<Vec<(String, String)>> {
    let first = value.split_whitespace().next()?;
    if !first.contains('=') {
        let (name, rest) = value.split_once(char::is_whitespace)?;
        return Some(vec![(name.into(), rest.trim().into())]);
    }
    let pair = |word: String| {
        let (name, value) = word.split_once('=')?;
        (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
    };
    words(value)?.into_iter().map(pair).collect()
}

/// Splits at blanks outside quotes; a backslash takes the next character as it is.
fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote, mut open) = (Vec::new(), String::new(), None, false);
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (char, quote) {
            ('\\', None | Some('"')) => word.push(chars.next()?),
            ('"' | '\'', None) => quote = Some(char),
            (_, Some(end)) if char == end => quote = None,
            (_, None) if char.is_whitespace() => {
                if std::mem::take(&mut open) {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            _ => word.push(char),
        }
        open = true;
    }
    if open {
        words.push(word);
    }
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(changes: &[&str]) -> Config {
        let mut config = Config::default();
        for change in changes {
            change.parse::<ConfigChange>().unwrap().apply(&mut config);
        }
        config
    }

    #[test]
    fn applies_what_docker_import_takes() {
        let config = apply(&[
            r#"CMD ["sh", "-l"]"#,
            "entrypoint /init now",
            r#"ENV A=1 B="two words""#,
            "ENV A the rest",
            "EXPOSE 80 53/udp",
            "WORKDIR /srv",
            "USER 1:2",
            "LABEL a.b=c",
            r#"VOLUME ["/data"]"#,
        ]);
        assert_eq!(config.cmd().as_ref().unwrap(), &["sh", "-l"]);
        assert_eq!(config.entrypoint().as_ref().unwrap(), &["/bin/sh", "-c", "/init now"]);
        assert_eq!(config.env().as_ref().unwrap(), &["B=two words", "A=the rest"]);
        assert_eq!(config.exposed_ports().as_ref().unwrap(), &["80/tcp", "53/udp"]);
        assert_eq!(config.working_dir().as_deref(), Some("/srv"));
        assert_eq!(config.user().as_deref(), Some("1:2"));
        assert_eq!(config.volumes().as_ref().unwrap(), &["/data"]);
        assert_eq!(config.labels().as_ref().unwrap()["a.b"], "c");
    }

    #[test]
    fn refuses_the_rest() {
        for bad in ["", "RUN x", "ENV", "ENV A", "ENV =x", "LABEL a=\"b", "COPY a b"] {
            assert!(bad.parse::<ConfigChange>().is_err(), "{bad}");
        }
    }
}
