//! One program of many calls' answers: a search by the call's number.
//!
//! The kernel tries a new filter with every number there is, to know those that it allows whatever the arguments are
//! (`seccomp_cache_prepare`); seccompiler makes a chain of comparisons. With several answers in one program a thread
//! needs no second filter for what is refused but does not end it.
//!
//! A call is found by its exact number, on the right architecture, or it is refused: a wrong turn refuses too much, and
//! never allows.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, sock_filter};

const LOAD: u16 = 0x20;
const EQUAL: u16 = 0x15;
const AT_LEAST: u16 = 0x35;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;

/// Where the kernel has what is asked for (`struct seccomp_data`).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const X86_64: u32 = 0xc000_003e;

/// What is answered to a call.
pub enum Answer {
    /// This, whatever its arguments are.
    Always(SeccompAction),
    /// What this whole program says, which a call of this number was made for.
    Program(BpfProgram),
}

/// The program; what has no answer ends the process.
pub fn program(answers: BTreeMap<u32, Answer>) -> BpfProgram {
    let mut program = vec![
        statement(LOAD, ARCHITECTURE),
        branch(EQUAL, X86_64, 1, 0),
        returns(SeccompAction::KillProcess),
        statement(LOAD, NUMBER),
    ];
    let leaves: Vec<_> = answers.into_iter().map(|(number, answer)| (number, leaf(number, answer))).collect();
    program.extend(search(&leaves));
    program
}

fn leaf(number: u32, answer: Answer) -> BpfProgram {
    match answer {
        Answer::Always(action) => {
            vec![branch(EQUAL, number, 0, 1), returns(action), returns(SeccompAction::KillProcess)]
        }
        Answer::Program(program) => program,
    }
}

/// Every part ends in answers, so that none runs into the next. A branch reaches 255 instructions, a jump all of them.
fn search(leaves: &[(u32, BpfProgram)]) -> BpfProgram {
    let (low, high) = leaves.split_at(leaves.len() / 2);
    match (low, high) {
        ([], []) => vec![returns(SeccompAction::KillProcess)],
        ([], [(_, only), ..]) => only.clone(),
        (low, high) => {
            let (first, low, high) = (high[0].0, search(low), search(high));
            let over = u32::try_from(low.len()).unwrap_or(u32::MAX);
            let head = [branch(AT_LEAST, first, 0, 1), statement(JUMP, over)];
            head.into_iter().chain(low).chain(high).collect()
        }
    }
}

fn statement(code: u16, k: u32) -> sock_filter {
    branch(code, k, 0, 0)
}

fn branch(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

fn returns(action: SeccompAction) -> sock_filter {
    statement(RETURN, action.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a program without looks at arguments answers, and in how many steps.
    fn run(program: &[sock_filter], architecture: u32, number: u32) -> (u32, usize) {
        let (mut at, mut loaded) = (0, 0);
        for step in 1..=program.len() {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let skipped = match code {
                LOAD => {
                    loaded = if k == NUMBER { number } else { architecture };
                    0
                }
                RETURN => return (k, step),
                JUMP => k,
                EQUAL => u32::from(if loaded == k { jt } else { jf }),
                AT_LEAST => u32::from(if loaded >= k { jt } else { jf }),
                other => panic!("instruction {other:#x}"),
            };
            at += usize::try_from(skipped).expect("a short way");
        }
        panic!("no answer to {number}");
    }

    const KILL: u32 = 0x8000_0000;

    #[test]
    fn each_number_has_its_own_answer_and_all_others_none() {
        for len in 0..80_u32 {
            let number = |index| 3 + index * 5;
            let answer = |index| SeccompAction::Errno(index + 1);
            let answers = (0..len).map(|index| (number(index), Answer::Always(answer(index)))).collect();
            let program = program(answers);
            for number in 0..=number(len) + 1 {
                let is_known = number >= 3 && (number - 3) % 5 == 0 && (number - 3) / 5 < len;
                let expected = if is_known { u32::from(answer((number - 3) / 5)) } else { KILL };
                let (found, steps) = run(&program, X86_64, number);
                assert_eq!(found, expected, "number {number} of {len}");
                assert!(steps <= 20, "number {number} of {len}: {steps} steps");
                assert_eq!(run(&program, 0x4000_0003, number).0, KILL, "32-bit call {number}");
                assert_eq!(run(&program, X86_64, number | 0x4000_0000).0, KILL, "x32 call {number}");
            }
        }
    }

    #[test]
    fn a_program_is_an_answer_too() {
        let inner = |value| vec![statement(LOAD, NUMBER), branch(EQUAL, value, 0, 1), statement(RETURN, value), kill()];
        let answers = (1..=9).map(|number| (number, Answer::Program(inner(number)))).collect();
        let program = program(answers);
        for number in 0..12 {
            let expected = if (1..=9).contains(&number) { number } else { KILL };
            assert_eq!(run(&program, X86_64, number).0, expected);
        }
    }

    fn kill() -> sock_filter {
        returns(SeccompAction::KillProcess)
    }
}
