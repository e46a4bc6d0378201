//! What an index is: its fields and options, checked as MongoDB checks them.
//!
//! ## Invariants
//! * A definition has 1 to 32 fields, each a path of 1 to 100 steps without an empty one.
//! * What MongoDB knows and this engine does not have is refused by name.

use bson::{RawBsonRef, RawDocument, RawDocumentBuf};

use super::model::{IndexModel, Spec};
use super::partial::check_partial;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::values::{Elements, Kind, MAX_DEPTH, Number, RawValue, validate_document};

/// Most fields of an index.
const MAX_FIELDS: usize = 32;
/// The name of the index that every collection has.
pub(crate) const ID_INDEX: &str = "_id_";
/// Kinds of index that MongoDB has and this engine does not.
const OTHER_KINDS: [&str; 8] = [
    "text",
    "2d",
    "2dsphere",
    "2dsphere_bucket",
    "geoHaystack",
    "hashed",
    "wildcard",
    "columnstore",
];

/// One field of an index.
#[derive(Clone, Debug)]
pub(crate) struct KeyField {
    /// The dotted path, as it was written.
    pub(crate) path: Box<[u8]>,
    /// Its steps.
    pub(super) steps: Box<[Box<[u8]>]>,
    pub(crate) descending: bool,
}

/// A checked index.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) name: String,
    /// The fields as they were given.
    pub(crate) key: RawDocumentBuf,
    pub(crate) fields: Box<[KeyField]>,
    pub(crate) unique: bool,
    pub(crate) sparse: bool,
    pub(crate) hidden: bool,
    /// Which documents are in it: as given, and ready to be matched.
    pub(crate) partial: Option<(RawDocumentBuf, Filter)>,
    pub(crate) expire_after_seconds: Option<i32>,
}

pub(super) fn cannot(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::CannotCreateIndex, message)
}

impl Definition {
    /// Checks an index that is to be made; `None` stands for the index over `_id`, which
    /// is there already.
    pub(crate) fn new(model: IndexModel) -> Result<Option<Self>> {
        let spec = model.spec?;
        validate_document(spec.key.as_bytes())?;
        let fields = read_fields(&spec.key)?;
        if let [field] = &*fields
            && &*field.path == b"_id"
        {
            check_id_index(&spec, field)?;
            return Ok(None);
        }
        Self::from_parts(spec, fields).map(Some)
    }

    /// The index that a spec in the catalog describes.
    pub(super) fn stored(spec: &RawDocument) -> Result<Self> {
        let spec = read_spec(spec)?;
        let fields = read_fields(&spec.key)?;
        Self::from_parts(spec, fields)
    }

    fn from_parts(spec: Spec, fields: Box<[KeyField]>) -> Result<Self> {
        let name = spec.name.unwrap_or_else(|| name_of(&spec.key));
        if name.is_empty() {
            return Err(cannot("the name of an index cannot be empty"));
        }
        if name.contains('\0') {
            return Err(cannot("the name of an index cannot contain a NUL"));
        }
        if name == "*" || name == ID_INDEX {
            let message = format!("the index name '{name}' is reserved");
            return Err(Error::bad_value(message));
        }
        let partial = match spec.partial {
            None => None,
            Some(_) if spec.sparse => {
                return Err(cannot(
                    "cannot mix partialFilterExpression and sparse options",
                ));
            }
            Some(filter) => {
                validate_document(filter.as_bytes())?;
                let compiled = Filter::compile(&filter)?;
                check_partial(&filter)?;
                Some((filter, compiled))
            }
        };
        if let Some(seconds) = spec.expire_after_seconds {
            if seconds < 0 {
                let message = format!(
                    "expireAfterSeconds must be within 0 and {}, found {seconds}",
                    i32::MAX
                );
                return Err(cannot(message));
            }
            if fields.len() > 1 {
                return Err(cannot(
                    "TTL indexes are single-field indexes, compound indexes do not support TTL",
                ));
            }
        }
        Ok(Self {
            name,
            key: spec.key,
            fields,
            unique: spec.unique,
            sparse: spec.sparse,
            hidden: spec.hidden,
            partial,
            expire_after_seconds: spec.expire_after_seconds,
        })
    }

    /// The spec, as the catalog keeps it.
    pub(crate) fn to_spec(&self) -> RawDocumentBuf {
        self.info(true).to_document()
    }

    /// What users are told of it.
    pub(crate) fn info(&self, is_ready: bool) -> super::IndexInfo {
        super::IndexInfo {
            name: self.name.clone(),
            key: self.key.clone(),
            unique: self.unique,
            sparse: self.sparse,
            hidden: self.hidden,
            partial_filter: self.partial.as_ref().map(|(filter, _)| filter.clone()),
            expire_after_seconds: self.expire_after_seconds,
            is_ready,
        }
    }

    fn partial_bytes(&self) -> Option<&[u8]> {
        self.partial.as_ref().map(|(filter, _)| filter.as_bytes())
    }

    /// Whether both have the same fields in the same directions.
    pub(crate) fn has_same_key(&self, other: &Self) -> bool {
        self.has_key(&other.fields)
    }

    pub(crate) fn has_key(&self, fields: &[KeyField]) -> bool {
        let same = |(one, other): (&KeyField, &KeyField)| {
            one.path == other.path && one.descending == other.descending
        };
        self.fields.len() == fields.len() && self.fields.iter().zip(fields).all(same)
    }

    /// What is wrong with making `self` where `other` is; true if it is the same index.
    pub(crate) fn check_beside(&self, other: &Self) -> Result<bool> {
        let same_signature = self.has_same_key(other)
            && self.unique == other.unique
            && self.sparse == other.sparse
            && self.partial_bytes() == other.partial_bytes();
        if self.name == other.name {
            if !same_signature {
                let message = format!(
                    "an index named '{}' exists already with other fields or options",
                    self.name
                );
                return Err(Error::new(ErrorKind::IndexConflict, message).with_code(86));
            }
            if self.hidden != other.hidden
                || self.expire_after_seconds != other.expire_after_seconds
            {
                let message = format!(
                    "an equivalent index '{}' exists already with different options",
                    self.name
                );
                return Err(Error::new(ErrorKind::IndexConflict, message));
            }
            return Ok(true);
        }
        if same_signature {
            let message = format!(
                "the index exists already with a different name: '{}'",
                other.name
            );
            return Err(Error::new(ErrorKind::IndexConflict, message));
        }
        Ok(false)
    }
}

/// MongoDB's name for a key: `a_1_b_-1`.
fn name_of(key: &RawDocument) -> String {
    let part = |element: crate::values::Element<'_>| {
        let name = String::from_utf8_lossy(element.name).into_owned();
        let value = match element.value.to_bson() {
            Ok(bson::Bson::Double(number)) if number.fract() == 0.0 => format!("{number:.0}"),
            Ok(value) => value.to_string(),
            Err(_) => String::new(),
        };
        format!("{name}_{value}")
    };
    let parts: Vec<String> = Elements::new(key.as_bytes()).map(part).collect();
    parts.join("_")
}

/// The fields of a key pattern.
pub(crate) fn read_fields(key: &RawDocument) -> Result<Box<[KeyField]>> {
    let mut fields: Vec<KeyField> = Vec::new();
    for element in Elements::new(key.as_bytes()) {
        let field = read_field(element.name, element.value)?;
        if fields.iter().any(|known| known.path == field.path) {
            let path = String::from_utf8_lossy(&field.path).into_owned();
            return Err(cannot(format!("an index has the field '{path}' twice")));
        }
        fields.push(field);
    }
    if fields.is_empty() {
        return Err(cannot("an index key pattern cannot be empty"));
    }
    if fields.len() > MAX_FIELDS {
        let message = format!(
            "an index has {} fields, the limit is {MAX_FIELDS}",
            fields.len()
        );
        return Err(cannot(message).with_code(13103));
    }
    Ok(fields.into())
}

fn read_field(name: &[u8], value: RawValue<'_>) -> Result<KeyField> {
    let path = String::from_utf8_lossy(name).into_owned();
    if name == b"$**" || name.ends_with(b".$**") {
        return Err(cannot(format!(
            "wildcard indexes ('{path}') are not supported"
        )));
    }
    let descending = match value.number() {
        Some(Number::Zero | Number::Nan) => {
            let message = format!("values in an index key pattern cannot be 0 or NaN: '{path}'");
            return Err(cannot(message));
        }
        Some(Number::Infinite { negative } | Number::Finite { negative, .. }) => negative,
        None => {
            let text = value.text().filter(|_| value.kind() == Kind::String);
            let kind = OTHER_KINDS
                .iter()
                .find(|kind| text == Some(kind.as_bytes()));
            return Err(cannot(match kind {
                Some(kind) => format!("indexes of kind '{kind}' are not supported: '{path}'"),
                None => format!(
                    "values in an index key pattern must be numbers, '{path}' has a value of type {}",
                    value.kind().name()
                ),
            }));
        }
    };
    let steps: Vec<Box<[u8]>> = name.split(|byte| *byte == b'.').map(Into::into).collect();
    if steps.iter().any(|step| step.is_empty()) {
        let message = format!("an index key pattern cannot have an empty field: '{path}'");
        return Err(cannot(message));
    }
    // Parts of a DBRef are the only names with a dollar.
    let is_dollar = |step: &[u8]| step.starts_with(b"$");
    let is_reference = |step: &[u8]| matches!(step, b"$id" | b"$ref" | b"$db");
    if steps
        .iter()
        .enumerate()
        .any(|(at, step)| is_dollar(step) && (at == 0 || !is_reference(step)))
    {
        let message =
            format!("an index key pattern cannot have a field that starts with '$': '{path}'");
        return Err(cannot(message));
    }
    if steps.len() > MAX_DEPTH {
        let message = format!(
            "the path '{path}' of an index has {} steps, the limit is {MAX_DEPTH}",
            steps.len()
        );
        return Err(cannot(message));
    }
    Ok(KeyField {
        path: name.into(),
        steps: steps.into(),
        descending,
    })
}

/// `{ _id: 1 }` may be asked for, and is there.
fn check_id_index(spec: &Spec, field: &KeyField) -> Result<()> {
    if field.descending {
        let message = "the field 'key' for an _id index must be { _id: 1 }";
        return Err(Error::bad_value(message));
    }
    let other = [
        ("sparse", spec.sparse),
        ("hidden", spec.hidden),
        ("partialFilterExpression", spec.partial.is_some()),
        ("expireAfterSeconds", spec.expire_after_seconds.is_some()),
    ];
    match other.into_iter().find(|(_, is_set)| *is_set) {
        None => Ok(()),
        Some((option, _)) => {
            let message =
                format!("the field '{option}' is not valid for an _id index specification");
            Err(cannot(message).with_code(197))
        }
    }
}

fn wrong_type(option: &str, expected: &str, found: RawBsonRef<'_>) -> Error {
    let message = format!(
        "the field '{option}' of an index must be {expected}, found {:?}",
        found.element_type()
    );
    Error::bad_value(message).with_code(14)
}

/// Reads MongoDB's form of an index.
pub(super) fn read_spec(document: &RawDocument) -> Result<Spec> {
    validate_document(document.as_bytes())?;
    let mut spec = Spec::default();
    let mut has_key = false;
    for field in document {
        let (name, value) = field?;
        let name = name.as_str();
        match name {
            "key" => {
                let key = value.as_document();
                spec.key = key
                    .ok_or_else(|| wrong_type(name, "a document", value))?
                    .to_owned();
                has_key = true;
            }
            "name" => {
                let text = value.as_str();
                spec.name = Some(
                    text.ok_or_else(|| wrong_type(name, "a string", value))?
                        .into(),
                );
            }
            "unique" => spec.unique = flag(name, value)?,
            "sparse" => spec.sparse = flag(name, value)?,
            "hidden" => spec.hidden = flag(name, value)?,
            // Every build lets writers go on.
            "background" => drop(flag(name, value)?),
            "partialFilterExpression" => {
                let filter = value.as_document();
                let filter = filter.ok_or_else(|| wrong_type(name, "a document", value))?;
                spec.partial = Some(filter.to_owned());
            }
            "expireAfterSeconds" => spec.expire_after_seconds = Some(seconds(value)?),
            "v" => {
                let version = number(value).ok_or_else(|| wrong_type(name, "a number", value))?;
                if version.to_i64() != Some(2) && version.to_i64() != Some(1) {
                    return Err(cannot("an index version must be 1 or 2"));
                }
            }
            "ns" => {}
            "collation" => {
                let locale = value.as_document().and_then(|it| it.get_str("locale").ok());
                if locale != Some("simple") {
                    return Err(cannot("indexes with a collation are not supported"));
                }
            }
            "storageEngine"
            | "weights"
            | "default_language"
            | "language_override"
            | "textIndexVersion"
            | "2dsphereIndexVersion"
            | "bits"
            | "min"
            | "max"
            | "bucketSize"
            | "wildcardProjection"
            | "columnstoreProjection"
            | "clustered"
            | "prepareUnique" => {
                return Err(cannot(format!(
                    "the index option '{name}' is not supported"
                )));
            }
            other => {
                let message =
                    format!("the field '{other}' is not valid for an index specification");
                return Err(cannot(message).with_code(197));
            }
        }
    }
    for (is_there, name) in [(has_key, "key"), (spec.name.is_some(), "name")] {
        if !is_there {
            let message =
                format!("the '{name}' field is a required property of an index specification");
            return Err(Error::new(ErrorKind::FailedToParse, message));
        }
    }
    Ok(spec)
}

fn number(value: RawBsonRef<'_>) -> Option<Number> {
    Some(match value {
        RawBsonRef::Int32(number) => Number::from_i64(number.into()),
        RawBsonRef::Int64(number) => Number::from_i64(number),
        RawBsonRef::Double(number) => Number::from_f64(number),
        _ => return None,
    })
}

/// MongoDB takes numbers for true and false as well.
fn flag(name: &str, value: RawBsonRef<'_>) -> Result<bool> {
    match (value, number(value)) {
        (RawBsonRef::Boolean(flag), _) => Ok(flag),
        (_, Some(number)) => Ok(number != Number::Zero),
        _ => Err(wrong_type(name, "a boolean", value)),
    }
}

fn seconds(value: RawBsonRef<'_>) -> Result<i32> {
    let number = number(value);
    let number = number.ok_or_else(|| wrong_type("expireAfterSeconds", "a number", value))?;
    let whole = match number {
        Number::Finite { .. } | Number::Zero => value
            .as_f64()
            .map(|double| double.trunc() as i64)
            .or(number.to_i64()),
        _ => None,
    };
    whole
        .and_then(|whole| i32::try_from(whole).ok())
        .ok_or_else(|| {
            cannot(format!(
                "expireAfterSeconds must be within 0 and {}",
                i32::MAX
            ))
        })
}
