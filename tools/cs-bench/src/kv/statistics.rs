//! Several turns put together: medians, and how engines compare.
//!
//! Invariants:
//! * A ratio above 1 is in favour of the engine that it is of, whatever is counted.
//! * A ratio is the median of those of single turns, so that what slows a whole
//!   turn down slows both sides of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::latency::Summary;

use super::measured::{Measured, Subject, Unit};

/// The figures of one engine for one subject, over all turns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) engine: String,
    #[serde(flatten)]
    pub(crate) subject: Subject,
    pub(crate) unit: Unit,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// One for each turn.
    pub(crate) values: Vec<f64>,
    /// Of the turn that is nearest to the median.
    pub(crate) latency_us: Option<Summary>,
    pub(crate) details: BTreeMap<String, f64>,
}

/// One engine against another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ratio {
    #[serde(flatten)]
    pub(crate) subject: Subject,
    /// Whose.
    pub(crate) of: String,
    /// Against whom.
    pub(crate) to: String,
    /// Above 1: `of` is better.
    pub(crate) ratio: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// `to` has the best median of all others.
    pub(crate) best: bool,
}

/// The middle of `values`, or the mean of the two that are nearest to it; 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.as_slice() {
        [] => 0.0,
        sorted if sorted.len() % 2 == 1 => sorted[middle],
        sorted => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

fn extremes(values: &[f64]) -> (f64, f64) {
    let fold = |of: fn(f64, f64) -> f64| values.iter().copied().reduce(of).unwrap_or(0.0);
    (fold(f64::min), fold(f64::max))
}

/// What is gathered turn by turn.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// In the order in which they came first.
    order: Vec<(String, Subject)>,
    turns: BTreeMap<(String, Subject), Vec<Measured>>,
}

impl Gathered {
    /// Adds the figures of an engine's turn.
    pub(crate) fn add(&mut self, engine: &str, figures: Vec<Measured>) {
        for figure in figures {
            let key = (engine.to_owned(), figure.subject.clone());
            if !self.turns.contains_key(&key) {
                self.order.push(key.clone());
            }
            self.turns.entry(key).or_default().push(figure);
        }
    }

    /// One row for each engine and subject.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let row = |key: &(String, Subject)| {
            let turns = self.turns.get(key)?;
            let values: Vec<f64> = turns.iter().map(|turn| turn.value).collect();
            let median = median(&values);
            let (min, max) = extremes(&values);
            let nearest = turns.iter().min_by(|one, two| {
                let distance = |turn: &Measured| (turn.value - median).abs();
                distance(one).total_cmp(&distance(two))
            })?;
            Some(Row {
                engine: key.0.clone(),
                subject: key.1.clone(),
                unit: nearest.unit,
                median,
                min,
                max,
                values,
                latency_us: nearest.latency_us,
                details: nearest.details.clone(),
            })
        };
        self.order.iter().filter_map(row).collect()
    }
}

/// Ratios of each engine that `is_ours` to each that is not.
pub(crate) fn ratios(rows: &[Row], is_ours: impl Fn(&str) -> bool) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    for ours in rows.iter().filter(|row| is_ours(&row.engine)) {
        let peers: Vec<&Row> = rows
            .iter()
            .filter(|row| row.subject == ours.subject && !is_ours(&row.engine))
            .collect();
        let best = peers.iter().copied().reduce(|best, row| {
            if row.unit.advantage(row.median, best.median) > 1.0 {
                row
            } else {
                best
            }
        });
        for peer in &peers {
            let turns: Vec<f64> = ours
                .values
                .iter()
                .zip(&peer.values)
                .map(|(one, two)| finite(ours.unit.advantage(*one, *two)))
                .collect();
            let (min, max) = extremes(&turns);
            ratios.push(Ratio {
                subject: ours.subject.clone(),
                of: ours.engine.clone(),
                to: peer.engine.clone(),
                ratio: median(&turns),
                min,
                max,
                best: best.is_some_and(|best| best.engine == peer.engine),
            });
        }
    }
    ratios
}

/// A quotient that JSON can hold: nothing divided by nothing is level.
pub(crate) fn finite(quotient: f64) -> f64 {
    if quotient.is_nan() {
        1.0
    } else {
        quotient.min(f64::MAX)
    }
}

/// What rows there are, each once, in their order.
pub(crate) fn subjects(rows: &[Row]) -> Vec<Subject> {
    let mut seen = BTreeSet::new();
    let subjects = rows.iter().map(|row| &row.subject);
    subjects
        .filter(|subject| seen.insert(*subject))
        .cloned()
        .collect()
}

/// Which engines there are, each once, in their order.
pub(crate) fn engines(rows: &[Row]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let engines = rows.iter().map(|row| &row.engine);
    engines
        .filter(|engine| seen.insert(*engine))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests;
