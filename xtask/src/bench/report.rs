//! A benchmark's outcome: rows, ratios against goals, and the machine.

use std::fs;
use std::path::Path;
use std::thread::available_parallelism;

use anyhow::{Context, Result};
use serde::Serialize;

use super::markdown;
use super::measure::{Contender, Summary};

/// The outcome of one benchmark.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What was measured, in a sentence.
    pub title: String,
    /// The unit of all rows.
    pub unit: &'static str,
    /// One per contender and quantity.
    pub rows: Vec<Row>,
    /// Ours to a peer's, or ours to an absolute goal.
    pub ratios: Vec<Ratio>,
    /// Where it ran.
    pub machine: Machine,
    /// Rows are named `who: what`, and shown as a table of both.
    #[serde(skip)]
    pub is_side_by_side: bool,
}

/// One measured quantity.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Whose, and of what.
    pub name: String,
    /// Its values.
    #[serde(flatten)]
    pub summary: Summary,
}

/// A comparison and its goal.
#[derive(Debug, Serialize)]
pub struct Ratio {
    /// What is compared.
    pub name: String,
    /// Ours divided by theirs.
    pub value: f64,
    /// The most it should be.
    pub goal: Option<f64>,
}

/// Facts without which a number says little.
#[derive(Debug, Serialize)]
pub struct Machine {
    cpus: usize,
    cpu_model: String,
    kernel: String,
    /// Average number of runnable processes over the last minute, this benchmark included.
    load: String,
}

impl Report {
    /// A report on contenders that were measured together.
    pub fn new(title: &str, unit: &'static str, contenders: &[Contender], summaries: Vec<Summary>) -> Self {
        let rows =
            contenders.iter().zip(summaries).map(|(contender, summary)| Row { name: contender.name.into(), summary });
        Self::of_rows(title, unit, rows.collect())
    }

    /// A report on rows.
    pub fn of_rows(title: &str, unit: &'static str, rows: Vec<Row>) -> Self {
        Self {
            title: title.to_owned(),
            unit,
            rows,
            ratios: Vec::new(),
            machine: Machine::here(),
            is_side_by_side: false,
        }
    }

    /// Rows are named `who: what`, and shown with one column for each who.
    pub fn side_by_side(self) -> Self {
        Self { is_side_by_side: true, ..self }
    }

    /// Adds the ratio of two rows' medians.
    pub fn compare(mut self, ours: &str, theirs: &str, goal: Option<f64>) -> Self {
        let value = self.median(ours) / self.median(theirs);
        self.ratios.push(Ratio { name: format!("{ours} / {theirs}"), value, goal });
        self
    }

    /// Adds the ratio of a row's median to an absolute goal.
    pub fn limit(mut self, ours: &str, goal: f64) -> Self {
        let (name, value) = (format!("{ours} / {goal} {}", self.unit), self.median(ours) / goal);
        self.ratios.push(Ratio { name, value, goal: Some(1.0) });
        self
    }

    /// A benchmark that compares what it did not measure is wrong, and would pass unnoticed without its ratio.
    fn median(&self, name: &str) -> f64 {
        self.median_of(name).unwrap_or_else(|| panic!("the report has no row {name:?}"))
    }

    /// The median of a row, if there is one of this name.
    pub fn median_of(&self, name: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.name == name).map(|row| row.summary.median)
    }

    /// Prints the table.
    pub fn print(&self, name: &str) {
        if self.is_side_by_side {
            return println!("\n{}", markdown::of(name, self));
        }
        println!("\n{name}: {} ({})", self.title, self.unit);
        println!("  {:40} {:>10} {:>10} {:>10} {:>10} {:>4}", "", "median", "lower q.", "upper q.", "min", "n");
        for Row { name, summary: Summary { median, lower_quartile, upper_quartile, min, count } } in &self.rows {
            println!("  {name:40} {median:>10.2} {lower_quartile:>10.2} {upper_quartile:>10.2} {min:>10.2} {count:>4}");
        }
        for ratio in &self.ratios {
            let Ratio { name, value, goal } = ratio;
            let goal = goal.map_or(String::new(), |goal| format!("goal {goal:.2}: "));
            println!("  {name:40} {value:>10.2}  {goal}{}", ratio.verdict());
        }
    }

    /// Writes DIR/NAME.json and DIR/NAME.md.
    pub fn save(&self, name: &str, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir)?;
        fs::write(dir.join(format!("{name}.md")), markdown::of(name, self))?;
        let path = dir.join(format!("{name}.json"));
        fs::write(&path, serde_json::to_vec_pretty(self)?).with_context(|| format!("write {}", path.display()))
    }
}

impl Ratio {
    /// In a word; empty without a goal.
    pub fn verdict(&self) -> &'static str {
        match self.goal {
            None => "",
            Some(goal) if self.value <= goal => "met",
            Some(_) => "missed",
        }
    }
}

impl Row {
    /// A quantity that was measured once.
    pub fn single(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), summary: Summary::of(vec![value]) }
    }
}

impl Machine {
    fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let model =
            read("/proc/cpuinfo").lines().find_map(|line| line.strip_prefix("model name\t: ").map(str::to_owned));
        Self {
            cpus: available_parallelism().map_or(0, usize::from),
            cpu_model: model.unwrap_or_default(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}
