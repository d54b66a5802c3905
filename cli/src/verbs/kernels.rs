//! `stockade vm kernel`.

use std::io;

use anyhow::Result;
use jiff::Timestamp;
use serde_json::{Value, json};
use stockade_vm_kernel::{Kernel, Kernels, Name};

use super::context::Context;
use super::message::{self, each_named};
use crate::args::{KernelImportArgs, KernelListArgs, KernelNamesArgs};
use crate::format::{Format, Headings};
use crate::human;

const HEADINGS: Headings = &[
    ("Name", "NAME"),
    ("Release", "RELEASE"),
    ("Format", "FORMAT"),
    ("Drivers", "DRIVERS"),
    ("Digest", "DIGEST"),
    ("Size", "SIZE"),
    ("ImportedSince", "IMPORTED"),
    ("ImportedAt", "IMPORTED AT"),
];
const TABLE: &str = "{{.Name}}\t{{.Release}}\t{{.Format}}\t{{.Drivers}}\t{{.Digest}}\t{{.Size}}\t{{.ImportedSince}}";

/// `stockade vm kernel ls`.
pub fn list(context: &Context, args: &KernelListArgs) -> Result<u8> {
    let format = Format::parse(args.format.as_deref(), TABLE)?;
    let rows: Vec<Value> = kernels(context).list()?.iter().map(|kernel| row(kernel, args)).collect();
    format.print(HEADINGS, &rows, &mut io::stdout())?;
    Ok(0)
}

fn row(kernel: &Kernel, args: &KernelListArgs) -> Value {
    let imported = i64::try_from(kernel.imported_s).ok().and_then(|second| Timestamp::from_second(second).ok());
    json!({
        "Name": kernel.name.as_str(),
        "Release": kernel.release.as_deref().unwrap_or("unknown"),
        "Format": kernel.format.to_string(),
        "Drivers": if kernel.modules.is_some() { "modules" } else { "built in" },
        "Digest": if args.no_trunc { &kernel.digest } else { human::short_id(&kernel.digest) },
        "Size": human::short_size(kernel.size_bytes),
        "ImportedSince": imported.map_or("N/A".to_owned(), human::ago),
        "ImportedAt": imported.map_or("N/A".to_owned(), |time| time.to_string()),
    })
}

/// `stockade vm kernel import`.
pub fn import(context: &Context, args: &KernelImportArgs) -> Result<u8> {
    let kernel = kernels(context).import(&args.name, &args.file, args.modules.as_deref())?;
    message::print(kernel.digest)?;
    Ok(0)
}

/// `stockade vm kernel rm`.
pub fn remove(context: &Context, args: &KernelNamesArgs) -> Result<u8> {
    let kernels = kernels(context);
    each_named(&args.names, |name| Ok(kernels.remove(&name.parse::<Name>()?)?))
}

fn kernels(context: &Context) -> Kernels {
    Kernels::of(&context.directories.root)
}
