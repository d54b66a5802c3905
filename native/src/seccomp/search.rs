//! A binary search over ranges of numbers.
//!
//! Neighbours with one answer form a range: Docker's profile has about a hundred per call table, found in seven steps.
//! Ranges are searched in groups small enough for the short jumps of BPF; within a group each answer is there once.

use super::CompileError;
use super::action::{Answer, ENOSYS};
use super::bpf::{GREATER_OR_EQUAL, Instruction, JUMP, LENGTH_MAX, RETURN, statement, test};
use super::conditions::{Width, assemble};
use super::program::{Tables, Unknown};
use super::rules::{Calls, Decision, Rule, Table};

/// Ranges in a group. One test each, and the answers, stay within the 255 instructions that a jump can skip.
const GROUP: usize = 128;

/// Numbers from `first` up to the next range's first.
struct Range<'a> {
    first: u32,
    end: End<'a>,
}

#[derive(Clone, Copy, PartialEq)]
enum End<'a> {
    Answer(Answer),
    Rules(&'a [Rule]),
}

/// Code that decides on the number in the register, which is at most `top`.
pub(super) fn search(tables: &Tables, calls: &Calls, table: Table, top: u32) -> Result<Vec<Instruction>, CompileError> {
    let bottom = if table == Table::X32 { Table::X32_BIT } else { 0 };
    let mut ranges = Ranges { list: Vec::with_capacity(2 * calls.decisions.len() + 2) };
    ranges.push(bottom, End::Answer(tables.default));
    for (number, decision) in &calls.decisions {
        ranges.push(
            *number,
            match decision {
                Decision::Always(answer) => End::Answer(*answer),
                Decision::Rules(rules) => End::Rules(rules),
            },
        );
        ranges.push(number + 1, End::Answer(tables.default));
    }
    if let Some(last) = calls.last.filter(|last| tables.unknown == Unknown::Enosys && *last < top) {
        ranges.push(last + 1, End::Answer(ENOSYS));
    }
    groups(&ranges.list, Leaf { default: tables.default, width: table.width() })
}

struct Ranges<'a> {
    list: Vec<Range<'a>>,
}

impl<'a> Ranges<'a> {
    /// Numbers come in ascending order; a range that an earlier push has just begun at the same number is replaced.
    fn push(&mut self, first: u32, end: End<'a>) {
        self.list.pop_if(|last| last.first == first);
        if self.list.last().is_none_or(|last| last.end != end) {
            self.list.push(Range { first, end });
        }
    }
}

/// What the code of a range depends on besides the range.
#[derive(Clone, Copy)]
struct Leaf {
    default: Answer,
    width: Width,
}

fn groups(ranges: &[Range<'_>], leaf: Leaf) -> Result<Vec<Instruction>, CompileError> {
    if ranges.len() <= GROUP
        && let Some(code) = Group::build(ranges, leaf)?
    {
        return Ok(code);
    }
    if let [Range { end: End::Rules(rules), .. }] = ranges {
        return rules_code(rules, leaf);
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let low = groups(low, leaf)?;
    let mut code = branch(GREATER_OR_EQUAL, high[0].first, &low)?;
    code.extend(low);
    code.extend(groups(high, leaf)?);
    Ok(code)
}

/// A test that goes on behind `otherwise` when it holds, and into `otherwise` when not.
pub(super) fn branch(code: u16, k: u32, otherwise: &[Instruction]) -> Result<Vec<Instruction>, CompileError> {
    match u8::try_from(otherwise.len()) {
        Ok(skip) => Ok(vec![test(code, k, skip, 0)]),
        Err(_) => Ok(vec![test(code, k, 0, 1), statement(JUMP, length(otherwise)?)]),
    }
}

pub(super) fn length(code: &[Instruction]) -> Result<u32, CompileError> {
    u32::try_from(code.len()).map_err(|_| CompileError::TooLong { length: code.len() })
}

/// A search whose jumps are all short.
struct Group {
    code: Vec<Instruction>,
    /// Tests in `code` and where they go: when the number is in the upper half, and when not.
    tests: Vec<(usize, Target, Target)>,
}

#[derive(Clone, Copy)]
enum Target {
    At(usize),
    Answer(Answer),
}

impl Group {
    /// `None` when long rules put a target out of reach.
    fn build(ranges: &[Range<'_>], leaf: Leaf) -> Result<Option<Vec<Instruction>>, CompileError> {
        let mut group = Self { code: Vec::with_capacity(ranges.len() + 8), tests: Vec::with_capacity(ranges.len()) };
        let start = group.tree(ranges, leaf)?;
        if let Target::Answer(answer) = start {
            group.code.push(statement(RETURN, answer));
        }
        Ok(group.link())
    }

    /// The code starts with the root, because every node comes before what is below it.
    fn tree(&mut self, ranges: &[Range<'_>], leaf: Leaf) -> Result<Target, CompileError> {
        let at = self.code.len();
        match ranges {
            [Range { end: End::Answer(answer), .. }] => return Ok(Target::Answer(*answer)),
            [Range { end: End::Rules(rules), .. }] => self.code.extend(rules_code(rules, leaf)?),
            _ => {
                let (low, high) = ranges.split_at(ranges.len() / 2);
                self.code.push(test(GREATER_OR_EQUAL, high[0].first, 0, 0));
                let (low, high) = (self.tree(low, leaf)?, self.tree(high, leaf)?);
                self.tests.push((at, high, low));
            }
        }
        Ok(Target::At(at))
    }

    fn link(mut self) -> Option<Vec<Instruction>> {
        let mut answers: Vec<(Answer, usize)> = Vec::new();
        for (at, yes, no) in std::mem::take(&mut self.tests) {
            let skips = [yes, no].map(|target| self.place(target, &mut answers).checked_sub(at + 1));
            let [yes, no] = skips.map(|skip| skip.and_then(|skip| u8::try_from(skip).ok()));
            (self.code[at].yes, self.code[at].no) = (yes?, no?);
        }
        Some(self.code)
    }

    fn place(&mut self, target: Target, answers: &mut Vec<(Answer, usize)>) -> usize {
        match target {
            Target::At(at) => at,
            Target::Answer(answer) => match answers.iter().find(|(other, _)| *other == answer) {
                Some((_, at)) => *at,
                None => {
                    self.code.push(statement(RETURN, answer));
                    answers.push((answer, self.code.len() - 1));
                    self.code.len() - 1
                }
            },
        }
    }
}

fn rules_code(rules: &[Rule], leaf: Leaf) -> Result<Vec<Instruction>, CompileError> {
    let mut code = Vec::new();
    for rule in rules {
        let conditions = assemble(&rule.conditions, leaf.width, 1);
        code.extend(conditions.ok_or(CompileError::TooLong { length: LENGTH_MAX })?);
        code.push(statement(RETURN, rule.answer));
    }
    code.push(statement(RETURN, leaf.default));
    Ok(code)
}
