//! Class `kernel`: runtimes of languages, and what is written in them, behave as in class `native`.

mod kernel;

use kernel::program::Program;

#[test]
fn ruby_threads_processes_signals_sockets_and_files() {
    let text = include_str!("kernel/languages/ruby_system.rb");
    let program = Program { file: "system.rb", text, command: "ruby system.rb", flags: &[], code: 0 };
    assert!(program.same().ends_with("end\n"));
}

#[test]
fn node_timers_workers_processes_files_streams_and_network() {
    let text = include_str!("kernel/languages/node_system.js");
    let program = Program { file: "system.js", text, command: "node system.js", flags: &[], code: 3 };
    assert!(program.same().ends_with("exit 3\n"));
}

#[test]
fn java_threads_faults_collectors_files_network_and_processes() {
    let text = include_str!("kernel/languages/Everything.java");
    let command = "javac Everything.java && java -Xmx256m Everything";
    let program = Program { file: "Everything.java", text, command, flags: &[], code: 3 };
    assert!(program.same().ends_with("shutting down\n"));
}

#[test]
fn java_runs_with_every_collector_and_can_be_looked_into() {
    let text = include_str!("kernel/languages/Garbage.java");
    let command = "javac Garbage.java; sh -c '
        for collector in Serial Parallel G1 Z Shenandoah; do
            java -XX:+Use${collector}GC -Xmx200m -XX:+AlwaysPreTouch Garbage || exit
        done
        java -XX:+UseLargePages -XX:+UseTransparentHugePages Garbage 2>&1
        java -Xint Garbage
        java -Xss256k -XX:TieredStopAtLevel=1 Garbage
        java Garbage wait >out & pid=$!
        until [ -s out ]; do sleep 0.1; done
        jps -q | grep -cx $pid; jps -l | grep -c Garbage
        jcmd $pid VM.system_properties | grep java.vm.specification.version
        jcmd $pid Thread.print | grep -c \"\\\"main\\\"\"
        jcmd $pid GC.run | grep -c success; jcmd $pid GC.heap_info | grep -c heap
        kill -QUIT $pid; until grep -q \"Full thread dump\" out; do sleep 0.1; done
        kill $pid; wait $pid; echo $?'";
    Program { file: "Garbage.java", text, command, flags: &[], code: 0 }.same();
}

#[test]
fn java_takes_its_size_from_the_limits() {
    let text = include_str!("kernel/languages/Limits.java");
    let command = "javac Limits.java && java Limits && java -XX:MaxRAMPercentage=50 Limits";
    let sized = |flags: &[&str]| Program { file: "Limits.java", text, command, flags, code: 0 }.same();
    assert!(sized(&["--memory", "600m", "--cpus", "1"]).starts_with("processors 1\n"));
    let more = sized(&["--memory", "1g", "--cpus", "2"]);
    assert!(more.contains("memory 1024\n"), "{more}");
}

#[test]
fn go_compiles_and_runs_goroutines_timers_signals_network_and_processes() {
    let text = include_str!("kernel/languages/everything.go");
    let command = "go build -o everything everything.go && ./everything";
    Program { file: "everything.go", text, command, flags: &[], code: 3 }.same();
}

/// A signal that comes while the vDSO tells the time must find its way back.
#[test]
fn the_go_toolchain_does_not_mind_signals() {
    let text = include_str!("kernel/languages/everything.go");
    let command = "for n in 1 2 3 4 5 6 7 8; do echo \"// $n\" >>everything.go; go vet everything.go; \
        go build -o everything everything.go && echo $n; done";
    let expected: String = (1..=8).map(|n| format!("{n}\n")).collect();
    assert_eq!(Program { file: "everything.go", text, command, flags: &[], code: 0 }.same(), expected);
}

#[test]
fn ffmpeg_encodes_and_decodes() {
    let text = include_str!("kernel/languages/ffmpeg.sh");
    let output = Program { file: "ffmpeg.sh", text, command: "sh ffmpeg.sh", flags: &[], code: 0 }.same();
    let sums: Vec<&str> = output.lines().take(4).collect();
    assert_eq!(sums[..2], sums[2..], "what was encoded without loss comes back");
}
