//! What sealed files refuse.
#![allow(missing_docs, reason = "the words of fcntl(2)")]

bitflags::bitflags! {
    /// The seals of fcntl(2) F_ADD_SEALS.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Seals: u32 {
        const SEAL = 1;
        const SHRINK = 2;
        const GROW = 4;
        const WRITE = 8;
        const FUTURE_WRITE = 0x10;
        const EXEC = 0x20;
    }
}

impl Seals {
    /// What [`Seals::EXEC`] adds to a file that can be executed, so that it stays what it is.
    pub const OF_PROGRAM: Self = Self::SHRINK.union(Self::GROW).union(Self::WRITE).union(Self::FUTURE_WRITE);
}
