//! `save`, `load`, `import`, `tag`, `image verify`.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use rustix::fs::{Mode, OFlags};
use stockade_image::{ImportOptions, Input, LoadSource, Loaded, Store};

use super::context::Context;
use super::message::{self, each_named};
use super::progress::progress;
use crate::args::{ImportArgs, LoadArgs, NamesArgs, SaveArgs, TagArgs};

/// `stockade save`.
pub fn save(context: &Context, args: &SaveArgs) -> Result<u8> {
    let store = context.store()?;
    match &args.output {
        Some(path) if path.is_dir() => bail!("{} is a directory: name a file", path.display()),
        Some(path) if is_special(path) => {
            let out = File::options().write(true).open(path).with_context(|| format!("open {}", path.display()))?;
            save_to(&store, &args.names, BufWriter::new(out))?;
        }
        Some(path) => {
            let part = PartFile::new(path)?;
            save_to(&store, &args.names, BufWriter::new(&part.file))?;
            part.keep()?;
        }
        None if io::stdout().is_terminal() => bail!("cowardly refusing to save to a terminal: use -o FILE or redirect"),
        None => save_to(&store, &args.names, io::stdout().lock())?,
    }
    Ok(0)
}

fn save_to(store: &Store, names: &[String], mut out: impl Write) -> Result<()> {
    store.save(names, &mut out)?;
    Ok(out.flush()?)
}

/// Whether the path is a device, a pipe or the like, which is written to and never replaced.
fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
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
        // What a symbolic link leads to is replaced, not the link.
        let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
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
    match &args.source {
        Some(source) => load_source(context, source, args.quiet),
        None if args.input.as_deref().is_some_and(Path::is_dir) => {
            bail!("{} is a directory: name a file", args.input.as_deref().unwrap_or(Path::new("")).display())
        }
        None => load_from(context, &LoadSource::new(input(&context.store()?, args.input.as_deref())?), args.quiet),
    }
}

/// Loads what one of skopeo's transports, or a path, names.
pub fn load_source(context: &Context, source: &str, quiet: bool) -> Result<u8> {
    let parsed = LoadSource::parse(source);
    let parsed = parsed.with_context(|| {
        format!("cannot load {source:?}: expected a file, oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE")
    })?;
    load_from(context, &parsed, quiet)
}

/// Loads every image of a layout or an archive and prints its names.
fn load_from(context: &Context, source: &LoadSource, quiet: bool) -> Result<u8> {
    for Loaded { image, names } in context.store()?.load(source, progress(quiet).as_ref())? {
        let name = names.first().map(|name| name.familiar());
        context.engine()?.image_event("load", &image.id.to_string(), name.as_deref().unwrap_or_default());
        match names.as_slice() {
            [] => message::print(format!("Loaded image ID: {}", image.id))?,
            names => names.iter().try_for_each(|name| message::print(format!("Loaded image: {}", name.familiar())))?,
        }
    }
    Ok(0)
}

/// What a path names; standard input, or what comes out of a pipe, in an unlinked file: an archive's index may come
/// last, and an import looks at the first bytes twice.
fn input(store: &Store, path: Option<&Path>) -> Result<Input> {
    match path {
        Some(path) if is_special(path) => {
            let pipe = File::open(path).with_context(|| format!("open {}", path.display()))?;
            spooled(store.dir(), pipe).map(Input::Stdin)
        }
        Some(path) => Ok(Input::Path(path.to_owned())),
        None if io::stdin().is_terminal() => bail!("standard input is a terminal: name a file or redirect"),
        None => spooled(store.dir(), io::stdin().lock()).map(Input::Stdin),
    }
}

fn spooled(directory: &Path, mut from: impl Read) -> Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR);
    let mut file = File::from(file.with_context(|| format!("make a temporary file in {}", directory.display()))?);
    io::copy(&mut from, &mut file).context("copy standard input")?;
    Ok(file)
}

/// `stockade import`.
pub fn import(context: &Context, args: &ImportArgs) -> Result<u8> {
    let options = ImportOptions {
        name: args.name.clone(),
        changes: args.change.clone(),
        message: args.message.clone(),
        platform: args.platform.clone().unwrap_or_default(),
    };
    let path = (args.source != Path::new("-")).then_some(args.source.as_path());
    let store = context.store()?;
    let image = store.import(&input(&store, path)?, &options)?;
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
