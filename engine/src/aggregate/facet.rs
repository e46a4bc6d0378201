//! `$facet`: several pipelines over the same documents, each an array of the one result.

use std::sync::Arc;

use super::Pipeline;
use super::parse::{Place, documents_of, refused};
use super::path::{check_depth, check_len};
use super::rows::{Held, Rows, Run};
use crate::error::Result;
use crate::expression::Scope;
use crate::sort::check_path;
use crate::values::{DocumentBuilder, Elements, Kind, PositionName, RawValue};

/// The operand of `$facet`.
#[derive(Debug)]
pub(crate) struct Facet {
    pipelines: Vec<(Box<[u8]>, Pipeline)>,
}

impl Facet {
    pub(super) fn parse(operand: RawValue<'_>, scope: &Scope, place: Place) -> Result<Self> {
        if operand.kind() != Kind::Document || operand.bytes().len() <= 5 {
            let message = "$facet expects a document with at least one pipeline";
            return Err(refused(40169, message));
        }
        let mut pipelines = Vec::new();
        for field in Elements::new(operand.bytes()) {
            check_path(field.name)?;
            if field.name.contains(&b'.') {
                let name = String::from_utf8_lossy(field.name);
                let message = format!("the name of a facet must not have dots: '{name}'");
                return Err(refused(16412, message));
            }
            let stages = documents_of(field.value, "$facet", 40170)?;
            let pipeline = Pipeline::parse_in(stages, scope, place.inside("$facet"))?;
            pipelines.push((field.name.into(), pipeline));
        }
        Ok(Self { pipelines })
    }

    pub(super) fn open(self: &Arc<Self>, input: Box<dyn Rows>) -> Faceting {
        Faceting {
            facet: Arc::clone(self),
            input: Some(input),
        }
    }
}

/// The stage at work.
pub(super) struct Faceting {
    facet: Arc<Facet>,
    input: Option<Box<dyn Rows>>,
}

impl Rows for Faceting {
    fn next(&mut self, run: &Run, row: &mut Vec<u8>) -> Result<bool> {
        let Some(mut input) = self.input.take() else {
            return Ok(false);
        };
        // All pipelines read all documents: they are held.
        let budget = run.watch.sort_budget();
        let (mut documents, mut held, mut document) = (Vec::new(), 0, Vec::new());
        while input.next(run, &mut document)? {
            run.watch.check()?;
            held += document.len() as u64;
            if held > budget {
                let message = format!("$facet would hold more than {budget} bytes");
                return Err(refused(4_031_700, message));
            }
            documents.push(std::mem::take(&mut document));
        }
        let mut out = DocumentBuilder::new();
        for (name, pipeline) in &self.facet.pipelines {
            let held = Box::new(Held::new(documents.clone()));
            let mut rows = pipeline.open_over(held, run)?;
            out.open_array(name);
            let mut position = 0;
            while rows.next(run, &mut document)? {
                let value = RawValue {
                    kind: Kind::Document,
                    bytes: &document,
                };
                out.append(PositionName::new(position).as_bytes(), value);
                check_len(out.len())?;
                position += 1;
            }
            out.close();
        }
        *row = check_depth(out.finish())?;
        Ok(true)
    }
}
