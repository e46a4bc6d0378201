//! Aggregation pipelines.
//!
//! A pipeline is parsed once into [stages](stage); run, it is a chain of iterators over
//! bytes, each pulling documents from the one before. A leading `$match`, `$sort`,
//! `$skip` and `$limit` become the query that feeds it.
//!
//! ## Invariants
//! * All collections that a pipeline reads are read in one state of the database.
//! * A stage holds one document, or up to its budget (half of what the operation may
//!   hold, 100 MiB at most); `$sort`, `$group` and `$bucketAuto` go on on disk beyond it,
//!   any other ends with an error.
//! * What no stage has asked for is not computed: after a `$limit` nothing is read.
//!
//! Reading order: `parse`, `stage`, `rows` (how documents flow), `foreign` (collections),
//! `simple`, then one file for each larger stage; `accumulator` for what groups compute.

mod accumulator;
mod bucket;
mod bucket_auto;
mod facet;
mod foreign;
mod granularity;
mod group;
mod lookup;
mod merge;
mod optimise;
mod parse;
mod path;
mod redact;
mod rows;
mod simple;
mod stage;
mod union;
mod unwind;

pub(crate) use foreign::{Foreign, Scan};
pub(crate) use rows::{Rows, Run};

use bson::RawDocumentBuf;

use crate::error::Result;
use crate::expression::Scope;
use crate::index::Hint;
use crate::surroundings::Surroundings;
use parse::{Place, refused};
use rows::Held;
use stage::{Stage, wanted};

/// A pipeline that was parsed.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    stages: Vec<Stage>,
}

impl Pipeline {
    /// Of its documents, which may name the variables of `scope`.
    pub(crate) fn parse(
        stages: impl IntoIterator<Item = Result<RawDocumentBuf>>,
        scope: &Scope,
    ) -> Result<Self> {
        let documents = stages.into_iter().collect::<Result<Vec<_>>>()?;
        // What is malformed anywhere comes before what is constant and fails.
        parse::stages(
            documents.iter().cloned().map(Ok),
            &scope.clone().plain(),
            Place::TOP,
        )?;
        let stages = parse::stages(documents.into_iter().map(Ok), scope, Place::TOP)?;
        let stages = optimise::optimise(stages);
        Ok(Self { stages })
    }

    fn parse_in(stages: Vec<RawDocumentBuf>, scope: &Scope, place: Place) -> Result<Self> {
        let stages = parse::stages(stages.into_iter().map(Ok), scope, place)?;
        let stages = optimise::optimise(stages);
        Ok(Self { stages })
    }

    /// A pipeline that is an update: of stages that look at one document.
    pub(crate) fn parse_update(
        stages: impl IntoIterator<Item = Result<RawDocumentBuf>>,
    ) -> Result<Self> {
        // Constant parts fail where they are evaluated, if they are.
        let stages = parse::stages(stages, &Scope::new().plain(), Place::TOP)?;
        let pipeline = Self { stages };
        pipeline.check_update()?;
        Ok(pipeline)
    }

    /// Whether it may be an update.
    fn check_update(&self) -> Result<()> {
        for stage in &self.stages {
            if !matches!(stage, Stage::Project(_) | Stage::ReplaceRoot(_)) {
                let message = "an update by pipeline has only $addFields, $set, $project, \
                               $unset, $replaceRoot and $replaceWith";
                return Err(refused(72, message));
            }
        }
        Ok(())
    }

    /// What the pipeline, an update, makes of one document.
    pub(crate) fn update(&self, document: &[u8], surroundings: &Surroundings) -> Result<Vec<u8>> {
        let mut current = document.to_vec();
        for stage in &self.stages {
            current = match stage {
                Stage::Project(projection) => projection.apply_in(&current, None, surroundings)?,
                Stage::ReplaceRoot(expression) => {
                    let mut environment = surroundings.environment(&current);
                    let root = expression.evaluate(&mut environment)?;
                    simple::new_root(root.as_ref())?.to_vec()
                }
                _ => return Err(refused(72, "a stage that cannot be part of an update")),
            };
        }
        Ok(current)
    }

    /// Whether it begins with documents of its own.
    pub(crate) fn has_documents(&self) -> bool {
        matches!(self.stages.first(), Some(Stage::Documents(_)))
    }

    /// Whether it writes.
    pub(crate) fn writes(&self) -> bool {
        matches!(self.stages.last(), Some(Stage::Merge(_)))
    }

    /// At work on the documents of a collection, of which only those are read that the
    /// first stages want.
    pub(crate) fn open_on(&self, collection: Option<&str>, run: &Run) -> Result<Box<dyn Rows>> {
        self.open_by(collection, None, run)
    }

    /// The same, by this index.
    pub(crate) fn open_by(
        &self,
        collection: Option<&str>,
        hint: Option<Hint>,
        run: &Run,
    ) -> Result<Box<dyn Rows>> {
        let Some(collection) = collection.filter(|_| !self.has_documents()) else {
            return self.open_over(Box::new(Held::new(Vec::new())), run);
        };
        let mut scan = Scan {
            hint,
            ..Scan::default()
        };
        let mut stages = self.stages.as_slice();
        if let [Stage::Match(filter), rest @ ..] = stages {
            scan.filter = Some(filter.clone());
            stages = rest;
        }
        if let [Stage::Sort(pattern), rest @ ..] = stages {
            scan.sort = Some((**pattern).clone());
            scan.limit = wanted(rest);
            stages = rest;
        }
        // Skips and limits do their own counting; a query is only told how far to sort.
        let rows = run.foreign.scan(collection, &scan, run)?;
        Self::chain(stages, Box::new(rows), run)
    }

    /// At work on these documents.
    pub(crate) fn open_over(&self, input: Box<dyn Rows>, run: &Run) -> Result<Box<dyn Rows>> {
        Self::chain(&self.stages, input, run)
    }

    /// The documents of its own with which it begins.
    fn open_documents(&self, run: &Run) -> Result<Box<dyn Rows>> {
        let own = self.stages.iter().take(1).filter(|_| self.has_documents());
        let own: Vec<Stage> = own.cloned().collect();
        Self::chain(&own, Box::new(Held::new(Vec::new())), run)
    }

    /// At work on these documents, which stand for those of its own.
    fn open_behind_documents(&self, input: Box<dyn Rows>, run: &Run) -> Result<Box<dyn Rows>> {
        let skipped = usize::from(self.has_documents());
        Self::chain(self.stages.get(skipped..).unwrap_or_default(), input, run)
    }

    fn chain(mut stages: &[Stage], input: Box<dyn Rows>, run: &Run) -> Result<Box<dyn Rows>> {
        let mut rows = input;
        while let [stage, rest @ ..] = stages {
            rows = stage.open(rows, rest, run)?;
            stages = rest;
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests;
