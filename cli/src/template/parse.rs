//! Tokens to a tree.

use serde_json::Value;

use super::TemplateError;
use super::functions::{self, Function};
use super::lex::{Lexeme, Token};

/// Nesting beyond this is refused, so that no input can overflow the stack.
const DEPTH_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Text(String),
    Output(Pipeline),
    If { condition: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    With { value: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    Range { index: Option<String>, item: Option<String>, over: Pipeline, body: Vec<Node>, otherwise: Vec<Node> },
    Set { name: String, value: Pipeline },
}

/// Commands joined by `|`: each one's result is the last argument of the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline(pub Vec<Command>);

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Operand(Operand),
    Call(Function, Vec<Operand>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    Literal(Value),
    Field(Vec<String>),
    Variable(String, Vec<String>),
    Group(Pipeline, Vec<String>),
}

pub fn parse(lexemes: Vec<Lexeme>) -> Result<Vec<Node>, TemplateError> {
    let mut parser = Parser { lexemes, next: 0, depth: 0 };
    let (nodes, end) = parser.nodes()?;
    match end {
        Stop::Input => Ok(nodes),
        Stop::Else | Stop::ElseIf | Stop::ElseWith => Err(parser.wrong("unexpected {{else}}")),
        Stop::End => Err(parser.wrong("unexpected {{end}}")),
    }
}

/// What ended a list of nodes.
#[derive(PartialEq)]
enum Stop {
    Input,
    Else,
    ElseIf,
    ElseWith,
    End,
}

struct Parser {
    lexemes: Vec<Lexeme>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.lexemes.get(self.next).map(|lexeme| &lexeme.token)
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.next += 1;
        token
    }

    fn wrong(&self, what: impl Into<String>) -> TemplateError {
        let lexeme = self.lexemes.get(self.next.saturating_sub(1)).or(self.lexemes.last());
        let at = lexeme.map_or(0, |lexeme| lexeme.at);
        TemplateError::syntax(at, what)
    }

    fn expect_close(&mut self) -> Result<(), TemplateError> {
        match self.take() {
            Some(Token::Close) => Ok(()),
            other => Err(self.wrong(format!("expected }}}}, found {}", describe(other.as_ref())))),
        }
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, TemplateError>) -> Result<T, TemplateError> {
        if self.depth >= DEPTH_MAX {
            return Err(self.wrong("nested too deeply"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn nodes(&mut self) -> Result<(Vec<Node>, Stop), TemplateError> {
        let mut nodes = Vec::new();
        loop {
            match self.take() {
                None => return Ok((nodes, Stop::Input)),
                Some(Token::Text(text)) => nodes.push(Node::Text(text)),
                Some(_open) => match self.peek() {
                    Some(Token::Word(word)) if word == "end" || word == "else" => return Ok((nodes, self.end()?)),
                    _ => nodes.push(self.action()?),
                },
            }
        }
    }

    fn end(&mut self) -> Result<Stop, TemplateError> {
        if self.take() == Some(Token::Word("end".to_owned())) {
            self.expect_close()?;
            return Ok(Stop::End);
        }
        match self.peek() {
            Some(Token::Word(word)) if word == "if" => Ok(Stop::ElseIf),
            Some(Token::Word(word)) if word == "with" => Ok(Stop::ElseWith),
            _ => self.expect_close().map(|()| Stop::Else),
        }
    }

    fn action(&mut self) -> Result<Node, TemplateError> {
        let keyword = match self.peek() {
            Some(Token::Word(word)) => word.clone(),
            _ => String::new(),
        };
        match keyword.as_str() {
            "if" => self.deeper(Self::conditional),
            "with" => self.deeper(Self::with),
            "range" => self.deeper(Self::range),
            "define" | "template" | "block" | "break" | "continue" => {
                Err(self.wrong(format!("{{{{{keyword}}}}} is not offered here")))
            }
            _ => self.output(),
        }
    }

    fn output(&mut self) -> Result<Node, TemplateError> {
        if let (Some(Token::Variable(name, path)), Some(Token::Declare | Token::Assign)) =
            (self.peek().cloned(), self.lexemes.get(self.next + 1).map(|lexeme| &lexeme.token))
            && path.is_empty()
        {
            self.next += 2;
            let value = self.pipeline()?;
            self.expect_close()?;
            return Ok(Node::Set { name, value });
        }
        let pipeline = self.pipeline()?;
        self.expect_close()?;
        Ok(Node::Output(pipeline))
    }

    fn conditional(&mut self) -> Result<Node, TemplateError> {
        let (condition, then, otherwise) = self.branches()?;
        Ok(Node::If { condition, then, otherwise })
    }

    fn with(&mut self) -> Result<Node, TemplateError> {
        let (value, then, otherwise) = self.branches()?;
        Ok(Node::With { value, then, otherwise })
    }

    fn branches(&mut self) -> Result<(Pipeline, Vec<Node>, Vec<Node>), TemplateError> {
        self.next += 1;
        let pipeline = self.pipeline()?;
        self.expect_close()?;
        let (then, otherwise) = self.bodies()?;
        Ok((pipeline, then, otherwise))
    }

    /// The body up to `{{end}}` and what follows an `{{else}}` in it.
    fn bodies(&mut self) -> Result<(Vec<Node>, Vec<Node>), TemplateError> {
        let (then, end) = self.nodes()?;
        let otherwise = match end {
            Stop::End => Vec::new(),
            Stop::ElseIf => vec![self.deeper(Self::conditional)?],
            Stop::ElseWith => vec![self.deeper(Self::with)?],
            Stop::Else => match self.nodes()? {
                (otherwise, Stop::End) => otherwise,
                _ => return Err(self.wrong("expected {{end}}")),
            },
            Stop::Input => return Err(self.wrong("expected {{end}}")),
        };
        Ok((then, otherwise))
    }

    fn range(&mut self) -> Result<Node, TemplateError> {
        self.next += 1;
        let (index, item) = self.range_variables()?;
        let over = self.pipeline()?;
        self.expect_close()?;
        let (body, otherwise) = self.bodies()?;
        Ok(Node::Range { index, item, over, body, otherwise })
    }

    /// `$item :=` or `$index, $item :=`, when there.
    fn range_variables(&mut self) -> Result<(Option<String>, Option<String>), TemplateError> {
        let token = |n: usize| self.lexemes.get(self.next + n).map(|lexeme| &lexeme.token);
        match (token(0), token(1), token(2), token(3)) {
            (Some(Token::Variable(item, _)), Some(Token::Declare), ..) => {
                let item = item.clone();
                self.next += 2;
                Ok((None, Some(item)))
            }
            (
                Some(Token::Variable(index, _)),
                Some(Token::Comma),
                Some(Token::Variable(item, _)),
                Some(Token::Declare),
            ) => {
                let names = (Some(index.clone()), Some(item.clone()));
                self.next += 4;
                Ok(names)
            }
            (Some(Token::Variable(..)), Some(Token::Comma), ..) => Err(self.wrong("range wants $index, $item :=")),
            _ => Ok((None, None)),
        }
    }

    fn pipeline(&mut self) -> Result<Pipeline, TemplateError> {
        self.deeper(|parser| {
            let mut commands = vec![parser.command()?];
            while parser.peek() == Some(&Token::Pipe) {
                parser.next += 1;
                commands.push(parser.command()?);
            }
            match commands[1..].iter().any(|command| matches!(command, Command::Operand(_))) {
                true => Err(parser.wrong("only a function can stand after |")),
                false => Ok(Pipeline(commands)),
            }
        })
    }

    fn command(&mut self) -> Result<Command, TemplateError> {
        if let Some(Token::Word(word)) = self.peek().cloned()
            && !is_literal(&word)
        {
            self.next += 1;
            let Some(function) = functions::by_name(&word) else {
                return Err(self.wrong(format!("function {word:?} not defined{}", functions::nearest(&word))));
            };
            return Ok(Command::Call(function, self.operands()?));
        }
        match self.operand()? {
            None => Err(self.wrong("missing value")),
            Some(operand) => match self.operands()?.is_empty() {
                true => Ok(Command::Operand(operand)),
                false => Err(self.wrong("only a function can have arguments")),
            },
        }
    }

    fn operands(&mut self) -> Result<Vec<Operand>, TemplateError> {
        let mut operands = Vec::new();
        while let Some(operand) = self.operand()? {
            operands.push(operand);
        }
        Ok(operands)
    }

    fn operand(&mut self) -> Result<Option<Operand>, TemplateError> {
        let operand = match self.peek().cloned() {
            Some(Token::Field(path)) => Operand::Field(path),
            Some(Token::Variable(name, path)) => Operand::Variable(name, path),
            Some(Token::Quoted(text)) => Operand::Literal(Value::String(text)),
            Some(Token::Number(number)) => Operand::Literal(literal_number(&number)),
            Some(Token::Word(word)) if is_literal(&word) => Operand::Literal(literal_word(&word)),
            Some(Token::Word(word)) => match functions::by_name(&word) {
                Some(function) => Operand::Group(Pipeline(vec![Command::Call(function, Vec::new())]), Vec::new()),
                None => {
                    return Err(self.wrong(format!("function {word:?} not defined{}", functions::nearest(&word))));
                }
            },
            Some(Token::OpenParen) => return self.group().map(Some),
            _ => return Ok(None),
        };
        self.next += 1;
        Ok(Some(operand))
    }

    fn group(&mut self) -> Result<Operand, TemplateError> {
        self.next += 1;
        let pipeline = self.pipeline()?;
        match self.take() {
            Some(Token::CloseParen(path)) => Ok(Operand::Group(pipeline, path)),
            other => Err(self.wrong(format!("expected ), found {}", describe(other.as_ref())))),
        }
    }
}

fn is_literal(word: &str) -> bool {
    matches!(word, "true" | "false" | "nil")
}

fn literal_word(word: &str) -> Value {
    match word {
        "nil" => Value::Null,
        other => Value::Bool(other == "true"),
    }
}

fn literal_number(number: &str) -> Value {
    number.parse::<i64>().map(Value::from).or_else(|_| number.parse::<f64>().map(Value::from)).unwrap_or(Value::Null)
}

fn describe(token: Option<&Token>) -> String {
    match token {
        None => "the end".to_owned(),
        Some(Token::Word(word)) => format!("{word:?}"),
        Some(Token::Close) => "}}".to_owned(),
        Some(Token::Field(path)) => format!(".{}", path.join(".")),
        Some(other) => format!("{other:?}"),
    }
}
