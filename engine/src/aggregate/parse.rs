//! From the documents of a pipeline to its stages.

use std::sync::Arc;

use bson::RawDocumentBuf;

use super::bucket;
use super::bucket_auto::BucketAuto;
use super::facet::Facet;
use super::group::Group;
use super::lookup::Lookup;
use super::merge::Merge;
use super::redact::Redact;
use super::stage::Stage;
use super::union::Union;
use super::unwind::Unwind;
use crate::error::{Error, ErrorKind, Result};
use crate::expression::{Expression, Scope};
use crate::filter::Filter;
use crate::projection::Projection;
use crate::sort::SortPattern;
use crate::values::{Elements, Kind, Number, RawValue};

/// How many stages a pipeline may have, as in MongoDB.
const MAX_STAGES: usize = 1000;
/// How deep pipelines may lie in one another, as in MongoDB.
const MAX_NESTED: usize = 20;
/// Stages of MongoDB that are refused by name.
const UNSUPPORTED: [&str; 23] = [
    "$changeStream",
    "$changeStreamSplitLargeEvent",
    "$collStats",
    "$currentOp",
    "$densify",
    "$fill",
    "$geoNear",
    "$graphLookup",
    "$indexStats",
    "$listLocalSessions",
    "$listSampledQueries",
    "$listSearchIndexes",
    "$listSessions",
    "$planCacheStats",
    "$querySettings",
    "$queryStats",
    "$rankFusion",
    "$scoreFusion",
    "$search",
    "$searchMeta",
    "$setWindowFields",
    "$shardedDataDistribution",
    "$vectorSearch",
];

/// An error with one of MongoDB's codes.
pub(super) fn refused(code: i32, message: impl Into<String>) -> Error {
    let kind = if code == 9 {
        ErrorKind::FailedToParse
    } else {
        ErrorKind::BadValue
    };
    Error::new(kind, message).with_code(code)
}

/// What surrounds a pipeline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The stage that it is an operand of.
    pub(super) inside: Option<&'static str>,
    pub(super) depth: usize,
}

impl Place {
    pub(super) const TOP: Self = Self {
        inside: None,
        depth: 0,
    };

    pub(super) fn inside(self, stage: &'static str) -> Self {
        Self {
            inside: Some(stage),
            depth: self.depth + 1,
        }
    }
}

/// The stages of a pipeline.
pub(super) fn stages(
    documents: impl IntoIterator<Item = Result<RawDocumentBuf>>,
    scope: &Scope,
    place: Place,
) -> Result<Vec<Stage>> {
    if place.depth > MAX_NESTED {
        let message = format!("pipelines lie more than {MAX_NESTED} deep in one another");
        return Err(refused(232, message));
    }
    let mut stages: Vec<Stage> = Vec::new();
    for document in documents {
        let document = document?;
        if let Some(Stage::Merge(_)) = stages.last() {
            let message = "$out and $merge can only be the last stage of a pipeline";
            return Err(refused(40601, message));
        }
        stage(document.as_bytes(), scope, place, &mut stages)?;
        if stages.len() > MAX_STAGES {
            let message = format!("a pipeline may have {MAX_STAGES} stages");
            return Err(refused(7_749_501, message));
        }
    }
    Ok(stages)
}

/// The documents of an array of stages.
pub(super) fn documents_of(
    array: RawValue<'_>,
    what: &str,
    code: i32,
) -> Result<Vec<RawDocumentBuf>> {
    let refuse = || refused(code, format!("{what} expects an array of stages"));
    if array.kind() != Kind::Array {
        return Err(refuse());
    }
    let mut documents = Vec::new();
    for element in Elements::new(array.bytes()) {
        if element.value.kind() != Kind::Document {
            return Err(refused(14, "each stage of a pipeline must be a document"));
        }
        documents.push(RawDocumentBuf::from_bytes(element.value.bytes().to_vec())?);
    }
    Ok(documents)
}

pub(super) fn as_document<'a>(
    name: &str,
    code: i32,
    operand: RawValue<'a>,
) -> Result<&'a bson::RawDocument> {
    if operand.kind() != Kind::Document {
        let message = format!("{name} expects a document, found {}", operand.kind().name());
        return Err(refused(code, message));
    }
    Ok(bson::RawDocument::from_bytes(operand.bytes())?)
}

fn stage(document: &[u8], scope: &Scope, place: Place, stages: &mut Vec<Stage>) -> Result<()> {
    let mut fields = Elements::new(document);
    let (Some(field), None) = (fields.next(), fields.next()) else {
        let message = "a stage of a pipeline is a document with exactly one field";
        return Err(refused(40323, message));
    };
    let name = String::from_utf8_lossy(field.name);
    let operand = field.value;
    let is_first = stages.is_empty();
    let stage = match &*name {
        "$match" => {
            let filter = as_document(&name, 15959, operand)?;
            Stage::Match(Filter::compile_in(filter, scope)?)
        }
        "$project" => {
            let projection = as_document(&name, 15969, operand)?;
            Stage::Project(Arc::new(Projection::parse_stage(projection, scope)?))
        }
        "$addFields" | "$set" => {
            let fields = as_document(&name, 40272, operand)?;
            Stage::Project(Arc::new(Projection::parse_add_fields(fields, scope)?))
        }
        "$unset" => Stage::Project(Arc::new(Projection::parse_unset(operand)?)),
        "$replaceRoot" => Stage::ReplaceRoot(Arc::new(new_root(operand, scope)?)),
        "$replaceWith" => Stage::ReplaceRoot(Arc::new(Expression::parse(operand, scope)?)),
        "$unwind" => Stage::Unwind(Arc::new(Unwind::parse(operand)?)),
        "$sort" => {
            let pattern = SortPattern::parse(as_document(&name, 15973, operand)?)?;
            if pattern.is_empty() {
                let message = "$sort expects at least one field";
                return Err(refused(15976, message));
            }
            Stage::Sort(Arc::new(pattern))
        }
        "$limit" => match count(&name, operand, 5_107_201)? {
            0 => return Err(refused(15958, "the limit must be positive")),
            limit => Stage::Limit(limit),
        },
        "$skip" => Stage::Skip(count(&name, operand, 5_107_200)?),
        "$group" => Stage::Group(Arc::new(Group::parse(operand, scope)?)),
        "$count" => Stage::Count(count_name(operand)?),
        "$bucket" => {
            let (group, sort) = bucket::parse(operand, scope)?;
            stages.push(Stage::Group(Arc::new(group)));
            Stage::Sort(Arc::new(sort))
        }
        "$sortByCount" => {
            let (group, sort) = bucket::sort_by_count(operand, scope)?;
            stages.push(Stage::Group(Arc::new(group)));
            Stage::Sort(Arc::new(sort))
        }
        "$bucketAuto" => Stage::BucketAuto(Arc::new(BucketAuto::parse(operand, scope)?)),
        "$lookup" => Stage::Lookup(Arc::new(Lookup::parse(operand, scope, place)?)),
        "$unionWith" => Stage::Union(Arc::new(Union::parse(operand, scope, place)?)),
        "$facet" => {
            refuse_inside(&name, place, &["$facet"], 40600)?;
            Stage::Facet(Arc::new(Facet::parse(operand, scope, place)?))
        }
        "$redact" => Stage::Redact(Arc::new(Redact::parse(operand, scope)?)),
        "$sample" => Stage::Sample(sample(operand)?),
        "$documents" => {
            if !is_first {
                let message = "$documents can only be the first stage of a pipeline";
                return Err(refused(40602, message));
            }
            refuse_inside(&name, place, &["$facet"], 40600)?;
            Stage::Documents(Arc::new(Expression::parse(operand, scope)?))
        }
        "$out" | "$merge" => {
            refuse_inside(&name, place, &["$facet"], 40600)?;
            refuse_inside(&name, place, &["$lookup", "$unionWith"], 51047)?;
            Stage::Merge(Arc::new(Merge::parse(&name, operand, scope)?))
        }
        other if UNSUPPORTED.contains(&other) => {
            let message = format!("the stage {other} is not supported");
            return Err(refused(40324, message));
        }
        other => {
            let message = format!("unrecognized pipeline stage name: '{other}'");
            return Err(refused(40324, message));
        }
    };
    stages.push(stage);
    Ok(())
}

fn refuse_inside(name: &str, place: Place, stages: &[&str], code: i32) -> Result<()> {
    match place.inside {
        Some(stage) if stages.contains(&stage) => {
            let message = format!("{name} cannot be used inside {stage}");
            Err(refused(code, message))
        }
        _ => Ok(()),
    }
}

fn new_root(operand: RawValue<'_>, scope: &Scope) -> Result<Expression> {
    as_document("$replaceRoot", 40229, operand)?;
    let mut root = None;
    for field in Elements::new(operand.bytes()) {
        if field.name != b"newRoot" {
            let name = String::from_utf8_lossy(field.name);
            let message = format!("$replaceRoot does not know '{name}'");
            return Err(refused(40415, message));
        }
        root = Some(Expression::parse(field.value, scope)?);
    }
    root.ok_or_else(|| refused(40414, "$replaceRoot expects 'newRoot'"))
}

/// A whole number that is not negative.
pub(super) fn count(name: &str, operand: RawValue<'_>, code: i32) -> Result<u64> {
    let whole = operand.number().and_then(Number::to_i64);
    let count = whole.and_then(|whole| u64::try_from(whole).ok());
    count.ok_or_else(|| {
        let message = format!("{name} expects a whole number that is not negative");
        refused(code, message)
    })
}

fn count_name(operand: RawValue<'_>) -> Result<Box<[u8]>> {
    let text = (operand.kind() == Kind::String)
        .then(|| operand.text())
        .flatten();
    let Some(name) = text else {
        return Err(refused(40156, "$count expects a string"));
    };
    match name {
        b"" => Err(refused(40157, "$count expects a name that is not empty")),
        _ if name.starts_with(b"$") => {
            Err(refused(40158, "the name of $count must not start with '$'"))
        }
        _ if name.contains(&0) => Err(refused(40159, "the name of $count must not have NUL")),
        _ if name.contains(&b'.') => Err(refused(40160, "the name of $count must not have dots")),
        b"_id" => Err(refused(9_039_800, "the name of $count must not be '_id'")),
        _ => Ok(name.into()),
    }
}

fn sample(operand: RawValue<'_>) -> Result<u64> {
    as_document("$sample", 28745, operand)?;
    let mut size = None;
    for field in Elements::new(operand.bytes()) {
        if field.name != b"size" {
            let name = String::from_utf8_lossy(field.name);
            return Err(refused(28748, format!("$sample does not know '{name}'")));
        }
        if field.value.number().is_none() {
            return Err(refused(28746, "$sample expects 'size' as a number"));
        }
        size = Some(count("$sample", field.value, 28747)?);
    }
    let size = size.ok_or_else(|| refused(28749, "$sample expects 'size'"))?;
    if size == 0 {
        return Err(refused(28747, "the size of $sample must be positive"));
    }
    Ok(size)
}
