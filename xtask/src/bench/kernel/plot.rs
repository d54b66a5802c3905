//! A picture of how far goals are met or missed: one bar for each, on a logarithmic scale.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Result;

use super::super::report::{Ratio, Report};

const WIDTH: f64 = 960.0;
const ROW: f64 = 18.0;
const TOP: f64 = 40.0;
const LABELS: f64 = 400.0;
/// What the scale spans: a hundredth of the goal to ten times.
const DECADES: (f64, f64) = (-2.0, 1.0);

/// Writes DIR/performance-kernel.svg, if any of these reports on class `kernel` has goals.
pub fn save(reports: &[(&str, Report)], dir: &Path) -> Result<()> {
    let ours = reports.iter().filter(|(name, _)| name.starts_with("kernel-"));
    let bars: Vec<(String, f64)> = ours.flat_map(|(name, report)| bars(name, &report.ratios)).collect();
    if !bars.is_empty() {
        fs::write(dir.join("performance-kernel.svg"), draw(&bars))?;
    }
    Ok(())
}

/// Names, and values as parts of their goals.
fn bars(report: &str, ratios: &[Ratio]) -> Vec<(String, f64)> {
    let bar = |ratio: &Ratio| Some((format!("{report}: {}", ratio.name), ratio.value / ratio.goal?));
    ratios.iter().filter_map(bar).collect()
}

fn draw(bars: &[(String, f64)]) -> String {
    let bottom = bars.iter().fold(TOP, |y, _| y + ROW);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        bottom + ROW
    );
    text(&mut svg, 8.0, 18.0, "Class kernel: measured / goal (left of 1 is met), logarithmic");
    for (value, label) in [(0.01, "0.01"), (0.1, "0.1"), (1.0, "1"), (10.0, "10")] {
        let (x, colour) = (place(value), if label == "1" { "black" } else { "#ccc" });
        line(&mut svg, x, bottom, colour);
        text(&mut svg, x + 2.0, TOP - 6.0, label);
    }
    let mut y = TOP;
    for (name, value) in bars {
        let (from, to) = (place(value.min(1.0)), place(value.max(1.0)));
        let colour = if *value <= 1.0 { "#2a7" } else { "#c33" };
        text(&mut svg, 8.0, y + 13.0, name);
        rectangle(&mut svg, (from, y + 3.0), to - from, colour);
        text(&mut svg, to + 4.0, y + 13.0, &format!("{value:.2}"));
        y += ROW;
    }
    svg + "</svg>\n"
}

/// Where a value lies on the scale.
fn place(value: f64) -> f64 {
    let (first, last) = DECADES;
    let decade = value.max(f64::MIN_POSITIVE).log10().clamp(first, last);
    LABELS + (decade - first) / (last - first) * (WIDTH - LABELS - 60.0)
}

fn text(svg: &mut String, x: f64, y: f64, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>").expect("write to memory");
}

fn line(svg: &mut String, x: f64, bottom: f64, colour: &str) {
    let ends = format!("x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\"");
    writeln!(svg, "<line {ends} stroke=\"{colour}\"/>").expect("write to memory");
}

fn rectangle(svg: &mut String, (x, y): (f64, f64), width: f64, colour: &str) {
    let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"12\"", width.max(1.0));
    writeln!(svg, "<rect {place} fill=\"{colour}\"/>").expect("write to memory");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_end_at_the_goal() {
        let ratio = |value, goal| Ratio { name: "a < b".to_owned(), value, goal };
        let bars = bars("calls", &[ratio(1.0, Some(2.0)), ratio(9.0, None), ratio(4.0, Some(2.0))]);
        assert_eq!(bars.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [0.5, 2.0]);
        let svg = draw(&bars);
        assert!(svg.contains("calls: a &lt; b") && svg.contains("#2a7") && svg.contains("#c33"), "{svg}");
        assert!(place(1.0) > place(0.5) && place(1e-9) == LABELS);
    }
}
