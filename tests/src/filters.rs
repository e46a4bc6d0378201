//! The harness `filters`: the two forms of a filter, over anything.
//!
//! A case is a generated filter and some generated documents. Promised is that
//! the compiled form answers as the interpreter does, with the same errors; that a
//! query in a database, whose plan another filter of the same shape may have made, finds
//! what the interpreter accepts; and that the position for `$` is that of a match.
//!
//! Bugs are planted in the compiled form alone (`--mutants`).

mod generate;
#[cfg(test)]
mod tests;

use bson::RawDocumentBuf;
use clap::Parser;
use collection_store::filter::{Filter, FilterMode};
use collection_store::json::{Form, to_string};
use collection_store::{Collection, Database};
use cs_base::mutants::{Mutant, plant};
use oorandom::Rand64;

use crate::progress::Progress;
use crate::{Failure, Outcome, Verdict, panics};

/// Documents for each filter.
const DOCUMENTS: u64 = 20;
/// Of so many filters one is also asked of a database.
const QUERIED: u64 = 8;
/// Pairs within which a planted bug must be found.
const HUNT: u64 = 1_000_000;

/// Bugs that are found here.
pub const FOUND_HERE: [Mutant; 2] = [Mutant::CompareThroughDouble, Mutant::LastFieldCounts];

/// Arguments of `cs-torture filters`.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Pairs of a filter and a document.
    #[arg(long, default_value_t = 5_000)]
    pub pairs: u64,
    /// What all random choices come from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Only the filter of this number.
    #[arg(long)]
    pub filter: Option<u64>,
    /// Plants each bug, and passes if it is found.
    #[arg(long)]
    pub mutants: bool,
}

/// `cs-torture filters`.
#[must_use]
pub fn run(args: &Args) -> Outcome {
    eprintln!("filters: seed {}", args.seed);
    let mut outcome = Outcome::default();
    if args.mutants {
        for mutant in FOUND_HERE {
            let found = hunt(mutant, args.seed, args.pairs.max(HUNT));
            match &found {
                Some((pairs, failure)) => {
                    eprintln!("{mutant:?}: caught within {pairs} pairs: {failure}");
                }
                None => eprintln!("{mutant:?}: NOT caught"),
            }
            outcome.count(found.is_some());
        }
        return outcome;
    }
    let numbers = match args.filter {
        Some(number) => number..number + 1,
        None => 0..args.pairs.div_ceil(DOCUMENTS),
    };
    let progress = Progress::new("filters", (numbers.end - numbers.start) * DOCUMENTS);
    let place = Place::new();
    let mut refused = 0;
    for number in numbers {
        let verdict = panics::catch(|| one_filter(&place, args.seed, number));
        for _ in 0..DOCUMENTS {
            progress.count(verdict.is_ok());
            outcome.count(verdict.is_ok());
        }
        match verdict {
            Ok(Said::Answers) => {}
            Ok(Said::Refusal) => refused += 1,
            Err(failure) => progress.say(&format!(
                "filter {number}: {failure}\n  again with: cs-torture filters --seed {} --filter {number}",
                args.seed
            )),
        }
    }
    progress.finish();
    eprintln!("filters: {refused} were refused by both forms");
    outcome
}

/// Plants a bug and tries so many pairs: how many it took, and what was wrong
/// then. The bug is switched on for the whole process meanwhile.
#[must_use]
pub fn hunt(mutant: Mutant, seed: u64, pairs: u64) -> Option<(u64, Failure)> {
    let place = Place::new();
    plant(Some(mutant));
    let found = (0..pairs.div_ceil(DOCUMENTS)).find_map(|number| {
        let verdict = panics::catch(|| one_filter(&place, seed, number));
        verdict
            .err()
            .map(|failure| ((number + 1) * DOCUMENTS, failure))
    });
    plant(None);
    found
}

/// What became of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Answers,
    Refusal,
}

/// Where filters are asked of a database.
struct Place {
    collection: Option<Collection>,
}

impl Place {
    fn new() -> Self {
        let database = Database::open_in_memory().ok();
        Self {
            collection: database.map(|database| database.collection("documents")),
        }
    }
}

fn one_filter(place: &Place, seed: u64, number: u64) -> Verdict<Said> {
    let mut rng = Rand64::new(u128::from(seed) << 64 | u128::from(number));
    let source = generate::filter(&mut rng);
    let documents: Vec<_> = (0..DOCUMENTS)
        .map(|id| generate::document(&mut rng, id))
        .collect();
    let compiled = Filter::compile_with(&source, FilterMode::Compiled);
    let interpreted = Filter::compile_with(&source, FilterMode::Interpreted);
    let (compiled, interpreted) = match (compiled, interpreted) {
        (Ok(compiled), Ok(interpreted)) => (compiled, interpreted),
        (Err(left), Err(right)) if left.code() == right.code() => return Ok(Said::Refusal),
        (left, right) => {
            let message = format!("one form refuses {}: {left:?}, {right:?}", text(&source));
            return Err(Failure(message));
        }
    };
    let mut matching = Vec::new();
    for (id, document) in documents.iter().enumerate() {
        let answers = [&compiled, &interpreted]
            .map(|filter| filter.matches(document).map_err(|error| error.code()));
        let [answer, expected] = answers;
        if answer != expected {
            return Err(Failure(format!(
                "compiled {answer:?}, interpreted {expected:?}: {} on {}",
                text(&source),
                text(document)
            )));
        }
        let position = interpreted.matched_position(document);
        if matches!(position, Ok(Some(_))) && answer != Ok(true) {
            let message = format!("a position without a match: {}", text(&source));
            return Err(Failure(message));
        }
        if answer == Ok(true) {
            matching.push(i64::try_from(id).unwrap_or_default());
        }
        if answer.is_err() {
            // A query over all of them would end there.
            return Ok(Said::Answers);
        }
    }
    if number.is_multiple_of(QUERIED)
        && let Some(collection) = &place.collection
    {
        let found = queried(collection, &source, &documents);
        let found = found.map_err(|error| Failure(format!("{}: {error}", text(&source))))?;
        if found != matching {
            return Err(Failure(format!(
                "the query found {found:?}, the interpreter {matching:?}: {}",
                text(&source)
            )));
        }
    }
    Ok(Said::Answers)
}

/// The ids that a query finds.
fn queried(
    collection: &Collection,
    source: &RawDocumentBuf,
    documents: &[RawDocumentBuf],
) -> collection_store::Result<Vec<i64>> {
    collection.delete_many(bson::doc! {})?;
    collection.insert_many(documents.iter().cloned())?;
    let mut found = Vec::new();
    for document in collection.find(source).run()? {
        found.push(document?.get_i64("_id").unwrap_or(-1));
    }
    Ok(found)
}

fn text(document: &RawDocumentBuf) -> String {
    to_string(document, Form::Canonical).unwrap_or_else(|error| error.to_string())
}
