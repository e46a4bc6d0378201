//! From BSON to [`Node`]s.

use super::environment::{Scope, Slot, check_read_name};
use super::node::{Call, Node};
use super::operators::{self, Entry};
use super::path::{Base, Path, parse_steps};
use super::value::Value;
use crate::error::{Error, ErrorKind, Result};
use crate::values::{Element, Elements, Kind, MAX_DEPTH, RawValue};

/// The state of parsing: which variables there are, how deep it is.
pub(super) struct Parser<'s> {
    scope: &'s Scope,
    /// Variables of `$let` and the like that can be seen here, innermost last.
    local: Vec<(Box<str>, Slot)>,
    depth: usize,
}

/// A refusal with MongoDB's code.
#[cold]
pub(super) fn refuse(code: i32, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadValue, message).with_code(code)
}

/// A name for a message.
pub(super) fn show(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

impl<'s> Parser<'s> {
    pub(super) fn new(scope: &'s Scope) -> Self {
        Self {
            scope,
            local: Vec::new(),
            depth: 0,
        }
    }

    /// An expression, whatever it is written as.
    pub(super) fn operand(&mut self, value: RawValue<'_>) -> Result<Node> {
        match value.kind() {
            Kind::String if value.text().is_some_and(|text| text.starts_with(b"$")) => {
                self.path(text_of(value)?)
            }
            Kind::Document => self.deeper(|parser| parser.document(value)),
            Kind::Array => self.deeper(|parser| {
                let elements = Elements::new(value.bytes());
                let nodes = elements.map(|element| parser.operand(element.value));
                Ok(Node::Array(nodes.collect::<Result<_>>()?))
            }),
            _ => constant(value),
        }
    }

    fn deeper(&mut self, parse: impl FnOnce(&mut Self) -> Result<Node>) -> Result<Node> {
        if self.depth > MAX_DEPTH {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("an expression has more than {MAX_DEPTH} levels"),
            )
            .with_code(15));
        }
        self.depth += 1;
        let node = parse(self);
        self.depth -= 1;
        node
    }

    /// A document: an operator, or fields with expressions.
    pub(super) fn document(&mut self, value: RawValue<'_>) -> Result<Node> {
        let mut elements = Elements::new(value.bytes());
        let first = elements.clone().next();
        if let Some(first) = first
            && first.name.starts_with(b"$")
        {
            elements.next();
            if elements.next().is_some() {
                return Err(refuse(
                    15983,
                    format!(
                        "an expression has one operator: '{}' is not alone",
                        show(first.name)
                    ),
                ));
            }
            return self.operator(first);
        }
        let mut fields: Vec<(Box<[u8]>, Node)> = Vec::new();
        for element in elements {
            let name = element.name;
            if name.contains(&b'.') {
                return Err(refuse(
                    16412,
                    format!("field '{}' of a document has a '.'", show(name)),
                ));
            }
            if name.starts_with(b"$") {
                return Err(refuse(
                    16410,
                    format!("field '{}' of a document begins with '$'", show(name)),
                ));
            }
            if fields.iter().any(|(other, _)| **other == *name) {
                return Err(refuse(
                    16406,
                    format!("field '{}' of a document occurs twice", show(name)),
                ));
            }
            let node = self.operand(element.value)?;
            fields.push((name.into(), node));
        }
        Ok(Node::Document(fields))
    }

    fn operator(&mut self, element: Element<'_>) -> Result<Node> {
        let Some(entry) = operators::find(element.name) else {
            return Err(refuse(
                168,
                format!("unrecognized expression '{}'", show(element.name)),
            ));
        };
        match entry {
            Entry::Special(parse) => parse(element.value, self),
            Entry::Unsupported => Err(refuse(
                168,
                format!("expression '{}' is not supported", show(element.name)),
            )),
            Entry::Call {
                name,
                least,
                most,
                evaluate,
            } => {
                let arguments = self.arguments(element.value)?;
                if arguments.len() < least || arguments.len() > most {
                    return Err(wrong_number(name, least, most, arguments.len()));
                }
                Ok(Node::Call(Call {
                    name,
                    evaluate,
                    arguments,
                }))
            }
        }
    }

    /// The operands of an operator: those of an array, or a single one.
    pub(super) fn arguments(&mut self, value: RawValue<'_>) -> Result<Vec<Node>> {
        if value.kind() != Kind::Array {
            return Ok(vec![self.operand(value)?]);
        }
        Elements::new(value.bytes())
            .map(|element| self.operand(element.value))
            .collect()
    }

    /// Calls `parse` where these variables can be seen beside those of outside.
    pub(super) fn with_variables<T>(
        &mut self,
        names: &[&str],
        parse: impl FnOnce(&mut Self, &[Slot]) -> Result<T>,
    ) -> Result<T> {
        let before = self.local.len();
        let mut slots = Vec::with_capacity(names.len());
        for name in names {
            let slot = Slot(self.scope.names().len() + self.local.len());
            self.local.push(((*name).into(), slot));
            slots.push(slot);
        }
        let parsed = parse(self, &slots);
        self.local.truncate(before);
        parsed
    }

    fn variable(&self, name: &str) -> Option<Slot> {
        let local = self.local.iter().rev().find(|(local, _)| **local == *name);
        if let Some((_, slot)) = local {
            return Some(*slot);
        }
        let position = self
            .scope
            .names()
            .iter()
            .rposition(|known| **known == *name)?;
        Some(Slot(position))
    }

    /// What `$a` begins at: the document, unless `CURRENT` is something else here.
    pub(super) fn current(&self) -> Base {
        self.variable("CURRENT").map_or(Base::Root, Base::Slot)
    }

    /// A path that begins with `$`.
    pub(super) fn path(&self, text: &str) -> Result<Node> {
        let Some(named) = text.strip_prefix("$$") else {
            let path = text.strip_prefix('$').unwrap_or(text);
            if path.is_empty() {
                return Err(refuse(16872, "'$' by itself is no field path"));
            }
            return Ok(Node::Path(Path {
                base: self.current(),
                steps: parse_steps(path)?,
            }));
        };
        // MongoDB's order: the name, whether there is such a variable, the path.
        let (name, rest) = match named.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (named, None),
        };
        check_read_name(name)?;
        let base = match self.variable(name) {
            Some(slot) => Base::Slot(slot),
            None => match name {
                "ROOT" | "CURRENT" => Base::Root,
                "NOW" => Base::Now,
                "REMOVE" => {
                    if let Some(rest) = rest {
                        parse_steps(rest)?;
                    }
                    return Ok(Node::Missing);
                }
                "DESCEND" | "PRUNE" | "KEEP" if self.scope.is_in_redact() => {
                    return Ok(Node::Constant(Value::text(&name.to_lowercase())));
                }
                "CLUSTER_TIME" | "USER_ROLES" | "JS_SCOPE" | "IS_MR" | "SEARCH_META" => {
                    let message = format!("builtin variable '$${name}' is not available");
                    return Err(refuse(51144, message));
                }
                _ => return Err(refuse(17276, format!("use of undefined variable: {name}"))),
            },
        };
        let steps = match rest {
            Some(rest) => parse_steps(rest)?,
            None => Box::default(),
        };
        Ok(Node::Path(Path { base, steps }))
    }
}

/// The text of a string that was validated.
pub(super) fn text_of(value: RawValue<'_>) -> Result<&str> {
    value
        .text()
        .and_then(|text| std::str::from_utf8(text).ok())
        .ok_or_else(|| Error::new(ErrorKind::InvalidDocument, "text is not UTF-8"))
}

/// A constant.
pub(super) fn constant(value: RawValue<'_>) -> Result<Node> {
    Ok(Node::Constant(Value::from_raw(value).into_static()?))
}

/// The wrong number of operands.
pub(super) fn wrong_number(name: &str, least: usize, most: usize, found: usize) -> Error {
    if least == most {
        return refuse(
            16020,
            format!("expression {name} takes exactly {least} arguments, {found} were passed in"),
        );
    }
    refuse(
        28667,
        format!("expression {name} takes {least} to {most} arguments, {found} were passed in"),
    )
}
