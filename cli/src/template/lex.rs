//! Text to tokens.

use super::TemplateError;

/// One lexical element and where it starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Lexeme {
    pub at: usize,
    pub token: Token,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// Literal text between actions.
    Text(String),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// `.` alone (empty) or `.A.B`.
    Field(Vec<String>),
    /// `$`, `$name`, with the fields that follow without a space.
    Variable(String, Vec<String>),
    /// A function or keyword.
    Word(String),
    /// A quoted string, unquoted.
    Quoted(String),
    /// A number as written.
    Number(String),
    /// `|`
    Pipe,
    /// `(`
    OpenParen,
    /// `)` with the fields that follow without a space.
    CloseParen(Vec<String>),
    /// `:=`
    Declare,
    /// `=`
    Assign,
    /// `,`
    Comma,
}

pub fn lex(text: &str) -> Result<Vec<Lexeme>, TemplateError> {
    let mut lexer = Lexer { text, at: 0, out: Vec::new() };
    while lexer.at < text.len() {
        lexer.text_until_action();
        if lexer.at < text.len() {
            lexer.action()?;
        }
    }
    Ok(lexer.out)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    out: Vec<Lexeme>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn push(&mut self, at: usize, token: Token) {
        self.out.push(Lexeme { at, token });
    }

    fn text_until_action(&mut self) {
        let end = self.rest().find("{{").unwrap_or(self.rest().len());
        let (start, text) = (self.at, &self.rest()[..end]);
        self.at += end;
        let trims = self.rest().strip_prefix("{{-").is_some_and(|after| after.starts_with(char::is_whitespace));
        let text = if trims { text.trim_end() } else { text };
        if !text.is_empty() {
            self.push(start, Token::Text(text.to_owned()));
        }
    }

    fn action(&mut self) -> Result<(), TemplateError> {
        let open = self.at;
        self.at += 2;
        if self.rest().starts_with('-') && self.rest()[1..].starts_with(char::is_whitespace) {
            self.at += 1;
        }
        if self.rest().trim_start().starts_with("/*") {
            return self.comment(open);
        }
        self.push(open, Token::Open);
        while !self.close()? {
            self.token()?;
        }
        Ok(())
    }

    fn comment(&mut self, open: usize) -> Result<(), TemplateError> {
        let end = self.rest().find("*/").ok_or_else(|| TemplateError::syntax(open, "unclosed comment"))?;
        self.at += end + 2;
        if self.close_marker() {
            return Ok(());
        }
        Err(TemplateError::syntax(self.at, "comment ends before closing delimiter"))
    }

    fn close(&mut self) -> Result<bool, TemplateError> {
        let at = self.at;
        if self.close_marker() {
            self.push(at, Token::Close);
            return Ok(true);
        }
        self.at += self.rest().len() - self.rest().trim_start().len();
        if self.rest().is_empty() {
            return Err(TemplateError::syntax(at, "unclosed action: expected }}"));
        }
        Ok(false)
    }

    /// Consumes `}}` or ` -}}` with the white space around that it owns.
    fn close_marker(&mut self) -> bool {
        let rest = self.rest();
        let trimmed = rest.trim_start();
        let skipped = rest.len() - trimmed.len();
        if trimmed.starts_with("}}") {
            self.at += skipped + 2;
            return true;
        }
        if skipped > 0 && trimmed.starts_with("-}}") {
            self.at += skipped + 3;
            let after = self.rest();
            self.at += after.len() - after.trim_start().len();
            return true;
        }
        false
    }

    fn token(&mut self) -> Result<(), TemplateError> {
        let at = self.at;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(()) };
        let token = match first {
            '|' => self.one(Token::Pipe),
            ',' => self.one(Token::Comma),
            '(' => self.one(Token::OpenParen),
            ')' => {
                self.at += 1;
                Token::CloseParen(self.fields())
            }
            ':' if rest.starts_with(":=") => {
                self.at += 2;
                Token::Declare
            }
            '=' => self.one(Token::Assign),
            '.' => self.dot(),
            '$' => {
                self.at += 1;
                let name = self.word();
                Token::Variable(name, self.fields())
            }
            '"' | '`' => self.quoted(first)?,
            c if c.is_ascii_digit() || c == '-' || c == '+' => self.number()?,
            c if c.is_alphabetic() || c == '_' => Token::Word(self.word()),
            c => return Err(TemplateError::syntax(at, format!("unexpected {c:?}"))),
        };
        self.push(at, token);
        Ok(())
    }

    fn one(&mut self, token: Token) -> Token {
        self.at += 1;
        token
    }

    fn dot(&mut self) -> Token {
        let fields = self.fields();
        if fields.is_empty() {
            self.at += 1;
        }
        Token::Field(fields)
    }

    fn word(&mut self) -> String {
        let end = self.rest().find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest().len());
        let word = self.rest()[..end].to_owned();
        self.at += end;
        word
    }

    /// `.A.B` without spaces; leaves a lone dot alone.
    fn fields(&mut self) -> Vec<String> {
        let mut fields = Vec::new();
        while self.rest().starts_with('.') {
            self.at += 1;
            let field = self.word();
            if field.is_empty() {
                self.at -= 1;
                break;
            }
            fields.push(field);
        }
        fields
    }

    fn quoted(&mut self, quote: char) -> Result<Token, TemplateError> {
        let start = self.at;
        let unclosed = || TemplateError::syntax(start, "unterminated quoted string");
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        loop {
            let (offset, c) = chars.next().ok_or_else(unclosed)?;
            if c == quote {
                self.at += offset + 1;
                return Ok(Token::Quoted(text));
            }
            if c == '\\' && quote == '"' {
                text.push(unescaped(chars.next().ok_or_else(unclosed)?.1));
            } else {
                text.push(c);
            }
        }
    }

    fn number(&mut self) -> Result<Token, TemplateError> {
        let rest = self.rest();
        let end = rest[1..].find(|c: char| !c.is_ascii_alphanumeric() && c != '.').map_or(rest.len(), |n| n + 1);
        let number = rest[..end].trim_start_matches('+').to_owned();
        if number.parse::<f64>().is_err() {
            return Err(TemplateError::syntax(self.at, format!("bad number {number:?}")));
        }
        self.at += end;
        Ok(Token::Number(number))
    }
}

fn unescaped(c: char) -> char {
    match c {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        other => other,
    }
}
