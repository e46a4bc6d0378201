//! One stage of a pipeline, parsed.

use std::sync::Arc;

use super::bucket_auto::BucketAuto;
use super::facet::Facet;
use super::group::Group;
use super::lookup::Lookup;
use super::merge::Merge;
use super::redact::Redact;
use super::rows::{Held, Rows, Run};
use super::simple;
use super::union::Union;
use super::unwind::Unwind;
use crate::error::Result;
use crate::expression::Expression;
use crate::filter::Filter;
use crate::projection::Projection;
use crate::sort::SortPattern;

/// What a stage does.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// `$match`.
    Match(Filter),
    /// `$project`, `$addFields`, `$set`, `$unset`.
    Project(Arc<Projection>),
    /// `$replaceRoot`, `$replaceWith`.
    ReplaceRoot(Arc<Expression>),
    /// `$unwind`.
    Unwind(Arc<Unwind>),
    /// `$sort`.
    Sort(Arc<SortPattern>),
    /// `$limit`.
    Limit(u64),
    /// `$skip`.
    Skip(u64),
    /// `$group`, and what `$bucket` and `$sortByCount` are made of.
    Group(Arc<Group>),
    /// `$count`.
    Count(Box<[u8]>),
    /// `$bucketAuto`.
    BucketAuto(Arc<BucketAuto>),
    /// `$lookup`.
    Lookup(Arc<Lookup>),
    /// `$unionWith`.
    Union(Arc<Union>),
    /// `$facet`.
    Facet(Arc<Facet>),
    /// `$sample`.
    Sample(u64),
    /// `$redact`.
    Redact(Arc<Redact>),
    /// `$documents`: nothing comes before it.
    Documents(Arc<Expression>),
    /// `$out` and `$merge`: nothing comes after them.
    Merge(Arc<Merge>),
}

impl Stage {
    /// The stage at work on `input`; `next` are the stages after it, of which a sort
    /// asks how many documents they want.
    pub(super) fn open(
        &self,
        input: Box<dyn Rows>,
        next: &[Self],
        run: &Run,
    ) -> Result<Box<dyn Rows>> {
        Ok(match self {
            Self::Match(filter) => {
                let filter = filter.with_variables(run.surroundings.variables());
                Box::new(simple::Matching { input, filter })
            }
            Self::Project(projection) => {
                Box::new(simple::Projecting::new(input, Arc::clone(projection)))
            }
            Self::ReplaceRoot(expression) => {
                Box::new(simple::Replacing::new(input, Arc::clone(expression)))
            }
            Self::Unwind(unwind) => Box::new(unwind.open(input)),
            Self::Sort(pattern) => {
                let limit = wanted(next);
                Box::new(simple::Sorting::new(input, Arc::clone(pattern), limit))
            }
            Self::Limit(limit) => Box::new(simple::Limiting {
                input,
                left: *limit,
            }),
            Self::Skip(skip) => Box::new(simple::Skipping { input, left: *skip }),
            Self::Group(group) => Box::new(group.open(input)),
            Self::Count(name) => Box::new(simple::Counting::new(input, name.clone())),
            Self::BucketAuto(buckets) => Box::new(buckets.open(input)),
            Self::Lookup(lookup) => Box::new(lookup.open(input)),
            Self::Union(union) => Box::new(union.open(input)),
            Self::Facet(facet) => Box::new(facet.open(input)),
            Self::Sample(size) => Box::new(simple::Sampling::new(input, *size)),
            Self::Redact(redact) => Box::new(redact.open(input)),
            Self::Documents(expression) => Box::new(Held::new(simple::documents(expression, run)?)),
            Self::Merge(merge) => Box::new(merge.open(input)),
        })
    }
}

/// How many documents the stages ask for.
pub(super) fn wanted(stages: &[Stage]) -> Option<u64> {
    let mut skipped = 0_u64;
    for stage in stages {
        match stage {
            Stage::Skip(skip) => skipped = skipped.saturating_add(*skip),
            Stage::Limit(limit) => return Some(skipped.saturating_add(*limit)),
            _ => return None,
        }
    }
    None
}
