//! A stored schema, compiled.
//!
//! ## Invariants
//! * Paths are a tree here: each level has a name once.
//! * Every key of the stored form is known; another is refused.
//! * The tree is no deeper than [`MAX_DEPTH`].

use bson::RawDocument;

use crate::error::{Error, ErrorKind, Result};
use crate::filter::KindSet;
use crate::pattern::Pattern;
use crate::values::{Class, Element, Elements, Kind, OwnedValue, RawValue};

/// Most levels of fields.
const MAX_DEPTH: usize = 50;
/// Most fields of a schema.
const MAX_FIELDS: usize = 10_000;

/// A schema, ready to be asked.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) root: Level,
    pub(super) unknown: Unknown,
    /// A function that judges whole documents.
    pub(super) validator: Option<Box<str>>,
    /// Whether a document may become another by it.
    pub(super) shapes: bool,
    /// Whether functions are called that are registered in the process, or that draw
    /// values which no evaluation may draw.
    pub(crate) calls_functions: bool,
    /// Whether operands of queries are coerced.
    pub(crate) coerces: bool,
    /// Paths of unique fields, and whether they are required.
    pub(crate) unique: Vec<(String, bool)>,
    fields: usize,
}

/// What becomes of fields that are not named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unknown {
    #[default]
    Keep,
    Refuse,
    Remove,
}

/// The fields of a document.
#[derive(Debug, Default)]
pub(super) struct Level {
    pub(super) nodes: Vec<Node>,
}

impl Level {
    pub(super) fn node(&self, name: &[u8]) -> Option<&Node> {
        self.nodes.iter().find(|node| *node.name == *name)
    }
}

/// A field.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) name: Box<[u8]>,
    /// What it may be; empty for anything.
    pub(super) kinds: Vec<Kind>,
    /// The same as the author wrote it.
    pub(super) types: String,
    pub(super) accepted: KindSet,
    pub(super) required: bool,
    pub(super) default: Option<Source>,
    pub(super) min: Option<OwnedValue>,
    pub(super) max: Option<OwnedValue>,
    pub(super) one_of: Option<Vec<OwnedValue>>,
    pub(super) pattern: Option<(String, Pattern)>,
    pub(super) coerce: bool,
    pub(super) validator: Option<Box<str>>,
    /// What the elements of an array are.
    pub(super) items: Option<Box<Self>>,
    /// What a document is, and the documents of an array that has no `items`.
    pub(super) inner: Option<Level>,
    /// It is there only because something under it is named.
    pub(super) is_implied: bool,
}

/// Where a default comes from.
#[derive(Debug)]
pub(super) enum Source {
    Value(OwnedValue),
    Function(Box<str>),
}

impl Node {
    pub(super) fn accepts(&self, kind: Kind) -> bool {
        self.kinds.is_empty() || self.accepted.contains(kind)
    }

    /// Whether something under it has a default, so that it is made if it is missing.
    pub(super) fn is_made(&self) -> bool {
        let has_default = |node: &Self| node.default.is_some() || node.is_made();
        self.is_implied && self.inner.iter().flat_map(|it| &it.nodes).any(has_default)
    }
}

impl Plan {
    /// The schema of this stored form.
    ///
    /// # Errors
    /// It makes no sense (code 2, or 9 for what is not known).
    pub(crate) fn parse(stored: RawValue<'_>) -> Result<Self> {
        let mut plan = Self {
            root: Level::default(),
            unknown: Unknown::default(),
            validator: None,
            shapes: false,
            calls_functions: false,
            coerces: false,
            unique: Vec::new(),
            fields: 0,
        };
        let mut is_strict = false;
        for Element { name, value } in object("schema", stored)? {
            match name {
                b"fields" => {
                    for field in object("fields", value)? {
                        plan.add(field, "", 0)?;
                    }
                }
                b"mode" => match text("mode", value)? {
                    "strict" => is_strict = true,
                    "lax" => {}
                    other => return Err(choice("mode", "strict or lax", other)),
                },
                b"unknown" => match text("unknown", value)? {
                    "refuse" => plan.unknown = Unknown::Refuse,
                    "remove" => plan.unknown = Unknown::Remove,
                    other => return Err(choice("unknown", "refuse or remove", other)),
                },
                b"validator" => plan.validator = Some(text("validator", value)?.into()),
                other => return Err(unknown_key("a schema", other)),
            }
        }
        plan.unknown = match (is_strict, plan.unknown) {
            (false, Unknown::Keep) => Unknown::Keep,
            (false, _) => return Err(Error::bad_value("schema: 'unknown' needs the mode strict")),
            (true, Unknown::Keep) => Unknown::Refuse,
            (true, chosen) => chosen,
        };
        plan.calls_functions |= plan.validator.is_some();
        plan.shapes |= plan.unknown == Unknown::Remove;
        Ok(plan)
    }

    /// Adds the field of a dotted path to the root.
    fn add(&mut self, field: Element<'_>, prefix: &str, depth: usize) -> Result<()> {
        let mut root = std::mem::take(&mut self.root);
        let added = self.add_to(&mut root, field, prefix, depth);
        self.root = root;
        added
    }

    fn add_to(
        &mut self,
        level: &mut Level,
        field: Element<'_>,
        prefix: &str,
        depth: usize,
    ) -> Result<()> {
        let path = std::str::from_utf8(field.name).unwrap_or_default();
        let whole = format!("{prefix}{path}");
        let steps: Vec<&str> = path.split('.').collect();
        if depth + steps.len() > MAX_DEPTH {
            let message = format!("schema: '{whole}' has more than {MAX_DEPTH} levels");
            return Err(Error::bad_value(message));
        }
        if steps
            .iter()
            .any(|step| step.is_empty() || step.starts_with('$'))
        {
            let message = format!("schema: '{whole}' is no path of a field");
            return Err(Error::bad_value(message));
        }
        let depth = depth + steps.len();
        let mut node = self.node(field.value, &whole, depth)?;
        let Some((last, parents)) = steps.split_last() else {
            return Ok(());
        };
        let mut level = level;
        for step in parents {
            let position = level
                .nodes
                .iter()
                .position(|node| *node.name == *step.as_bytes());
            let position = position.unwrap_or_else(|| {
                level.nodes.push(implied(step));
                level.nodes.len() - 1
            });
            level = level.nodes[position].inner.get_or_insert_default();
        }
        node.name = last.as_bytes().into();
        let position = level.nodes.iter().position(|other| other.name == node.name);
        match position {
            None => level.nodes.push(node),
            // What was named under it before is kept.
            Some(position) if level.nodes[position].is_implied => {
                let before = level.nodes[position].inner.take();
                let inner = node.inner.get_or_insert_default();
                inner
                    .nodes
                    .extend(before.into_iter().flat_map(|it| it.nodes));
                level.nodes[position] = node;
            }
            Some(_) => {
                let message = format!("schema: the field '{whole}' is there twice");
                return Err(Error::bad_value(message));
            }
        }
        Ok(())
    }

    fn node(&mut self, stored: RawValue<'_>, path: &str, depth: usize) -> Result<Node> {
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            let message = format!("a schema has at most {MAX_FIELDS} fields");
            return Err(Error::bad_value(message));
        }
        if depth > MAX_DEPTH {
            let message = format!("schema: '{path}' has more than {MAX_DEPTH} levels");
            return Err(Error::bad_value(message));
        }
        let mut node = Node::default();
        for Element { name, value } in object(path, stored)? {
            let key = String::from_utf8_lossy(name).into_owned();
            let at = format!("{path}.{key}");
            match name {
                b"type" => types(&mut node, &at, value)?,
                b"required" => node.required = boolean(&at, value)?,
                b"default" if node.default.is_none() => {
                    node.default = Some(Source::Value(value.into()));
                }
                b"defaultFunction" if node.default.is_none() => {
                    node.default = Some(Source::Function(text(&at, value)?.into()));
                    self.calls_functions = true;
                }
                b"default" | b"defaultFunction" => {
                    let message = format!("schema: '{path}' has two defaults");
                    return Err(Error::bad_value(message));
                }
                b"min" => node.min = Some(bound(&at, value)?),
                b"max" => node.max = Some(bound(&at, value)?),
                b"enum" => {
                    let values = array(&at, value)?;
                    node.one_of = Some(values.map(|one| one.value.into()).collect());
                }
                b"pattern" => {
                    let source = text(&at, value)?;
                    let pattern = Pattern::new(source.as_bytes(), b"");
                    node.pattern = Some((source.into(), pattern.map_err(|e| e.at(&at))?));
                }
                b"unique" => {
                    if boolean(&at, value)? {
                        self.unique.push((path.into(), false));
                    }
                }
                b"coerce" => node.coerce = boolean(&at, value)?,
                b"validator" => {
                    node.validator = Some(text(&at, value)?.into());
                    self.calls_functions = true;
                }
                b"items" => node.items = Some(Box::new(self.node(value, path, depth + 1)?)),
                b"fields" => {
                    let mut inner = Level::default();
                    for field in object(&at, value)? {
                        self.add_to(&mut inner, field, &format!("{path}."), depth)?;
                    }
                    node.inner = Some(inner);
                }
                other => return Err(unknown_key(path, other)),
            }
        }
        if node.coerce && node.kinds.is_empty() {
            let message = format!("schema: '{path}' is coerced, but to what type is not said");
            return Err(Error::bad_value(message));
        }
        if let Some((_, required)) = self.unique.iter_mut().find(|(other, _)| other == path) {
            *required |= node.required;
        }
        self.coerces |= node.coerce;
        self.shapes |= node.coerce || node.default.is_some();
        Ok(node)
    }
}

/// A field under which others are named: a document, or an array of documents.
fn implied(name: &str) -> Node {
    let mut node = Node {
        name: name.as_bytes().into(),
        kinds: vec![Kind::Document, Kind::Array],
        types: "object or array".into(),
        is_implied: true,
        ..Node::default()
    };
    node.accepted.insert(Kind::Document);
    node.accepted.insert(Kind::Array);
    node
}

fn types(node: &mut Node, at: &str, value: RawValue<'_>) -> Result<()> {
    let mut names = Vec::new();
    if value.kind() == Kind::String {
        names.push(text(at, value)?);
    } else {
        for one in array(at, value)? {
            names.push(text(at, one.value)?);
        }
    }
    for name in &names {
        let number = |kind: &Kind| *name == "number" && kind.class() == Class::Number;
        let kinds = Kind::ALL.into_iter();
        let kinds: Vec<Kind> = kinds
            .filter(|it| it.name() == *name || number(it))
            .collect();
        if kinds.is_empty() {
            return Err(Error::bad_value(format!(
                "schema: '{at}': unknown type '{name}'"
            )));
        }
        for kind in kinds {
            node.accepted.insert(kind);
            node.kinds.push(kind);
        }
    }
    if names.is_empty() {
        return Err(Error::bad_value(format!(
            "schema: '{at}' must not be empty"
        )));
    }
    node.types = names.join(" or ");
    Ok(())
}

fn bound(at: &str, value: RawValue<'_>) -> Result<OwnedValue> {
    match value.kind().class() {
        Class::Number | Class::DateTime => Ok(value.into()),
        _ => Err(wrong(at, "a number or a date", value)),
    }
}

fn object<'a>(at: &str, value: RawValue<'a>) -> Result<Elements<'a>> {
    let elements = value.elements().filter(|_| value.kind() == Kind::Document);
    elements.ok_or_else(|| wrong(at, "a document", value))
}

fn array<'a>(at: &str, value: RawValue<'a>) -> Result<Elements<'a>> {
    let elements = value.elements().filter(|_| value.kind() == Kind::Array);
    elements.ok_or_else(|| wrong(at, "an array", value))
}

fn text<'a>(at: &str, value: RawValue<'a>) -> Result<&'a str> {
    let text = value.text().filter(|_| value.kind() == Kind::String);
    let text = text.and_then(|text| std::str::from_utf8(text).ok());
    text.ok_or_else(|| wrong(at, "a string", value))
}

fn boolean(at: &str, value: RawValue<'_>) -> Result<bool> {
    value
        .boolean()
        .ok_or_else(|| wrong(at, "true or false", value))
}

fn wrong(at: &str, expected: &str, found: RawValue<'_>) -> Error {
    let found = found.kind().name();
    let message = format!("schema: '{at}' must be {expected}, found {found}");
    Error::bad_value(message).with_code(14)
}

fn choice(at: &str, expected: &str, found: &str) -> Error {
    Error::bad_value(format!(
        "schema: '{at}' must be {expected}, found '{found}'"
    ))
}

fn unknown_key(place: &str, key: &[u8]) -> Error {
    let key = String::from_utf8_lossy(key);
    let message = format!("schema: unknown key '{key}' in {place}");
    Error::new(ErrorKind::FailedToParse, message)
}

/// The schema in the options of a collection, if there is one.
pub(crate) fn of(options: &RawDocument) -> Result<Option<Plan>> {
    let stored = Elements::new(options.as_bytes()).find_name(b"schema");
    stored.map(Plan::parse).transpose()
}
