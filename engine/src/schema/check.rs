//! Whether a document obeys a schema: every fault is listed.

use std::fmt;

use super::plan::{Level, Node, Plan, Unknown};
use crate::error::Result;
use crate::functions::Draw;
use crate::schema::json_schema::compare_unordered;
use crate::values::{Class, Element, Elements, Kind, RawValue, compare};

/// Most faults that one error lists.
pub(crate) const MAX_FAULTS: usize = 1000;
/// Most characters of a value that is shown.
const MAX_SHOWN: usize = 100;

/// A field that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldFault {
    /// The field: a dotted path, with positions in arrays; empty for the whole document.
    pub path: String,
    /// The rule: `type`, `required`, `min`, `max`, `enum`, `pattern`, `validator`, `unknown`.
    pub rule: String,
    /// What was expected.
    pub expected: String,
    /// What was found. It may show the value.
    pub found: String,
}

impl fmt::Display for FieldFault {
    /// Without what was found: that may be a secret of the document.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "'{}' breaks the rule '{}': expected {}",
            self.path, self.rule, self.expected
        )
    }
}

struct Checker<'a> {
    unknown: Unknown,
    draw: &'a Draw<'a>,
    path: Vec<String>,
    faults: Vec<FieldFault>,
}

impl Plan {
    /// All that is wrong with a document.
    ///
    /// # Errors
    /// A validator is not registered in this process.
    pub(crate) fn check(&self, document: &[u8], draw: &Draw<'_>) -> Result<Vec<FieldFault>> {
        let mut checker = Checker {
            unknown: self.unknown,
            draw,
            path: Vec::new(),
            faults: Vec::new(),
        };
        checker.level(&self.root, Elements::new(document), true)?;
        if let Some(name) = &self.validator {
            let (kind, bytes) = (Kind::Document, document);
            checker.call(name, RawValue { kind, bytes })?;
        }
        Ok(checker.faults)
    }
}

impl Checker<'_> {
    fn level(&mut self, level: &Level, fields: Elements<'_>, is_root: bool) -> Result<()> {
        for node in &level.nodes {
            if fields.clone().find_name(&node.name).is_some() {
                continue;
            }
            self.path.push(shown(&node.name));
            if node.required {
                self.fault("required", "a value", "nothing");
            } else if let (true, Some(inner)) = (node.is_implied, &node.inner) {
                // A path that is required is so with all its steps.
                self.level(inner, Elements::new(&[]), false)?;
            }
            self.path.pop();
        }
        for Element { name, value } in fields {
            let node = level.node(name);
            self.path.push(shown(name));
            match node {
                Some(node) => self.value(node, value)?,
                None if is_root && name == b"_id" => {}
                None if self.unknown == Unknown::Keep => {}
                None => self.fault("unknown", "no such field", value.kind().name()),
            }
            self.path.pop();
        }
        Ok(())
    }

    fn value(&mut self, node: &Node, value: RawValue<'_>) -> Result<()> {
        if !node.accepts(value.kind()) {
            self.fault("type", node.types.clone(), value.kind().name());
            return Ok(());
        }
        for (rule, bound) in [("min", &node.min), ("max", &node.max)] {
            let Some(bound) = bound else { continue };
            if let Some((expected, found)) = beyond(rule == "min", bound.as_raw(), value) {
                self.fault(rule, expected, found);
            }
        }
        if let Some(values) = &node.one_of {
            let is_one =
                |one: &crate::values::OwnedValue| compare_unordered(one.as_raw(), value).is_eq();
            if !values.iter().any(is_one) {
                let values: Vec<_> = values.iter().map(|one| show(one.as_raw())).collect();
                self.fault("enum", format!("one of {}", values.join(", ")), show(value));
            }
        }
        if let Some((source, pattern)) = &node.pattern {
            let text = value.text().filter(|_| value.kind() == Kind::String);
            if text.is_some_and(|text| !pattern.is_match(text)) {
                self.fault("pattern", format!("a match of /{source}/"), show(value));
            }
        }
        self.within(node, value)?;
        match &node.validator {
            Some(name) => self.call(name, value),
            None => Ok(()),
        }
    }

    /// What is inside of a document or an array.
    fn within(&mut self, node: &Node, value: RawValue<'_>) -> Result<()> {
        match (value.kind(), &node.items, &node.inner) {
            (Kind::Document, _, Some(inner)) => {
                self.level(inner, Elements::new(value.bytes()), false)
            }
            (Kind::Array, Some(items), _) => {
                for (place, element) in Elements::new(value.bytes()).enumerate() {
                    self.path.push(place.to_string());
                    self.value(items, element.value)?;
                    self.path.pop();
                }
                Ok(())
            }
            (Kind::Array, None, Some(inner)) => {
                for (place, element) in Elements::new(value.bytes()).enumerate() {
                    self.path.push(place.to_string());
                    if element.value.kind() == Kind::Document {
                        self.level(inner, Elements::new(element.value.bytes()), false)?;
                    } else {
                        self.fault("type", "object", element.value.kind().name());
                    }
                    self.path.pop();
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn call(&mut self, name: &str, value: RawValue<'_>) -> Result<()> {
        let judged = self.draw.validate(name, &value.to_bson()?)?;
        if let Err(reason) = judged {
            self.fault("validator", format!("'{name}' to accept it"), reason);
        }
        Ok(())
    }

    fn fault(&mut self, rule: &str, expected: impl Into<String>, found: impl Into<String>) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(FieldFault {
                path: self.path.join("."),
                rule: rule.into(),
                expected: expected.into(),
                found: found.into(),
            });
        }
    }
}

/// What is wrong with a value beside a bound, if something is.
fn beyond(is_min: bool, bound: RawValue<'_>, value: RawValue<'_>) -> Option<(String, String)> {
    let words = if is_min { "at least" } else { "at most" };
    let is_wrong = |order: std::cmp::Ordering| match is_min {
        true => order.is_lt(),
        false => order.is_gt(),
    };
    let length = match value.kind() {
        Kind::String => value.text().map(|text| {
            // Bytes that do not continue a character.
            text.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
        }),
        Kind::Array => value.elements().map(Iterator::count),
        _ => None,
    };
    if let Some(length) = length {
        let own = i64::try_from(length).unwrap_or(i64::MAX).to_le_bytes();
        let own = RawValue {
            kind: Kind::Int64,
            bytes: &own,
        };
        let is_number = bound.kind().class() == Class::Number;
        return (is_number && is_wrong(compare(own, bound))).then(|| {
            (
                format!("a length of {words} {}", show(bound)),
                length.to_string(),
            )
        });
    }
    let is_same = value.kind().class() == bound.kind().class();
    let is_beyond = is_same && (value.is_nan() || is_wrong(compare(value, bound)));
    is_beyond.then(|| (format!("{words} {}", show(bound)), show(value)))
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn show(value: RawValue<'_>) -> String {
    let text = value.to_bson().map(|value| value.to_string());
    text.unwrap_or_default().chars().take(MAX_SHOWN).collect()
}
