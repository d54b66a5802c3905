//! Asynchronous I/O.

use super::{CREATE, READ_WRITE, program};
use crate::Errno;
use crate::args;

/// `struct iocb`
fn request(operation: u16, fd: u64, buffer: u64, len: u64, offset: u64, told: Option<u64>) -> alloc::vec::Vec<u8> {
    let fd = u32::try_from(fd).expect("small");
    let (flag, told) = told.map_or((0, 0), |told| (1_u32, u32::try_from(told).expect("small")));
    [
        &7_u64.to_le_bytes()[..],
        &[0; 8],
        &operation.to_le_bytes(),
        &[0; 2],
        &fd.to_le_bytes(),
        &buffer.to_le_bytes(),
        &len.to_le_bytes(),
        &offset.to_le_bytes(),
        &[0; 8],
        &flag.to_le_bytes(),
        &told.to_le_bytes(),
    ]
    .concat()
}

#[test]
fn requests_are_carried_out_and_reported() {
    let program = program();
    let fd = program.open("/a", CREATE | READ_WRITE, 0o600).unwrap();
    let told = program.call("eventfd2", args![0, 0]).unwrap();
    let (id, events) = (program.put(&[0; 8]), program.room(64));
    assert_eq!(program.call("io_setup", args![0, id]), Err(Errno::EINVAL));
    assert_eq!(program.call("io_setup", args![65_537, id]), Err(Errno::EAGAIN));
    assert_eq!(program.call("io_setup", args![2, id]), Ok(0));
    let more = program.put(&[0; 8]);
    assert_eq!(program.call("io_setup", args![65_535, more]), Err(Errno::EAGAIN), "it has 2 events already");
    let context = u64::from_le_bytes(program.bytes(id, 8).try_into().unwrap());
    let text = program.put(b"text");
    let submit = |requests: &[alloc::vec::Vec<u8>]| {
        let addresses: alloc::vec::Vec<u64> = requests.iter().map(|request| program.put(request)).collect();
        let list: alloc::vec::Vec<u8> = addresses.iter().flat_map(|address| address.to_le_bytes()).collect();
        let count = addresses.len() as u64;
        let list = program.put(&list);
        program.call("io_submit", args![context, count, list])
    };
    assert_eq!(submit(&[request(1, fd, text, 4, 100, Some(told)), request(0, fd, text, 4, 104, None)]), Ok(2));
    assert_eq!(program.stat("/a").unwrap().2, 104);
    assert_eq!(program.read(told, 8).unwrap().as_bytes()[0], 1);
    assert_eq!(submit(&[request(3, fd, 0, 0, 0, None)]), Err(Errno::EAGAIN));
    assert_eq!(program.call("io_getevents", args![context, 2, 2, events, 0]), Ok(2));
    let word = |at: u64| i64::from_le_bytes(program.bytes(events + at, 8).try_into().unwrap());
    assert_eq!([word(0), word(16), word(48)], [7, 4, 0]);
    assert_eq!(submit(&[request(9, fd, 0, 0, 0, None)]), Err(Errno::EINVAL));
    assert_eq!(submit(&[request(0, 99, 0, 0, 0, None)]), Err(Errno::EBADF));
    assert!(program.start("io_getevents", args![context, 1, 1, events, 0]).is_none());
}
