//! Reports as docs/performance.md shows them.

use std::fmt::Write;

use super::measure::Summary;
use super::report::{Report, Row};

/// A report's tables.
pub fn of(name: &str, report: &Report) -> String {
    let mut text = format!("### `{name}`: {}\n\n", report.title);
    if report.is_side_by_side {
        side_by_side(&mut text, report)
    } else {
        one_below_another(&mut text, report)
    }
    ratios(&mut text, report);
    text
}

fn one_below_another(text: &mut String, report: &Report) {
    line(text, &[report.unit, "median", "quartiles", "least", "n"].map(str::to_owned));
    rule(text, 5);
    for Row { name, summary } in &report.rows {
        let Summary { median, lower_quartile, upper_quartile, min, count } = summary;
        let quartiles = format!("{lower_quartile:.2} – {upper_quartile:.2}");
        line(text, &[name.clone(), format!("{median:.2}"), quartiles, format!("{min:.2}"), count.to_string()]);
    }
}

/// Rows are named `who: what`: one column for each who, one line for each what.
fn side_by_side(text: &mut String, report: &Report) {
    let split = |row: &Row| row.name.split_once(": ").map(|(who, what)| (who.to_owned(), what.to_owned()));
    let names: Vec<(String, String)> = report.rows.iter().filter_map(split).collect();
    let (mut columns, mut lines): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for (who, what) in &names {
        if !columns.contains(&who.as_str()) {
            columns.push(who);
        }
        if !lines.contains(&what.as_str()) {
            lines.push(what);
        }
    }
    let head: Vec<String> = std::iter::once(report.unit).chain(columns.iter().copied()).map(str::to_owned).collect();
    line(text, &head);
    rule(text, head.len());
    for what in lines {
        let cell = |who: &&str| report.median_of(&format!("{who}: {what}")).map_or(String::new(), short);
        let cells = std::iter::once(what.to_owned()).chain(columns.iter().map(cell));
        line(text, &cells.collect::<Vec<_>>());
    }
}

fn ratios(text: &mut String, report: &Report) {
    if report.ratios.is_empty() {
        return;
    }
    text.push('\n');
    line(text, &["ratio", "", "goal", ""].map(str::to_owned));
    rule(text, 4);
    for ratio in &report.ratios {
        let goal = ratio.goal.map_or(String::new(), |goal| format!("≤ {}", short(goal)));
        line(text, &[ratio.name.clone(), format!("**{}**", short(ratio.value)), goal, ratio.verdict().to_owned()]);
    }
}

/// Three digits that matter.
fn short(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0..100.0 => format!("{value:.1}"),
        1.0..10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn line(text: &mut String, cells: &[String]) {
    writeln!(text, "| {} |", cells.join(" | ")).expect("write to memory");
}

fn rule(text: &mut String, columns: usize) {
    writeln!(text, "|{}", "---|".repeat(columns)).expect("write to memory");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contenders_stand_side_by_side() {
        let row = |name: &str, value| Row::single(name, value);
        let rows = vec![row("native: stat", 0.5), row("kernel: stat", 4.0), row("native: two words", 123.4)];
        let report = Report::of_rows("calls", "µs", rows).side_by_side().compare("kernel: stat", "native: stat", None);
        let text = of("kernel-calls", &report);
        assert!(text.contains("| µs | native | kernel |\n|---|---|---|\n| stat | 0.500 | 4.00 |\n"), "{text}");
        assert!(text.contains("| two words | 123 |  |\n"), "{text}");
        assert!(text.contains("| kernel: stat / native: stat | **8.00** |  |  |\n"), "{text}");
    }
}
