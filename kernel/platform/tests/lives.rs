//! Beginning and end of processes, and what they cost while nothing happens.

mod common;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::{Ending, Kernel, Program};
use stockade_kernel::platform::Event;

/// A dead stub is noticed within this.
const NOTICED_WITHIN: Duration = Duration::from_millis(500);

/// The tests of this file look at the whole process.
static ALONE: Mutex<()> = Mutex::new(());

const SLEEPER: &str =
    "static u32 word; void start(void) { print(\"up\"); for (;;) sys6(202, &word, 128, 0, 0, 0, 0); }";

fn wait_for(kernel: &Kernel, output: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while kernel.output() != output {
        assert!(Instant::now() < deadline, "the program does not say {output}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Host processes of this test's own, by their parent.
fn children() -> usize {
    let me = std::process::id().to_string();
    let is_child =
        |stat: String| stat.rsplit_once(')').and_then(|(_, rest)| rest.split(' ').nth(2).map(|pid| pid == me));
    let entries = std::fs::read_dir("/proc").expect("list /proc");
    let stats = entries.flatten().filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    stats.filter(|stat| is_child(stat.clone()) == Some(true)).count()
}

fn wait_for_no_children() {
    let deadline = Instant::now() + Duration::from_secs(5);
    while children() > 0 {
        assert!(Instant::now() < deadline, "processes are left");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_machine_leaves_no_process_and_an_idle_one_no_cpu_time() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let kernel = Kernel::start();
    let tasks: Vec<_> = (0..3).map(|_| kernel.spawn(&Program::build(SLEEPER))).collect();
    wait_for(&kernel, "upupup");
    std::thread::sleep(Duration::from_millis(200));
    let used = || rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime).tv_nsec;
    let spaces = || tasks.iter().map(|task| task.space.cpu_time().0 + task.space.cpu_time().1).sum::<Duration>();
    let (before, before_in_spaces) = (used(), spaces());
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(spaces(), before_in_spaces, "a sleeping application uses no time");
    let spent = used() - before;
    assert!(spent < 2_000_000, "the monitor spent {spent} ns on nothing");
    assert_eq!(children(), 5, "a zygote, three stubs, and one ahead of need");
    tasks[0].space.kill();
    assert_eq!(kernel.wait(&tasks[0]), Ending::Gone);
    kernel.let_go();
    drop((tasks, kernel));
    wait_for_no_children();
}

#[test]
fn a_killed_stub_is_noticed() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let kernel = Kernel::start();
    let source = "static u32 w; static void f(void) { sys6(202, &w, 128, 0, 0, 0, 0); }
        void start(void) { thread(f); thread(f); print(\"up\"); for (;;) ; }";
    let task = kernel.spawn(&Program::build(source));
    wait_for(&kernel, "up");
    let start = Instant::now();
    task.space.kill();
    (1..=3).for_each(|id| assert_eq!(kernel.wait_id(id), Ending::Gone));
    assert!(start.elapsed() < NOTICED_WITHIN, "it took {:?}", start.elapsed());
    kernel.let_go();
    drop((task, kernel));
    wait_for_no_children();
}

#[test]
fn many_threads_are_made_and_none_is_left() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let kernel = Kernel::start();
    let source = "static volatile u32 go, up;
        static void f(void) { __atomic_add_fetch(&up, 1, 5); while (!go) sys6(202, &go, 128, 0, 0, 0, 0);
            __atomic_sub_fetch(&up, 1, 5); sys6(202, &up, 129, 1, 0, 0, 0); sys(60, 0, 0, 0); }
        void start(void) { for (int i = 0; i < 300; i++) if (thread(f) <= 0) exit_group(1);
            go = 1; sys6(202, &go, 129, 1000, 0, 0, 0);
            for (u32 n; (n = up);) sys6(202, &up, 128, n, 0, 0, 0);
            exit_group(0); }";
    let task = kernel.spawn(&Program::build(source));
    assert_eq!(kernel.wait(&task), Ending::Code(0));
    // The last ones may not have come to their exit.
    assert!((2..=301).all(|id| matches!(kernel.wait_id(id), Ending::Thread | Ending::Gone)));
    kernel.let_go();
    drop((task, kernel));
    wait_for_no_children();
}

#[test]
fn a_thread_whose_word_was_unmapped_ends_alone() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let kernel = Kernel::start();
    let source = "static volatile u32 ended; static u32 word; static long pause[2] = { 0, 20000000 };
        static void f(void) { __atomic_add_fetch(&ended, 1, 5); sys(60, 0, 0, 0); }
        void start(void) { for (u32 i = 0; i < 8; i++) {
                if (thread_at(f, map(65536), (u32 *)0x50000000) <= 0) exit_group(1);
                while (ended <= i) sys(24, 0, 0, 0);
                sys6(202, (long)&word, 128, 0, (long)pause, 0, 0); }
            exit_group(0); }";
    let task = kernel.spawn(&Program::build(source));
    assert_eq!(kernel.wait(&task), Ending::Code(0));
    kernel.let_go();
    drop((task, kernel));
    wait_for_no_children();
}

#[test]
fn many_forks_leave_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let kernel = Kernel::start();
    let source = "static u32 word; void start(void) { for (int i = 0; i < 5; i++) sys(57, 0, 0, 0);
        print(\".\"); for (;;) sys6(202, &word, 128, 0, 0, 0, 0); }";
    let task = kernel.spawn(&Program::build(source));
    wait_for(&kernel, &".".repeat(32));
    assert_eq!(children(), 33, "a zygote and 32 stubs");
    kernel.let_go();
    drop((task, kernel));
    wait_for_no_children();
}

#[test]
fn a_crowd_that_only_makes_calls_keeps_no_neighbour_from_running() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let kernel = Kernel::start();
    let source = "void start(void) { for (int i = 0; i < 5; i++) sys(57, 0, 0, 0);
        print(\".\"); for (;;) sys(110, 0, 0, 0); }";
    let task = kernel.spawn(&Program::build(source));
    wait_for(&kernel, &".".repeat(32));
    for _ in 0..3 {
        // Whoever waits for its zygote gives up after ten seconds.
        let neighbour = Kernel::start();
        assert_eq!(neighbour.run("void start(void) { exit_group(42); }").0, Ending::Code(42));
        neighbour.let_go();
    }
    kernel.let_go();
    drop((task, kernel));
    wait_for_no_children();
}

#[test]
fn a_copy_begins_with_what_was_put_into_it() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for waits in [0, 1] {
        let source = format!(
            "static volatile u32 word = 1; void start(void) {{
               if (sys(57, &word, {waits}, 0) == 0) exit_group(word == 4711 ? 5 : 6);
               exit_group(word); }}"
        );
        let kernel = Kernel::start();
        let task = kernel.spawn(&Program::build(&source));
        assert_eq!(kernel.wait(&task), Ending::Code(1), "the original keeps its own");
        assert_eq!(kernel.wait_id(2), Ending::Code(5), "waits: {waits}");
        kernel.let_go();
    }
}

#[test]
fn a_copy_that_has_not_called_yet_can_be_interrupted() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let kernel = Kernel::with_hook(Box::new(|task, event| {
        if matches!(event, Event::Interrupted(_)) {
            task.space.kill();
        }
        None
    }));
    let source = "void start(void) { if (sys(57, 0, 0, 0) == 0) for (;;) ; print(\"up\"); for (;;) sys(24, 0, 0, 0); }";
    let task = kernel.spawn(&Program::build(source));
    wait_for(&kernel, "up");
    kernel.task(2).thread().interrupt();
    assert_eq!(kernel.wait_id(2), Ending::Gone);
    task.space.kill();
    assert_eq!(kernel.wait(&task), Ending::Gone);
    kernel.let_go();
}
