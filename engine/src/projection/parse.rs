//! From the projection of a query or of `$project` to its tree.

use bson::RawDocument;

use super::array::Slice;
use super::tree::{Child, Computed, Mode, Node};
use super::{Projection, array};
use crate::error::{Error, Result};
use crate::expression::{Expression, Scope};
use crate::filter::Filter;
use crate::sort::check_path;
use crate::values::{Element, Elements, Kind, MAX_DEPTH, RawValue, validate_document};

/// How many steps a path may have, as in MongoDB.
const MAX_STEPS: usize = 200;

pub(super) fn projection(
    document: &RawDocument,
    scope: &Scope,
    is_find: bool,
) -> Result<Projection> {
    validate_document(document.as_bytes())?;
    let mut parser = Parser {
        scope,
        is_find,
        root: Node::default(),
        mode: None,
        id: None,
        slices: Vec::new(),
        positional: None,
        has_element_match: false,
    };
    for element in Elements::new(document.as_bytes()) {
        parser.element(element, &[])?;
    }
    let keeps_id = parser.id != Some(false);
    let mode = parser.mode.unwrap_or_else(|| {
        let is_inclusion = parser.id == Some(true) || parser.has_element_match;
        if is_inclusion {
            Mode::Include
        } else {
            Mode::Exclude
        }
    });
    let mut root = parser.root;
    if mode == Mode::Include && keeps_id && root.position(b"_id").is_none() {
        root.add(&[b"_id".as_slice().into()], Child::Keep, &|_| {
            Error::bad_value("_id twice")
        })?;
    }
    Ok(Projection {
        mode,
        root,
        slices: parser.slices,
        positional: parser.positional,
    })
}

struct Parser<'s> {
    scope: &'s Scope,
    is_find: bool,
    root: Node,
    /// What the first field that says so says.
    mode: Option<Mode>,
    /// Whether `_id` as a whole is included or excluded.
    id: Option<bool>,
    slices: Vec<Slice>,
    positional: Option<Box<[Box<[u8]>]>>,
    has_element_match: bool,
}

fn refused(code: i32, message: impl Into<String>) -> Error {
    Error::bad_value(message).with_code(code)
}

pub(super) fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// The steps of a path below `parent`.
pub(super) fn steps(parent: &[Box<[u8]>], name: &[u8]) -> Result<Vec<Box<[u8]>>> {
    check_path(name)?;
    let mut steps = parent.to_vec();
    steps.extend(name.split(|byte| *byte == b'.').map(Into::into));
    if steps.len() > MAX_STEPS.min(MAX_DEPTH) {
        let limit = MAX_STEPS.min(MAX_DEPTH);
        let message = format!(
            "a field path has {} steps, the limit is {limit}",
            steps.len()
        );
        return Err(refused(15, message));
    }
    Ok(steps)
}

impl Parser<'_> {
    fn element(&mut self, element: Element<'_>, parent: &[Box<[u8]>]) -> Result<()> {
        let value = element.value;
        match value.kind() {
            Kind::Document => self.document(element, parent),
            Kind::Boolean | Kind::Int32 | Kind::Int64 | Kind::Double | Kind::Decimal128 => {
                if value.is_truthy() {
                    self.inclusion(element.name, parent)
                } else {
                    self.exclusion(element.name, parent)
                }
            }
            _ => {
                if positional_base(element.name).is_some() {
                    let message = "a positional projection cannot be a literal";
                    return Err(refused(31308, message));
                }
                let expression = Expression::parse(value, self.scope)?;
                self.computed(element.name, parent, expression, 31310)
            }
        }
    }

    fn document(&mut self, element: Element<'_>, parent: &[Box<[u8]>]) -> Result<()> {
        let name = element.name;
        if positional_base(name).is_some() {
            let message = "a positional projection cannot be an expression or a document";
            return Err(refused(31271, message));
        }
        let mut fields = Elements::new(element.value.bytes());
        let Some(first) = fields.next() else {
            let message = format!(
                "an empty projection is not a valid value of '{}'",
                text(name)
            );
            return Err(refused(51270, message));
        };
        if fields.next().is_some() || !first.name.starts_with(b"$") {
            let below = steps(parent, name)?;
            for field in Elements::new(element.value.bytes()) {
                self.element(field, &below)?;
            }
            return Ok(());
        }
        if self.is_find {
            match first.name {
                b"$slice" if self.slice(name, parent, first.value)? => return Ok(()),
                b"$elemMatch" => return self.element_match(name, parent, first.value),
                b"$meta" => {
                    let message = format!("$meta is not supported, at '{}'", text(name));
                    return Err(refused(17308, message));
                }
                _ => {}
            }
        }
        let expression = Expression::parse(element.value, self.scope).map_err(|error| {
            // An operator that is not known has a code of its own here.
            if error.code() == Some(168) {
                error.with_code(31325)
            } else {
                error
            }
        })?;
        self.computed(name, parent, expression, 31252)
    }

    fn add(&mut self, steps: &[Box<[u8]>], leaf: Child) -> Result<()> {
        self.root.add(steps, leaf, &|is_below| {
            let path = text(&steps.join(&b'.'));
            let code = if is_below { 31249 } else { 31250 };
            refused(code, format!("path collision at '{path}'"))
        })
    }

    fn inclusion(&mut self, name: &[u8], parent: &[Box<[u8]>]) -> Result<()> {
        if let Some(base) = positional_base(name) {
            return self.positional(base, parent);
        }
        let steps = steps(parent, name)?;
        self.add(&steps, Child::Keep)?;
        if is_id(&steps) {
            self.id = Some(true);
            return Ok(());
        }
        self.decide(Mode::Include, 31253, &steps)
    }

    fn exclusion(&mut self, name: &[u8], parent: &[Box<[u8]>]) -> Result<()> {
        if positional_base(name).is_some() {
            let message = "a positional projection cannot be used with an exclusion";
            return Err(refused(31395, message));
        }
        let steps = steps(parent, name)?;
        self.add(&steps, Child::Drop)?;
        if is_id(&steps) {
            self.id = Some(false);
            return Ok(());
        }
        self.decide(Mode::Exclude, 31254, &steps)
    }

    /// All fields but `_id` have to be of one sort.
    fn decide(&mut self, mode: Mode, code: i32, steps: &[Box<[u8]>]) -> Result<()> {
        if *self.mode.get_or_insert(mode) == mode {
            return Ok(());
        }
        let path = text(&steps.join(&b'.'));
        let message = format!("the projection both includes and excludes, at '{path}'");
        Err(refused(code, message))
    }

    fn computed(
        &mut self,
        name: &[u8],
        parent: &[Box<[u8]>],
        expression: Expression,
        code: i32,
    ) -> Result<()> {
        let steps = steps(parent, name)?;
        let computed = Computed::Expression(expression);
        self.add(&steps, Child::Computed(Box::new(computed)))?;
        self.decide(Mode::Include, code, &steps)
    }

    fn positional(&mut self, base: &[u8], parent: &[Box<[u8]>]) -> Result<()> {
        if !self.is_find {
            let message = "a positional projection cannot be used in an aggregation";
            return Err(refused(31324, message));
        }
        let steps = steps(parent, base)?;
        if self.positional.is_some() {
            let message = "more than one positional projection in a query";
            return Err(refused(31276, message));
        }
        if self.has_element_match {
            let message = "a positional projection together with $elemMatch";
            return Err(refused(31255, message));
        }
        self.add(&steps, Child::Keep)?;
        self.decide(Mode::Include, 31253, &steps)?;
        self.positional = Some(steps.into());
        Ok(())
    }

    /// The `$slice` of queries; false if it can only be the expression.
    fn slice(&mut self, name: &[u8], parent: &[Box<[u8]>], operand: RawValue<'_>) -> Result<bool> {
        let Some((skip, limit)) = array::slice_operand(operand) else {
            return Ok(false);
        };
        // Together with a positional projection MongoDB takes it for the expression.
        if self.positional.is_some() {
            return Ok(false);
        }
        let steps = steps(parent, name)?;
        self.add(&steps, Child::Keep)?;
        self.slices.push(Slice {
            path: steps.into(),
            skip,
            limit,
        });
        Ok(true)
    }

    fn element_match(
        &mut self,
        name: &[u8],
        parent: &[Box<[u8]>],
        operand: RawValue<'_>,
    ) -> Result<()> {
        if operand.kind() != Kind::Document {
            let message = format!(
                "$elemMatch expects a document, found {}, at '{}'",
                operand.kind().name(),
                text(name)
            );
            return Err(refused(31274, message));
        }
        if self.positional.is_some() {
            let message = "a positional projection together with $elemMatch";
            return Err(refused(31255, message));
        }
        let steps = steps(parent, name)?;
        if steps.len() > 1 {
            let message = format!(
                "$elemMatch cannot be used on a nested field: '{}'",
                text(name)
            );
            return Err(refused(31275, message));
        }
        let condition = operand.to_document(b"$elemMatch");
        let condition = RawValue {
            kind: Kind::Document,
            bytes: &condition,
        };
        let filter = condition.to_document(name);
        let filter = Filter::compile(RawDocument::from_bytes(&filter)?)?;
        let computed = Computed::ElementMatch(name.into(), filter);
        self.add(&steps, Child::Computed(Box::new(computed)))?;
        self.has_element_match = true;
        Ok(())
    }
}

fn is_id(steps: &[Box<[u8]>]) -> bool {
    matches!(steps, [step] if **step == *b"_id")
}

/// The path before a final `.$`.
fn positional_base(name: &[u8]) -> Option<&[u8]> {
    name.strip_suffix(b".$")
}
