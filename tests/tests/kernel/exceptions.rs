//! The list of what fails in class `kernel` only, with causes: `exceptions.toml`.

use std::collections::BTreeSet;

use toml::{Table, Value};

/// In the whole list.
const MAX: usize = 3;

/// The tests of a program that are known to fail.
#[track_caller]
pub fn known(program: &str) -> BTreeSet<String> {
    let list: Table = include_str!("exceptions.toml").parse().expect("read the list of exceptions");
    let lines = list.get("exception").and_then(Value::as_array).cloned().unwrap_or_default();
    assert!(lines.len() <= MAX, "at most {MAX} exceptions");
    assert!(lines.iter().all(|line| !field(line, "cause").is_empty()), "each exception has a cause");
    let of_program = lines.iter().filter(|line| field(line, "program") == program);
    of_program.flat_map(|line| field(line, "test").split_whitespace()).map(str::to_owned).collect()
}

/// Fails unless exactly the known tests fail, of those that were run.
#[track_caller]
pub fn check(program: &str, run: &BTreeSet<String>, failed: &BTreeSet<String>) {
    let known = known(program);
    let new: Vec<_> = failed.difference(&known).collect();
    let gone: Vec<_> = known.intersection(run).filter(|test| !failed.contains(*test)).collect();
    assert!(new.is_empty(), "{program}: {} fail in class kernel only: {new:#?}", new.len());
    assert!(gone.is_empty(), "{program}: no exceptions any more, take them off the list: {gone:#?}");
}

#[track_caller]
fn field<'a>(line: &'a Value, name: &str) -> &'a str {
    line.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("an exception without {name}: {line}"))
}
