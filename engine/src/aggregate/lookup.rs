//! `$lookup`: what another collection has for each document.
//!
//! By equality of two fields the foreign documents are looked up by the keys of their
//! values: in a table made of the whole collection once, as long as that fits the budget;
//! where `_id` or an index leads, or it does not fit, by a query for each document. A
//! pipeline runs for each document, unless nothing in it depends on one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bson::RawDocument;

use super::Pipeline;
use super::foreign::Scan;
use super::parse::{Place, documents_of, refused};
use super::path::{Steps, check_depth, check_len, with_value};
use super::rows::{Held, Rows, Run};
use super::union::name_of;
use crate::error::Result;
use crate::expression::{Expression, Scope, Slot};
use crate::filter::{Filter, each_value};
use crate::key::append_unbounded;
use crate::sort::{check_path, path_steps};
use crate::surroundings::Surroundings;
use crate::values::{DocumentBuilder, Elements, Kind, OwnedValue, PositionName, RawValue};

/// The operand of `$lookup`.
#[derive(Debug)]
pub(crate) struct Lookup {
    from: Option<Box<str>>,
    output: Steps,
    equality: Option<Equality>,
    variables: Vec<(Box<str>, Expression)>,
    /// None of plain equality.
    pipeline: Option<Pipeline>,
    /// Whether variables surround it, its own or others'.
    is_correlated: bool,
}

/// The two fields that have to be equal.
#[derive(Debug)]
struct Equality {
    local: Box<[u8]>,
    foreign: Box<[u8]>,
}

fn text<'a>(name: &str, value: RawValue<'a>) -> Result<&'a [u8]> {
    let text = (value.kind() == Kind::String)
        .then(|| value.text())
        .flatten();
    let message = || format!("$lookup expects '{name}' as a string");
    text.ok_or_else(|| refused(9, message()))
}

impl Lookup {
    pub(super) fn parse(operand: RawValue<'_>, scope: &Scope, place: Place) -> Result<Self> {
        if operand.kind() != Kind::Document {
            return Err(refused(9, "$lookup expects a document"));
        }
        let (mut from, mut output, mut local, mut foreign) = (None, None, None, None);
        let (mut variables, mut has_let, mut stages) = (Vec::new(), false, None);
        let mut inner = scope.clone();
        for field in Elements::new(operand.bytes()) {
            let value = field.value;
            match field.name {
                b"from" => from = Some(name_of(value, "$lookup", 9)?),
                b"as" => output = Some(path_steps(text("as", value)?)?),
                b"localField" => {
                    let path = text("localField", value)?;
                    check_path(path)?;
                    local = Some(path.into());
                }
                b"foreignField" => {
                    let path = text("foreignField", value)?;
                    check_path(path)?;
                    foreign = Some(path.into());
                }
                b"let" => {
                    if value.kind() != Kind::Document {
                        return Err(refused(9, "$lookup expects 'let' as a document"));
                    }
                    has_let = true;
                    for variable in Elements::new(value.bytes()) {
                        let name = String::from_utf8_lossy(variable.name);
                        inner.define(&name)?;
                        let expression = Expression::parse(variable.value, scope)?;
                        variables.push((name.into(), expression));
                    }
                }
                b"pipeline" => stages = Some(documents_of(value, "$lookup", 9)?),
                other => {
                    let other = String::from_utf8_lossy(other);
                    return Err(refused(9, format!("$lookup does not know '{other}'")));
                }
            }
        }
        let output = output.ok_or_else(|| refused(40414, "$lookup expects 'as'"))?;
        let equality = match (local, foreign) {
            (Some(local), Some(foreign)) => Some(Equality { local, foreign }),
            (None, None) if stages.is_some() => None,
            _ => {
                let message = "$lookup expects both 'localField' and 'foreignField', or a \
                               'pipeline' alone";
                return Err(refused(9, message));
            }
        };
        if has_let && stages.is_none() {
            return Err(refused(9, "$lookup expects a 'pipeline' with 'let'"));
        }
        let pipeline = match stages {
            Some(stages) => Some(Pipeline::parse_in(stages, &inner, place.inside("$lookup"))?),
            None => None,
        };
        let has_documents = pipeline.as_ref().is_some_and(Pipeline::has_documents);
        if from.is_none() && !has_documents {
            return Err(refused(9, "$lookup expects 'from'"));
        }
        Ok(Self {
            from,
            output,
            equality,
            is_correlated: place.depth > 0 || !variables.is_empty(),
            variables,
            pipeline,
        })
    }

    /// Whether the field of this name is the same before and after.
    pub(super) fn leaves_alone(&self, name: &[u8]) -> bool {
        self.output.first().is_none_or(|first| **first != *name)
    }

    pub(super) fn open(self: &Arc<Self>, input: Box<dyn Rows>) -> LookingUp {
        LookingUp {
            lookup: Arc::clone(self),
            input,
            table: None,
            cached: None,
            document: Vec::new(),
        }
    }

    /// The variables as the pipeline sees them.
    fn surroundings(&self, document: &[u8], run: &Run) -> Result<Surroundings> {
        let mut surroundings = (*run.surroundings).clone();
        let mut values: Vec<(Slot, Option<OwnedValue>)> = Vec::new();
        for (name, expression) in &self.variables {
            let mut environment = run.surroundings.environment(document);
            let value = expression.evaluate(&mut environment)?;
            let value = value.map(|value| value.to_owned_value()).transpose()?;
            values.push((surroundings.define(name)?, value));
        }
        for (slot, value) in values {
            surroundings.set(slot, value);
        }
        Ok(surroundings)
    }
}

/// The stage at work.
pub(super) struct LookingUp {
    lookup: Arc<Lookup>,
    input: Box<dyn Rows>,
    table: Option<Table>,
    /// What the pipeline gives, where it is the same for all.
    cached: Option<Vec<Vec<u8>>>,
    document: Vec<u8>,
}

/// How foreign documents are found.
enum Table {
    /// By the keys of their values.
    Held {
        documents: Vec<Vec<u8>>,
        by_key: HashMap<Vec<u8>, Vec<usize>>,
    },
    /// By a query for each document.
    Queried,
}

/// Where foreign documents come from, or they themselves.
enum Found {
    Documents(Vec<Vec<u8>>),
    Collection,
}

impl LookingUp {
    fn table(&self, equality: &Equality, run: &Run) -> Result<Table> {
        if let Some(from) = self.lookup.from.as_deref()
            && run.foreign.leads_to(from, &equality.foreign)?
        {
            return Ok(Table::Queried);
        }
        let budget = usize::try_from(run.watch.sort_budget()).unwrap_or(usize::MAX);
        let mut rows: Box<dyn Rows> = match (&self.lookup.from, &self.lookup.pipeline) {
            (Some(from), _) => Box::new(run.foreign.scan(from, &Scan::default(), run)?),
            (None, Some(pipeline)) => pipeline.open_documents(run)?,
            (None, None) => Box::new(Held::new(Vec::new())),
        };
        let (mut documents, mut by_key) = (Vec::new(), HashMap::<Vec<u8>, Vec<usize>>::new());
        let (mut held, mut row) = (0, Vec::new());
        while rows.next(run, &mut row)? {
            run.watch.check()?;
            let at = documents.len();
            held += row.len();
            let mut last: HashSet<Vec<u8>> = HashSet::new();
            each_value(&equality.foreign, &row, &mut |value| {
                let key = key_of(value);
                held += key.len() + 64;
                last.insert(key);
            });
            for key in last {
                by_key.entry(key).or_default().push(at);
            }
            if held > budget && self.lookup.from.is_some() {
                return Ok(Table::Queried);
            }
            documents.push(std::mem::take(&mut row));
        }
        Ok(Table::Held { documents, by_key })
    }

    /// The foreign documents whose field equals that of `document`.
    fn equal(&mut self, document: &[u8], run: &Run) -> Result<Found> {
        let lookup = Arc::clone(&self.lookup);
        let Some(equality) = &lookup.equality else {
            return Ok(Found::Collection);
        };
        if self.table.is_none() {
            self.table = Some(self.table(equality, run)?);
        }
        let mut values = Vec::new();
        local_values(document, &equality.local, &mut values);
        if values.is_empty() {
            values.push(NULL);
        }
        match &self.table {
            Some(Table::Held { documents, by_key }) => {
                let mut found: Vec<usize> = Vec::new();
                for value in values {
                    let at = by_key.get(&key_of(Some(value)));
                    found.extend(at.into_iter().flatten());
                }
                found.sort_unstable();
                found.dedup();
                let found = found
                    .into_iter()
                    .filter_map(|at| documents.get(at).cloned());
                Ok(Found::Documents(found.collect()))
            }
            _ => {
                let from = lookup.from.as_deref().unwrap_or_default();
                let scan = Scan {
                    filter: Some(filter_for(&equality.foreign, &values)?),
                    ..Scan::default()
                };
                let mut rows = run.foreign.scan(from, &scan, run)?;
                let (mut found, mut row) = (Vec::new(), Vec::new());
                while rows.next(run, &mut row)? {
                    found.push(std::mem::take(&mut row));
                }
                Ok(Found::Documents(found))
            }
        }
    }

    /// What belongs to `document`.
    fn found(&mut self, document: &[u8], run: &Run) -> Result<Vec<Vec<u8>>> {
        if let Some(cached) = &self.cached {
            return Ok(cached.clone());
        }
        let found = self.equal(document, run)?;
        let lookup = Arc::clone(&self.lookup);
        let Some(pipeline) = &lookup.pipeline else {
            return Ok(match found {
                Found::Documents(documents) => documents,
                Found::Collection => Vec::new(),
            });
        };
        let run = run.with(lookup.surroundings(document, run)?);
        let is_all = matches!(found, Found::Collection);
        let mut rows = match found {
            Found::Documents(documents) => {
                pipeline.open_behind_documents(Box::new(Held::new(documents)), &run)?
            }
            Found::Collection => pipeline.open_on(lookup.from.as_deref(), &run)?,
        };
        let (mut results, mut held, mut row) = (Vec::new(), 0, Vec::new());
        while rows.next(&run, &mut row)? {
            held += row.len();
            check_len(held)?;
            results.push(std::mem::take(&mut row));
        }
        if is_all && !lookup.is_correlated {
            self.cached = Some(results.clone());
        }
        Ok(results)
    }
}

const NULL: RawValue<'static> = RawValue {
    kind: Kind::Null,
    bytes: &[],
};

fn key_of(value: Option<RawValue<'_>>) -> Vec<u8> {
    let mut key = Vec::new();
    append_unbounded(value.unwrap_or(NULL), &mut key);
    key
}

/// The values of the local field: the elements of an array in its place.
fn local_values<'a>(document: &'a [u8], path: &[u8], values: &mut Vec<RawValue<'a>>) {
    let steps: Vec<&[u8]> = path.split(|byte| *byte == b'.').collect();
    local(document, &steps, values);
}

fn local<'a>(document: &'a [u8], steps: &[&[u8]], values: &mut Vec<RawValue<'a>>) {
    let Some((step, mut rest)) = steps.split_first() else {
        return;
    };
    let Some(mut value) = Elements::new(document).find_name(step) else {
        return;
    };
    // Digits after an array are positions in it.
    while let Some((position, after)) = rest.split_first() {
        if value.kind() != Kind::Array || !position.iter().all(u8::is_ascii_digit) {
            break;
        }
        let Some(element) = Elements::new(value.bytes()).find_name(position) else {
            return;
        };
        (value, rest) = (element, after);
    }
    match value.kind() {
        Kind::Array if rest.is_empty() => {
            values.extend(Elements::new(value.bytes()).map(|element| element.value));
        }
        _ if rest.is_empty() => values.push(value),
        Kind::Array => {
            for element in Elements::new(value.bytes()) {
                if element.value.kind() == Kind::Document {
                    local(element.value.bytes(), rest, values);
                }
            }
        }
        Kind::Document => local(value.bytes(), rest, values),
        _ => {}
    }
}

/// `{ foreign: { $in: values } }`, or equality with the one.
fn filter_for(foreign: &[u8], values: &[RawValue<'_>]) -> Result<Filter> {
    let mut out = DocumentBuilder::new();
    out.open_document(foreign);
    if let [value] = values {
        out.append(b"$eq", *value);
    } else {
        out.open_array(b"$in");
        for (position, value) in values.iter().enumerate() {
            out.append(PositionName::new(position).as_bytes(), *value);
        }
        out.close();
    }
    let filter = out.finish();
    Filter::compile(RawDocument::from_bytes(&filter)?)
}

impl Rows for LookingUp {
    fn next(&mut self, run: &Run, row: &mut Vec<u8>) -> Result<bool> {
        let mut document = std::mem::take(&mut self.document);
        if !self.input.next(run, &mut document)? {
            return Ok(false);
        }
        run.watch.check()?;
        let found = self.found(&document, run)?;
        let mut array = DocumentBuilder::new();
        for (position, found) in found.iter().enumerate() {
            let value = RawValue {
                kind: Kind::Document,
                bytes: found,
            };
            array.append(PositionName::new(position).as_bytes(), value);
            check_len(array.len())?;
        }
        let array = array.finish();
        let value = RawValue {
            kind: Kind::Array,
            bytes: &array,
        };
        *row = check_depth(with_value(&document, &self.lookup.output, Some(value))?)?;
        self.document = document;
        Ok(true)
    }
}
