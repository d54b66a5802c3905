//! What the machine has besides processes: the pool, blobs, the timer.

mod common;

use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use common::{Ending, Kernel, OWN};
use stockade_kernel::Errno;
use stockade_kernel::platform::{
    Backing, Event, Form, HostCall, HostClock, Machine, Protection, Reply, Sharing, Store, Wake,
};

const PAGE: u64 = 4096;
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Tell(Mutex<Sender<()>>);

impl Wake for Tell {
    fn wake(&self) {
        // Nobody listens once the test is over.
        let _ended = self.0.lock().unwrap().send(());
    }
}

#[test]
fn the_pool_keeps_what_is_written_and_forgets_what_is_freed() {
    let kernel = Kernel::start();
    let pool = kernel.machine.pool();
    let (a, b) = (pool.allocate(4 * PAGE).unwrap(), pool.allocate(8 * PAGE).unwrap());
    pool.write(b + 100, b"text").unwrap();
    let mut bytes = [0; 4];
    pool.read(b + 100, &mut bytes).unwrap();
    assert_eq!((&bytes, pool.used_bytes()), (b"text", 12 * PAGE));
    pool.zero(b + 101, 2);
    pool.read(b + 100, &mut bytes).unwrap();
    assert_eq!(&bytes, b"t\0\0t");
    pool.write(a + 100, b"text").unwrap();
    pool.free(a, 4 * PAGE);
    assert_eq!(pool.allocate(4 * PAGE), Ok(a));
    pool.read(a + 100, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 4]);
    assert_eq!(pool.allocate(1 << 40), Err(Errno::ENOMEM));
}

#[test]
fn spaces_share_the_pool_and_see_blobs() {
    let blob = Arc::new(OnceLock::new());
    let of_hook = blob.clone();
    let kernel = Kernel::with_hook(Box::new(move |task, event| {
        let Event::Call { number: 59, arguments: [address, ..], form: Form::Trapped } = *event else { return None };
        let pool = task.kernel.machine.pool();
        let offset = pool.allocate(2 * PAGE).expect("room");
        pool.write(offset, &[7]).unwrap();
        let (read, both) = (Protection::READ, Protection::READ | Protection::WRITE);
        let map =
            |at, protection, backing| HostCall::Map { address: address + at * PAGE, len: PAGE, protection, backing };
        let pooled = |sharing| Backing::Pool { offset, sharing };
        let blob = *of_hook.get().expect("the blob is there");
        let shown = |sharing| Backing::Blob { blob, offset: PAGE, sharing };
        let calls = vec![
            map(0, both, pooled(Sharing::Shared)),
            map(1, both, pooled(Sharing::Shared)),
            map(2, both, pooled(Sharing::Private)),
            map(3, read, shown(Sharing::Shared)),
            map(4, both, shown(Sharing::Private)),
        ];
        Some(Reply::Layout { calls, value: offset.cast_signed() })
    }));
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[&[1; 4096][..], &[9; 4096]].concat()).unwrap();
    let added = kernel.machine.add_blob(OwnedFd::from(file)).expect("a blob");
    assert_eq!((added.bytes().len(), added.bytes()[4096]), (8192, 9));
    blob.set(added.id()).unwrap();
    let source = "void start(void) { char *p = map(5 * 4096); long at = sys(59, p, 0, 0);
        if (p[0] != 7) exit_group(1); p[0] = 8; if (p[4096] != 8) exit_group(2);
        if (p[8192] != 8) exit_group(3); p[8192] = 5; if (p[0] != 8) exit_group(4);
        if (p[3 * 4096] != 9 || p[4 * 4096] != 9) exit_group(5); p[4 * 4096] = 1; if (p[3 * 4096] != 9) exit_group(6);
        exit_group(at == 0 ? 100 : 101); }";
    assert_eq!(kernel.run(source).0, Ending::Code(100));
    let mut byte = [0];
    kernel.machine.pool().read(0, &mut byte).unwrap();
    assert_eq!(byte, [8]);
}

#[test]
fn many_blobs_and_a_store_are_not_taken_for_each_other() {
    let blob = Arc::new(OnceLock::new());
    let store: Arc<OnceLock<Arc<dyn Store>>> = Arc::default();
    let (blob_of_hook, store_of_hook) = (blob.clone(), store.clone());
    let kernel = Kernel::with_hook(Box::new(move |task, event| {
        let Event::Call { number: 59, arguments: [address, ..], form: Form::Trapped } = *event else { return None };
        let offset = store_of_hook.get().expect("the store is there").allocate(PAGE).expect("room");
        task.kernel.machine.pool().write(offset, &[7]).unwrap();
        let blob = *blob_of_hook.get().expect("the blob is there");
        let (read, sharing) = (Protection::READ, Sharing::Shared);
        let map =
            |at, protection, backing| HostCall::Map { address: address + at * PAGE, len: PAGE, protection, backing };
        let calls = vec![
            map(0, read, Backing::Blob { blob, offset: 0, sharing }),
            map(1, read | Protection::WRITE, Backing::Pool { offset, sharing }),
            map(2, read, Backing::Blob { blob, offset: 0, sharing }),
        ];
        Some(Reply::Layout { calls, value: 0 })
    }));
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[9; 4096]).unwrap();
    // More than there are numbers for them alone.
    let add = || kernel.machine.add_blob(file.try_clone().unwrap().into()).expect("a blob");
    let added: Vec<_> = (0..=497).map(|_| add()).collect();
    blob.set(added.last().expect("the last").id()).unwrap();
    let file = tempfile::tempfile().unwrap();
    file.set_len(PAGE).unwrap();
    store.set(kernel.machine.add_store(file.into()).expect("a store")).unwrap();
    let source = "void start(void) { char *p = map(3 * 4096); sys(59, p, 0, 0);
        if (p[0] != 9 || p[8192] != 9) exit_group(1); if (p[4096] != 7) exit_group(2); p[4096] = 8; exit_group(0); }";
    assert_eq!(kernel.run(source).0, Ending::Code(0));
}

#[test]
fn a_shared_blob_is_never_mapped_writable() {
    let kernel = Kernel::with_hook(Box::new(|_, event| match *event {
        Event::Call { number: 59, arguments: [address, ..], .. } => {
            let backing =
                Backing::Blob { blob: stockade_kernel::platform::BlobId(0), offset: 0, sharing: Sharing::Shared };
            let protection = Protection::READ | Protection::WRITE;
            Some(Reply::Layout { calls: vec![HostCall::Map { address, len: PAGE, protection, backing }], value: 0 })
        }
        Event::LayoutDone(Err(error)) => Some(Reply::Value(-i64::from(error.errno.raw()))),
        _ => None,
    }));
    kernel.machine.add_blob(OwnedFd::from(tempfile::tempfile().unwrap())).expect("a blob");
    assert_eq!(kernel.run("void start(void) { exit_group(-sys(59, map(4096), 0, 0)); }").0, Ending::Code(1));
}

#[test]
fn many_host_calls_are_one_batch() {
    let kernel = Kernel::with_hook(Box::new(|_, event| match *event {
        Event::Call { number: 59, arguments: [address, fail, ..], .. } => {
            let map = |index: u64| HostCall::Map {
                address: if index == fail { address + 1 } else { address + index * 2 * PAGE },
                len: PAGE,
                protection: Protection::READ | Protection::WRITE,
                backing: Backing::Anonymous,
            };
            Some(Reply::Layout { calls: (0..100).map(map).collect(), value: 12 })
        }
        Event::LayoutDone(Err(error)) => Some(Reply::Value(error.index as i64 * 1000 + i64::from(error.errno.raw()))),
        _ => None,
    }));
    let source = "void start(void) { char *p = (char *)0x20000000;
        if (sys(59, p, 1000, 0) != 12) exit_group(1); p[99 * 8192] = 1;
        exit_group(sys(59, p, 70, 0) == 70022 ? 0 : 2); }";
    assert_eq!(kernel.run(source).0, Ending::Code(0));
}

#[test]
fn memory_is_copied_between_pool_and_space() {
    let kernel = Kernel::with_hook(Box::new(|task, event| match *event {
        Event::Call { number: OWN, arguments: [address, ..], .. } => {
            let pool = task.kernel.machine.pool();
            let offset = pool.allocate(2 * PAGE).expect("room");
            pool.write(offset, b"from the pool").unwrap();
            assert_eq!(task.space.write_from_pool(&[(address, 5), (address + 50, 8)], offset), Ok(13));
            assert_eq!(task.space.read_into_pool(&[(address, 5), (address + 50, 8)], offset + PAGE), Ok(13));
            assert_eq!(task.space.read_into_pool(&[(0x6000_0000, 13)], offset + PAGE), Ok(0));
            // What lies behind the first range that is not there stays as it is.
            let ranges = [(address + 100, 3), (0x6000_0000, 1), (address + 100, 3)];
            assert_eq!(task.space.read_ranges(&ranges, &mut [0; 7]), 3);
            assert_eq!(task.space.write_ranges(&ranges, &[0; 7]), 3);
            let many: Vec<_> = (0..40).map(|at| (address + 200 + 2 * at, 1)).collect();
            assert_eq!(task.space.write_ranges(&many, &[7; 40]), 40);
            let mut both = [0; 2];
            assert_eq!(task.space.read(address + 278, &mut both), 2);
            assert_eq!(both, [7, 0]);
            let mut back = [0; 13];
            pool.read(offset + PAGE, &mut back).unwrap();
            assert_eq!(&back, b"from the pool");
            // The page behind is not there.
            assert_eq!(task.space.read(address + 4000, &mut [0; 200]), 96);
            assert_eq!(task.space.write(address + 4000, &[0; 200]), 96);
            Some(Reply::Value(0))
        }
        _ => None,
    }));
    let source = "void start(void) { char *p = map(4096); sys(1000, p, 0, 0); exit_group(p[0] == 'f' ? 0 : 1); }";
    assert_eq!(kernel.run(source).0, Ending::Code(0));
}

#[test]
fn small_copies_are_the_same_by_process_and_by_its_memory_file() {
    let kernel = Kernel::with_hook(Box::new(|task, event| match *event {
        Event::Call { number: OWN, arguments: [address, ..], .. } => {
            // The file is opened after a few.
            for round in 0..100_u8 {
                assert_eq!(task.space.write_mapped(address, &[round; 8]), 8);
                let mut bytes = [0; 9];
                assert_eq!(task.space.read_mapped(address, &mut bytes), 9);
                assert_eq!((&bytes[..8], bytes[8]), (&[round; 8][..], b'.'));
                // Whoever is wrong about what is mapped hears how much was there.
                assert_eq!(task.space.read_mapped(address + 4000, &mut [0; 200]), 96);
                assert_eq!(task.space.write_mapped(0x6000_0000, &[0; 8]), 0);
            }
            Some(Reply::Value(0))
        }
        _ => None,
    }));
    let source = "void start(void) { char *p = map(4096); p[8] = '.'; sys(1000, p, 0, 0); exit_group(p[0] - 99); }";
    assert_eq!(kernel.run(source).0, Ending::Code(0));
}

#[test]
fn the_timer_rings_once_and_can_be_set_again() {
    let kernel = Kernel::start();
    let (tell, told) = channel();
    kernel.machine.on_timer(Arc::new(Tell(Mutex::new(tell))));
    let now = kernel.machine.now(HostClock::Monotonic);
    kernel.machine.set_timer(Some(now + Duration::from_secs(1000)));
    kernel.machine.set_timer(Some(now + Duration::from_millis(20)));
    told.recv_timeout(PATIENCE).expect("it rings");
    assert!(kernel.machine.now(HostClock::Monotonic) >= now + Duration::from_millis(20));
    kernel.machine.set_timer(Some(Duration::ZERO));
    told.recv_timeout(PATIENCE).expect("what is due rings at once");
    kernel.machine.set_timer(None);
    assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
}
