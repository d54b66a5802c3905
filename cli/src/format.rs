//! What listings share: `--format json | table TEMPLATE | TEMPLATE`, aligned tables, headings from fields.

use std::io::{self, Write};

use serde_json::{Map, Value};

use crate::human::plain;
use crate::template::{Template, TemplateError, unescape};

/// A listing's fields with their headings, in the order of no table.
pub type Headings = &'static [(&'static str, &'static str)];

/// How a listing is printed.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// The template per row, as it is.
    Lines(Template),
    /// The template per row, its tab-separated cells aligned under headings.
    Table(Template),
}

/// The narrowest column and the gap between columns, as Docker's tables.
const WIDTH_MIN: usize = 10;
const GAP: usize = 3;

impl Format {
    /// Parses the flag's value; `default` is the table's template without the word `table`.
    pub fn parse(given: Option<&str>, default: &str) -> Result<Self, TemplateError> {
        let given = given.unwrap_or("table").trim();
        match given.strip_prefix("table") {
            _ if given == "json" => Ok(Self::Json),
            Some("") => Template::parse(default).map(Self::Table),
            Some(custom) if custom.starts_with([' ', '\\', '\t', '{']) => {
                let custom = custom.trim_start();
                Template::parse(&unescape(custom.strip_prefix("\\t").unwrap_or(custom))).map(Self::Table)
            }
            _ => Template::parse(&unescape(given)).map(Self::Lines),
        }
    }

    /// Prints the rows.
    pub fn print(&self, headings: Headings, rows: &[Value], out: &mut dyn Write) -> Result<(), PrintError> {
        out.write_all(self.render(headings, rows)?.as_bytes())?;
        Ok(out.flush()?)
    }

    /// The rows as text.
    pub fn render(&self, headings: Headings, rows: &[Value]) -> Result<String, TemplateError> {
        match self {
            Self::Json => Ok(rows.iter().map(|row| format!("{row}\n")).collect()),
            Self::Lines(template) => rows.iter().map(|row| Ok(template.render(row)? + "\n")).collect(),
            Self::Table(template) => {
                let rows = rows.iter().map(plain_row);
                let lines = std::iter::once(heading_row(headings)).chain(rows).map(|row| template.render(&row));
                Ok(align(&lines.collect::<Result<Vec<_>, _>>()?))
            }
        }
    }
}

/// Why a listing was not printed.
#[derive(Debug, thiserror::Error)]
pub enum PrintError {
    /// The template does not fit.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Standard output cannot be written.
    #[error("write to standard output")]
    Write(#[from] io::Error),
}

fn heading_row(headings: Headings) -> Value {
    headings.iter().map(|&(field, heading)| (field.to_owned(), heading.into())).collect::<Map<_, _>>().into()
}

/// A row whose texts are fit for a terminal: those of an image are its author's.
fn plain_row(row: &Value) -> Value {
    let mut row = row.clone();
    for value in row.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Value::String(text) = value {
            *text = plain(text).into_owned();
        }
    }
    row
}

/// Lines of tab-separated cells as aligned columns; the last cell of a line is never padded.
pub fn align(lines: &[String]) -> String {
    let rows: Vec<Vec<&str>> = lines.iter().map(|line| line.split('\t').collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count() + GAP).max().unwrap_or(0).max(WIDTH_MIN)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter().map(|row| aligned(row, &widths)).collect()
}

fn aligned(row: &[&str], widths: &[usize]) -> String {
    let Some((last, padded)) = row.split_last() else { return "\n".to_owned() };
    let cells: String = padded.iter().zip(widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
    cells + last + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HEADINGS: Headings = &[("ID", "CONTAINER ID"), ("Names", "NAMES")];

    fn check(format: Option<&str>, expected: &str) {
        let rows = [json!({"ID": "0123456789ab", "Names": "web"}), json!({"ID": "ab", "Names": "a-longer-name"})];
        let format = Format::parse(format, "{{.ID}}\t{{.Names}}").unwrap();
        assert_eq!(format.render(HEADINGS, &rows).unwrap(), expected);
    }

    #[test]
    fn formats() {
        let table = "CONTAINER ID   NAMES\n0123456789ab   web\nab             a-longer-name\n";
        check(None, table);
        check(Some("table"), table);
        check(Some("table {{.ID}}\\t{{.Names}}"), table);
        check(Some("table {{.Names}}"), "NAMES\nweb\na-longer-name\n");
        check(Some("{{.Names}}={{.ID}}"), "web=0123456789ab\na-longer-name=ab\n");
        check(
            Some("json"),
            "{\"ID\":\"0123456789ab\",\"Names\":\"web\"}\n{\"ID\":\"ab\",\"Names\":\"a-longer-name\"}\n",
        );
        check(Some("tablet"), "tablet\ntablet\n");
    }

    #[test]
    fn a_table_is_fit_for_a_terminal() {
        let rows = [json!({"ID": "\u{1b}[31m\u{9b}1m\u{202e}x", "Names": "a\tb\r\nc"})];
        let render = |format| Format::parse(format, "{{.ID}}\t{{.Names}}").unwrap().render(HEADINGS, &rows).unwrap();
        let row = "\\u{1b}[31m\\u{9b}1m\\u{202e}x   a b  c";
        assert_eq!(render(None).lines().nth(1), Some(row));
        assert_eq!(render(Some("{{.ID}}")), "\u{1b}[31m\u{9b}1m\u{202e}x\n", "a program gets what there is");
    }

    #[test]
    fn unknown_fields_are_refused_even_without_rows() {
        let format = Format::parse(Some("table {{.Idd}}"), "").unwrap();
        assert!(format.render(HEADINGS, &[]).unwrap_err().to_string().contains("did you mean \"ID\""));
    }

    #[test]
    fn narrow_columns_keep_a_minimum() {
        assert_eq!(align(&["a\tb".to_owned(), "c\td".to_owned()]), "a         b\nc         d\n");
    }
}
