//! Stages in another order, with the same results: what reads less comes first.
//!
//! * A `$match` goes before `$project`, `$addFields`, `$set`, `$unset`, `$unwind` and
//!   `$lookup` that leave alone what it asks for, and so may reach the query that feeds
//!   the pipeline.
//! * A `$match` goes before a `$sort`.
//! * A `$skip` goes before stages that make one document of each.
//!
//! This is also what MongoDB does, so that the same documents are computed, and the same
//! errors come up.

use super::stage::Stage;

/// The stages, reordered.
pub(super) fn optimise(mut stages: Vec<Stage>) -> Vec<Stage> {
    // Each swap takes a stage one place to the front: so many are enough.
    for end in 1..stages.len() {
        let mut at = end;
        while at > 0 && may_swap(stages.get(at - 1), stages.get(at)) {
            stages.swap(at - 1, at);
            at -= 1;
        }
    }
    stages
}

fn may_swap(first: Option<&Stage>, second: Option<&Stage>) -> bool {
    match (first, second) {
        (Some(Stage::Project(projection)), Some(Stage::Match(filter))) => {
            let names = filter.first_names();
            !filter.has_expression() && names.iter().all(|name| projection.leaves_alone(name))
        }
        (Some(Stage::Unwind(unwind)), Some(Stage::Match(filter))) => {
            !filter.has_expression()
                && filter
                    .first_names()
                    .iter()
                    .all(|name| unwind.leaves_alone(name))
        }
        (Some(Stage::Lookup(lookup)), Some(Stage::Match(filter))) => {
            !filter.has_expression()
                && filter
                    .first_names()
                    .iter()
                    .all(|name| lookup.leaves_alone(name))
        }
        (Some(Stage::Sort(_)), Some(Stage::Match(_)))
        | (Some(Stage::Project(_) | Stage::ReplaceRoot(_)), Some(Stage::Skip(_))) => true,
        _ => false,
    }
}
