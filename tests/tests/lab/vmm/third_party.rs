//! An unmodified client of Firecracker's, `fctools` of crates.io: it starts a guest, pauses and saves it, ends its VMM,
//! and has another one load it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fctools::process_spawner::DirectProcessSpawner;
use fctools::runtime::tokio::TokioRuntime;
use fctools::vm::api::VmApi;
use fctools::vm::configuration::{InitMethod, VmConfiguration, VmConfigurationData};
use fctools::vm::models::{BootSource, CreateSnapshot, MachineConfiguration, SnapshotType};
use fctools::vm::shutdown::{VmShutdownAction, VmShutdownMethod};
use fctools::vm::snapshot::PrepareVmFromSnapshotOptions;
use fctools::vm::{Vm, VmState};
use fctools::vmm::arguments::command_modifier::CommandModifier;
use fctools::vmm::arguments::{VmmApiSocket, VmmArguments};
use fctools::vmm::executor::process_handle::ProcessHandlePipes;
use fctools::vmm::executor::unrestricted::UnrestrictedVmmExecutor;
use fctools::vmm::installation::VmmInstallation;
use fctools::vmm::ownership::VmmOwnershipModel;
use fctools::vmm::resource::system::ResourceSystem;
use fctools::vmm::resource::{MovedResourceType, ResourceType};
use futures_util::{AsyncReadExt, AsyncWriteExt};
use stockade_tests::{bin, fixture};
use tempfile::TempDir;

use super::super::guest::{BOOT_ARGS, base64};

/// For the whole session.
const PATIENCE: Duration = Duration::from_secs(200);
const SOCKET_PATIENCE: Duration = Duration::from_secs(60);

type Client = Vm<UnrestrictedVmmExecutor, DirectProcessSpawner, TokioRuntime>;
type Pipes = ProcessHandlePipes<fctools::runtime::tokio::TokioRuntimeChild>;

/// The client's program is `firecracker`; ours is a verb of `stockade`.
#[derive(Debug)]
struct Verb;

impl CommandModifier for Verb {
    fn apply(&self, _: &mut PathBuf, arguments: &mut Vec<OsString>) {
        arguments.insert(0, "vmm".into());
    }
}

pub(super) fn session(dir: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = TempDir::new().expect("a directory");
    let session = async { tokio::time::timeout(PATIENCE, saved_and_loaded(dir, folder.path())).await };
    runtime.block_on(session).expect("in time");
}

async fn saved_and_loaded(dir: &Path, folder: &Path) {
    let mut vm = prepared(dir, folder).await;
    vm.start(SOCKET_PATIENCE).await.expect("start");
    let mut line = Line::new(vm.take_pipes().expect("pipes"));
    line.read_to("the guest is up\n").await;
    // The log is on the same output.
    let said = line.run(1, "echo here >/tmp/mark; echo done").await;
    assert!(said.ends_with("done\n"), "{said}");
    assert_eq!(vm.get_state(), VmState::Running);

    vm.pause().await.expect("pause");
    assert!(vm.get_info().await.expect("info").is_paused);
    let produced = |vm: &mut Client, name: &str| {
        vm.get_resource_system_mut().create_resource(folder.join(name), ResourceType::Produced).expect("a resource")
    };
    let (snapshot, mem_file) = (produced(&mut vm, "state"), produced(&mut vm, "memory"));
    let create = CreateSnapshot { snapshot_type: Some(SnapshotType::Full), snapshot, mem_file };
    let mut saved = vm.create_snapshot(create).await.expect("create a snapshot");
    saved.copy(&TokioRuntime, folder.join("kept.state"), folder.join("kept.memory")).await.expect("copy");
    vm.shutdown([end(VmShutdownMethod::Kill)]).await.expect("kill");

    let options = PrepareVmFromSnapshotOptions {
        executor: executor(folder),
        process_spawner: DirectProcessSpawner,
        runtime: TokioRuntime,
        moved_resource_type: MovedResourceType::Copied,
        ownership_model: VmmOwnershipModel::Shared,
        track_dirty_pages: None,
        resume_vm: Some(true),
        network_overrides: Vec::new(),
    };
    let mut loaded = saved.prepare_vm(&mut vm, options).await.expect("prepare a loaded machine");
    vm.cleanup().await.expect("clean up");
    loaded.start(SOCKET_PATIENCE).await.expect("load");
    let mut line = Line::new(loaded.take_pipes().expect("pipes"));
    let seen = line.run(2, "cat /tmp/mark; echo 1 >/proc/sys/kernel/ctrl-alt-del").await;
    assert!(seen.ends_with("here\n"), "{seen}");
    let ended = loaded.shutdown([end(VmShutdownMethod::CtrlAltDel)]).await.expect("Ctrl, Alt and Delete");
    assert!(ended.exit_status.success(), "{ended:?}");
    loaded.cleanup().await.expect("clean up");
}

async fn prepared(dir: &Path, folder: &Path) -> Client {
    let mut resources = ResourceSystem::new(DirectProcessSpawner, TokioRuntime, VmmOwnershipModel::Shared);
    let mut moved = |path: PathBuf| {
        resources.create_resource(path, ResourceType::Moved(MovedResourceType::Copied)).expect("a resource")
    };
    let data = VmConfigurationData {
        boot_source: BootSource {
            kernel_image: moved(fixture("lab/kernel/vmlinux")),
            boot_args: Some(BOOT_ARGS.to_owned()),
            initrd: Some(moved(dir.join("initramfs"))),
        },
        drives: Vec::new(),
        pmem_devices: Vec::new(),
        machine_configuration: MachineConfiguration {
            vcpu_count: 1,
            mem_size_mib: 128,
            smt: None,
            track_dirty_pages: None,
            huge_pages: None,
        },
        cpu_template: None,
        network_interfaces: Vec::new(),
        balloon_device: None,
        vsock_device: None,
        logger_system: None,
        metrics_system: None,
        memory_hotplug_configuration: None,
        mmds_configuration: None,
        entropy_device: None,
    };
    let stockade = bin("stockade");
    let installation = VmmInstallation::new(&stockade, &stockade, &stockade);
    let configuration = VmConfiguration::New { init_method: InitMethod::ViaApiCalls, data };
    Vm::prepare(executor(folder), resources, installation, configuration).await.expect("prepare a machine")
}

fn executor(folder: &Path) -> UnrestrictedVmmExecutor {
    let arguments = VmmArguments::new(VmmApiSocket::Enabled(folder.join("api.sock")));
    UnrestrictedVmmExecutor::new(arguments).command_modifier(Verb)
}

fn end(method: VmShutdownMethod) -> VmShutdownAction {
    VmShutdownAction { method, timeout: Some(SOCKET_PATIENCE), graceful: false }
}

/// The guest's serial line, as the client hands it out.
struct Line {
    pipes: Pipes,
    said: Vec<u8>,
}

impl Line {
    fn new(pipes: Pipes) -> Self {
        Self { pipes, said: Vec::new() }
    }

    /// What the guest says up to `mark`.
    async fn read_to(&mut self, mark: &str) -> String {
        let mut piece = [0; 1024];
        loop {
            if let Some(at) = self.said.windows(mark.len()).position(|window| window == mark.as_bytes()) {
                let text = String::from_utf8_lossy(&self.said[..at]).into_owned();
                self.said.drain(..at + mark.len());
                return text;
            }
            let len = self.pipes.stdout.read(&mut piece).await.expect("read the serial line");
            assert!(len > 0, "the VMM ended: {}", String::from_utf8_lossy(&self.said));
            self.said.extend(&piece[..len]);
        }
    }

    /// Runs a script in the guest.
    async fn run(&mut self, number: u32, script: &str) -> String {
        let line = format!("{number} {}\n", base64(script.as_bytes()));
        self.pipes.stdin.write_all(line.as_bytes()).await.expect("write to the serial line");
        self.pipes.stdin.flush().await.expect("write to the serial line");
        self.read_to(&format!("=== {number} 0 ===\n")).await
    }
}
