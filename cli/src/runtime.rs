//! From an isolation class to the code that serves it; the only place that knows them all.

use std::env::ArgsOs;
use std::path::Path;

use stockade_kernel_monitor::KernelClass;
use stockade_native::Native;
use stockade_sandbox::{Error, IsolationClass, Result, Runtime};

/// Every class with, where this build lacks it, the reason.
pub fn classes() -> [(IsolationClass, Option<&'static str>); 3] {
    [IsolationClass::Native, IsolationClass::Kernel, IsolationClass::Vm].map(|class| (class, lacking(class)))
}

/// Why a class cannot be had, if it cannot.
pub fn lacking(class: IsolationClass) -> Option<&'static str> {
    match class {
        IsolationClass::Native | IsolationClass::Kernel => None,
        IsolationClass::Vm => Some("this build lacks the class"),
    }
}

/// How a class does its work on this host, where there is more than one way.
pub fn detail(class: IsolationClass) -> Option<String> {
    match class {
        IsolationClass::Kernel => Some(match KernelClass::trap_path() {
            Ok(path) => format!("trap path {path}"),
            Err(error) => format!("no trap path: {error}"),
        }),
        IsolationClass::Native | IsolationClass::Vm => None,
    }
}

/// The error for a class that this build lacks.
pub fn check(class: IsolationClass) -> Result<()> {
    match lacking(class) {
        None => Ok(()),
        Some(reason) => Err(Error::Unsupported {
            class,
            what: "run containers".to_owned(),
            why: format!("{reason}; choose --isolation native"),
        }),
    }
}

/// The service of `class`, with its state below `state_root`. A class that is lacking is an error: never another one.
pub fn runtime(class: IsolationClass, state_root: &Path) -> Result<Box<dyn Runtime>> {
    check(class)?;
    let state_root = state_root.to_path_buf();
    Ok(match class {
        IsolationClass::Kernel => Box::new(KernelClass::new(state_root)),
        _ => Box::new(Native::new(state_root)),
    })
}

/// What this process is, by the name that it was started with: `None` when it is no helper of a class, else the exit
/// status once it is done.
pub fn program(arguments: impl Fn() -> ArgsOs) -> Option<i32> {
    stockade_hosted::program(arguments()).or_else(|| stockade_kernel_monitor::program(arguments()))
}
