//! Tests of arguments: 64-bit comparisons by a machine of 32 bits.

use oci_spec::runtime::LinuxSeccompOperator as Operator;

use super::bpf::{AND, EQUAL, GREATER, GREATER_OR_EQUAL, Instruction, LOAD, argument, statement, test};

/// How much of an argument counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// x86_64.
    Bits64,
    /// i386 and x32, as libseccomp has them.
    Bits32,
}

/// One test of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub index: u8,
    pub operator: Operator,
    /// The mask, for a masked comparison.
    pub value: u64,
    /// What is compared under the mask.
    pub value_two: u64,
}

/// Where a jump goes.
#[derive(Clone, Copy)]
enum To {
    Next,
    /// The condition holds: behind its code.
    Pass,
    /// It does not: behind the whole rule.
    Fail,
}
use To::{Fail, Next, Pass};

enum Step {
    Statement(Instruction),
    Test { code: u16, k: u32, yes: To, no: To },
}

/// Code that falls through when all conditions hold and else jumps behind its own end plus `behind` instructions.
/// `None` when that is further than a jump reaches; six conditions are not.
pub(super) fn assemble(conditions: &[Condition], width: Width, behind: usize) -> Option<Vec<Instruction>> {
    let blocks: Vec<_> = conditions.iter().map(|condition| steps(condition, width)).collect();
    let total: usize = blocks.iter().map(Vec::len).sum();
    let mut code = Vec::with_capacity(total);
    for block in &blocks {
        let pass = code.len() + block.len();
        for step in block {
            let next = code.len() + 1;
            let skip = |to| {
                u8::try_from(match to {
                    Next => 0,
                    Pass => pass - next,
                    Fail => total + behind - next,
                })
                .ok()
            };
            code.push(match *step {
                Step::Statement(instruction) => instruction,
                Step::Test { code, k, yes, no } => test(code, k, skip(yes)?, skip(no)?),
            });
        }
    }
    Some(code)
}

fn steps(condition: &Condition, width: Width) -> Vec<Step> {
    let value = condition.value;
    match condition.operator {
        Operator::ScmpCmpEq => equal(condition, width, u64::MAX, value),
        Operator::ScmpCmpMaskedEq => equal(condition, width, value, condition.value_two & value),
        Operator::ScmpCmpNe => ordered(condition, width, EQUAL, [Next, Pass], [Fail, Pass]),
        Operator::ScmpCmpGt => ordered(condition, width, GREATER, [Pass, Fail], [Pass, Fail]),
        Operator::ScmpCmpGe => ordered(condition, width, GREATER_OR_EQUAL, [Pass, Fail], [Pass, Fail]),
        Operator::ScmpCmpLe => ordered(condition, width, GREATER, [Fail, Pass], [Fail, Pass]),
        Operator::ScmpCmpLt => ordered(condition, width, GREATER_OR_EQUAL, [Fail, Pass], [Fail, Pass]),
    }
}

/// The two halves of a value, low first.
fn halves(value: u64) -> [u32; 2] {
    let bytes = value.to_le_bytes();
    [0, 4].map(|at| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]))
}

/// `argument & mask == value`, high half first. A half without mask bits needs no look.
fn equal(condition: &Condition, width: Width, mask: u64, value: u64) -> Vec<Step> {
    let offset = argument(condition.index);
    let halves = [(offset + 4, halves(mask)[1], halves(value)[1]), (offset, halves(mask)[0], halves(value)[0])];
    let skipped = if width == Width::Bits32 { 1 } else { 0 };
    let looked_at = halves.into_iter().skip(skipped).filter(|(_, mask, _)| *mask != 0);
    looked_at.flat_map(|(offset, mask, value)| half_equal(offset, mask, value)).collect()
}

fn half_equal(offset: u32, mask: u32, value: u32) -> impl Iterator<Item = Step> {
    let masked = (mask != u32::MAX).then(|| Step::Statement(statement(AND, mask)));
    let compared = Step::Test { code: EQUAL, k: value, yes: Next, no: Fail };
    [Some(Step::Statement(statement(LOAD, offset))), masked, Some(compared)].into_iter().flatten()
}

/// The high half decides unless it is equal; then the low half does, by `code`.
fn ordered(condition: &Condition, width: Width, code: u16, high: [To; 2], low: [To; 2]) -> Vec<Step> {
    let offset = argument(condition.index);
    let [low_value, high_value] = halves(condition.value);
    let mut steps = Vec::with_capacity(5);
    if width == Width::Bits64 {
        steps.push(Step::Statement(statement(LOAD, offset + 4)));
        if code != EQUAL {
            steps.push(Step::Test { code: GREATER, k: high_value, yes: high[0], no: Next });
        }
        steps.push(Step::Test { code: EQUAL, k: high_value, yes: Next, no: high[1] });
    }
    steps.push(Step::Statement(statement(LOAD, offset)));
    steps.push(Step::Test { code, k: low_value, yes: low[0], no: low[1] });
    steps
}
