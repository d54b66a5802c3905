//! The events of poll(2).
#![allow(missing_docs, reason = "the words of poll(2)")]

bitflags::bitflags! {
    /// Events of poll(2) and epoll(7), with the ABI's bits.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct PollEvents: u32 {
        const IN = 0x1;
        const PRI = 0x2;
        const OUT = 0x4;
        const ERR = 0x8;
        const HUP = 0x10;
        const NVAL = 0x20;
        const RDNORM = 0x40;
        const RDBAND = 0x80;
        const WRNORM = 0x100;
        const WRBAND = 0x200;
        const MSG = 0x400;
        const RDHUP = 0x2000;
        /// Data can be read.
        const READABLE = 0x41;
        /// Data can be written.
        const WRITABLE = 0x104;
    }
}
