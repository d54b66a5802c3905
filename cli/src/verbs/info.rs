//! `info` and `version`.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use stockade_engine::Status;
use stockade_sandbox::IsolationClass;

use super::context::Context;
use super::message;
use super::ps::everything;
use crate::args::{FormatArg, InfoArgs};
use crate::template::{Template, unescape};
use crate::{config, runtime};

/// `stockade info --default-config`.
pub fn default_config() -> Result<u8> {
    message::print(config::SAMPLE.trim_end())?;
    Ok(0)
}

/// `stockade version`.
pub fn version(args: &FormatArg) -> Result<u8> {
    let host = rustix::system::uname();
    let document = json!({
        "Version": env!("CARGO_PKG_VERSION"),
        "GitCommit": option_env!("STOCKADE_COMMIT").unwrap_or("unknown"),
        "Profile": if cfg!(debug_assertions) { "debug" } else { "release" },
        "Os": std::env::consts::OS,
        "Arch": std::env::consts::ARCH,
        "OCIRuntimeSpec": crate::oci::SPEC_VERSION,
        "KernelVersion": host.release().to_string_lossy(),
        "Classes": runtime::CLASSES.map(|class| class.to_string()),
    });
    show(&document, args.format.as_deref(), VERSION)
}

const VERSION: &str = "Stockade:
 Version:       {{.Version}}
 Git commit:    {{.GitCommit}}
 Profile:       {{.Profile}}
 OS/Arch:       {{.Os}}/{{.Arch}}
 Runtime spec:  {{.OCIRuntimeSpec}}
 Kernel:        {{.KernelVersion}}
 Classes:       {{join .Classes \", \"}}";

/// `stockade info`.
pub fn info(context: &Context, args: &InfoArgs) -> Result<u8> {
    show(&document(context)?, args.format.as_deref(), INFO)
}

fn show(document: &Value, format: Option<&str>, default: &str) -> Result<u8> {
    match format {
        Some("json") => message::print(document.to_string())?,
        format => {
            let template = format.map_or(default.to_owned(), unescape);
            message::print(Template::parse(&template)?.render(document)?)?;
        }
    }
    Ok(0)
}

const INFO: &str = "Containers: {{.Containers}}
 Running: {{.ContainersRunning}}
 Paused: {{.ContainersPaused}}
 Stopped: {{.ContainersStopped}}
Images: {{.Images}}
Version: {{.Version}}
Default class: {{.DefaultClass}}
Classes:{{range .Classes}}
 {{.Name}}: {{if .Available}}available{{if .Detail}}, {{.Detail}}{{end}}{{else}}not available: {{.Reason}}{{end}}{{end}}
Logging driver: {{.LoggingDriver}}
Cgroup version: {{.CgroupVersion}}
Storage: EROFS layers below overlayfs{{if not .Erofs}} (this kernel lacks EROFS){{end}}
Data directory: {{.RootDir}}
State directory: {{.StateDir}}
Kernel: {{.KernelVersion}}
Operating system: {{.OperatingSystem}}
Architecture: {{.Architecture}}
CPUs: {{.NCPU}}
Total memory: {{.MemTotalHuman}}
Name: {{.Name}}";

fn document(context: &Context) -> Result<Value> {
    let containers = context.engine()?.list(&everything())?;
    let count = |statuses: &[Status]| containers.iter().filter(|c| statuses.contains(&c.status)).count();
    let host = rustix::system::uname();
    let memory = rustix::system::sysinfo();
    let memory = memory.totalram.saturating_mul(memory.mem_unit.into());
    Ok(json!({
        "Containers": containers.len(),
        "ContainersRunning": count(&[Status::Running]),
        "ContainersPaused": count(&[Status::Paused]),
        "ContainersStopped": count(&[Status::Created, Status::Exited, Status::Removing]),
        "Images": context.store()?.list()?.len(),
        "Version": env!("CARGO_PKG_VERSION"),
        "DefaultClass": context.config.isolation,
        "Classes": runtime::CLASSES.map(|class| described(class, context)),
        "LoggingDriver": context.config.container.log_driver,
        "CgroupVersion": cgroup_version(),
        "Driver": "erofs",
        "Erofs": has_file_system("erofs"),
        "RootDir": context.directories.root,
        "StateDir": context.directories.state,
        "KernelVersion": host.release().to_string_lossy(),
        "OperatingSystem": operating_system(),
        "OSType": std::env::consts::OS,
        "Architecture": host.machine().to_string_lossy(),
        "NCPU": std::thread::available_parallelism().map_or(1, usize::from),
        "MemTotal": memory,
        "MemTotalHuman": crate::human::binary_size(memory),
        "Name": host.nodename().to_string_lossy(),
    }))
}

fn described(class: IsolationClass, context: &Context) -> Value {
    let found = runtime::detail(class, &context.directories.root, &context.config.guest_kernel);
    let (available, detail, reason) = match found {
        Ok(detail) => (true, detail, String::new()),
        Err(reason) => (false, None, reason),
    };
    json!({"Name": class, "Available": available, "Reason": reason, "Detail": detail})
}

/// cgroups(7): a pure v2 host has the controllers in the root of the tree.
fn cgroup_version() -> &'static str {
    let has = |path: &str| Path::new(path).exists();
    match (has("/sys/fs/cgroup/cgroup.controllers"), has("/sys/fs/cgroup/unified/cgroup.controllers")) {
        (true, _) => "2",
        (false, true) => "1 (hybrid)",
        (false, false) => "1",
    }
}

fn has_file_system(name: &str) -> bool {
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    known.lines().any(|line| line.split_whitespace().next_back() == Some(name))
}

fn operating_system() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("Linux").trim_matches('"').to_owned()
}
