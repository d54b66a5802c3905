//! The verbs of class `vm`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use stockade_vm_kernel::Name;

/// `stockade vm VERB`.
#[derive(Debug, Subcommand)]
pub enum VmVerb {
    /// Work on guest kernels
    #[command(subcommand)]
    Kernel(KernelVerb),
}

/// `stockade vm kernel VERB`.
#[derive(Debug, Subcommand)]
pub enum KernelVerb {
    /// List guest kernels
    #[command(visible_alias = "list")]
    Ls(KernelListArgs),
    /// Keep a copy of a kernel for guests
    Import(KernelImportArgs),
    /// Remove guest kernels; machines that run go on
    #[command(visible_alias = "remove")]
    Rm(KernelNamesArgs),
}

#[derive(Debug, Args)]
pub struct KernelListArgs {
    /// Do not shorten
    #[arg(long)]
    pub no_trunc: bool,
    /// json, a template, or "table TEMPLATE"
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

#[derive(Debug, Args)]
pub struct KernelImportArgs {
    /// Its name; machines use the kernel of the name default unless they ask for another
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub name: Name,
    /// Where its drivers are modules: their directory, /lib/modules/RELEASE of the kernel
    #[arg(long, value_name = "DIR")]
    pub modules: Option<PathBuf>,
    /// A vmlinux or a bzImage
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct KernelNamesArgs {
    /// Names
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}
