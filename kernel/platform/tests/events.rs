//! Events with a frame: exceptions, interrupts, and registers that the kernel changes.

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use common::{Ending, Kernel, OWN};
use stockade_kernel::platform::{Event, Fault, Interruption, Reply, WaitLimit};

/// Runs a program that makes one exception; gives it.
fn fault_of(body: &str) -> Fault {
    let seen = Arc::new(Mutex::new(None));
    let of_hook = seen.clone();
    let kernel = Kernel::with_hook(Box::new(move |_, event| {
        if let Event::Fault(fault) = event {
            of_hook.lock().unwrap().get_or_insert(*fault);
        }
        None
    }));
    let (ending, _) = kernel.run(&format!("void start(void) {{ {body}; exit_group(0); }}"));
    assert!(matches!(ending, Ending::Fault { .. }), "{body}: {ending:?}");
    seen.lock().unwrap().expect("a fault was seen")
}

#[track_caller]
fn check_fault(body: &str, signal: i32, code: i32, address: Option<u64>, trap_number: u64) {
    let fault = fault_of(body);
    assert_eq!((fault.signal, fault.code, fault.trap_number), (signal, code, trap_number), "{body}: {fault:?}");
    if let Some(address) = address {
        assert_eq!(fault.address, address, "{body}");
    }
}

#[test]
fn exceptions_come_with_their_codes() {
    check_fault("*(volatile char *)0x12345678 = 1", 11, 1, Some(0x1234_5678), 14);
    check_fault("char *p = map(4096); sys(10, p, 4096, 1); p[5] = 1", 11, 2, Some(0x1000_0005), 14);
    check_fault("*(volatile char *)0x8000000000000000 = 1", 11, 128, Some(0), 13);
    check_fault("asm volatile(\"ud2\")", 4, 2, None, 6);
    check_fault("asm volatile(\"int3\")", 5, 128, None, 3);
    check_fault(
        "asm volatile(\"xor %%ecx, %%ecx; mov $1, %%eax; cltd; idiv %%ecx\" : : : \"rax\", \"rcx\", \"rdx\")",
        8,
        1,
        None,
        0,
    );
    check_fault("((void (*)(void))0x666000)()", 11, 1, Some(0x66_6000), 14);
}

/// Interrupts the task once it has said that it is ready, by its own call.
fn interrupt_when_ready(
    then: impl Fn(&Arc<common::Task>, Interruption) -> Reply + Send + Sync + 'static,
) -> Arc<Kernel> {
    Kernel::with_hook(Box::new(move |task, event| match event {
        Event::Call { number: OWN, .. } => {
            task.interrupt_soon();
            Some(Reply::Value(0))
        }
        Event::Interrupted(what) => Some(then(task, *what)),
        _ => None,
    }))
}

#[test]
fn a_thread_that_computes_is_interrupted() {
    let kernel = interrupt_when_ready(|task, what| {
        assert_eq!(what, Interruption::Running);
        task.change(|registers| registers.r12 = 5);
        Reply::Resume
    });
    let source = r#"void start(void) { sys(1000, 0, 0, 0); u64 r;
        asm volatile("xor %%r12d, %%r12d; 1: pause; test %%r12, %%r12; jz 1b; mov %%r12, %0" : "=r"(r) : : "r12");
        exit_group(r); }"#;
    assert_eq!(kernel.run(source).0, Ending::Code(5));
}

/// Waits in a futex with these arguments; gives what the interrupt saw and what the program returned.
fn interrupted_wait(operation: u32, timeout: &str, fail: bool) -> (Interruption, Ending) {
    let seen = Arc::new(Mutex::new(None));
    let of_hook = seen.clone();
    let kernel = interrupt_when_ready(move |task, what| {
        *of_hook.lock().unwrap() = Some(what);
        if fail {
            task.fail_with_eintr();
        } else {
            // Let the wait be over when it runs again.
            task.space.write(0x1000_0000, &1_u32.to_le_bytes());
        }
        Reply::Resume
    });
    let source = format!(
        r#"void start(void) {{ volatile u32 *word = map(4096); u64 t[2] = {{ {timeout} }};
        sys(1000, 0, 0, 0);
        exit_group(-sys6(202, word, {operation}, 0, t[0] ? t : 0, 0, -1)); }}"#
    );
    let ending = kernel.run(&source).0;
    let seen = seen.lock().unwrap().expect("it was interrupted");
    (seen, ending)
}

#[test]
fn a_native_wait_is_interrupted_and_fails_or_runs_again() {
    const EINTR: Ending = Ending::Code(4);
    const EAGAIN: Ending = Ending::Code(11);
    let [forever, limited, until] = [WaitLimit::None, WaitLimit::For, WaitLimit::Until].map(Interruption::Waiting);
    assert_eq!(interrupted_wait(128, "0, 0", true), (forever, EINTR));
    assert_eq!(interrupted_wait(128, "0, 0", false), (forever, EAGAIN));
    assert_eq!(interrupted_wait(128, "100, 0", true), (limited, EINTR));
    assert_eq!(interrupted_wait(128, "100, 0", false), (limited, EAGAIN));
    assert_eq!(interrupted_wait(137, "9999999999, 0", true), (until, EINTR));
    assert_eq!(interrupted_wait(137, "9999999999, 0", false), (until, EAGAIN));
}

#[test]
fn a_call_can_be_run_again_in_either_form() {
    let runs = Arc::new(AtomicU32::new(0));
    let of_hook = runs.clone();
    let kernel = Kernel::with_hook(Box::new(move |_, event| match event {
        Event::Call { number: OWN | 59, .. } => {
            Some(if of_hook.fetch_add(1, Ordering::SeqCst) % 3 == 2 { Reply::Value(9) } else { Reply::Restart })
        }
        _ => None,
    }));
    let source = "void start(void) { exit_group(sys(1000, 1, 2, 3) == 9 && sys(59, 1, 2, 3) == 9 ? 0 : 1); }";
    assert_eq!((kernel.run(source).0, runs.load(Ordering::SeqCst)), (Ending::Code(0), 6));
}

#[test]
fn an_interrupt_during_a_call_comes_with_its_result() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let of_hook = seen.clone();
    let kernel = Kernel::with_hook(Box::new(move |task, event| match event {
        Event::Call { number: OWN | 59, form, .. } => {
            of_hook.lock().unwrap().push(format!("{form:?}"));
            task.thread().interrupt();
            task.thread().interrupt();
            Some(Reply::Value(-4))
        }
        Event::Interrupted(what) => {
            let rax = task.thread().frame().expect("a frame").registers.rax.cast_signed();
            of_hook.lock().unwrap().push(format!("{what:?} {rax}"));
            Some(Reply::Resume)
        }
        _ => None,
    }));
    let source = "void start(void) { exit_group(sys(1000, 0, 0, 0) == -4 && sys(59, 0, 0, 0) == -4 ? 0 : 1); }";
    assert_eq!(kernel.run(source).0, Ending::Code(0));
    assert_eq!(*seen.lock().unwrap(), ["Direct", "Running -4", "Trapped", "Running -4"]);
}

#[test]
fn vector_registers_survive_calls_and_can_be_changed() {
    let kernel = Kernel::with_hook(Box::new(|task, event| match event {
        Event::Call { number: 59, .. } => {
            let mut frame = task.thread().frame().expect("a frame");
            let info = stockade_kernel::platform::Machine::info(&*task.kernel.machine);
            assert_eq!(frame.fp_state.len(), info.fp_state_bytes);
            // XMM0 lies at 160 (Intel SDM 1, table 10-2).
            assert_eq!(frame.fp_state[160..164], 1234_u32.to_le_bytes());
            frame.fp_state[160..164].copy_from_slice(&4321_u32.to_le_bytes());
            frame.registers.rax = 0;
            task.thread().set_frame(&frame).expect("the frame is good");
            let mut forged = frame.clone();
            forged.fp_state[24..28].copy_from_slice(&[0xff; 4]);
            assert!(task.thread().set_frame(&forged).is_err(), "reserved bits of MXCSR");
            let mut forged = frame.clone();
            forged.fp_state[512 + 16] = 1;
            assert!(task.thread().set_frame(&forged).is_err(), "a reserved byte of the XSAVE header");
            Some(Reply::Resume)
        }
        _ => None,
    }));
    let source = r#"/* vectors */ void start(void) { u32 r;
        asm volatile("mov $1234, %%eax; movd %%eax, %%xmm0; mov $110, %%eax; syscall; mov $59, %%eax; syscall;"
            "movd %%xmm0, %0" : "=r"(r) : : "rax", "rcx", "r11", "xmm0", "memory");
        exit_group(r == 4321 ? 0 : 1); }"#;
    assert_eq!(kernel.run(source).0, Ending::Code(0));
}

#[test]
fn segment_bases_are_part_of_the_frame() {
    let kernel = Kernel::with_hook(Box::new(|task, event| match event {
        Event::Call { number: 59, .. } => {
            let mut frame = task.thread().frame().expect("a frame");
            assert_eq!(frame.registers.fs_base, 0x1000_0000);
            (frame.registers.fs_base, frame.registers.rax) = (0x1000_0100, 0);
            task.thread().set_frame(&frame).expect("the frame is good");
            Some(Reply::Resume)
        }
        _ => None,
    }));
    let source = r#"void start(void) { u64 *p = map(4096), r; p[0] = 1; p[32] = 2;
        sys(158, 0x1002, p, 0); asm volatile("mov %%fs:0, %0" : "=r"(r)); if (r != 1) exit_group(1);
        sys(59, 0, 0, 0); asm volatile("mov %%fs:0, %0" : "=r"(r)); exit_group(r == 2 ? 0 : 2); }"#;
    assert_eq!(kernel.run(source).0, Ending::Code(0));
}

#[test]
fn words_are_exchanged_or_said_to_be_missing() {
    let kernel = Kernel::with_hook(Box::new(|task, event| match *event {
        Event::Call { number: OWN, arguments: [address, ..], .. } => {
            let exchange = |address, expected, new| task.space.compare_exchange_u32(address, expected, new);
            assert_eq!(exchange(address, 5, 6), Ok(5));
            assert_eq!(exchange(address, 5, 7), Ok(6));
            assert!(exchange(0x6000_0000, 0, 0).is_err(), "nothing is there");
            assert!(exchange(address + 2, 0, 0).is_err(), "not a word's address");
            Some(Reply::Value(0))
        }
        _ => None,
    }));
    let source = "void start(void) { u32 *p = map(4096); *p = 5; sys(1000, p, 0, 0); exit_group(*p); }";
    assert_eq!(kernel.run(source).0, Ending::Code(6));
}
