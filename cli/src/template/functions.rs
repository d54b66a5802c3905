//! The functions a template may call: Go's own and Docker's.

use std::cmp::Ordering;

use serde_json::Value;

use super::TemplateError;
use super::eval::{display, truth};

/// What a call executes.
pub type Body = fn(&[Value]) -> Result<Value, String>;

/// One callable function.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    name: &'static str,
    arguments_min: usize,
    body: Body,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

const fn function(name: &'static str, arguments_min: usize, body: Body) -> Function {
    Function { name, arguments_min, body }
}

const FUNCTIONS: &[Function] = &[
    function("and", 1, |a| Ok(a.iter().find(|value| !truth(value)).or(a.last()).cloned().unwrap_or(Value::Null))),
    function("eq", 2, |a| Ok(a[1..].iter().any(|other| compare(&a[0], other) == Some(Ordering::Equal)).into())),
    function("ge", 2, |a| Ok(order(a)?.is_ge().into())),
    function("gt", 2, |a| Ok(order(a)?.is_gt().into())),
    function("index", 1, |a| a[1..].iter().try_fold(a[0].clone(), |value, key| index(&value, key))),
    function("join", 2, |a| Ok(strings(&a[0])?.join(text(&a[1])?).into())),
    function("json", 1, |a| serde_json::to_string(&a[0]).map(Value::from).map_err(|e| e.to_string())),
    function("le", 2, |a| Ok(order(a)?.is_le().into())),
    function("len", 1, |a| length(&a[0])),
    function("lower", 1, |a| Ok(text(&a[0])?.to_lowercase().into())),
    function("lt", 2, |a| Ok(order(a)?.is_lt().into())),
    function("ne", 2, |a| Ok((compare(&a[0], &a[1]) != Some(Ordering::Equal)).into())),
    function("not", 1, |a| Ok((!truth(&a[0])).into())),
    function("or", 1, |a| Ok(a.iter().find(|value| truth(value)).or(a.last()).cloned().unwrap_or(Value::Null))),
    function("pad", 3, |a| Ok(format!("{}{}{}", spaces(&a[1])?, text(&a[0])?, spaces(&a[2])?).into())),
    function("print", 0, |a| Ok(a.iter().map(display).collect::<String>().into())),
    function("printf", 1, |a| printf(text(&a[0])?, &a[1..])),
    function("println", 0, |a| Ok((a.iter().map(display).collect::<Vec<_>>().join(" ") + "\n").into())),
    function("slice", 1, slice),
    function("split", 2, |a| Ok(text(&a[0])?.split(text(&a[1])?).map(str::to_owned).collect::<Vec<_>>().into())),
    function("title", 1, |a| Ok(title(text(&a[0])?).into())),
    function("truncate", 2, |a| Ok(text(&a[0])?.chars().take(count(&a[1])?).collect::<String>().into())),
    function("upper", 1, |a| Ok(text(&a[0])?.to_uppercase().into())),
];

pub fn by_name(name: &str) -> Option<Function> {
    FUNCTIONS.iter().find(|function| function.name == name).copied()
}

/// The nearest function, worded for the end of a message.
pub fn nearest(name: &str) -> String {
    match crate::suggest::nearest(name, FUNCTIONS.iter().map(|function| function.name)) {
        Some(near) => format!(": did you mean {near:?}?"),
        None => String::new(),
    }
}

pub fn call(function: Function, arguments: &[Value]) -> Result<Value, TemplateError> {
    if arguments.len() < function.arguments_min {
        let what = format!("wants at least {} arguments, got {}", function.arguments_min, arguments.len());
        return Err(TemplateError::call(function.name, what));
    }
    (function.body)(arguments).map_err(|what| TemplateError::call(function.name, what))
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("{value} is not a string"))
}

fn count(value: &Value) -> Result<usize, String> {
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| format!("{value} is not a count"))
}

fn spaces(value: &Value) -> Result<String, String> {
    Ok(" ".repeat(count(value)?.min(1024)))
}

fn strings(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => Ok(items.iter().map(display).collect()),
        other => Err(format!("{other} is not a list")),
    }
}

fn length(value: &Value) -> Result<Value, String> {
    match value {
        Value::Null => Ok(0.into()),
        Value::String(text) => Ok(text.len().into()),
        Value::Array(items) => Ok(items.len().into()),
        Value::Object(map) => Ok(map.len().into()),
        other => Err(format!("{other} has no length")),
    }
}

fn index(value: &Value, key: &Value) -> Result<Value, String> {
    match (value, key) {
        // Go gives a map's zero value for an absent key; labels and the like are maps of strings.
        (Value::Object(map), Value::String(key)) => Ok(map.get(key).cloned().unwrap_or_else(|| "".into())),
        (Value::Array(items), key) => {
            items.get(count(key)?).cloned().ok_or_else(|| format!("{key} is beyond the {} items", items.len()))
        }
        (Value::Null, _) => Err("of an absent value".to_owned()),
        (other, key) => Err(format!("cannot look up {key} in {other}")),
    }
}

fn slice(arguments: &[Value]) -> Result<Value, String> {
    let from = arguments.get(1).map_or(Ok(0), count)?;
    let to = |length: usize| arguments.get(2).map_or(Ok(length), count);
    let beyond = || "bounds are beyond the end".to_owned();
    match &arguments[0] {
        Value::String(text) => text.get(from..to(text.len())?).map(Value::from).ok_or_else(beyond),
        Value::Array(items) => items.get(from..to(items.len())?).map(|part| part.to_vec().into()).ok_or_else(beyond),
        other => Err(format!("cannot slice {other}")),
    }
}

fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (a, b) => (a == b).then_some(Ordering::Equal),
    }
}

fn order(arguments: &[Value]) -> Result<Ordering, String> {
    compare(&arguments[0], &arguments[1])
        .ok_or_else(|| format!("cannot compare {} with {}", arguments[0], arguments[1]))
}

fn title(text: &str) -> String {
    let mut start = true;
    text.chars()
        .flat_map(|c| {
            let upper = start && c.is_alphabetic();
            start = c.is_whitespace();
            if upper { c.to_uppercase().collect::<Vec<_>>() } else { vec![c] }
        })
        .collect()
}

/// `%[-0][width][.precision]verb` with the verbs s v d q x X t f and `%%`.
fn printf(format: &str, arguments: &[Value]) -> Result<Value, String> {
    let mut arguments = arguments.iter();
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let directive = Directive::parse(&rest[at + 1..])?;
        rest = &rest[at + 1 + directive.length..];
        match directive.verb {
            '%' => out.push('%'),
            _ => out.push_str(&directive.apply(arguments.next().ok_or("too few arguments for the format")?)?),
        }
    }
    match arguments.next() {
        Some(extra) => Err(format!("{extra} has no place in the format")),
        None => Ok((out + rest).into()),
    }
}

struct Directive {
    left: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    verb: char,
    length: usize,
}

impl Directive {
    fn parse(text: &str) -> Result<Self, String> {
        let flags = text.find(|c| !"-0+ ".contains(c)).unwrap_or(text.len());
        let (width, after) = digits(&text[flags..]);
        let (precision, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => (None, after),
        };
        let verb = after.chars().next().ok_or("format ends in %")?;
        if !"svdqxXtf%".contains(verb) {
            return Err(format!("unknown verb %{verb}"));
        }
        let length = text.len() - after.len() + verb.len_utf8();
        let (left, zero) = (text[..flags].contains('-'), text[..flags].contains('0'));
        Ok(Self { left, zero, width: width.unwrap_or(0).min(1024), precision, verb, length })
    }

    fn apply(&self, value: &Value) -> Result<String, String> {
        let body = self.body(value)?;
        let width = self.width;
        Ok(match (self.left, self.zero && !self.left) {
            (true, _) => format!("{body:<width$}"),
            (_, true) => format!("{}{body}", "0".repeat(width.saturating_sub(body.chars().count()))),
            _ => format!("{body:>width$}"),
        })
    }

    fn body(&self, value: &Value) -> Result<String, String> {
        let integer = || value.as_i64().ok_or_else(|| format!("%{} wants an integer, got {value}", self.verb));
        Ok(match self.verb {
            'd' => integer()?.to_string(),
            'x' | 'X' if value.is_string() => text(value)?.bytes().map(|byte| format!("{byte:02x}")).collect(),
            'x' => format!("{:x}", integer()?),
            'X' => format!("{:X}", integer()?),
            'q' => format!("{:?}", display(value)),
            'f' => {
                let number = value.as_f64().ok_or_else(|| format!("%f wants a number, got {value}"))?;
                format!("{number:.*}", self.precision.unwrap_or(6).min(64))
            }
            _ => match self.precision {
                Some(precision) => display(value).chars().take(precision).collect(),
                None => display(value),
            },
        })
    }
}

fn digits(text: &str) -> (Option<usize>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().ok(), &text[end..])
}
