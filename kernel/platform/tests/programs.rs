//! Programs run: calls arrive, are answered, and what the host does for an application is what the kernel said.

mod common;

use common::{Ending, Kernel, OWN};
use stockade_kernel::platform::{Backing, Event, FILL_BYTES_MAX, HostCall, Protection, Reply};

#[test]
fn a_program_runs() {
    let kernel = Kernel::start();
    let source = r#"void start(void) { print("hello\n"); exit_group(sys(110, 0, 0, 0) == 77 ? 3 : 4); }"#;
    assert_eq!(kernel.run(source), (Ending::Code(3), "hello\n".into()));
}

#[test]
fn memory_comes_and_goes_as_the_kernel_says() {
    let kernel = Kernel::start();
    let source = r#"void start(void) {
        char *p = map(8192); p[0] = 1; p[8191] = 2;
        if (sys(10, p, 4096, 1)) exit_group(1);
        if (sys(28, p, 8192, 4)) exit_group(2);
        if (p[8191]) exit_group(3);
        if (sys(11, p, 8192, 0)) exit_group(4);
        p[0] = 1; exit_group(5); }"#;
    let (ending, _) = kernel.run(source);
    assert_eq!(ending, Ending::Fault { signal: 11, code: 1, address: 0x1000_0000 });
}

#[test]
fn threads_share_memory_and_wait_for_each_other() {
    let kernel = Kernel::start();
    let source = r#"static volatile u32 done; static volatile u32 sum;
        static void worker(void) {
            __atomic_add_fetch(&sum, sys(110, 0, 0, 0), 5); __atomic_add_fetch(&done, 1, 5);
            sys6(202, &done, 129, 1, 0, 0, 0); sys(60, 0, 0, 0); }
        void start(void) {
            for (int i = 0; i < 20; i++) if (thread(worker) <= 0) exit_group(1);
            for (u32 d; (d = done) != 20;) sys6(202, &done, 128, d, 0, 0, 0);
            exit_group(sum == 20 * 77 ? 0 : 2); }"#;
    assert_eq!(kernel.run(source).0, Ending::Code(0));
}

#[test]
fn a_fork_has_its_own_copy() {
    let source = r#"static volatile int x = 1;
        void start(void) {
            long child = sys(57, 0, 0, 0);
            if (!child) { if (x != 1) exit_group(9); x = 2; print("child"); exit_group(7); }
            sys(1000, child, 0, 0);
            print(x == 1 ? " parent" : " shared"); exit_group(0); }"#;
    let kernel = Kernel::with_hook(Box::new(|task, event| match *event {
        Event::Call { number: OWN, arguments, .. } => {
            assert_eq!(task.kernel.wait_id(arguments[0]), Ending::Code(7));
            Some(Reply::Value(0))
        }
        _ => None,
    }));
    assert_eq!(kernel.run(source), (Ending::Code(0), "child parent".into()));
}

#[test]
fn a_threads_end_clears_its_word_and_its_host_thread_is_used_again() {
    let kernel = Kernel::start();
    let source = r#"static volatile u32 word; static volatile u64 sum; static u64 segment[100];
        static void f(void) { u64 fs; asm volatile("mov %%fs:0, %0" : "=r"(fs)); sum += fs; sys(60, 0, 0, 0); }
        static void g(void) { sys(158, 0x1002, segment, 0); sys(60, 0, 0, 0); }
        void start(void) { static u64 one[1] = { 1 }; sys(158, 0x1002, one, 0); char *stack = map(65536);
            for (int i = 0; i < 50; i++) { word = 1;
                if (thread_at(i % 2 ? g : f, stack, &word) <= 0) exit_group(1);
                while (word) sys6(202, &word, 0, 1, 0, 0, 0); }
            exit_group(sum == 25 ? 0 : 2); }"#;
    assert_eq!(kernel.run(source).0, Ending::Code(0));
}

#[test]
fn a_thread_fills_memory_by_itself() {
    // More than a slot takes at once, the last part as long as a part can be.
    let kernel = Kernel::with_hook(Box::new(|_, event| match *event {
        Event::Call { number: 59, arguments: [at, ..], .. } => {
            let fill = |index: u64| HostCall::Fill { address: at + index * 100, bytes: vec![7; 99] };
            let rest = HostCall::Fill { address: at + 4096, bytes: vec![9; FILL_BYTES_MAX] };
            let calls = (0..40).map(fill).chain([HostCall::Zero { address: at + 50, len: 10 }, rest]).collect();
            Some(Reply::Layout { calls, value: 5 })
        }
        _ => None,
    }));
    let source = r#"void start(void) {
        unsigned char *p = (unsigned char *)map(8192);
        for (int i = 0; i < 8192; i++) p[i] = 1;
        if (sys(59, p, 0, 0) != 5) exit_group(1);
        for (int i = 0; i < 4000; i++) if (p[i] != (i >= 50 && i < 60 ? 0 : i % 100 == 99 ? 1 : 7)) exit_group(2);
        for (int i = 4000; i < 8192; i++) if (p[i] != (i >= 4096 && i < 4096 + 2048 ? 9 : 1)) exit_group(3);
        exit_group(0); }"#;
    assert_eq!(kernel.run(source).0, Ending::Code(0));
}

/// The break of a program: what lies below is mapped.
const HEAP: u64 = 0x3000_0000;

/// brk(2) of a kernel that lets a heap grow to 64 KiB, at most so far at once, and moves it by so much.
fn brk(end: &mut u64, to: u64, ahead: u64) -> Reply {
    let from = end.next_multiple_of(4096);
    if !(HEAP..=HEAP + 65536).contains(&to) {
        return Reply::Value(end.cast_signed());
    }
    *end = to;
    let len = to.next_multiple_of(4096).saturating_sub(from);
    if len == 0 {
        return Reply::Value(to.cast_signed());
    }
    let protection = Protection::READ | Protection::WRITE;
    let call = HostCall::Map { address: from, len: len + ahead, protection, backing: Backing::Anonymous };
    Reply::Layout { calls: vec![call], value: to.cast_signed() }
}

#[test]
fn a_heap_grows_as_the_handler_proposes_or_as_the_kernel_says() {
    for ahead in [0, 4096] {
        let end = std::sync::Mutex::new(HEAP);
        let kernel = Kernel::with_hook(Box::new(move |_, event| match *event {
            Event::Call { number: 12, arguments: [to, ..], .. } => Some(brk(&mut end.lock().unwrap(), to, ahead)),
            Event::LayoutDone(Err(error)) => Some(Reply::Value(-i64::from(error.errno.raw()))),
            _ => None,
        }));
        let source = r#"void start(void) {
            char *heap = (char *)sys(12, 0, 0, 0), *end = heap;
            if (heap != (char *)0x30000000) exit_group(1);
            for (int i = 0; i < 13; i++) {
                if ((char *)sys(12, end + 5000, 0, 0) != end + 5000) exit_group(2);
                for (char *p = end; p < end + 5000; p++) *p = 1;
                end += 5000; }
            if ((char *)sys(12, heap + 65536, 0, 0) != heap + 65536) exit_group(3);
            if ((char *)sys(12, heap + 65537, 0, 0) != heap + 65536) exit_group(4);
            if ((char *)sys(12, heap - 1, 0, 0) != heap + 65536) exit_group(5);
            if ((char *)sys(12, -1L, 0, 0) != heap + 65536) exit_group(6);
            heap[65535] = 1; exit_group(0); }"#;
        assert_eq!(kernel.run(source).0, Ending::Code(0), "{ahead}");
    }
}

#[test]
fn zeros_are_mapped_where_the_application_says() {
    let source = r#"void start(void) {
        char *p = (char *)0x20000000;
        if (sys6(9, p, 5000, 3, 0x32, -1, 0) != (long)p) exit_group(1);
        p[8191] = 1;
        if (sys6(9, p, 8192, 1, 0x32, -1, 0) != (long)p || p[8191]) exit_group(2);
        if (sys6(9, p, -4096L, 1, 0x32, -1, 0) != -1) exit_group(3);
        if (sys6(9, 0x7ff000000000L, 4096, 3, 0x32, -1, 0) != -1) exit_group(4);
        p[0] = 1; exit_group(5); }"#;
    let hook = |_: &std::sync::Arc<common::Task>, event: &Event| match event {
        Event::LayoutDone(Err(error)) => Some(Reply::Value(-i64::from(error.errno.raw()))),
        _ => None,
    };
    let ending = Kernel::with_hook(Box::new(hook)).run(source).0;
    assert_eq!(ending, Ending::Fault { signal: 11, code: 2, address: 0x2000_0000 });
}
