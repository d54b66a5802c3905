//! The trap paths of older hosts, forced on this one.

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Ending, Kernel, OWN, Task};
use stockade_kernel::platform::{Event, Interruption, Reply, WaitLimit};
use stockade_kernel_platform::TrapPath;

const PATHS: [TrapPath; 3] = [TrapPath::Interruptible, TrapPath::Pinned, TrapPath::Sync];

fn start(path: TrapPath, hook: impl Fn(&Arc<Task>, &Event) -> Option<Reply> + Send + Sync + 'static) -> Arc<Kernel> {
    let kernel = Kernel::with_path(path, Box::new(hook));
    assert_eq!(kernel.machine.path(), path);
    kernel
}

#[test]
fn threads_and_faults_are_the_same_on_every_path() {
    let source = r#"static volatile u32 done;
        static void f(void) { __atomic_add_fetch(&done, sys(110, 0, 0, 0) == 77, 5);
            sys6(202, &done, 129, 1, 0, 0, 0); sys(60, 0, 0, 0); }
        void start(void) { for (int i = 0; i < 4; i++) thread(f);
            for (u32 d; (d = done) != 4;) sys6(202, &done, 128, d, 0, 0, 0); *(volatile int *)8 = 1; }"#;
    for path in PATHS {
        let kernel = start(path, |_, _| None);
        assert_eq!(kernel.run(source).0, Ending::Fault { signal: 11, code: 1, address: 8 }, "{path:?}");
    }
}

#[test]
fn calls_are_interrupted_restarted_and_ended_on_every_path() {
    for path in PATHS {
        let interrupted = Arc::new(Mutex::new(Vec::new()));
        let of_hook = interrupted.clone();
        let tries = AtomicU64::new(0);
        let kernel = start(path, move |task, event| match event {
            // An interrupt while the call is under way comes behind its result.
            Event::Call { number: OWN, .. } => {
                task.thread().interrupt();
                std::thread::sleep(Duration::from_millis(20));
                Some(Reply::Value(5))
            }
            Event::Call { number: 1001, .. } => {
                let again = tries.fetch_add(1, Ordering::SeqCst) < 3;
                Some(if again { Reply::Restart } else { Reply::Value(6) })
            }
            Event::Interrupted(what) => {
                let rax = task.thread().frame().expect("a frame").registers.rax;
                of_hook.lock().unwrap().push((*what, rax));
                Some(Reply::Resume)
            }
            _ => None,
        });
        let source = "void start(void) { exit_group(sys(1000, 0, 0, 0) == 5 && sys(1001, 0, 0, 0) == 6 ? 0 : 1); }";
        assert_eq!(kernel.run(source).0, Ending::Code(0), "{path:?}");
        let interrupted = interrupted.lock().unwrap().clone();
        match path {
            // The thread may be in its next call before the signal follows the reply.
            TrapPath::Interruptible => assert!(matches!(interrupted[..], [(Interruption::Running, 5 | 1001)])),
            TrapPath::Pinned | TrapPath::Sync => assert_eq!(interrupted, [(Interruption::Running, 5)], "{path:?}"),
        }
    }
}

/// Interrupts at every moment of a call's way: none is done twice, none is lost.
#[test]
fn a_storm_of_interrupts_neither_repeats_nor_loses_calls() {
    let source = "void start(void) { sys(1000, 0, 0, 0); long sum = 0;
        for (int i = 1; i <= 20000; i++) { sum += sys(1001, i, 0, 0) == i; } exit_group(sum == 20000 ? 0 : 1); }";
    for path in PATHS {
        let calls = Arc::new(AtomicU64::new(0));
        let of_hook = calls.clone();
        let kernel = start(path, move |task, event| match *event {
            Event::Call { number: OWN, .. } => {
                let weak = Arc::downgrade(task);
                std::thread::spawn(move || {
                    while let Some(thread) = weak.upgrade().and_then(|task| task.try_thread()) {
                        thread.interrupt();
                        std::thread::sleep(Duration::from_micros(50));
                    }
                });
                Some(Reply::Value(0))
            }
            Event::Call { number: 1001, arguments: [index, ..], .. } => {
                of_hook.fetch_add(1, Ordering::SeqCst);
                Some(Reply::Value(index.cast_signed()))
            }
            _ => None,
        });
        assert_eq!(kernel.run(source).0, Ending::Code(0), "{path:?}");
        assert_eq!(calls.load(Ordering::SeqCst), 20000, "{path:?}");
    }
}

#[test]
fn native_waits_are_interrupted_on_every_path() {
    for path in PATHS {
        let kernel = start(path, |task, event| match event {
            Event::Call { number: OWN, .. } => {
                task.interrupt_soon();
                Some(Reply::Value(0))
            }
            Event::Interrupted(what) => {
                assert_eq!(*what, Interruption::Waiting(WaitLimit::None));
                task.fail_with_eintr();
                Some(Reply::Resume)
            }
            _ => None,
        });
        let source =
            "static u32 w; void start(void) { sys(1000, 0, 0, 0); exit_group(-sys6(202, &w, 128, 0, 0, 0, 0)); }";
        assert_eq!(kernel.run(source).0, Ending::Code(4), "{path:?}");
    }
}
