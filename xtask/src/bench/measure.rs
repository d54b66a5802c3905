//! Repetition and summary.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

/// One thing to measure, by name.
pub struct Contender<'a> {
    /// The name in the table.
    pub name: &'static str,
    /// Does it once and says what it cost, in the benchmark's unit.
    pub once: Box<dyn FnMut() -> Result<f64> + 'a>,
}

/// What repeated measurements amount to.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Summary {
    /// The middle value: what ratios are made of.
    pub median: f64,
    /// A quarter of the values lie below.
    pub lower_quartile: f64,
    /// A quarter of the values lie above.
    pub upper_quartile: f64,
    /// The least value: what a quiet machine would show.
    pub min: f64,
    /// How many values.
    pub count: usize,
}

impl Summary {
    /// Sums up at least one value.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |numerator: usize| values[(values.len() - 1) * numerator / 4];
        Self { median: at(2), lower_quartile: at(1), upper_quartile: at(3), min: values[0], count: values.len() }
    }
}

/// What a contender leaves to the host's kernel (a network namespace to take down, say) has ended by then.
const SETTLE: Duration = Duration::from_millis(50);

/// Measures all contenders in turn, `rounds` times after `warm_up` unrecorded rounds. Who goes first rotates, and every
/// other round goes backwards, so that nobody always comes after the same one.
pub fn interleave(warm_up: usize, rounds: usize, contenders: &mut [Contender]) -> Result<Vec<Summary>> {
    let mut values = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..warm_up + rounds {
        for turn in 0..contenders.len() {
            let turn = if round % 2 == 0 { turn } else { contenders.len() - turn };
            let index = (round + turn) % contenders.len();
            std::thread::sleep(SETTLE);
            let value = (contenders[index].once)()?;
            if round >= warm_up {
                values[index].push(value);
            }
        }
    }
    Ok(values.into_iter().map(Summary::of).collect())
}

/// How long `action` takes, in milliseconds.
pub fn milliseconds(action: impl FnOnce() -> Result<()>) -> Result<f64> {
    let begin = Instant::now();
    action()?;
    Ok(to_milliseconds(begin.elapsed()))
}

/// A duration in milliseconds.
pub fn to_milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_the_middle_and_the_quarters() {
        let summary = Summary::of(vec![5.0, 1.0, 3.0, 2.0, 4.0]);
        let Summary { median, lower_quartile, upper_quartile, min, count } = summary;
        assert_eq!((median, lower_quartile, upper_quartile, min, count), (3.0, 2.0, 4.0, 1.0, 5));
    }

    #[test]
    fn contenders_take_turns() {
        let order = &std::cell::RefCell::new(Vec::new());
        let contender = |name: &'static str, value: f64| Contender {
            name,
            once: Box::new(move || {
                order.borrow_mut().push(value);
                Ok(value)
            }),
        };
        let summaries = interleave(1, 2, &mut [contender("a", 1.0), contender("b", 2.0)]).expect("nothing fails");
        assert_eq!(summaries.iter().map(|summary| summary.median).collect::<Vec<_>>(), [1.0, 2.0]);
        assert_eq!(*order.borrow(), [1.0, 2.0, 2.0, 1.0, 1.0, 2.0]);
    }
}
