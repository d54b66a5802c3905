//! Process 1 of the lab that tests boot; see [`stockade_tests::Lab`].
#![forbid(unsafe_code)]

fn main() -> std::io::Result<()> {
    stockade_lab::agent::main()
}
