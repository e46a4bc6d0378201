//! Why a validator refused a document, in the form of MongoDB's `errInfo.details`.
//!
//! The parts of the validator are asked one by one, each compiled on its own: slow, and
//! without a second meaning of any rule. It happens only to documents that are refused.
//!
//! ## Invariants
//! * What is said is bounded: [`MAX_LISTED`] entries of a list, values of
//!   [`MAX_SHOWN`] bytes.
//! * Recursion follows the validator, a document of bounded depth.

mod schema;

use bson::{RawDocument, RawDocumentBuf};

use crate::filter::{Filter, Variables};
use crate::values::{DocumentBuilder, Element, Elements, Kind, PositionName, RawValue};

/// Most entries of one list.
const MAX_LISTED: usize = 100;
/// Most bytes of a value that is shown.
const MAX_SHOWN: usize = 1024;

/// The details, as the bytes of a document.
pub(super) fn explain(validator: &RawDocument, document: &[u8], variables: &Variables) -> Vec<u8> {
    let mut out = DocumentBuilder::new();
    let scene = Scene {
        document,
        variables,
    };
    scene.filter(&mut out, validator.as_bytes());
    out.finish()
}

/// What is explained over which document.
struct Scene<'a> {
    document: &'a [u8],
    variables: &'a Variables,
}

impl Scene<'_> {
    /// Whether the document matches; what cannot be asked alone is taken to be met.
    fn matches(&self, filter: Vec<u8>) -> bool {
        let filter = RawDocumentBuf::from_bytes(filter).map(|it| Filter::compile(&it));
        let Ok(Ok(filter)) = filter else { return true };
        let filter = filter.with_variables(self.variables.clone());
        filter.matches_bytes(self.document).unwrap_or(false)
    }

    /// Fields of what is said about a filter that does not match.
    fn filter(&self, out: &mut DocumentBuilder, filter: &[u8]) {
        let clauses: Vec<Element<'_>> = Elements::new(filter)
            .filter(|clause| clause.name != b"$comment")
            .collect();
        match clauses.as_slice() {
            [clause] => self.clause(out, *clause),
            clauses => {
                let parts: Vec<_> = clauses
                    .iter()
                    .map(|it| it.value.to_document(it.name))
                    .collect();
                self.clauses(out, "$and", "clausesNotSatisfied", &parts);
            }
        }
    }

    /// The filters of a list that do not match, or that do.
    fn clauses(&self, out: &mut DocumentBuilder, operator: &str, list: &str, filters: &[Vec<u8>]) {
        let wanted = operator == "$nor";
        out.append_text(b"operatorName", operator.as_bytes());
        out.open_array(list.as_bytes());
        let found = filters.iter().enumerate();
        let found = found.filter(|(_, filter)| self.matches((*filter).clone()) == wanted);
        for (place, (position, filter)) in found.take(MAX_LISTED).enumerate() {
            out.open_document(PositionName::new(place).as_bytes());
            append_number(out, b"index", position);
            out.open_document(b"details");
            if wanted {
                out.append_text(b"reason", b"clause was satisfied");
            } else {
                self.filter(out, filter);
            }
            out.close();
            out.close();
        }
        out.close();
    }

    fn clause(&self, out: &mut DocumentBuilder, clause: Element<'_>) {
        let Element { name, value } = clause;
        match name {
            b"$jsonSchema" => {
                let document = RawValue {
                    kind: Kind::Document,
                    bytes: self.document,
                };
                out.append_text(b"operatorName", name);
                schema::annotations(out, value);
                out.open_array(b"schemaRulesNotSatisfied");
                schema::rules(out, value, document);
                out.close();
            }
            b"$and" | b"$or" | b"$nor" => {
                let parts = value.elements().into_iter().flatten();
                let parts: Vec<_> = parts.map(|part| part.value.bytes().to_vec()).collect();
                let list = if name == b"$nor" {
                    "clausesSatisfied"
                } else {
                    "clausesNotSatisfied"
                };
                self.clauses(out, &String::from_utf8_lossy(name), list, &parts);
            }
            b"$expr" => {
                out.append_text(b"operatorName", name);
                specified(out, &value.to_document(name));
                out.append_text(b"reason", b"expression did not match");
            }
            _ if name.starts_with(b"$") => {
                out.append_text(b"operatorName", name);
                specified(out, &value.to_document(name));
                out.append_text(b"reason", b"expression did not match");
            }
            path => self.path(out, path, value),
        }
    }

    /// What is asked of one path.
    fn path(&self, out: &mut DocumentBuilder, path: &[u8], asked: RawValue<'_>) {
        let operators = || asked.elements().into_iter().flatten();
        let has_operators = asked.kind() == Kind::Document
            && operators()
                .next()
                .is_some_and(|it| it.name.starts_with(b"$"));
        if !has_operators {
            let operator: &[u8] = if asked.kind() == Kind::Regex {
                b"$regex"
            } else {
                b"$eq"
            };
            return self.operator(out, path, operator, &asked.to_document(path));
        }
        let single: Vec<(&[u8], Vec<u8>)> = operators()
            .filter(|it| it.name != b"$options")
            .map(|it| {
                let mut inner = DocumentBuilder::new();
                inner.open_document(path);
                inner.append(it.name, it.value);
                let options = operators().find(|other| other.name == b"$options");
                if let (b"$regex", Some(options)) = (it.name, options) {
                    inner.append(b"$options", options.value);
                }
                (it.name, inner.finish())
            })
            .collect();
        match single.as_slice() {
            [(operator, filter)] => self.operator(out, path, operator, filter),
            _ => {
                let filters: Vec<_> = single.into_iter().map(|(_, filter)| filter).collect();
                self.clauses(out, "$and", "clausesNotSatisfied", &filters);
            }
        }
    }

    fn operator(&self, out: &mut DocumentBuilder, path: &[u8], operator: &[u8], filter: &[u8]) {
        out.append_text(b"operatorName", operator);
        specified(out, filter);
        let found = value_at(self.document, path);
        let reason: &[u8] = match (operator, found) {
            (b"$exists", Some(_)) => b"path does exist",
            (b"$exists", None) => b"path does not exist",
            (b"$ne" | b"$nin" | b"$not", _) => b"child expression matched",
            (_, None) => b"field was missing",
            (b"$type", _) => b"type did not match",
            (b"$in", _) => b"no matching value found in array",
            (b"$regex", _) => b"regular expression did not match",
            (b"$size" | b"$all" | b"$elemMatch", _) => b"array did not satisfy the child predicate",
            (b"$mod", _) => b"$mod did not evaluate to expected remainder",
            _ => b"comparison failed",
        };
        out.append_text(b"reason", reason);
        if let Some(found) = found {
            considered(out, found);
        }
    }
}

/// The value at a path of documents; none if an array is on the way.
fn value_at<'a>(document: &'a [u8], path: &[u8]) -> Option<RawValue<'a>> {
    let mut steps = path.split(|byte| *byte == b'.');
    let mut found = Elements::new(document).find_name(steps.next()?)?;
    for step in steps {
        if found.kind() != Kind::Document {
            return None;
        }
        found = found.elements()?.find_name(step)?;
    }
    Some(found)
}

fn specified(out: &mut DocumentBuilder, rule: &[u8]) {
    if rule.len() <= MAX_SHOWN {
        let (kind, bytes) = (Kind::Document, rule);
        out.append(b"specifiedAs", RawValue { kind, bytes });
    }
}

fn considered(out: &mut DocumentBuilder, value: RawValue<'_>) {
    if value.bytes().len() <= MAX_SHOWN {
        out.append(b"consideredValue", value);
    }
}

fn append_number(out: &mut DocumentBuilder, name: &[u8], number: usize) {
    let number = i32::try_from(number).unwrap_or(i32::MAX);
    out.append_parts(name, Kind::Int32, &[&number.to_le_bytes()]);
}
