//! The verbs on images.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use stockade_image::{ConfigChange, Platform, Reference, ReferenceError};

use super::system::InspectArgs;

/// `stockade image VERB`.
#[derive(Debug, Subcommand)]
pub enum ImageVerb {
    /// List images
    #[command(visible_alias = "list")]
    Ls(ImagesArgs),
    /// Show everything about images
    Inspect(InspectArgs),
    /// Show the history of an image
    History(HistoryArgs),
    /// Remove images
    #[command(visible_alias = "remove")]
    Rm(RemoveImageArgs),
    /// Remove images that nothing uses
    Prune(PruneArgs),
    /// Fetch an image from a registry
    Pull(PullArgs),
    /// Make an image of a root file system
    Import(ImportArgs),
    /// Write images to an OCI archive
    Save(SaveArgs),
    /// Read images from an archive or a layout
    Load(LoadArgs),
    /// Give an image a further name
    Tag(TagArgs),
    /// Read every layer and compare it with its digest
    Verify(super::NamesArgs),
}

#[derive(Debug, Args)]
pub struct PullArgs {
    /// Print only the image's name
    #[arg(short, long)]
    pub quiet: bool,
    /// Platform to choose from an index, for example linux/arm64
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<Platform>,
    /// Name, with an optional tag or digest; or oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE
    #[arg(value_name = "IMAGE")]
    pub source: PullSource,
}

/// Where `pull` takes an image from.
#[derive(Clone, Debug)]
pub enum PullSource {
    /// A registry.
    Registry(Reference),
    /// A file or directory, for [`stockade_image::Store::load`].
    Local(String),
}

impl std::str::FromStr for PullSource {
    type Err = <Reference as std::str::FromStr>::Err;

    /// The words before the colon are skopeo's transports; an image of such a name is reached as `docker://oci:TAG`.
    fn from_str(source: &str) -> Result<Self, Self::Err> {
        match source.split_once(':') {
            Some(("oci" | "oci-archive" | "docker-archive", _)) => Ok(Self::Local(source.to_owned())),
            _ => source.strip_prefix("docker://").unwrap_or(source).parse().map(Self::Registry),
        }
    }
}

#[derive(Debug, Args)]
pub struct ImagesArgs {
    /// Also images without a name
    #[arg(short, long)]
    pub all: bool,
    /// Show digests
    #[arg(long)]
    pub digests: bool,
    /// Only images that match: dangling=true, reference=GLOB, label=KEY[=VALUE], before=IMAGE, since=IMAGE
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Print only ids
    #[arg(short, long)]
    pub quiet: bool,
    /// Do not shorten
    #[arg(long)]
    pub no_trunc: bool,
    /// json, a template, or "table TEMPLATE"
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Only this repository, or this repository and tag
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Print only ids
    #[arg(short, long)]
    pub quiet: bool,
    /// Do not shorten
    #[arg(long)]
    pub no_trunc: bool,
    /// Print sizes and times for people
    #[arg(short = 'H', long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub human: bool,
    /// json, a template, or "table TEMPLATE"
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Name or id
    #[arg(value_name = "IMAGE")]
    pub name: String,
}

#[derive(Debug, Args)]
pub struct RemoveImageArgs {
    /// Remove images that containers use, and all names of an id
    #[arg(short, long)]
    pub force: bool,
    /// Accepted for Docker's sake: nothing untagged is kept
    #[arg(long, hide = true)]
    pub no_prune: bool,
    /// Names or ids
    #[arg(value_name = "IMAGE", required = true)]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub struct PruneArgs {
    /// All images that no container uses, not only those without a name
    #[arg(short, long)]
    pub all: bool,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Change the new image's configuration, for example 'CMD ["sh"]'
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub change: Vec<ConfigChange>,
    /// A remark for its history
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
    /// What it is for, for example linux/arm64
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<Platform>,
    /// A tarball, compressed or not, a directory, or - for standard input
    pub source: PathBuf,
    /// The name of the new image
    #[arg(value_name = "REPOSITORY[:TAG]", value_parser = new_name)]
    pub name: Option<Reference>,
}

#[derive(Debug, Args)]
pub struct SaveArgs {
    /// The file to write; standard output when absent
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Names or ids
    #[arg(value_name = "IMAGE", required = true)]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub struct LoadArgs {
    /// The archive to read; standard input when absent
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// A file or directory, oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE; an image that has only a tag
    /// there is named localhost/FILE:TAG
    #[arg(conflicts_with = "input")]
    pub source: Option<String>,
}

#[derive(Debug, Args)]
pub struct TagArgs {
    /// Name or id
    #[arg(value_name = "IMAGE")]
    pub name: String,
    /// The further name
    #[arg(value_name = "REPOSITORY[:TAG]", value_parser = new_name)]
    pub target: Reference,
}

/// A name to give: a digest is found out, not given.
fn new_name(text: &str) -> Result<Reference, String> {
    let name: Reference = text.parse().map_err(|error: ReferenceError| error.to_string())?;
    if name.digest().is_some() { Err("a name to give has no digest: use REPOSITORY[:TAG]".into()) } else { Ok(name) }
}
