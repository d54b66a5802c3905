//! The tree, executed on a value.

use serde_json::{Map, Value};

use super::TemplateError;
use super::functions;
use super::parse::{Command, Node, Operand, Pipeline};

pub fn render(nodes: &[Node], root: &Value) -> Result<String, TemplateError> {
    let mut run = Run { root, variables: Vec::new(), out: String::new() };
    run.nodes(nodes, root)?;
    Ok(run.out)
}

struct Run<'a> {
    root: &'a Value,
    variables: Vec<(String, Value)>,
    out: String,
}

impl Run<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), TemplateError> {
        nodes.iter().try_for_each(|node| self.node(node, dot))
    }

    /// Executes a body whose variables end with it.
    fn scoped(&mut self, nodes: &[Node], dot: &Value) -> Result<(), TemplateError> {
        let outer = self.variables.len();
        let result = self.nodes(nodes, dot);
        self.variables.truncate(outer);
        result
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<(), TemplateError> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Output(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                self.out.push_str(&display(&value));
            }
            Node::Set { name, value } => {
                let value = self.pipeline(value, dot)?;
                self.set(name, value);
            }
            Node::If { condition, then, otherwise } => {
                let holds = truth(&self.pipeline(condition, dot)?);
                self.scoped(if holds { then } else { otherwise }, dot)?;
            }
            Node::With { value, then, otherwise } => {
                let value = self.pipeline(value, dot)?;
                match truth(&value) {
                    true => self.scoped(then, &value)?,
                    false => self.scoped(otherwise, dot)?,
                }
            }
            Node::Range { index, item, over, body, otherwise } => {
                let over = self.pipeline(over, dot)?;
                self.range((index.as_deref(), item.as_deref()), over, body, (otherwise, dot))?;
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: Value) {
        match self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            Some((_, slot)) => *slot = value,
            None => self.variables.push((name.to_owned(), value)),
        }
    }

    fn range(
        &mut self,
        (index, item): (Option<&str>, Option<&str>),
        over: Value,
        body: &[Node],
        (otherwise, dot): (&[Node], &Value),
    ) -> Result<(), TemplateError> {
        let pairs = pairs(over)?;
        if pairs.is_empty() {
            return self.scoped(otherwise, dot);
        }
        for (key, value) in pairs {
            let outer = self.variables.len();
            self.variables.extend(index.map(|name| (name.to_owned(), key)));
            self.variables.extend(item.map(|name| (name.to_owned(), value.clone())));
            self.nodes(body, &value)?;
            self.variables.truncate(outer);
        }
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let mut carried = None;
        for command in &pipeline.0 {
            carried = Some(self.command(command, dot, carried)?);
        }
        Ok(carried.unwrap_or(Value::Null))
    }

    fn command(&mut self, command: &Command, dot: &Value, carried: Option<Value>) -> Result<Value, TemplateError> {
        match command {
            Command::Operand(operand) => self.operand(operand, dot),
            Command::Call(function, operands) => {
                let mut arguments =
                    operands.iter().map(|operand| self.operand(operand, dot)).collect::<Result<Vec<_>, _>>()?;
                arguments.extend(carried);
                functions::call(*function, &arguments)
            }
        }
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, TemplateError> {
        match operand {
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Field(path) => follow(dot, path),
            Operand::Variable(name, path) if name.is_empty() => follow(self.root, path),
            Operand::Variable(name, path) => match self.variables.iter().rev().find(|(known, _)| known == name) {
                Some((_, value)) => follow(value, path),
                None => Err(TemplateError::call(&format!("${name}"), "undefined variable")),
            },
            Operand::Group(pipeline, path) => follow(&self.pipeline(pipeline, dot)?, path),
        }
    }
}

fn pairs(over: Value) -> Result<Vec<(Value, Value)>, TemplateError> {
    match over {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => Ok(items.into_iter().enumerate().map(|(n, item)| (Value::from(n), item)).collect()),
        Value::Object(map) => Ok(map.into_iter().map(|(key, item)| (Value::from(key), item)).collect()),
        Value::Number(count) => Ok((0..count.as_u64().unwrap_or(0)).map(|n| (n.into(), n.into())).collect()),
        other => Err(TemplateError::call("range", format!("cannot iterate over {other}"))),
    }
}

fn follow(value: &Value, path: &[String]) -> Result<Value, TemplateError> {
    let mut value = value;
    for name in path {
        value = match value {
            Value::Object(map) => map.get(name).ok_or_else(|| no_field(name, map))?,
            // As Go does for a nil map: what is absent has absent fields.
            Value::Null => return Ok(Value::Null),
            _ => return Err(TemplateError::NoField { name: name.clone(), hint: " in a plain value".to_owned() }),
        };
    }
    Ok(value.clone())
}

fn no_field(name: &str, map: &Map<String, Value>) -> TemplateError {
    let nearest = crate::suggest::nearest(name, map.keys().map(String::as_str));
    let hint = match nearest {
        Some(near) => format!(": did you mean {near:?}?"),
        None => format!(": there are {}", map.keys().cloned().collect::<Vec<_>>().join(", ")),
    };
    TemplateError::NoField { name: name.to_owned(), hint }
}

/// Go's notion of an empty value.
pub fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(holds) => *holds,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// Go's `%v`.
pub fn display(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::Bool(holds) => holds.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(inner).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let entries: Vec<_> = map.iter().map(|(key, value)| format!("{key}:{}", inner(value))).collect();
            format!("map[{}]", entries.join(" "))
        }
    }
}

fn inner(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        other => display(other),
    }
}
