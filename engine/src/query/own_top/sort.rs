//! In which order ps(1) shows processes.

use std::cmp::Ordering;

use super::columns::{self, Row};
use super::{QueryError, unknown};

/// Fields to sort by, the most important first.
#[derive(Debug, Default)]
pub(super) struct Order(Vec<(String, Direction)>);

#[derive(Clone, Copy, Debug)]
enum Direction {
    Rising,
    Falling,
}

/// What is compared: numbers where a field has them.
#[derive(Debug, PartialEq, PartialOrd)]
enum Key {
    Number(f64),
    Text(String),
}

impl Order {
    /// Adds fields, each with `+` or `-` before it or neither.
    pub fn add(&mut self, fields: &str) -> Result<(), QueryError> {
        for field in fields.split([',', ' ']).filter(|field| !field.is_empty()) {
            let (name, direction) = match field.strip_prefix('-') {
                Some(name) => (name, Direction::Falling),
                None => (field.strip_prefix('+').unwrap_or(field), Direction::Rising),
            };
            columns::by_name(name).ok_or_else(|| unknown(name))?;
            self.0.push((name.to_owned(), direction));
        }
        Ok(())
    }

    /// Sorts; equal ones stay as they are.
    pub fn sort(&self, rows: &mut [Row<'_>]) {
        rows.sort_by(|one, other| self.compare(*one, *other));
    }

    fn compare(&self, one: Row<'_>, other: Row<'_>) -> Ordering {
        let by = |(name, direction): &(String, Direction)| {
            let ordering = key(name, one).partial_cmp(&key(name, other)).unwrap_or(Ordering::Equal);
            match direction {
                Direction::Rising => ordering,
                Direction::Falling => ordering.reverse(),
            }
        };
        self.0.iter().map(by).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
    }
}

/// Times are shown in forms that do not sort: their seconds do.
fn key(name: &str, row: Row<'_>) -> Key {
    let name = match name {
        "time" | "cputime" | "bsdtime" => "cputimes",
        "etime" => "etimes",
        name => name,
    };
    let cell = columns::by_name(name).map(|column| (column.cell)(row)).unwrap_or_default();
    // What a container calls itself is anything, `nan` too, which is neither more nor less than others.
    let number = cell.parse().ok().filter(|number: &f64| number.is_finite());
    match (name, number) {
        ("stime" | "start_time" | "bsdstart" | "start" | "lstart", _) => since(row),
        (_, Some(number)) => Key::Number(number),
        (_, None) => Key::Text(cell),
    }
}

/// The younger, the greater.
fn since(row: Row<'_>) -> Key {
    Key::Number(-std::time::Duration::from_millis(row.process.age_ms).as_secs_f64())
}
