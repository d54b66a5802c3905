//! Starting programs (execve(2)): ELF files and scripts into a new address space.
//!
//! Nothing of the old program is touched before the new one is ready: whatever fails here is an error of the call.
//! What a program finds when it starts (strings, zeros behind a file's data) its own thread puts there before it
//! begins. More strings than it takes at once are put into pages of the pool and mapped privately.

mod auxiliary;
mod credentials;
mod elf;
mod image;
mod info;
mod joined;
mod random;
mod script;
mod stack;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::io::Collect;
use crate::mm::Memory;
use crate::platform::{Frame, Registers, Space};
use crate::task::{Credentials, HostProcess, Limits, Program, Resource};
use crate::vfs::permission::{Access, check_inode};
use crate::vfs::{Caller, File, FileKind, Follow, FsContext, MountFlags, Name, OpenFlags, Opening, Path};
use crate::{Errno, Kernel};

pub use credentials::check_file_capabilities;
pub use info::ProgramInfo;
use random::Random;
use script::Script;
pub use stack::STRING_BYTES_MAX;
use stack::{Stack, StackRequest};

/// ADDR_NO_RANDOMIZE of personality(2).
const ADDR_NO_RANDOMIZE: u32 = 0x004_0000;
/// BINPRM_BUF_SIZE: what of a file decides how it is run.
const HEAD_BYTES: usize = 256;
/// How often a script's interpreter may be a script.
const SCRIPTS_MAX: usize = 5;
/// Interrupts on.
const EFLAGS: u64 = 0x200;

/// What to start, for whom.
#[derive(Debug)]
pub struct Request<'a> {
    /// Where.
    pub kernel: &'a Arc<Kernel>,
    /// Who starts it; who it runs as is derived from this.
    pub caller: &'a Caller,
    /// How names of interpreters are resolved.
    pub context: &'a FsContext,
    /// The file.
    pub path: Path,
    /// What it was called: AT_EXECFN, and a script's name to its interpreter. `None` when an interpreter could not open
    /// it, since its descriptor is closed by then.
    pub name: Option<&'a [u8]>,
    /// Its command's name.
    pub command: &'a [u8],
    /// Arguments.
    pub arguments: Vec<Vec<u8>>,
    /// Environment.
    pub environment: Vec<Vec<u8>>,
    /// What it may use.
    pub limits: &'a Limits,
    /// personality(2)
    pub personality: u32,
    /// A space for a program that gains no rights, instead of a new one.
    pub space: Option<Arc<dyn Space>>,
}

/// Loads a program into a new address space.
pub fn load(request: Request<'_>) -> Result<Program, Errno> {
    let mut arguments = request.arguments.clone();
    if arguments.is_empty() {
        // As Linux does since 5.18: programs look at argv[0] unasked.
        arguments.push(Vec::new());
    }
    let mut path = request.path.clone();
    let mut name = request.name.map(<[u8]>::to_vec);
    for _ in 0..=SCRIPTS_MAX {
        let file = open(&request, path)?;
        let head = read(&file, 0, HEAD_BYTES)?;
        let Some(script) = Script::parse(&head)? else {
            return load_elf(&request, &file, &head, arguments, &name.unwrap_or_default());
        };
        script.put_before(&mut arguments, &name.ok_or(Errno::ENOENT)?);
        path = find(&request, script.interpreter)?;
        name = Some(script.interpreter.to_vec());
    }
    Err(Errno::ELOOP)
}

fn find(request: &Request<'_>, text: &[u8]) -> Result<Path, Errno> {
    Name::new(request.context, request.caller, text).find(Follow::Yes)
}

/// Opens a file to be executed.
fn open(request: &Request<'_>, path: Path) -> Result<Arc<File>, Errno> {
    match path.inode().kind() {
        FileKind::Regular => {}
        FileKind::Symlink => return Err(Errno::ELOOP),
        _ => return Err(Errno::EACCES),
    }
    if path.mount.flags().contains(MountFlags::NO_EXEC) {
        return Err(Errno::EACCES);
    }
    check_inode(&**path.inode(), &request.caller.credentials, Access::EXECUTE)?;
    let flags = OpenFlags::empty();
    let usage = request.kernel.vfs().hooks().begin_running(path.key())?;
    let object = path.inode().clone().open(&Opening { path: &path, flags, caller: request.caller })?;
    let file = request.kernel.vfs().file(object, path, flags)?;
    file.set_usage(Some(usage));
    Ok(file)
}

/// Up to `len` bytes of a file.
fn read(file: &File, offset: u64, len: usize) -> Result<Vec<u8>, Errno> {
    let mut sink = Collect::new(len);
    while sink.bytes.len() < len {
        let at = offset + sink.bytes.len() as u64;
        if file.object().read(&mut sink, at)? == 0 {
            break;
        }
    }
    Ok(sink.bytes)
}

fn load_elf(
    request: &Request<'_>,
    file: &Arc<File>,
    head: &[u8],
    arguments: Vec<Vec<u8>>,
    name: &[u8],
) -> Result<Program, Errno> {
    let machine = request.kernel.shared_machine();
    let program = elf::Elf::read(file, head)?;
    let interpreter = match program.interpreter(file)? {
        Some(path) => Some(interpreter(request, &path)?),
        None => None,
    };
    let (credentials, secure) = credentials::after_exec(&request.caller.credentials, file.path())?;
    let random = Random::new(&**machine, request.personality & ADDR_NO_RANDOMIZE == 0);
    let stack_bytes = request.limits.get(Resource::Stack).soft;
    let range = machine.info().user_range;
    let (space, process) = match &request.space {
        Some(space) if gains_nothing(&request.caller.credentials, &credentials) => {
            (space.clone(), HostProcess::Callers)
        }
        _ => (machine.create_space()?, HostProcess::New),
    };
    let memory = Memory::new(space, range);
    let top = random.stack_top(range.end);
    memory.set_layout(random.mapping_top(range.end, stack_bytes), range.start);
    let mut loader = image::Loader::new(&memory, machine);
    let image = loader.load(file, &program, interpreter.as_ref(), &random)?;
    let stack = Stack::build(&StackRequest {
        top,
        limit: stack_bytes,
        name,
        arguments: &arguments,
        environment: &request.environment,
        random: random.bytes(),
        auxiliary: auxiliary::vector(machine.info(), &image, &credentials, secure),
        executable: program.executable_stack,
    })?;
    stack.map(&mut loader)?;
    memory.set_layout(random.mapping_top(range.end, stack_bytes), random.heap_start(image.heap, &image, range.end));
    memory.set_program(ProgramInfo {
        file: file.clone(),
        arguments: stack.arguments.clone(),
        environment: stack.environment.clone(),
        auxiliary: stack.auxiliary.clone(),
        stack_start: stack.pointer,
        entry: image.start,
    });
    let registers = Registers { rip: image.start, rsp: stack.pointer, eflags: EFLAGS, ..Registers::default() };
    Ok(Program {
        frame: Frame { registers, fp_state: Vec::new() },
        setup: loader.finish(),
        process,
        memory,
        credentials,
        name: request.command.to_vec(),
    })
}

/// Whether a program may do no more than its caller: then its caller's host process is good enough for it.
fn gains_nothing(old: &Credentials, new: &Credentials) -> bool {
    let ids = |who: &Credentials| [who.uid, who.euid, who.fsuid, who.gid, who.egid, who.fsgid];
    ids(old) == ids(new) && old.permitted.contains(new.permitted) && old.effective.contains(new.effective)
}

/// The program that loads this one.
fn interpreter(request: &Request<'_>, path: &[u8]) -> Result<(Arc<File>, elf::Elf), Errno> {
    let file = open(request, find(request, path)?)?;
    let head = read(&file, 0, HEAD_BYTES)?;
    let elf = elf::Elf::read(&file, &head).map_err(|_| Errno::ELIBBAD)?;
    // As on Linux, only the program itself cannot be written while it runs.
    file.set_usage(None);
    Ok((file, elf))
}
