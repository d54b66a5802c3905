//! `ps` and `top`.

use std::io;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde_json::{Value, json};
use stockade_engine::{ContainerSummary, Engine, ListFilter, Status};
use stockade_image::Store;

use super::context::Context;
use super::message;
use crate::args::{ListArgs, PsFilter, TopArgs};
use crate::format::{self, Format, Headings};
use crate::human;

const HEADINGS: Headings = &[
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("RunningFor", "CREATED"),
    ("Status", "STATUS"),
    ("State", "STATE"),
    ("ExitCode", "EXIT CODE"),
    ("Class", "CLASS"),
    ("Names", "NAMES"),
    ("Size", "SIZE"),
    ("Labels", "LABELS"),
    ("Mounts", "MOUNTS"),
    ("Networks", "NETWORKS"),
    ("Ports", "PORTS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
];
const TABLE: &str = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Class}}\t{{.Names}}";

/// `stockade ps`.
pub fn list(context: &Context, args: &ListArgs) -> Result<u8> {
    let table = if args.size { format!("{TABLE}\t{{{{.Size}}}}") } else { TABLE.to_owned() };
    let format = match args.quiet {
        true => Format::parse(Some("{{.ID}}"), "")?,
        false => Format::parse(args.format.as_deref(), &table)?,
    };
    let engine = context.engine()?;
    let sizes = if wants_size(args) { Some((&engine, context.store()?)) } else { None };
    let containers = engine.list(&filter(&args.filter)?)?;
    let rows: Vec<Value> = containers
        .iter()
        .map(|container| {
            let size = sizes.as_ref().map(|(engine, store)| size(container, engine, store));
            row(container, args.no_trunc, size)
        })
        .collect();
    format.print(HEADINGS, &rows, &mut io::stdout())?;
    Ok(0)
}

/// Sizes cost a walk through every container's files; a template that names them asks for them, as with Docker.
fn wants_size(args: &ListArgs) -> bool {
    args.size || args.format.as_deref().is_some_and(|format| format.contains(".Size"))
}

fn filter(flags: &PsFilter) -> Result<ListFilter> {
    let mut filter = ListFilter::default();
    filter.all = flags.all;
    filter.last = match (flags.latest, usize::try_from(flags.last)) {
        (true, _) => Some(1),
        (false, Ok(last)) => Some(last),
        (false, Err(_)) => None,
    };
    flags.filter.iter().try_for_each(|condition| filter.add(condition))?;
    Ok(filter)
}

/// Every container, whatever its status.
pub fn everything() -> ListFilter {
    let mut filter = ListFilter::default();
    filter.all = true;
    filter
}

fn row(container: &ContainerSummary, no_trunc: bool, size: Option<String>) -> Value {
    let command = command_line(&container.command);
    let labels: Vec<String> = container.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    json!({
        "ID": if no_trunc { &container.id } else { human::short_id(&container.id) },
        "Image": image_name(container),
        // Quoted, so that a script of several lines is one cell.
        "Command": format!("{:?}", if no_trunc { command } else { human::ellipsis(&command, 20) }),
        "CreatedAt": container.created_at,
        "RunningFor": ago(&container.created_at),
        "Status": status(container),
        "State": container.status,
        "ExitCode": container.exit_code,
        "Class": container.isolation,
        "Names": container.name,
        "Size": size.unwrap_or_else(|| human::short_size(0)),
        "Labels": labels.join(","),
        "Mounts": container.mounts.join(","),
        "Networks": container.network,
        // Nothing publishes ports in this build.
        "Ports": "",
        "LocalVolumes": container.mounts.iter().filter(|mount| !mount.starts_with('/')).count().to_string(),
    })
}

/// Docker's form: words with spaces in single quotes.
fn command_line(words: &[String]) -> String {
    let quoted = words.iter().map(|word| if word.contains(' ') { format!("'{word}'") } else { word.clone() });
    quoted.collect::<Vec<_>>().join(" ")
}

fn image_name(container: &ContainerSummary) -> &str {
    match container.image.is_empty() || container.image.starts_with("sha256:") {
        true => human::short_id(&container.image_id),
        false => &container.image,
    }
}

fn ago(time: &str) -> String {
    time.parse().map_or_else(|_| String::new(), human::ago)
}

/// Docker's column: `Up 3 minutes (Paused)`, `Exited (0) 2 hours ago`, `Created`.
fn status(container: &ContainerSummary) -> String {
    let up =
        || container.started_at.parse::<Timestamp>().map_or(String::new(), |then| human::duration(human::since(then)));
    match container.status {
        Status::Created => "Created".to_owned(),
        Status::Running => format!("Up {}", up()),
        Status::Paused => format!("Up {} (Paused)", up()),
        Status::Exited => format!("Exited ({}) {}", container.exit_code, ago(&container.finished_at)),
        Status::Removing => "Removal In Progress".to_owned(),
    }
}

/// What the container wrote, and with its image. A container that has just gone has no size.
fn size(container: &ContainerSummary, engine: &Engine, store: &Store) -> String {
    let written = engine.writable_bytes(&container.id).unwrap_or(0);
    let image = store.find(&container.image_id).map_or(0, |image| image.size_bytes);
    format!("{} (virtual {})", human::short_size(written), human::short_size(written.saturating_add(image)))
}

/// `stockade top`.
pub fn top(context: &Context, args: &TopArgs) -> Result<u8> {
    let (name, options) = args.container_and_options.split_first().context("a container is needed")?;
    let table = context.engine()?.top(name, options)?;
    let line = |cells: &Vec<String>| cells.iter().map(|cell| human::plain(cell)).collect::<Vec<_>>().join("\t");
    let lines: Vec<String> = std::iter::once(&table.titles).chain(&table.processes).map(line).collect();
    message::print(format::align(&lines).trim_end())?;
    Ok(0)
}
