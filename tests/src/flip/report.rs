//! The table of a run, and a line for each failure with how to see it again.

use std::collections::BTreeMap;
use std::fmt;

use super::Args;
use super::look::{Judged, Verdict};
use super::mutation::{Case, Region};
use crate::Outcome;

/// Failures listed at most.
const MAX_LISTED: usize = 20;

/// How many cases of each region went which way.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: BTreeMap<(Region, Verdict), u64>,
    failures: Vec<String>,
    /// Of one case run alone.
    only: Option<String>,
    again: String,
}

impl Tally {
    pub(super) fn new(args: &Args) -> Self {
        let all = if args.all { " --all" } else { "" };
        let again = format!("cs-torture flip --seed {}{all}", args.seed);
        Self {
            again,
            ..Self::default()
        }
    }

    pub(super) fn note(&mut self, case: &Case, (verdict, why): Judged) {
        *self
            .counts
            .entry((case.mutation.region, verdict))
            .or_default() += 1;
        let line = format!(
            "case {}, {} database, {}: {verdict:?}: {why}",
            case.number, case.sample.name, case.mutation
        );
        if verdict.is_failure() && self.failures.len() < MAX_LISTED {
            self.failures.push(format!(
                "{line}\n  again: {} --case {}",
                self.again, case.number
            ));
        }
        self.only = Some(line);
    }

    /// How many cases there were.
    #[must_use]
    pub fn cases(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How many cases went this way.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> u64 {
        self.counts
            .iter()
            .filter(|((_, other), _)| *other == verdict)
            .map(|(_, count)| count)
            .sum()
    }

    /// How many cases of a region went this way.
    #[must_use]
    pub fn count_in(&self, region: Region, verdict: Verdict) -> u64 {
        self.counts.get(&(region, verdict)).copied().unwrap_or(0)
    }

    /// What failed, one line each, the first few.
    #[must_use]
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Cases as promised, and others.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let is_failure = |(_, verdict): &(Region, Verdict)| verdict.is_failure();
        let failed = self
            .counts
            .iter()
            .filter(|(key, _)| is_failure(key))
            .map(|(_, count)| count);
        let failed = failed.sum();
        Outcome {
            passed: self.cases() - failed,
            failed,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (1, Some(only)) = (self.cases(), &self.only) {
            return writeln!(f, "{only}");
        }
        write!(f, "{:12}", "")?;
        for verdict in Verdict::ALL {
            write!(f, "{:>11}", format!("{verdict:?}").to_lowercase())?;
        }
        writeln!(f)?;
        for region in Region::ALL {
            write!(f, "{:12}", region.to_string())?;
            for verdict in Verdict::ALL {
                write!(f, "{:>11}", self.count_in(region, verdict))?;
            }
            writeln!(f)?;
        }
        for failure in &self.failures {
            writeln!(f, "{failure}")?;
        }
        Ok(())
    }
}
