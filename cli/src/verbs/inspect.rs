//! `inspect`: Docker's documents of containers and images.

use std::io;

use anyhow::{Result, anyhow};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Value, json};
use stockade_engine::{Engine, LookupError, QueryError};
use stockade_image::{FindError, Image, Store};

use super::context::Context;
use super::message;
use crate::args::{InspectArgs, InspectType};
use crate::template::{Template, unescape};

/// `stockade inspect`: prints what was found even when some names were not.
pub fn inspect(context: &Context, args: &InspectArgs, kind: Option<InspectType>) -> Result<u8> {
    let template = match args.format.as_deref() {
        None | Some("json") => None,
        Some(text) => Some(Template::parse(&unescape(text))?),
    };
    let mut found = Vec::new();
    let code = message::each(&args.names, |name| {
        found.push(document(context, name, kind, args.size)?);
        Ok(())
    })?;
    match (template, args.format.is_some()) {
        (Some(template), _) => found.iter().try_for_each(|value| message::print(template.render(value)?))?,
        (None, true) => message::print(Value::Array(found).to_string())?,
        (None, false) => message::print(indented(&found)?)?,
    }
    Ok(code)
}

/// Docker indents by four.
fn indented(values: &[Value]) -> Result<String> {
    let mut out = Vec::new();
    values.serialize(&mut Serializer::with_formatter(&mut out, PrettyFormatter::with_indent(b"    ")))?;
    String::from_utf8(out).map_err(|error| io::Error::other(error).into())
}

fn document(context: &Context, name: &str, kind: Option<InspectType>, size: bool) -> Result<Value> {
    if kind != Some(InspectType::Image) {
        let engine = context.engine()?;
        if let Some(mut value) = container(&engine, name)? {
            if size {
                add_sizes(&mut value, &engine, &context.store()?, name)?;
            }
            return Ok(value);
        }
        if kind == Some(InspectType::Container) {
            return Err(anyhow!("No such container: {name}"));
        }
    }
    match image(&context.store()?, name)? {
        Some(value) => Ok(value),
        None if kind == Some(InspectType::Image) => Err(anyhow!("No such image: {name}")),
        None => Err(anyhow!("No such object: {name}")),
    }
}

fn container(engine: &Engine, name: &str) -> Result<Option<Value>> {
    match engine.inspect(name) {
        Ok(inspect) => Ok(Some(inspect.0)),
        Err(QueryError::Lookup(LookupError::NotFound(_))) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What the container wrote, and with its image.
fn add_sizes(document: &mut Value, engine: &Engine, store: &Store, name: &str) -> Result<()> {
    let written = engine.writable_bytes(name)?;
    let image = store.find(document["Image"].as_str().unwrap_or_default()).map_or(0, |image| image.size_bytes);
    document["SizeRw"] = written.into();
    document["SizeRootFs"] = written.saturating_add(image).into();
    Ok(())
}

fn image(store: &Store, name: &str) -> Result<Option<Value>> {
    match store.find(name) {
        Ok(image) => Ok(Some(image_document(&image))),
        Err(FindError::Missing(_) | FindError::Reference(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn image_document(image: &Image) -> Value {
    let names = |references: &[stockade_image::Reference]| -> Vec<String> {
        references.iter().map(stockade_image::Reference::familiar).collect()
    };
    let layers: Vec<String> = image.layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    let blobs: Vec<Value> = image.layers.iter().map(blob_document).collect();
    json!({
        "Id": image.id.to_string(),
        "RepoTags": names(&image.names),
        "RepoDigests": names(&image.repo_digests),
        "Created": image.created.map_or(String::new(), |time| time.to_string()),
        "Author": image.config.author().clone().unwrap_or_default(),
        "Config": image.config.config(),
        "Architecture": image.platform.architecture,
        "Variant": image.platform.variant.clone().unwrap_or_default(),
        "Os": image.platform.os,
        "Size": image.size_bytes,
        "RootFS": {"Type": "layers", "Layers": layers},
        "ManifestDigest": image.manifest.to_string(),
        "Blobs": blobs,
    })
}

fn blob_document(layer: &stockade_image::Layer) -> Value {
    json!({
        "Path": layer.blob,
        "Digest": layer.blob_digest.to_string(),
        "Size": layer.blob_bytes,
        "Entries": layer.entries,
        "CompressedDigest": layer.compressed.to_string(),
        "CompressedSize": layer.compressed_bytes,
    })
}
