//! Fetching images: `pull`, and what `run` and `create` do when an image is absent.

use anyhow::{Context as _, Result};
use stockade_image::{FindError, Image, Platform, PullOptions, Reference, Store};

use super::context::Context;
use super::message;
use super::progress::progress;
use super::store::load_source;
use crate::args::{CreateFlags, Pull, PullArgs, PullSource};

/// `stockade pull`.
pub fn pull(context: &Context, args: &PullArgs) -> Result<u8> {
    match &args.source {
        PullSource::Registry(name) => pull_from_registry(context, args, name),
        PullSource::Local(source) => load_source(context, source, args.quiet),
    }
}

fn pull_from_registry(context: &Context, args: &PullArgs, name: &Reference) -> Result<u8> {
    let store = context.store()?;
    let before = store.find(&name.to_string()).ok();
    let image = fetch(&store, name, args.platform.as_ref(), args.quiet)?;
    context.engine()?.image_event("pull", &image.id.to_string(), &name.familiar());
    if !args.quiet {
        let is_new = before.is_none_or(|before| before.id != image.id);
        let status = if is_new { "Downloaded newer image for" } else { "Image is up to date for" };
        message::note(format!("Status: {status} {}", name.familiar()));
    }
    message::print(name.to_string())?;
    Ok(0)
}

/// The image of a new container, pulled as `--pull` says.
pub fn image_for(context: &Context, store: &Store, name: &str, flags: &CreateFlags) -> Result<Image> {
    let platform = flags.keep.platform.as_ref();
    let quiet = flags.keep.quiet;
    if flags.keep.pull == Pull::Always {
        return fetched(context, store, name, platform, quiet);
    }
    match store.find(name) {
        Ok(image) if platform.is_none_or(|wanted| wanted.accepts(&image.platform)) => {
            warn_of_platform(&image, platform);
            Ok(image)
        }
        Err(FindError::Missing(_)) if flags.keep.pull == Pull::Missing => {
            let reference: Reference = name.parse()?;
            message::note(format!("Unable to find image '{}' locally", reference.familiar()));
            fetched(context, store, name, platform, quiet)
        }
        // What was named by its id cannot be asked for again.
        Err(FindError::Damaged { id, reason })
            if flags.keep.pull == Pull::Missing && !id.to_string().contains(name) =>
        {
            message::note(format!("Image '{name}' is damaged ({reason}); fetching it again"));
            fetched(context, store, name, platform, quiet)
        }
        Ok(image) if flags.keep.pull == Pull::Missing => {
            let wanted = platform.map(ToString::to_string).unwrap_or_default();
            message::note(format!(
                "Unable to find image '{name}' for {wanted} locally: it is here for {}",
                image.platform
            ));
            fetched(context, store, name, platform, quiet).with_context(|| format!("fetch {name} for {wanted}"))
        }
        Ok(image) => {
            let wanted = platform.map(ToString::to_string).unwrap_or_default();
            anyhow::bail!("image {name} is here for {} only, not for {wanted}, and --pull is never", image.platform)
        }
        Err(error) => Err(error.into()),
    }
}

/// A tag may have been pulled for another machine; the error of its first program would not say so.
fn warn_of_platform(image: &Image, asked: Option<&Platform>) {
    let host = Platform::default();
    if asked.is_none() && !host.accepts(&image.platform) {
        message::note(format!("Warning: the image is for {}, and this machine is {host}", image.platform));
    }
}

fn fetched(context: &Context, store: &Store, name: &str, platform: Option<&Platform>, quiet: bool) -> Result<Image> {
    let reference: Reference = name.parse()?;
    let image = fetch(store, &reference, platform, quiet)?;
    context.engine()?.image_event("pull", &image.id.to_string(), &reference.familiar());
    Ok(image)
}

fn fetch(store: &Store, name: &Reference, platform: Option<&Platform>, quiet: bool) -> Result<Image> {
    let options = PullOptions { platform: platform.cloned().unwrap_or_default() };
    Ok(store.pull(name, &options, progress(quiet).as_ref())?)
}
