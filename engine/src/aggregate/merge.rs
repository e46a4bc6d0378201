//! `$out` and `$merge`: the results go into a collection.
//!
//! `$out` writes a collection of its own and puts it in the place of the target when it
//! is complete, with the target's options and indexes; `$merge` writes document by document into what
//! is there.

use std::sync::Arc;

use bson::{RawDocument, RawDocumentBuf};

use super::Pipeline;
use super::parse::{Place, as_document, documents_of, refused};
use super::path::{Steps, value_at};
use super::rows::{Rows, Run};
use super::union::name_of;
use crate::collection::Collection;
use crate::error::{Error, ErrorKind, Result};
use crate::expression::{Expression, Scope};
use crate::index::{ID_INDEX, IndexModel};
use crate::surroundings::Surroundings;
use crate::values::{DocumentBuilder, Elements, Kind, RawValue};

/// The operand of `$out` or `$merge`.
#[derive(Debug)]
pub(crate) struct Merge {
    database: Option<Box<str>>,
    collection: Box<str>,
    how: How,
}

#[derive(Debug)]
enum How {
    /// `$out`.
    InPlaceOfAll,
    /// `$merge`.
    OneByOne {
        on: Vec<(Box<[u8]>, Steps)>,
        matched: Matched,
        not_matched: NotMatched,
    },
}

/// What becomes of a document that is there already.
#[derive(Debug)]
enum Matched {
    Replace,
    Keep,
    Merge,
    Fail,
    Update {
        variables: Vec<(Box<str>, Expression)>,
        pipeline: Pipeline,
    },
}

/// What becomes of a document that is not there yet.
#[derive(Clone, Copy, Debug)]
enum NotMatched {
    Insert,
    Discard,
    Fail,
}

type Target = (Option<Box<str>>, Box<str>);

/// A collection, of this database or of another.
fn target(operand: RawValue<'_>, stage: &str, code: i32) -> Result<Target> {
    if operand.kind() == Kind::String {
        return Ok((None, name_of(operand, stage, code)?));
    }
    as_document(stage, code, operand)?;
    let (mut database, mut collection) = (None, None);
    for field in Elements::new(operand.bytes()) {
        match field.name {
            b"db" => database = Some(name_of(field.value, stage, code)?),
            b"coll" => collection = Some(name_of(field.value, stage, code)?),
            other => {
                let other = String::from_utf8_lossy(other);
                return Err(refused(40415, format!("{stage} does not know '{other}'")));
            }
        }
    }
    let missing = || refused(40414, format!("{stage} expects 'coll'"));
    Ok((database, collection.ok_or_else(missing)?))
}

impl Merge {
    pub(super) fn parse(stage: &str, operand: RawValue<'_>, scope: &Scope) -> Result<Self> {
        if stage == "$out" {
            let (database, collection) = target(operand, stage, 16990)?;
            return Ok(Self {
                database,
                collection,
                how: How::InPlaceOfAll,
            });
        }
        if operand.kind() == Kind::String {
            let (database, collection) = target(operand, stage, 51182)?;
            return Ok(Self::one_by_one(database, collection));
        }
        as_document(stage, 51182, operand)?;
        let fields = || Elements::new(operand.bytes());
        let into = fields().find(|field| field.name == b"into");
        let into = into.ok_or_else(|| refused(40414, "$merge expects 'into'"))?;
        let (database, collection) = target(into.value, stage, 51178)?;
        let mut merge = Self::one_by_one(database, collection);
        let How::OneByOne {
            on,
            matched,
            not_matched,
        } = &mut merge.how
        else {
            return Ok(merge);
        };
        let variables = fields().find(|field| field.name == b"let");
        for field in fields() {
            match field.name {
                b"into" | b"let" => {}
                b"on" => *on = fields_of(field.value)?,
                b"whenMatched" => {
                    let variables = variables.as_ref().map(|field| field.value);
                    *matched = Matched::parse(field.value, variables, scope)?;
                }
                b"whenNotMatched" => {
                    *not_matched = match field.value.text() {
                        Some(b"insert") => NotMatched::Insert,
                        Some(b"discard") => NotMatched::Discard,
                        Some(b"fail") => NotMatched::Fail,
                        _ => {
                            let message = "$merge expects 'whenNotMatched' as 'insert', \
                                           'discard' or 'fail'";
                            return Err(refused(51190, message));
                        }
                    };
                }
                other => {
                    let other = String::from_utf8_lossy(other);
                    return Err(refused(40415, format!("$merge does not know '{other}'")));
                }
            }
        }
        if variables.is_some() && !matches!(matched, Matched::Update { .. }) {
            let message = "$merge expects 'let' only with a pipeline in 'whenMatched'";
            return Err(refused(51199, message));
        }
        Ok(merge)
    }

    fn one_by_one(database: Option<Box<str>>, collection: Box<str>) -> Self {
        let id: Box<[u8]> = b"_id".as_slice().into();
        Self {
            database,
            collection,
            how: How::OneByOne {
                on: vec![(id.clone(), [id].into())],
                matched: Matched::Merge,
                not_matched: NotMatched::Insert,
            },
        }
    }

    pub(super) fn open(self: &Arc<Self>, input: Box<dyn Rows>) -> Merging {
        Merging {
            merge: Arc::clone(self),
            input: Some(input),
        }
    }
}

fn fields_of(value: RawValue<'_>) -> Result<Vec<(Box<[u8]>, Steps)>> {
    let refuse = || {
        refused(
            51186,
            "$merge expects 'on' as a string or an array of strings",
        )
    };
    let names: Vec<RawValue<'_>> = match value.kind() {
        Kind::String => vec![value],
        Kind::Array => Elements::new(value.bytes())
            .map(|element| element.value)
            .collect(),
        _ => return Err(refuse()),
    };
    if names.is_empty() {
        return Err(refused(51187, "$merge expects at least one field in 'on'"));
    }
    let mut fields: Vec<(Box<[u8]>, Steps)> = Vec::new();
    for name in names {
        let name = (name.kind() == Kind::String).then(|| name.text()).flatten();
        let name = name.ok_or_else(refuse)?;
        crate::sort::check_path(name)?;
        let steps = name.split(|byte| *byte == b'.').map(Into::into).collect();
        fields.push((name.into(), steps));
    }
    Ok(fields)
}

impl Matched {
    fn parse(value: RawValue<'_>, variables: Option<RawValue<'_>>, scope: &Scope) -> Result<Self> {
        if value.kind() != Kind::Array {
            return Ok(match value.text() {
                Some(b"replace") => Self::Replace,
                Some(b"keepExisting") => Self::Keep,
                Some(b"merge") => Self::Merge,
                Some(b"fail") => Self::Fail,
                _ => {
                    let message = "$merge expects 'whenMatched' as 'replace', 'keepExisting', \
                                   'merge', 'fail' or a pipeline";
                    return Err(refused(51191, message));
                }
            });
        }
        let mut inner = scope.clone();
        let mut defined: Vec<(Box<str>, Expression)> = Vec::new();
        match variables {
            Some(variables) => {
                for variable in Elements::new(as_document("let", 9, variables)?.as_bytes()) {
                    let name = String::from_utf8_lossy(variable.name);
                    inner.define(&name)?;
                    defined.push((name.into(), Expression::parse(variable.value, scope)?));
                }
            }
            None => {
                let root = bson::rawdoc! { "e": "$$ROOT" };
                let operand = Elements::new(root.as_bytes()).find_name(b"e");
                inner.define("new")?;
                if let Some(operand) = operand {
                    defined.push(("new".into(), Expression::parse(operand, scope)?));
                }
            }
        }
        let stages = documents_of(value, "$merge", 9)?;
        let pipeline = Pipeline::parse_in(stages, &inner, Place::TOP.inside("$merge"))?;
        pipeline.check_update()?;
        Ok(Self::Update {
            variables: defined,
            pipeline,
        })
    }
}

/// The stage at work: it writes, and gives nothing.
pub(super) struct Merging {
    merge: Arc<Merge>,
    input: Option<Box<dyn Rows>>,
}

impl Rows for Merging {
    fn next(&mut self, run: &Run, _: &mut Vec<u8>) -> Result<bool> {
        let Some(mut input) = self.input.take() else {
            return Ok(false);
        };
        let merge = &*self.merge;
        let target = run
            .foreign
            .elsewhere(merge.database.as_deref(), &merge.collection);
        match &merge.how {
            How::InPlaceOfAll => replace_all(&target, &mut *input, run)?,
            How::OneByOne {
                on,
                matched,
                not_matched,
            } => {
                let mut row = Vec::new();
                while input.next(run, &mut row)? {
                    run.watch.check()?;
                    let row = RawDocumentBuf::from_bytes(std::mem::take(&mut row))?;
                    write_one(&target, row, on, matched, *not_matched, run)?;
                }
            }
        }
        Ok(false)
    }
}

/// Writes all into a new collection, which then takes the place of the target.
fn replace_all(target: &Collection, input: &mut dyn Rows, run: &Run) -> Result<()> {
    target.outside_only("$out")?;
    let options = target.options()?.unwrap_or_default();
    let name = format!("tmp.agg_out.{:016x}", run.environment.runtime.random());
    let new = target.beside(&name);
    new.create_with(&crate::OperationContext::new(), options)?;
    new.begin_at_version(target.schema_version()?.current)?;
    let written = copy_indexes(target, &new).and_then(|()| {
        fill(&new, input, run)?;
        new.rename(target.name(), true)?;
        Ok(())
    });
    if written.is_err() {
        // Best effort: what went wrong is the news.
        let _ = new.drop_collection();
    }
    written
}

/// Makes the indexes of one collection in another, which is empty.
fn copy_indexes(from: &Collection, to: &Collection) -> Result<()> {
    let indexes = from.list_indexes()?.into_iter();
    let own = indexes.filter(|index| index.name != ID_INDEX);
    let models: Vec<_> = own
        .map(|index| IndexModel::from_spec(index.to_document()))
        .collect();
    if !models.is_empty() {
        to.create_indexes(models)?;
    }
    Ok(())
}

fn fill(new: &Collection, input: &mut dyn Rows, run: &Run) -> Result<()> {
    const BATCH: usize = 1000;
    const BATCH_BYTES: usize = 4 << 20;
    let (mut batch, mut bytes, mut row) = (Vec::new(), 0, Vec::new());
    loop {
        let is_more = input.next(run, &mut row)?;
        if is_more {
            run.watch.check()?;
            bytes += row.len();
            batch.push(RawDocumentBuf::from_bytes(std::mem::take(&mut row))?);
        }
        if batch.len() >= BATCH || bytes >= BATCH_BYTES || (!is_more && !batch.is_empty()) {
            new.insert_many(std::mem::take(&mut batch))?;
            bytes = 0;
        }
        if !is_more {
            return Ok(());
        }
    }
}

fn write_one(
    target: &Collection,
    row: RawDocumentBuf,
    on: &[(Box<[u8]>, Steps)],
    matched: &Matched,
    not_matched: NotMatched,
    run: &Run,
) -> Result<()> {
    let mut filter = DocumentBuilder::new();
    for (name, steps) in on {
        let value = value_at(row.as_bytes(), steps);
        let is_fine = value.is_some_and(|value| {
            !matches!(value.kind(), Kind::Null | Kind::Undefined | Kind::Array)
        });
        let (Some(value), true) = (value, is_fine) else {
            if steps.len() == 1 && **name == *b"_id" && value.is_none() {
                return insert(target, row, not_matched);
            }
            let name = String::from_utf8_lossy(name);
            let message = format!(
                "$merge expects each field of 'on' to be there, no array and not null: '{name}'"
            );
            return Err(refused(51132, message));
        };
        filter.open_document(name);
        filter.append(b"$eq", value);
        filter.close();
    }
    let filter = RawDocumentBuf::from_bytes(filter.finish())?;
    let found = target.find_one(&filter)?;
    let Some(found) = found else {
        return insert(target, row, not_matched);
    };
    let new = match matched {
        Matched::Keep => return Ok(()),
        Matched::Fail => {
            let message = format!("$merge found a document in '{}' already", target.name());
            return Err(Error::new(ErrorKind::DuplicateKey, message));
        }
        Matched::Replace => row,
        Matched::Merge => merged(&found, &row)?,
        Matched::Update {
            variables,
            pipeline,
        } => updated(&found, &row, variables, pipeline, run)?,
    };
    target.replace_one(&filter, new)?;
    Ok(())
}

fn insert(target: &Collection, row: RawDocumentBuf, not_matched: NotMatched) -> Result<()> {
    match not_matched {
        NotMatched::Insert => target.insert_one(row).map(drop),
        NotMatched::Discard => Ok(()),
        NotMatched::Fail => {
            let message = format!("$merge found no matching document in '{}'", target.name());
            Err(refused(13113, message))
        }
    }
}

/// The fields of `new` over those of `old`.
fn merged(old: &RawDocument, new: &RawDocument) -> Result<RawDocumentBuf> {
    let mut out = DocumentBuilder::new();
    let old: Vec<_> = Elements::new(old.as_bytes()).collect();
    let new: Vec<_> = Elements::new(new.as_bytes()).collect();
    for field in &old {
        let over = new.iter().find(|other| other.name == field.name);
        out.append(field.name, over.unwrap_or(field).value);
    }
    for field in &new {
        if !old.iter().any(|other| other.name == field.name) {
            out.append(field.name, field.value);
        }
    }
    super::path::check_len(out.len())?;
    Ok(RawDocumentBuf::from_bytes(out.finish())?)
}

fn updated(
    old: &RawDocument,
    new: &RawDocument,
    variables: &[(Box<str>, Expression)],
    pipeline: &Pipeline,
    run: &Run,
) -> Result<RawDocumentBuf> {
    let mut surroundings: Surroundings = (*run.surroundings).clone();
    for (name, expression) in variables {
        let mut environment = run.surroundings.environment(new.as_bytes());
        let value = expression.evaluate(&mut environment)?;
        let value = value.map(|value| value.to_owned_value()).transpose()?;
        let slot = surroundings.define(name)?;
        surroundings.set(slot, value);
    }
    let bytes = pipeline.update(old.as_bytes(), &surroundings)?;
    Ok(RawDocumentBuf::from_bytes(bytes)?)
}
