//! One program of many calls' answers: a search over ranges of numbers, for neighbours often have the same one.
//!
//! A thread's start waits for its filter. The kernel translates it in several turns, each as long as the program, and
//! tries it with every number there is, to know those that it allows whatever the arguments are
//! (`seccomp_cache_prepare`): so answers stand at its end once each, and seccompiler, which makes a chain of
//! comparisons for each rule, only installs it.
//!
//! It is written from its end to its begin: whatever an instruction jumps to is there already.

use std::collections::BTreeMap;
use std::num::TryFromIntError;

use seccompiler::{BpfProgram, SeccompAction, sock_filter};

use super::lists::Only;

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const EQUAL: u16 = 0x15;
const AT_LEAST: u16 = 0x35;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;

/// Where the kernel has what is asked for (`struct seccomp_data`): arguments come last, their lower halves first.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;
const HALF: u32 = 4;
const X86_64: u32 = 0xc000_003e;

/// What a test skips at most, less a jump that comes between.
const REACH: usize = 254;

/// What is answered to a call.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// Where one of these holds, or none is asked for.
    action: SeccompAction,
    /// Where none holds, the process ends.
    pub tests: Vec<Only>,
}

impl Default for Answer {
    fn default() -> Self {
        Self::always(SeccompAction::Allow)
    }
}

impl Answer {
    /// The same for all arguments.
    pub fn always(action: SeccompAction) -> Self {
        Self { action, tests: Vec::new() }
    }
}

/// The program; what has no answer ends the process.
pub fn program(answers: BTreeMap<u32, Answer>) -> Result<BpfProgram, TryFromIntError> {
    let mut writer = Writer::default();
    let root = writer.search(&ranges(answers))?;
    let known = writer.load(NUMBER, root)?;
    let kill = writer.answer(SeccompAction::KillProcess);
    let known = writer.test(EQUAL, X86_64, known, kill)?;
    writer.load(ARCHITECTURE, known)?;
    writer.reversed.reverse();
    Ok(writer.reversed)
}

/// Where ranges begin, and their answers: the first begins with the first number.
fn ranges(answers: BTreeMap<u32, Answer>) -> Vec<(u32, Answer)> {
    let kill = Answer::always(SeccompAction::KillProcess);
    let mut ranges = vec![(0, kill.clone())];
    let mut push = |first, answer| {
        ranges.pop_if(|(same, _)| *same == first);
        if ranges.last().is_none_or(|(_, last)| *last != answer) {
            ranges.push((first, answer));
        }
    };
    for (number, mut answer) in answers {
        if answer.tests.iter().any(|test| matches!(test, Only::Any)) {
            answer.tests.clear();
        }
        push(number, answer);
        if let Some(next) = number.checked_add(1) {
            push(next, kill.clone());
        }
    }
    ranges
}

/// A program whose last instruction is its first; places count from there.
#[derive(Default)]
struct Writer {
    reversed: BpfProgram,
    /// The latest return of each kind.
    returns: BTreeMap<u32, usize>,
}

impl Writer {
    /// Where it is decided on a number that was loaded.
    fn search(&mut self, ranges: &[(u32, Answer)]) -> Result<usize, TryFromIntError> {
        match ranges {
            [] => Ok(self.answer(SeccompAction::KillProcess)),
            [(_, only)] => self.tests(only),
            _ => {
                let (low, high) = ranges.split_at(ranges.len() / 2);
                let first = high[0].0;
                let high = self.search(high)?;
                let low = self.search(low)?;
                self.test(AT_LEAST, first, high, low)
            }
        }
    }

    fn tests(&mut self, answer: &Answer) -> Result<usize, TryFromIntError> {
        let holds = self.answer(answer.action.clone());
        if answer.tests.is_empty() {
            return Ok(holds);
        }
        let fails = self.answer(SeccompAction::KillProcess);
        answer.tests.iter().rev().try_fold(fails, |fails, only| self.only(*only, holds, fails))
    }

    fn only(&mut self, only: Only, holds: usize, fails: usize) -> Result<usize, TryFromIntError> {
        let argument = |index: u8| ARGUMENTS + 2 * HALF * u32::from(index);
        match only {
            Only::Any => Ok(holds),
            Only::Values { index, values } => {
                let is_one = self.equals(values, holds, fails)?;
                let lower = self.load(argument(index), is_one)?;
                let upper = self.test(EQUAL, 0, lower, fails)?;
                self.load(argument(index) + HALF, upper)
            }
            Only::Masked { index, mask, values } => {
                let is_one = self.equals(values, holds, fails)?;
                let masked = self.before(AND, mask, is_one)?;
                self.load(argument(index), masked)
            }
        }
    }

    fn equals(&mut self, values: &[u32], holds: usize, fails: usize) -> Result<usize, TryFromIntError> {
        values.iter().rev().try_fold(fails, |fails, value| self.test(EQUAL, *value, holds, fails))
    }

    fn test(&mut self, code: u16, k: u32, yes: usize, no: usize) -> Result<usize, TryFromIntError> {
        let (yes, no) = (self.near(yes)?, self.near(no)?);
        let (jt, jf) = (u8::try_from(self.skipped(yes))?, u8::try_from(self.skipped(no))?);
        Ok(self.push(sock_filter { code, jt, jf, k }))
    }

    fn load(&mut self, from: u32, next: usize) -> Result<usize, TryFromIntError> {
        self.before(LOAD, from, next)
    }

    /// An instruction that runs into another.
    fn before(&mut self, code: u16, k: u32, next: usize) -> Result<usize, TryFromIntError> {
        if self.skipped(next) > 0 {
            self.jump(next)?;
        }
        Ok(self.push(statement(code, k)))
    }

    /// A place within reach of a test that leads to this one.
    fn near(&mut self, place: usize) -> Result<usize, TryFromIntError> {
        if self.skipped(place) <= REACH { Ok(place) } else { self.jump(place) }
    }

    fn jump(&mut self, place: usize) -> Result<usize, TryFromIntError> {
        let skipped = u32::try_from(self.skipped(place))?;
        Ok(self.push(statement(JUMP, skipped)))
    }

    /// A return, within reach if it is one of long ago.
    fn answer(&mut self, action: SeccompAction) -> usize {
        let action = u32::from(action);
        match self.returns.get(&action) {
            Some(place) if self.skipped(*place) <= REACH => *place,
            _ => {
                let place = self.push(statement(RETURN, action));
                self.returns.insert(action, place);
                place
            }
        }
    }

    /// How many instructions lie between the next one and a place.
    fn skipped(&self, place: usize) -> usize {
        self.reversed.len() - place - 1
    }

    fn push(&mut self, instruction: sock_filter) -> usize {
        self.reversed.push(instruction);
        self.reversed.len() - 1
    }
}

fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILL: u32 = 0x8000_0000;
    const ALLOW: u32 = 0x7fff_0000;

    /// What a program answers, and in how many steps.
    fn run(program: &[sock_filter], architecture: u32, number: u32, arguments: &[u64]) -> (u32, usize) {
        let (mut at, mut loaded) = (0, 0);
        for step in 1..=program.len() {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let skipped = match code {
                LOAD => {
                    loaded = match k {
                        NUMBER => number,
                        ARCHITECTURE => architecture,
                        k => half(arguments, k),
                    };
                    0
                }
                AND => {
                    loaded &= k;
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

    fn half(arguments: &[u64], at: u32) -> u32 {
        let at = usize::try_from(at - ARGUMENTS).expect("a place") / 4;
        let bytes = arguments[at / 2].to_le_bytes();
        u32::from_le_bytes(*bytes[4 * (at % 2)..].first_chunk().expect("a half"))
    }

    #[test]
    fn each_number_has_its_own_answer_and_all_others_none() {
        for len in (0..80_u32).chain([600]) {
            let number = |index| 3 + index * 5;
            let answer = |index| SeccompAction::Errno(index + 1);
            let answers = (0..len).map(|index| (number(index), Answer::always(answer(index)))).collect();
            let program = program(answers).expect("a program");
            for number in 0..=number(len) + 1 {
                let is_known = number >= 3 && (number - 3) % 5 == 0 && (number - 3) / 5 < len;
                let expected = if is_known { u32::from(answer((number - 3) / 5)) } else { KILL };
                let (found, steps) = run(&program, X86_64, number, &[]);
                assert_eq!(found, expected, "number {number} of {len}");
                assert!(steps <= 20, "number {number} of {len}: {steps} steps");
                assert_eq!(run(&program, 0x4000_0003, number, &[]).0, KILL, "32-bit call {number}");
                assert_eq!(run(&program, X86_64, number | 0x4000_0000, &[]).0, KILL, "x32 call {number}");
            }
        }
    }

    #[test]
    fn neighbours_share_a_range_and_all_share_their_answers() {
        let answers = (10..200).map(|number| (number, Answer::default())).collect();
        let program = program(answers).expect("a program");
        assert_eq!(program.len(), 7, "{program:?}");
        for (number, expected) in [(9, KILL), (10, ALLOW), (199, ALLOW), (200, KILL), (u32::MAX, KILL)] {
            assert_eq!(run(&program, X86_64, number, &[]).0, expected, "number {number}");
        }
    }

    const ONE_OF: Only = Only::Values { index: 1, values: &[7, 9] };
    const MASKED: Only = Only::Masked { index: 2, mask: 0xf0, values: &[0x30, 0x40] };

    fn arguments_decide(program: &[sock_filter], number: u32) {
        for index in 0..0x1_00_u64 {
            for upper in [0, 1 << 32] {
                let found = run(program, X86_64, number, &[7, index + upper, 0]).0;
                let expected = if upper == 0 && [7, 9].contains(&index) { ALLOW } else { KILL };
                assert_eq!(found, expected, "call {number}, {index} and {upper:#x}");
                let found = run(program, X86_64, number, &[7, 0, index + upper]).0;
                let expected = if [0x30, 0x40].contains(&(index & 0xf0)) { ALLOW } else { KILL };
                assert_eq!(found, expected, "call {number}, {index:#x} under a mask and {upper:#x}");
            }
        }
    }

    #[test]
    fn one_of_several_tests_is_enough() {
        // With one number, and with so many that answers are out of reach.
        for count in [1, 60] {
            let answers =
                (0..count).map(|number| (number, Answer { tests: vec![ONE_OF, MASKED], ..Answer::default() }));
            let program = program(answers.collect()).expect("a program");
            (0..count).for_each(|number| arguments_decide(&program, number));
            assert_eq!(run(&program, X86_64, count, &[0, 7, 0x30]).0, KILL);
        }
    }
}
