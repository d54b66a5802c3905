//! `--format`: the part of Go's text/template that Docker's users write, over JSON values.
//!
//! Offered: fields (`.State.Pid`), `$`, variables, pipelines, parentheses, `if`/`else if`/`else`, `range` (also with
//! `$i, $x :=`), `with`, comments, trim markers, and the functions of [`functions`]. Not offered: `define`, `template`,
//! `block`, `break`, `continue` and methods; each is refused by name. The one maintained-looking crate, gtmpl, has had
//! no release since 2021 and cannot say which field was wrong.

mod eval;
mod functions;
mod lex;
mod parse;
#[cfg(test)]
mod tests;

use serde_json::Value;

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    nodes: Vec<parse::Node>,
}

/// Why a template could not be parsed or executed.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum TemplateError {
    /// The text is no template.
    #[error("template: at byte {at}: {what}")]
    Syntax {
        /// Offset into the template's text.
        at: usize,
        /// What is wrong.
        what: String,
    },
    /// The value has no such field.
    #[error("template: no field {name:?}{hint}")]
    NoField {
        /// The field as written.
        name: String,
        /// The nearest field, worded, or the empty string.
        hint: String,
    },
    /// A function was given what it cannot work on.
    #[error("template: {function}: {what}")]
    Call {
        /// The function.
        function: String,
        /// What is wrong with its arguments.
        what: String,
    },
}

impl Template {
    /// Parses a template; nothing is escaped beforehand, so pass a shell's `\t` through [`unescape`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        Ok(Self { nodes: parse::parse(lex::lex(text)?)? })
    }

    /// Executes the template on one value.
    pub fn render(&self, value: &Value) -> Result<String, TemplateError> {
        eval::render(&self.nodes, value)
    }
}

/// Turns the two-character sequences `\t` and `\n` into a tab and a newline, as Docker does for `--format`.
pub fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

impl TemplateError {
    fn syntax(at: usize, what: impl Into<String>) -> Self {
        Self::Syntax { at, what: what.into() }
    }

    fn call(function: &str, what: impl Into<String>) -> Self {
        Self::Call { function: function.to_owned(), what: what.into() }
    }
}
