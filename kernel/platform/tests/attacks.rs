//! What a hostile application tries from inside its stub. Its own process may die of it; it gets nothing, the machine
//! and other spaces go on.

mod common;

use std::time::{Duration, Instant};

use common::{Ending, Kernel, OWN, Program};
use stockade_kernel::platform::{Event, Form, HostCall, Keep, Machine, Protection, Reply};
use stockade_kernel_stub::abi;

/// Addresses that programs attack with. The stub's code is at the same place in every build.
fn constants() -> String {
    let slot = abi::slot_address(1);
    format!("#define SLOTS 0x{:x}UL\n#define SLOT 0x{slot:x}UL\n#define IMAGE 0x7ff000001000UL\n", abi::RESERVED_START)
        + FIND_SYSCALL
}

/// Finds the stub's system call and sigreturn instructions in its code, and makes calls through the first.
const FIND_SYSCALL: &str = r#"
static unsigned char *find(int next) { unsigned char *p = (unsigned char *)IMAGE;
  for (;; p++) if (p[0] == 0x0f && p[1] == 0x05 && p[2] == next) return p; }
enum { SIGRETURN = 0x0f, ANY_CALL = 0xc3 }; /* They go on with ud2 and ret. */
static long stub6(long n, long a, long b, long c, long d, long e, long f) {
  register long r10 asm("r10") = d; register long r8 asm("r8") = e; register long r9 asm("r9") = f;
  register u64 at asm("rbx") = (u64)find(ANY_CALL);
  asm volatile("call *%%rbx" : "+a"(n) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9), "r"(at) : "rcx", "r11", "memory");
  return n; }
#define stub(n, a, b, c) stub6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
"#;

fn source(body: &str) -> String {
    format!("{}\nvoid start(void) {{ {body}; exit_group(0); }}", constants())
}

/// The attack ends in one of these, and the machine still runs programs.
#[track_caller]
fn check(body: &str, expected: &[Ending]) {
    let kernel = Kernel::start();
    let task = kernel.spawn(&Program::build(&source(body)));
    let ending = kernel.wait(&task);
    assert!(expected.contains(&ending), "{body}: {ending:?}");
    let after = kernel.run("void start(void) { exit_group(42); }").0;
    assert_eq!(after, Ending::Code(42), "another space goes on after {body}");
    // A forged fork goes on for ever.
    kernel.let_go();
}

const REFUSED: Ending = Ending::Code(1);
const KILLED: Ending = Ending::Gone;

#[test]
fn the_stubs_pages_cannot_be_changed_directly() {
    // The kernel of the tests lets all of these through to the platform.
    for call in
        ["sys(11, SLOTS, 4096, 0)", "sys(11, IMAGE, 4096, 0)", "sys(10, IMAGE, 4096, 7)", "sys(28, SLOT, 65536, 4)"]
    {
        check(&format!("exit_group({call} == -1)"), &[REFUSED]);
    }
    for len in ["-4096L", "(0UL - 0x10000000)", "0x7fffffffffffffffL", "SLOTS"] {
        check(&format!("exit_group(sys(11, 0x10000000, {len}, 0) == -1)"), &[REFUSED]);
    }
    check("exit_group(sys(11, SLOTS - 4096, 8192, 0) == -1)", &[REFUSED]);
}

/// Layout calls that a careless kernel lets through.
fn careless(calls: Vec<HostCall>) -> Ending {
    let kernel = Kernel::with_hook(Box::new(move |_, event| match event {
        Event::Call { number: 59, form: Form::Trapped, .. } => Some(Reply::Layout { calls: calls.clone(), value: 0 }),
        Event::LayoutDone(Err(error)) => Some(Reply::Value(-i64::from(error.errno.raw()))),
        _ => None,
    }));
    kernel.run("void start(void) { map(4096); exit_group(-sys(59, 0, 0, 0)); }").0
}

#[test]
fn the_stubs_pages_cannot_be_changed_by_layouts() {
    use stockade_kernel::platform::Backing::Anonymous;
    let eperm = Ending::Code(1);
    let all = Protection::READ | Protection::WRITE | Protection::EXEC;
    let (inside, at) = (abi::slot_address(3), 0x1000_0000);
    let map = |address, len| HostCall::Map { address, len, protection: all, backing: Anonymous };
    let remap = |from, from_len, to, to_len| HostCall::Remap { from, from_len, to, to_len, keep: Keep::Nothing };
    let cases = [
        map(inside, 4096),
        map(abi::RESERVED_START - 4096, 8192),
        map(at, u64::MAX - 4095),
        HostCall::Unmap { address: inside, len: 4096 },
        HostCall::Unmap { address: at, len: 0u64.wrapping_sub(at) },
        HostCall::Protect { address: 0x7ff0_0000_1000, len: 4096, protection: all },
        remap(inside, 4096, at, 4096),
        remap(at, 4096, inside, 4096),
        remap(at, 4096, abi::RESERVED_START - 4096, 8192),
        remap(at, u64::MAX - 4095, 0x2000_0000, 4096),
        remap(at, 4096, 0x2000_0000, u64::MAX - 4095),
    ];
    for call in cases {
        assert_eq!(careless(vec![call.clone()]), eperm, "{call:?}");
    }
    // The handler writes nothing there either, where it would find that its code cannot be written.
    for address in [0x7ff0_0000_1000, abi::RESERVED_START - 4, u64::MAX - 4] {
        let fill = HostCall::Fill { address, bytes: vec![0xcc; 8] };
        assert_eq!(careless(vec![fill]), Ending::Code(0), "{address:#x}");
        assert_eq!(careless(vec![HostCall::Zero { address, len: 8 }]), Ending::Code(0), "{address:#x}");
    }
}

#[test]
fn host_calls_through_the_stubs_instruction_end_the_process() {
    // mmap, mprotect of the stub, open, socket, ptrace, kill, execve, process_vm_writev.
    let calls = [
        "9, 0, 4096, 3",
        "10, IMAGE, 4096, 7",
        "2, 0, 0, 0",
        "41, 1, 1, 0",
        "101, 16, 1, 0",
        "62, 1, 9, 0",
        "59, 0, 0, 0",
        "311, 1, 0, 0",
    ];
    for call in calls {
        check(&format!("stub({call})"), &[KILLED]);
    }
    // What the spawner may do, an application thread may not: its own filter comes first.
    for call in [
        "56, 0x50f00, 0, 0",
        "56, 0x8000, 0, 0",
        "46, 3, 0, 0",
        "3, 3, 0, 0",
        "317, 1, 0, 0",
        "231, 0, 0, 0",
        "128, 0, 0, 0",
    ] {
        check(&format!("stub({call})"), &[KILLED]);
    }
}

#[test]
fn forged_words_of_the_handler_are_refused_or_hurt_only_who_says_them() {
    for call in ["0x2001, 0, 0, 0", "0x2001, 5, -1, 0", "0x2002, 0, 0, 0"] {
        check(&format!("stub({call})"), &[KILLED]);
    }
    // From anywhere else they are calls that do not exist.
    for number in ["0x2000", "0x2001", "0x2002", "0x1009", "0x1038"] {
        check(&format!("exit_group(sys({number}, 0, 0, 0) == -38)"), &[REFUSED]);
    }
    // A forged trapped call has no frame of its own: the kernel reads and writes what the process itself can.
    check("exit_group(stub(0x1000 + 110, 0, 0, 0) == 77)", &[REFUSED]);
    check("stub(0x1000 + 57, 0, 0, 0)", &[Ending::Code(0), KILLED]);
    // A copy that began at once says hello.
    let kernel = Kernel::start();
    let source = source("if (sys(57, 0, 0, 0) == 0) stub(0x2002, 0, 0, 0)");
    let task = kernel.spawn(&Program::build(&source));
    assert_eq!((kernel.wait(&task), kernel.wait_id(2)), (Ending::Code(0), KILLED));
    kernel.let_go();
    check("((u64 *)SLOT)[0] = 0x12345; exit_group(stub(0x1000 + 110, 0, 0, 0) == 77)", &[REFUSED]);
    // A forged kick is not an interrupt.
    check("stub(0x2000, 10, 0, 0)", &[Ending::Code(0)]);
}

#[test]
fn what_the_monitor_ordered_comes_before_anything_else() {
    // A forged mmap is answered with orders for the handler: to make the call, and then to go on with the address.
    let ordered =
        "long run = stub6(0x1009, 0, 4096, 3, 0x22, -1, 0); if (run != (long)0x8000000000000001UL) exit_group(9);";
    let lies = [
        // It goes on without the mapping that the kernel believes in,
        "sys(39, 0, 0, 0)",
        "stub(0x106e, 0, 0, 0)",
        "stub(0x2000, 11, 1, 0)",
        // says that it is made, or that it cannot be made,
        "stub(0x2001, 1, 0, 0)",
        "stub(0x2001, 0, -12, 0)",
        "stub(0x2001, 1, -12, 0)",
        "stub(0x2001, -1, -12, 0)",
        // or makes another one.
        "stub6(9, 0x10000000, 4096, 7, 0x32, -1, 0)",
        "stub6(11, 0x10000000, 4096, 0, 0, 0, 0)",
    ];
    for lie in lies {
        check(&format!("{ordered} {lie}; exit_group(8)"), &[KILLED]);
    }
}

#[test]
fn a_forged_proposal_is_a_call_of_its_own() {
    let eperm = Ending::Code(1);
    // What it proposes is what it could ask for;
    check("exit_group(stub6(9, 0x20000000, 4096, 3, 0x4032, -1, 0) == 0x20000000)", &[eperm]);
    check("stub6(9, 0x20000000, 4096, 3, 0x4032, -1, 0); *(char *)0x20000000 = 1; exit_group(1)", &[eperm]);
    // a refusal is a value in the frame,
    check("exit_group(stub6(9, 0x20000000, 4096, 3, 0x4032, 5, 0) != 0x20000000)", &[eperm]);
    // another order is one that is obeyed,
    let orders = "stub6(9, 0x20000001, 4095, 3, 0x4032, -1, 0); exit_group(8)";
    check(orders, &[KILLED]);
    check("stub6(9, SLOTS, 4096, 3, 0x4032, -1, 0); exit_group(8)", &[KILLED]);
    check("stub6(9, 0x20000000, -4096, 3, 0x4032, -1, 0); exit_group(8)", &[KILLED]);
    // and with files, other flags or an offset it is none.
    for call in ["3, 0x32, -1, 0", "3, 0x4012, 8, 0", "3, 0x4032, -1, 4096", "7, 0x4032, 8, 0"] {
        check(&format!("stub6(9, 0x20000000, 4096, {call}); exit_group(8)"), &[KILLED]);
    }
}

#[test]
fn other_entries_to_the_host_do_not_exist() {
    let int80 = "long n = 20; asm volatile(\"int $0x80\" : \"+a\"(n) : : \"memory\"); exit_group(n == -38)";
    check(int80, &[REFUSED, Ending::Fault { signal: 11, code: 128, address: 0 }]);
    check("exit_group(sys(0x40000000 | 39, 0, 0, 0) == -38)", &[REFUSED]);
    check("exit_group(sys(0x40000000 | 0x2000, 10, 0, 0) == -38)", &[REFUSED]);
    check("exit_group(sys(0xffffffffL, 0, 0, 0) == -38)", &[REFUSED]);
}

#[test]
fn forged_frames_change_only_the_forgers_registers() {
    // An own sigreturn is the kernel's to serve.
    check("exit_group(sys(15, 0, 0, 0) == -38)", &[REFUSED]);
    // Through the stub's instruction with a frame of rubbish: the host ends the process, or it faults.
    let rubbish = "u64 frame[128]; memset(frame, 0x41, sizeof frame);\
        asm volatile(\"mov %0, %%rsp; mov $15, %%eax; jmp *%1\" : : \"D\"(frame), \"b\"(find(SIGRETURN)) : \"memory\")";
    check(rubbish, &[KILLED, Ending::Fault { signal: 11, code: 128, address: 0 }]);
}

/// A frame of the application's own making, and the stub's sigreturn to enter it by. `WORDS` are those of a `ucontext`.
const FORGE: &str = r#"
enum { FLAGS = 0, STACK_FLAGS = 3, RSP = 20, RIP = 21, EFLAGS = 22, SEGMENTS = 23, FP = 28, MASK = 37, WORDS = 64 };
static u64 frame[WORDS];
static void forge(void (*f)(void)) {
  frame[FLAGS] = 6; frame[STACK_FLAGS] = 2; frame[EFLAGS] = 0x202; frame[SEGMENTS] = 0x002b000000000033UL;
  frame[RSP] = (u64)map(65536) + 65536 - 8; frame[RIP] = (u64)f; }
static void enter(void) {
  asm volatile("mov %0, %%rsp; mov $15, %%eax; jmp *%1" : : "D"(frame), "b"(find(SIGRETURN)) : "memory"); }
"#;

fn forging(functions: &str, body: &str) -> String {
    format!("{}{FORGE}{functions}\nvoid start(void) {{ {body} }}", constants())
}

/// The program is interrupted while it computes; it blocks the host signal that does it.
#[test]
fn who_blocks_the_kick_ends() {
    const WORD: u64 = 0x6fff_fff0;
    let kernel = Kernel::start();
    // Its last event is a mapping, whose end is not told.
    let spin = format!("static void spin(void) {{ *(volatile u32 *){WORD:#x}UL = 1; for (;;); }}");
    let task = kernel.spawn(&Program::build(&forging(&spin, "forge(spin); frame[MASK] = -1; enter();")));
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut word = [0; 4];
    while word == [0; 4] {
        assert!(Instant::now() < deadline, "the program does not spin");
        std::thread::sleep(Duration::from_millis(5));
        task.space.read(WORD, &mut word);
    }
    task.thread().interrupt();
    // It is given some time of its own, which takes long where others compute as well.
    let deadline = Instant::now() + Duration::from_secs(100);
    while task.space.read(WORD, &mut word) > 0 {
        assert!(Instant::now() < deadline, "the program spins on");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(kernel.wait(&task), KILLED);
    assert_eq!(kernel.run("void start(void) { exit_group(42); }").0, Ending::Code(42));
}

/// Frames whose FP state or flags the processor refuses, or takes: they are the forger's own.
#[test]
fn forged_fp_states_and_flags_end_the_forger_at_most() {
    let then = "static void then(void) { exit_group(sys(110, 0, 0, 0) == 77); }
        static unsigned char fp[16384] __attribute__((aligned(64)));
        static void state(u32 magic, u32 size, u64 features, u32 xsize, u64 has, u64 compact, u32 mxcsr) {
          u32 *w = (u32 *)fp; u64 *q = (u64 *)fp; w[6] = mxcsr; w[116] = magic; w[117] = size; q[59] = features;
          w[120] = xsize; q[64] = has; q[65] = compact; if (xsize < 16000) *(u32 *)(fp + xsize) = 0x46505845;
          frame[FP] = (u64)fp; frame[FLAGS] = 7; }";
    let magic = 0x4650_5853_u32;
    let states = [
        format!("state({magic}, 2696, 0xe7, 2692, 0xe7, 0, 0x1f80)"),
        // Sizes beyond the end, and beyond memory.
        format!("state({magic}, -1, -1, -1, -1, 0, 0x1f80)"),
        format!("state({magic}, 0, 0, 0, 0, 0, 0x1f80)"),
        // Components that no processor has, AMX tiles without their configuration, the compacted form.
        format!("state({magic}, 16388, -1, 16384, -1, 0, 0x1f80)"),
        format!("state({magic}, 11012, 0x602e7, 11008, 0x60000, 0, 0x1f80)"),
        format!("state({magic}, 836, 7, 832, 7, 1UL << 63, 0x1f80)"),
        // Reserved bits of MXCSR, with and without the extended part.
        format!("state({magic}, 836, 7, 832, 7, 0, -1)"),
        "state(0, 0, 0, 0, 0, 0, -1)".to_owned(),
        // FP state that is not there, or not aligned, or the stub's.
        "frame[FP] = 0x10".to_owned(),
        "frame[FP] = (u64)fp + 3".to_owned(),
        "frame[FP] = SLOT".to_owned(),
        // A compatibility segment, no segment, rings, single steps, I/O privilege, alignment checks.
        "frame[SEGMENTS] = 0x002b000000000023UL".to_owned(),
        "frame[SEGMENTS] = 0".to_owned(),
        "frame[SEGMENTS] = 0x0018000000000010UL".to_owned(),
        "frame[EFLAGS] = -1".to_owned(),
        "frame[EFLAGS] = 0x302".to_owned(),
        "frame[RIP] = 0x8000000000000000UL".to_owned(),
        "frame[RIP] = IMAGE".to_owned(),
    ];
    let kernel = Kernel::start();
    for state in states {
        let task = kernel.spawn(&Program::build(&forging(then, &format!("forge(then); {state}; enter();"))));
        let ending = kernel.wait(&task);
        let fine = matches!(ending, REFUSED | KILLED | Ending::Fault { .. });
        assert!(fine, "{state}: {ending:?}");
    }
    assert_eq!(kernel.run("void start(void) { exit_group(42); }").0, Ending::Code(42));
}

#[test]
fn memory_that_changes_between_check_and_use_changes_no_check() {
    // A second thread rewrites the orders of every slot while the first maps.
    let source = constants()
        + r#"static volatile int stop;
        static void rewrite(void) { while (!stop) for (int s = 1; s < 4; s++) {
            u64 *orders = (u64 *)(SLOTS + s * 65536) + 5; orders[0] = 0; orders[1] = 1;
            u64 *call = orders + 2;
            call[0] = 9; call[1] = IMAGE; call[2] = 4096; call[3] = 7; call[4] = 0x32; call[5] = -1; } }
        void start(void) { thread(rewrite); for (int i = 0; i < 3000; i++) map(4096); stop = 1; exit_group(0); }"#;
    let kernel = Kernel::start();
    let task = kernel.spawn(&Program::build(&source));
    let ending = kernel.wait(&task);
    assert!(matches!(ending, Ending::Gone | Ending::Code(0) | Ending::Fault { .. }), "{ending:?}");
    assert_eq!(kernel.run("void start(void) { exit_group(42); }").0, Ending::Code(42));
}

#[test]
fn a_spawner_that_was_taken_over_can_do_nothing() {
    // The application fills the spawner's stack with the address of its own code, which then runs without a listener,
    // once the spawner has something to do.
    let source = constants()
        + r#"static volatile long got[8]; static volatile u32 done;
        static void as_spawner(void) {
            got[0] = sys(2, "/", 0, 0); got[1] = sys(41, 1, 1, 0); got[2] = stub(2, "/", 0, 0);
            got[3] = stub6(9, 0, 4096, 7, 0x22, -1, 0); got[4] = stub(56, 0x11, 0, 0);
            got[5] = stub(46, 1, 0, 0); got[6] = stub(157, 4, 1, 0); got[7] = stub(62, 1, 9, 0);
            done = 1; sys6(202, &done, 129, 1, 0, 0, 0); for (;;) stub(128, 0, 0, 0); }
        void start(void) {
            u64 top = 0x7ffffffff000UL - 8; u64 *p = (u64 *)top;
            for (int i = 0; i < 1024; i++) *p-- = (u64)as_spawner;
            sys(1000, 0, 0, 0); u64 limit[2] = { 5, 0 };
            while (!done) if (sys6(202, &done, 128, 0, limit, 0, 0) == -110) exit_group(99);
            for (int i = 0; i < 8; i++) if (got[i] != -38) exit_group(2 + i);
            exit_group(1); }"#;
    let kernel = Kernel::with_hook(Box::new(|task, event| match event {
        Event::Call { number: OWN, .. } => {
            // It never answers, and dies for that in the end.
            let space = task.space.clone();
            std::thread::spawn(move || space.compare_exchange_u32(0x1000_0000, 0, 0));
            Some(Reply::Value(0))
        }
        _ => None,
    }));
    let task = kernel.spawn(&Program::build(&source));
    assert_eq!(kernel.wait(&task), REFUSED);
    assert_eq!(kernel.run("void start(void) { exit_group(42); }").0, Ending::Code(42));
}

#[test]
fn the_segment_and_futex_calls_that_are_native_are_no_others() {
    let kernel = Kernel::with_hook(Box::new(|_, event| match event {
        // Through the handler, where the kernel decides.
        Event::Call { number: 158 | 202, form: Form::Trapped, .. } => Some(Reply::Value(-1)),
        Event::Call { number: 158 | 202, form: Form::Direct, .. } => Some(Reply::Value(-2)),
        _ => None,
    }));
    let source = r#"void start(void) { u32 word = 0;
        for (int op = 0; op < 64; op++) { int native = op == 1 || op == 3 || op == 4 || op == 5 || op == 10;
            if (op == 0 || op == 9) continue;
            if ((sys6(202, &word, op, 0, 0, &word, 1) == -1) == native) exit_group(100 + op); }
        for (int code = 0x1003; code < 0x1060; code++) if (sys(158, code, 0, 0) != -1) exit_group(2);
        exit_group(0); }"#;
    assert_eq!(kernel.run(source).0, Ending::Code(0));
    assert!(kernel.machine.info().vdso_address >= abi::RESERVED_START);
}

#[test]
fn a_thread_that_will_not_end_ends_its_process() {
    // The slot's stack is the application's too: where the handler returns to after its exit is rewritten.
    let source = constants()
        + r#"static volatile u32 word;
        static void undead(void) { for (;;) sys(110, 0, 0, 0); }
        static void f(void) { sys(60, 0, 0, 0); }
        void start(void) { word = 1; thread_at(f, map(65536), &word);
            for (;;) for (u64 *p = (u64 *)(SLOTS + 3 * 65536 - 8); p > (u64 *)(SLOTS + 3 * 65536 - 8192); p--)
                if (*p >= IMAGE - 4096 && *p < IMAGE + 65536) *p = (u64)undead; }"#;
    let kernel = Kernel::start();
    let task = kernel.spawn(&Program::build(&source));
    std::thread::sleep(std::time::Duration::from_millis(300));
    task.space.kill();
    assert_eq!(kernel.wait(&task), KILLED);
    assert_eq!(kernel.run("void start(void) { exit_group(42); }").0, Ending::Code(42));
}
