//! Filters by simulation, over all call numbers, and for real in forked children.

use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

use oci_spec::runtime::{Capability, LinuxSeccomp};

use super::action::{ALLOW, Answer, ENOSYS, KILL_THREAD};
use super::conditions::{Condition, Width};
use super::rules::{self, Decision, Table};
use super::simulator::{Data, run};
use super::{Program, Tables, compile, docker_default, table, tables};

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const ERRNO: u32 = 0x0005_0000;

fn profile(text: &str) -> LinuxSeccomp {
    serde_json::from_str(text).unwrap()
}

fn program(text: &str) -> Program {
    compile(&profile(text)).unwrap().unwrap()
}

fn number(name: &str, column: usize) -> u32 {
    u32::from(table::find(name).unwrap().numbers[column])
}

/// What the filter answers to a native call.
fn answer(program: &Program, name: &str, arguments: [u64; 6]) -> Answer {
    run(&program.code, &Data { number: number(name, 0), architecture: X86_64, arguments }).0
}

/// One rule that answers errno 7 where its condition holds.
fn check_condition(operator: &str, value: u64, value_two: u64, cases: &[(u64, bool)]) {
    let text = format!(
        r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"], "syscalls": [{{"names": ["close"],
           "action": "SCMP_ACT_ERRNO", "errnoRet": 7,
           "args": [{{"index": 2, "value": {value}, "valueTwo": {value_two}, "op": "SCMP_CMP_{operator}"}}]}}]}}"#
    );
    let program = program(&text);
    for (argument, expected) in cases {
        let holds = answer(&program, "close", [0, 0, *argument, 0, 0, 0]) == ERRNO | 7;
        assert_eq!(holds, *expected, "{argument:#x} {operator} {value:#x} {value_two:#x}");
    }
}

#[test]
fn operators_compare_all_64_bits() {
    const HIGH: u64 = 1 << 32;
    check_condition("EQ", HIGH | 5, 0, &[(HIGH | 5, true), (5, false), (HIGH, false), ((2 * HIGH) | 5, false)]);
    check_condition("NE", HIGH | 5, 0, &[(HIGH | 5, false), (5, true), (HIGH, true)]);
    check_condition("LT", HIGH | 5, 0, &[(HIGH | 4, true), (HIGH | 5, false), (9, true), (2 * HIGH, false)]);
    check_condition("LE", HIGH | 5, 0, &[(HIGH | 5, true), (HIGH | 6, false), (9, true), (2 * HIGH, false)]);
    check_condition("GT", HIGH | 5, 0, &[(HIGH | 6, true), (HIGH | 5, false), (9, false), (2 * HIGH, true)]);
    check_condition("GE", HIGH | 5, 0, &[(HIGH | 5, true), (HIGH | 4, false), (9, false), (2 * HIGH, true)]);
    check_condition("MASKED_EQ", HIGH | 6, HIGH | 2, &[(HIGH | 3, true), (HIGH | 6, false), (2, false), (!4, true)]);
    check_condition("MASKED_EQ", 6, 2, &[(HIGH | 3, true), (6, false)]);
    check_condition("MASKED_EQ", 6, 3, &[(2, true)]);
    check_condition("EQ", u64::MAX, 0, &[(u64::MAX, true), (u64::MAX >> 32, false)]);
}

#[test]
fn actions_and_their_data() {
    let check = |action: &str, errno: &str, expected: Answer| {
        let text = format!(
            r#"{{"defaultAction": "SCMP_ACT_LOG", "listenerPath": "/x",
               "syscalls": [{{"names": ["read"], "action": "SCMP_ACT_{action}"{errno}}}]}}"#
        );
        let program = program(&text);
        assert_eq!(answer(&program, "read", [0; 6]), expected, "{action}");
        assert_eq!(answer(&program, "getpid", [0; 6]), 0x7ffc_0000);
        assert_eq!(program.notifies(), action == "NOTIFY");
    };
    check("ALLOW", "", ALLOW);
    check("ERRNO", "", ERRNO | 1);
    check("ERRNO", r#", "errnoRet": 38"#, ENOSYS);
    check("ERRNO", r#", "errnoRet": 0"#, ERRNO);
    check("KILL", "", KILL_THREAD);
    check("KILL_THREAD", "", KILL_THREAD);
    check("KILL_PROCESS", "", 0x8000_0000);
    check("TRAP", "", 0x0003_0000);
    check("TRACE", r#", "errnoRet": 9"#, 0x7ff0_0009);
    check("NOTIFY", "", 0x7fc0_0000);
}

#[test]
fn architectures_are_told_apart() {
    let check = |architectures: &str, architecture, number, expected: Answer| {
        let text = format!(
            r#"{{"defaultAction": "SCMP_ACT_ERRNO", "architectures": [{architectures}],
               "syscalls": [{{"names": ["execve"], "action": "SCMP_ACT_ALLOW"}}]}}"#
        );
        let data = Data { number, architecture, arguments: [0; 6] };
        assert_eq!(run(&program(&text).code, &data).0, expected, "{architectures}: {architecture:x} {number:x}");
    };
    const AARCH64: u32 = 0xc000_00b7;
    const X32: u32 = Table::X32_BIT;
    let denied = ERRNO | 1;
    for architectures in ["", r#""SCMP_ARCH_NATIVE""#, r#""SCMP_ARCH_X86_64""#] {
        check(architectures, X86_64, 59, ALLOW);
        check(architectures, X86_64, 11, denied);
        check(architectures, X86_64, X32 | 520, KILL_THREAD);
        check(architectures, X86_64, u32::MAX, denied);
        check(architectures, I386, 11, KILL_THREAD);
        check(architectures, AARCH64, 59, KILL_THREAD);
    }
    let all = r#""SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32""#;
    check(all, X86_64, 59, ALLOW);
    check(all, X86_64, X32 | 520, ALLOW);
    check(all, X86_64, X32 | 59, denied);
    check(all, I386, 11, ALLOW);
    check(all, I386, 59, ENOSYS);
    check(all, I386, 10, denied);
    check(all, AARCH64, 59, KILL_THREAD);
}

#[test]
fn calls_newer_than_the_profile_are_unknown_rather_than_forbidden() {
    let of = |default| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_{default}", "syscalls":
               [{{"names": ["close_range", "no_such_call"], "action": "SCMP_ACT_ALLOW"}},
                {{"names": ["openat2"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}}]}}"#
        )
    };
    for (default, expected) in [("ERRNO", ENOSYS), ("KILL_PROCESS", ENOSYS), ("ALLOW", ALLOW), ("LOG", 0x7ffc_0000)] {
        let program = program(&of(default));
        assert_eq!(answer(&program, "faccessat2", [0; 6]), expected, "{default}");
        assert_eq!(answer(&program, "close_range", [0; 6]), ALLOW, "{default}");
    }
    // Named, although only to repeat the default.
    assert_eq!(answer(&program(&of("ERRNO")), "openat2", [0; 6]), ERRNO | 1);
}

#[test]
fn precedence_is_that_of_libseccomp() {
    let check = |rules: &str, arguments, expected: Answer| {
        let text = format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{rules}]}}"#);
        assert_eq!(answer(&program(&text), "read", arguments), expected, "{rules}");
    };
    let rule =
        |action: &str, args: &str| format!(r#"{{"names": ["read"], "action": "SCMP_ACT_{action}", "args": [{args}]}}"#);
    let is = |index, value| format!(r#"{{"index": {index}, "value": {value}, "op": "SCMP_CMP_EQ"}}"#);
    let (plain, first) = (rule("ALLOW", ""), rule("LOG", &is(0, 1)));
    for rules in [format!("{plain}, {first}"), format!("{first}, {plain}")] {
        check(&rules, [1, 0, 0, 0, 0, 0], ALLOW);
        check(&rules, [2, 0, 0, 0, 0, 0], ALLOW);
    }
    check(&format!("{plain}, {}", rule("LOG", "")), [0; 6], ALLOW);
    // The shorter of two rules wins whatever the order.
    let longer = rule("ALLOW", &format!("{}, {}", is(1, 2), is(0, 1)));
    for rules in [format!("{longer}, {first}"), format!("{first}, {longer}")] {
        check(&rules, [1, 2, 0, 0, 0, 0], 0x7ffc_0000);
    }
    check(&longer, [1, 2, 0, 0, 0, 0], ALLOW);
    check(&longer, [1, 3, 0, 0, 0, 0], ERRNO | 1);
    // One argument twice: either condition.
    let either = rule("ALLOW", &format!("{}, {}", is(0, 1), is(0, 2)));
    check(&either, [1, 0, 0, 0, 0, 0], ALLOW);
    check(&either, [2, 0, 0, 0, 0, 0], ALLOW);
    check(&either, [3, 0, 0, 0, 0, 0], ERRNO | 1);
}

#[test]
fn sockets_of_i386_have_two_ways_in() {
    let program = program(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"],
            "syscalls": [{"names": ["bind", "recv", "shmget"], "action": "SCMP_ACT_ERRNO"}]}"#,
    );
    let ask = |name, selector| {
        let data = Data { number: number(name, 1), architecture: I386, arguments: [selector, 0, 0, 0, 0, 0] };
        run(&program.code, &data).0
    };
    assert_eq!([ask("bind", 0), ask("socketcall", 2), ask("socketcall", 10), ask("ipc", 23)], [ERRNO | 1; 4]);
    assert_eq!([ask("connect", 0), ask("socketcall", 3), ask("ipc", 1)], [ALLOW; 3]);
}

#[test]
fn bad_profiles_are_refused() {
    let check = |text: &str, reason: &str| {
        let error = compile(&profile(text)).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    };
    let rule = |rest: &str| format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{rest}]}}"#);
    check(r#"{"defaultAction": "SCMP_ACT_NOTIFY", "syscalls": []}"#, "as default action");
    check(&rule(r#"{"names": ["write"], "action": "SCMP_ACT_NOTIFY"}"#), "for the write syscall");
    check(&rule(r#"{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}"#), "without listenerPath");
    check(
        &rule(
            r#"{"names": ["read"], "action": "SCMP_ACT_LOG", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}"#,
        ),
        "argument index 6",
    );
    check(r#"{"defaultAction": "SCMP_ACT_LOG", "architectures": ["SCMP_ARCH_ARM"]}"#, "not one of x86_64");
    let one = |action| {
        format!(
            r#"{{"names": ["read"], "action": "{action}", "args": [{{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}}]}}"#
        )
    };
    check(&rule(&format!("{}, {}", one("SCMP_ACT_LOG"), one("SCMP_ACT_TRAP"))), "contradict");
    assert!(compile(&profile(r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}"#)).unwrap().is_none());
}

/// The same decisions without tree, halves and jumps.
fn linear(tables: &Tables, data: &Data) -> Answer {
    let (calls, width) = match (data.architecture, data.number >= Table::X32_BIT) {
        (X86_64, false) => (Some(&tables.x86_64), Width::Bits64),
        (X86_64, true) if data.number == u32::MAX && tables.x32.is_none() => return tables.default,
        (X86_64, true) => (tables.x32.as_ref(), Width::Bits32),
        (I386, _) => (tables.i386.as_ref(), Width::Bits32),
        _ => (None, Width::Bits64),
    };
    let Some(calls) = calls else { return KILL_THREAD };
    match calls.decisions.iter().find(|(number, _)| *number == data.number) {
        Some((_, Decision::Always(answer))) => *answer,
        Some((_, Decision::Rules(rules))) => rules
            .iter()
            .find(|rule| rule.conditions.iter().all(|condition| holds(condition, width, data)))
            .map_or(tables.default, |rule| rule.answer),
        None if tables.unknown == super::Unknown::Enosys && calls.last.is_some_and(|last| data.number > last) => ENOSYS,
        None => tables.default,
    }
}

fn holds(condition: &Condition, width: Width, data: &Data) -> bool {
    use oci_spec::runtime::LinuxSeccompOperator as Operator;
    let cut = |value: u64| if width == Width::Bits32 { value & 0xffff_ffff } else { value };
    let argument = cut(data.arguments[usize::from(condition.index)]);
    let value = cut(condition.value);
    match condition.operator {
        Operator::ScmpCmpEq => argument == value,
        Operator::ScmpCmpNe => argument != value,
        Operator::ScmpCmpLt => argument < value,
        Operator::ScmpCmpLe => argument <= value,
        Operator::ScmpCmpGt => argument > value,
        Operator::ScmpCmpGe => argument >= value,
        Operator::ScmpCmpMaskedEq => argument & value == cut(condition.value_two) & value,
    }
}

fn check_against_linear(profile: &LinuxSeccomp, arguments: &[[u64; 6]]) {
    let (program, tables) = (compile(profile).unwrap().unwrap(), tables(profile).unwrap());
    let edges = [u32::MAX, u32::MAX - 1, Table::X32_BIT - 1, 1 << 31];
    for architecture in [X86_64, I386, 0xc000_00b7] {
        for number in (0..600).chain((0..600).map(|number| number | Table::X32_BIT)).chain(edges) {
            for arguments in arguments {
                let data = Data { number, architecture, arguments: *arguments };
                assert_eq!(run(&program.code, &data).0, linear(&tables, &data), "{data:x?}");
            }
        }
    }
}

/// A small generator of our own (xorshift64*), so that a failure can be had again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    /// Values whose halves often agree with another's.
    fn value(&mut self) -> u64 {
        (self.below(3) << 32) | self.below(3)
    }

    fn profile(&mut self) -> String {
        let count = 1 + self.below(60);
        let rules: Vec<_> = (0..count).map(|_| self.rule()).collect();
        let default = self.pick(&["ALLOW", "ERRNO", "KILL_PROCESS", "LOG"]);
        let architectures = self.pick(&["", r#""SCMP_ARCH_X86""#, r#""SCMP_ARCH_X86", "SCMP_ARCH_X32""#]);
        let rules = rules.join(", ");
        format!(
            r#"{{"defaultAction": "SCMP_ACT_{default}", "architectures": [{architectures}], "syscalls": [{rules}]}}"#
        )
    }

    fn rule(&mut self) -> String {
        let names =
            ["read", "write", "clone", "socket", "bind", "execve", "ipc", "shmat", "openat2", "futex_wait", "none"];
        let (name, action) = (self.pick(&names), self.pick(&["ALLOW", "ERRNO", "TRAP"]));
        let args: Vec<_> = (0..self.below(4)).map(|_| self.argument()).collect();
        format!(r#"{{"names": ["{name}"], "action": "SCMP_ACT_{action}", "args": [{}]}}"#, args.join(", "))
    }

    fn argument(&mut self) -> String {
        let operator = self.pick(&["EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ"]);
        let (index, value, two) = (self.below(6), self.value(), self.value());
        format!(r#"{{"index": {index}, "value": {value}, "valueTwo": {two}, "op": "SCMP_CMP_{operator}"}}"#)
    }
}

#[test]
fn the_tree_decides_as_a_list_would() {
    let mut random = Random(0x5eed);
    let mut compiled = 0;
    for _ in 0..60 {
        let profile = profile(&random.profile());
        if matches!(compile(&profile), Ok(Some(_))) {
            let arguments: Vec<_> = (0..4).map(|_| [(); 6].map(|()| random.value())).collect();
            check_against_linear(&profile, &arguments);
            compiled += 1;
        }
    }
    assert!(compiled > 20, "only {compiled} of the profiles were free of contradictions");
}

#[test]
fn dockers_profile() {
    for capabilities in [vec![], vec![Capability::SysAdmin, Capability::SysChroot]] {
        let profile = docker_default(&capabilities.into_iter().collect());
        check_against_linear(&profile, &[[0; 6], [40, 0, 0, 0, 0, 0], [0x1000_0000, 0, 0, 0, 0, 0], [u64::MAX; 6]]);
    }
    let program = compile(&docker_default(&Default::default())).unwrap().unwrap();
    let check = |name, first, expected| assert_eq!(answer(&program, name, [first, 0, 0, 0, 0, 0]), expected, "{name}");
    check("read", 0, ALLOW);
    check("mount", 0, ERRNO | 1);
    check("clone3", 0, ENOSYS);
    check("clone", 0x1200, ALLOW);
    check("clone", 0x1000_0000, ERRNO | 1);
    check("socket", 2, ALLOW);
    check("socket", 40, ERRNO | 1);
    check("personality", 0xffff_ffff, ALLOW);
    check("personality", 0x0040_0000, ERRNO | 1);
    check("keyctl", 0, ERRNO | 1);
    check("io_uring_setup", 0, ERRNO | 1);
}

#[test]
fn dockers_profile_is_short_and_quick_to_decide() {
    let program = compile(&docker_default(&Default::default())).unwrap().unwrap();
    assert!(program.code.len() < 450, "{} instructions", program.code.len());
    let steps = |number| run(&program.code, &Data { number, architecture: X86_64, arguments: [0; 6] }).1;
    let most = (0..500).map(steps).max().unwrap();
    assert!(most <= 26, "{most} steps");
}

#[test]
fn numbers_resolve_once_per_table() {
    let profile = profile(
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read", "read"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}"#,
    );
    let calls = rules::resolve(&rules::Names::of(&profile).unwrap(), ERRNO | 1, Table::X86_64).unwrap();
    assert_eq!(calls.decisions, [(0, Decision::Always(ALLOW))]);
}

/// Runs `sh -c` under the profile.
fn shell(text: &str, script: &str) -> ExitStatus {
    let program = program(text);
    let mut shell = Command::new("sh");
    shell.args(["-c", script]);
    // SAFETY: the closure only makes system calls.
    unsafe { shell.pre_exec(move || program.install().map(drop)) };
    shell.stderr(std::process::Stdio::null()).status().unwrap()
}

#[test]
fn the_kernel_takes_and_enforces_filters() {
    let deny = |action: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW",
                 "syscalls": [{{"names": ["mkdir"], "action": "SCMP_ACT_{action}"}}]}}"#
        )
    };
    let script = "mkdir /proc/limits-test || exit 5";
    assert_eq!(shell(&deny("ERRNO"), script).code(), Some(5));
    assert_eq!(shell(&deny("KILL_PROCESS"), "exec mkdir /proc/limits-test").signal(), Some(libc::SIGSYS));
    assert_eq!(shell(&deny("TRAP"), "exec mkdir /proc/limits-test").signal(), Some(libc::SIGSYS));
    assert_eq!(shell(&deny("ALLOW"), "true").code(), Some(0));
    let docker = serde_json::to_string(&docker_default(&Default::default())).unwrap();
    assert_eq!(shell(&docker, "ls / >/dev/null && ! unshare -m true").code(), Some(0));
}

#[test]
fn a_listener_comes_back_from_the_kernel() {
    let program = program(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent", "listenerMetadata": "m",
            "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_LOG"],
            "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}"#,
    );
    assert_eq!((program.listener_metadata(), program.listener_path().unwrap().to_str()), ("m", Some("/run/agent")));
    // On a thread of its own: the filter ends with it.
    let listener = std::thread::spawn(move || program.install().unwrap()).join().unwrap().unwrap();
    let link = std::fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
    assert_eq!(link.to_str(), Some("anon_inode:seccomp notify"));
}
