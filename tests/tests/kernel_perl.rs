//! Class `kernel`: Perl and its modules over the system behave as in class `native`.

mod kernel;

use kernel::WORKLOADS;
use kernel::program::Program;

#[test]
fn processes_signals_sockets_ipc_files_and_threads() {
    let text = include_str!("kernel/languages/perl_system.pl");
    let program = Program { file: "system.pl", text, command: "perl system.pl", flags: &[], code: 0 };
    assert!(program.same_in(WORKLOADS).ends_with("end\n"));
}
