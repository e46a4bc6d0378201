//! The stages that look at one document at a time, and those that only count or sort.

use std::sync::Arc;

use super::path::check_len;
use super::rows::{Rows, Run};
use crate::error::{Error, Result};
use crate::expression::{Expression, Value};
use crate::filter::Filter;
use crate::projection::Projection;
use crate::sort::{SortPattern, Sorted, Sorter};
use crate::values::{DocumentBuilder, Kind};

/// `$match`.
pub(super) struct Matching {
    pub(super) input: Box<dyn Rows>,
    pub(super) filter: Filter,
}

impl Rows for Matching {
    fn next(&mut self, run: &Run, row: &mut Vec<u8>) -> Result<bool> {
        while self.input.next(run, row)? {
            run.watch.check()?;
            if self.filter.matches_bytes(row)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// `$project` and its like.
pub(super) struct Projecting {
    input: Box<dyn Rows>,
    projection: Arc<Projection>,
    buffer: Vec<u8>,
}

impl Projecting {
    pub(super) fn new(input: Box<dyn Rows>, projection: Arc<Projection>) -> Self {
        Self {
            input,
            projection,
            buffer: Vec::new(),
        }
    }
}

impl Rows for Projecting {
    fn next(&mut self, run: &Run, row: &mut Vec<u8>) -> Result<bool> {
        if !self.input.next(run, &mut self.buffer)? {
            return Ok(false);
        }
        run.watch.check()?;
        *row = self
            .projection
            .apply_in(&self.buffer, None, &run.surroundings)?;
        Ok(true)
    }
}

/// `$replaceRoot`.
pub(super) struct Replacing {
    input: Box<dyn Rows>,
    expression: Arc<Expression>,
    buffer: Vec<u8>,
}

impl Replacing {
    pub(super) fn new(input: Box<dyn Rows>, expression: Arc<Expression>) -> Self {
        Self {
            input,
            expression,
            buffer: Vec::new(),
        }
    }
}

impl Rows for Replacing {
    fn next(&mut self, run: &Run, row: &mut Vec<u8>) -> Result<bool> {
        if !self.input.next(run, &mut self.buffer)? {
            return Ok(false);
        }
        run.watch.check()?;
        row.clear();
        let mut environment = run.surroundings.environment(&self.buffer);
        let root = self.expression.evaluate(&mut environment)?;
        row.extend_from_slice(new_root(root.as_ref())?);
        Ok(true)
    }
}

/// The bytes of what is to be a whole document.
pub(crate) fn new_root<'v>(value: Option<&'v Value<'_>>) -> Result<&'v [u8]> {
    let raw = value.and_then(Value::raw);
    match raw {
        Some(raw) if raw.kind() == Kind::Document => Ok(raw.bytes()),
        _ => {
            let kind = value.map_or("missing", |value| value.kind().name());
            let message = format!("the new root of a document must be a document, found {kind}");
            Err(Error::bad_value(message).with_code(40228))
        }
    }
}

/// `$sort`.
pub(super) struct Sorting {
    input: Box<dyn Rows>,
    pattern: Arc<SortPattern>,
    limit: Option<u64>,
    sorted: Option<Sorted>,
}

impl Sorting {
    pub(super) fn new(input: Box<dyn Rows>, pattern: Arc<SortPattern>, limit: Option<u64>) -> Self {
        Self {
            input,
            pattern,
            limit,
            sorted: None,
        }
    }

    fn sort(&mut self, run: &Run) -> Result<Sorted> {
        let mut sorter = Sorter::new(run.sorter_options(self.limit));
        let mut row = Vec::new();
        while self.input.next(run, &mut row)? {
            run.watch.check()?;
            let key = self.pattern.key_of(&row)?;
            if !sorter.is_beyond(&key) {
                sorter.push(&run.environment, key, std::mem::take(&mut row))?;
            }
        }
        sorter.finish()
    }
}

impl Rows for Sorting {
    fn next(&mut self, run: &Run, row: &mut Vec<u8>) -> Result<bool> {
        if self.sorted.is_none() {
            self.sorted = Some(self.sort(run)?);
        }
        run.watch.check()?;
        let Some(sorted) = &mut self.sorted else {
            return Ok(false);
        };
        match sorted.next()? {
            Some((_, document)) => *row = document,
            None => return Ok(false),
        }
        Ok(true)
    }
}

/// `$limit`.
pub(super) struct Limiting {
    pub(super) input: Box<dyn Rows>,
    pub(super) left: u64,
}

impl Rows for Limiting {
    fn next(&mut self, run: &Run, row: &mut Vec<u8>) -> Result<bool> {
        if self.left == 0 {
            return Ok(false);
        }
        self.left -= 1;
        self.input.next(run, row)
    }
}

/// `$skip`.
pub(super) struct Skipping {
    pub(super) input: Box<dyn Rows>,
    pub(super) left: u64,
}

impl Rows for Skipping {
    fn next(&mut self, run: &Run, row: &mut Vec<u8>) -> Result<bool> {
        while self.left > 0 {
            self.left -= 1;
            if !self.input.next(run, row)? {
                self.left = 0;
                return Ok(false);
            }
        }
        self.input.next(run, row)
    }
}

/// `$count`: one document, or none of nothing.
pub(super) struct Counting {
    input: Option<Box<dyn Rows>>,
    name: Box<[u8]>,
}

impl Counting {
    pub(super) fn new(input: Box<dyn Rows>, name: Box<[u8]>) -> Self {
        Self {
            input: Some(input),
            name,
        }
    }
}

impl Rows for Counting {
    fn next(&mut self, run: &Run, row: &mut Vec<u8>) -> Result<bool> {
        let Some(mut input) = self.input.take() else {
            return Ok(false);
        };
        let mut count = 0_usize;
        while input.next(run, row)? {
            run.watch.check()?;
            count += 1;
        }
        if count == 0 {
            return Ok(false);
        }
        let mut out = DocumentBuilder::new();
        Value::count(count).append_to(&self.name, &mut out)?;
        *row = out.finish();
        Ok(true)
    }
}

/// `$sample`: the documents of the smallest random keys.
pub(super) struct Sampling {
    input: Box<dyn Rows>,
    size: u64,
    sorted: Option<Sorted>,
}

impl Sampling {
    pub(super) fn new(input: Box<dyn Rows>, size: u64) -> Self {
        Self {
            input,
            size,
            sorted: None,
        }
    }
}

impl Rows for Sampling {
    fn next(&mut self, run: &Run, row: &mut Vec<u8>) -> Result<bool> {
        if self.sorted.is_none() {
            let mut sorter = Sorter::new(run.sorter_options(Some(self.size)));
            let mut document = Vec::new();
            while self.input.next(run, &mut document)? {
                run.watch.check()?;
                let key = run.environment.runtime.random().to_be_bytes().to_vec();
                if !sorter.is_beyond(&key) {
                    sorter.push(&run.environment, key, std::mem::take(&mut document))?;
                }
            }
            self.sorted = Some(sorter.finish()?);
        }
        let next = self.sorted.as_mut().map(Sorted::next).transpose()?;
        match next.flatten() {
            Some((_, document)) => *row = document,
            None => return Ok(false),
        }
        Ok(true)
    }
}

/// The documents of `$documents`.
pub(super) fn documents(expression: &Expression, run: &Run) -> Result<Vec<Vec<u8>>> {
    let empty = DocumentBuilder::new().finish();
    let mut environment = run.surroundings.environment(&empty);
    let refused = || {
        let message = "$documents expects an array of documents";
        Error::bad_value(message).with_code(5_858_203)
    };
    let value = expression.evaluate(&mut environment)?.ok_or_else(refused)?;
    if value.kind() != Kind::Array {
        return Err(refused());
    }
    let mut documents = Vec::new();
    for element in value.elements() {
        let raw = element.raw().filter(|raw| raw.kind() == Kind::Document);
        let bytes = raw.ok_or_else(refused)?.bytes().to_vec();
        check_len(bytes.len())?;
        documents.push(bytes);
    }
    Ok(documents)
}
