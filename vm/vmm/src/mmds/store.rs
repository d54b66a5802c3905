//! The document, and what may be done to it.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Map, Value};
use thiserror::Error;

use super::token::{TokenError, Tokens};
use crate::config::{MmdsConfig, MmdsVersion};

/// The document as the API and network devices share it.
pub type SharedMmds = Arc<Mutex<Mmds>>;

/// The document, the rules of access to it, and the sessions that guests opened.
#[derive(Debug)]
pub struct Mmds {
    document: Option<Value>,
    limit_bytes: usize,
    version: MmdsVersion,
    imds_compat: bool,
    tokens: Tokens,
}

/// How a guest wants its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// JSON.
    Json,
    /// The lines of EC2's service: keys of an object, or one string.
    Lines,
}

impl Mmds {
    /// An empty document of at most `limit_bytes` once it is written out.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            document: None,
            limit_bytes,
            version: MmdsVersion::default(),
            imds_compat: false,
            tokens: Tokens::default(),
        }
    }

    /// Takes over how guests ask.
    pub fn configure(&mut self, config: &MmdsConfig) {
        self.version = config.version;
        self.imds_compat = config.imds_compat;
    }

    /// How guests ask.
    #[must_use]
    pub fn version(&self) -> MmdsVersion {
        self.version
    }

    /// The document; null before it is first written.
    #[must_use]
    pub fn document(&self) -> &Value {
        self.document.as_ref().unwrap_or(&Value::Null)
    }

    /// Replaces the document.
    ///
    /// # Errors
    /// [`MmdsError::TooLarge`].
    pub fn put(&mut self, document: Value) -> Result<(), MmdsError> {
        if document.to_string().len() > self.limit_bytes {
            return Err(MmdsError::TooLarge);
        }
        self.document = Some(document);
        Ok(())
    }

    /// Merges a patch into the document (RFC 7396).
    ///
    /// # Errors
    /// [`MmdsError::NotInitialized`], [`MmdsError::TooLarge`]. The document is then as it was.
    pub fn patch(&mut self, patch: Value) -> Result<(), MmdsError> {
        let document = self.document.clone().ok_or(MmdsError::NotInitialized)?;
        self.put(merged(document, patch))
    }

    /// What lies at a path, as the guest wants it.
    pub(super) fn read(&self, path: &str, format: Format) -> Result<String, MmdsError> {
        let pointer = path.strip_suffix('/').unwrap_or(path);
        let value = self.document().pointer(pointer).ok_or(MmdsError::NotFound)?;
        match format {
            Format::Json if !self.imds_compat => Ok(value.to_string()),
            _ => lines(value),
        }
    }

    pub(super) fn issue_token(&mut self, ttl_s: u32, now: Instant) -> Result<String, TokenError> {
        self.tokens.issue(ttl_s, now)
    }

    pub(super) fn has_token(&self, token: &str, now: Instant) -> bool {
        self.tokens.has(token, now)
    }
}

/// RFC 7396, 2: what an object names is merged or, if null, removed; all else replaces.
fn merged(target: Value, patch: Value) -> Value {
    let Value::Object(changes) = patch else { return patch };
    let mut members = match target {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, change) in changes {
        match change {
            Value::Null => drop(members.remove(&name)),
            change => {
                let old = members.remove(&name).unwrap_or(Value::Null);
                members.insert(name, merged(old, change));
            }
        }
    }
    Value::Object(members)
}

/// EC2's form: the names of an object, those of objects with a slash; a string is itself; nothing else has one.
fn lines(value: &Value) -> Result<String, MmdsError> {
    match value {
        Value::Object(members) => {
            let line = |(name, value): (&String, &Value)| match value.is_object() {
                true => format!("{name}/"),
                false => name.clone(),
            };
            Ok(members.iter().map(line).collect::<Vec<_>>().join("\n"))
        }
        Value::String(text) => Ok(text.clone()),
        _ => Err(MmdsError::UnsupportedValueType),
    }
}

/// Why the document is not read or written.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MmdsError {
    /// It would be too large.
    #[error("The MMDS patch request doesn't fit.")]
    TooLarge,
    /// Nothing is there.
    #[error("The MMDS resource does not exist.")]
    NotFound,
    /// It was not written yet.
    #[error("The MMDS data store is not initialized.")]
    NotInitialized,
    /// What is there has no form in lines.
    #[error("Cannot retrieve value. The value has an unsupported type.")]
    UnsupportedValueType,
}
