//! `save`, `load`, `import`, `tag`, `image verify`.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use stockade_image::ImportOptions;

use super::context::Context;
use super::message::{self, each_named};
use super::progress::progress;
use crate::args::{ImportArgs, LoadArgs, NamesArgs, SaveArgs, TagArgs};

/// `stockade save`.
pub fn save(context: &Context, args: &SaveArgs) -> Result<u8> {
    let store = context.store()?;
    match &args.output {
        Some(path) => {
            let part = PartFile::new(path)?;
            let mut out = BufWriter::new(&part.file);
            store.save(&args.names, &mut out)?;
            out.flush()?;
            drop(out);
            part.keep()?;
        }
        None if io::stdout().is_terminal() => bail!("cowardly refusing to save to a terminal: use -o FILE or redirect"),
        None => {
            let mut out = io::stdout().lock();
            store.save(&args.names, &mut out)?;
            out.flush()?;
        }
    }
    Ok(0)
}

/// A file that gets its name once it is complete.
struct PartFile {
    file: File,
    path: PathBuf,
    part: PathBuf,
    kept: bool,
}

impl PartFile {
    fn new(path: &Path) -> Result<Self> {
        let name = path.file_name().with_context(|| format!("{} is no file name", path.display()))?;
        let part = path.with_file_name(format!(".{}.{}.part", name.display(), std::process::id()));
        let file = File::create(&part).with_context(|| format!("make {}", part.display()))?;
        Ok(Self { file, path: path.to_owned(), part, kept: false })
    }

    fn keep(mut self) -> Result<()> {
        std::fs::rename(&self.part, &self.path).with_context(|| format!("make {}", self.path.display()))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.kept {
            // It is gone already at worst.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

/// `stockade load`.
pub fn load(context: &Context, args: &LoadArgs) -> Result<u8> {
    let spooled;
    let source = match (&args.source, &args.input) {
        (Some(source), _) => source.clone(),
        (None, Some(input)) => archive(input)?,
        (None, None) => {
            spooled = Spool::stdin(&context.directories.root)?;
            archive(&spooled.path)?
        }
    };
    load_source(context, &source, args.quiet)
}

/// Loads every image of a layout or an archive and prints its names.
pub fn load_source(context: &Context, source: &str, quiet: bool) -> Result<u8> {
    for image in context.store()?.load(source, progress(quiet).as_ref())? {
        let name = image.names.first().map(|name| name.familiar());
        context.engine()?.image_event("load", &image.id.to_string(), name.as_deref().unwrap_or_default());
        match image.names.as_slice() {
            [] => message::print(format!("Loaded image ID: {}", image.id))?,
            names => names.iter().try_for_each(|name| message::print(format!("Loaded image: {}", name.familiar())))?,
        }
    }
    Ok(0)
}

/// Names an archive's kind by what it holds: an OCI archive has `oci-layout`, one of `docker save` only
/// `manifest.json`.
fn archive(path: &Path) -> Result<String> {
    let kind = if path.is_dir() {
        "oci"
    } else if holds_oci_layout(path)? {
        "oci-archive"
    } else {
        "docker-archive"
    };
    Ok(format!("{kind}:{}", path.display()))
}

/// Looks for the member in the first headers; archives are plain tar in both forms.
fn holds_oci_layout(path: &Path) -> Result<bool> {
    let mut file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut header = [0; 512];
    let mut members = 0;
    while members < MEMBERS_MAX && file.read_exact(&mut header).is_ok() && header[0] != 0 {
        let name = header[..100].split(|&byte| byte == 0).next().unwrap_or_default();
        if name.strip_prefix(b"./").unwrap_or(name) == b"oci-layout" {
            return Ok(true);
        }
        io::Seek::seek_relative(&mut file, padded_size(&header))?;
        members += 1;
    }
    Ok(false)
}

/// An archive with more members than this before `oci-layout` is taken for Docker's.
const MEMBERS_MAX: usize = 10_000;

fn padded_size(header: &[u8; 512]) -> i64 {
    let digits = header[124..136].iter().filter(|byte| (b'0'..=b'7').contains(byte));
    let size = digits.fold(0_i64, |size, byte| size.saturating_mul(8).saturating_add(i64::from(byte - b'0')));
    size.saturating_add(511) / 512 * 512
}

/// Standard input as a file: an archive's index may come last, and an import looks at the first bytes twice.
struct Spool {
    path: PathBuf,
}

impl Spool {
    fn stdin(directory: &Path) -> Result<Self> {
        if io::stdin().is_terminal() {
            bail!("standard input is a terminal: name a file or redirect");
        }
        let path = directory.join(format!(".load-{}", std::process::id()));
        let spool = Self { path };
        let mut file = File::create(&spool.path).with_context(|| format!("make {}", spool.path.display()))?;
        io::copy(&mut io::stdin().lock(), &mut file).context("read standard input")?;
        Ok(spool)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // It is gone already at worst.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// `stockade import`.
pub fn import(context: &Context, args: &ImportArgs) -> Result<u8> {
    let options = ImportOptions {
        name: args.name.clone(),
        changes: args.change.clone(),
        message: args.message.clone(),
        platform: args.platform.clone().unwrap_or_default(),
    };
    let store = context.store()?;
    let spooled = (args.source == Path::new("-")).then(|| Spool::stdin(&context.directories.root)).transpose()?;
    let source = spooled.as_ref().map_or(&args.source, |spooled| &spooled.path);
    let image = store.import(source, &options, progress(false).as_ref())?;
    let name = args.name.as_ref().map(|name| name.familiar()).unwrap_or_default();
    context.engine()?.image_event("import", &image.id.to_string(), &name);
    message::print(image.id.to_string())?;
    Ok(0)
}

/// `stockade tag`.
pub fn tag(context: &Context, args: &TagArgs) -> Result<u8> {
    let store = context.store()?;
    let image = store.find(&args.name)?;
    store.tag(&image, &args.target)?;
    context.engine()?.image_event("tag", &image.id.to_string(), &args.target.familiar());
    Ok(0)
}

/// `stockade image verify`.
pub fn verify(context: &Context, args: &NamesArgs) -> Result<u8> {
    let store = context.store()?;
    each_named(&args.names, |name| Ok(store.verify(&store.find(name)?)?))
}
