//! `images`, `image history`, `image rm`, `image prune`.

use std::io;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use stockade_engine::Engine;
use stockade_image::{Image, PruneScope, Reference, RemoveMode, Removed, Store};

use super::context::Context;
use super::message;
use crate::args::{HistoryArgs, ImagePruneArgs, ImagesArgs, RemoveImageArgs};
use crate::format::{Format, Headings};
use crate::human;

const HEADINGS: Headings = &[
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("Containers", "CONTAINERS"),
    ("Platform", "PLATFORM"),
];
const TABLE: &str = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";
const TABLE_DIGESTS: &str = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";
const NONE: &str = "<none>";

/// `stockade images`.
pub fn list(context: &Context, args: &ImagesArgs) -> Result<u8> {
    let format = match args.quiet {
        true => Format::parse(Some("{{.ID}}"), "")?,
        false => Format::parse(args.format.as_deref(), if args.digests { TABLE_DIGESTS } else { TABLE })?,
    };
    let store = context.store()?;
    let conditions = Conditions::parse(&store, args)?;
    let mut rows = Vec::new();
    for image in store.list()?.iter().filter(|image| conditions.hold(image)) {
        rows.extend(rows_of(&store, image, args, &conditions)?);
    }
    if args.quiet {
        rows.dedup();
    }
    format.print(HEADINGS, &rows, &mut io::stdout())?;
    Ok(0)
}

/// One row per name; one row for an image without a name.
fn rows_of(store: &Store, image: &Image, args: &ImagesArgs, conditions: &Conditions) -> Result<Vec<Value>> {
    let containers = store.holders(&image.id)?.len();
    let row = |repository: &str, tag: &str, digest: Option<&Reference>| {
        let id = image.id.to_string();
        let digest = digest.and_then(|name| name.digest()).map(ToString::to_string);
        json!({
            "Repository": repository,
            "Tag": tag,
            "Digest": digest.as_deref().unwrap_or(NONE),
            "ID": if args.no_trunc { &id } else { human::short_id(&id) },
            "CreatedSince": image.created.map_or("N/A".to_owned(), human::ago),
            "CreatedAt": image.created.map_or("N/A".to_owned(), |time| time.to_string()),
            "Size": human::short_size(image.size_bytes),
            "Containers": containers.to_string(),
            "Platform": image.platform.to_string(),
        })
    };
    let digest_of = |repository: &str| image.repo_digests.iter().find(|name| name.familiar_repository() == repository);
    let mut rows = Vec::new();
    for name in image.names.iter().filter(|name| conditions.name_matches(name)) {
        let repository = name.familiar_repository();
        rows.push(row(&repository, name.tag().unwrap_or(NONE), digest_of(&repository)));
    }
    if image.names.is_empty() {
        let pulled = image.repo_digests.first();
        let repository = pulled.map_or(NONE.to_owned(), Reference::familiar_repository);
        rows.push(row(&repository, NONE, pulled));
    }
    Ok(rows)
}

/// What `images` was asked to show.
#[derive(Default)]
struct Conditions {
    dangling: Option<bool>,
    names: Vec<String>,
    labels: Vec<String>,
    before: Option<Image>,
    since: Option<Image>,
}

impl Conditions {
    fn parse(store: &Store, args: &ImagesArgs) -> Result<Self> {
        let mut conditions = Self { names: args.name.iter().cloned().collect(), ..Self::default() };
        for filter in &args.filter {
            let (key, value) = filter.split_once('=').with_context(|| format!("filter {filter:?}: use KEY=VALUE"))?;
            match key {
                "dangling" => conditions.dangling = Some(matches!(value, "true" | "1")),
                "reference" => conditions.names.push(value.to_owned()),
                "label" => conditions.labels.push(value.to_owned()),
                "before" => conditions.before = Some(store.find(value)?),
                "since" => conditions.since = Some(store.find(value)?),
                _ => bail!("invalid filter {key:?}: choose dangling, reference, label, before or since"),
            }
        }
        Ok(conditions)
    }

    fn hold(&self, image: &Image) -> bool {
        self.dangling.is_none_or(|dangling| dangling == image.is_dangling())
            && self.labels.iter().all(|label| has_label(image, label))
            && (self.names.is_empty() || image.names.iter().any(|name| self.name_matches(name)))
            && self.before.as_ref().is_none_or(|before| image.created < before.created)
            && self.since.as_ref().is_none_or(|since| image.created > since.created)
    }

    fn name_matches(&self, name: &Reference) -> bool {
        let forms = [name.familiar_repository(), name.familiar(), name.repository(), name.to_string()];
        self.names.is_empty() || self.names.iter().any(|pattern| forms.iter().any(|form| glob(pattern, form)))
    }
}

fn has_label(image: &Image, wanted: &str) -> bool {
    let labels = image.config.config().as_ref().and_then(|config| config.labels().as_ref());
    let (key, value) = wanted.split_once('=').map_or((wanted, None), |(key, value)| (key, Some(value)));
    labels.and_then(|labels| labels.get(key)).is_some_and(|found| value.is_none_or(|value| value == found))
}

/// Shell patterns with `*` and `?`; `*` does not cross a slash.
fn glob(pattern: &str, text: &str) -> bool {
    fn matches(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], text) => {
                let reach = text.iter().position(|&byte| byte == b'/').unwrap_or(text.len());
                (0..=reach).any(|skip| matches(rest, &text[skip..]))
            }
            ([b'?', rest @ ..], [byte, text @ ..]) => *byte != b'/' && matches(rest, text),
            ([expected, rest @ ..], [byte, text @ ..]) => expected == byte && matches(rest, text),
            _ => false,
        }
    }
    matches(pattern.as_bytes(), text.as_bytes())
}

const HISTORY_HEADINGS: Headings = &[
    ("ID", "IMAGE"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
];
const HISTORY_TABLE: &str = "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
const HISTORY_TABLE_PLAIN: &str = "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";

/// `stockade image history`.
pub fn history(context: &Context, args: &HistoryArgs) -> Result<u8> {
    let table = if args.human { HISTORY_TABLE } else { HISTORY_TABLE_PLAIN };
    let format = match args.quiet {
        true => Format::parse(Some("{{.ID}}"), "")?,
        false => Format::parse(args.format.as_deref(), table)?,
    };
    let image = context.store()?.find(&args.name)?;
    let rows: Vec<Value> = image.history().iter().enumerate().map(|(n, step)| {
        // Only the newest step is an image that can be named; Docker says so of the others.
        let id = if n == 0 { image.id.to_string() } else { "<missing>".to_owned() };
        json!({
            "ID": if args.no_trunc { &id } else { human::short_id(&id) },
            "CreatedSince": step.created.map_or("N/A".to_owned(), human::ago),
            "CreatedAt": step.created.map_or("N/A".to_owned(), |time| time.to_string()),
            "CreatedBy": if args.no_trunc { step.created_by.clone() } else { human::ellipsis(&step.created_by, 45) },
            "Size": if args.human { human::short_size(step.size_bytes) } else { step.size_bytes.to_string() },
            "Comment": step.comment,
        })
    }).collect();
    format.print(HISTORY_HEADINGS, &rows, &mut io::stdout())?;
    Ok(0)
}

/// `stockade image rm`.
pub fn remove(context: &Context, args: &RemoveImageArgs) -> Result<u8> {
    let (engine, store) = (context.engine()?, context.store()?);
    // What a killed creation left holds its image.
    engine.sweep()?;
    let mode = if args.force { RemoveMode::Force } else { RemoveMode::Careful };
    message::each(&args.names, |name| report(&engine, &store.remove(name, mode)?))
}

fn report(engine: &Engine, removed: &Removed) -> Result<()> {
    for name in &removed.untagged {
        let name = name.familiar();
        engine.image_event("untag", &name, &name);
        message::print(format!("Untagged: {name}"))?;
    }
    if let Some(id) = removed.deleted {
        engine.image_event("delete", &id.to_string(), "");
        message::print(format!("Deleted: {id}"))?;
    }
    Ok(())
}

/// `stockade image prune`.
pub fn prune(context: &Context, args: &ImagePruneArgs) -> Result<u8> {
    let (scope, what) = match args.all {
        true => (PruneScope::Unused, "all images without at least one container"),
        false => (PruneScope::Dangling, "all images without a name"),
    };
    if !args.force && !message::confirmed(&format!("WARNING! This will remove {what}."))? {
        return Ok(0);
    }
    let (engine, store) = (context.engine()?, context.store()?);
    engine.sweep()?;
    let pruned = store.prune(scope)?;
    for id in &pruned.deleted {
        engine.image_event("delete", &id.to_string(), "");
    }
    pruned.untagged.iter().try_for_each(|name| message::print(format!("Untagged: {}", name.familiar())))?;
    pruned.deleted.iter().try_for_each(|id| message::print(format!("Deleted: {id}")))?;
    message::print(format!("Total reclaimed space: {}", human::short_size(pruned.freed_bytes)))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn patterns() {
        let check = |pattern, text, expected| assert_eq!(super::glob(pattern, text), expected, "{pattern} {text}");
        check("debian", "debian", true);
        check("deb*", "debian", true);
        check("*", "a/b", false);
        check("*/*", "a/b", true);
        check("debian:b?ok*", "debian:bookworm", true);
        check("debian", "debian:bookworm", false);
    }
}
