//! "Did you mean": the nearest of some known names.

/// The known name most like `name`, when one is like it at all.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let alike = |candidate: &str| strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase());
    known
        .into_iter()
        .map(|candidate| (alike(candidate), candidate))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["isolation", "root", "state"];
        assert_eq!(super::nearest("isolatoin", known), Some("isolation"));
        assert_eq!(super::nearest("Root", known), Some("root"));
        assert_eq!(super::nearest("zebra", known), None);
    }
}
