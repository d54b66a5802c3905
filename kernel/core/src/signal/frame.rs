//! The frame of a signal handler on the application's stack: `struct rt_sigframe` of Linux on x86-64.

use alloc::vec::Vec;

use super::context::{Context, UcFlags};
use super::fp_state;
use super::{Action, ActionFlags, AlternateStack, SignalInfo, SignalSet, StackAbi};
use crate::Errno;
use crate::abi::Encoder;
use crate::mm::Memory;
use crate::platform::Frame;
use crate::task::Task;

/// Below the stack pointer, a function may keep data here (System V ABI).
const RED_ZONE_BYTES: u64 = 128;
/// `struct rt_sigframe`: return address, `struct ucontext`, `siginfo_t`.
const FRAME_BYTES: u64 = 8 + Context::LEN as u64 + SignalInfo::LEN as u64;
/// XSAVE areas begin at a multiple of this.
const FP_ALIGNMENT: usize = 64;
/// DF, RF and TF are clear when a handler begins.
const CLEARED_FLAGS: u64 = 0x400 | 0x1_0000 | 0x100;
/// Behind every address that a program can jump to. It is more than what a program can map: the host's vDSO lies above.
const TASK_SIZE: u64 = 0x7fff_ffff_f000;
/// What sigreturn can change: AC OF DF TF SF ZF AF PF CF RF.
const RESTORED_FLAGS: u64 = 0x4_0000 | 0x800 | 0x400 | 0x100 | 0x80 | 0x40 | 0x10 | 4 | 1 | 0x1_0000;

/// Where the parts of a frame go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Arrangement {
    frame: u64,
    fp_state: u64,
}

impl Arrangement {
    /// As `get_sigframe` of Linux. `EFAULT` when the alternate stack is too small.
    fn new(stack_pointer: u64, fp_bytes: u64, stack: AlternateStack, action: &Action) -> Result<Self, Errno> {
        let switched = if action.flags.contains(ActionFlags::ONSTACK) { stack.top(stack_pointer) } else { None };
        let top = switched.unwrap_or_else(|| stack_pointer.wrapping_sub(RED_ZONE_BYTES));
        let fp_state = top.wrapping_sub(fp_bytes) & !63;
        let frame = (fp_state.wrapping_sub(FRAME_BYTES) & !15).wrapping_sub(8);
        let on_stack = switched.is_some() || stack.is_in_use(stack_pointer);
        if on_stack && !stack.contains(frame) {
            return Err(Errno::EFAULT);
        }
        Ok(Self { frame, fp_state })
    }

    /// All bytes from the frame to the end of the FP state.
    fn bytes(self, context: &Context, info: &SignalInfo, action: &Action, fp_state: &[u8]) -> Vec<u8> {
        let mut to = Encoder::new();
        to.put(action.restorer);
        context.encode(&mut to);
        to.bytes(&info.to_abi());
        if !fp_state.is_empty() {
            let gap = usize::try_from(self.fp_state.wrapping_sub(self.frame)).unwrap_or(0).saturating_sub(to.len());
            to.zeros(gap).bytes(fp_state);
        }
        to.finish()
    }
}

impl Task {
    /// Stores a handler's frame and lets `frame` enter the handler. On failure nothing but the stack is changed.
    pub(super) fn enter_handler(&self, frame: &mut Frame, info: &SignalInfo, action: &Action) -> Result<(), Errno> {
        if !action.flags.contains(ActionFlags::RESTORER) {
            return Err(Errno::EFAULT);
        }
        let stack = *self.signals.stack.lock();
        let registers = frame.registers;
        let place = Arrangement::new(registers.rsp, frame.fp_state.len() as u64, stack, action)?;
        let has_fp = !frame.fp_state.is_empty();
        let context = Context {
            flags: UcFlags::for_frame(has_fp),
            stack: stack.to_abi(registers.rsp),
            registers,
            fault: *self.last_fault.lock(),
            fp_state: if has_fp { place.fp_state } else { 0 },
            mask: self.signals.lasting_mask(),
        };
        self.memory().write_bytes(place.frame, &place.bytes(&context, info, action, &frame.fp_state))?;
        self.signals.stack.lock().used();
        self.mask_for_handler(info, action);
        let registers = &mut frame.registers;
        registers.rdi = u64::from(info.signal.raw().unsigned_abs());
        registers.rsi = place.frame + 8 + Context::LEN as u64;
        registers.rdx = place.frame + 8;
        registers.rax = 0;
        registers.rsp = place.frame;
        registers.rip = action.handler;
        registers.eflags &= !CLEARED_FLAGS;
        frame.fp_state.clear();
        Ok(())
    }

    fn mask_for_handler(&self, info: &SignalInfo, action: &Action) {
        self.signals.take_saved_mask();
        let mut mask = self.signals.blocked().union(action.mask);
        if !action.flags.contains(ActionFlags::NODEFER) {
            mask.insert(info.signal);
        }
        self.set_blocked(mask);
    }

    /// rt_sigreturn(2): the registers from before the handler. `EFAULT` when the frame is no frame.
    pub(crate) fn leave_handler(&self, current: &Frame) -> Result<Frame, Errno> {
        let memory = self.memory();
        let at = current.registers.rsp;
        let bytes = read_near(&memory, at, current.fp_state.len());
        if bytes.len() < Context::LEN {
            return Err(Errno::EFAULT);
        }
        let context = Context::from_bytes(&bytes);
        if context.registers.rip >= TASK_SIZE {
            return Err(Errno::EFAULT);
        }
        let near = context.fp_state.checked_sub(at).and_then(|start| usize::try_from(start).ok());
        let near = near.and_then(|start| bytes.get(start..)?.get(..current.fp_state.len()));
        let fp_state = fp_state::restored(&memory, context.fp_state, near, &current.fp_state)?;
        let mut registers = context.registers;
        registers.fs_base = current.registers.fs_base;
        registers.gs_base = current.registers.gs_base;
        registers.eflags = current.registers.eflags & !RESTORED_FLAGS | context.registers.eflags & RESTORED_FLAGS;
        self.set_blocked(SignalSet::mask(context.mask.bits()));
        self.restore_stack(context.stack, registers.rsp);
        Ok(Frame { registers, fp_state })
    }

    /// The alternate stack from before the handler, unless it is in use; a bad one is left out, as on Linux.
    fn restore_stack(&self, stack: StackAbi, stack_pointer: u64) {
        let mut current = self.signals.stack.lock();
        if !current.is_in_use(stack_pointer)
            && let Ok(stack) = AlternateStack::from_abi(stack, 0)
        {
            *current = stack;
        }
    }
}

/// What a frame may take, FP state and gaps included, as far as it is there: mostly that is all of it.
fn read_near(memory: &Memory, at: u64, fp_bytes: usize) -> Vec<u8> {
    let mut bytes = alloc::vec![0; Context::LEN + SignalInfo::LEN + FP_ALIGNMENT + fp_bytes];
    let got = memory.space().read(at, &mut bytes);
    bytes.truncate(got);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(flags: ActionFlags) -> Action {
        Action { handler: 0x1000, flags, restorer: 0x2000, mask: SignalSet::EMPTY }
    }

    #[test]
    fn a_frame_lies_below_the_red_zone_and_is_aligned_as_a_call_leaves_the_stack() {
        let place = Arrangement::new(0x7000, 512, AlternateStack::default(), &action(ActionFlags::empty()));
        let place = place.expect("an ordinary stack has room");
        assert_eq!(place.fp_state, 0x7000 - 128 - 512);
        assert_eq!(place.frame % 16, 8);
        assert!(place.frame + FRAME_BYTES <= place.fp_state);
    }

    #[test]
    fn a_frame_that_does_not_fit_below_the_stack_pointer_lies_at_the_top_of_the_addresses() {
        let action = action(ActionFlags::empty());
        let place = Arrangement::new(128 + 512 + 64, 512, AlternateStack::default(), &action).expect("a place");
        assert!(place.frame > place.fp_state);
        let context = Context {
            flags: UcFlags::for_frame(true),
            stack: AlternateStack::default().to_abi(0),
            registers: Default::default(),
            fault: None,
            fp_state: place.fp_state,
            mask: SignalSet::EMPTY,
        };
        let info = SignalInfo::kernel(crate::signal::Signal::USR1);
        let bytes = place.bytes(&context, &info, &action, &[0; 512]);
        assert_eq!(bytes.len() as u64, place.fp_state.wrapping_sub(place.frame) + 512);
    }

    #[test]
    fn a_frame_that_does_not_fit_the_alternate_stack_is_refused() {
        let small = StackAbi { start: 0x9000, flags: 0, len: 512 };
        let stack = AlternateStack::from_abi(small, 0).expect("a stack");
        let on_stack = action(ActionFlags::ONSTACK);
        assert_eq!(Arrangement::new(0x7000, 512, stack, &on_stack), Err(Errno::EFAULT));
        assert!(Arrangement::new(0x7000, 512, stack, &action(ActionFlags::empty())).is_ok());
    }
}
