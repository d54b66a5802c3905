//! Registers and FP state of a thread, in the frame that its signal handler will return to. The frame lies in memory
//! that the application can write: it is read once, and what is written there can only harm who wrote it.

use rustix::process::Pid;
use stockade_kernel::Errno;
use stockade_kernel::platform::{Frame, Registers};
use stockade_kernel_stub::abi::{self, Context, Hello, Saved};

use super::batch::Beginning;
use super::notice::Kind;
use super::{Inner, Seen, Segments, State};
use crate::fp;
use crate::sys::memory;

const FP_STATE_OFFSET: usize = std::mem::offset_of!(Context, fp_state);
const REGISTERS_OFFSET: usize = std::mem::offset_of!(Context, r8);

impl Inner {
    fn slot_address(&self) -> u64 {
        abi::slot_address(self.slot)
    }

    /// Where the host put the frame, most likely: it always lays it out alike.
    fn likely(&self, depth: u64) -> u64 {
        self.slot_address() + abi::SLOT_BYTES - depth
    }

    /// What the handler saved, and the frame's context.
    pub(super) fn read_context(&self) -> Option<(Saved, Context)> {
        let (mut saved, mut context) = ([0; size_of::<Saved>()], [0; size_of::<Context>()]);
        let likely = self.likely(self.machine.hello.context_depth);
        let pieces = &mut [(self.slot_address(), &mut saved[..]), (likely, &mut context[..])];
        if !memory::read_pieces(self.stub.pid(), pieces) {
            return None;
        }
        let saved: Saved = memory::from_bytes(&saved)?;
        match saved.context == likely {
            true => Some((saved, memory::from_bytes(&context)?)),
            false => Some((saved, memory::read_value(self.stub.pid(), saved.context)?)),
        }
    }

    pub(super) fn write_context(&self, context: &Context) {
        let Some(saved) = memory::read_value::<Saved>(self.stub.pid(), self.slot_address()) else { return };
        memory::write_value(self.stub.pid(), saved.context, context);
    }

    /// A frame that was kept, in the slot: where, and the bytes.
    pub(super) fn entry_piece(&self, entry: &Registers) -> (u64, Vec<u8>) {
        let context = context(entry);
        let changed = &memory::bytes_of(&context)[REGISTERS_OFFSET..FP_STATE_OFFSET + 8];
        (self.likely(self.machine.hello.context_depth) + REGISTERS_OFFSET as u64, changed.to_vec())
    }

    pub(super) fn read_frame(&self) -> Result<Frame, Errno> {
        let before = self.with_frame(|state| state.kept_frame())?;
        if let Some(frame) = before {
            return Ok(frame);
        }
        let (saved, frame) = match self.read_likely_frame() {
            Some((saved, _, frame)) => (saved, frame),
            None => self.read_any_frame().ok_or(Errno::EFAULT)?,
        };
        self.with_frame(|state| state.seen = Some(Seen { saved, frame: None }))?;
        Ok(frame)
    }

    fn read_any_frame(&self) -> Option<(Saved, Frame)> {
        let (saved, context) = self.read_context()?;
        let fp_state = match context.fp_state {
            0 => Vec::new(),
            address => fp::read(self.stub.pid(), address, &self.machine.hello)?,
        };
        Some((saved, Frame { registers: registers(&context, &saved), fp_state }))
    }

    /// The context, and with it what [`Self::read_frame`] will be asked for.
    pub(super) fn see_context(&self, state: &mut State) -> Option<Context> {
        match self.read_likely_frame() {
            Some((saved, context, frame)) => {
                state.seen = Some(Seen { saved, frame: Some(frame) });
                Some(context)
            }
            None => self.read_context().map(|(_, context)| context),
        }
    }

    /// All of it at once, if it lies where the host puts it.
    fn read_likely_frame(&self) -> Option<(Saved, Context, Frame)> {
        let hello = &self.machine.hello;
        let (mut saved, mut context) = ([0; size_of::<Saved>()], [0; size_of::<Context>()]);
        let mut fp_state = vec![0; usize::try_from(hello.fp_bytes).ok()?];
        let (context_at, fp_at) = (self.likely(hello.context_depth), self.likely(hello.fp_depth));
        let pieces =
            &mut [(self.slot_address(), &mut saved[..]), (context_at, &mut context[..]), (fp_at, &mut fp_state[..])];
        if !memory::read_pieces(self.stub.pid(), pieces) {
            return None;
        }
        let (saved, context): (Saved, Context) = (memory::from_bytes(&saved)?, memory::from_bytes(&context)?);
        let is_there = saved.context == context_at && context.fp_state == fp_at && fp::is_whole(&fp_state);
        is_there.then(|| (saved, context, Frame { registers: registers(&context, &saved), fp_state }))
    }

    /// Writes it all at once: registers, FP state into the slot, segment bases if they changed. One without FP state is
    /// a new program's, whose host calls are about to be ordered: it is written with them.
    pub(super) fn write_frame(&self, frame: &Frame) -> Result<(), Errno> {
        if frame.fp_state.is_empty() && self.with_frame(|state| state.keep_entry(frame))? {
            return Ok(());
        }
        let seen = self.with_frame(|state| state.seen.take())?;
        let (pid, slot) = (self.stub.pid(), self.slot_address());
        let saved = match seen {
            Some(seen) => seen.saved,
            None => memory::read_value(pid, slot).ok_or(Errno::EFAULT)?,
        };
        let has_fp = !frame.fp_state.is_empty();
        if has_fp {
            fp::check(&frame.fp_state, &self.machine.hello)?;
        }
        let fp_at = slot + abi::FP_OFFSET;
        let context = Context { fp_state: if has_fp { fp_at } else { 0 }, ..context(&frame.registers) };
        let changed = &memory::bytes_of(&context)[REGISTERS_OFFSET..FP_STATE_OFFSET + 8];
        let bases = (frame.registers.fs_base, frame.registers.gs_base);
        let segments = [bases.0.to_ne_bytes(), bases.1.to_ne_bytes()].concat();
        let new_bases = (saved.fs_base, saved.gs_base) != bases;
        let pieces = [
            (saved.context.wrapping_add(REGISTERS_OFFSET as u64), changed),
            (fp_at, &frame.fp_state[..]),
            (slot + abi::SEGMENTS_OFFSET, if new_bases { &segments[..] } else { &[] }),
        ];
        if !memory::write_pieces(pid, &pieces) {
            return Err(Errno::EFAULT);
        }
        self.with_frame(|state| {
            if new_bases {
                state.segments = Segments::Changed;
            }
            state.seen = Some(Seen { saved, frame: None });
        })
    }

    /// Only while the thread waits in an event with a frame.
    fn with_frame<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> Result<T, Errno> {
        let mut state = self.state();
        match state.waiting {
            Some(waiting) if waiting.kind.has_frame() => Ok(use_it(&mut state)),
            _ => Err(Errno::EINVAL),
        }
    }
}

impl State {
    /// Keeps a frame for the reply. The handler of a trapped call has its own where the host puts it always.
    fn keep_entry(&mut self, frame: &Frame) -> bool {
        let is_usual = self.waiting.is_some_and(|waiting| waiting.kind == Kind::Trapped);
        if is_usual {
            self.entry = Some(frame.registers);
            self.segments = Segments::Changed;
            self.seen = None;
        }
        is_usual
    }

    fn kept_frame(&mut self) -> Option<Frame> {
        let entry = self.entry.map(|registers| Frame { registers, fp_state: Vec::new() });
        entry.or_else(|| self.seen.as_mut().and_then(|seen| seen.frame.take()))
    }
}

/// What a new thread enters with, as its slot has it: registers, and where they lie; segment bases; FP state.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    address: u64,
    head: Vec<u8>,
    context: Context,
    fp_state: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Of a thread in a slot.
    pub(crate) fn new(slot: u32, frame: &'a Frame, hello: &Hello) -> Result<Self, Errno> {
        if !frame.fp_state.is_empty() {
            fp::check(&frame.fp_state, hello)?;
        }
        let address = abi::slot_address(slot);
        let Registers { fs_base, gs_base, .. } = frame.registers;
        // `Saved`; the bases that the thread is to set; and that it says hello.
        let head =
            [address + abi::CONTEXT_OFFSET, fs_base, gs_base, 0, fs_base, gs_base, 0].map(u64::to_ne_bytes).concat();
        Ok(Self { address, head, context: entry_context(address, frame), fp_state: &frame.fp_state })
    }

    /// The same of one that begins at once.
    pub(crate) fn at_once(slot: u32, frame: &'a Frame, hello: &Hello, beginning: &Beginning) -> Result<Self, Errno> {
        let mut entry = Self::new(slot, frame, hello)?;
        entry.head.truncate(entry.head.len() - size_of::<i64>());
        entry.head.extend(beginning.encode(slot));
        Ok(entry)
    }

    /// Where which bytes go.
    pub(crate) fn pieces(&self) -> [(u64, &[u8]); 3] {
        let (context_at, fp_at) = (self.address + abi::CONTEXT_OFFSET, self.address + abi::FP_OFFSET);
        [(self.address, &self.head), (context_at, memory::bytes_of(&self.context)), (fp_at, self.fp_state)]
    }

    /// Writes it.
    pub(crate) fn write(&self, pid: Pid) -> Result<(), Errno> {
        if memory::write_pieces(pid, &self.pieces()) { Ok(()) } else { Err(Errno::ENOMEM) }
    }
}

fn entry_context(address: u64, frame: &Frame) -> Context {
    Context {
        flags: abi::CONTEXT_FLAGS,
        stack_base: address + abi::STACK_OFFSET,
        stack_bytes: abi::SLOT_BYTES - abi::STACK_OFFSET,
        fp_state: if frame.fp_state.is_empty() { 0 } else { address + abi::FP_OFFSET },
        ..context(&frame.registers)
    }
}

fn registers(context: &Context, saved: &Saved) -> Registers {
    Registers {
        r8: context.r8,
        r9: context.r9,
        r10: context.r10,
        r11: context.r11,
        r12: context.r12,
        r13: context.r13,
        r14: context.r14,
        r15: context.r15,
        rdi: context.rdi,
        rsi: context.rsi,
        rbp: context.rbp,
        rbx: context.rbx,
        rdx: context.rdx,
        rax: context.rax,
        rcx: context.rcx,
        rsp: context.rsp,
        rip: context.rip,
        eflags: context.eflags,
        fs_base: saved.fs_base,
        gs_base: saved.gs_base,
    }
}

fn context(registers: &Registers) -> Context {
    Context {
        r8: registers.r8,
        r9: registers.r9,
        r10: registers.r10,
        r11: registers.r11,
        r12: registers.r12,
        r13: registers.r13,
        r14: registers.r14,
        r15: registers.r15,
        rdi: registers.rdi,
        rsi: registers.rsi,
        rbp: registers.rbp,
        rbx: registers.rbx,
        rdx: registers.rdx,
        rax: registers.rax,
        rcx: registers.rcx,
        rsp: registers.rsp,
        rip: registers.rip,
        eflags: registers.eflags,
        segments: abi::USER_SEGMENTS,
        ..Context::default()
    }
}
