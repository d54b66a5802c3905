//! Environment variables and labels.

use std::path::Path;

/// `NAME=VALUE`, or `NAME` for the caller's value; a name that is unset here stays bare, which takes the image's value
/// away, as with Docker.
pub fn env(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some(("", _)) => Err(format!("invalid environment variable {text:?}: the name is empty")),
        Some(_) => Ok(text.to_owned()),
        None => Ok(std::env::var(text).map_or_else(|_| text.to_owned(), |value| format!("{text}={value}"))),
    }
}

/// A file of `NAME=VALUE` lines, `#` comments and empty lines. A bare name that is unset here says nothing.
pub fn env_file(path: &Path) -> Result<Vec<String>, String> {
    let mut variables = Vec::new();
    for line in &lines(path)? {
        let name = line.split('=').next().unwrap_or_default();
        if name.contains(char::is_whitespace) {
            return Err(format!("{}: variable {name:?} contains white space", path.display()));
        }
        let variable = env(line).map_err(|error| format!("{}: {error}", path.display()))?;
        variables.extend(Some(variable).filter(|variable| variable.contains('=')));
    }
    Ok(variables)
}

/// `KEY=VALUE`, or `KEY` with an empty value, as labels, annotations and sysctls are written.
pub fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    match key.is_empty() {
        true => Err(format!("invalid pair {text:?}: use KEY=VALUE")),
        false => Ok((key.to_owned(), value.to_owned())),
    }
}

/// A file of `KEY=VALUE` lines (`--label-file`).
pub fn pairs_file(path: &Path) -> Result<Vec<(String, String)>, String> {
    lines(path)?.iter().map(|line| pair(line)).collect()
}

/// The lines of a file without comments, empty ones and a byte order mark.
fn lines(path: &Path) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("read {}: {error}", path.display()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment() {
        for text in ["A=b=c", "A=", "STOCKADE_UNSET_VARIABLE"] {
            assert_eq!(env(text), Ok(text.to_owned()));
        }
        assert!(env("PATH").unwrap().starts_with("PATH="));
        assert!(env("=x").is_err());
    }

    #[test]
    fn pairs() {
        let expected = |a: &str, b: &str| Ok((a.to_owned(), b.to_owned()));
        assert_eq!(pair("a=b=c"), expected("a", "b=c"));
        assert_eq!(pair("a"), expected("a", ""));
        assert!(pair("=b").is_err());
    }

    #[test]
    fn files() {
        let path = std::env::temp_dir().join(format!("stockade-env-{}", std::process::id()));
        std::fs::write(&path, "\u{feff}# note\n\nA=1\n  B=x y\nSTOCKADE_UNSET_VARIABLE\n").unwrap();
        assert_eq!(env_file(&path), Ok(vec!["A=1".to_owned(), "B=x y".to_owned()]));
        std::fs::write(&path, "BAD NAME=1\n").unwrap();
        assert!(env_file(&path).unwrap_err().contains("white space"));
        std::fs::remove_file(&path).unwrap();
        assert!(env_file(&path).unwrap_err().contains("No such file"));
    }
}
