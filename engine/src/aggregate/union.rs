//! `$unionWith`: the documents of another collection after those that come.

use std::sync::Arc;

use super::Pipeline;
use super::parse::{Place, documents_of, refused};
use super::rows::{Rows, Run};
use crate::error::Result;
use crate::expression::Scope;
use crate::values::{Elements, Kind, RawValue};

/// The operand of `$unionWith`.
#[derive(Debug)]
pub(crate) struct Union {
    /// None where the pipeline has documents of its own.
    collection: Option<Box<str>>,
    pipeline: Pipeline,
}

/// A name in text.
pub(super) fn name_of(value: RawValue<'_>, what: &str, code: i32) -> Result<Box<str>> {
    let text = (value.kind() == Kind::String)
        .then(|| value.text())
        .flatten();
    let name = text.and_then(|text| std::str::from_utf8(text).ok());
    let message = || format!("{what} expects the name of a collection");
    name.map(Into::into).ok_or_else(|| refused(code, message()))
}

impl Union {
    pub(super) fn parse(operand: RawValue<'_>, scope: &Scope, place: Place) -> Result<Self> {
        let (mut collection, mut stages) = (None, Vec::new());
        match operand.kind() {
            Kind::String => collection = Some(name_of(operand, "$unionWith", 9)?),
            Kind::Document => {
                for field in Elements::new(operand.bytes()) {
                    match field.name {
                        b"coll" => collection = Some(name_of(field.value, "$unionWith", 14)?),
                        b"pipeline" => stages = documents_of(field.value, "$unionWith", 14)?,
                        other => {
                            let other = String::from_utf8_lossy(other);
                            let message = format!("$unionWith does not know '{other}'");
                            return Err(refused(40415, message));
                        }
                    }
                }
            }
            _ => return Err(refused(9, "$unionWith expects a name or a document")),
        }
        let pipeline = Pipeline::parse_in(stages, scope, place.inside("$unionWith"))?;
        if collection.is_none() && !pipeline.has_documents() {
            return Err(refused(9, "$unionWith expects 'coll'"));
        }
        Ok(Self {
            collection,
            pipeline,
        })
    }

    pub(super) fn open(self: &Arc<Self>, input: Box<dyn Rows>) -> Unioning {
        Unioning {
            union: Arc::clone(self),
            input: Some(input),
            other: None,
        }
    }
}

/// The stage at work.
pub(super) struct Unioning {
    union: Arc<Union>,
    input: Option<Box<dyn Rows>>,
    other: Option<Box<dyn Rows>>,
}

impl Rows for Unioning {
    fn next(&mut self, run: &Run, row: &mut Vec<u8>) -> Result<bool> {
        if let Some(input) = &mut self.input {
            if input.next(run, row)? {
                return Ok(true);
            }
            self.input = None;
            let name = self.union.collection.as_deref();
            self.other = Some(self.union.pipeline.open_on(name, run)?);
        }
        match &mut self.other {
            Some(other) => other.next(run, row),
            None => Ok(false),
        }
    }
}
