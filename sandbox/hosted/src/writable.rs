//! What annotations say of where a container's writes go.

use oci_spec::runtime::Spec;
use stockade_sandbox::{Error, Result};

const MEMORY: &str = "memory";

/// Where writes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writable {
    /// To memory.
    Memory,
    /// To a file of the host, which may hold so many bytes.
    File(u64),
}

impl Writable {
    /// What this annotation of the spec says: `memory`, or a size such as `20g`.
    pub fn of(spec: &Spec, annotation: &str) -> Result<Option<Self>> {
        let wanted = spec.annotations().as_ref().and_then(|annotations| annotations.get(annotation));
        wanted.map(|text| parse(text, annotation)).transpose()
    }
}

fn parse(text: &str, annotation: &str) -> Result<Writable> {
    match text {
        MEMORY => Ok(Writable::Memory),
        size => bytes(size).map(Writable::File).ok_or_else(|| {
            Error::InvalidConfig(format!(
                "annotation {annotation} is {size:?}: use `memory`, or a size such as 512m or 20g"
            ))
        }),
    }
}

/// `512m`, `20g`, `1t`.
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let shift = match unit.to_ascii_lowercase().as_str() {
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok().filter(|number| *number > 0)?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spec: &str, expected: Option<Writable>) {
        let spec: Spec = serde_json::from_str(&format!(r#"{{"ociVersion": "1.2.0", {spec}}}"#)).expect("a spec");
        assert_eq!(Writable::of(&spec, "writable").ok().flatten(), expected);
    }

    #[test]
    fn annotations_say_where_writes_go() {
        check(r#""annotations": {"other": "512m"}"#, None);
        check(r#""annotations": {"writable": "memory"}"#, Some(Writable::Memory));
        check(r#""annotations": {"writable": "512m"}"#, Some(Writable::File(512 << 20)));
        check(r#""annotations": {"writable": "2T"}"#, Some(Writable::File(2 << 40)));
        ["", "m", "10", "0g", "-1g", "99999999999t", "é"]
            .iter()
            .for_each(|text| assert_eq!(bytes(text), None, "{text}"));
    }

    #[test]
    fn what_is_no_size_is_refused_with_a_remedy() {
        let error = parse("lots", "writable").expect_err("no size").to_string();
        assert!(["writable", "\"lots\"", "`memory`", "20g"].iter().all(|part| error.contains(part)), "{error}");
    }
}
