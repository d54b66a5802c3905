//! Processes below their parents, as ps(1) draws them.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::Row;

/// How a tree is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Art {
    /// `--forest`
    Lines,
    /// `-H`
    Indents,
}

impl Art {
    /// What leads to a child; what stands below one that has siblings to come, and below the last.
    fn pieces(self) -> [&'static str; 3] {
        match self {
            Art::Lines => [r" \_ ", " |  ", "    "],
            Art::Indents => ["  "; 3],
        }
    }
}

/// Deeper ones are drawn at this depth: a chain of processes can be as long as a container may have processes.
const BRANCH_BYTES_MAX: usize = 256;

/// A row that is to be placed.
struct Place<'a> {
    row: Row<'a>,
    /// What its ancestors draw before it.
    above: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Top,
    Middle,
    Last,
}

impl Place<'_> {
    fn branch(&self, art: Art) -> String {
        let [branch, ..] = art.pieces();
        if self.kind == Kind::Top { String::new() } else { format!("{}{branch}", self.above) }
    }

    fn above_children(&self, art: Art) -> String {
        let [_, bar, gap] = art.pieces();
        match self.kind {
            Kind::Top => String::new(),
            _ if self.above.len() >= BRANCH_BYTES_MAX => self.above.clone(),
            Kind::Middle => format!("{}{bar}", self.above),
            Kind::Last => format!("{}{gap}", self.above),
        }
    }
}

/// Puts each row behind its parent's, with what is drawn before its command. Siblings keep their order.
pub(super) fn arrange(rows: Vec<Row<'_>>, art: Art) -> Vec<(Row<'_>, String)> {
    let shown: BTreeSet<u32> = rows.iter().map(|row| row.process.pid).collect();
    let (below, tops): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| shown.contains(&row.process.parent));
    let mut children: BTreeMap<u32, Vec<Row<'_>>> = BTreeMap::new();
    for row in below {
        children.entry(row.process.parent).or_default().push(row);
    }
    let top = |row| Place { row, above: String::new(), kind: Kind::Top };
    let mut todo: Vec<Place<'_>> = tops.into_iter().rev().map(top).collect();
    let mut done = Vec::new();
    while let Some(place) = todo.pop() {
        let mut kind = Kind::Last;
        for row in children.remove(&place.row.process.pid).unwrap_or_default().into_iter().rev() {
            todo.push(Place { row, above: place.above_children(art), kind });
            kind = Kind::Middle;
        }
        done.push((place.row, place.branch(art)));
    }
    // Who is said to descend from itself is in no tree.
    done.extend(children.into_values().flatten().map(|row| (row, String::new())));
    done
}
