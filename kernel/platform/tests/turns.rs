//! Threads that wake each other in turn: one receiver goes to and fro between them, and none is forgotten.

mod common;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Ending, HOOKS, Hook, Kernel, Program, Task};
use stockade_kernel::platform::{Event, Reply};

/// A dead stub is noticed within this.
const NOTICED_WITHIN: Duration = Duration::from_millis(500);

/// What a task says by the first argument of the tests' call: that it wakes whoever waits at a place, or waits there.
const WAKE: u64 = 0;

/// Who waits where, and which wake-ups nobody has had yet.
#[derive(Default)]
struct Places([Mutex<Place>; 2]);

#[derive(Default)]
struct Place {
    waits: Option<Arc<Task>>,
    woken: bool,
}

impl Places {
    fn call(&self, task: &Arc<Task>, what: u64, place: &Mutex<Place>) {
        let mut at = place.lock().unwrap();
        if what == WAKE {
            let sleeper = at.waits.take();
            at.woken = sleeper.is_none();
            drop(at);
            task.thread().reply(Reply::Value(0));
            if let Some(sleeper) = sleeper.and_then(|sleeper| sleeper.try_thread()) {
                sleeper.reply(Reply::Value(0));
            }
        } else if std::mem::take(&mut at.woken) {
            drop(at);
            task.thread().reply(Reply::Value(0));
        } else {
            at.waits = Some(task.clone());
        }
    }
}

fn hook() -> Hook {
    let places = Places::default();
    Box::new(move |task, event| {
        if let Event::Call { number: HOOKS, arguments: [what, place, ..], .. } = event {
            places.call(task, *what, &places.0[usize::try_from(*place).unwrap()]);
        }
        None
    })
}

/// `rounds` of one that wakes the other and waits for it. The other never ends.
fn source(other: &str, rounds: u32) -> String {
    format!(
        "static void turn(long mine, long theirs) {{ sys(1900, 0, theirs, 0); sys(1900, 1, mine, 0); }}
        static void other(void) {{ sys(1900, 1, 1, 0); for (;;) turn(1, 0); }}
        void start(void) {{ {other}; for (int i = 0; i < {rounds}; i++) turn(0, 1); print(\"done\"); LAST }}"
    )
}

const OTHERS: [&str; 2] = ["thread(other)", "if (sys(57, 0, 0, 0) == 0) other()"];

#[test]
fn turns_go_on_until_one_ends() {
    for other in OTHERS {
        let kernel = Kernel::with_hook(hook());
        let task = kernel.spawn(&Program::build(&source(other, 3000).replace("LAST", "exit_group(0);")));
        assert_eq!(kernel.wait(&task), Ending::Code(0), "{other}");
        kernel.let_go();
    }
}

#[test]
fn a_process_that_is_killed_while_nobody_receives_for_it_is_noticed() {
    for other in OTHERS {
        let kernel = Kernel::with_hook(hook());
        // Both wait in the end.
        let task = kernel.spawn(&Program::build(&source(other, 3000).replace("LAST", "sys(1900, 1, 0, 0);")));
        let deadline = Instant::now() + Duration::from_secs(20);
        while kernel.output() != "done" {
            assert!(Instant::now() < deadline, "the turns do not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(50));
        let tasks = kernel.tasks.lock().unwrap().clone();
        assert_eq!(tasks.len(), 2);
        let start = Instant::now();
        tasks.iter().for_each(|task| task.space.kill());
        assert!(tasks.iter().all(|task| kernel.wait(task) == Ending::Gone));
        assert!(start.elapsed() < NOTICED_WITHIN, "it took {:?}", start.elapsed());
        drop((task, tasks));
        kernel.let_go();
    }
}
